"""Failed turns become gaps: a known intent said in an unknown way, a new need, or noise.

The metric is learned from what is labelled already: embeddings are whitened with the within-class
covariance of the known intents' examples (as in linear discriminant analysis), so that differences which
do not tell known intents apart do not tell new needs apart either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from learning.model import FAILED_WEIGHT, Example, FailedTurn, Gap, GapKind, Priority, content_id
from learning.ports import Encoder
from learning.settings import GapSettings
from learning.texts import key_phrase
from learning.vectors import Vectors

SHRINKAGE = 0.05  # measured on CLINC150: less lets rare directions explode, more forgets the labels
NEIGHBOURS = 5  # known examples that vote on an intent
AGREEMENT = 4  # of them that must name the same intent
FOUNDERS = 2  # people who were clearly not understood; one may have mistyped
MAX_CLUSTERED = 5000  # average linkage holds n^2/2 distances: 5,000 messages are 100 MB


class Metric:
    """Maps unit vectors (n, d) into the space where distance means a different need."""

    def __init__(self, vectors: Vectors, labels: Sequence[str]) -> None:
        dimensions = vectors.shape[1]
        classes, codes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
        means = np.zeros((len(classes), dimensions))
        np.add.at(means, codes, vectors)
        means /= np.bincount(codes)[:, None]
        residuals = vectors - means[codes]
        covariance = residuals.T @ residuals / max(len(vectors) - len(classes), 1)
        scale = float(np.trace(covariance)) / dimensions
        if scale <= 0:  # one example an intent: nothing to learn from, distances stay as they are
            self._transform = np.eye(dimensions)
            return
        values, axes = np.linalg.eigh((1 - SHRINKAGE) * covariance + SHRINKAGE * scale * np.eye(dimensions))
        self._transform = axes / np.sqrt(values) @ axes.T

    def __call__(self, vectors: Vectors) -> Vectors:
        """Return whitened unit vectors of the same shape."""
        whitened = vectors @ self._transform
        return np.asarray(whitened / np.maximum(np.linalg.norm(whitened, axis=1, keepdims=True), 1e-9))


@dataclass(frozen=True)
class Known:
    """What the assistant is trained on, in vectors."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Vectors
    metric: Metric

    @classmethod
    def from_examples(cls, examples: Sequence[Example], encoder: Encoder) -> Known:
        """Encode the training examples and learn the metric from them."""
        labels = tuple(example.label for example in examples)
        texts = tuple(example.text for example in examples)
        vectors = encoder.encode(texts)
        return cls(labels, texts, vectors, Metric(vectors, labels))

    def intent_of(self, vector: Vectors, least: float) -> str | None:
        """Return the intent that the nearest examples agree on, None where they are far or disagree."""
        similarities = self.vectors @ vector
        count = min(NEIGHBOURS, len(similarities))
        nearest = np.argpartition(-similarities, count - 1)[:count]
        if similarities[nearest].max() < least:
            return None
        label, votes = Counter(self.labels[index] for index in nearest).most_common(1)[0]
        return label if votes >= min(AGREEMENT, count) else None


@dataclass(frozen=True)
class Grouping:
    """The result of a mining step: which gap each turn belongs to; turns that are noise are absent."""

    members: Mapping[str, str]
    founded: Mapping[str, GapKind]


def group_turns(
    fresh: Sequence[FailedTurn],
    standing: Mapping[str, Sequence[FailedTurn]],
    known: Known,
    encoder: Encoder,
    settings: GapSettings,
) -> Grouping:
    """Assign `fresh` failed turns to known intents, to `standing` new needs, or to newly founded ones.

    The result depends only on the set of turns, never on their order or on how often this runs.
    """
    ordered = sorted(fresh, key=lambda turn: (turn.at, turn.turn_id))
    if not ordered:
        return Grouping({}, {})
    vectors = encoder.encode([turn.text for turn in ordered])
    members: dict[str, str] = {}
    founded: dict[str, GapKind] = {}
    open_rows: list[int] = []
    labels = set(known.labels)
    for row, turn in enumerate(ordered):
        # What the customer chose needs no vote; like any gap, it is proposed only once enough people did.
        chosen = turn.clarified if turn.clarified in labels else None
        intent = chosen or known.intent_of(vectors[row], settings.known_similarity)
        if intent:
            gap_id = existing_gap_id(intent)
            members[turn.turn_id] = gap_id
            founded[gap_id] = GapKind.EXISTING_INTENT
        else:
            open_rows.append(row)
    whitened = known.metric(vectors)
    blocks = {
        gap_id: known.metric(encoder.encode([turn.text for turn in turns]))
        for gap_id, turns in standing.items()
        if turns
    }
    open_rows = _join(open_rows, ordered, whitened, blocks, settings, members)
    for rows in _new_needs(open_rows, ordered, whitened, settings):
        gap_id = content_id("gap", min(ordered[row].turn_id for row in rows if ordered[row].weight >= FAILED_WEIGHT))
        founded[gap_id] = GapKind.NEW_NEED
        members.update((ordered[row].turn_id, gap_id) for row in rows)
    return Grouping(members, founded)


