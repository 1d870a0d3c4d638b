"""What the assistant is trained on, in vectors: the space that messages are compared in, and which intent is near."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from learning.clusters import rehearsed_distance
from learning.vectors import Vectors

# Share of each middle layer of the encoder beside the sentence vector (1). They keep what the last layer has thrown
# away: a tenth more hidden needs are found with them in the development streams of `benchmarks/gaps.py`.
LAYER_WEIGHT = 0.2
NEIGHBOURS = 5  # known examples that vote on an intent
AGREEMENT = 4  # of them that must name the same intent
MEASURED_FROM = 5  # examples of a label from which they tell how alike they are
# On CLINC150 88 % of what is a label's is above its floor, and 30 % of what is taken for it.
STRANGE, STRANGE_MARGIN = 0.1, 0.05
VERSION = 2  # of the space; raise it when the same vectors are placed elsewhere
BLOCK = 512  # messages compared with all examples at a time: bounds memory


@dataclass(frozen=True)
class Metric:
    """Places vectors (n, d) in the space (n, d) where the cosine tells needs apart.

    The first `dimension` numbers are the encoder's sentence vector. What follows are mean token vectors of middle
    layers, as wide each; they share a large common part, so that they are centered on the training examples first.
    """

    dimension: int
    center: Vectors = field(repr=False)

    @classmethod
    def fitted(cls, vectors: Vectors, dimension: int) -> Metric:
        """Center the middle layers on training examples (n, d)."""
        center = vectors.mean(axis=0) if len(vectors) else np.zeros(vectors.shape[1])
        return cls(dimension, np.asarray(center[dimension:], dtype=np.float32))

    def __call__(self, vectors: Vectors) -> Vectors:
        """Return unit vectors (n, d), float32."""
        placed = np.array(vectors, dtype=np.float32)
        layers = placed[:, self.dimension :]
        layers -= self.center
        for start in range(0, layers.shape[1], self.dimension):
            layer = layers[:, start : start + self.dimension]
            layer[:] = np.sqrt(LAYER_WEIGHT) * _unit(layer)
        placed /= np.maximum(np.linalg.norm(placed, axis=1, keepdims=True), 1e-12)
        return placed


@dataclass(frozen=True)
class Nearness:
    """For each message (n,) the intent whose examples are nearest, how near they are, and by how much."""

    intents: tuple[str, ...]
    similarity: Vectors  # mean cosine to the intent's nearest examples
    lead: Vectors  # over the same of the second intent; 1 where there is none
    nearest: Vectors  # cosine to the one nearest example


@dataclass(frozen=True)
class Known:
    """What the assistant is trained on.

    `vectors` (n, d) are the sentence vectors, `placed` the examples in the metric's space, `distance` how far apart
    members of one need are on average at most, learned from the labels, and `identity` a digest of all of it:
    whatever was measured under another one is stale.
    """

    labels: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Vectors = field(repr=False)
    placed: Vectors = field(repr=False)
    metric: Metric
    distance: float
    identity: str

    @classmethod
    def from_examples(
        cls, labels: Sequence[str], texts: Sequence[str], vectors: Vectors, dimension: int | None = None
    ) -> Known:
        """Learn from training examples.

        Args:
            labels: the intent of each, full retrieval keys included.
            texts: what they say.
            vectors: float (n, d) from the encoder: unit vectors, with middle layers behind them if there are any.
            dimension: width of the unit vectors; all of d if there are no middle layers.

        """
        order = sorted(range(len(labels)), key=lambda row: (labels[row], texts[row]))
        labels, texts = tuple(labels[row] for row in order), tuple(texts[row] for row in order)
        vectors = np.asarray(vectors)[order]
        dimension = dimension or vectors.shape[1]
        metric = Metric.fitted(vectors, dimension)
        placed = metric(vectors)
        digest = hashlib.sha256(np.ascontiguousarray(vectors, dtype="<f2").tobytes())
        digest.update("\x1f".join((str(VERSION), str(dimension), *labels, *texts)).encode("utf-8", "surrogatepass"))
        return cls(
            labels=labels,
            texts=texts,
            vectors=np.ascontiguousarray(vectors[:, :dimension]),
            placed=placed,
            metric=metric,
            distance=rehearsed_distance(placed, labels),
            identity=digest.hexdigest()[:16],
        )

    def intent_of(self, vector: Vectors, least: float) -> str | None:
        """Return the intent that the nearest examples to a sentence vector (d,) agree on, None if far or in doubt."""
        similarities = self.vectors @ vector
        count = min(NEIGHBOURS, len(similarities))
        if not count:
            return None
        nearest = np.argpartition(-similarities, count - 1)[:count]
        if similarities[nearest].max() < least:
            return None
        label, votes = Counter(self.labels[index] for index in nearest).most_common(1)[0]
        return label if votes >= min(AGREEMENT, count) else None

    def nearness(self, placed: Vectors) -> Nearness:
        """Return which intent each message (n, d), placed by the metric, is near to."""
        names, starts = np.unique(np.asarray(self.labels, dtype=object).astype(str), return_index=True)
        if not len(names):
            nowhere = np.full(len(placed), -1.0)
            return Nearness(("",) * len(placed), nowhere, nowhere, nowhere)
        ends = np.append(starts[1:], len(self.labels))
        means = np.zeros((len(placed), len(names)), dtype=np.float32)
        nearest = np.zeros(len(placed), dtype=np.float32)
        for first in range(0, len(placed), BLOCK):
            rows = slice(first, first + BLOCK)
            similarity = placed[rows] @ self.placed.T
            nearest[rows] = similarity.max(axis=1)
            for column, (start, end) in enumerate(zip(starts, ends, strict=True)):
                means[rows, column] = largest_mean(similarity[:, start:end], NEIGHBOURS)
        best = means.argmax(axis=1)
        top = means[np.arange(len(placed)), best]
        means[np.arange(len(placed)), best] = -np.inf
        lead = top - means.max(axis=1, initial=-np.inf) if len(names) > 1 else np.ones(len(placed))
        return Nearness(tuple(names[best].tolist()), top, lead, nearest)

    @cached_property
    def floors(self) -> Mapping[str, float]:
        """How near a message of each label is to its examples at the least, as its examples are to each other.

        It is the nearness that all but a tenth of them have, and a little less; -1 for a label with few examples.
        """
        found: dict[str, float] = {}
        for label, rows in _rows_by_label(self.labels).items():
            if len(rows) < MEASURED_FROM:
                found[label] = -1.0
                continue
            similarity = self.placed[rows] @ self.placed[rows].T
            np.fill_diagonal(similarity, -1.0)
            own = largest_mean(similarity, min(NEIGHBOURS, len(rows) - 1))
            found[label] = float(np.quantile(own, STRANGE)) - STRANGE_MARGIN
        return found


def _rows_by_label(labels: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    return rows


def largest_mean(values: Vectors, count: int) -> Vectors:
    """Return the mean of the `count` largest of each row (n, m); of fewer where there are fewer, -1 without any."""
    count = min(count, values.shape[1])
    if not count:
        return np.full(len(values), -1.0)
    return np.asarray(np.partition(values, -count, axis=1)[:, -count:].mean(axis=1))


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))
