"""Evidence that two groups differ, which may be looked at as often as anybody likes.

The method is that of Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping" (2024, J. Stat. Plan. Inference 230), for two groups with outcomes of yes and no. In each block of
outcomes the likelihood under rates that the earlier blocks have taught is divided by the likelihood under one rate for
both groups, the mean of the two by the block's sizes. Whatever the common rate is, this ratio has an expectation of at
most 1, exactly and not only for many outcomes; so has the product over blocks, at whatever time somebody stops. By
Ville's inequality the product ever reaches 1/alpha with a probability of at most alpha. The common rate may differ from
block to block: a bad Monday for both groups is no evidence.

What it asks for: that a block's sizes don't depend on its outcomes, and that people don't depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counted = NDArray[np.float64]

# What the rates are believed to be before anything was seen: 0.5 each, as firmly as after two outcomes. And how firmly
# two groups are believed to be alike: as after a hundred outcomes in each. Both are free to choose, the promise holds
# with any. Measured at 70 % against 75 %, and at 5 % against 8 %: 50, 100 and 200 need about as many people, 0 and 400
# need more.
PRIOR_EACH_WAY = 1.0
ALIKE = 100.0
SMALLEST = 1e-12
# A learned rate comes no nearer to 1: what is left of 1 would lose its digits, and the ratio its exactness.
LARGEST = 1 - 1e-4


class Counts(NamedTuple):
    """Outcomes of one group in one block: `hits` among `of`."""

    hits: int
    of: int


def log_evidence(blocks: Sequence[tuple[Counts, Counts]], only_rise: bool = False, margin: float = 1.0) -> float:
    """Return the natural logarithm of the evidence against "both groups have the same rate".

    Reject at level alpha when it is ever at least log(1 / alpha): `threshold`.

    Args:
        blocks: what came in, in order of time: the control's counts and the treatment's.
        only_rise: evidence against "the second's rate is at most `margin` times the first's" instead.
        margin: 1 or more; more only with `only_rise`.

    Raises:
        ValueError: a count is negative, there are more hits than outcomes, or the margin makes no sense.

    """
    return float(evidence_path(blocks, only_rise, margin)[-1]) if len(blocks) else 0.0


def evidence_path(blocks: ArrayLike, only_rise: bool = False, margin: float = 1.0) -> Counted:
    """Return the log evidence after each block, for one test or many at once.

    Args:
        blocks: counts of shape (..., blocks, 2, 2): the groups, and in each of them the hits and the outcomes.
        only_rise: as in `log_evidence`.
        margin: as in `log_evidence`.

    Returns:
        An array of shape (..., blocks).

    Raises:
        ValueError: as `log_evidence` does.

    """
    table = np.asarray(blocks, dtype=float)
    if np.any(table < 0) or np.any(table[..., 0] > table[..., 1]):
        raise ValueError("hits must be at least 0 and at most as many as there are outcomes")
    if margin < 1 or (margin > 1 and not only_rise):
        raise ValueError(f"a margin of {margin} makes no sense: it is 1 or more, and more only for a rise")
    first, first_of, second, second_of = (table[..., group, part] for group in (0, 1) for part in (0, 1))
    rate, second_rate = _learned(first, first_of, second, second_of, margin)
    common = _nearest_null(first_of * rate, first_of, second_of * second_rate, second_of, margin)
    gained = _gain(first, first_of, rate, common) + _gain(second, second_of, second_rate, margin * common)
    says_something = (first_of > 0) & (second_of > 0)
    if only_rise:
        # While the second looks no higher there is nothing to gain: the null's own rates leave the evidence as it is.
        says_something &= second_rate > margin * rate
    path: Counted = np.cumsum(np.where(says_something, gained, 0.0), axis=-1)
    return path


def threshold(level: float, comparisons: int = 1) -> float:
    """Return the log evidence that rejects at `level` (0..1) when several comparisons are looked at (Bonferroni)."""
    return log(comparisons / level)


def growth(first: float, second: float) -> float:
    """Return by how much the log evidence grows in the mean with one more person in each group, if these are the rates.

    That is what a test could reach which knew the rates; learning them costs some more.
    """
    common = (first + second) / 2
    gain = 0.0
    for rate in (first, second):
        for chance, mean in ((rate, common), (1 - rate, 1 - common)):
            gain += chance * log(chance / mean) if chance else 0.0
    return max(gain, 0.0)


def _learned(
    first: Counted, first_of: Counted, second: Counted, second_of: Counted, margin: float
) -> tuple[Counted, Counted]:
    """Return the rates that each block is judged by, learned from the blocks before it; both are in 0..1, exclusive."""
    hits, of, second_hits, second_count = (_before(part) for part in (first, first_of, second, second_of))
    alike = _nearest_null(hits + PRIOR_EACH_WAY, of + 2 * PRIOR_EACH_WAY, second_hits, second_count, margin)
    second_alike = np.minimum(margin * alike, LARGEST)
    return (hits + ALIKE * alike) / (of + ALIKE), (second_hits + ALIKE * second_alike) / (second_count + ALIKE)


def _nearest_null(hits: Counted, of: Counted, second_hits: Counted, second_of: Counted, margin: float) -> Counted:
    """Return the first group's rate x among those with `margin` * x for the second that fits the counts best.

    That minimizes the Kullback-Leibler divergence, and makes the ratio's expectation at most 1 under every rate pair of
    the null hypothesis. With a margin of 1 it is the mean of the two rates by their counts, else the lower root of a
    quadratic equation.
    """
    if margin == 1:
        return np.asarray((hits + second_hits) / np.maximum(of + second_of, 1))
    square = margin * (of + second_of)
    middle = of + margin * hits + margin * second_of + second_hits
    root = np.sqrt(np.maximum(middle**2 - 4 * square * (hits + second_hits), 0))
    # This form of the lower root loses no digits where rates are small.
    return np.asarray(2 * (hits + second_hits) / np.maximum(middle + root, SMALLEST))


def _before(counts: Counted) -> Counted:
    return np.asarray(np.cumsum(counts, axis=-1) - counts)


def _gain(hits: Counted, of: Counted, rate: Counted, common: Counted) -> Counted:
    common = np.clip(common, SMALLEST, 1 - SMALLEST)  # only blocks that say nothing come so far out
    return np.asarray(hits * np.log(rate / common) + (of - hits) * np.log((1 - rate) / (1 - common)))
