from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from learning.cadence import Cadence, at_times, corrected, every, newest_missed, next_time, trigger_of
from learning.errors import SettingsError

MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
SUNDAY_AT_3 = datetime(2026, 3, 8, 3, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def comes(cron: str, after: datetime = MONDAY) -> datetime:
    return next_time(trigger_of(at_times(cron, "here"), after), after)


@pytest.mark.parametrize("cron", ["0 3 * * sun", "0 3 * * 0", "0 3 * * 7", "0 3 * * SUN", "0 3 8 * *"])
def test_days_of_the_week_are_counted_as_cron_counts_them(cron: str) -> None:
    assert comes(cron) == SUNDAY_AT_3


@pytest.mark.parametrize(
    ("days", "found"),
    [
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("sat-sun", "Sat Sun"),
        ("5-7", "Fri Sat Sun"),
        ("mon,3", "Mon Wed"),
        ("*/3", "Wed Sat Sun"),
    ],
)
def test_ranges_lists_and_steps_of_days(days: str, found: str) -> None:
    trigger = trigger_of(at_times(f"0 3 * * {days}", "here"), MONDAY)
    at, names = MONDAY, []
    while (at := next_time(trigger, at)) < MONDAY + 7 * DAY:
        names.append(at.strftime("%a"))

    assert names == found.split()


@pytest.mark.parametrize("cron", ["", "every sunday", "0 3 * *", "99 3 * * sun", "0 3 * * funday", "0 3 * * 8"])
def test_a_bad_cron_line_names_the_setting(cron: str) -> None:
    with pytest.raises(SettingsError, match="schedule: retrain_cron: is no cron line"):
        at_times(cron, "schedule: retrain_cron")


def test_a_line_that_never_comes_is_refused() -> None:
    with pytest.raises(SettingsError, match="never comes"):
        at_times("0 3 31 2 *", "here")


@pytest.mark.parametrize("minutes", [0, -5])
def test_all_the_time_is_no_cadence(minutes: int) -> None:
    with pytest.raises(SettingsError, match="mine_minutes: is"):
        every(minutes, "schedule: mine_minutes")


@pytest.mark.parametrize(
    ("cadence", "words"),
    [
        (Cadence(minutes=15), "every 15 minutes"),
        (Cadence(minutes=1), "every minute"),
        (Cadence(minutes=60), "every hour"),
        (Cadence(minutes=180), "every 3 hours"),
        (Cadence(cron="30 1 * * *"), "every day at 01:30 UTC"),
        (Cadence(cron="0 3 * * 0"), "every Sunday at 03:00 UTC"),
        (Cadence(cron="0 9 * * mon,thu"), "every Monday, Thursday at 09:00 UTC"),
        (Cadence(cron="0 3 1 * *"), "on day 1 of every month at 03:00 UTC"),
        (Cadence(cron="*/10 8-18 * * *"), "cron */10 8-18 * * * (UTC)"),
    ],
)
def test_a_cadence_is_told_in_words(cadence: Cadence, words: str) -> None:
    assert cadence.words == words


def test_the_next_time_is_later_than_now_also_on_the_minute() -> None:
    assert comes("0 3 * * sun", SUNDAY_AT_3) == SUNDAY_AT_3 + 7 * DAY
    trigger = trigger_of(Cadence(minutes=15), MONDAY)
    assert next_time(trigger, MONDAY) == MONDAY + timedelta(minutes=15)
    assert next_time(trigger, MONDAY + timedelta(minutes=15)) == MONDAY + timedelta(minutes=30)
    assert next_time(trigger, MONDAY + 30 * DAY) == MONDAY + 30 * DAY + timedelta(minutes=15)


def test_of_what_was_missed_the_newest_counts() -> None:
    weekly = trigger_of(Cadence(cron="0 3 * * sun"), MONDAY)
    assert newest_missed(weekly, SUNDAY_AT_3, SUNDAY_AT_3 + HOUR) == SUNDAY_AT_3
    assert newest_missed(weekly, SUNDAY_AT_3, SUNDAY_AT_3 + 20 * DAY) == SUNDAY_AT_3 + 14 * DAY
    often = trigger_of(Cadence(minutes=1), MONDAY)
    assert newest_missed(often, MONDAY, MONDAY + 365 * DAY + timedelta(seconds=30)) == MONDAY + 365 * DAY


def test_summer_time_neither_skips_nor_doubles_a_run() -> None:
    """Dublin's clocks go forward on 29 March 2026 at 01:00 and back on 25 October at 02:00: UTC has both hours once."""
    for cron in ("30 1 * * *", "30 0 * * *"):
        for day in (datetime(2026, 3, 27, tzinfo=timezone.utc), datetime(2026, 10, 23, tzinfo=timezone.utc)):
            trigger, at, gaps = trigger_of(at_times(cron, "here"), day), day, set()
            at = next_time(trigger, at)
            for _ in range(5):
                following = next_time(trigger, at)
                gaps.add(following - at)
                at = following
            assert gaps == {DAY}


def test_minutes_go_on_after_the_clock_was_set_back() -> None:
    quarter, now = Cadence(minutes=15), MONDAY
    assert corrected(quarter, now + timedelta(minutes=15), now, now) is None
    planned = now + timedelta(minutes=10)
    assert corrected(quarter, planned, now, now - HOUR) == now - HOUR + timedelta(minutes=15)


def test_what_has_run_at_a_time_of_day_does_not_run_again_at_it() -> None:
    weekly, following = Cadence(cron="0 3 * * sun"), SUNDAY_AT_3 + 7 * DAY
    set_back = SUNDAY_AT_3 - timedelta(minutes=30)
    assert corrected(weekly, following, SUNDAY_AT_3, set_back) is None
    assert corrected(weekly, following, None, set_back) == SUNDAY_AT_3  # it did not run


def test_a_clock_that_was_a_year_ahead_holds_nothing_up() -> None:
    weekly, ahead = Cadence(cron="0 3 * * sun"), SUNDAY_AT_3 + 364 * DAY
    assert corrected(weekly, ahead + 7 * DAY, ahead, MONDAY) == SUNDAY_AT_3


@pytest.mark.parametrize("minutes", [0, 10**12])
def test_minutes_that_no_calendar_holds_are_no_cadence(minutes) -> None:
    with pytest.raises(SettingsError, match="not a number of minutes"):
        every(minutes, "here")
