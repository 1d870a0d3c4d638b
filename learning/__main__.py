"""The command line: `python -m learning --help`."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path

import typer

from learning import console, pipeline
from learning.attach_cli import attach_command
from learning.audit_cli import audit_cli
from learning.autonomy_cli import autonomy_cli
from learning.bootstrap import build
from learning.browsing_cli import conversations_cli
from learning.calibration_cli import calibration_command
from learning.ci_cli import gate_command
from learning.errors import EvergreenError
from learning.evaluate_cli import evaluate_cli
from learning.experiments_cli import experiments_cli
from learning.forget_cli import forget_command
from learning.gaps_cli import gaps_cli
from learning.jobs_cli import end_on_terminate, jobs_cli
from learning.labelling_cli import labels_cli
from learning.metrics_cli import metrics_command
from learning.model import JobKind
from learning.models_cli import models_cli
from learning.nlu_cli import nlu_cli
from learning.notices_cli import alerts_cli, digest_command, notify_cli
from learning.pulls_cli import pulls_cli
from learning.releases_cli import releases_cli, restore, rollback, withdraw
from learning.retrain import RetrainReport
from learning.review_cli import review_cli
from learning.review_options import AS_JSON, app_of
from learning.rollout_cli import rollout_cli
from learning.running_model import reconcile
from learning.sandbox_cli import replay_command, sandbox_command
from learning.schedule_cli import collect_less_often, schedule_cli
from learning.status import read_status
from learning.tasks import publish_alone, tasks_of
from learning.working import do_now

cli = typer.Typer(
    pretty_exceptions_enable=False,
    help="Evergreen learns from the conversations of a Rasa assistant.",
    no_args_is_help=True,
    add_completion=False,
)
cli.add_typer(review_cli, name="review")
cli.add_typer(audit_cli, name="audit")
cli.add_typer(gaps_cli, name="gaps")
cli.add_typer(conversations_cli, name="conversations")
cli.add_typer(nlu_cli, name="nlu")
cli.add_typer(autonomy_cli, name="autonomy")
cli.add_typer(rollout_cli, name="rollout")
cli.add_typer(experiments_cli, name="experiments")
cli.add_typer(labels_cli, name="labels")
cli.add_typer(pulls_cli, name="pulls")
cli.command("calibration")(calibration_command)
cli.command("replay")(replay_command)
cli.command("sandbox")(sandbox_command)
cli.command("forget")(forget_command)
cli.command("attach")(attach_command)
cli.command("gate")(gate_command)
cli.command("metrics")(metrics_command)
cli.command("digest")(digest_command)
cli.add_typer(alerts_cli, name="alerts")
cli.add_typer(notify_cli, name="notify")
cli.add_typer(releases_cli, name="releases")
cli.add_typer(models_cli, name="models")
cli.add_typer(evaluate_cli, name="evaluate")
cli.add_typer(jobs_cli, name="jobs")
cli.add_typer(schedule_cli, name="schedule")
cli.command("withdraw")(withdraw)
cli.command("restore")(restore)
cli.command("rollback")(rollback)


@cli.callback()
def main(ctx: typer.Context, project: Path = typer.Option(Path("."), help="Folder of the Rasa project.")) -> None:
    """Read the settings of the project."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    ctx.obj = build(project)


@cli.command()
def mine(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Find what failed in new conversations, group it, and write proposals; publish what autonomy allows."""
    collect_less_often()
    app = app_of(ctx)
    with console.steps(quiet=json) as say:
        report = pipeline.mine(app.loop, lambda batch: say(f"read up to event {batch.last_id}"))
        alone = publish_alone(app, app.loop)
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
    reconcile(app.loop, app.server)
    releases = pipeline.publish_waiting(app.loop)
    commit = pipeline.write_branch(app.loop)
    if json:
        console.print_json({"releases": releases, "commit": commit})
    else:
        console.out.print(f"{len(releases)} releases made; branch {commit[:10] if commit else 'was up to date'}")


@cli.command()
def retrain(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Train with what was published, compare by the rules of the gate, swap the model, absorb the overlay."""
    app = app_of(ctx)
    reports: list[object] = []
    end_on_terminate()
    task = tasks_of(app, reports.append)[JobKind.RETRAIN]
    with console.steps(quiet=json) as say:
        do_now(app.loop, JobKind.RETRAIN, console.user(), task, lambda step, words: say(words))
    (report,) = reports
    assert isinstance(report, RetrainReport)
    if json:
        console.print_json(report)
    else:
        console.show_retrain(report)
    if report.model is None:
        raise typer.Exit(3)


@cli.command()
def status(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Say where things stand."""
    found = read_status(app_of(ctx).loop)
    if json:
        console.print_json(found)
    else:
        console.show_status(found)


def run() -> None:
    """Run the command line; a known problem is one line on standard error and exit code 1."""
    try:
        cli()
    except EvergreenError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    run()