def existing_gap_id(intent: str) -> str:
    """Return the id of the gap that collects unrecognised variations of `intent`."""
    return content_id("gap", "intent", intent)


def _join(
    rows: list[int],
    turns: Sequence[FailedTurn],
    whitened: Vectors,
    blocks: Mapping[str, Vectors],
    settings: GapSettings,
    members: dict[str, str],
) -> list[int]:
    """Let turns join the gap whose members (`blocks`) are near on average; return the rows that are left.

    It goes on until nothing more joins: whoever came in may bring the gap near to others.
    """
    blocks = dict(blocks)
    gap_ids = sorted(blocks)
    left = list(rows)
    while left and gap_ids:
        # The mean distance to all members is what average linkage would have merged on.
        distances = np.stack([_mean_distances(whitened[left], blocks[gap_id]) for gap_id in gap_ids], axis=1)
        best = distances.argmin(axis=1)
        joins = distances[np.arange(len(left)), best] <= settings.join_distance
        if not joins.any():
            break
        for place in np.flatnonzero(joins):
            members[turns[left[place]].turn_id] = gap_ids[best[place]]
        for number, gap_id in enumerate(gap_ids):
            newcomers = [row for row, gap, join in zip(left, best, joins, strict=True) if join and gap == number]
            blocks[gap_id] = np.vstack([blocks[gap_id], whitened[newcomers]])
        left = [row for row, join in zip(left, joins, strict=True) if not join]
    return left


def _mean_distances(vectors: Vectors, block: Vectors) -> Vectors:
    """Return the mean Euclidean distance of each unit vector to those of `block`."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * vectors @ block.T, 0)).mean(axis=1))


def _new_needs(
    rows: list[int], turns: Sequence[FailedTurn], whitened: Vectors, settings: GapSettings
) -> list[list[int]]:
    """Return groups of rows that enough different people are behind; the rest is noise.

    Only clear failures found a group (average linkage), at least two people's. A turn that is merely doubtful joins
    it and counts: where two people were not understood, a third was probably answered beside the point.
    """
    failed = [row for row in rows if turns[row].weight >= FAILED_WEIGHT][-MAX_CLUSTERED:]
    if len(failed) < FOUNDERS:
        return []
    tree = linkage(whitened[failed], method="average", metric="euclidean")
    labels = fcluster(tree, settings.join_distance, criterion="distance")
    clusters: dict[int, list[int]] = {}
    for row, label in zip(failed, labels, strict=True):
        clusters.setdefault(int(label), []).append(row)
    seeds = [cluster for cluster in clusters.values() if _people(cluster, turns) >= FOUNDERS]
    grown = _grow(seeds, rows, turns, whitened, settings)
    enough = [group for group in grown if _people(group, turns) >= settings.min_people]
    # Whoever was in a group that came to nothing is free again.
    return _grow(enough, rows, turns, whitened, settings)


def _grow(
    groups: Sequence[Sequence[int]],
    rows: Sequence[int],
    turns: Sequence[FailedTurn],
    whitened: Vectors,
    settings: GapSettings,
) -> list[list[int]]:
    """Let the rows that are in no group join the group that they are near to."""
    taken = {row for group in groups for row in group}
    blocks = {str(number): whitened[list(group)] for number, group in enumerate(groups)}
    joined: dict[str, str] = {}
    _join([row for row in rows if row not in taken], turns, whitened, blocks, settings, joined)
    grown = [list(group) for group in groups]
    for row in rows:
        if turns[row].turn_id in joined:
            grown[int(joined[turns[row].turn_id])].append(row)
    return [sorted(group) for group in grown]


def _people(rows: Sequence[int], turns: Sequence[FailedTurn]) -> int:
    return len({turns[row].sender for row in rows})


def cap_senders(turns: Sequence[FailedTurn], most: int) -> list[FailedTurn]:
    """Keep at most `most` turns of one sender, so that one person cannot make a gap look big."""
    seen: Counter[str] = Counter()
    kept: list[FailedTurn] = []
    for turn in sorted(turns, key=lambda turn: (turn.at, turn.turn_id)):
        seen[turn.sender] += 1
        if seen[turn.sender] <= most:
            kept.append(turn)
    return kept


def describe(
    gap_id: str, kind: GapKind, intent: str | None, turns: Sequence[FailedTurn], known: Known, settings: GapSettings
) -> Gap:
    """Return the gap with its readable name and its priority."""
    people = len({turn.sender for turn in turns})
    times: list[datetime] = sorted(turn.at for turn in turns)
    name = f"variations of {intent}" if intent else key_phrase([turn.text for turn in turns], known.texts)
    return Gap(
        gap_id=gap_id,
        kind=kind,
        name=name,
        intent=intent,
        priority=_priority(kind, people, settings),
        turn_ids=tuple(turn.turn_id for turn in turns),
        people=people,
        first_seen=times[0],
        last_seen=times[-1],
    )


def _priority(kind: GapKind, people: int, settings: GapSettings) -> Priority:
    if kind is GapKind.EXISTING_INTENT:
        return Priority.LOW
    return Priority.CRITICAL if people >= settings.critical_people else Priority.MEDIUM
