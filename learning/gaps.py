"""Failed turns become gaps: a new need, a known intent said in an unknown way, a bad answer, or noise.

New needs are found by average linkage in the encoder's space, stopped at a distance that the training examples teach
(`clusters.rehearsed_distance`); `docs/gaps.md` says what else was tried, and what it found. A gap is kept as the number
and the mean of its members, so that later turns join it without reading them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from learning.clusters import average_linkage
from learning.known import NEIGHBOURS, Metric, Nearness, largest_mean
from learning.known import Known as Known  # part of this module, too
from learning.model import ANSWER_KINDS, FAILED_WEIGHT, FailedTurn, GapKind, content_id
from learning.settings import GapSettings
from learning.vectors import Vectors

FOUNDERS = 2  # people who were clearly not understood; one may have mistyped
MAX_CLUSTERED = 5000  # turns: their similarities take 100 MB
SAME_MESSAGE = 0.9  # cosine from which one person has only said the same again
# What fails is not typical of what is known: most of what then looks like an intent is another need nearby. So a turn
# must be nearer to one intent's examples than to any other's, and than to what else fails. On the development streams
# of `benchmarks/gaps.py` 33 of 36 that were assigned so were right; with leads of 0.1 and 0.1 three of four were.
OTHER_LEAD = 0.15  # of the mean cosine to the intent's nearest examples over that to the next intent's
DOUBTED_LEAD = 0.2  # the same where the bot itself did not take the turn for the intent
INTENT_LEAD = 0.15  # and over that to other people's failed turns
COMPANY = 5  # other people's failed turns that are looked at
# A need that was learned is known by its live examples, which are few: what is nearest to them, as near as this, nearer
# than to any label that is trained, and no nearer to what else fails. On messages of 25 CLINC150 intents learned from 8
# (4) examples each, among as many of other hidden intents and out-of-scope ones, it takes in 67 % (48 %) at a precision
# of 96 % (98 %); being as near to the gap's mean as its founders, between 37 % and 64 % at 90 to 99 %.
LEARNED_NEAR = 0.45  # mean cosine to the nearest examples
LEARNED_LEAD = 0.03
LEARNED_COMPANY, NEAR_COMPANY = 3, 0.05


@dataclass(frozen=True)
class Standing:
    """What is kept of a gap: how many turns it has, and the mean (d,) of their unit vectors in the metric's space.

    The mean squared distance of a unit vector x to the members is 2 - 2 x.mean.
    """

    count: int
    mean: Vectors = field(repr=False)

    @classmethod
    def of(cls, vectors: Vectors, metric: Metric) -> Standing:
        """Measure turns by the encoder's vectors (n, d) of their texts."""
        return cls(len(vectors), metric(vectors).mean(axis=0, dtype=float))

    def joined(self, other: Standing) -> Standing:
        """Return what is kept of the two together."""
        count = self.count + other.count
        return Standing(count, (self.count * self.mean + other.count * other.mean) / count)


@dataclass(frozen=True)
class Learned:
    """A need that was learned: its label, and its live examples (n, d) in the metric's space."""

    label: str
    examples: Vectors = field(repr=False)


@dataclass(frozen=True)
class Grouping:
    """The result of a mining step: which gap each turn belongs to; turns that are noise are absent."""

    members: Mapping[str, str]
    founded: Mapping[str, GapKind]


@dataclass(frozen=True)
class _Stream:
    """The turns in order, their placed unit vectors (n, d), and the settings that grouping needs."""

    turns: Sequence[FailedTurn]
    placed: Vectors
    distance: float
    min_people: int

    def people(self, rows: Sequence[int]) -> int:
        return len({self.turns[row].sender for row in rows})


def group_turns(
    fresh: Sequence[FailedTurn],
    vectors: Vectors,
    standing: Mapping[str, Standing],
    known: Known,
    settings: GapSettings,
    learned: Mapping[str, Learned] = MappingProxyType({}),
) -> Grouping:
    """Assign failed turns to known intents, to `standing` new needs, or to newly founded ones.

    The result depends on the set of turns and never on their order. What is left without a gap stays without one when
    it is grouped again and nothing has come.

    Args:
        fresh: turns that are in no gap.
        vectors: the encoder's float vectors (n, d) of their texts, row for row.
        standing: the new needs that are known already, measured by `known.metric`.
        known: what the assistant is trained on.
        settings: thresholds.
        learned: the needs among them that have live examples, by gap.

    """
    if not fresh:
        return Grouping({}, {})
    order = sorted(range(len(fresh)), key=lambda row: (fresh[row].at, fresh[row].turn_id))
    stream = _Stream(
        turns=[fresh[row] for row in order],
        placed=known.metric(np.asarray(vectors)[order]),
        distance=settings.join_distance or known.distance,
        min_people=settings.min_people,
    )
    members: dict[str, str] = {}
    founded: dict[str, GapKind] = {}
    near = known.nearness(stream.placed)
    gaps = dict(standing)
    left = list(range(len(stream.turns)))

    def place(found: Mapping[int, tuple[str, GapKind]]) -> bool:
        for row, (gap_id, kind) in found.items():
            members[stream.turns[row].turn_id] = gap_id
            founded[gap_id] = kind
        left[:] = [row for row in left if row not in found]
        return bool(found)

    place(_said_or_disliked(stream, near, known))
    place(_of_learned(left, stream, near, learned))
    # What came together leaves: the rest may fit elsewhere now, and is looked at until nothing does.
    while place(_variations(left, stream, near, gaps, settings)) | place(_new_needs(left, stream, gaps)):
        pass
    return Grouping(members, {gap_id: kind for gap_id, kind in founded.items() if gap_id not in standing})


