"""Which turns belong together after all: the arithmetic of splitting a gap."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from learning.model import FailedTurn, Proposal
from learning.texts import plain_text
from learning.vectors import Vectors

ROUNDS = 20  # of reassigning; it ends after a few
SEEDS = 200  # rows that a division is tried from: all of them would take a minute for two thousand


def folded(text: str) -> str:
    """Return what two messages are compared by: the example that they would make, without regard to case."""
    return plain_text(text).casefold()


def divide(vectors: Vectors, named: Collection[int]) -> list[int]:
    """Return the rows that belong to the `named` ones rather than to the rest, the named ones among them.

    Two spherical means (Dhillon and Modha 2001), one of which keeps the named rows whatever happens.

    Args:
        vectors: unit vectors (n, d).
        named: rows that a person has pointed at, at least one.

    """
    pinned = np.zeros(len(vectors), dtype=bool)
    pinned[list(named)] = True
    chosen = pinned
    for _ in range(ROUNDS):
        if chosen.all():
            break
        nearer = vectors @ _center(vectors[chosen]) > vectors @ _center(vectors[~chosen])
        found = pinned | nearer
        if (found == chosen).all():
            break
        chosen = found
    return [int(row) for row in np.flatnonzero(chosen)]


def divide_in_two(vectors: Vectors) -> list[int]:
    """Return the rows of the smaller of the two groups that unit vectors (n, d) fall into most clearly.

    Two spherical means from a row and the one least like it, for every row, or two hundred of them spread evenly; the
    best division is the one whose groups have the longest sums.
    """
    seeds = np.unique(np.linspace(0, len(vectors) - 1, min(len(vectors), SEEDS)).astype(int))
    here = vectors[seeds]
    there = vectors[np.argmin(here @ vectors.T, axis=1)]
    chosen = seeds[:, None] == np.arange(len(vectors))  # (s, n): a division for each seed
    for _ in range(ROUNDS):
        found = here @ vectors.T > there @ vectors.T
        is_empty = found.all(axis=1) | ~found.any(axis=1)
        found[is_empty] = chosen[is_empty]
        if (found == chosen).all():
            break
        chosen = found
        here, there = _directions(chosen, vectors), _directions(~chosen, vectors)
    lengths = np.linalg.norm(chosen @ vectors, axis=1) + np.linalg.norm(~chosen @ vectors, axis=1)
    best = chosen[int(np.argmax(lengths.round(6)))]
    smaller = best if best.sum() * 2 <= len(best) else ~best
    return [int(row) for row in np.flatnonzero(smaller)]


def rows_saying(turns: Sequence[FailedTurn], texts: Collection[str]) -> list[int]:
    """Return the rows of the turns that say one of `texts`."""
    wanted = {folded(text) for text in texts}
    return [row for row, turn in enumerate(turns) if folded(turn.text) in wanted]


def without(proposal: Proposal, turns: Sequence[FailedTurn]) -> tuple[str, ...]:
    """Return the examples that are left once `turns` are taken out."""
    gone = {folded(turn.text) for turn in turns}
    return tuple(text for text in proposal.examples if folded(text) not in gone)


def people(turns: Sequence[FailedTurn]) -> int:
    """Return of how many people the turns are."""
    return len({turn.sender for turn in turns})


def _center(vectors: Vectors) -> Vectors:
    mean: Vectors = vectors.mean(axis=0)
    length = max(float(np.linalg.norm(mean)), 1e-9)
    return np.asarray(mean / length)


def _directions(chosen: Vectors, vectors: Vectors) -> Vectors:
    """Return the unit vectors (s, d) toward which the rows chosen (s, n) of vectors (n, d) point together."""
    sums = chosen @ vectors
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9))
