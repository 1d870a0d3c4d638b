"""When the team is there, and by when it answers what came in while it was not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from learning.opening_times import Span, read_days, read_spans, read_zone
from learning.settings import DeskSettings

LONGEST_SEARCH = 30  # days; a team that is away for longer has wrong settings


@dataclass(frozen=True)
class OpeningHours:
    """A week of opening times in one time zone; `spans` are (weekday, from, to)."""

    zone: ZoneInfo
    spans: tuple[Span, ...]
    closed: frozenset[date] = frozenset()

    def is_open(self, at: datetime) -> bool:
        """Whether the team is there at a time."""
        return any(begin <= at < end for begin, end in self._spans_of(at.astimezone(self.zone).date()))

    def next_opening(self, at: datetime) -> datetime:
        """When the team is there next; `at` itself while it is."""
        return self.add(at, timedelta(0))

    def add(self, at: datetime, work: timedelta) -> datetime:
        """When so much opening time has gone by: the end of a promise that is made at `at`."""
        day = at.astimezone(self.zone).date()
        for offset in range(LONGEST_SEARCH):
            for begin, end in self._spans_of(day + timedelta(days=offset)):
                start = max(begin, at)
                if start >= end:
                    continue
                if work < end - start:
                    return start + work
                work -= end - start
        return at + timedelta(days=LONGEST_SEARCH) + work

    def said(self, at: datetime) -> str:
        """A time as people say it: `Monday 08:00`."""
        return f"{at.astimezone(self.zone):%A %H:%M}"

    def _spans_of(self, day: date) -> list[tuple[datetime, datetime]]:
        if day in self.closed:
            return []
        # Computed in UTC: differences of local times are wrong on the two days when clocks change.
        return [
            (
                datetime.combine(day, begin, self.zone).astimezone(timezone.utc),
                datetime.combine(day, end, self.zone).astimezone(timezone.utc),
            )
            for weekday, begin, end in self.spans
            if weekday == day.weekday()
        ]


def opening_hours(settings: DeskSettings) -> OpeningHours:
    """Read the opening hours of the settings.

    Raises:
        SettingsError: a line is no opening time, a date no date, or the time zone unknown.

    """
    zone = read_zone(settings.time_zone)
    return OpeningHours(zone, read_spans(settings.hours), read_days(settings.closed_days))
