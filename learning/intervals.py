"""Intervals of what is measured on few cases."""

from __future__ import annotations

from math import sqrt

Z95 = 1.96  # standard deviations that hold 95 % of a normal distribution


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), which stays in 0..1 for few cases too; all of it without any.

    Args:
        hits: cases that count.
        total: all cases.

    """
    if not total:
        return 0.0, 1.0
    share, square = hits / total, Z95**2
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 / (1 + square / total) * sqrt(share * (1 - share) / total + square / (4 * total**2))
    # Rounding must not push a share of exactly 0 or 1 out of its own interval.
    low = 0.0 if not hits else max(0.0, min(share, middle - half))
    high = 1.0 if hits == total else min(1.0, max(share, middle + half))
    return low, high
