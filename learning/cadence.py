"""When something is due again: every so many minutes, or at the times of a cron line, always in UTC.

UTC knows no summer time: no run falls into an hour that is skipped, and none comes twice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from learning.errors import SettingsError

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # as cron counts them, from 0
DAY_NAMES = {"sun": "Sunday", "mon": "Monday", "tue": "Tuesday", "wed": "Wednesday"} | {
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
}
EXAMPLE = 'write five fields such as "0 3 * * sun"'
BEGINNING = datetime.fromisoformat("2024-01-01T00:00:00+00:00")  # a line that never comes after it comes never
LONGEST = 366 * 24 * 60  # minutes
INSTANT = timedelta(microseconds=1)
# What cron(8) does, too (Vixie): times that come a second time because the clock was set back by less than this are
# not taken twice; by more, the clock was wrong before, and the new time counts.
TWICE = timedelta(hours=3)
MISSED_AT_MOST = 1000  # missed times that are gone through for the newest of them


@dataclass(frozen=True)
class Cadence:
    """Either `minutes` from one run to the next, or a `cron` line of five fields."""

    minutes: int = 0
    cron: str = ""

    @property
    def words(self) -> str:
        """What people read, such as `every Sunday at 03:00 UTC`."""
        return _every(self.minutes) if self.minutes else _at_times(self.cron)


@dataclass(frozen=True)
class PlannedTime:
    """How often a job is to come, and when it comes next."""

    cadence: Cadence
    next_at: datetime


def every(minutes: int, where: str) -> Cadence:
    """Return a cadence of minutes.

    Raises:
        SettingsError: it is none; `where` names the setting.

    """
    if not 1 <= minutes <= LONGEST:
        raise SettingsError(f"is {minutes}, not a number of minutes", where, f"use 1 to {LONGEST} (a year)")
    return Cadence(minutes=minutes)


def at_times(cron: str, where: str) -> Cadence:
    """Return the cadence of a cron line: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday).

    Raises:
        SettingsError: it is none, or never comes; `where` names the setting.

    """
    try:
        comes = _cron_trigger(cron).get_next_fire_time(None, BEGINNING)
    except ValueError as error:
        raise SettingsError(f"is no cron line ({error})", where, EXAMPLE) from error
    if comes is None:
        raise SettingsError(f"is a cron line that never comes ({cron})", where, EXAMPLE)
    return Cadence(cron=cron)


def trigger_of(cadence: Cadence, now: datetime) -> BaseTrigger:
    """Return what APScheduler keeps of a cadence that holds from now on."""
    if cadence.minutes:
        step = timedelta(minutes=cadence.minutes)
        return IntervalTrigger(minutes=cadence.minutes, start_date=now + step, timezone="UTC")
    return _cron_trigger(cadence.cron)


def next_time(trigger: BaseTrigger, after: datetime) -> datetime:
    """Return the first time of a trigger later than `after`, however many there were before."""
    found: datetime | None = trigger.get_next_fire_time(None, after + INSTANT)
    assert found is not None, "only cadences that come again are kept"
    return found


def newest_missed(trigger: BaseTrigger, due: datetime, now: datetime) -> datetime:
    """Return the newest time of a trigger from `due` to `now`; of more than a thousand, the thousandth."""
    if isinstance(trigger, IntervalTrigger):
        step: timedelta = trigger.interval
        return due + ((now - due) // step) * step
    for _ in range(MISSED_AT_MOST):
        following = next_time(trigger, due)
        if following > now:
            break
        due = following
    return due


def corrected(cadence: Cadence, due: datetime, last_due: datetime | None, now: datetime) -> datetime | None:
    """Return when something is due instead of `due`, which lies too far ahead; None where it does not.

    That is so after the clock was set back: at the old time of day everything was planned later than the cadence
    says. What was due at `last_due` already is not due again at the same time of day.
    """
    if cadence.minutes:
        latest = now + timedelta(minutes=cadence.minutes)
    else:
        was_set_back = last_due is not None and now < last_due <= now + TWICE
        latest = next_time(_cron_trigger(cadence.cron), last_due if was_set_back and last_due else now)
    return latest if due > latest else None


def _cron_trigger(line: str) -> CronTrigger:
    """Return the trigger of a cron line; raise ValueError for what is none.

    APScheduler counts the days of the week from Monday, cron from Sunday: they are named.
    """
    fields = line.split()
    if len(fields) == 5:
        fields[4] = ",".join(_days(part) for part in fields[4].lower().split(","))
    return CronTrigger.from_crontab(" ".join(fields), timezone="UTC")


def _days(part: str) -> str:
    """Return the names of the days that one part of cron's last field means."""
    found = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
    if found is None:
        raise ValueError(f"{part!r} is no day of the week")
    star, first, last, step = found.groups()
    if star and not step:
        return "*"
    low = 0 if star else _day(first)
    high = 6 if star else _day(last) if last else low if not step else 6
    if high < low:
        high += 7  # sat-sun
    if step == "0":
        raise ValueError(f"{part!r} has no step")
    return ",".join(DAYS[day % 7] for day in range(low, high + 1, int(step or 1)))


def _day(text: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if text.isdecimal() and int(text) <= 7:
        return int(text)
    raise ValueError(f"{text!r} is no day of the week")


def _every(minutes: int) -> str:
    if minutes % 60 == 0:
        return "every hour" if minutes == 60 else f"every {minutes // 60} hours"
    return "every minute" if minutes == 1 else f"every {minutes} minutes"


def _at_times(cron: str) -> str:
    minute, hour, day, month, weekday = cron.split()
    if not (minute.isdecimal() and hour.isdecimal() and month == "*"):
        return f"cron {cron} (UTC)"
    at = f"at {int(hour):02}:{int(minute):02} UTC"
    names = [DAY_NAMES[name] for name in DAYS if name in _named(weekday)]
    if day == "*" and weekday == "*":
        return f"every day {at}"
    if day == "*" and names:
        return f"every {', '.join(names)} {at}"
    if day.isdecimal() and weekday == "*":
        return f"on day {int(day)} of every month {at}"
    return f"cron {cron} (UTC)"


def _named(weekday: str) -> list[str]:
    return [name for part in weekday.lower().split(",") for name in _days(part).split(",")]
