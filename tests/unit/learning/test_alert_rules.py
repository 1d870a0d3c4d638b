"""The rules on hours that are made by hand: what each says, from when, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from learning.alert_health import critical_gaps
from learning.alert_records import AlertKind, Hour, Level, Severity
from learning.alert_rules import (
    WINDOW_LOOKS,
    History,
    accuracy,
    backend,
    confidence,
    drift,
    fallback,
    look_level,
    silence,
    traffic,
)
from learning.drift import Drift
from learning.model import Priority
from learning.settings import AlertSettings
from tests.learning_builders import gap

START = datetime(2024, 1, 1, tzinfo=timezone.utc)  # a Monday
NOW = START + timedelta(days=60, hours=15)
RULE = AlertSettings()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, LAST = START + timedelta(days=3), NOW.date() - DAY


def world(changes=None, per_hour: int = 20) -> History:
    """Every hour the same, give or take a little; `changes` maps an hour to other fields of it."""
    hours = []
    for number in range(60 * 24 + 15):
        at, wobble = START + number * HOUR, number * 7 % 5 - 2
        count = per_hour + wobble
        # Ten in a hundred are not understood; of confidence the mean is 0.8.
        one = Hour(at, count, 2 + (number % 3 == 0), number % 40 == 0, 0.8 * count, count, 0.65 * count)
        hours.append(replace(one, **(changes(at) if changes else {})))
    return History.of(hours)


def since(hours: int, **fields):
    return lambda at: fields if at >= NOW - hours * HOUR else {}


@pytest.mark.parametrize("rule", [fallback, backend, silence])
def test_usual_hours_are_calm(rule) -> None:
    assert rule(world(), NOW, RULE).level is Level.CALM


@pytest.mark.parametrize("rule", [traffic, confidence])
def test_usual_days_are_calm(rule) -> None:
    assert rule(world(), LAST, RULE).level is Level.CALM


def test_a_burst_of_fallbacks_is_told_with_its_numbers_its_time_and_its_conversations() -> None:
    found = fallback(world(since(3, conversations=20, fallbacks=12)), NOW, RULE)
    assert (found.level, found.kind, found.severity) == (Level.RAISED, AlertKind.FALLBACK, Severity.CRITICAL)
    assert "36 of 60 conversations (60.0 %)" in found.what
    assert "usual are 11." in found.what
    assert found.since == NOW - 3 * HOUR
    assert found.link == f"/conversations?signal=fallback&since={NOW.date()}&until={NOW.date()}"


def test_a_smaller_rise_that_lasts_is_found_over_a_day_and_is_no_emergency() -> None:
    found = fallback(world(since(24, fallbacks=5)), NOW, RULE)
    assert (found.level, found.severity) == (Level.RAISED, Severity.WARNING)
    assert "In the 24 hours" in found.what


def test_what_is_beyond_chance_but_small_is_left_alone() -> None:
    settings = replace(RULE, fallback_rise=0.6)
    assert fallback(world(since(6, conversations=20, fallbacks=12)), NOW, settings).level is Level.HELD


def test_it_is_over_once_six_hours_were_usual_though_the_day_was_not() -> None:
    burst = world(lambda at: {"fallbacks": 15} if NOW - 9 * HOUR <= at < NOW - 6 * HOUR else {})
    assert fallback(burst, NOW, RULE).level is Level.CALM
    assert fallback(burst, NOW - 5 * HOUR, RULE).level is Level.RAISED


def test_one_case_among_few_conversations_does_not_keep_a_burst_alive() -> None:
    def changes(at):
        if NOW - 12 * HOUR <= at < NOW - 9 * HOUR:
            return {"conversations": 20, "fallbacks": 14}
        return {"conversations": 4, "fallbacks": int(at.hour == 13)}  # one in a hundred

    assert fallback(world(changes), NOW, RULE).level is Level.CALM


def test_what_was_told_and_is_over_does_not_come_back_with_the_day_that_still_has_it() -> None:
    def changes(at):
        if NOW - 14 * HOUR <= at < NOW - 11 * HOUR:
            return {"fallbacks": 15}
        return {"fallbacks": 5} if at >= NOW - 2 * HOUR else {}

    told = [(NOW - 15 * HOUR, NOW - 4 * HOUR)]
    assert fallback(world(changes), NOW, RULE).level is Level.RAISED
    assert fallback(world(changes), NOW, RULE, told).level is not Level.RAISED


def test_of_two_windows_that_raise_it_the_larger_rise_is_told() -> None:
    found = fallback(world(since(3, conversations=80, fallbacks=56)), NOW, RULE)
    assert "In the 3 hours" in found.what
    assert found.severity is Severity.CRITICAL


def test_with_hardly_any_conversations_nothing_is_judged() -> None:
    few = world(lambda at: {"conversations": 1, "fallbacks": 1} if at >= NOW - 24 * HOUR else {})
    assert fallback(few, NOW, RULE).level is Level.UNKNOWN
    assert fallback(History.of([Hour(NOW - HOUR, 50, 50)]), NOW, RULE).level is Level.UNKNOWN


def test_hours_in_which_something_was_wrong_are_no_example() -> None:
    bad = (NOW - 20 * DAY, NOW - 14 * DAY)
    changed = world(lambda at: {"fallbacks": 14} if bad[0] <= at < bad[1] or at >= NOW - 3 * HOUR else {})
    assert fallback(changed, NOW, RULE).level is not Level.RAISED
    assert fallback(changed, NOW, RULE, [bad]).level is Level.RAISED


def test_back_ends_that_fail_are_named() -> None:
    found = backend(world(since(3, failures=8)), NOW, RULE, worst="shop balance (24 of 30 calls that day)")
    assert (found.level, found.severity) == (Level.RAISED, Severity.CRITICAL)
    assert "Most often it was shop balance (24 of 30 calls that day)." in found.what


def test_silence_where_people_usually_talk_is_critical() -> None:
    found = silence(world(since(3, conversations=0)), NOW, RULE)
    assert (found.level, found.severity) == (Level.RAISED, Severity.CRITICAL)
    assert "there were 0 conversations; 60 are usual" in found.what
    assert silence(world(since(3, conversations=15)), NOW, RULE).level is Level.CALM
    assert silence(world(since(3, conversations=0), per_hour=3), NOW, RULE).level is Level.CALM  # nine are usual


@pytest.mark.parametrize(("count", "word"), [(8, "fewer"), (45, "more")])
def test_a_day_with_far_more_or_fewer_conversations_is_told(count, word) -> None:
    changed = world(lambda at: {"conversations": count} if at.date() == LAST else {})
    found = traffic(changed, LAST, RULE)
    assert found.level is Level.RAISED
    assert found.title == f"Far {word} conversations than usual"
    assert f"there were {24 * count:,} conversations; about 479 are usual" in found.what
    assert found.since == datetime.combine(LAST, datetime.min.time(), tzinfo=timezone.utc)


def test_a_day_on_which_the_bot_is_less_sure_is_told_and_one_on_which_it_is_surer_is_not() -> None:
    def of(mean: float):
        return world(
            lambda at: (
                {"sure": mean * 20, "sure_of": 20, "sure_squares": (mean**2 + 0.01) * 20} if at.date() == LAST else {}
            )
        )

    found = confidence(of(0.7), LAST, RULE)
    assert found.level is Level.RAISED
    assert "was 0.700 in the mean of 480; 0.800 is usual" in found.what
    assert confidence(of(0.79), LAST, RULE).level is Level.CALM
    assert confidence(of(0.9), LAST, RULE).level is Level.CALM


def test_accuracy_looks_at_a_day_and_at_a_week() -> None:
    days = {LAST - back * DAY: (9, 10) for back in range(40)}
    assert accuracy(days, LAST, RULE, 30).level is Level.CALM
    week = {**days, **{LAST - back * DAY: (6, 10) for back in range(7)}}
    found = accuracy(week, LAST, RULE, 30)
    assert found.level is Level.RAISED
    assert "Of 70 checked messages" in found.what
    assert "60.0 % were understood; in the four weeks before 90.0 %" in found.what
    assert accuracy(week, LAST, RULE, 400).level is Level.UNKNOWN
    one = accuracy({**days, LAST: (20, 40)}, LAST, RULE, 30)
    assert (one.level, "Of 40 checked messages" in one.what) == (Level.RAISED, True)


def test_drift_must_be_beyond_chance_and_large() -> None:
    found = drift(Drift(0.08, 0.0001, 300, 1200, (("voucher", 40, 3),)), LAST, RULE)
    assert found.level is Level.RAISED
    assert "voucher (40 of 300, before 3)" in found.what
    assert drift(Drift(0.08, 0.04, 300, 1200), LAST, RULE).level is Level.HELD
    assert drift(Drift(0.0005, 0.0001, 300, 1200), LAST, RULE).level is Level.CALM
    assert drift(None, LAST, RULE).level is Level.UNKNOWN
    assert drift(Drift(0.08, 0.0001, 5, 1200), LAST, RULE).level is Level.UNKNOWN


def test_the_looks_of_a_month_share_what_is_allowed() -> None:
    looks = (1, 1, 1, 2, 12)  # a day: traffic, confidence, drift, accuracy, silence; then two rules with two windows
    total = sum(count * look_level(RULE, count) for count in looks)
    total += 2 * sum(count * look_level(RULE, 2 * count) for count in WINDOW_LOOKS.values())
    assert 30 * total == pytest.approx(RULE.false_alarms)


def test_a_gap_that_was_handled_is_told_again_only_when_it_comes_back() -> None:
    asked = gap("a" * 16, priority=Priority.CRITICAL)
    handled = replace(asked, gap_id="b" * 16, handled_at=START)
    back = replace(handled, gap_id="c" * 16, reopened_at=START + timedelta(days=1))
    loop = SimpleNamespace(store=SimpleNamespace(gaps=lambda: {one.gap_id: one for one in (asked, handled, back)}))

    assert [check.subject for check in critical_gaps(loop)] == [asked.gap_id, back.gap_id]  # type: ignore[arg-type]
