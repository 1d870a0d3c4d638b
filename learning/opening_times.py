"""How opening times are written in the settings: `Mon-Fri 08:00-20:00`, days off, and a time zone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from learning.errors import SettingsError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SPAN = re.compile(r"([A-Z][a-z]{2})(?:-([A-Z][a-z]{2}))? (\d\d):(\d\d)-(\d\d):(\d\d)")
Span = tuple[int, time, time]  # weekday (Monday is 0), from, to


def read_spans(lines: Sequence[str], where: str = "learning.yml: desk: hours") -> tuple[Span, ...]:
    """Return the opening times of a week, sorted.

    Raises:
        SettingsError: a line is none.

    """
    return tuple(sorted(span for line in lines for span in _spans(line, where)))


def read_days(texts: Sequence[str], where: str = "learning.yml: desk: closed_days") -> frozenset[date]:
    """Return dates.

    Raises:
        SettingsError: a text is none.

    """
    return frozenset(_day(text, where) for text in texts)


def read_zone(name: str, where: str = "learning.yml: desk: time_zone") -> ZoneInfo:
    """Return a time zone.

    Raises:
        SettingsError: there is none of that name.

    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(f"is no time zone: {name!r}", where, "write one as Europe/Dublin") from error


def _spans(line: str, where: str) -> list[Span]:
    match = SPAN.fullmatch(line.strip())
    problem = SettingsError(f"is {line!r}", where, "write lines such as 'Mon-Fri 08:00-20:00'")
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


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"is {text!r}", where, "write dates as '2026-12-25', in quotes") from None