def existing_gap_id(intent: str) -> str:
    """Return the id of the gap that collects unrecognised variations of `intent`."""
    return content_id("gap", "intent", intent)


def named_gap_id(name: str) -> str:
    """Return the id of the gap of a new need that a person has named."""
    return content_id("gap", "named", name)


def answer_gap_id(intent: str) -> str:
    """Return the id of the gap that collects bad answers to `intent`."""
    return content_id("gap", "answer", intent)


# --- known intents --------------------------------------------------------------------------------


def _said_or_disliked(stream: _Stream, near: Nearness, known: Known) -> dict[int, tuple[str, GapKind]]:
    """Return the rows whose meaning the customer chose, and those that were understood but answered badly.

    A message that is stranger to its label than the label's own examples are to each other was perhaps never
    understood: the answer was no good because it was another question's.
    """
    found: dict[int, tuple[str, GapKind]] = {}
    labels = frozenset(known.labels)
    for row, turn in enumerate(stream.turns):
        # What the customer chose needs no vote; like any gap, it is proposed only once enough people did.
        if turn.clarified in labels:
            found[row] = existing_gap_id(str(turn.clarified)), GapKind.EXISTING_INTENT
        elif (
            _is_own(turn, near.intents[row])
            and _only_answer(turn)
            and near.similarity[row] >= known.floors[near.intents[row]]
        ):
            found[row] = answer_gap_id(near.intents[row]), GapKind.WEAK_ANSWER
    return found


def _variations(
    rows: Sequence[int], stream: _Stream, near: Nearness, gaps: Mapping[str, Standing], settings: GapSettings
) -> dict[int, tuple[str, GapKind]]:
    """Return the rows that look like one intent alone: the one the bot took them for, or very near its examples."""
    found: dict[int, tuple[str, GapKind]] = {}
    for row in rows:
        own = _is_own(stream.turns[row], near.intents[row])
        if near.lead[row] < (OTHER_LEAD if own else DOUBTED_LEAD):
            continue
        if not own and near.nearest[row] < settings.known_similarity:
            continue
        if near.similarity[row] - _company(row, rows, stream, gaps) >= INTENT_LEAD:
            found[row] = existing_gap_id(near.intents[row]), GapKind.EXISTING_INTENT
    return found


def _only_answer(turn: FailedTurn) -> bool:
    """Whether the turn was understood as far as can be told, and only its answer was no good."""
    return bool(turn.signals) and all(signal.kind in ANSWER_KINDS for signal in turn.signals)


def _is_own(turn: FailedTurn, intent: str) -> bool:
    """Whether the bot took the turn for this intent; a retrieval intent may stand for its keys."""
    return turn.intent in (intent, intent.partition("/")[0])


def _company(row: int, rows: Sequence[int], stream: _Stream, gaps: Mapping[str, Standing]) -> float:
    """Return how near a turn is to what else fails: the turns of other people, or a gap; -1 if nothing does."""
    sender = stream.turns[row].sender
    others = [other for other in rows if stream.turns[other].sender != sender]
    turns = largest_mean((stream.placed @ stream.placed[row])[None, others], COMPANY)[0]
    return float(max([turns, *(float(gap.mean @ stream.placed[row]) for gap in gaps.values())]))


# --- needs that were learned ----------------------------------------------------------------------


def _of_learned(
    rows: Sequence[int], stream: _Stream, near: Nearness, learned: Mapping[str, Learned]
) -> dict[int, tuple[str, GapKind]]:
    """Return the rows that a learned need has missed: they join its gap, though few others in it are like them."""
    gap_ids = sorted(learned)
    if not gap_ids or not rows:
        return {}
    placed = stream.placed[list(rows)]
    nearness = np.stack([largest_mean(placed @ learned[gap_id].examples.T, NEIGHBOURS) for gap_id in gap_ids], axis=1)
    best = nearness.argmax(axis=1)
    company = _other_company(rows, stream, best)
    found: dict[int, tuple[str, GapKind]] = {}
    for place, row in enumerate(rows):
        own = float(nearness[place, best[place]])
        others = np.delete(nearness[place], best[place]).max(initial=-1.0)
        trained = float(near.similarity[row])
        if near.intents[row] == learned[gap_ids[best[place]]].label:  # in the model by now: it is no rival of itself
            trained -= float(near.lead[row])
        if own < LEARNED_NEAR or own - max(float(others), trained) < LEARNED_LEAD:
            continue
        if own >= company[place] - NEAR_COMPANY:
            found[row] = gap_ids[best[place]], GapKind.NEW_NEED
    return found


