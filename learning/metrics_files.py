"""Numbers as files: a report and its days as CSV, and as plain data for programs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date
from math import isfinite
from typing import Any, TextIO

from learning.effects import Effect, Side
from learning.metrics import METRICS, Link, Unit, Value
from learning.metrics_report import Line, MetricsReport
from learning.metrics_statistics import Estimate

# What a spreadsheet would run as a formula (OWASP, CSV injection), and the sign that defuses it.
FORMULA_SIGNS, DEFUSED = ("=", "+", "-", "@", "\t", "\r"), "'"
COLUMNS = (
    *("section", "key", "name", "unit", "since", "until", "channel", "value", "low", "high", "top", "of"),
    *("before_since", "before_until", "before", "change", "change_low", "change_high", "verdict", "definition"),
)
DAY_COLUMNS = ("day", "metric", "value", "low", "high", "top", "of")


def write_report(report: MetricsReport, out: TextIO) -> None:
    """Write every number with its interval, its change and its definition, a row each."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in _rows(report):
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])


def write_days(report: MetricsReport, today: date, out: TextIO) -> None:
    """Write every number over the time: by the day, or by the week where there are many days."""
    writer = csv.writer(out)
    writer.writerow(DAY_COLUMNS)
    for metric in METRICS:
        for step in report.series(metric.key, today):
            value = step.value
            cells = (step.since, metric.key, *_numbers(value.estimate, metric.unit), value.top, value.of or None)
            writer.writerow([_cell(cell) for cell in cells])


def to_plain(report: MetricsReport) -> dict[str, Any]:
    """Return a report for programs."""
    accuracy, work, saved = report.accuracy, report.work, report.saving
    return {
        "since": report.period.since,
        "until": report.period.until,
        "channel": report.channel,
        "compared_with": None if report.before is None else [report.before.since, report.before.until],
        "days_not_counted_yet": report.waiting,
        "metrics": [_plain_line(line) for line in report.lines],
        "reasons": [
            {"outcome": one.outcome, "reason": one.reason, "count": one.count, "share": _plain(one.estimate)}
            for one in report.reasons
        ],
        "services": [
            {
                "operation": one.name,
                "calls": one.calls,
                "outcomes": one.counts,
                "unavailable": _plain(one.unavailable),
                "median_ms": _plain(one.median),
                "p95_ms": _plain(one.p95),
            }
            for one in report.services
        ],
        "intent_accuracy": {
            "checked": accuracy.checked,
            "right": accuracy.right,
            "accuracy": _plain(accuracy.estimate) if accuracy.is_enough else None,
            "model": accuracy.model,
            "baseline": _plain(accuracy.baseline),
        },
        "proposals": dict(work.states),
        "decided": work.decided,
        "seconds_to_decision": _plain(work.waited),
        "second_readings": work.agreement.readings,
        "kappa": work.agreement.kappa,
        "saved": {
            "net": _plain(saved.net),
            "resolved": saved.resolved,
            "tickets": saved.tickets,
            "ticket_cost": saved.ticket_cost,
            "ticket_share": saved.ticket_share,
            "running_cost": saved.running,
            "currency": saved.currency,
        },
    }


def effect_to_plain(effect: Effect) -> list[dict[str, Any]]:
    """Return what a release has changed for programs, an item for each need.

    `failing` are conversations that fail at the need; `ratio` compares their rate after the release with that before.
    """
    return [
        {
            "entry": need.entry_id,
            "label": need.label,
            "gap": need.gap_id,
            "verdict": need.verdict,
            "before": _plain_side(need.before),
            "after": _plain_side(need.after),
            "ratio": _plain(need.ratio),
            "resolved_gain": _plain(need.resolved),
            "rollout": None
            if need.on is None or need.off is None
            else {"with": asdict(need.on), "without": asdict(need.off), "bad_share_change": _plain(need.control)},
        }
        for need in effect.needs
    ]


def _plain_side(side: Side | None) -> dict[str, Any] | None:
    return None if side is None else asdict(side)


def _plain_line(line: Line) -> dict[str, Any]:
    value, change = line.value, line.change
    return {
        "key": line.metric.key,
        "name": line.metric.name,
        "definition": line.metric.definition,
        "unit": line.metric.unit,
        "value": _plain(value.estimate),
        "top": value.top,
        "of": value.of if line.metric.of else None,
        "conversations": _plain_link(value.link),
        "before": _plain(line.before.estimate) if line.before else None,
        "change": _plain(change.estimate) if change else None,
        "verdict": change.verdict if change else None,
    }


def _plain(estimate: Estimate | None) -> dict[str, float | None] | None:
    """Return an estimate; what has no bound (JSON has no infinity) is null."""
    if estimate is None:
        return None
    return {name: number if isfinite(number) else None for name, number in estimate._asdict().items()}


def _plain_link(link: Link | None) -> list[list[str]] | None:
    return None if link is None else [list(pair) for pair in link]


def _rows(report: MetricsReport) -> Iterator[dict[str, Any]]:
    frame: dict[str, Any] = {"channel": report.channel}
    if report.before is not None:
        frame.update(before_since=report.before.since, before_until=report.before.until)
    for line in report.lines:
        metric, change = line.metric, line.change
        row = {**frame, "section": "metric", "key": metric.key, "name": metric.name, "unit": metric.unit.value}
        row.update(_measured(line.value), definition=metric.definition)
        if line.before is not None and change is not None:
            row["before"] = _numbers(line.before.estimate, metric.unit)[0]
            changed = _numbers(change.estimate, Unit.SHARE)
            row.update(zip(("change", "change_low", "change_high"), changed, strict=True), verdict=change.verdict.value)
        yield row
    since, until = report.period.since, report.period.until
    for reason in report.reasons:
        row = {**frame, "section": "reason", "key": f"{reason.outcome}: {reason.reason}", "name": reason.words}
        row.update(_named(reason.estimate), unit="share", since=since, until=until, top=reason.count)
        yield row
    for service in report.services:
        row = {**frame, "section": "back end", "key": service.name, "name": "calls without an answer", "unit": "share"}
        row.update(_named(service.unavailable), since=since, until=until)
        yield {**row, "top": service.counts["unavailable"], "of": service.calls}
        row = {**frame, "section": "back end", "key": service.name, "name": "time of 95 % of the calls, at most"}
        yield {**row, **_named(service.p95), "unit": "milliseconds", "since": since, "until": until}


def _measured(value: Value) -> dict[str, Any]:
    numbers = dict(zip(("value", "low", "high"), _numbers(value.estimate, value.metric.unit), strict=True))
    return {**numbers, "since": value.since, "until": value.until, "top": value.top, "of": value.of or None}


def _named(estimate: Estimate | None) -> dict[str, Any]:
    return dict(zip(("value", "low", "high"), _numbers(estimate, Unit.SHARE), strict=True))


def _numbers(estimate: Estimate | None, unit: Unit) -> Sequence[float | int | None]:
    if estimate is None:
        return (None, None, None)
    if unit is Unit.COUNT:  # was counted: there is nothing uncertain about it
        return (int(estimate.value), None, None)
    return [round(number, 6) for number in estimate]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return DEFUSED + value if value.startswith(FORMULA_SIGNS) else value
    return str(value)
