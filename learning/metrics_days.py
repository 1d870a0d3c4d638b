"""What the conversations of one day add up to: counts and spreads of times, by channel, so that any period is a sum.

A conversation counts on the day (UTC) of its last message. Counts are named: `escalated`, `escalated:asked` (with a
reason), `csat:4` (a mark), `signal:rephrase` (a failure kind in it), `call:shop.balance:ok` (what a back end
answered). Spreads are histograms (see `metrics_statistics.bucket_of`): `resolution` and `first_answer` in seconds,
`call:shop.balance` in milliseconds.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from learning.metrics_statistics import bucket_of
from learning.model import Outcome

# What it counts changes with it: then every day is counted again.
VERSION = "3"
AGAIN_DAYS = 7  # a customer who is back within so many days had not got what was needed
SIGNAL = "signal:"  # begins the names of failure kinds
CALL = "call:"  # begins the names of what back ends were asked
OTHER_OPERATION = "other"  # beyond the first of them, so that a faulty client cannot fill the page
MOST_OPERATIONS = 60

Spread = Counter[int]


class Talk(NamedTuple):
    """What is counted of a conversation."""

    conversation_id: str
    sender: str
    channel: str
    started: datetime
    last_at: datetime
    outcome: str
    reason: str
    turns: int
    fallbacks: int
    service_failures: int
    thumb: int
    csat: int | None
    escalated_at: datetime | None
    agent_at: datetime | None
    kinds: tuple[str, ...] = ()  # failure kinds in it


class Call(NamedTuple):
    """One question to a back end in a conversation."""

    conversation_id: str
    service: str
    operation: str
    outcome: str
    ms: float


@dataclass
class Figures:
    """Counts and spreads that can be added up."""

    counts: Counter[str] = field(default_factory=Counter)
    spreads: dict[str, Spread] = field(default_factory=dict)

    def add(self, other: Figures, with_calls: bool = True) -> None:
        """Add another day, or another channel; the times of back ends take the longest, and few pages need them."""
        self.counts.update(other.counts)
        for name, spread in other.spreads.items():
            if with_calls or not name.startswith(CALL):
                into = self.spreads.setdefault(name, Counter())
                for bucket, count in spread.items():  # a counter's own update takes twice as long
                    into[bucket] = into.get(bucket, 0) + count

    def note(self, name: str, value: float) -> None:
        """Put one value into a spread."""
        self.spreads.setdefault(name, Counter())[bucket_of(value)] += 1

    def to_json(self) -> dict[str, object]:
        """Return what `from_json` makes the same figures from."""
        # Bucket, count, bucket, count: a list for each pair would take three times as long to read.
        spreads = {
            name: [n for pair in sorted(own.items()) for n in pair] for name, own in sorted(self.spreads.items())
        }
        return {"counts": dict(sorted(self.counts.items())), "spreads": spreads}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Figures:
        """Return the figures that `to_json` wrote."""
        spreads: dict[str, Spread] = {
            name: Counter(dict(zip(flat[::2], flat[1::2], strict=True))) for name, flat in content["spreads"].items()
        }
        return cls(Counter(content["counts"]), spreads)


def add_up(
    talks: Sequence[Talk], begins: Iterable[tuple[str, datetime]], calls: Iterable[Call]
) -> dict[tuple[date, str], Figures]:
    """Return the figures of each day and each channel that has conversations on it.

    Args:
        talks: all conversations of the days.
        begins: sender and start of all conversations that began on them, or within the week after them.
        calls: what back ends were asked in the conversations, in their order.

    """
    found: dict[tuple[date, str], Figures] = {}
    starts: dict[str, list[datetime]] = {}
    for sender, at in sorted(begins):
        starts.setdefault(sender, []).append(at)
    place: dict[str, Figures] = {}
    for talk in talks:
        figures = found.setdefault((talk.last_at.date(), talk.channel), Figures())
        place[talk.conversation_id] = figures
        _count(figures, talk, _came_back(talk, starts.get(talk.sender, ())))
    for call in calls:
        _count_call(place[call.conversation_id], call)
    for figures in found.values():
        figures.counts = +figures.counts  # without zeros: what never happened need not be kept
    return found


def _count(figures: Figures, talk: Talk, is_again: bool) -> None:
    counts = figures.counts
    counts["conversations"] += 1
    counts[talk.outcome] += 1
    counts["messages"] += talk.turns
    if talk.reason and talk.outcome in (Outcome.ESCALATED.value, Outcome.ABANDONED.value):
        counts[f"{talk.outcome}:{talk.reason}"] += 1
    if talk.fallbacks:
        counts["with_fallback"] += 1
        counts["fallbacks"] += talk.fallbacks
    for kind in talk.kinds:
        counts[f"{SIGNAL}{kind}"] += 1
    counts["service_failed"] += talk.service_failures > 0
    counts["thumb_up"] += talk.thumb > 0
    counts["thumb_down"] += talk.thumb < 0
    if talk.csat:
        counts[f"csat:{talk.csat}"] += 1
    counts["again"] += is_again
    if talk.outcome == Outcome.RESOLVED.value:
        figures.note("resolution", (talk.last_at - talk.started).total_seconds())
    if talk.outcome == Outcome.ESCALATED.value and talk.agent_at is not None:
        counts["agent_answered"] += 1
        since = talk.escalated_at or talk.agent_at
        figures.note("first_answer", max(0.0, (talk.agent_at - since).total_seconds()))


def _count_call(figures: Figures, call: Call) -> None:
    name = f"{CALL}{call.service}.{call.operation}"
    known = [key for key in figures.spreads if key.startswith(CALL)]
    if name not in figures.spreads and len(known) >= MOST_OPERATIONS:
        name = f"{CALL}{call.service}.{OTHER_OPERATION}"
    figures.counts[f"{name}:{call.outcome}"] += 1
    figures.note(name, call.ms)


def _came_back(talk: Talk, starts: Sequence[datetime]) -> bool:
    """Whether the same sender began another conversation within `AGAIN_DAYS`; `starts` are in order."""
    place = bisect_right(starts, talk.last_at)
    return place < len(starts) and starts[place] <= talk.last_at + timedelta(days=AGAIN_DAYS)
