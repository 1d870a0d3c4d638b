"""The small curves beside gaps: people per week."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from learning.loop import Loop

WEEKS = 12
WIDTH, HEIGHT, MARGIN = 96, 24, 3  # of the drawing, in its own units


@dataclass(frozen=True)
class Trend:
    """People per week, the oldest week first; the newest ends at `until`."""

    counts: tuple[int, ...]
    until: datetime

    @property
    def points(self) -> str:
        """The curve as points of an SVG polyline."""
        return " ".join(f"{x:g},{y:g}" for x, y in self._places())

    @property
    def last(self) -> tuple[float, float]:
        """Where the curve ends."""
        return self._places()[-1]

    @property
    def peak(self) -> int:
        """The most people in a week."""
        return max(self.counts)

    @property
    def weeks(self) -> tuple[tuple[datetime, int], ...]:
        """The first day of each week, and its people."""
        newest = len(self.counts)
        return tuple(
            (self.until - timedelta(days=7 * (newest - number)), count) for number, count in enumerate(self.counts)
        )

    def _places(self) -> list[tuple[float, float]]:
        step = (WIDTH - 2 * MARGIN) / (len(self.counts) - 1)
        top = max(self.peak, 1)
        return [
            (round(MARGIN + place * step, 1), round(HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * count / top, 1))
            for place, count in enumerate(self.counts)
        ]


def read_trends(loop: Loop, gap_ids: Collection[str]) -> dict[str, Trend]:
    """Return the curve of each gap, up to the newest conversation: what nobody has read yet is no silence.

    One whose clock was wrong, and that is still to come, does not move the curves to where nobody has been.
    """
    now = loop.now()
    until = min(loop.store.newest_turn() or now, now)
    found = loop.store.weekly_people(gap_ids, until, WEEKS)
    return {gap_id: Trend(counts, until) for gap_id, counts in found.items()}
