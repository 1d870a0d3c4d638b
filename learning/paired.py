"""Statistics of two models on the same cases: is a difference real, how large may it be, and where is it?

Literature: Q. McNemar, Psychometrika 12 (1947), for the exact test; B. Efron and R. Tibshirani, "An Introduction to the
Bootstrap" (1993), for the percentile interval; J. Hanley and A. Lippman-Hand, JAMA 249 (1983), for the rule of three;
R. E. Tarone, "A modified Bonferroni method for discrete data", Biometrics 46 (1990), and G. Hommel and F. Krummenauer,
Biometrics 54 (1998), for its stepwise form, which does for discrete tests what Holm's does for others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, comb, floor, sqrt

import numpy as np

from learning.intervals import Z95

DRAWS = 10_000  # of a bootstrap: its ends move by less than a tenth of a point of accuracy
SEED = 20240301  # the same cases give the same interval


@dataclass(frozen=True)
class Paired:
    """The same `total` cases asked of two models: `before` and `after` passed, `lost` and `gained` by one only."""

    total: int
    before: int
    lost: int
    gained: int

    @classmethod
    def of(cls, before: Sequence[bool], after: Sequence[bool]) -> Paired:
        """Count two models' results for the same cases, in the same order."""
        both = list(zip(before, after, strict=True))
        lost, gained = sum(was and not now for was, now in both), sum(now and not was for was, now in both)
        return cls(len(both), sum(before), lost, gained)

    @property
    def after(self) -> int:
        """How many cases the second model passed."""
        return self.before - self.lost + self.gained

    @property
    def drop(self) -> float:
        """The share of cases by which the second model is worse (-1..1)."""
        return (self.lost - self.gained) / self.total if self.total else 0.0


def chance_of_loss(pair: Paired, margin: float = 0.0) -> float:
    """Return the one-sided p-value of "the second model loses no more than `margin` (a share of all cases)".

    Without a margin it is McNemar's exact test: given how many cases only one of the two models passed, each was as
    likely lost as gained. A loss of exactly the margin among as many moved cases makes it likelier that one was lost:
    1/2 + margin * total / (2 * moved), at most 1.
    """
    moved = pair.lost + pair.gained
    if not pair.lost:
        return 1.0
    likely = min(1.0, 0.5 + margin * pair.total / (2 * moved))
    return min(1.0, sum(_binomial(moved, count, likely) for count in range(pair.lost, moved + 1)))


def least_chance(pair: Paired, margin: float = 0.0) -> float:
    """Return the smallest p-value that as many moved cases could have given: if all of them were lost."""
    moved = pair.lost + pair.gained
    return chance_of_loss(Paired(pair.total, moved, moved, 0), margin) if moved else 1.0


def real_losses(pairs: Mapping[str, Paired], margin: float, level: float) -> dict[str, float]:
    """Return the groups that lose more than `margin`, each with its p-value; at most `level` of runs name one wrongly.

    Groups in which so few cases moved that they could never be told from chance do not make the others' test stricter
    (Tarone 1990): the level is divided among those that could. What is found is set aside, and the rest is looked at
    again (Hommel and Krummenauer 1998).
    """
    chances = {name: chance_of_loss(pair, margin) for name, pair in pairs.items()}
    least = {name: least_chance(pair, margin) for name, pair in pairs.items()}
    found: dict[str, float] = {}
    while True:
        left = [name for name in pairs if name not in found]
        parts = _parts([least[name] for name in left], level)
        real = [name for name in left if chances[name] <= level / parts]
        if not real:
            return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))
        found.update((name, chances[name]) for name in real)


def is_decidable(total: int, margin: float, level: float) -> bool:
    """Whether the loss of all of `total` cases would be told from chance."""
    return chance_of_loss(Paired(total, total, total, 0), margin) <= level


def difference_interval(pair: Paired, draws: int = DRAWS, seed: int = SEED) -> tuple[float, float]:
    """Return the 95 % interval of the second model's accuracy minus the first one's (-1..1), a percentile bootstrap.

    Cases are drawn with replacement, and each keeps both of its results. Where no case moved there is nothing to draw
    from: the rule of three says that under 3 / total of all cases would, either way.
    """
    if not pair.total:
        return -1.0, 1.0
    if not pair.lost + pair.gained:
        reach = min(1.0, 3 / pair.total)
        return -reach, reach
    shares = np.array([pair.lost, pair.gained, pair.total - pair.lost - pair.gained]) / pair.total
    drawn = np.random.default_rng(seed).multinomial(pair.total, shares, size=draws)
    low, high = np.quantile((drawn[:, 1] - drawn[:, 0]) / pair.total, (0.025, 0.975))
    return float(low), float(high)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median with its 95 % interval between two ranks (distribution-free); at least one value is needed."""
    ordered, middle = sorted(values), len(values) / 2
    half = Z95 * sqrt(len(values)) / 2
    low, high = max(0, floor(middle - half)), min(len(values) - 1, ceil(middle + half))
    return float(np.median(ordered)), ordered[low], ordered[high]


def _parts(least: Sequence[float], level: float) -> int:
    """Return by how much the level is divided: the smallest k with at most k groups that could reach level / k."""
    parts = 1
    while sum(one <= level / parts for one in least) > parts:
        parts += 1
    return parts


def _binomial(trials: int, hits: int, likely: float) -> float:
    return comb(trials, hits) * likely**hits * (1 - likely) ** (trials - hits)