def _other_company(rows: Sequence[int], stream: _Stream, best: Vectors) -> Vectors:
    """Return how near (n,) each row is to other people's turns that are nearest to another need than it is itself."""
    placed = stream.placed[list(rows)]
    similarity = placed @ placed.T
    senders = np.array([stream.turns[row].sender for row in rows], dtype=object)
    similarity[(best[:, None] == best[None, :]) | (senders[:, None] == senders[None, :])] = -1.0
    return largest_mean(similarity, LEARNED_COMPANY)


# --- new needs ------------------------------------------------------------------------------------


def _join(rows: Sequence[int], stream: _Stream, gaps: dict[str, Standing]) -> dict[int, str]:
    """Let rows join the gap that they are near to on average; return who joined which. `gaps` grow.

    It goes on until nothing more joins: whoever came in may bring the gap near to others.
    """
    least = 1 - stream.distance**2 / 2
    joined: dict[int, str] = {}
    left = list(rows)
    gap_ids = sorted(gaps)
    while left and gap_ids:
        means = np.stack([gaps[gap_id].mean for gap_id in gap_ids])
        similarity = stream.placed[left] @ means.T
        best = similarity.argmax(axis=1)
        near = similarity[np.arange(len(left)), best] >= least
        if not near.any():
            break
        newcomers: dict[str, list[int]] = {}
        for place in np.flatnonzero(near):
            newcomers.setdefault(gap_ids[best[place]], []).append(left[place])
        for gap_id, came in newcomers.items():
            gaps[gap_id] = gaps[gap_id].joined(_standing_of(came, stream))
            joined.update(dict.fromkeys(came, gap_id))
        left = [row for row in left if row not in joined]
    return joined


def _new_needs(rows: Sequence[int], stream: _Stream, gaps: dict[str, Standing]) -> dict[int, tuple[str, GapKind]]:
    """Return the rows that join one of `gaps`, which grow, or that found one."""
    joined = _join(rows, stream, gaps)
    found = dict(joined)
    for group in _found([row for row in rows if row not in joined], stream):
        clear = [row for row in group if stream.turns[row].weight >= FAILED_WEIGHT]
        gap_id = content_id("gap", min(stream.turns[row].turn_id for row in clear))
        gaps[gap_id] = _standing_of(group, stream)
        found.update(dict.fromkeys(group, gap_id))
    return {row: (gap_id, GapKind.NEW_NEED) for row, gap_id in found.items()}


def _found(rows: Sequence[int], stream: _Stream) -> list[list[int]]:
    """Return groups of rows that enough different people are behind; the rest is noise.

    Only clear failures found a group (average linkage), at least two people's. A turn that is merely doubtful joins
    it and counts: where two people were not understood, a third was probably answered beside the point.
    """
    clear = [row for row in rows if stream.turns[row].weight >= FAILED_WEIGHT]
    clear = _without_repeats(clear, stream)[-MAX_CLUSTERED:]
    if len(clear) < FOUNDERS:
        return []
    clusters: dict[int, list[int]] = {}
    for row, group in zip(clear, average_linkage(stream.placed[clear], stream.distance), strict=True):
        clusters.setdefault(int(group), []).append(row)
    seeds = [cluster for cluster in clusters.values() if stream.people(cluster) >= FOUNDERS]
    # Only the doubtful decide with them: clear failures that found nothing themselves would make needs of all noise.
    doubtful = [row for row in rows if stream.turns[row].weight < FAILED_WEIGHT]
    grown = _grow(seeds, doubtful, stream)
    enough = [seed for seed, group in zip(seeds, grown, strict=True) if stream.people(group) >= stream.min_people]
    # Whoever was in a group that came to nothing is free again.
    regrown = _grow(enough, rows, stream)
    return [group for group in regrown if stream.people(group) >= stream.min_people]


def _without_repeats(rows: Sequence[int], stream: _Stream) -> list[int]:
    """Return rows without those that say what the same person has said before: nobody founds a need by repeating."""
    said: dict[str, list[int]] = {}
    kept = []
    for row in rows:
        earlier = said.setdefault(stream.turns[row].sender, [])
        if not earlier or float((stream.placed[earlier] @ stream.placed[row]).max()) < SAME_MESSAGE:
            earlier.append(row)
            kept.append(row)
    return kept


def _grow(groups: Sequence[Sequence[int]], rows: Sequence[int], stream: _Stream) -> list[list[int]]:
    """Let the rows that are in no group join the group that they are near to."""
    taken = {row for group in groups for row in group}
    # Names that sort as the groups stand.
    gaps = {f"{number:06}": _standing_of(group, stream) for number, group in enumerate(groups)}
    grown = [list(group) for group in groups]
    for row, name in _join([row for row in rows if row not in taken], stream, gaps).items():
        grown[int(name)].append(row)
    return [sorted(group) for group in grown]


def _standing_of(rows: Sequence[int], stream: _Stream) -> Standing:
    return Standing(len(rows), stream.placed[list(rows)].mean(axis=0, dtype=float))
