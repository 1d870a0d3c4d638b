"""The numbers for a monitor: all of them, as its own parser reads them, for whoever may; counters never fall."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub.settings import load_hub_settings
from learning.alert_records import Alert, AlertKind, Severity
from learning.errors import SettingsError
from learning.exams import EvaluationRow, SuiteCount
from learning.exposition import WINDOWS, name_of, render
from learning.exposition_state import LEAST_CONVERSATIONS
from learning.metrics import METRICS
from learning.metrics_report import Period, read_report
from learning.model import DeployedModel, Job, JobKind, JobState, Outcome, ProposalState, ServiceCall, Signal
from tests.hub_world import HOSTILE, NOW, World, a_proposal, fill
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import mined, turn

PATH = "/metrics/prometheus"
TOKEN = "t" * 40
OUTCOMES = {Outcome.ESCALATED: "asked", Outcome.ABANDONED: "rated_down"}


def talk(world: World, number: int, channel: str = "web", said: dict | None = None, **more: Any) -> None:
    ended = NOW - timedelta(days=1 + number % 20, hours=1)
    outcome = list(Outcome)[1 + number % 3]
    values = {
        "turns": (turn(f"message {number}", channel=channel, csat=1 + number % 5, thumbs=1, **(said or {})),),
        "conversation_id": f"{number:016x}",
        "started": ended - timedelta(minutes=2),
        "last_at": ended,
        "first_row": 2 * number,
        "last_row": 2 * number + 1,
        "outcome": outcome,
        "reason": OUTCOMES.get(outcome, ""),
        "agent_at": ended if outcome is Outcome.ESCALATED else None,
        "signals": (Signal("rephrase", 1.0, "said again"),),
        "calls": (ServiceCall("shop", "balance", "unavailable" if number % 2 else "ok", 20.0),),
    }
    world.store.save_batch([mined(f"person{number}", f"message {number}", **{**values, **more})], [], None)


@pytest.fixture
def filled(world: World) -> World:
    for number in range(1, 31):
        talk(world, number)
    world.store.count_days()
    return world


def samples(world: World) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(render(world.loop).decode()))
    assert len({family.name for family in families}) == len(families), "each family is written once"
    assert all(family.documentation for family in families)
    found = [sample for family in families for sample in family.samples]
    read = {(one.name, tuple(sorted(one.labels.items()))): one.value for one in found}
    assert len(read) == len(found), "each sample is written once"
    return read


def value(world: World, name: str, **labels: str) -> float | None:
    return samples(world).get((f"evergreen_{name}", tuple(sorted(labels.items()))))


def test_every_metric_is_told_with_its_definition_and_the_value_of_the_report(filled):
    families = {family.name: family for family in text_string_to_metric_families(render(filled.loop).decode())}
    until = NOW.date() - timedelta(days=1)
    for metric in METRICS:
        family = families[name_of(metric)]
        assert family.documentation.startswith(metric.definition.replace("\n", " "))
        assert family.type == "gauge"
        told = {sample.labels["window"]: sample.value for sample in family.samples}
        for window, length in WINDOWS.items():
            report = read_report(filled.loop, Period(until - timedelta(days=length - 1), until))
            estimate = report.line(metric.key).value.estimate
            assert told.get(window) == (None if estimate is None else estimate.value), (metric.key, window)
    assert {metric.key for metric in METRICS if not families[name_of(metric)].samples} == set()


def test_a_new_database_has_no_number_that_nobody_measured(world):
    found = samples(world)
    assert value(world, "resolution_ratio", window="7d") is None
    assert value(world, "conversations", window="7d") == 0
    assert ("evergreen_overlay_version", ()) in found


def test_channels_are_told_apart_and_add_up(filled):
    for number in range(31, 71):
        talk(filled, number, channel="slack")
    filled.store.count_days()
    both = value(filled, "conversations", window="28d")
    each = [value(filled, "channel_conversations", channel=one, window="28d") for one in ("web", "slack")]
    assert (both, each) == (70, [30, 40])


def test_what_a_customer_writes_is_no_label(filled):
    for number in range(100, 100 + 2 * LEAST_CONVERSATIONS):
        call = ServiceCall(HOSTILE[:60], "refund\n", "ok", 5.0)
        talk(filled, number, channel=HOSTILE[:60] if number % 2 else "jane doe, 12 main street", calls=(call,))
    talk(filled, 500, channel="mrs-miller")
    filled.store.count_days()
    assert value(filled, "conversations", window="28d") == 31 + 2 * LEAST_CONVERSATIONS
    labels = " ".join(said for _, pairs in samples(filled) for _, said in pairs)
    assert "web" in labels
    for word in ("script", "jane", "miller", "refund", "message"):
        assert word not in labels, word


def test_counters_never_fall(filled):
    before = {key: count for key, count in samples(filled).items() if key[0].endswith("_total")}
    assert before["evergreen_conversations_ended_total", (("outcome", "resolved"),)] == 10
    assert before["evergreen_conversations_failed_total", (("signal", "rephrase"),)] == 30
    assert before["evergreen_backend_calls_total", (("operation", "shop.balance"), ("outcome", "ok"))] == 15
    filled.store.erase("person3", (), lambda texts: "", NOW, "me", NOW)
    talk(filled, 4, outcome=Outcome.RESOLVED, reason="", last_at=NOW - timedelta(hours=3), last_row=10)  # it went on
    filled.store.count_days()
    after = {key: count for key, count in samples(filled).items() if key[0].endswith("_total")}
    assert {key: (count, after.get(key)) for key, count in before.items() if after.get(key, -1) < count} == {}
    assert value(filled, "conversations", window="28d") == 28, "one is forgotten, and one is of today now"
    talk(filled, 200)
    filled.store.count_days()
    ended = "evergreen_conversations_ended_total"
    grown = sum(count for key, count in samples(filled).items() if key[0] == ended) - sum(
        count for key, count in after.items() if key[0] == ended
    )
    assert grown == 1


def test_totals_begin_with_what_an_older_version_has_counted(filled):
    before = {key: count for key, count in samples(filled).items() if key[0].endswith("_total")}
    with filled.store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM metric_totals")
        connection.exec_driver_sql("DELETE FROM meta WHERE key = 'metrics_version'")
    filled.store.count_days()
    assert {key: count for key, count in samples(filled).items() if key[0].endswith("_total")} == before


def test_jobs_count_when_they_end_and_stay_counted(world):
    for number in range(3):
        at = NOW + timedelta(minutes=number)
        job = world.store.add_job(Job(0, JobKind.MINE, JobState.QUEUED, "ann", at))
        assert value(world, "jobs", job="mine", state="queued") == 1
        claimed = world.store.claim_job((JobKind.MINE,), "w", at, at - timedelta(minutes=1))
        state = JobState.FAILED if number == 2 else JobState.DONE
        world.store.end_job(replace(claimed, state=state, finished=at))
        assert job.number == number + 1
    queued = world.store.add_job(Job(0, JobKind.RETRAIN, JobState.QUEUED, "ann", NOW))
    world.store.cancel_job(queued.number, "ann", "", NOW, ())
    assert value(world, "jobs_ended_total", job="mine", state="done") == 2
    assert value(world, "jobs_ended_total", job="mine", state="failed") == 1
    assert value(world, "jobs_ended_total", job="retrain", state="cancelled") == 1
    assert value(world, "jobs", job="mine", state="queued") is None
    last = (NOW + timedelta(minutes=1)).timestamp()
    assert value(world, "job_last_success_timestamp_seconds", job="mine") == last
    world.store.record_run("mine", NOW, NOW + timedelta(minutes=9), "ok", {})
    world.store.record_run("mine", NOW, NOW + timedelta(minutes=20), "blocked", {})
    assert value(world, "job_last_success_timestamp_seconds", job="mine") == (NOW + timedelta(minutes=9)).timestamp()


def test_where_the_loop_stands(world):
    fill(world.store, a_proposal(1))
    fill(world.store, a_proposal(2))
    approved = a_proposal(3, state=ProposalState.APPROVED)
    fill(world.store, approved)
    live = replace(approved, state=ProposalState.PUBLISHED)
    world.store.publish(approved, live, "e" * 16, np.zeros((2, 4)), "fake", "ann", NOW)
    world.store.save_deployed_model(DeployedModel("m1.tar.gz", NOW, ""))
    world.store.settle_model("m1.tar.gz", "ann", NOW)
    assert value(world, "proposals", state="pending") == 2
    assert value(world, "proposals", state="published") == 1
    assert value(world, "gaps", priority="medium") == 2, "the third is answered"
    assert value(world, "entries", state="published", kind="answer") == 1
    assert value(world, "releases_total", what="publish") == 1
    assert value(world, "overlay_version") == world.store.overlay_version() > 0
    assert value(world, "model_info", model="m1.tar.gz") == 1
    assert value(world, "model_live_timestamp_seconds", model="m1.tar.gz") == NOW.timestamp()


def test_what_is_wrong_and_how_the_model_did(world):
    suites = (SuiteCount("holdout", 9, 10, "e" * 16), SuiteCount("stories", 0, 0, note="the action server is away"))
    world.store.save_evaluation(EvaluationRow(0, NOW, "m1.tar.gz", suites))
    alert = Alert(
        "a" * 16,
        AlertKind.GAP,
        "g1",
        Severity.CRITICAL,
        "a gap",
        "5 people",
        "look",
        "/",
        NOW,
        opened_at=NOW,
        seen_at=NOW,
    )
    world.store.update_alerts(lambda alerts: [alert], closed_since=NOW, seen={})
    assert value(world, "alerts_open", kind="gap", severity="critical") == 1
    assert value(world, "evaluation_ratio", suite="holdout") == 0.9
    assert value(world, "evaluation_ratio", suite="stories") is None
    assert value(world, "evaluation_timestamp_seconds") == NOW.timestamp()


def test_who_may_read_it(world):
    def ask(client: Any, **headers: str) -> Any:
        return client.get(PATH, headers=headers)

    nobody = world.client(None)
    assert ask(nobody).status_code == 401
    assert ask(nobody, authorization="Bearer ").status_code == 401, "no token is set: none fits"
    world.app.state.hub = replace(
        world.app.state.hub, settings=replace(world.app.state.hub.settings, metrics_token=TOKEN)
    )
    assert ask(nobody).headers["www-authenticate"] == "Bearer"
    for wrong in (
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \u00e9".encode("latin-1").decode("latin-1"),
    ):
        assert ask(nobody, authorization=wrong.encode("latin-1")).status_code == 401
    answer = ask(nobody, authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert list(text_string_to_metric_families(answer.text))
    assert ask(world.client(role="viewer")).status_code == 200
    assert ask(world.client("agnes", role="agent")).status_code == 403


def test_a_token_that_can_be_guessed_is_refused(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load_hub_settings(tmp_path, {"EVERGREEN_METRICS_TOKEN": "short"})
    assert "EVERGREEN_METRICS_TOKEN" in str(caught.value)
    assert load_hub_settings(tmp_path, {"EVERGREEN_METRICS_TOKEN": TOKEN}).metrics_token == TOKEN
    assert TOKEN not in repr(load_hub_settings(tmp_path, {"EVERGREEN_METRICS_TOKEN": TOKEN}))
