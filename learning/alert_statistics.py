"""Whether a count, a share or a mean is unusual, beside what it was in the weeks before.

Every function returns a p-value: how often as unusual a value comes where nothing has changed. Real numbers vary more
than dice: people come in waves, one day has more of a question than another. So each test takes how much they vary
from the history itself, by

- the beta-binomial distribution for shares, its dispersion by moments (J. C. Kleinman, "Proportions with extraneous
  variance: single and independent samples", Journal of the American Statistical Association 68, 1973);
- the negative binomial distribution for counts of a few hours, its dispersion by moments;
- medians of weekdays and the median absolute deviation for values of a day (P. J. Rousseeuw and C. Croux,
  "Alternatives to the median absolute deviation", Journal of the American Statistical Association 88, 1993), after the
  square root that makes the variance of counts the same everywhere (F. J. Anscombe, Biometrika 35, 1948).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import median

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

MAD_TO_SD = 1.4826  # of a normal distribution
# The MAD of n normal values tells as much of their deviation as the standard deviation of 0.37 n (Rousseeuw and Croux).
MAD_EFFICIENCY = 0.37
LEAST_DISPERSION = 0.002  # of shares: real ones always vary a little more than a coin
UNSURE = 0.2  # chance that windows differ even more than they are taken to
LEAST_HISTORY = 14  # windows or days before anything is judged
LEVEL_DAYS = 7  # days before that tell the present level, so that growth is no surprise for ever
Floats = NDArray[np.float64]
COUNT_NOISE = 0.5  # standard deviation of the square root of a count of people who come one by one


@dataclass(frozen=True)
class Seen:
    """A value beside its usual one, with the p-value of it being so, one-sided or two-sided as the test is."""

    value: float
    usual: float
    chance: float


def rise_of_share(hits: int, of: int, past_hits: ArrayLike, past_of: ArrayLike) -> Seen | None:
    """Return whether a share is higher than usual; None where there is too little history.

    Args:
        hits: conversations that count in the window.
        of: all of them.
        past_hits: the same of former windows of the same length, shape (windows,).
        past_of: all conversations of those, shape (windows,).

    """
    cases, counts = np.asarray(past_hits, dtype=float), np.asarray(past_of, dtype=float)
    cases, counts = cases[counts > 0], counts[counts > 0]
    total, all_hits = counts.sum(), cases.sum()
    if len(counts) < LEAST_HISTORY or not of:
        return None
    # Half a case on either side: where nothing ever failed, it may still be possible.
    usual = float((all_hits + 0.5) / (total + 1))
    # Read from so few windows it may well be larger: the upper end of its interval keeps the promise in the tail.
    freedom = len(counts) - 1
    spread = min(0.5, dispersion(cases, counts, usual) * freedom / float(stats.chi2.ppf(UNSURE, freedom)))
    # The usual share is not known exactly: its own variance counts as if windows differed by so much more.
    own = float((counts * (1 + (counts - 1) * spread)).sum() / total**2)
    precision = 1 / min(0.5, spread + (1 - spread) * own) - 1
    chance = float(stats.betabinom.sf(hits - 1, of, usual * precision, (1 - usual) * precision))
    return Seen(hits / of, float(all_hits / total), chance)


def dispersion(hits: Floats, of: Floats, usual: float) -> float:
    """Return the correlation (0..1) of cases in one window, by moments: 0 if windows differ as coins do."""
    excess = ((hits - of * usual) ** 2 / (usual * (1 - usual)) - of).sum()
    pairs = (of * (of - 1)).sum()
    return float(min(max(excess / pairs if pairs else 0.0, LEAST_DISPERSION), 0.5))


def drop_of_share(hits: int, of: int, hits_before: int, of_before: int) -> Seen | None:
    """Return whether a share is lower than before, by Fisher's exact test (1922), one-sided; None without cases."""
    if not of or not of_before:
        return None
    chance = stats.hypergeom.cdf(hits, of + of_before, hits + hits_before, of)
    return Seen(hits / of, hits_before / of_before, float(chance))


