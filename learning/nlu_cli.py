"""The command line of the language understanding: `python -m learning nlu --help`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import typer
import yaml
from rich.markup import escape

from learning import console
from learning.bootstrap import App, utc_now
from learning.errors import ProjectError
from learning.nlu_report import STALE_DAYS, Material, NluReport, build_report
from learning.settings import Settings

PAGE = Path("var/reports/nlu.html")

nlu_cli = typer.Typer(
    pretty_exceptions_enable=False, help="How well the assistant understands, and what to fix.", no_args_is_help=True
)


@nlu_cli.callback()
def main() -> None:
    """Group the commands."""


@nlu_cli.command()
def report(
    ctx: typer.Context,
    model: Optional[Path] = typer.Option(None, help="Model to measure.  [default: the newest in models/]"),
    data_only: bool = typer.Option(False, "--data-only", help="Check the training data only; needs no model."),
    out: Optional[Path] = typer.Option(None, help=f"Where the page goes.  [default: {PAGE}]"),
    stale_days: int = typer.Option(STALE_DAYS, min=1, help="Days without use after which an intent is stale."),
    json: bool = typer.Option(False, "--json", help="Print JSON for programs."),
) -> None:
    """Measure a model on the hold-out, check the training data, and say what to fix first."""
    # Drawing needs libraries that take a second to load, which other commands need not wait for.
    from learning.nlu_page import render_page, write_page

    app = ctx.obj
    assert isinstance(app, App)
    settings, project = app.settings, app.loop.project
    page = out or settings.path(str(PAGE))
    with console.steps(quiet=json) as say:
        say("reading the project")
        chosen = None if data_only else model or newest_model(settings)
        if chosen and not chosen.is_file():
            raise ProjectError("does not exist", f"model {chosen}", "name a file with --model, or run `rasa train`")
        found = build_report(
            Material(project.examples(), _holdout(app, chosen), domain_intents(settings)),
            *(app.loop.encoder, app.nlu, chosen, app.open_tracker, utc_now(), stale_days, say),
        )
        write_page(page, render_page(found, say))
    if json:
        console.print_json({"page": page, "report": found})
    else:
        show_report(found, page)


def newest_model(settings: Settings) -> Path:
    """Return the model that was written last.

    Raises:
        ProjectError: there is none.

    """
    folder = settings.path(settings.project.models)
    models = sorted(folder.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)
    if not models:
        raise ProjectError(
            "holds no model", str(folder), "run `rasa train`, name one with --model, or pass --data-only"
        )
    return models[-1]


def domain_intents(settings: Settings) -> list[str]:
    """Return the intents that the domain lists.

    Raises:
        ProjectError: a file of the domain cannot be read.

    """
    path = settings.path(settings.project.domain)
    files = sorted([*path.rglob("*.yml"), *path.rglob("*.yaml")]) if path.is_dir() else [path]
    return [name for file in files for name in _listed(file)]


def show_report(found: NluReport, page: Path) -> None:
    """Print the numbers and what to fix first."""
    scores, data = found.scores, found.data
    say = console.out.print
    if scores:
        say(f"[bold]{escape(found.model or '')}[/bold] on {scores.messages} held-out messages")
        interval = f"95 % interval {100 * scores.low:.1f}-{100 * scores.high:.1f}"
        say(f"accuracy     {100 * scores.accuracy:.1f} % ({interval}), macro F1 {scores.macro_f1:.3f}")
        say(
            f"not answered {scores.unanswered} ({100 * scores.unanswered / max(1, scores.messages):.1f} %),"
            f" taken for another intent {scores.wrong - scores.unanswered}"
        )
        say(f"calibration  off by {100 * scores.calibration_error:.1f} points on average (ECE)")
    say(
        f"data         {data.examples} examples of {len(data.sizes)} intents (largest : smallest {data.imbalance:.1f}),"
        f" {len(data.twins)} duplicates across intents, {len(data.label_issues)} probable label errors"
    )
    say("\n[bold]What to fix first[/bold]" if found.actions else "\nNothing stands out that should be fixed first.")
    for number, action in enumerate(found.actions, 1):
        say(f"{number}. {escape(action.title)}")
        say(f"   {escape(action.why)}", style="dim")
    say(f"\npage: {escape(str(page))}")


def _holdout(app: App, model: Path | None) -> list[Any]:
    """Return the held-out messages; checking the data alone can do without."""
    try:
        return app.loop.project.holdout()
    except ProjectError:
        if model:
            raise
        return []


def _listed(file: Path) -> Iterator[str]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProjectError(f"cannot be read ({str(error).splitlines()[0]})", str(file), "correct it") from error
    intents = content.get("intents") if isinstance(content, dict) else None
    for item in intents or ():
        # `- greet`, or `- greet: {use_entities: []}`
        yield from map(str, item) if isinstance(item, dict) else [str(item)]
