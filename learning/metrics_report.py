"""All numbers of a time, beside those of another: what the metrics pages, the report and the command line show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta, timezone

from learning.loop import Loop
from learning.metrics import BY_KEY, METRICS, REASONS, Change, Metric, Reason, Value, compare, measure, reasons
from learning.metrics_accuracy import Accuracy, read_accuracy
from learning.metrics_days import Figures
from learning.metrics_services import ServiceHealth, read_services
from learning.metrics_work import Work, read_work
from learning.value import Saving, saving

MOST_DAYS = 3_660  # ten years; a longer time is a typing mistake
DAYS_ON_VIEW = 14  # that may be counted anew while somebody waits; mining counts the others
MOST_STEPS = 93  # points of a series; a longer time is told by the week
WEEK = 7


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both included (UTC)."""

    since: date
    until: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.since).days + 1

    @property
    def before(self) -> Period:
        """The same number of days before it."""
        return Period(self.since - timedelta(days=self.days), self.since - timedelta(days=1))


@dataclass(frozen=True)
class Line:
    """A metric with its value, the value of the time that it is compared with, and what that says."""

    metric: Metric
    value: Value
    before: Value | None
    change: Change | None


@dataclass(frozen=True)
class Step:
    """One point of a series: a day, or a week that begins on `since`."""

    since: date
    until: date
    value: Value


@dataclass(frozen=True)
class MetricsReport:
    """All numbers of a time; `waiting` days have changed and are not counted anew yet.

    `channels` are those there are, `first` and `last` the days between which there is anything.
    """

    period: Period
    before: Period | None
    channel: str | None
    channels: tuple[str, ...]
    first: date | None
    last: date | None
    waiting: int
    lines: tuple[Line, ...]
    reasons: tuple[Reason, ...]
    reasons_before: tuple[Reason, ...]
    services: tuple[ServiceHealth, ...]  # empty unless asked for
    saving: Saving
    saving_before: Saving | None
    accuracy: Accuracy
    accuracy_before: Accuracy | None
    work: Work
    days: tuple[tuple[date, Figures], ...]

    def line(self, key: str) -> Line:
        """Return the line of one metric."""
        return next(line for line in self.lines if line.metric.key == key)

    def series(self, key: str, today: date) -> list[Step]:
        """Return one metric over the time: by the day, or by the week where there are many days."""
        length = 1 if len(self.days) <= MOST_STEPS else WEEK
        found = []
        for start in range(0, len(self.days), length):
            part = self.days[start : start + length]
            value, _ = measure(BY_KEY[key], part, today, self.channel)
            found.append(Step(part[0][0], part[-1][0], value))
        return found


def read_report(
    loop: Loop,
    period: Period,
    before: Period | None = None,
    channel: str | None = None,
    most: int | None = DAYS_ON_VIEW,
    with_services: bool = True,
) -> MetricsReport:
    """Return all numbers of a time.

    Args:
        loop: the loop.
        period: the time.
        before: the time that it is compared with.
        channel: only conversations that came through this one; what people checked and decided has none.
        most: days that have changed and are counted anew first, at most; None for all.
        with_services: whether to tell how back ends did, which takes as long as everything else.

    """
    store, today = loop.store, loop.now().astimezone(timezone.utc).date()
    waiting = store.count_days(most)
    first, last, channels = store.metric_extent()
    days = _days(loop, period, channel, with_services)
    total = add(days)
    # What was before anybody talked is unknown, and no day without conversations.
    begun = first or period.until
    days_before = _days(loop, before, channel) if before else None
    total_before = add(days_before) if days_before is not None else None
    settings = loop.settings.metrics
    return MetricsReport(
        period=period,
        before=before,
        channel=channel,
        channels=channels,
        first=first,
        last=last,
        waiting=waiting,
        lines=tuple(_line(metric, _from(days, begun), _from(days_before, begun), today, channel) for metric in METRICS),
        reasons=_reasons(total, period, channel),
        reasons_before=_reasons(total_before, before, channel) if total_before and before else (),
        services=tuple(read_services(total)) if with_services else (),
        saving=saving(total, _days_known(period, begun, today), settings),
        saving_before=saving(total_before, _days_known(before, begun, today), settings)
        if total_before and before
        else None,
        accuracy=read_accuracy(loop, period.since, period.until),
        accuracy_before=read_accuracy(loop, before.since, before.until) if before else None,
        work=read_work(loop, period.since, period.until),
        days=tuple(days),
    )


def add(days: Sequence[tuple[date, Figures]]) -> Figures:
    """Return the sum of days."""
    total = Figures()
    for _, figures in days:
        total.add(figures)
    return total


def _days_known(period: Period, begun: date, today: date) -> int:
    """Return how many days of a time have come, of those since the first conversation."""
    return max(0, (min(period.until, today) - max(period.since, begun)).days + 1)


def _days(loop: Loop, period: Period, channel: str | None, with_calls: bool = False) -> list[tuple[date, Figures]]:
    """Return every day of a time, those without a conversation too."""
    found = {period.since + timedelta(days=number): Figures() for number in range(period.days)}
    for day, _, figures in loop.store.metric_days(period.since, period.until, channel):
        found[day].add(figures, with_calls)
    return list(found.items())


def _from(days: Sequence[tuple[date, Figures]] | None, begun: date) -> list[tuple[date, Figures]] | None:
    return None if days is None else [item for item in days if item[0] >= begun]


def _line(
    metric: Metric,
    days: Sequence[tuple[date, Figures]] | None,
    days_before: Sequence[tuple[date, Figures]] | None,
    today: date,
    channel: str | None,
) -> Line:
    value, estimate = measure(metric, days or (), today, channel)
    if days_before is None:
        return Line(metric, value, None, None)
    before, estimate_before = measure(metric, days_before, today, channel)
    return Line(metric, value, before, compare(metric, estimate, estimate_before))


def _reasons(total: Figures, period: Period, channel: str | None) -> tuple[Reason, ...]:
    return tuple(
        reason for outcome in REASONS for reason in reasons(total, outcome, period.since, period.until, channel)
    )
