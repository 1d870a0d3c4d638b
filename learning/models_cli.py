"""`python -m learning models`: which models there are, which one runs, and the ways to another one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Optional

import typer
from rich.table import Table

from learning import console
from learning.alone import RETRAINING, alone
from learning.bootstrap import App
from learning.candidates import ENDING, candidates
from learning.deploy_by_hand import deploy_by_hand
from learning.errors import BotServerError, NotFound
from learning.model import DeployedModel, WatchedModel
from learning.model_card import ModelCard, from_plain, to_plain, told
from learning.review_options import AS_JSON, WHO, app_of
from learning.running_model import ROLLED_BACK, WATCHING, Settled, prune_models, reconcile, roll_back_model
from learning.watching import compare_days

models_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="The models that ran or could run, and the ways from one to another.",
    no_args_is_help=True,
)
REASON = typer.Option("", help="Why; it goes into the audit log.")


@models_cli.command("list")
def list_models(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List the models that went live and those that could, the newest first."""
    app = app_of(ctx)
    states = app.server.states()
    running = next((one.model for one in states if one.model), "")
    rows, waiting = _deployed_rows(app, running), _candidate_rows(app)
    if json:
        servers = [{"address": one.address, "model": one.model or None, "problem": one.problem} for one in states]
        told_of = {"running": running or None, "servers": servers, "models": rows, "candidates": waiting}
        console.print_json(told_of)
        return
    if not rows:
        console.out.print("No model went live by retraining yet.")
    if rows or waiting:
        console.out.print(_table(rows, waiting))
    known = app.loop.store.running_model()
    if not running:
        console.out.print("The server does not answer: which model runs is what was seen last.")
    elif rows and running != known:
        console.out.print(f"{console.line(running)} runs: the next mining brings the overlay in line with it.")
    if len(states) > 1:
        for one in states:
            console.out.print(f"{one.address}: {console.line(one.model or one.problem)}")


@models_cli.command()
def show(
    ctx: typer.Context,
    name: str = typer.Argument(..., show_default=False, help="A model's name, or how it begins."),
    json: bool = AS_JSON,
) -> None:
    """Show what a model was made of, what the gate said of it, and how customers fare with it."""
    app = app_of(ctx)
    found = _described(app, name)
    card: ModelCard | None = found.pop("_card")
    if json:
        console.print_json({**found, "card": to_plain(card) if card else None})
        return
    for key, value in found.items():
        if value not in (None, "", ()) and key != "watch":
            console.out.print(f"{key.replace('_', ' '):<14} {console.line(str(value))}")
    if card is None:
        console.out.print("Nothing is known of how it compared: it was not made by a retraining, or by an old version.")
    else:
        console.out.print(f"compared with  {console.line(card.champion)} on {card.total} held-out messages:")
        console.out.print(f"  understood   {card.before} before, {card.after} now")
        for sentence in told(card):
            console.out.print(f"  {console.line(sentence)}")
    for sentence in found["watch"]:
        console.out.print(f"watched        {console.line(sentence)}")


@models_cli.command()
def deploy(
    ctx: typer.Context,
    name: str = typer.Argument(
        ..., show_default=False, help="A model that a retraining left, or a file in models/: name or path."
    ),
    reason: str = REASON,
    override: bool = typer.Option(False, help="Deploy it against the gate; needs a --reason."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Make a model live; what was not compared with the running one is compared first."""
    app = app_of(ctx)
    with console.steps(quiet=json) as say, alone(app.loop, RETRAINING):
        by = who or console.user()
        model = deploy_by_hand(
            app.loop, app.nlu, app.server, name, by, reason, override, lambda step, words: say(words)
        )
    if json:
        console.print_json({"running": model.name})
    else:
        console.out.print(f"now running: {console.line(model.name)}")


@models_cli.command()
def rollback(
    ctx: typer.Context,
    name: Optional[str] = typer.Argument(None, show_default=False, help="A former model; without it the one before."),
    reason: str = REASON,
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Make the bot run a former model again; what newer ones had absorbed comes back to the overlay."""
    app = app_of(ctx)
    with alone(app.loop, RETRAINING):
        done = roll_back_model(app.loop, app.server, name, who or console.user(), reason)
    if json:
        console.print_json(_plain(done))
        return
    console.out.print(f"now running: {console.line(done.model)}")
    print_settled(done)


@models_cli.command()
def prune(
    ctx: typer.Context,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only tell what would be deleted."),
    json: bool = AS_JSON,
) -> None:
    """Delete the files of old models: all but the newest ones, the one that runs and the one before it."""
    app = app_of(ctx)
    with nullcontext() if dry_run else alone(app.loop, RETRAINING):
        if not dry_run:
            reconcile(app.loop, app.server, is_alone=True)  # what somebody has started by hand must not be deleted
        gone = prune_models(app.loop, dry_run)
    if json:
        console.print_json({"deleted": [] if dry_run else gone, "would_be_deleted": gone if dry_run else []})
        return
    for name in gone:
        console.out.print(f"{'would delete' if dry_run else 'deleted'} {console.line(name)}")
    if not gone:
        console.out.print("Nothing is old enough to be deleted.")


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


def _deployed_rows(app: App, running: str) -> list[dict[str, Any]]:
    """Return the models that went live as plain data; which one runs is what was seen last if nobody answers."""
    folder = app.settings.path(app.settings.project.models)
    runs = running or app.loop.store.running_model()
    watched = {one.name: one for one in app.loop.store.watched_models()}
    waiting = {one.name for one in candidates(app.loop)}  # those that a server has refused never ran
    return [
        {
            "name": model.name,
            "at": model.at,
            "replaced": model.replaced,
            "rolled_back_at": model.rolled_back_at,
            "running": model.name == runs,
            "watch": watched[model.name].state if model.name in watched else None,
            "entries": len(model.taught),
            "file": (folder / model.name).is_file(),
        }
        for model in app.loop.store.deployed_models()
        if model.name not in waiting
    ]


def _candidate_rows(app: App) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "at": one.trained_at,
            "state": one.state,
            "entries": len(one.taught),
            "path": str(one.path),
            "reason": one.card.reason if one.card else "",
        }
        for one in candidates(app.loop)
    ]


