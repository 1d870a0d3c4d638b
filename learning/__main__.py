"""The command line: `python -m learning --help`."""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Optional

import typer

from learning import console, pipeline
from learning.autonomy import AutonomyReport, decide_alone
from learning.autonomy_cli import autonomy_cli
from learning.bootstrap import App, build
from learning.calibration_cli import calibration_command
from learning.errors import EvergreenError
from learning.forget_cli import forget_command
from learning.gaps_cli import gaps_cli
from learning.labelling_cli import labels_cli
from learning.metrics import read_status
from learning.model import ProposalState
from learning.nlu_cli import nlu_cli
from learning.retrain import retrain as run_retrain
from learning.review_cli import review_cli
from learning.review_options import AS_JSON, WHO, app_of, branch_json, print_branch
from learning.sandbox_cli import replay_command, sandbox_command
from learning.scheduler import build_scheduler

cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="Evergreen learns from the conversations of a Rasa assistant.",
    no_args_is_help=True,
    add_completion=False,
)
audit_cli = typer.Typer(
    pretty_exceptions_enable=False, help="The append-only log of who did what.", no_args_is_help=True
)
cli.add_typer(review_cli, name="review")
cli.add_typer(audit_cli, name="audit")
cli.add_typer(gaps_cli, name="gaps")
cli.add_typer(nlu_cli, name="nlu")
cli.add_typer(autonomy_cli, name="autonomy")
cli.add_typer(labels_cli, name="labels")
cli.command("calibration")(calibration_command)
cli.command("replay")(replay_command)
cli.command("sandbox")(sandbox_command)
cli.command("forget")(forget_command)


@cli.callback()
def main(ctx: typer.Context, project: Path = typer.Option(Path("."), help="Folder of the Rasa project.")) -> None:
    """Read the settings of the project."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = build(project)


@cli.command()
def mine(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Find what failed in new conversations, group it, and write proposals; publish what autonomy allows."""
    _collect_less_often()
    app = app_of(ctx)
    with console.steps(quiet=json) as say:
        report = pipeline.mine(app.loop, lambda batch: say(f"read up to event {batch.last_id}"))
        alone = _decide_alone(app)
    if json:
        console.print_json({**asdict(report), "automatic_releases": alone.releases})
        return
    console.out.print(
        f"{report.events} new events in {report.conversations} conversations: {report.new_signals} new signals,"
        f" {report.new_gaps} new gaps, {report.new_proposals} new proposals"
    )
    if report.corrupt_rows:
        shown = ", ".join(str(row) for row in report.corrupt_rows[:10])
        console.out.print(f"skipped {len(report.corrupt_rows)} corrupt event rows (id {shown}); the rest was mined")
    if alone.releases:
        console.out.print(f"{len(alone.releases)} proposals went live alone; `autonomy sweep` takes them back")
    missing = app.settings.gaps.min_conversations - report.total_conversations
    if missing > 0:
        console.out.print(f"There is little data: {missing} more conversations make the numbers firm.")


@cli.command()
def publish(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Publish what a crash left approved, and bring the review branch up to date."""
    app = app_of(ctx)
    releases = pipeline.publish_waiting(app.loop)
    commit = pipeline.write_branch(app.loop)
    if json:
        console.print_json({"releases": releases, "commit": commit})
    else:
        console.out.print(f"{len(releases)} releases made; branch {commit[:10] if commit else 'was up to date'}")


@cli.command()
def withdraw(
    ctx: typer.Context,
    entry: str = typer.Argument(..., help="Id of a live or absorbed entry, or its first characters."),
    reason: str = typer.Option(..., help="Why; it goes into the audit log."),
    who: Optional[str] = WHO,
    json: bool = AS_JSON,
) -> None:
    """Take a published entry back at once: its examples, its answer and its file on the branch."""
    app = app_of(ctx)
    absorbed = app.loop.store.entries(ProposalState.ABSORBED)
    was_absorbed = any(one.entry_id.startswith(entry) for one in absorbed)
    label = pipeline.withdraw(app.loop, entry, who or console.user(), reason)
    commit, problem = pipeline.try_branch(app.loop)
    if json:
        told = {"withdrawn": label, "in_the_model": was_absorbed, **branch_json(commit, problem)}
        console.print_json(told)
        return
    console.out.print(f"{label} is withdrawn.")
    if was_absorbed:
        console.out.print("The running model still knows it: `python -m learning retrain` makes one without.")
    print_branch(app.settings.review.branch, commit, problem)


@cli.command()
def retrain(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Train with what was published, compare on the hold-out, swap the model, absorb the overlay."""
    app = app_of(ctx)
    with console.steps(quiet=json) as say:
        report = run_retrain(app.loop, app.nlu, app.server, say)
    if json:
        console.print_json(report)
    else:
        console.show_retrain(report)
    if report.model is None:
        raise typer.Exit(3)


@cli.command()
def schedule(ctx: typer.Context) -> None:
    """Mine and retrain at the cadence of learning.yml until stopped."""
    app = app_of(ctx)
    logging.getLogger().setLevel(logging.INFO)
    _collect_less_often()

    def scheduled_mine() -> None:
        report = pipeline.mine(app.loop)
        pipeline.publish_waiting(app.loop)
        alone = _decide_alone(app)
        console.out.print(
            f"mined {report.events} events, {report.new_proposals} new proposals, {len(alone.releases)} live alone"
        )

    def scheduled_retrain() -> None:
        console.show_retrain(run_retrain(app.loop, app.nlu, app.server))

    settings = app.settings.schedule
    scheduler = build_scheduler(settings, scheduled_mine, scheduled_retrain)
    console.out.print(f"mining every {settings.mine_minutes} minutes, retraining at {settings.retrain_cron} UTC")
    try:
        scheduler.start()
    except (KeyboardInterrupt, SystemExit):
        console.out.print("schedule stopped")


@cli.command()
def status(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Say where things stand."""
    found = read_status(app_of(ctx).loop)
    if json:
        console.print_json(found)
    else:
        console.show_status(found)


@audit_cli.command()
def verify(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Check the hash chain of the log."""
    problems = app_of(ctx).loop.store.verify_audit()
    if json:
        console.print_json({"whole": not problems, "problems": problems})
    else:
        for problem in problems:
            console.out.print(problem)
        console.out.print("The audit log is broken." if problems else "The audit log is whole.")
    raise typer.Exit(1 if problems else 0)


def _decide_alone(app: App) -> AutonomyReport:
    """Publish what may go live without a person, and write it to the branch with whatever waits for that."""
    alone = decide_alone(app.loop, app.topics)
    pipeline.try_branch(app.loop)
    return alone


def _collect_less_often() -> None:
    """Tell Python's garbage collector that millions of small records are no garbage: a fifth of reading's time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        cli()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
