"""What the metrics pages are asked for: a time, another one to compare it with, and a channel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from hub.texts import metrics as texts
from learning.metrics_report import MOST_DAYS, Period

PRESETS = (7, 28, 90)
DAYS = 28  # four of each weekday
YEAR = 364
LONGEST_CHANNEL = 64


@dataclass(frozen=True)
class Asked:
    """The time, the one before, the channel; `days` is set for a preset. `problem` says what could not be used."""

    period: Period
    before: Period | None
    channel: str | None
    days: int | None
    compare: str
    problem: str = ""

    @property
    def a_year_earlier(self) -> str:
        """The first day of the same time a year (52 weeks, so that weekdays agree) earlier."""
        return (self.period.since - timedelta(days=YEAR)).isoformat()

    def address(self, path: str, **changes: str | None) -> str:
        """Return the address of a page for the same time; `changes` replace parameters, None leaves one out."""
        told: dict[str, str | None] = (
            {"days": str(self.days)}
            if self.days
            else {"since": self.period.since.isoformat(), "until": self.period.until.isoformat()}
        )
        told.update(compare=self.compare if self.compare != "before" else None, channel=self.channel)
        if "days" in changes:
            told.update(since=None, until=None)
        told.update(changes)
        query = urlencode({name: value for name, value in told.items() if value})
        return f"{path}?{query}" if query else path


def read_query(params: Mapping[str, str], today: date) -> Asked:
    """Read the parameters; where one cannot be used the default stands in, and the page says so."""
    period, days, problem = _period(params, today)
    compare = params.get("compare", "").strip() or "before"
    before: Period | None = None
    try:
        if compare == "before":
            before = period.before
        elif compare != "none":
            first = date.fromisoformat(compare)
            before = Period(first, first + timedelta(days=period.days - 1))
    except (ValueError, OverflowError):
        compare, problem = "none", problem or texts.NEED_COMPARE
    channel = params.get("channel", "")[:LONGEST_CHANNEL].replace("\0", "").strip() or None
    return Asked(period, before, channel, days, compare, problem)


def _period(params: Mapping[str, str], today: date) -> tuple[Period, int | None, str]:
    preset = Period(today - timedelta(days=DAYS - 1), today)
    since, until = params.get("since", "").strip(), params.get("until", "").strip()
    if since or until:
        try:
            last = date.fromisoformat(until) if until else today
            first = date.fromisoformat(since) if since else last - timedelta(days=DAYS - 1)
            asked = Period(first, last)
            if not 0 < asked.days <= MOST_DAYS or first.year < 2 or last.year > 9990:
                return preset, DAYS, texts.NEED_ORDER.format(most=MOST_DAYS)
            return asked, None, ""
        except (ValueError, OverflowError):
            return preset, DAYS, texts.NEED_DAY
    days = params.get("days", "")
    if days and days not in {str(one) for one in PRESETS}:
        return preset, DAYS, texts.NEED_PRESET
    count = int(days or DAYS)
    return Period(today - timedelta(days=count - 1), today), count, ""