def _table(rows: list[dict[str, Any]], waiting: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("state", "model", "since (UTC)", "entries"):
        table.add_column(heading, justify="right" if heading == "entries" else "left", no_wrap=True)
    shown = [(f"candidate, {row['state']}", row) for row in waiting]
    for row in rows:
        state = "runs" if row["running"] else "rolled back" if row["rolled_back_at"] else "former"
        state = "went back by itself" if row["watch"] == ROLLED_BACK and not row["running"] else state
        shown.append((state if row["file"] else f"{state}, no file", row))
    for state, row in shown:
        name = console.line(str(row["name"]).removesuffix(ENDING))
        table.add_row(state, name, f"{row['at']:%Y-%m-%d %H:%M}", str(row["entries"]))
    return table


def _described(app: App, name: str) -> dict[str, Any]:
    """Return what is known of the one model whose name begins so; its card is under `_card`.

    Raises:
        NotFound: no model does, or several do.

    """
    deployed = {one.name: one for one in app.loop.store.deployed_models()}
    left = {one.name: one for one in candidates(app.loop)}
    names = sorted({*deployed, *left})
    same = [one for one in names if name in (one, one.removesuffix(ENDING))]
    same = same or [one for one in names if name and one.startswith(name)]
    if len(same) != 1:
        raise NotFound(f"fits {len(same)} models", f"model {name}", "see `python -m learning models list`")
    candidate = left.get(same[0])
    model = deployed.get(same[0]) if candidate is None else None  # what a server has refused never ran
    card = from_plain(model.card) if model else candidate.card if candidate else None
    watched = next((one for one in app.loop.store.watched_models() if one.name == same[0]), None)
    return {
        "name": same[0],
        "state": _state(app, model, watched) if model else f"candidate, {candidate.state}" if candidate else "",
        "since": f"{model.at:%Y-%m-%d %H:%M} UTC" if model else None,
        "replaced": model.replaced if model else None,
        "entries": len(model.taught if model else candidate.taught if candidate else ()),
        "data": card.data if card else candidate.data if candidate else "",
        "commit": card.commit if card else candidate.commit if candidate else "",
        "watch": _watch(app, watched),
        "_card": card,
    }


def _state(app: App, model: DeployedModel, watched: WatchedModel | None) -> str:
    try:
        running = app.server.running_model().name
    except BotServerError:
        running = app.loop.store.running_model()
    if model.name == running:
        return "runs"
    if watched is not None and watched.state == ROLLED_BACK:
        return f"went back by itself on {watched.ended_at:%Y-%m-%d %H:%M} UTC"
    return f"rolled back on {model.rolled_back_at:%Y-%m-%d %H:%M} UTC" if model.rolled_back_at else "former"


def _watch(app: App, watched: WatchedModel | None) -> list[str]:
    """Return how customers fare with a model, one sentence for each thing that is counted."""
    if watched is None:
        return []
    if watched.state == WATCHING:
        return [one.sentence for one in compare_days(app.loop, watched)]
    return [f"{watched.state.replace('_', ' ')}: {watched.said}" if watched.said else watched.state.replace("_", " ")]


def _plain(done: Settled) -> dict[str, object]:
    return {
        "running": done.model,
        "before": done.before,
        "back_in_the_overlay": [entry.entry_id for entry in done.back],
        "answered_by_the_model": [entry.entry_id for entry in done.left],
    }
