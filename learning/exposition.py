"""Everything that a monitor may know, in Prometheus' text format: the numbers of `metrics`, and where the loop stands.

A number of `metrics` is a gauge over the last full day, seven and twenty-eight full days (UTC), for all channels
together and for each: other names, since a sum over a label must make sense. Counters are totals that never fall, not
even when a person is forgotten. Names of channels and operations come from outside: only those that look like names,
and are used enough, become labels. No text of a customer does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta, timezone

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from learning.exposition_state import NAME, PREFIX, shown_channels, state, totals
from learning.jobs import SILENT
from learning.loop import Loop
from learning.metrics import METRICS, Metric, Unit, measure
from learning.metrics_accuracy import read_accuracy
from learning.metrics_days import Figures
from learning.metrics_report import add
from learning.metrics_services import read_services
from learning.value import saving

CHANNEL_PREFIX = f"{PREFIX}channel_"
WINDOWS = {"1d": 1, "7d": 7, "28d": 28}  # full days
LONGEST = max(WINDOWS.values())
SUFFIXES = {Unit.COUNT: "", Unit.SHARE: "_ratio", Unit.SECONDS: "_seconds"}
OVER = "Over the last full day (1d), and the last 7 and 28 full days (UTC)"
MS = 1_000.0  # in a second

Days = list[tuple[date, Figures]]


def render(loop: Loop) -> bytes:
    """Return all numbers as Prometheus reads them (text format 0.0.4); figures stand as they were counted last."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(list(families(loop))))
    return generate_latest(registry)


def families(loop: Loop) -> Iterator[Family]:
    """Yield every family of numbers with its samples."""
    numbers = loop.store.loop_numbers(loop.now() - SILENT)
    channels = shown_channels(numbers.totals)
    days = _read_days(loop, channels)
    yield from _measured(loop, days, channels)
    yield from _services(days[None])
    yield from _value(loop, days[None])
    yield from totals(numbers, channels)
    yield from state(numbers)
    yield from _watched(loop)


def name_of(metric: Metric) -> str:
    """Return the name of a number of `metrics`, for all channels together."""
    return f"{PREFIX}{metric.key}{SUFFIXES[metric.unit]}"


class _Collected(Collector):
    """What was collected already."""

    def __init__(self, found: Sequence[Family]) -> None:
        self._found = found

    def collect(self) -> Iterable[Family]:
        return self._found


# --- the numbers of `metrics` -------------------------------------------------------------------------


def _read_days(loop: Loop, channels: Sequence[str]) -> dict[str | None, Days]:
    """Return the full days of the longest window for all channels together (None), and for each of `channels`.

    Days before the first conversation are left out: nobody knows what was then.
    """
    today = _today(loop)
    first, last = today - timedelta(days=LONGEST), today - timedelta(days=1)
    begun = loop.store.metric_extent()[0] or today
    span = [first + timedelta(days=number) for number in range(LONGEST) if first + timedelta(days=number) >= begun]
    found: dict[str | None, dict[date, Figures]] = {one: {day: Figures() for day in span} for one in (None, *channels)}
    for day, channel, figures in loop.store.metric_days(first, last):
        found[None][day].add(figures)
        if channel in found:
            found[channel][day].add(figures)
    return {channel: list(own.items()) for channel, own in found.items()}


def _measured(loop: Loop, days: Mapping[str | None, Days], channels: Sequence[str]) -> Iterator[Family]:
    today = _today(loop)
    for metric in METRICS:
        told = f"{metric.definition} {OVER}"
        every = GaugeMetricFamily(name_of(metric), f"{told}.", labels=["window"])
        split = GaugeMetricFamily(
            name_of(metric).replace(PREFIX, CHANNEL_PREFIX, 1), f"{told}, by channel.", labels=["channel", "window"]
        )
        for window, length in WINDOWS.items():
            for channel in (None, *channels):
                value, _ = measure(metric, _window(days[channel], today, length), today, channel)
                if value.estimate is None:
                    continue  # nothing was measured: no number is better than a wrong one
                if channel is None:
                    every.add_metric([window], value.estimate.value)
                else:
                    split.add_metric([channel, window], value.estimate.value)
        yield every
        yield split


