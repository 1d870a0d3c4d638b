"""Alerts open once, are told once, and close only when it is really over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from learning.alert_lifecycle import CALM_LOOKS, news, settle, spoiled, told
from learning.alert_records import Alert, AlertKind, Check, Level, Severity
from learning.settings import AlertSettings
from tests.learning_builders import START

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KIND = AlertKind.FALLBACK
RULE = AlertSettings()


def check(level: Level, **more) -> Check:
    return Check(KIND, level, **{"title": "t", "what": "w", "next_step": "n", "since": START, **more})


def after(levels: Sequence[Level], step: timedelta = HOUR) -> list[Alert]:
    """The alerts after looks with these levels."""
    alerts: dict[str, Alert] = {}
    for number, level in enumerate(levels):
        for one in settle(list(alerts.values()), [check(level)], [KIND], START + number * step):
            alerts[one.alert_id] = one
    return sorted(alerts.values(), key=lambda one: one.opened_at)


def test_it_opens_once_and_says_the_newest_figures() -> None:
    (alert,) = after([Level.RAISED, Level.RAISED, Level.HELD])
    assert alert.is_open
    assert (alert.opened_at, alert.seen_at, alert.since) == (START, START + 2 * HOUR, START)
    (changed,) = settle([alert], [check(Level.RAISED, what="now more")], [KIND], START + 3 * HOUR)
    assert (changed.alert_id, changed.what) == (alert.alert_id, "now more")


@pytest.mark.parametrize("level", [Level.HELD, Level.CALM, Level.UNKNOWN])
def test_what_is_not_raised_opens_nothing(level) -> None:
    assert after([level] * 5) == []


def test_one_calm_look_closes_nothing_and_two_do() -> None:
    (alert,) = after([Level.RAISED, *[Level.CALM] * (CALM_LOOKS - 1)])
    assert alert.is_open
    (alert,) = after([Level.RAISED, Level.CALM, Level.HELD, Level.CALM])  # never two in a row
    assert alert.is_open
    (alert,) = after([Level.RAISED, *[Level.CALM] * CALM_LOOKS])
    assert (alert.closed_at, alert.closed_by) == (START + CALM_LOOKS * HOUR, "")


def test_what_goes_up_and_down_between_warning_and_critical_is_told_once() -> None:
    (alert,) = settle([], [check(Level.RAISED, severity=Severity.CRITICAL)], [KIND], START)
    alert = told(alert, START)
    for number, severity in enumerate((Severity.WARNING, Severity.CRITICAL), start=1):
        (alert,) = settle([alert], [check(Level.RAISED, severity=severity)], [KIND], START + number * HOUR)
        assert (alert.severity, alert.told_at) == (Severity.CRITICAL, START)


def test_what_nobody_can_judge_stays_as_it_is() -> None:
    (alert,) = after([Level.RAISED, *[Level.UNKNOWN] * 50])
    assert alert.is_open


def test_a_subject_that_is_not_mentioned_any_more_is_calm() -> None:
    (alert,) = after([Level.RAISED])
    for number in range(CALM_LOOKS):
        assert settle([alert], [], [], START + HOUR) == []  # its rule has not looked
        (alert,) = settle([alert], [], [KIND], START + (number + 1) * HOUR)
    assert not alert.is_open


def test_what_comes_back_within_a_day_is_the_same_alert() -> None:
    over = [Level.RAISED, Level.CALM, Level.CALM]
    (alert,) = after([*over, Level.RAISED])
    assert alert.is_open
    assert len(after([*over, *[Level.CALM] * 25, Level.RAISED])) == 2


def test_who_heard_that_it_is_over_hears_that_it_is_not() -> None:
    (alert,) = after([Level.RAISED, Level.CALM, Level.CALM])
    for closing_told in (False, True):
        heard = replace(alert, told_at=START, closing_told=closing_told)
        (back,) = settle([heard], [check(Level.RAISED)], [KIND], START + 5 * HOUR)
        assert bool(news([back], RULE, START + 5 * HOUR).opened) is closing_told


def test_one_that_a_person_closed_opens_again_only_after_it_was_calm() -> None:
    (alert,) = after([Level.RAISED])
    closed = replace(alert, closed_at=START + HOUR, closed_by="ann", armed=False)
    assert settle([closed], [check(Level.RAISED)], [KIND], START + 40 * DAY) == []
    (armed,) = settle([closed], [check(Level.CALM)], [KIND], START + 41 * DAY)
    (again,) = settle([armed], [check(Level.RAISED)], [KIND], START + 42 * DAY)
    assert again.alert_id != alert.alert_id


def test_each_subject_has_its_own() -> None:
    found = settle([], [check(Level.RAISED, subject="a"), check(Level.RAISED, subject="b")], [KIND], START)
    assert sorted(one.subject for one in found) == ["a", "b"]


def test_it_is_told_once_then_reminded_and_its_end_is_told() -> None:
    (alert,) = after([Level.RAISED])
    assert news([alert], RULE, START).opened == (alert,)
    heard = told(alert, START)
    assert news([heard], RULE, START + (RULE.remind_days - 1) * DAY).alerts == ()
    late = START + RULE.remind_days * DAY
    assert news([heard], RULE, late).reminded == (heard,)
    assert news([told(heard, late)], RULE, late + HOUR).alerts == ()
    closed = replace(heard, closed_at=late)
    assert news([closed], RULE, late).closed == (closed,)
    assert news([told(closed, late)], RULE, late).alerts == ()


def test_what_was_over_before_anybody_heard_of_it_is_not_told() -> None:
    (alert,) = after([Level.RAISED, Level.CALM, Level.CALM])
    assert news([alert], RULE, START + DAY).alerts == ()


def test_what_a_person_closed_is_not_told_to_be_over() -> None:
    (alert,) = after([Level.RAISED])
    closed = replace(told(alert, START), closed_at=START + HOUR, closed_by="ann")
    assert news([closed], RULE, START + HOUR).alerts == ()


def test_nobody_hears_of_a_snoozed_one_until_its_time_is_over() -> None:
    (alert,) = after([Level.RAISED])
    snoozed = replace(told(alert, START), snoozed_until=START + 2 * DAY)
    assert news([replace(snoozed, told_at=None)], RULE, START + DAY).alerts == ()
    assert news([snoozed], RULE, START + DAY).alerts == ()
    assert news([snoozed], RULE, START + 2 * DAY).reminded == (snoozed,)
    assert news([told(snoozed, START + 2 * DAY)], RULE, START + 3 * DAY).alerts == ()


def test_what_becomes_critical_is_told_again() -> None:
    (alert,) = after([Level.RAISED])
    heard = told(alert, START)
    (worse,) = settle([heard], [check(Level.RAISED, severity=Severity.CRITICAL)], [KIND], START + HOUR)
    assert news([worse], RULE, START + HOUR).opened == (worse,)
    assert news([worse], RULE, START + HOUR).is_critical


def test_what_was_wrong_is_no_example_of_what_is_usual_for_a_week() -> None:
    (alert,) = after([Level.RAISED])
    now = START + 30 * DAY
    assert spoiled([alert], 7 * DAY, now) == {KIND: [(START, START + 7 * DAY)]}
    closed = replace(alert, closed_at=START + HOUR)
    assert spoiled([closed], 7 * DAY, now) == {KIND: [(START, START + HOUR)]}
