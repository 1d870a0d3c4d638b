"""The status page: alerts that are looked at, put off and closed, the schedule, and who may do what."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.texts import status as words
from learning import scheduling
from learning.alert_records import Alert, AlertKind, Severity
from learning.exams import EvaluationRow, SuiteCount
from learning.model import Job, JobKind, JobState
from tests.hub_world import HOSTILE, NOW, Page, World, post
from tests.hub_world import project as project
from tests.hub_world import world as world

STATUS = "/status"


def open_one(world: World, number: int = 1, **changes: object) -> Alert:
    alert = Alert(
        alert_id=f"{number:016x}",
        kind=AlertKind.FALLBACK,
        subject="",
        severity=Severity.WARNING,
        title=f"More messages are not understood ({number})",
        what="12 % of the conversations since noon; 4 % are usual.",
        next_step="Look at the newest ones.",
        link="/conversations?signal=fallback",
        since=NOW - timedelta(hours=2),
        opened_at=NOW - timedelta(hours=1),
        seen_at=NOW,
    )
    made = replace(alert, **changes)
    world.store.update_alerts(lambda alerts: [made], closed_since=NOW - timedelta(days=1), seen={})
    return made


def test_a_quiet_loop_says_that_nothing_is_wrong_and_that_nothing_runs_by_itself(world):
    html = world.client().get(STATUS).text
    assert words.ALERTS_NONE in html
    assert words.NO_LEADER in html
    for kind in scheduling.planned(world.loop.settings.schedule):
        assert words.name_of(kind) in html
    assert words.open_alerts(1) not in world.client().get("/").text


def test_an_alert_says_what_and_since_when_and_what_to_do_and_the_inbox_leads_to_it(world):
    alert = open_one(world)
    client = world.client()
    html = client.get(STATUS).text
    for part in (alert.title, alert.what, alert.next_step, 'href="/conversations?signal=fallback"'):
        assert part in html
    assert "21 Nov 2025, 10:00 UTC" in html
    inbox = client.get("/").text
    assert words.INBOX_ALERTS.format(count="1 alert is open") in inbox
    assert 'href="/status#alerts"' in inbox


def test_an_alert_is_put_off_and_leaves_the_inbox_but_not_the_page(world):
    alert = open_one(world)
    client = world.client()
    address = f"{STATUS}/alerts/{alert.alert_id}/snooze"
    answer = post(client, STATUS, address, {"days": "7", "reason": "known: the sale"})
    assert answer.status_code == 303
    html = client.get(STATUS).text
    assert words.SNOOZED_UNTIL.format(at="28 Nov 2025, 12:00 UTC", who="demo") in html
    assert "known: the sale" in html
    assert words.ALERTS_NONE in html
    assert words.open_alerts(1) not in client.get("/").text
    row = world.store.audit_rows()[-1]
    assert (row.who, row.what, row.reason) == ("demo", "snooze alert", "known: the sale")
    world.clock.at += timedelta(days=8)
    assert words.open_alerts(1) in client.get("/").text


@pytest.mark.parametrize("days", ["", "0", "365", "soon"])
def test_it_is_put_off_for_a_time_that_the_page_offers(world, days):
    alert = open_one(world)
    answer = post(world.client(), STATUS, f"{STATUS}/alerts/{alert.alert_id}/snooze", {"days": days})
    assert (answer.status_code, words.NEED_DAYS in answer.text) == (422, True)


def test_an_alert_is_closed_with_a_reason_and_once(world):
    alert = open_one(world)
    client, address = world.client(), f"{STATUS}/alerts/{alert.alert_id}/close"
    refused = post(client, STATUS, address, {"reason": " "})
    assert (refused.status_code, words.NEED_REASON in refused.text) == (422, True)
    fields = dict(Page(client.get(STATUS).text).forms[address])
    assert client.post(address, data={**fields, "reason": "mended"}).status_code == 303
    assert words.ALERTS_NONE in client.get(STATUS).text
    again = client.post(address, data={**fields, "reason": "mended"})
    assert (again.status_code, "was closed by demo" in again.text) == (409, True)
    assert client.post(f"{STATUS}/alerts/{'9' * 16}/close", data={**fields, "reason": "x"}).status_code == 404
    assert [row.what for row in world.store.audit_rows()][-1] == "close alert"


def test_texts_of_alerts_and_reasons_stay_texts(world):
    open_one(world, title=HOSTILE, what=HOSTILE, next_step=HOSTILE)
    client = world.client()
    scheduling.pause(world.loop, JobKind.MINE, "ann", HOSTILE[:80])
    html = client.get(STATUS).text
    assert "onerror" not in Page(html).attributes
    assert "<script>alert" not in html


def test_a_job_is_paused_resumed_and_run_at_once(world):
    client = world.client()
    assert post(client, STATUS, f"{STATUS}/schedule/digest/pause").status_code == 303
    jobs = {job.name: job for job in scheduling.read_schedule(world.loop).jobs}
    assert (jobs["digest"].is_paused, jobs["digest"].paused_by) == (True, "demo")
    assert "Paused by demo" in client.get(STATUS).text
    assert post(client, STATUS, f"{STATUS}/schedule/digest/resume").status_code == 303
    assert not {job.name: job for job in scheduling.read_schedule(world.loop).jobs}["digest"].is_paused
    fields = dict(Page(client.get(STATUS).text).forms[f"{STATUS}/schedule/mine/run"])
    assert client.post(f"{STATUS}/schedule/mine/run", data=fields).status_code == 303
    (job,) = world.store.jobs(None, JobKind.MINE)
    assert (job.who, job.state) == ("demo", JobState.QUEUED)
    assert client.post(f"{STATUS}/schedule/mine/run", data=fields).status_code == 409
    assert words.OPEN_NOW in client.get(STATUS).text
    assert client.post(f"{STATUS}/schedule/lunch/pause", data=fields).status_code == 404


def test_the_last_run_is_told_with_what_came_of_it(world):
    job = world.store.add_job(Job(0, JobKind.PRUNE, JobState.QUEUED, "schedule", NOW))
    claimed = world.store.claim_job((JobKind.PRUNE,), "w", NOW, NOW)
    world.store.end_job(replace(claimed, state=JobState.FAILED, finished=NOW, message="the disk is full"))
    html = world.client().get(STATUS).text
    assert job.number == 1
    assert "the disk is full" in html
    assert "Failed" in html


def test_the_newest_evaluations_are_shown(world):
    suites = (SuiteCount("holdout", 360, 450, "e" * 16), SuiteCount("stories", 0, 0, note="the action server is away"))
    world.store.save_evaluation(EvaluationRow(0, NOW, "m1.tar.gz", suites, 12.0, 30.0))
    html = world.client().get(STATUS).text
    assert "360 of 450" in html
    assert 'href="/retraining#evaluations"' in html


def test_whoever_only_looks_changes_nothing(world):
    alert = open_one(world)
    viewer = world.client(role="viewer")
    html = viewer.get(STATUS).text
    assert alert.title in html
    assert set(Page(html).forms) == {"/logout"}
    fields = dict(Page(html).forms["/logout"])
    for what in (f"alerts/{alert.alert_id}/close", f"alerts/{alert.alert_id}/snooze", "schedule/mine/run"):
        answer = viewer.post(f"{STATUS}/{what}", data={**fields, "reason": "x", "days": "7"})
        assert answer.status_code == 403
    assert world.store.alert(alert.alert_id).is_open
    assert world.client("agnes", role="agent").get(STATUS).status_code == 403
