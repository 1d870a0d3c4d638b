"""Alerts on a real learning database: looked for, kept, told, snoozed and closed, with everything that is audited."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from learning.__main__ import cli
from learning.adapters import schema
from learning.adapters.database import insert
from learning.adapters.facets import place_of
from learning.adapters.store import Store
from learning.alert_records import Alert, AlertKind, Severity
from learning.alerts import check_alerts, close, open_alerts, read_drift, snooze, tell_alerts
from learning.browsing_records import Annotation, Verdict
from learning.digest import build_digest
from learning.digest_text import digest_message
from learning.errors import NotFound, ReviewError, StoreError
from learning.loop import Loop
from learning.model import DeployedModel, Job, JobKind, JobState, Outcome, Priority, content_id
from tests.learning_builders import Clock, FakeNotifier, gap, make_loop, make_project, unguard_audit

NOW = datetime(2025, 11, 21, 12, 10, tzinfo=timezone.utc)  # a Friday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORDS = ("parcel", "password", "refund", "invoice", "delivery")


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return make_loop(make_project(tmp_path), now=Clock(NOW))


def fill(store: Store, until: datetime = NOW, days: int = 60, per_hour: int = 4, changes=None) -> None:
    """Conversations every hour, one in ten not understood; `changes` maps the hour to other values."""
    rows = []
    start = until.replace(minute=0) - days * DAY
    for hour in range(days * 24):
        at = start + hour * HOUR
        values = {"count": per_hour, "fallbacks": 0.1, "failures": 0.0, "sure": 0.8, "words": WORDS}
        values.update((changes or (lambda at: {}))(at))
        for number in range(values["count"]):
            ended = at + timedelta(minutes=3 + number * 50 // max(values["count"], 1))
            talk_id = content_id("talk", at, number)
            odd = int(talk_id[:6], 16) / 0x1000000
            rows.append(
                {
                    "conversation_id": talk_id,
                    "sender": content_id("person", at, number),
                    "started": ended - timedelta(minutes=2),
                    "last_at": ended,
                    "first_row": len(rows) + 1,
                    "last_row": len(rows) + 1,
                    "turns": 2,
                    "failed_turns": 0,
                    "outcome": Outcome.RESOLVED.value,
                    "reason": "",
                    "place": place_of(ended, talk_id),
                    "channel": "web",
                    "lowest_confidence": values["sure"] + 0.2 * (odd - 0.5),
                    "fallbacks": int(odd < values["fallbacks"]),
                    "service_failures": int(odd < values["failures"]),
                    "opening": f"where is my {values['words'][len(rows) % len(values['words'])]}",
                }
            )
    with store._database.write() as connection:
        for first in range(0, len(rows), 1000):
            insert(connection, schema.conversations, rows[first : first + 1000])
    mined(store, until)


def mined(store: Store, at: datetime) -> None:
    store.record_run("mine", at - timedelta(minutes=1), at, "ok", {})


def kinds(alerts) -> set[AlertKind]:
    return {alert.kind for alert in alerts}


def later(loop: Loop, by: timedelta, is_mined: bool = True) -> datetime:
    loop.now.now += by
    if is_mined:
        mined(loop.store, loop.now())
    return loop.now()


def test_without_anything_nothing_is_wrong(loop) -> None:
    assert check_alerts(loop) == ()
    assert open_alerts(loop) == ()
    assert tell_alerts(loop, FakeNotifier()).message == "nothing to tell"


def test_usual_weeks_are_no_alert(loop) -> None:
    fill(loop.store, until=NOW + 36 * HOUR, days=62)
    mined(loop.store, NOW)
    for _ in range(9):
        assert check_alerts(loop) == ()
        later(loop, 4 * HOUR)


def test_hours_add_up_to_the_days_that_metrics_count(loop) -> None:
    fill(loop.store, days=3)
    end = NOW.replace(minute=0)
    hours = loop.store.hours(end - 2 * DAY, end)
    assert sum(hour.conversations for hour in hours) == 2 * 24 * 4
    assert {hour.at.minute for hour in hours} == {0}
    day = (NOW - DAY).date()
    whole = [hour for hour in hours if hour.at.date() == day]
    loop.store.count_days()
    ((_, _, figures),) = loop.store.metric_days(day, day)
    assert sum(hour.fallbacks for hour in whole) == figures.counts["with_fallback"] > 0
    assert all(hour.sure_of == hour.conversations for hour in whole)
    assert 0.7 < whole[0].sure / whole[0].sure_of < 0.9


def test_a_burst_of_what_is_not_understood_opens_one_alert_that_closes_by_itself_and_both_are_told_once(loop) -> None:
    bad = NOW.replace(minute=0) - 3 * HOUR

    def changes(at):
        return {"count": 12, "fallbacks": 0.7} if bad <= at < bad + 3 * HOUR else {"fallbacks": 0.01}

    fill(loop.store, until=NOW + 24 * HOUR, days=61, changes=changes)
    later(loop, -4 * HOUR)
    assert check_alerts(loop) == ()
    later(loop, 4 * HOUR)
    people = FakeNotifier()
    (alert,) = check_alerts(loop)
    assert alert.kind is AlertKind.FALLBACK
    assert alert.severity is Severity.CRITICAL
    assert tell_alerts(loop, people).message == "1 alerts told to 1 targets"
    assert check_alerts(loop) == open_alerts(loop)
    assert tell_alerts(loop, people).message == "nothing to tell"
    for _ in range(23):
        later(loop, HOUR)
        check_alerts(loop)
        tell_alerts(loop, people)
    assert open_alerts(loop) == ()
    assert len(people.sent) == 2
    texts = [message.text for _, message in people.sent]
    assert sum(f"New, critical: {alert.title}" in text for text in texts) == 1
    assert sum(f"Over, critical: {alert.title}" in text for text in texts) == 1
    page = people.sent[0][1]
    for form in (page.text, page.html, page.markdown):
        assert alert.what in form
        assert alert.next_step in form
        assert "http://127.0.0.1:8080/conversations?signal=fallback" in form.replace("&amp;", "&")


def test_each_rule_on_the_database_finds_what_it_is_for(loop) -> None:
    day = (NOW - DAY).date()

    def changes(at):
        if at >= NOW - 3 * HOUR - timedelta(minutes=10):
            return {"count": 20, "failures": 0.6}
        new = {"words": ("voucher code", "voucher", "code", *WORDS)} if at.date() > day - 7 * DAY else {}
        return {"sure": 0.6, "count": 12, **new} if at.date() == day else new

    fill(loop.store, changes=changes)
    notes = [(day - number % 7 * DAY, Verdict.WRONG if number % 2 else Verdict.RIGHT) for number in range(60)]
    notes += [(day - (7 + number % 28) * DAY, Verdict.RIGHT) for number in range(90)]
    for number, (said_on, verdict) in enumerate(notes):
        at = datetime.combine(said_on, datetime.min.time(), tzinfo=timezone.utc) + HOUR
        talk = content_id("talk", NOW.replace(minute=0) - DAY, 0)
        note = Annotation(f"{number:016x}", f"{number:016x}", talk, "ann", at, at, verdict, "greet", "refund", "")
        assert loop.store.save_annotation(note, None)
    found = check_alerts(loop)
    assert kinds(found) == {
        AlertKind.BACKEND,
        AlertKind.CONFIDENCE,
        AlertKind.TRAFFIC,
        AlertKind.ACCURACY,
        AlertKind.DRIFT,
    }
    drift = next(alert for alert in found if alert.kind is AlertKind.DRIFT)
    assert "voucher" in drift.what
    assert len(loop.store.audit_rows()) == len([row for row in loop.store.audit_rows() if "alert" not in row.what])


def test_silence_is_found_in_hours(loop) -> None:
    fill(loop.store, changes=lambda at: {"count": 0} if at >= NOW - 3 * HOUR - timedelta(minutes=10) else {"count": 9})
    (alert,) = check_alerts(loop)
    assert (alert.kind, alert.severity) == (AlertKind.SILENCE, Severity.CRITICAL)


def test_what_nobody_has_mined_is_no_silence(loop) -> None:
    fill(loop.store, until=NOW - 10 * HOUR, changes=lambda at: {"count": 9})
    (alert,) = check_alerts(loop)
    assert alert.kind is AlertKind.MINING
    assert "10 hours ago" in alert.what
    mined(loop.store, NOW)
    assert AlertKind.MINING in kinds(check_alerts(loop))  # one calm look closes nothing
    assert AlertKind.MINING not in kinds(check_alerts(loop))


def test_openings_are_one_a_person_and_day_and_a_sample_that_does_not_change(loop) -> None:
    fill(loop.store, days=3)
    with loop.store._database.write() as connection:
        connection.execute(sa.update(schema.conversations).values(sender="same"))
    since = NOW - 2 * DAY
    found = loop.store.openings(since, NOW, 60)
    assert [one.day for one in found] == sorted({one.day for one in found})
    fill(loop.store, until=NOW - 30 * DAY, days=2)
    many = loop.store.openings(NOW - 32 * DAY, NOW - 30 * DAY, 7)
    assert many == loop.store.openings(NOW - 32 * DAY, NOW - 30 * DAY, 7)
    assert max(sum(other.day == one.day for other in many) for one in many) == 7


def test_a_clock_that_was_weeks_ahead_stops_no_look(loop) -> None:
    def changes(at):
        return {"count": 20, "fallbacks": 0.7} if at >= NOW - 4 * HOUR else {"fallbacks": 0.01}

    fill(loop.store, changes=changes)
    later(loop, 20 * DAY)
    check_alerts(loop)
    later(loop, -20 * DAY)
    assert AlertKind.FALLBACK in kinds(check_alerts(loop))


def test_a_word_that_one_person_says_every_day_is_told_to_nobody(loop) -> None:
    fill(loop.store, days=40, changes=lambda at: {"words": ("voucher", *WORDS)} if at > NOW - 7 * DAY else {})
    table = schema.conversations
    with loop.store._database.write() as connection:
        ids = connection.execute(sa.select(table.c.conversation_id, table.c.started).order_by(table.c.started)).all()
        last = {row.started.date(): row.conversation_id for row in ids}
        mine = table.c.conversation_id.in_(list(last.values()))
        connection.execute(sa.update(table).where(mine).values(sender="00", opening="i am zeppelina"))
    found = read_drift(loop, (NOW - DAY).date())
    said = {opening.text for opening in loop.store.openings(NOW - 7 * DAY, NOW, 999)}
    assert "i am zeppelina" in said
    assert "zeppelina" not in {word for word, _, _ in found.words}
    assert "voucher" in {word for word, _, _ in found.words}


def test_drift_needs_enough_to_read(loop) -> None:
    fill(loop.store, days=4)
    assert read_drift(loop, (NOW - DAY).date()) is None


# --- the loop's own health ------------------------------------------------------------------------


def job(loop: Loop, number: int, state: JobState, kind: JobKind = JobKind.MINE, at: datetime = NOW - DAY) -> None:
    ended = at if state not in (JobState.QUEUED, JobState.RUNNING) else None
    one = Job(number, kind, state, "schedule", at, finished=ended, started=ended)
    row = {column.key: getattr(one, column.key) for column in schema.jobs.c}
    row.update(kind=kind.value, state=state.value, timings=[])
    with loop.store._database.write() as connection:
        insert(connection, schema.jobs, [row])


def test_jobs_that_fail_in_a_row_are_told_by_kind(loop) -> None:
    job(loop, 1, JobState.FAILED)
    assert check_alerts(loop) == ()
    job(loop, 2, JobState.FAILED, JobKind.RETRAIN)
    job(loop, 3, JobState.FAILED, JobKind.RETRAIN)
    job(loop, 4, JobState.CANCELLED, JobKind.RETRAIN)
    (alert,) = check_alerts(loop)
    assert (alert.kind, alert.subject) == (AlertKind.JOBS, "retrain")
    assert "The last 2 jobs" in alert.what
    job(loop, 5, JobState.BLOCKED, JobKind.RETRAIN)  # the gate said no: that is no failure
    check_alerts(loop)
    assert check_alerts(loop) == ()


def test_a_job_that_nobody_does_is_told(loop) -> None:
    job(loop, 1, JobState.QUEUED, JobKind.RETRAIN, at=NOW - 3 * HOUR)
    (alert,) = check_alerts(loop)
    assert (alert.kind, alert.subject, alert.since) == (AlertKind.WAITING, "retrain", NOW - 3 * HOUR)


def test_a_job_that_waits_while_a_worker_lives_is_no_alert(loop) -> None:
    job(loop, 1, JobState.QUEUED, JobKind.RETRAIN, at=NOW - 3 * HOUR)
    loop.store.beat_worker("host:1", {JobKind.RETRAIN}, NOW, NOW - HOUR)
    assert check_alerts(loop) == ()


def test_an_old_model_is_told(loop) -> None:
    loop.store.save_deployed_model(DeployedModel("old.tar.gz", NOW - 100 * DAY, ""))
    loop.store.settle_model("old.tar.gz", "ann", NOW)
    assert check_alerts(loop) == ()
    later(loop, 90 * DAY, is_mined=False)
    (alert,) = check_alerts(loop)
    assert alert.kind is AlertKind.MODEL_AGE
    assert "old.tar.gz has run for 6 months" in alert.what


def test_an_audit_log_that_somebody_changed_is_critical(loop) -> None:
    loop.store.note(NOW, "ann", "setting", "x", "1", "2")
    loop.store.note(NOW, "ann", "setting", "x", "2", "3")
    mined(loop.store, NOW)
    assert check_alerts(loop) == ()
    with loop.store._database.write() as connection:
        unguard_audit(connection)
        connection.execute(sa.update(schema.audit).where(schema.audit.c.seq == 1).values(who="bob"))
    later(loop, DAY)
    (alert,) = check_alerts(loop)
    assert (alert.kind, alert.severity) == (AlertKind.AUDIT, Severity.CRITICAL)
    assert "row 1 was altered" in alert.what


def test_a_critical_gap_is_told_by_a_name_that_is_kept_nowhere_and_can_do_no_harm(loop) -> None:
    name = "<b>loyalty</b> points [x](http://evil.example) @channel"
    one = gap(people=9, week=7, priority=Priority.CRITICAL, name=name)
    loop.store.save_grouping([one], {}, "m", {}, {}, {}, (), "")
    people = FakeNotifier()
    (alert,) = check_alerts(loop)
    assert (alert.kind, alert.link) == (AlertKind.GAP, f"/gaps/{one.gap_id}")
    assert "loyalty" in alert.what
    assert "7 people in the last week, 9 in all" in alert.what
    (kept,) = loop.store.alerts()
    assert "loyalty" not in kept.what
    tell_alerts(loop, people)
    message = people.sent[0][1]
    for form in (message.text, message.html, message.markdown):
        assert "loyalty" in form
        assert "<b>loyalty" not in form
        assert "evil.example" not in form
        assert "@channel" not in form
        assert "](http://evil" not in form


# --- telling people -------------------------------------------------------------------------------


def put(loop: Loop, *names: str, severity: Severity = Severity.WARNING, kind: AlertKind = AlertKind.DRIFT) -> None:
    """Open alerts by hand."""
    now = loop.now()
    made = [
        Alert(content_id("a", name), kind, name, severity, f"title {name}", "what", "next", "/status", now, now, now)
        for name in names
    ]
    loop.store.update_alerts(lambda alerts: made, now, {})


def test_a_day_has_only_so_many_messages_and_the_last_is_for_what_is_critical(loop) -> None:
    people, limit = FakeNotifier(), loop.settings.alerts.notices_a_day
    for number in range(limit + 2):
        put(loop, f"w{number}")
        told = tell_alerts(loop, people)
    assert len(people.sent) == limit - 1
    assert told.waiting == 3
    put(loop, "c", severity=Severity.CRITICAL)
    tell_alerts(loop, people)
    assert len(people.sent) == limit
    assert people.sent[-1][1].title == "Evergreen alerts: 4 new, 1 critical"  # with those that had to wait
    assert "the last message about alerts today" in people.sent[-1][1].text
    put(loop, "d", severity=Severity.CRITICAL)
    assert tell_alerts(loop, people).waiting == 1
    loop.now.now += DAY
    tell_alerts(loop, people)
    assert people.sent[-1][1].title == "Evergreen: title d"


def test_many_alerts_are_one_message_that_is_not_endless(loop) -> None:
    put(loop, *(f"n{number}" for number in range(40)))
    people = FakeNotifier()
    tell_alerts(loop, people)
    ((_, message),) = people.sent
    assert message.title == "Evergreen alerts: 40 new"
    assert message.text.count("title n") == 15
    assert "And 25 more" in message.text


def test_who_is_not_reached_is_told_and_what_reached_nobody_is_tried_again(loop) -> None:
    people = FakeNotifier("email #1", "Slack #1")
    put(loop, "a")
    people.away = {"email #1", "Slack #1"}
    told = tell_alerts(loop, people)
    assert told.message == "nobody was reached: email #1 did not answer; Slack #1 did not answer"
    people.away = {"Slack #1"}
    told = tell_alerts(loop, people)
    assert told.message == "1 alerts told to 1 targets; not reached: Slack #1 did not answer"
    people.away = set()
    assert tell_alerts(loop, people).message == "nothing to tell"


def test_a_crash_after_sending_tells_again_and_never_not_at_all(loop) -> None:
    class Dies(FakeNotifier):
        def send(self, message, to):
            super().send(message, to)
            raise KeyboardInterrupt

    put(loop, "a")
    people = Dies()
    with pytest.raises(KeyboardInterrupt):
        tell_alerts(loop, people)
    again = FakeNotifier()
    tell_alerts(loop, again)
    assert (len(people.sent), len(again.sent)) == (1, 1)


def test_what_closes_while_the_message_goes_out_is_told_as_over(loop) -> None:
    class Slow(FakeNotifier):
        def send(self, message, to):
            now = loop.now()
            loop.store.update_alerts(lambda alerts: [replace(one, closed_at=now) for one in alerts], now, {})
            return super().send(message, to)

    put(loop, "a")
    tell_alerts(loop, Slow())
    people = FakeNotifier()
    tell_alerts(loop, people)
    assert [message.title for _, message in people.sent] == ["Evergreen: over: title a"]


def test_a_digest_with_many_alerts_is_not_endless(loop) -> None:
    put(loop, *(f"n{number}" for number in range(40)))
    message = digest_message(build_digest(loop, (NOW - DAY).date(), (NOW - DAY).date()), "http://hub")
    for form in (message.text, message.html):
        assert len(set(re.findall(r"title n\d+", form))) == 15
        assert "25 more" in form


def test_without_targets_nothing_is_taken_for_told(loop) -> None:
    put(loop, "a")
    nobody = FakeNotifier()
    nobody.people = ()
    assert "EVERGREEN_NOTIFY_URLS" in tell_alerts(loop, nobody).message
    assert open_alerts(loop)[0].told_at is None


def test_snoozing_and_closing_are_audited_and_checked(loop) -> None:
    put(loop, "a", "b")
    one, other = open_alerts(loop)
    done = snooze(loop, one.alert_id[:6], NOW + DAY, "ann", "known")
    assert open_alerts(loop)[0].snoozed_until == done.snoozed_until == NOW + DAY
    people = FakeNotifier()
    tell_alerts(loop, people)
    assert people.sent[0][1].title == f"Evergreen: {other.title}"
    close(loop, one.alert_id, "ann", "we live with it")
    assert [alert.alert_id for alert in open_alerts(loop)] == [other.alert_id]
    rows = [(row.what, row.item, row.who, row.reason) for row in loop.store.audit_rows()]
    assert rows == [
        ("snooze alert", one.alert_id, "ann", "known"),
        ("close alert", one.alert_id, "ann", "we live with it"),
    ]
    assert loop.store.verify_audit() == []
    with pytest.raises(ReviewError, match="closed by ann"):
        close(loop, one.alert_id, "bob")
    with pytest.raises(ReviewError, match="90 days"):
        snooze(loop, other.alert_id, NOW - DAY, "ann")
    with pytest.raises(ReviewError, match="90 days"):
        snooze(loop, other.alert_id, NOW + 91 * DAY, "ann")
    with pytest.raises(NotFound):
        close(loop, "ffff", "ann")


def test_a_person_with_an_old_page_changes_nothing(loop) -> None:
    put(loop, "a")
    (seen,) = open_alerts(loop)
    close(loop, seen.alert_id, "ann")
    with pytest.raises(StoreError, match="not as it was seen"):
        loop.store.change_alert(seen, replace(seen, snoozed_until=NOW + DAY), "snooze alert", "bob", NOW)


def test_the_command_line_looks_lists_and_closes(loop, monkeypatch) -> None:
    root = loop.settings.root
    monkeypatch.delenv("EVERGREEN_NOTIFY_URLS", raising=False)
    put(loop, "a")

    def call(*arguments: str):
        return CliRunner().invoke(cli, ["--project", str(root), *arguments])

    assert "title a" in call("alerts", "list").stdout
    (alert,) = json.loads(call("alerts", "list", "--json").stdout)
    assert (alert["kind"], alert["severity"], alert["told_at"]) == ("drift", "warning", None)
    done = call("alerts", "snooze", alert["alert_id"][:8], "--hours", "2", "--who", "ann")
    assert done.exit_code == 0, done.stdout
    assert "snoozed until" in call("alerts", "list").stdout
    checked = call("alerts", "check", "--tell")
    assert checked.exit_code == 0, checked.stdout
    assert "EVERGREEN_NOTIFY_URLS" in checked.stdout
    assert "closed" in call("alerts", "close", alert["alert_id"][:8], "--reason", "fixed").stdout
    assert "Nothing is wrong" in call("alerts", "list").stdout
    assert "Nobody" in call("notify", "list").stdout


@pytest.mark.service
def test_postgresql_keeps_alerts_and_adds_up_hours_the_same(postgres_url, loop, tmp_path) -> None:
    other = make_loop(make_project(tmp_path / "pg"), url=postgres_url, now=Clock(NOW))
    for one in (loop, other):
        fill(one.store, changes=lambda at: {"count": 20, "fallbacks": 0.7} if at >= NOW - 4 * HOUR else {})
    for since in (NOW - 60 * DAY, NOW - DAY):
        mine, theirs = (one.store.hours(since, NOW) for one in (loop, other))
        assert len(mine) == len(theirs)
        for here, there in zip(mine, theirs, strict=True):
            assert (here.at, here.conversations, here.fallbacks) == (there.at, there.conversations, there.fallbacks)
            assert here.sure == pytest.approx(there.sure)
    assert loop.store.openings(NOW - 3 * DAY, NOW, 9) == other.store.openings(NOW - 3 * DAY, NOW, 9)
    assert [alert.what for alert in check_alerts(loop)] == [alert.what for alert in check_alerts(other)]
    tell_alerts(other, FakeNotifier())
    (alert,) = open_alerts(other)
    assert alert.told_at == NOW
    assert not close(other, alert.alert_id, "ann").is_open
