"""The command line of experiments: `python -m learning experiments --help`."""

from __future__ import annotations

from typing import Any, Optional

import typer
from rich.markup import escape
from rich.table import Table

from learning import console
from learning.adoption import adopt as adopt_variant
from learning.errors import ReviewError
from learning.experiments import Shown
from learning.experiments import create as create_experiment
from learning.experiments import show as show_experiment
from learning.experiments import start as start_experiment
from learning.experiments import stop as stop_experiment
from learning.model import Experiment, ExperimentState
from learning.pipeline import try_branch
from learning.review_options import AS_JSON, WHO, app_of, branch_json, print_branch
from learning.verdict_words import sentence
from learning.verdicts import METRICS, Comparison

experiments_cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="A/B tests of answers: which wording does best, said only when it is shown.",
    no_args_is_help=True,
)
ID = typer.Argument(..., show_default=False, help="Id of an experiment, or its first characters.")
VARIANT = typer.Option(..., show_default=False, help="NAME=TEXT of a wording; once for each besides the control.")
MOST_SHOWN = 1_000_000  # likelihood ratios beyond it are no news


@experiments_cli.command()
def create(
    ctx: typer.Context,
    name: str = typer.Argument(..., help="What people call it."),
    about: str = typer.Argument(..., help="The label whose answer it is about, or the name of its response."),
    variant: list[str] = VARIANT,
    control: Optional[str] = typer.Option(
        None, show_default=False, help="Text to compare with; without it what the bot says anyway."
    ),
    metric: str = typer.Option("resolved", help=f"What counts as good: {', '.join(METRICS)}."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Write a draft: nobody is told anything of it before it is started."""
    loop = app_of(ctx).loop
    texts = [_name_and_text(one) for one in variant]
    experiment, notes = create_experiment(loop, name, about, texts, metric, who or console.user(), control)
    if json:
        console.print_json({"experiment": experiment, "notes": notes})
        return
    short = experiment.experiment_id[:8]
    console.out.print(f"{short} is a draft about {escape(experiment.response)}, measured by {METRICS[metric]}.")
    _print_notes(notes)
    console.out.print(f"`python -m learning experiments start {short}` lets the bot tell it.")


@experiments_cli.command("list")
def list_experiments(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """List the experiments, the newest first."""
    found = app_of(ctx).loop.store.experiments()
    if json:
        console.print_json(found)
        return
    if not found:
        console.out.print("There are no experiments. `python -m learning experiments create --help` says how to begin.")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "state", "since", "metric", "response", "name"):
        table.add_column(heading, no_wrap=heading != "name")
    for one in found:
        since = one.ended_at or one.started_at or one.created_at
        state = f"{one.winner} adopted" if one.winner else one.state.value
        table.add_row(
            *(one.experiment_id[:8], escape(state), f"{since:%Y-%m-%d}", one.metric),
            *(escape(one.response), escape(one.name)),
        )
    console.out.print(table)


@experiments_cli.command()
def show(ctx: typer.Context, experiment: str = ID, json: bool = AS_JSON) -> None:
    """Show what an experiment has shown: each variant, the evidence, and what is missing."""
    found = show_experiment(app_of(ctx).loop, experiment)
    if json:
        console.print_json(told(found))
        return
    _print_shown(found)


@experiments_cli.command()
def start(
    ctx: typer.Context,
    experiment: str = ID,
    reason: str = typer.Option("", show_default=False, help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Let the bot tell the variants, each to an equal part of the people."""
    begun = start_experiment(app_of(ctx).loop, experiment, who or console.user(), reason)
    _say(begun, "runs: the bot tells it from the next message on.", json)


@experiments_cli.command()
def stop(
    ctx: typer.Context,
    experiment: str = ID,
    reason: str = typer.Option(..., help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """End an experiment: everybody is told what the bot says anyway."""
    ended = stop_experiment(app_of(ctx).loop, experiment, who or console.user(), reason)
    _say(ended, "is stopped: the bot says what it says anyway.", json)


@experiments_cli.command()
def adopt(
    ctx: typer.Context,
    experiment: str = ID,
    variant: str = typer.Argument(..., show_default=False, help="Name of the wording."),
    reason: str = typer.Option("", show_default=False, help="Why; it goes into the audit log."),
    anyway: bool = typer.Option(False, "--anyway", help="Even if the evidence does not name it the winner."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Make a wording the answer for everybody, and end the experiment."""
    app = app_of(ctx)
    ended, release = adopt_variant(app.loop, experiment, variant, who or console.user(), reason, anyway)
    commit, problem = try_branch(app.loop)
    if json:
        console.print_json({"experiment": ended, "release": release, **branch_json(commit, problem)})
        return
    if release is None:
        console.out.print(f"{escape(ended.response)} says that already; the experiment has ended.")
    else:
        console.out.print(f"{escape(ended.response)} says it to everybody (release {release.number}).")
    print_branch(app.settings.review.branch, commit, problem)


def told(found: Shown) -> dict[str, Any]:
    """Return what is shown, for programs."""
    variants = [{"name": one.name, "share": one.share} for one in found.verdict.variants]
    return {
        "experiment": found.experiment,
        "verdict": found.verdict,
        "shares": variants,
        "sentence": sentence(found.verdict),
        "notes": found.notes,
    }


def _name_and_text(typed: str) -> tuple[str, str]:
    name, equals, text = typed.partition("=")
    if not equals:
        raise ReviewError("is no NAME=TEXT", f"variant {typed!r}", 'write --variant short="We ship in two days."')
    return name.strip(), text


def _say(experiment: Experiment, what: str, json: bool) -> None:
    if json:
        console.print_json(experiment)
    else:
        console.out.print(f"{experiment.experiment_id[:8]} {what}")


def _print_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        console.out.print(f"[yellow]{escape(note)}[/yellow]")


def _print_shown(found: Shown) -> None:
    one, verdict = found.experiment, found.verdict
    console.out.print(f"[bold]{one.experiment_id}[/bold]  {escape(one.name)}  ({one.state.value})")
    console.out.print(f"{escape(one.response)}, measured by {METRICS[one.metric]}; {_times(one)}")
    table = Table(box=None, pad_edge=False)
    for heading in ("variant", "people", "good", "95 %", "text"):
        table.add_column(
            heading, justify="right" if heading in ("people", "good") else "left", no_wrap=heading != "text"
        )
    for variant, figures in zip(one.variants, verdict.variants, strict=True):
        text = escape(variant.text) if variant.text is not None else "(what the bot says anyway)"
        good = f"{100 * figures.share:.1f} %" if figures.people else "-"
        interval = f"{100 * figures.low:.1f} to {100 * figures.high:.1f} %"
        table.add_row(escape(figures.name), f"{figures.people:,}", good, interval, text)
    console.out.print(table)
    if one.state is ExperimentState.DRAFT:
        console.out.print(f"It is a draft: `python -m learning experiments start {one.experiment_id[:8]}` begins it.")
        return
    console.out.print(f"{verdict.days} finished days are counted; today's people come in tomorrow.")
    for comparison in verdict.comparisons:
        console.out.print(_evidence(comparison))
    console.out.print(f"[bold]{escape(sentence(verdict))}[/bold]")
    if one.state is ExperimentState.STOPPED:
        what = f"{one.winner} was adopted" if one.winner else "It was stopped"
        console.out.print(escape(f"{what}: {one.reason}" if one.reason else f"{what}."))
    _print_notes(found.notes)


def _evidence(one: Comparison) -> str:
    ratio = f"{one.evidence:,.1f}" if one.evidence < MOST_SHOWN else f"more than {MOST_SHOWN:,}"
    names = f"{escape(one.first)} and {escape(one.second)} differ"
    return f"evidence that {names}: {ratio} to 1, of {one.needed:,.0f} to 1 that it takes"


def _times(one: Experiment) -> str:
    if one.started_at is None:
        return f"written by {escape(one.who)} on {one.created_at:%Y-%m-%d}"
    ended = f" to {one.ended_at:%Y-%m-%d %H:%M} UTC" if one.ended_at else ""
    return f"since {one.started_at:%Y-%m-%d %H:%M} UTC{ended}"