def unusual_day(
    day: date, value: float, noise: float, history: Mapping[date, float], is_count: bool = False
) -> Seen | None:
    """Return whether a day's value is unusual, two-sided; None where fewer than four weeks are known.

    What is usual is the median of the same weekday, moved by the median of the last week's deviations. How much days
    differ from that is measured on the history in the same way, leaving each day out of its own median.

    Args:
        day: the day.
        value: of the day: a mean, or a count.
        noise: standard deviation of the value that its own few cases explain; of a count it is known.
        history: the values of the days before it.
        is_count: whether the values are counts.

    """
    if len(history) < 4 * LEVEL_DAYS:
        return None
    if is_count:
        # The sign of a difference, and so the test, is the same on this scale.
        scaled = {one: sqrt(number + 0.375) for one, number in history.items()}
        mine, noise = sqrt(value + 0.375), COUNT_NOISE
    else:
        scaled, mine = dict(history), value
    weekdays = [[number for one, number in scaled.items() if one.weekday() == place] for place in range(7)]
    if not all(len(row) >= 3 for row in weekdays):
        return None
    middles = [median(row) for row in weekdays]
    rest = {one: number - middles[one.weekday()] for one, number in scaled.items()}
    apart = [
        number - _left_out(weekdays[one.weekday()], number) - _level(rest, one)
        for one, number in scaled.items()
        if (one - min(scaled)).days >= LEVEL_DAYS
    ]
    if len(apart) < LEAST_HISTORY:
        return None
    usual = middles[day.weekday()] + _level(rest, day)
    scale = max(MAD_TO_SD * median(abs(number) for number in apart), noise, 1e-9)
    freedom = max(3.0, MAD_EFFICIENCY * len(apart))
    chance = 2 * float(stats.t.sf(abs(mine - usual) / scale, freedom))
    told = max(usual, 0.0) ** 2 - 0.375 if is_count else usual
    return Seen(value, max(told, 0.0) if is_count else told, min(1.0, chance))


def _left_out(row: Sequence[float], number: float) -> float:
    """Return the median of a row without one of its values."""
    others = list(row)
    others.remove(number)
    return median(others)


def _level(rest: Mapping[date, float], day: date) -> float:
    """Return how far the week before a day was from what is usual."""
    before = [
        rest[day - timedelta(days=back)] for back in range(1, LEVEL_DAYS + 1) if day - timedelta(days=back) in rest
    ]
    return median(before) if before else 0.0


def fall_of_count(count: int, same: Sequence[int], others: Sequence[Sequence[int]]) -> Seen | None:
    """Return whether so few are unusual for a few hours; None where there is too little history.

    Args:
        count: how many there were.
        same: how many there were in the same hours of the same weekday in former weeks.
        others: rows of such counts for other hours of the week: how much weeks differ is read from all.

    """
    if len(same) < 4:
        return None
    usual = sum(same) / len(same)
    if usual <= 0:
        return None
    spread = _count_dispersion([*others, same])
    # The mean of so few weeks is not exact: its own variance adds to that of the new count.
    variance = (usual + spread * usual**2) * (1 + 1 / len(same))
    size = usual**2 / max(variance - usual, 1e-6)
    return Seen(count, usual, float(stats.nbinom.cdf(count, size, size / (size + usual))))


def _count_dispersion(rows: Sequence[Sequence[int]]) -> float:
    """Return the part of the variance of counts that grows with the square of their mean, pooled over rows."""
    excess = squares = 0.0
    for row in rows:
        if len(row) >= 2 and any(row):
            mean = sum(row) / len(row)
            variance = sum((one - mean) ** 2 for one in row) / (len(row) - 1)
            excess += variance - mean
            # The square of an estimated mean is too large by its variance.
            squares += max(mean**2 - variance / len(row), 0.0)
    return max(excess / squares, 0.0) if squares else 0.0
