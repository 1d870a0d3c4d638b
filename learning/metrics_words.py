"""Numbers as people read them."""

from __future__ import annotations

from learning.metrics import Change, Metric, Unit, Value, Verdict
from learning.metrics_statistics import Estimate

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
NOTHING = "no data"
POINTS, A_DAY = " points", " a day"
VERDICTS = {
    Verdict.BETTER: "better",
    Verdict.WORSE: "worse",
    Verdict.DIFFERENT: "different",
    Verdict.UNCLEAR: "no clear difference",
    Verdict.UNKNOWN: "cannot be compared",
}


def value_words(value: Value) -> str:
    """Return a value with its unit."""
    return NOTHING if value.estimate is None else number_words(value.metric.unit, value.estimate.value)


def interval_words(value: Value) -> str:
    """Return a value's 95 % interval; empty where it was counted, or there is none."""
    if value.estimate is None or value.metric.unit is Unit.COUNT:
        return ""
    return between_words(value.metric.unit, value.estimate)


def between_words(unit: Unit, estimate: Estimate) -> str:
    """Return an interval with its unit."""
    low, high = (number_words(unit, bound) for bound in (estimate.low, estimate.high))
    if unit is Unit.SHARE:
        low = low.removesuffix(" %")
    return f"{low} to {high}"


def number_words(unit: Unit, number: float) -> str:
    """Return a number with its unit."""
    if unit is Unit.SHARE:
        return f"{100 * number:.1f} %"
    return seconds_words(number) if unit is Unit.SECONDS else f"{number:,.0f}"


def change_words(metric: Metric, change: Change) -> str:
    """Return a change with its interval and what it says; a difference that chance explains has no number."""
    verdict = VERDICTS[change.verdict]
    if change.estimate is None or change.verdict in (Verdict.UNKNOWN, Verdict.UNCLEAR):
        return verdict
    return f"{verdict}: {_signed(metric.unit, change.estimate.value)} ({range_words(metric, change)})"


def range_words(metric: Metric, change: Change) -> str:
    """Return the interval that a change lies in, also where chance explains it; empty where nothing is known."""
    if change.estimate is None:
        return ""
    low, high = (_signed(metric.unit, number) for number in (change.estimate.low, change.estimate.high))
    for unit in (POINTS, A_DAY):
        low = low.removesuffix(unit)
    return f"{low} to {high}"


def seconds_words(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    size = abs(seconds)
    if size < MINUTE:
        return f"{seconds:.0f} s"
    if size < HOUR:
        return f"{seconds / MINUTE:.1f} min"
    return f"{seconds / HOUR:.1f} h" if size < 2 * DAY else f"{seconds / DAY:.1f} days"


def ms_words(ms: float) -> str:
    """Return a time in milliseconds, or in seconds where it is long."""
    return f"{ms:.0f} ms" if ms < 1_000 else f"{ms / 1_000:.1f} s"


def _signed(unit: Unit, number: float) -> str:
    sign = "+" if number >= 0 else "−"
    if unit is Unit.SHARE:
        return f"{sign}{abs(100 * number):.1f}{POINTS}"
    return f"{sign}{seconds_words(abs(number))}" if unit is Unit.SECONDS else f"{sign}{abs(number):,.1f}{A_DAY}"