def _services(days: Days) -> Iterator[Family]:
    share = GaugeMetricFamily(
        f"{PREFIX}backend_unavailable_ratio",
        f"Share of the calls to a back end that got no answer. {OVER}.",
        labels=["operation", "window"],
    )
    median = GaugeMetricFamily(
        f"{PREFIX}backend_median_seconds",
        f"Half of the calls to a back end took at most so long, retries included. {OVER}.",
        labels=["operation", "window"],
    )
    p95 = GaugeMetricFamily(
        f"{PREFIX}backend_p95_seconds",
        f"95 % of the calls to a back end took at most so long, retries included. {OVER}.",
        labels=["operation", "window"],
    )
    today = days[-1][0] + timedelta(days=1) if days else date.min
    for window, length in WINDOWS.items():
        for service in read_services(add(_window(days, today, length))):
            labels = [service.name, window]
            if not NAME.fullmatch(service.name):
                continue
            for family, estimate, scale in (
                (share, service.unavailable, 1.0),
                (median, service.median, MS),
                (p95, service.p95, MS),
            ):
                if estimate is not None:
                    family.add_metric(labels, estimate.value / scale)
    yield from (share, median, p95)


def _value(loop: Loop, days: Days) -> Iterator[Family]:
    today, settings = _today(loop), loop.settings.metrics
    saved = GaugeMetricFamily(
        f"{PREFIX}saved",
        "What the assistant has saved less what it cost, in the currency of the label: resolved conversations x"
        f" metrics.ticket_share x metrics.ticket_cost - metrics.running_cost. {OVER}.",
        labels=["window", "currency"],
    )
    for window, length in WINDOWS.items():
        own = _window(days, today, length)
        found = saving(add(own), len(own), settings)
        if found.net is not None:
            saved.add_metric([window, settings.currency], found.net.value)
    yield saved
    accuracy = read_accuracy(loop, today - timedelta(days=LONGEST), today - timedelta(days=1))
    checked = GaugeMetricFamily(
        f"{PREFIX}intent_accuracy_ratio",
        "Share of the messages that people have checked which were understood, over 28 full days (UTC); missing with"
        " fewer than metrics.min_checked.",
    )
    if accuracy.estimate is not None and accuracy.is_enough:
        checked.add_metric([], accuracy.estimate.value)
    holdout = GaugeMetricFamily(
        f"{PREFIX}holdout_accuracy_ratio",
        "Share of the held-out messages that the running model understood when it passed the gate.",
    )
    if accuracy.baseline is not None:
        holdout.add_metric([], accuracy.baseline.value)
    yield from (checked, holdout)


def _watched(loop: Loop) -> Iterator[Family]:
    """Yield what is wrong, and how the running model did when it was measured last."""
    opened = Counter((alert.kind.value, alert.severity.value) for alert in loop.store.alerts() if alert.is_open)
    alerts = GaugeMetricFamily(f"{PREFIX}alerts_open", "Open alerts.", labels=["kind", "severity"])
    for labels, count in sorted(opened.items()):
        alerts.add_metric(list(labels), count)
    yield alerts
    passed = GaugeMetricFamily(
        f"{PREFIX}evaluation_ratio",
        "Share of the cases of a suite that the running model passed when it was measured last.",
        labels=["suite"],
    )
    at = GaugeMetricFamily(
        f"{PREFIX}evaluation_timestamp_seconds", "When the running model was measured last, in Unix time."
    )
    for row in loop.store.evaluations(1):
        at.add_metric([], row.at.timestamp())
        for one in row.suites:
            if one.share is not None:
                passed.add_metric([one.suite], one.share)
    yield from (passed, at)


def _window(days: Days, today: date, length: int) -> Days:
    return [item for item in days if item[0] >= today - timedelta(days=length)]


def _today(loop: Loop) -> date:
    return loop.now().astimezone(timezone.utc).date()
