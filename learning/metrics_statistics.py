"""Intervals of what metrics show: differences, rates, and quantiles of times that are kept in buckets.

Literature: E. B. Wilson (1927), see `intervals`; R. G. Newcombe, "Interval estimation for the difference between
independent proportions", Statistics in Medicine 17 (1998), method 10; G. Y. Zou and A. Donner, "Construction of
confidence limits about effect measures", Statistics in Medicine 27 (2008); M. J. Gardner and D. G. Altman on
intervals of medians by order statistics, British Medical Journal 296 (1988).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, exp, floor, inf, log, sqrt
from statistics import stdev
from typing import NamedTuple

from learning.intervals import Z95, wilson

GROWTH = 1.05  # width of a bucket: a time that is read from one is right within 2.5 %
LEAST = 1.0  # of whatever is measured, seconds or milliseconds: what is shorter falls into bucket 0
LEAST_DAYS = 7  # a shorter row of days says nothing about how much days differ


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def share_of(hits: int, total: int) -> Estimate | None:
    """Return the share of `hits` among `total` with Wilson's interval, None without any."""
    return Estimate(hits / total, *wilson(hits, total)) if total else None


def difference(now: Estimate, before: Estimate) -> Estimate:
    """Return `now - before` with the interval that follows from those of both (Zou and Donner 2008).

    For two shares with Wilson's intervals it is Newcombe's method 10.
    """
    gap = now.value - before.value
    low = gap - sqrt((now.value - now.low) ** 2 + (before.high - before.value) ** 2)
    high = gap + sqrt((now.high - now.value) ** 2 + (before.value - before.low) ** 2)
    return Estimate(gap, low, high)


def rate_ratio(hits: int, of: int, hits_before: int, of_before: int) -> Estimate | None:
    """Return the ratio of two rates of rare events, None where nothing happened at all.

    Given how many events there were in all, how many of them fall into one of two times is a share: its Wilson
    interval carries over to the ratio. Where nothing happened before, only its lower end is a number.
    """
    if not hits + hits_before or not of or not of_before:
        return None
    scale = of_before / of
    low, high = wilson(hits, hits + hits_before)
    if not hits_before:
        return Estimate(inf, low / (1 - low) * scale, inf)
    return Estimate(hits / hits_before * scale, low / (1 - low) * scale, high / (1 - high) * scale)


def bucket_of(value: float) -> int:
    """Return the bucket of a time; buckets grow by `GROWTH`."""
    return 0 if value <= LEAST else 1 + floor(log(value / LEAST) / log(GROWTH))


def middle_of(bucket: int) -> float:
    """Return the time in the (geometric) middle of a bucket, 0 for those that are too short to be told apart."""
    return 0.0 if bucket == 0 else LEAST * exp((bucket - 0.5) * log(GROWTH))


def quantile(buckets: Mapping[int, int], share: float) -> Estimate | None:
    """Return the time that `share` (0..1) of all take at most, None without any.

    The interval lies between two ranks: how many of n values are below the true quantile is binomial.
    """
    total = sum(buckets.values())
    if not total:
        return None
    spread = Z95 * sqrt(total * share * (1 - share))
    middle = min(total, max(1, ceil(total * share)))
    ranks = (middle, max(1, floor(total * share - spread)), min(total, ceil(total * share + spread) + 1))
    return Estimate(*(_at_rank(buckets, rank) for rank in ranks))


def daily_mean(totals: Sequence[int]) -> Estimate | None:
    """Return the mean of daily totals with an interval by how much days differ; None for too few days.

    People come in waves: counting them as if they came one by one (Poisson) would promise too much.
    """
    if len(totals) < LEAST_DAYS:
        return None
    mean = sum(totals) / len(totals)
    half = Z95 * stdev(totals) / sqrt(len(totals))
    return Estimate(mean, max(0.0, mean - half), mean + half)


def _at_rank(buckets: Mapping[int, int], rank: int) -> float:
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return middle_of(bucket)
    return middle_of(max(buckets))
