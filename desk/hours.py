"""When the team is there, and by when it answers what came in while it was not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from learning.errors import SettingsError
from learning.settings import DeskSettings

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPAN = re.compile(r"([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
LONGEST_SEARCH = 30  # days; a team that is away for longer has wrong settings


@dataclass(frozen=True)
class OpeningHours:
    """A week of opening times in one time zone; `spans` are (weekday, from, to)."""

    zone: ZoneInfo
    spans: tuple[tuple[int, time, time], ...]
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
    try:
        zone = ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"is no time zone: {settings.time_zone!r}", "learning.yml: desk: time_zone", "write one as Europe/Dublin"
        ) from error
    spans = [span for line in settings.hours for span in _read(line)]
    return OpeningHours(zone, tuple(sorted(spans)), frozenset(_day(text) for text in settings.closed_days))


def _read(line: str) -> list[tuple[int, time, time]]:
    match = SPAN.fullmatch(line.strip())
    problem = SettingsError(f"is {line!r}", "learning.yml: desk: hours", "write lines such as 'Mon-Fri 08:00-20:00'")
    if match is None or match.group(1) not in DAYS or (match.group(2) or match.group(1)) not in DAYS:
        raise problem
    first, last = DAYS.index(match.group(1)), DAYS.index(match.group(2) or match.group(1))
    try:
        begin, end = time(int(match.group(3)), int(match.group(4))), time(int(match.group(5)), int(match.group(6)))
    except ValueError:
        raise problem from None
    if first > last or begin >= end:
        raise problem
    return [(day, begin, end) for day in range(first, last + 1)]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"is {text!r}", "learning.yml: desk: closed_days", "write dates as '2026-12-25', in quotes"
        ) from None
