"""Opening hours, and promises that end within them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desk.canned import load_canned
from desk.hours import opening_hours
from learning.errors import SettingsError
from learning.settings import DeskSettings

HOURS = opening_hours(DeskSettings(closed_days=("2025-12-25",)))
TIMES = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(timezone.utc))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (utc(2025, 11, 21, 8, 0), True),
        (utc(2025, 11, 21, 7, 59), False),
        (utc(2025, 11, 21, 20, 0), False),
        (utc(2025, 11, 22, 15, 59), True),  # a Saturday
        (utc(2025, 11, 23, 12, 0), False),  # a Sunday
        (utc(2025, 12, 25, 12, 0), False),  # a day on which nobody is there
        (utc(2025, 7, 1, 7, 30), True),  # 8:30 in Dublin's summer
    ],
)
def test_the_team_is_there_by_its_own_clock(at: datetime, is_open: bool) -> None:
    assert HOURS.is_open(at) is is_open


def test_a_promise_goes_on_when_the_team_is_back() -> None:
    assert HOURS.add(utc(2025, 11, 21, 18), timedelta(hours=4)) == utc(2025, 11, 22, 11)
    assert HOURS.next_opening(utc(2025, 11, 23, 12)) == utc(2025, 11, 24, 8)
    assert HOURS.said(utc(2025, 11, 24, 8)) == "Monday 08:00"


@given(TIMES, st.floats(0, 40).map(lambda hours: timedelta(hours=hours)))
def test_a_promise_lies_ahead_within_opening_hours_and_never_before_a_shorter_one(
    at: datetime, work: timedelta
) -> None:
    due = HOURS.add(at, work)
    assert due >= at + work
    assert HOURS.is_open(due)
    assert HOURS.add(at, work / 2) <= due
    assert HOURS.is_open(HOURS.next_opening(at))


@pytest.mark.parametrize(
    "changes",
    [
        {"hours": ("Mon-Fri 8-20",)},
        {"hours": ("Fri-Mon 08:00-20:00",)},
        {"hours": ("Mon 20:00-08:00",)},
        {"hours": ("Mon 08:00-25:00",)},
        {"time_zone": "Mars/Olympus"},
        {"closed_days": ("Christmas",)},
    ],
)
def test_what_cannot_be_read_is_said(changes: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"learning\.yml: desk"):
        opening_hours(DeskSettings(**changes))  # type: ignore[arg-type]


def test_ready_answers_are_read_again_when_the_file_changes(tmp_path) -> None:
    file = tmp_path / "canned.yml"
    assert load_canned(file) == ()
    file.write_text("answers:\n- {key: hi, title: Greeting, text: Hello}\n")
    assert [one.key for one in load_canned(file)] == ["hi"]
    file.write_text("answers:\n- {key: hi, title: Greeting, text: Hello}\n- {key: hi, title: Again, text: Hello}\n")
    with pytest.raises(SettingsError, match="second time"):
        load_canned(file)
