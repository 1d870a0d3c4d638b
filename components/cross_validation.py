"""Splits of the training examples into those to learn from and those to measure on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

# Held-out examples that settle a blend or a threshold; further folds would only cost time.
ENOUGH_HELD_OUT = 3000


def splits(labels: Rows, folds: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yields (learn from, measure on) rows fold by fold, until enough examples were held out."""
    fold_of = assign_folds(labels, folds, seed)
    measured = 0
    for fold in range(folds):
        rest, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if len(rest) and len(held) and measured < ENOUGH_HELD_OUT:
            measured += len(held)
            yield rest, held


def assign_folds(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Returns a fold number an example; every class is spread over the folds as evenly as it can be."""
    generator = np.random.default_rng(seed)
    assigned = np.zeros(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        assigned[members] = (np.arange(len(members)) + label) % folds
    return assigned
