"""The command line of what goes live alone: `python -m learning autonomy --help`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional

import typer
from rich.markup import escape
from rich.table import Table

from learning import console
from learning.autonomy import AutonomyReport, Swept, autonomy_status, decide_alone, sweep
from learning.pipeline import try_branch
from learning.review_options import app_of, print_branch

autonomy_cli = typer.Typer(
    pretty_exceptions_enable=False, help="What goes live without a person, and taking it back.", no_args_is_help=True
)
AS_JSON = typer.Option(False, "--json", help="Print JSON for programs.")


@autonomy_cli.command()
def status(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Say what would go live alone now, and why everything else would not; nothing is changed."""
    report = autonomy_status(app_of(ctx).loop)
    if json:
        console.print_json(report)
    else:
        _print_report(report, "would go live alone")


@autonomy_cli.command()
def run(ctx: typer.Context, json: bool = AS_JSON) -> None:
    """Publish now what may go live alone."""
    app = app_of(ctx)
    report = decide_alone(app.loop)
    commit, problem = try_branch(app.loop) if report.releases else (None, None)
    if json:
        console.print_json({"report": report, "commit": commit, "problem": problem})
        return
    _print_report(report, "went live alone")
    if report.releases:
        print_branch(app.settings.review.branch, commit, problem)


@autonomy_cli.command("sweep")
def sweep_command(
    ctx: typer.Context,
    since: Optional[datetime] = typer.Option(
        None, formats=["%Y-%m-%d"], help="Only what went live on this day (UTC) or later.  [default: everything]"
    ),
    reason: str = typer.Option("", help="Why; it goes into the audit log."),
    who: Optional[str] = typer.Option(None, "--who", help="Your name in the records.  [default: the user's name]"),
    json: bool = AS_JSON,
) -> None:
    """Take back all that went live alone; its proposals wait for a person."""
    app = app_of(ctx)
    swept = sweep(app.loop, who or console.user(), since.replace(tzinfo=timezone.utc) if since else None, reason)
    commit, problem = try_branch(app.loop) if swept else (None, None)
    if json:
        console.print_json({"swept": swept, "commit": commit, "problem": problem})
    else:
        _print_swept(swept)
        if swept:
            print_branch(app.settings.review.branch, commit, problem)
    if any(one.problem for one in swept):
        raise typer.Exit(1)


def _print_report(report: AutonomyReport, what: str) -> None:
    least = "nothing goes live alone" if report.least_score is None else f"scores over {report.least_score}"
    console.out.print(
        f"level {report.level}: {least}; today {report.today} of {report.daily_limit} automatic releases;"
        f" people have made {report.decisions} decisions ({report.needed_decisions} are needed)"
    )
    alone = [one for one in report.verdicts if one.goes_live]
    console.out.print(f"{len(alone)} of {len(report.verdicts)} waiting proposals {what}")
    if not report.verdicts:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "score", "what", "why not"):
        table.add_column(heading, justify="right" if heading == "score" else "left", no_wrap=heading == "id")
    for one in report.verdicts:
        why = "; ".join(one.obstacles) or what
        table.add_row(one.proposal_id[:8], str(one.score), escape(one.label), escape(why))
    console.out.print(table)


def _print_swept(swept: list[Swept]) -> None:
    if not swept:
        console.out.print("Nothing that went live alone is live.")
    for one in swept:
        if one.problem:
            console.out.print(
                f"[red]{one.proposal_id[:8]} {escape(one.label)} is still live: {escape(one.problem)}[/red]"
            )
            continue
        now = "it waits for a person" if one.waits else "its gap is open for the next proposal"
        console.out.print(
            f"{one.proposal_id[:8]} {escape(one.label)} of {one.at:%Y-%m-%d %H:%M} UTC is taken back; {now}."
        )
        if one.also:
            console.out.print(f"         with it, since they answer nothing without it: {escape(', '.join(one.also))}")
        if one.was_trained:
            console.out.print(
                "         The running model still knows it: `python -m learning retrain` makes one without."
            )
