"""The command line: `python -m desk --help`."""

from __future__ import annotations

import json
import logging
import sys
import threading
from pathlib import Path
from typing import Optional
from urllib.parse import urlsplit

import typer
import uvicorn

from desk import service
from desk.api import create_api
from desk.bootstrap import build_desk, build_worker, read_settings
from desk.worker import Worker
from learning.errors import EvergreenError, SettingsError
from learning.settings import Settings

PAUSE = 0.3  # seconds between two looks: an answer is in the chat in half a second
PAUSE_AFTER_ERROR = 2.0

logger = logging.getLogger("desk")
cli = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@cli.callback()
def main(ctx: typer.Context, project: Path = typer.Option(Path("."), help="Folder of the Rasa project.")) -> None:
    """Bring conversations from the assistant to people and their answers back.

    Environment: EVERGREEN_DESK_TOKEN (the secret that Rasa server, action server and desk share), EVERGREEN_DESK_DB,
    EVERGREEN_BOT_URL; where agents work in another help desk EVERGREEN_HELP_DESK_TOKEN, EVERGREEN_HELP_DESK_SECRET.
    Settings are in the section `desk` of learning.yml.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = read_settings(project)


@cli.command()
def serve(
    ctx: typer.Context,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: Optional[int] = typer.Option(None, help="Port to listen on; without it that of desk.url.", min=0, max=65535),
) -> None:
    """Work, and tell the action server what customers can expect."""
    settings: Settings = ctx.obj
    port = listening_port(settings.desk.url) if port is None else port
    stop = threading.Event()
    thread = threading.Thread(target=_work, args=(build_worker(settings), stop), name="desk-worker", daemon=True)
    thread.start()
    typer.echo(f"desk: http://{host}:{port}")
    sys.stdout.flush()
    try:
        uvicorn.run(
            create_api(build_desk(settings)), host=host, port=port, log_level="warning", ws="none", server_header=False
        )
    finally:
        stop.set()
        thread.join(timeout=10)


@cli.command()
def queue(ctx: typer.Context, as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show what waits for a person and what is being answered."""
    desk = build_desk(ctx.obj)
    now = desk.now()
    rows = [
        {
            "id": one.handover_id,
            "state": one.state.value,
            "reason": one.reason.value,
            "agent": one.agent,
            "asked_at": one.asked_at.isoformat(),
            "overdue": one.is_overdue(now),
        }
        for one in desk.store.open_handovers()
    ]
    if as_json:
        typer.echo(json.dumps({"handovers": rows, "has_worker": desk.store.has_worker(now)}))
        return
    for row in rows:
        overdue = " OVERDUE" if row["overdue"] else ""
        typer.echo(
            f"{row['id']}  {row['state']:8} {row['reason']:16} {row['agent'] or '-'}  {row['asked_at']}{overdue}"
        )
    expected = service.outlook(desk)
    typer.echo(f"{len(rows)} open, {expected.agents} on duty, {'open' if expected.is_open else 'closed'} now")


@cli.command()
def forget(ctx: typer.Context, sender: str = typer.Argument(..., help="Conversation id, as Rasa has it.")) -> None:
    """Delete all that the desk keeps about a conversation, as `learning forget` does with everything else."""
    desk = build_desk(ctx.obj)
    typer.echo(f"{desk.store.forget(sender, desk.now())} hand-overs deleted.")


def listening_port(url: str) -> int:
    """Return the port of an address.

    Raises:
        SettingsError: it has none.

    """
    try:
        parsed = urlsplit(url)
        port = parsed.port or {"http": 80, "https": 443}[parsed.scheme]
    except (ValueError, KeyError):
        raise SettingsError(f"is {url!r}", "learning.yml: desk: url", "write it as http://127.0.0.1:8082") from None
    return port


def _work(worker: Worker, stop: threading.Event) -> None:
    pause = 0.0
    while not stop.wait(pause):
        pause = PAUSE
        try:
            worker.step()
        except EvergreenError as error:
            logger.error("%s", error)
            pause = PAUSE_AFTER_ERROR
        except Exception:
            # Whatever nobody foresaw: customers wait, so it is tried again and never ends the worker.
            logger.exception("a step of the desk failed")
            pause = PAUSE_AFTER_ERROR


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        cli()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
