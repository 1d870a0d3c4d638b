"""The rules that look at numbers: each compares the newest hours or day with the weeks before.

All of them together may raise `alerts.false_alarms` alerts a month while nothing has changed. Each rule has an equal
part of that, and each look of it an equal part of the rule's (Bonferroni), where looks that share most of their
conversations count together. How many there are in fact is measured: `docs/digest.md`. And whatever is beyond chance
must also be large enough to matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta, timezone
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from learning.alert_records import AlertKind, Check, Hour, Level, Severity
from learning.alert_statistics import Seen, drop_of_share, fall_of_count, rise_of_share, unusual_day
from learning.drift import Drift
from learning.settings import AlertSettings

BASELINE_DAYS = 28
PATTERN_DAYS = 56  # eight of each weekday, for what has a weekday's pattern
LENGTHS = (1, 7)  # days of which accuracy is looked at
SHORT, LONG = 3, 24  # hours of the windows in which a rise is looked for: a burst, and a smaller one that lasts
QUIET = 6  # hours without a rise after which one is over, though the day as a whole still has it
LEAST_LATELY = 15  # conversations in them; should it not be over after all, it comes back as the same alert
MONTH = 30  # days
CALM_CHANCE = 0.05  # from which chance explains a value
ENDED_CHANCE = 0.01  # of so few cases, were the rise still going on, from which it is taken to be over
SERIOUS = 5.0  # times the least rise from which somebody must look now
SILENT = 0.2  # share of the usual conversations under which an assistant may be unreachable
LEAST_USUAL = 10  # conversations in a few hours; where there are fewer usually, none says nothing
SLOTS = 7 * 24 // SHORT  # short windows of a week
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STATISTICAL = frozenset(
    {
        AlertKind.ACCURACY,
        AlertKind.CONFIDENCE,
        AlertKind.TRAFFIC,
        AlertKind.SILENCE,
        AlertKind.FALLBACK,
        AlertKind.BACKEND,
        AlertKind.DRIFT,
    }
)
HOURLY = frozenset({AlertKind.SILENCE, AlertKind.FALLBACK, AlertKind.BACKEND})
DAILY = STATISTICAL - HOURLY
# Looks a day that count as independent: windows that are looked at every hour share most of their conversations.
WINDOW_LOOKS = {SHORT: 12, LONG: 4}
CONVERSATIONS, FALLBACKS, FAILURES = 0, 1, 2  # columns of sums

Times = Sequence[tuple[datetime, datetime]]
Floats = NDArray[np.float64]


class History:
    """The conversations of every hour from the first one that has any, as running sums: any time is a difference."""

    def __init__(self, begun: datetime, sums: Floats) -> None:
        self.begun = begun
        self._sums = sums  # of hours before each, in the order of an Hour's fields

    @classmethod
    def of(cls, hours: Iterable[Hour]) -> History | None:
        """Return the history of these hours, None without any."""
        found = {hour.at: hour for hour in hours}
        if not found:
            return None
        begun = min(found)
        table = np.zeros(((max(found) - begun) // HOUR + 2, 6))
        for at, one in found.items():
            counts = (one.conversations, one.fallbacks, one.failures, one.sure, one.sure_of, one.sure_squares)
            table[(at - begun) // HOUR + 1] = counts
        return cls(begun, table.cumsum(axis=0))

    def window(self, until: datetime, hours: int) -> Hour:
        """Return the sum of so many hours before `until`."""
        row = self._between(np.array([self._place(until)]), hours)[0]
        conversations, fallbacks, failures, sure, sure_of, squares = row.tolist()
        since = until - hours * HOUR
        return Hour(since, round(conversations), round(fallbacks), round(failures), sure, round(sure_of), squares)

    def windows(self, until: datetime, hours: int, days: int, spoiled: Times) -> tuple[NDArray[np.int64], Floats]:
        """Return the windows of a length before `until`, as far back as is known, without those that are spoiled.

        Returns:
            How many windows before `until` each is, and its sums, shape (windows, 6), in the order of an Hour's fields.

        """
        numbers = np.arange(days * 24 // hours)
        ends = self._place(until) - numbers * hours
        fits = ends - hours >= 0
        for begin, end in spoiled:
            # Of a time that has begun within an hour the whole hour is spoiled.
            first, last = (begin - self.begun) // HOUR, -((self.begun - end) // HOUR)
            fits &= (ends <= first) | (ends - hours >= last)
        return numbers[fits], self._between(ends[fits], hours)

    def days(self, before: date, count: int, spoiled: Times) -> dict[date, Hour]:
        """Return the sums of whole days before one, those since the beginning."""
        numbers, _ = self.windows(midnight(before), 24, count, spoiled)
        starts = [before - (int(number) + 1) * DAY for number in numbers]
        return {day: self.window(midnight(day) + DAY, 24) for day in starts}

    def _place(self, at: datetime) -> int:
        return (at - self.begun) // HOUR

    def _between(self, ends: NDArray[np.int64], hours: int) -> Floats:
        top = len(self._sums) - 1
        result: Floats = self._sums[np.clip(ends, 0, top)] - self._sums[np.clip(ends - hours, 0, top)]
        return result


def midnight(day: date) -> datetime:
    """Return when a day begins (UTC)."""
    return datetime.combine(day, time(), tzinfo=timezone.utc)


def look_level(settings: AlertSettings, looks: int = 1) -> float:
    """Return the p-value under which one of so many looks a day of a rule raises an alert."""
    return settings.false_alarms / MONTH / len(STATISTICAL) / looks


def fallback(history: History, until: datetime, settings: AlertSettings, spoiled: Times = ()) -> Check:
    """Look for more conversations than usual in which a message was not understood."""
    kind = AlertKind.FALLBACK
    found = _rise(history, until, FALLBACKS, settings.fallback_rise, settings, spoiled)
    if found is None:
        return Check(kind, Level.UNKNOWN)
    level, window, hours, seen = found
    since, day = until - hours * HOUR, (until - HOUR).date()
    return Check(
        kind,
        level,
        severity=_severity(seen, settings.fallback_rise),
        title="More messages are not understood than usual",
        what=(
            f"In the {hours} hours up to {_when(until)} {window.fallbacks:,} of {window.conversations:,} conversations"
            f" ({_percent(seen.value)}) had a message that was not understood; usual are {_percent(seen.usual)}."
        ),
        next_step="Read such conversations. If they ask something new, see the inbox; if a new model runs, compare it.",
        link=f"/conversations?signal=fallback&since={since.date()}&until={day}",
        since=since,
    )


def backend(history: History, until: datetime, settings: AlertSettings, spoiled: Times = (), worst: str = "") -> Check:
    """Look for more conversations than usual in which a back end did not answer; `worst` names what failed most."""
    kind = AlertKind.BACKEND
    found = _rise(history, until, FAILURES, settings.failure_rise, settings, spoiled)
    if found is None:
        return Check(kind, Level.UNKNOWN)
    level, window, hours, seen = found
    named = f" Most often it was {worst}." if worst else ""
    return Check(
        kind,
        level,
        severity=_severity(seen, settings.failure_rise),
        title="A back end does not answer",
        what=(
            f"In the {hours} hours up to {_when(until)} {window.failures:,} of {window.conversations:,} conversations"
            f" ({_percent(seen.value)}) met a back end that did not answer; usual are {_percent(seen.usual)}.{named}"
        ),
        next_step="Look at the back ends' page for which operation it is, and tell whoever runs it.",
        link="/metrics/services?days=7",
        since=until - hours * HOUR,
    )


def silence(history: History, until: datetime, settings: AlertSettings, spoiled: Times = ()) -> Check:
    """Look for hours in which hardly anybody talks though people usually do: nobody may reach the assistant."""
    kind, count = AlertKind.SILENCE, history.window(until, SHORT).conversations
    numbers, sums = history.windows(until - SHORT * HOUR, SHORT, PATTERN_DAYS, spoiled)
    rows: dict[int, list[int]] = {}
    for number, conversations in zip(numbers.tolist(), sums[:, CONVERSATIONS].tolist(), strict=True):
        rows.setdefault((number + 1) % SLOTS, []).append(round(conversations))
    same = rows.pop(0, [])
    seen = fall_of_count(count, same, list(rows.values()))
    if seen is None or seen.usual < LEAST_USUAL:
        return Check(kind, Level.UNKNOWN if seen is None else Level.CALM)
    level = _level(seen, 1 - seen.value / seen.usual, 1 - SILENT, look_level(settings, WINDOW_LOOKS[SHORT]))
    return Check(
        kind,
        level,
        severity=Severity.CRITICAL,
        title="Hardly anybody talks to the assistant",
        what=(
            f"In the {SHORT} hours up to {_when(until)} there were {count:,} conversations;"
            f" {seen.usual:,.0f} are usual at this time of the week."
        ),
        next_step="Write to the assistant as a customer does, on each channel; look at the bot's log if it is silent.",
        link="/conversations",
        since=until - SHORT * HOUR,
    )


def traffic(history: History, day: date, settings: AlertSettings, spoiled: Times = ()) -> Check:
    """Look for a day with far more or fewer conversations than its weekday usually has."""
    kind, count = AlertKind.TRAFFIC, history.window(midnight(day) + DAY, 24).conversations
    past = {one: float(sums.conversations) for one, sums in history.days(day, PATTERN_DAYS, spoiled).items()}
    seen = unusual_day(day, float(count), 0.0, past, is_count=True)
    if seen is None:
        return Check(kind, Level.UNKNOWN)
    change = abs(count - seen.usual) / max(seen.usual, 1.0)
    direction = "more" if count > seen.usual else "fewer"
    return Check(
        kind,
        _level(seen, change, settings.traffic_change, look_level(settings)),
        title=f"Far {direction} conversations than usual",
        what=f"On {_day(day)} there were {count:,} conversations; about {seen.usual:,.0f} are usual on such a day.",
        next_step="Find out whether something was announced, or whether a channel or a page that leads to it changed.",
        link=f"/conversations?since={day}&until={day}",
        since=midnight(day),
    )


def confidence(history: History, day: date, settings: AlertSettings, spoiled: Times = ()) -> Check:
    """Look for a day on which the bot was less sure than usual."""
    kind, sums = AlertKind.CONFIDENCE, history.window(midnight(day) + DAY, 24)
    if sums.sure_of < settings.min_conversations:
        return Check(kind, Level.UNKNOWN)
    past = history.days(day, PATTERN_DAYS, spoiled)
    means = {one: was.sure / was.sure_of for one, was in past.items() if was.sure_of >= settings.min_conversations}
    mean = sums.sure / sums.sure_of
    deviation = sqrt(max(sums.sure_squares / sums.sure_of - mean**2, 0.0))
    seen = unusual_day(day, mean, deviation / sqrt(sums.sure_of), means)
    if seen is None:
        return Check(kind, Level.UNKNOWN)
    one_sided = Seen(seen.value, seen.usual, seen.chance / 2 if mean < seen.usual else 1.0)
    drop = seen.usual - mean
    return Check(
        kind,
        _level(one_sided, drop, settings.confidence_drop, look_level(settings)),
        title="The bot is less sure than usual",
        what=(
            f"On {_day(day)} the lowest confidence of a conversation was {mean:.3f} in the mean of {sums.sure_of:,};"
            f" {seen.usual:.3f} is usual."
        ),
        next_step="Read the conversations with low confidence; if a new model runs since then, compare it.",
        link=f"/conversations?signal=low_confidence&since={day}&until={day}",
        since=midnight(day),
    )


def accuracy(days: Mapping[date, tuple[int, int]], day: date, settings: AlertSettings, least: int) -> Check:
    """Look for a day, or a week, of which people found fewer checked messages understood than in the weeks before.

    Args:
        days: messages that were understood, and that were checked, by the day on which they were said.
        day: the newest.
        settings: the thresholds.
        least: checked messages under which nothing is told.

    """
    kind = AlertKind.ACCURACY
    worst: tuple[Level, int, Seen, int] | None = None
    for length in LENGTHS:
        right, checked = _sum(days, day, length)
        right_before, checked_before = _sum(days, day - length * DAY, BASELINE_DAYS)
        if min(checked, checked_before) < least:
            continue
        seen = drop_of_share(right, checked, right_before, checked_before)
        if seen is None:
            continue
        level = _level(seen, seen.usual - seen.value, settings.accuracy_drop, look_level(settings, len(LENGTHS)))
        if worst is None or _worse(level, seen.chance, worst[0], worst[2].chance):
            worst = (level, length, seen, checked)
    if worst is None:
        return Check(kind, Level.UNKNOWN)
    level, length, seen, checked = worst
    first = day - (length - 1) * DAY
    return Check(
        kind,
        level,
        severity=_severity(Seen(seen.usual, seen.value, seen.chance), settings.accuracy_drop),
        title="Fewer messages are understood than before",
        what=(
            f"Of {checked:,} checked messages of {_days(first, day)} {_percent(seen.value)} were understood;"
            f" in the four weeks before {_percent(seen.usual)}."
        ),
        next_step="Look at which intents are taken for which; add the corrected messages, and retrain.",
        link=f"/metrics/confusion?since={first}&until={day}",
        since=midnight(first),
    )


def drift(found: Drift | None, day: date, settings: AlertSettings) -> Check:
    """Judge how far what people say is from the weeks before."""
    kind = AlertKind.DRIFT
    if found is None or found.recent < settings.min_conversations:
        return Check(kind, Level.UNKNOWN)
    first = day - 6 * DAY
    seen = Seen(found.distance, 0.0, found.chance)
    words = ", ".join(f"{word} ({now:,} of {found.recent:,}, before {was:,})" for word, now, was in found.words)
    return Check(
        kind,
        _level(seen, found.distance, settings.drift, look_level(settings)),
        title="People talk about other things than before",
        what=(
            f"The first messages of {_days(first, day)} differ from the four weeks before by {found.distance:.3f}"
            f" (0 alike, 1 nothing in common; p = {found.chance:.4f}, {found.recent:,} and {found.before:,} messages)."
            + (f" Said more often now, of {found.before:,} before: {words}." if words else "")
        ),
        next_step="See whether the inbox has gaps for it; add examples of the new words to their intents.",
        link=f"/conversations?since={first}&until={day}",
        since=midnight(first),
    )


def _rise(
    history: History,
    until: datetime,
    column: int,
    least: float,
    settings: AlertSettings,
    spoiled: Times,
) -> tuple[Level, Hour, int, Seen] | None:
    """Return the level with the window that tells most, None where neither can be judged."""
    found: tuple[Level, Hour, int, Seen] | None = None
    for length in (SHORT, LONG):
        hours = min(length, _since_told(until, spoiled))
        window = history.window(until, hours)
        if window.conversations < settings.min_conversations:
            continue
        _, past = history.windows(until - hours * HOUR, hours, BASELINE_DAYS, spoiled)
        seen = rise_of_share(_hits(window, column), window.conversations, past[:, column], past[:, CONVERSATIONS])
        if seen is None:
            continue
        level = _level(seen, seen.value - seen.usual, least, look_level(settings, 2 * WINDOW_LOOKS[length]))
        if found is None or _tells_more(level, seen, found[0], found[3]):
            found = (level, window, hours, seen)
    if found is None:
        return None
    level, window, hours, seen = found
    is_over = _is_over(history, until, column, least, seen, spoiled)
    return (Level.CALM if is_over else level), window, hours, seen


def _since_told(until: datetime, spoiled: Times) -> int:
    """Return the whole hours since the newest alert was over: what it was about does not open it again."""
    ended = [end for _, end in spoiled if end <= until]
    return max(1, (until - max(ended)) // HOUR) if ended else LONG


def _is_over(history: History, until: datetime, column: int, least: float, seen: Seen, spoiled: Times) -> bool:
    """Return whether the newest hours are as usual though a window as a whole is not.

    One case among few conversations is a large share. So where the share is not small, the number of cases must be one
    that the usual share explains and that of the window does not.
    """
    lately = history.window(until, QUIET)
    hits, of = _hits(lately, column), lately.conversations
    if of < LEAST_LATELY:
        return False
    if hits / of < seen.usual + least / 2:
        return True
    _, past = history.windows(until - LONG * HOUR, QUIET, BASELINE_DAYS, spoiled)
    usual = rise_of_share(hits, of, past[:, column], past[:, CONVERSATIONS])
    goes_on = float(stats.binom.cdf(hits, of, seen.value))
    return usual is not None and usual.chance > CALM_CHANCE and goes_on <= ENDED_CHANCE


def _level(seen: Seen, size: float, least: float, chance: float) -> Level:
    if size >= least and seen.chance <= chance:
        return Level.RAISED
    return Level.CALM if size < least / 2 or seen.chance > CALM_CHANCE else Level.HELD


ORDER = (Level.RAISED, Level.HELD, Level.CALM, Level.UNKNOWN)


def _worse(level: Level, chance: float, than: Level, than_chance: float) -> bool:
    return (ORDER.index(level), chance) < (ORDER.index(than), than_chance)


def _tells_more(level: Level, seen: Seen, than: Level, than_seen: Seen) -> bool:
    # Of two windows that raise it the one with the larger share tells how bad it is now, however sure the other is.
    if level is than is Level.RAISED:
        return seen.value > than_seen.value
    return _worse(level, seen.chance, than, than_seen.chance)


def _severity(seen: Seen, least: float) -> Severity:
    return Severity.CRITICAL if seen.value - seen.usual >= SERIOUS * least else Severity.WARNING


def _hits(hour: Hour, column: int) -> int:
    return hour.fallbacks if column == FALLBACKS else hour.failures


def _sum(days: Mapping[date, tuple[int, int]], last: date, length: int) -> tuple[int, int]:
    rows = [days.get(last - back * DAY, (0, 0)) for back in range(length)]
    return sum(right for right, _ in rows), sum(checked for _, checked in rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _when(at: datetime) -> str:
    return f"{at.day} {at:%b, %H:%M} UTC"


def _day(day: date) -> str:
    return f"{day:%A}, {day.day} {day:%b}"


def _days(first: date, last: date) -> str:
    return _day(first) if first == last else f"{first.day} {first:%b} to {last.day} {last:%b}"
