"""Whether what came of an entry's answers is so much worse than without it that it goes back by itself.

Three things are counted: answers rated down, next messages that were not understood, next steps that led to a person.
What each kind of entry is compared with, and why, stands in `docs/rollout.md`:

- a reworded answer, merged labels and a retired label with the people whom its share has not reached in the same
  hours: chance decided who they are. Without them the first two are compared with the bot's other answers; a retired
  label with nothing, since it has no answers.
- a new question and more words for a known one with the bot's other answers. The people whom they have not reached
  were not understood, most of them, and a fallback is hardly ever rated; but as long as there is no evidence that
  they fare better, the entry does no harm.

Other answers are about other things. So only twice their rate is a rise.

The evidence may be looked at at any time (`sequential`). People are not independent of themselves: in each group a
sender counts once, with the first answer of the entry; of the other answers a hash draws one a day (UTC). A person
counts once what follows the answer is known, and a block ends with whoever got the entry after somebody without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp

import numpy as np
from numpy.typing import NDArray

from learning.model import OFF, ON, TEACHING, AnswerCounts, DayOfSender, Exposure, ProposalKind, content_id
from learning.sequential import Counts, evidence_path, threshold

OUTCOMES: Mapping[str, str] = {
    "thumbs_down": "rated down",
    "fallback_after": "followed by a message that was not understood",
    "handoff_after": "followed by a hand-over to a person",
}
UNEQUAL = 2.0  # times the rate of other answers, which are about other things, up to which nothing is wrong
FEW = 20  # people without the entry who can tell that it does no harm; a handful says nothing
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Comparison:
    """What one outcome says: `mine` among the people who got the entry, `baseline` among those compared with.

    `evidence` is a natural logarithm and `path` its values block by block. `others` is whether the baseline is other
    answers, `harmless` whether nothing shows that those whom it has not reached (`without`) fare better.
    """

    outcome: str
    mine: Counts
    baseline: Counts
    without: Counts
    others: bool
    harmless: bool
    needed: float
    path: tuple[float, ...]

    @property
    def evidence(self) -> float:
        """The log evidence of a rise, as it is now."""
        return self.path[-1] if self.path else 0.0

    @property
    def fires(self) -> bool:
        """Whether the entry has to go back."""
        return self.evidence >= self.needed and not self.harmless

    @property
    def sentence(self) -> str:
        """The figures in words."""
        whom = "of people with other answers" if self.others else "of people without it"
        times = f"{UNEQUAL:.0f} times as often" if self.others else "as often"
        return (
            f"{OUTCOMES[self.outcome]}: {_share(self.mine)} of people, {_share(self.baseline)} {whom}"
            f" (evidence {_odds(self.evidence)} against at most {times}, needed {_odds(self.needed)})"
        )


class Others:
    """The bot's answers of a time, of which one is drawn for each sender and day."""

    def __init__(self, days: Iterable[DayOfSender]) -> None:
        found = sorted(days, key=lambda one: one.at)
        self._places = {(one.sender, _day(one.at)): place for place, one in enumerate(found)}
        self._times = np.array([one.at.timestamp() for one in found], dtype=float)
        self._counts = np.array([_row(one.counts) for one in found], dtype=np.int64).reshape(-1, 1 + len(OUTCOMES))
        drawn = [int(content_id("drawn", one.sender, _day(one.at))[:8], 16) for one in found]
        self._drawn = np.array(drawn, dtype=np.int64)

    def without(self, exposures: Iterable[Exposure]) -> People:
        """Return one answer of each sender and day, drawn without the answers that `exposures` are about."""
        counts = self._counts.copy()
        for one in exposures:
            place = self._places.get((one.sender, _day(one.at)))
            if place is not None:
                counts[place] -= (1, *_outcomes(one))
        answered = np.maximum(counts[:, 0], 0)
        drawn = self._drawn % np.maximum(answered, 1)
        left = answered > 0
        return People(self._times[left], (drawn[:, None] < counts[:, 1:])[left])


@dataclass(frozen=True)
class People:
    """One group: when each of n people got an answer, in order (seconds since 1970), and what came of it (n, 3)."""

    times: NDArray[np.float64]
    hits: NDArray[np.bool_]

    @classmethod
    def of(cls, exposures: Iterable[Exposure]) -> People:
        """Return the senders of exposures (the oldest first), each with the first one."""
        first: dict[str, Exposure] = {}
        for one in exposures:
            first.setdefault(one.sender, one)
        times = np.array([one.at.timestamp() for one in first.values()], dtype=float)
        hits = np.array([_outcomes(one) for one in first.values()], dtype=bool)
        return cls(times, hits.reshape(-1, len(OUTCOMES)))

    def between(self, start: float, end: float) -> People:
        """Return those from `start` until just before `end`."""
        within = (self.times >= start) & (self.times < end)
        return People(self.times[within], self.hits[within])

    def counts(self, outcome: int) -> Counts:
        """Return how many of them an outcome befell."""
        return Counts(int(self.hits[:, outcome].sum()), len(self.times))


