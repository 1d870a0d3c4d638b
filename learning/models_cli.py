"""`python -m learning models`: which models went live, and the way back."""

from __future__ import annotations

from typing import Optional

import typer
from rich.table import Table

from learning import console
from learning.errors import BotServerError
from learning.review_options import AS_JSON, WHO, app_of
from learning.running_model import Settled, reconcile, roll_back_model

MODEL_ENDING = ".tar.gz"

models_cli = typer.Typer(
    pretty_exceptions_enable=False, help="The models that went live, and the way back.", no_args_is_help=True
)


@models_cli.command("list")
def list_models(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List the models that went live, the newest first."""
    app = app_of(ctx)
    models, known = app.loop.store.deployed_models(), app.loop.store.running_model()
    try:
        running = app.server.running_model().name
    except BotServerError:
        running = ""
    folder = app.settings.path(app.settings.project.models)
    rows = [
        {
            "name": model.name,
            "at": model.at,
            "replaced": model.replaced,
            "rolled_back_at": model.rolled_back_at,
            "running": model.name == (running or known),
            "entries": len(model.taught),
            "file": (folder / model.name).is_file(),
        }
        for model in models
    ]
    if json:
        console.print_json({"running": running or None, "models": rows})
        return
    if not rows:
        console.out.print("No model went live by retraining yet.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("state", "model", "went live (UTC)", "entries"):
        table.add_column(heading, justify="right" if heading == "entries" else "left", no_wrap=True)
    for row in rows:
        state = "runs" if row["running"] else "rolled back" if row["rolled_back_at"] else "former"
        state = state if row["file"] else f"{state}, no file"
        name = console.line(str(row["name"]).removesuffix(MODEL_ENDING))
        table.add_row(state, name, f"{row['at']:%Y-%m-%d %H:%M}", str(row["entries"]))
    console.out.print(table)
    if not running:
        console.out.print("The server does not answer: which model runs is what was seen last.")
    elif running != known:
        console.out.print(f"{console.line(running)} runs: the next mining brings the overlay in line with it.")


@models_cli.command()
def rollback(
    ctx: typer.Context,
    name: Optional[str] = typer.Argument(None, show_default=False, help="A former model; without it the one before."),
    reason: str = typer.Option("", help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Make the bot run a former model again; what newer ones had absorbed comes back to the overlay."""
    app = app_of(ctx)
    done = roll_back_model(app.loop, app.server, name, who or console.user(), reason)
    if json:
        console.print_json(_plain(done))
        return
    console.out.print(f"now running: {console.line(done.model)}")
    print_settled(done)


@models_cli.command()
def check(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Look which model runs, and bring the overlay in line with it; scheduled jobs do so, too."""
    app = app_of(ctx)
    running = app.server.running_model().name
    done = reconcile(app.loop, app.server) or Settled(running, running)
    if json:
        console.print_json(_plain(done))
        return
    console.out.print(f"running: {console.line(done.model)}{'' if done.model != done.before else ', as known'}")
    print_settled(done)


def print_settled(done: Settled) -> None:
    """Say what another model's running did to the overlay."""
    for entries, said in ((done.back, "is back in the overlay"), (done.left, "is answered by the model")):
        for entry in entries:
            console.out.print(f"{console.line(entry.label)} ({entry.entry_id[:8]}) {said}")


def _plain(done: Settled) -> dict[str, object]:
    return {
        "running": done.model,
        "before": done.before,
        "back_in_the_overlay": [entry.entry_id for entry in done.back],
        "answered_by_the_model": [entry.entry_id for entry in done.left],
    }
