"""Whatever the rules say in whatever order, alerts stay few and people hear of each the same number of times."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from learning.alert_lifecycle import SAME, news, settle, told
from learning.alert_records import Alert, AlertKind, Check, Level
from learning.settings import AlertSettings
from tests.learning_builders import START

KINDS = (AlertKind.FALLBACK, AlertKind.GAP)
LOOKS = st.lists(
    st.tuples(
        st.integers(1, 30),  # hours until the look
        st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from("ab"), st.sampled_from(Level)), max_size=4),
        st.sets(st.sampled_from(KINDS)),
        st.sampled_from(["", "close", "snooze"]),
    ),
    max_size=25,
)
RULE = AlertSettings()


@given(LOOKS)
def test_of_each_subject_one_alert_is_open_and_nothing_is_told_twice(looks) -> None:
    alerts: dict[str, Alert] = {}
    heard: list[tuple[str, str, object]] = []
    now = START
    for hours, found, looked, person in looks:
        now += timedelta(hours=hours)
        checks = {(kind, subject): Check(kind, level, subject) for kind, subject, level in found if kind in looked}
        before = dict(alerts)
        for one in settle(list(alerts.values()), list(checks.values()), looked, now):
            assert one != before.get(one.alert_id)
            alerts[one.alert_id] = one
        for one in before.values():
            if one.kind not in looked:
                assert alerts[one.alert_id] == one
        open_ones = [(one.kind, one.subject) for one in alerts.values() if one.is_open]
        assert len(open_ones) == len(set(open_ones))
        for key, level in ((key, check.level) for key, check in checks.items()):
            if level is Level.RAISED:
                silenced = [one for one in alerts.values() if (one.kind, one.subject) == key and not one.armed]
                assert key in open_ones or silenced
        fresh = news(list(alerts.values()), RULE, now)
        for one in fresh.alerts:
            assert one.is_open or one.told_at is not None
            assert not one.is_snoozed(now)
            alerts[one.alert_id] = told(one, now)
            heard.append((one.alert_id, "open" if one.is_open else "over", now))
        assert news(list(alerts.values()), RULE, now).alerts == ()
        target = next((one for one in alerts.values() if one.is_open), None)
        if target is not None and person == "close":
            alerts[target.alert_id] = replace(target, closed_at=now, closed_by="ann", armed=False)
        if target is not None and person == "snooze":
            alerts[target.alert_id] = replace(target, snoozed_until=now + timedelta(days=2))
    by_alert: dict[str, list[str]] = {}
    for alert_id, what, _ in heard:
        by_alert.setdefault(alert_id, []).append(what)
    for said in by_alert.values():
        assert said[0] == "open"
        assert all(one != other or one == "open" for one, other in pairwise(said))


@given(st.lists(st.sampled_from([Level.RAISED, Level.CALM]), max_size=60))
def test_what_flickers_every_hour_is_one_alert_a_day_at_most(levels) -> None:
    alerts: dict[str, Alert] = {}
    kind = AlertKind.FALLBACK
    for number, level in enumerate(levels):
        now = START + number * timedelta(hours=1)
        for one in settle(list(alerts.values()), [Check(kind, level)], [kind], now):
            alerts[one.alert_id] = one
    assert len(alerts) <= 1 + len(levels) * timedelta(hours=1) / SAME
