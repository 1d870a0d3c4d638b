"""The numbers on how the assistant is doing: each is defined here once, for the hub, reports and whoever else asks.

A number is what the conversations of a time add up to (`metrics_days`): a share of them, a time that most of them take,
or how many there were. `link` says which conversations are behind it, as query parameters of the hub's list (and fields
of `browsing.Filter`): the list holds exactly as many as `top` counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum

from learning.events import BEST_CSAT
from learning.metrics_days import AGAIN_DAYS, Figures, Spread
from learning.metrics_statistics import Estimate, daily_mean, difference, quantile, share_of
from learning.model import HIGH_CSAT, Outcome

Link = tuple[tuple[str, str], ...]

ENDED = (Outcome.RESOLVED.value, Outcome.ESCALATED.value, Outcome.ABANDONED.value)
MARKS = tuple(f"csat:{mark}" for mark in range(1, BEST_CSAT + 1))
GOOD_MARKS = tuple(f"csat:{mark}" for mark in range(HIGH_CSAT, BEST_CSAT + 1))


class Unit(str, Enum):
    """What a value is told in."""

    COUNT = "count"
    SHARE = "share"
    SECONDS = "seconds"


class Better(str, Enum):
    """Which way is good."""

    MORE = "more"
    LESS = "less"
    NEITHER = "neither"


@dataclass(frozen=True)
class Metric:
    """One number: the share of `of` that `top` is, a quantile of a spread, or the count of `top`.

    `top` and `of` are names of counts. `top_words` and `of_words` name them for people. `settles` are days that must
    have passed before a conversation can be judged.
    """

    key: str
    name: str
    definition: str
    unit: Unit
    better: Better
    top: tuple[str, ...]
    top_words: str
    link: Link | None
    of: tuple[str, ...] = ()
    of_words: str = ""
    of_link: Link | None = None
    spread: str = ""
    share: float = 0.0
    settles: int = 0


def _outcomes(*names: str) -> Link:
    return tuple(("outcome", name) for name in names)


METRICS: tuple[Metric, ...] = (
    Metric(
        "conversations",
        "Conversations",
        "Conversations whose last message was on these days (UTC). A conversation ends after"
        " `conversations.idle_minutes` of silence.",
        Unit.COUNT,
        Better.NEITHER,
        ("conversations",),
        "conversations",
        (),
    ),
    Metric(
        "resolution",
        "Resolution (containment)",
        "Share of the conversations that are over which ended without a person, and not right after something that did"
        " not help. The bot's own account: nobody asked the customer.",
        Unit.SHARE,
        Better.MORE,
        (Outcome.RESOLVED.value,),
        "resolved",
        _outcomes(Outcome.RESOLVED.value),
        ENDED,
        "that are over",
        _outcomes(*ENDED),
    ),
    Metric(
        "escalation",
        "Escalation",
        "Share of the conversations that are over in which a person was asked for, an offered one was accepted, or a"
        " hand-over ran.",
        Unit.SHARE,
        Better.LESS,
        (Outcome.ESCALATED.value,),
        "escalated",
        _outcomes(Outcome.ESCALATED.value),
        ENDED,
        "that are over",
        _outcomes(*ENDED),
    ),
    Metric(
        "abandonment",
        "Abandonment",
        "Share of the conversations that are over which the customer left right after something that did not help.",
        Unit.SHARE,
        Better.LESS,
        (Outcome.ABANDONED.value,),
        "abandoned",
        _outcomes(Outcome.ABANDONED.value),
        ENDED,
        "that are over",
        _outcomes(*ENDED),
    ),
    Metric(
        "fallback",
        "Fallback",
        "Share of all conversations in which the bot did not understand at least one message, by its own account.",
        Unit.SHARE,
        Better.LESS,
        ("with_fallback",),
        "with a message that was not understood",
        (("signal", "fallback"),),
        ("conversations",),
        "conversations",
        (),
    ),
    Metric(
        "csat",
        "Satisfaction (CSAT)",
        "Share of the marks given at the end of a conversation that are 4 or 5, of 1 to 5. Few customers give one, and"
        " they are not a random sample.",
        Unit.SHARE,
        Better.MORE,
        GOOD_MARKS,
        "marks of 4 or 5",
        (("feedback", "csat_high"),),
        MARKS,
        "marks",
    ),
    Metric(
        "thumbs",
        "Thumbs up",
        "Share of the conversations with a thumb whose last one was up.",
        Unit.SHARE,
        Better.MORE,
        ("thumb_up",),
        "up",
        (("feedback", "up"),),
        ("thumb_up", "thumb_down"),
        "with a thumb",
        (("feedback", "up"), ("feedback", "down")),
    ),
    Metric(
        "resolution_time",
        "Resolution time (median)",
        "Half of the resolved conversations took at most so long, from the first to the last message.",
        Unit.SECONDS,
        Better.LESS,
        (Outcome.RESOLVED.value,),
        "resolved",
        _outcomes(Outcome.RESOLVED.value),
        spread="resolution",
        share=0.5,
    ),
    Metric(
        "resolution_time_p90",
        "Resolution time (90 %)",
        "Nine of ten resolved conversations took at most so long, from the first to the last message.",
        Unit.SECONDS,
        Better.LESS,
        (Outcome.RESOLVED.value,),
        "resolved",
        _outcomes(Outcome.RESOLVED.value),
        spread="resolution",
        share=0.9,
    ),
    Metric(
        "first_answer",
        "First human answer (median)",
        "Half of the escalated conversations that a person answered waited at most so long, from the hand-over to the"
        " person's first message. Those that nobody answered are not in it: see the count.",
        Unit.SECONDS,
        Better.LESS,
        ("agent_answered",),
        "answered by a person",
        (("agent", "answered"),),
        (Outcome.ESCALATED.value,),
        "escalated",
        _outcomes(Outcome.ESCALATED.value),
        spread="first_answer",
        share=0.5,
    ),
    Metric(
        "again",
        "Back within a week",
        f"Share of the conversations after which the same person began another one within {AGAIN_DAYS} days, about"
        " whatever. The last week is left out: it cannot be judged yet.",
        Unit.SHARE,
        Better.LESS,
        ("again",),
        "followed by another one",
        (("again", "week"),),
        ("conversations",),
        "conversations",
        (),
        settles=AGAIN_DAYS + 1,
    ),
    Metric(
        "service_failures",
        "Back-end failures",
        "Share of all conversations in which a back end (orders, accounts, tickets) did not answer.",
        Unit.SHARE,
        Better.LESS,
        ("service_failed",),
        "with a failure",
        (("signal", "backend_failure"),),
        ("conversations",),
        "conversations",
        (),
    ),
)
BY_KEY = {metric.key: metric for metric in METRICS}
# Outcomes that have reasons, each with the words for them.
REASONS = {
    Outcome.ESCALATED.value: {
        "asked": "asked for a person",
        "not_understood": "was not understood",
        "service_failed": "a back end failed",
        "dissatisfied": "rated an answer down",
        "frustrated": "was frustrated",
        "excluded_topic": "a topic that people answer",
        "low_confidence": "the bot guessed too often",
    },
    Outcome.ABANDONED.value: {
        "not_understood": "was not understood",
        "service_failed": "a back end failed",
        "rated_down": "rated the answer down",
        "unanswered_question": "left the bot's question open",
        "doubtful_answer": "the answer was doubtful",
    },
}


@dataclass(frozen=True)
class Value:
    """What a metric was in a time: `top` of `of`; `estimate` is None where there was nothing to measure.

    `since` and `until` are the days that were counted, None where none could be judged yet.
    """

    metric: Metric
    estimate: Estimate | None
    top: int
    of: int
    since: date | None
    until: date | None
    link: Link | None = None
    of_link: Link | None = None


class Verdict(str, Enum):
    """What two times say about each other."""

    BETTER = "better"
    WORSE = "worse"
    DIFFERENT = "different"  # where neither way is good
    UNCLEAR = "unclear"  # chance explains the difference
    UNKNOWN = "unknown"  # one of the two has too little


@dataclass(frozen=True)
class Change:
    """The difference of a metric between two times: in points of a share, seconds, or conversations a day."""

    estimate: Estimate | None
    verdict: Verdict


def measure(
    metric: Metric, days: Sequence[tuple[date, Figures]], today: date, channel: str | None = None
) -> tuple[Value, Estimate | None]:
    """Return what a metric was on these days, and what two times are compared by.

    Args:
        metric: what to measure.
        days: every day of the time, in order.
        today: no conversation is judged before it settles.
        channel: the only channel that `days` tell of, for the link.

    """
    settled = [item for item in days if item[0] <= today - timedelta(days=metric.settles)]
    # Only what this metric needs is added up: a page measures a dozen of them on every day.
    top = sum(figures.counts.get(name, 0) for _, figures in settled for name in metric.top)
    of = sum(figures.counts.get(name, 0) for _, figures in settled for name in metric.of)
    since, until = (settled[0][0], settled[-1][0]) if settled else (None, None)
    daily = None
    if metric.spread:
        spread: Spread = Counter()
        for _, figures in settled:
            spread.update(figures.spreads.get(metric.spread, {}))
        estimate = daily = quantile(spread, metric.share)
    elif metric.unit is Unit.COUNT:
        estimate = Estimate(top, top, top)
        daily = daily_mean([figures.counts.get(metric.top[0], 0) for day, figures in settled if day < today])
    else:
        estimate = daily = share_of(top, of)
    within = _within(since, until, channel)
    value = Value(
        metric,
        estimate,
        top,
        of,
        since,
        until,
        None if metric.link is None or within is None else (*metric.link, *within),
        None if metric.of_link is None or within is None else (*metric.of_link, *within),
    )
    return value, daily


def compare(metric: Metric, now: Estimate | None, before: Estimate | None) -> Change:
    """Return how a metric has changed; a difference that chance explains is said to be unclear."""
    if now is None or before is None:
        return Change(None, Verdict.UNKNOWN)
    gap = difference(now, before)
    if gap.low <= 0 <= gap.high:
        return Change(gap, Verdict.UNCLEAR)
    if metric.better is Better.NEITHER:
        return Change(gap, Verdict.DIFFERENT)
    return Change(gap, Verdict.BETTER if (gap.value > 0) == (metric.better is Better.MORE) else Verdict.WORSE)


@dataclass(frozen=True)
class Reason:
    """How many conversations ended so for one reason, as a share of all that are over."""

    outcome: str
    reason: str
    words: str
    count: int
    estimate: Estimate | None
    link: Link


def reasons(total: Figures, outcome: str, since: date, until: date, channel: str | None = None) -> list[Reason]:
    """Return the reasons of an outcome, the most frequent first."""
    ended = sum(total.counts[name] for name in ENDED)
    found = []
    for name, count in total.counts.items():
        kind, _, reason = name.partition(":")
        if kind == outcome and reason:
            link = (("outcome", outcome), ("reason", reason), *(_within(since, until, channel) or ()))
            words = REASONS[outcome].get(reason, reason)
            found.append(Reason(outcome, reason, words, count, share_of(count, ended), link))
    return sorted(found, key=lambda one: (-one.count, one.reason))


def _within(since: date | None, until: date | None, channel: str | None) -> Link | None:
    if since is None or until is None:
        return None
    days = (("since", since.isoformat()), ("until", until.isoformat()))
    return (*days, ("channel", channel)) if channel else days
