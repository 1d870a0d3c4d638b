"""What the charts of the metrics pages draw: data for charts.js, and the same as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from hub.texts import metrics as texts
from learning.metrics import BY_KEY, Unit
from learning.metrics_accuracy import Accuracy
from learning.metrics_report import MetricsReport, Step
from learning.metrics_services import ServiceHealth
from learning.metrics_statistics import share_of
from learning.metrics_words import NOTHING, ms_words, number_words
from learning.model import Outcome

SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 120.0, 28.0, 3.0
FEW = 5  # points with fewer cases than this are left out of a curve: they would jump from 0 to 100 %


@dataclass(frozen=True)
class Chart:
    """A chart: its title, what charts.js draws, and a table of the same, whose rows begin with their header."""

    title: str
    data: dict[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def outcome_chart(report: MetricsReport, today: date) -> Chart:
    """Return how many conversations ended how, day by day."""
    names = (
        (Outcome.RESOLVED.value, texts.RESOLVED, "good"),
        (Outcome.ESCALATED.value, texts.ESCALATED, "other"),
        (Outcome.ABANDONED.value, texts.ABANDONED, "bad"),
    )
    steps = report.series("conversations", today)
    sums = [[0] * len(steps) for _ in names]
    place = 0
    for day, figures in report.days:
        while day > steps[place].until:
            place += 1
        for row, (name, _, _) in zip(sums, names, strict=True):
            row[place] += figures.counts[name]
    series = [{"name": words, "values": row, "tone": tone} for row, (_, words, tone) in zip(sums, names, strict=True)]
    data = {**_frame("stack", "count", steps, texts.AXIS_COUNT), "series": series}
    rows = tuple(
        (_label(step), *(f"{row[number]:,}" for row in sums)) for number, step in enumerate(steps) if step.value.top
    )
    return Chart(texts.OUTCOMES_CHART, data, (texts.DAY, *(words for _, words, _ in names)), rows)


def metric_chart(report: MetricsReport, title: str, keys: Sequence[str], today: date, band: bool = False) -> Chart:
    """Return one or several metrics day by day; `band` draws the interval."""
    courses = [report.series(key, today) for key in keys]
    unit = BY_KEY[keys[0]].unit
    series = []
    for key, steps in zip(keys, courses, strict=True):
        told = [step.value.estimate if _is_enough(step) else None for step in steps]
        item: dict[str, Any] = {"name": BY_KEY[key].name, "values": [one and one.value for one in told]}
        if band:
            item.update(low=[one and one.low for one in told], high=[one and one.high for one in told])
        series.append(item)
    axis = texts.AXIS_SHARE if unit is Unit.SHARE else ""
    data = {**_frame("line", unit.value, courses[0], axis), "series": series}
    rows = tuple(
        (_label(steps[0]), *(_told(step) for step in steps))
        for steps in zip(*courses, strict=True)
        if any(step.value.top or step.value.of for step in steps)
    )
    return Chart(title, data, (texts.DAY, *(BY_KEY[key].name for key in keys)), rows)


def accuracy_chart(accuracy: Accuracy) -> Chart:
    """Return the accuracy of checked messages by day, beside the baseline."""
    shares = [share_of(right, checked) if checked >= FEW else None for _, right, checked in accuracy.days]
    data: dict[str, Any] = {
        "kind": "line",
        "unit": "share",
        "x": texts.DAY,
        "y": texts.AXIS_CHECKED,
        "labels": [f"{day.day} {day:%b}" for day, _, _ in accuracy.days],
        "series": [
            {
                "name": texts.ACCURACY_SERIES,
                "values": [one and one.value for one in shares],
                "low": [one and one.low for one in shares],
                "high": [one and one.high for one in shares],
            }
        ],
    }
    if accuracy.baseline is not None:
        data["reference"] = {"name": texts.BASELINE_SERIES, "value": accuracy.baseline.value}
    rows = tuple(
        (f"{day.day} {day:%b %Y}", f"{checked:,}", f"{right:,}", number_words(Unit.SHARE, right / checked))
        for day, right, checked in accuracy.days
        if checked
    )
    return Chart(texts.ACCURACY_CHART, data, (texts.DAY, texts.CHECKED, texts.UNDERSTOOD, texts.AXIS_SHARE), rows)


def service_charts(services: Sequence[ServiceHealth]) -> tuple[Chart, Chart]:
    """Return how long each operation takes, and how often it gets no answer."""
    times = [(one.name, one.p95) for one in services if one.p95 is not None]
    shares = [(one.name, one.unavailable) for one in services if one.unavailable is not None]

    def ranges(unit: str, axis: str, found: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        values = {part: [getattr(one, part) for _, one in found] for part in ("low", "high")}
        middle = [one.value for _, one in found]
        series = [{"name": axis, "values": middle, **values}]
        return {"kind": "ranges", "unit": unit, "x": "", "y": axis, "labels": [n for n, _ in found], "series": series}

    slow = tuple((name, ms_words(one.value), f"{ms_words(one.low)} to {ms_words(one.high)}") for name, one in times)
    down = tuple(
        (name, number_words(Unit.SHARE, one.value), f"{100 * one.low:.1f} to {100 * one.high:.1f} %")
        for name, one in shares
    )
    return (
        Chart(
            texts.LATENCY_CHART,
            ranges("ms", texts.AXIS_MS, times),
            (texts.OPERATION, texts.P95, texts.BETWEEN),
            slow,
        ),
        Chart(
            texts.UNAVAILABLE_CHART,
            ranges("share", texts.UNAVAILABLE_SHARE, shares),
            (texts.OPERATION, texts.UNAVAILABLE_SHARE, texts.BETWEEN),
            down,
        ),
    )


def sparkline(steps: Sequence[Step]) -> list[str]:
    """Return the lines of a small picture of a course, as points of SVG polylines; a gap parts them."""
    values = [step.value.estimate.value if step.value.estimate and _is_enough(step) else None for step in steps]
    known = [value for value in values if value is not None]
    if len(known) < FEW:
        return []
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    lines: list[list[str]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        x = SPARK_EDGE + number / (len(values) - 1) * (SPARK_WIDTH - 2 * SPARK_EDGE)
        level = (value - low) / span if high > low else 0.5
        y = SPARK_HEIGHT - SPARK_EDGE - level * (SPARK_HEIGHT - 2 * SPARK_EDGE)
        lines[-1].append(f"{x:.1f},{y:.1f}")
    # A single point is no line: it is drawn as a short one.
    return [" ".join(line if len(line) > 1 else line * 2) for line in lines if line]


def _frame(kind: str, unit: str, steps: Sequence[Step], axis: str) -> dict[str, Any]:
    is_daily = steps[0].since == steps[0].until
    return {
        "kind": kind,
        "unit": unit,
        "x": texts.AXIS_DAY if is_daily else texts.AXIS_WEEK,
        "y": axis,
        "labels": [f"{step.since.day} {step.since:%b}" for step in steps],
    }


def _is_enough(step: Step) -> bool:
    metric = step.value.metric
    return metric.unit is Unit.COUNT or (step.value.of if metric.unit is Unit.SHARE else step.value.top) >= FEW


def _label(step: Step) -> str:
    return f"{step.since.day} {step.since:%b %Y}"


def _told(step: Step) -> str:
    value = step.value
    if value.estimate is None:
        return NOTHING
    number = number_words(value.metric.unit, value.estimate.value)
    return f"{number} ({value.top:,} of {value.of:,})" if value.metric.unit is Unit.SHARE else number
