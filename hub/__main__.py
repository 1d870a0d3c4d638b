"""The command line: `python -m hub --help`."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from typing import Optional

import typer
import uvicorn

from hub.app import create_app
from hub.settings import load_hub_settings
from hub.staff.accounts import ADMIN, DEMO, Accounts
from hub.staff.roles import Role
from learning import console
from learning.bootstrap import build, utc_now
from learning.errors import EvergreenError

WARM_UP = "Hello."
# A container is killed ten seconds after it was told to stop, and sandboxes end after the requests.
SHUTDOWN_SECONDS = 5

cli = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@cli.callback(invoke_without_command=True)
def serve(
    ctx: typer.Context,
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(8080, help="Port to listen on.", min=0, max=65535),
    project: Path = typer.Option(Path("."), help="Folder of the Rasa project."),
) -> None:
    """Serve the staff web app, where people review what the assistant may learn.

    The first start makes the account `admin` and prints its password once. Environment: EVERGREEN_HUB_DB (accounts,
    default var/hub.db), EVERGREEN_HUB_SECRET (signs sessions; without it they end with the process),
    EVERGREEN_HUB_SECURE_COOKIE=1 (behind HTTPS), EVERGREEN_HUB_DEMO_PASSWORD (switches the account `demo` on),
    EVERGREEN_METRICS_TOKEN (of whoever collects /metrics/prometheus).
    """
    ctx.obj = project
    if ctx.invoked_subcommand is not None:
        return
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    settings = load_hub_settings(project)
    app = build(project)
    loop = app.loop  # a broken database is a message now, not an error page later
    accounts = Accounts(settings.database, settings.demo_password)
    password = accounts.ensure_admin(utc_now())
    if password:
        typer.echo(f"hub: made the account {ADMIN} with the password {password} (it is not shown again)")
    if settings.demo_password:
        typer.echo(f"hub: the account {DEMO} is switched on")
    typer.echo(f"hub: http://{host}:{port}")
    sys.stdout.flush()
    # The redactor loads its language model at its first text, which takes seconds: nobody's page should wait for it.
    threading.Thread(target=loop.redactor.redact, args=(WARM_UP,), name="warm-up", daemon=True).start()
    # There are no websockets, and uvicorn's newest code for them needs a newer package than Rasa allows.
    uvicorn.run(
        create_app(settings, loop, accounts, app.trials),
        host=host,
        port=port,
        log_level="warning",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )


@cli.command()
def account(
    ctx: typer.Context,
    name: str = typer.Argument(..., help="Name of the account."),
    role: Optional[Role] = typer.Option(None, help="What it may do; a new account is a reviewer's without it."),
    remove: bool = typer.Option(False, "--remove", help="Delete it instead."),
) -> None:
    """Make an account or give it a new random password, which is printed once."""
    accounts, store = Accounts(load_hub_settings(ctx.obj).database), build(ctx.obj).loop.store

    def note(before: str, after: str) -> None:
        what = "account-remove" if remove else "account-password" if before else "account-add"
        store.note(utc_now(), console.user(), what, name, before, after)

    if remove:
        accounts.remove(name, note)
        typer.echo(f"{name} is removed.")
    else:
        password = accounts.set_password(name, utc_now(), role, note)
        typer.echo(f"{name} has the password {password} (it is not shown again)")


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        cli()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