def judge(
    kind: ProposalKind,
    exposures: Sequence[Exposure],
    others: Others,
    since: datetime,
    until: datetime,
    false_alarms: float,
    full_since: datetime | None = None,
) -> list[Comparison]:
    """Compare what came of an entry's answers with its baseline, outcome by outcome.

    Args:
        kind: the entry's.
        exposures: what came of its answers and of those that its share kept back, the oldest first.
        others: all of the bot's answers in that time.
        since: when it went live.
        until: what came later is not known well enough yet.
        false_alarms: chance (0..1) at most that any of the comparisons ever fires though nothing is wrong.
        full_since: from when it has gone to everybody, None while it does not.

    """
    start, end = since.timestamp(), until.timestamp()
    reached = [one for one in exposures if one.arm == ON and one.at >= since]
    kept = [one for one in exposures if one.arm == OFF and one.at >= since]
    mine, without = People.of(reached).between(start, end), People.of(kept).between(start, end)
    rest = Others([]).without([]) if kind is ProposalKind.RETIRE else others.without(reached).between(start, end)
    # By the schedule, and not by who came: what is compared with what must not follow from the outcomes.
    full = start if kind in TEACHING else end if full_since is None else full_since.timestamp()
    by_chance = blocks_of(without.between(start, full), mine.between(start, full))
    beside = blocks_of(without, mine)
    by_others = blocks_of(rest.between(full, end), mine.between(full, end))
    needed = threshold(false_alarms, len(OUTCOMES))
    found = []
    for place, outcome in enumerate(OUTCOMES):
        path = _path(by_chance[:, :, (place, -1)], 1.0)
        path += [(path[-1] if path else 0.0) + value for value in _path(by_others[:, :, (place, -1)], UNEQUAL)]
        lacked = without.counts(place)
        worse = _path(beside[:, :, (place, -1)], 1.0)[-1:] or [0.0]
        found.append(
            Comparison(
                outcome=outcome,
                mine=mine.counts(place),
                baseline=lacked if len(by_chance) else rest.counts(place),
                without=lacked,
                others=not len(by_chance),
                harmless=kind in TEACHING and lacked.of >= FEW and worse[0] < needed,
                needed=needed,
                path=tuple(path),
            )
        )
    return found


def blocks_of(baseline: People, mine: People) -> NDArray[np.int64]:
    """Return the counts (blocks, 2, 4) of both groups: hits of each outcome, then people.

    A block ends with the first of `mine` after one of the others has come; what comes later changes none of those.
    """
    before = np.searchsorted(baseline.times, mine.times, side="right")
    came, ends = np.unique(before, return_index=True)
    ends, came = ends[came > 0] + 1, came[came > 0]  # how many of each group have come when a block ends
    sides = [_between(people, cuts) for people, cuts in ((baseline, came), (mine, ends))]
    return np.stack(sides, axis=1)


def _between(people: People, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the hits and the people from each cut to the next, from 0 on."""
    ones = np.ones((len(people.times), 1), dtype=np.int64)
    sums = np.concatenate([people.hits.astype(np.int64), ones], axis=1).cumsum(axis=0)
    return np.diff(sums[cuts - 1], axis=0, prepend=0)


def _path(blocks: NDArray[np.int64], margin: float) -> list[float]:
    return [float(value) for value in evidence_path(blocks, only_rise=True, margin=margin)] if len(blocks) else []


def _row(counts: AnswerCounts) -> tuple[int, ...]:
    return (counts.answered, *(getattr(counts, outcome) for outcome in OUTCOMES))


def _outcomes(exposure: Exposure) -> tuple[bool, ...]:
    return tuple(getattr(exposure, outcome) for outcome in OUTCOMES)


def _day(at: datetime) -> int:
    return int(at.timestamp()) // DAY


def _share(counts: Counts) -> str:
    return f"{counts.hits} of {counts.of}" + (f" ({100 * counts.hits / counts.of:.0f} %)" if counts.of else "")


def _odds(evidence: float) -> str:
    return f"{exp(min(max(evidence, -20.0), 20.0)):,.3g} to 1"
