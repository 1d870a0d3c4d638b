"""The command line of the numbers: `python -m learning metrics --help`."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone
from typing import Optional

import typer
from rich.table import Table

from learning import console
from learning.errors import ReviewError
from learning.metrics_files import to_plain, write_report
from learning.metrics_report import MOST_DAYS, MetricsReport, Period, read_report
from learning.metrics_words import change_words, interval_words, seconds_words, value_words
from learning.review_options import AS_JSON, app_of

DAYS = 28  # four of each weekday
SINCE = typer.Option(None, formats=["%Y-%m-%d"], show_default=False, help="First day (UTC); without it 28 days.")
UNTIL = typer.Option(None, formats=["%Y-%m-%d"], show_default=False, help="Last day (UTC); without it today.")
COMPARE = typer.Option("before", help="before (as many days before), none, or the first day of a time as long.")
CHANNEL = typer.Option(None, show_default=False, help="Only conversations that came through this channel.")


def metrics_command(
    ctx: typer.Context,
    since: Optional[datetime] = SINCE,
    until: Optional[datetime] = UNTIL,
    compare: str = COMPARE,
    channel: Optional[str] = CHANNEL,
    csv: bool = typer.Option(False, "--csv", help="Print CSV, a row for each number."),
    json: bool = AS_JSON,
) -> None:
    """Show how the assistant is doing: each number with its interval, beside those of another time."""
    loop = app_of(ctx).loop
    last = until.date() if until else loop.now().astimezone(timezone.utc).date()
    period = Period(since.date() if since else last - timedelta(days=DAYS - 1), last)
    if not 0 < period.days <= MOST_DAYS:
        raise typer.BadParameter(f"is not before --until, or more than {MOST_DAYS} days", param_hint="--since")
    report = read_report(loop, period, _before(period, compare), channel, most=None)
    if channel is not None and channel not in report.channels:
        there = ", ".join(report.channels) or "none yet"
        raise ReviewError("has no conversation", f"channel {channel}", f"use one of: {there}")
    if json:
        console.print_json(to_plain(report))
    elif csv:
        write_report(report, sys.stdout)
    else:
        _print(report)


def _before(period: Period, compare: str) -> Optional[Period]:
    if compare == "none":
        return None
    if compare == "before":
        return period.before
    try:
        first = date.fromisoformat(compare)
        return Period(first, first + timedelta(days=period.days - 1))
    except (ValueError, OverflowError):
        raise typer.BadParameter("is not before, none, or a day such as 2024-03-01", param_hint="--compare") from None


def _print(report: MetricsReport) -> None:
    period, before = report.period, report.before
    compared = f", compared with {before.since} to {before.until}" if before else ""
    console.out.print(f"{period.since} to {period.until} (UTC){compared}")
    table = Table(box=None, pad_edge=False)
    for heading in ("what", "value", "95 % interval", "of", "change"):
        table.add_column(heading, justify="right" if heading == "value" else "left", no_wrap=heading == "value")
    for line in report.lines:
        value = line.value
        of = f"{value.top:,} of {value.of:,}" if line.metric.of else f"{value.top:,}"
        change = change_words(line.metric, line.change) if line.change else ""
        table.add_row(line.metric.name, value_words(value), interval_words(value), of, change)
    console.out.print(table)
    accuracy = report.accuracy
    if accuracy.estimate is None or not accuracy.is_enough:
        console.out.print(f"Intent accuracy: {accuracy.checked} messages were checked; {accuracy.least} are needed.")
    else:
        share = accuracy.estimate
        console.out.print(
            f"Intent accuracy: {100 * share.value:.1f} % ({100 * share.low:.1f} to {100 * share.high:.1f} %)"
            f" of {accuracy.checked} checked messages"
        )
    states = ", ".join(f"{count} {state}" for state, count in sorted(report.work.states.items())) or "none"
    waited = report.work.waited
    told = f"; decided after {seconds_words(waited.value)} (median of {report.work.decided})" if waited else ""
    console.out.print(f"Proposals: {states}{told}")
    saved = report.saving
    if saved.net is not None:
        console.out.print(
            f"Saved: {saved.net.value:,.0f} {saved.currency} ({saved.resolved:,} resolved conversations"
            f" x {saved.ticket_share:g} x {saved.ticket_cost:g} - {saved.running:,.0f} running cost)"
        )
    if report.waiting:
        console.out.print(f"{report.waiting} days have changed and are not counted yet; mining counts them.")
