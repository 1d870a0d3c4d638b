"""Trainings and models in the hub, with a real queue and fakes in place of Rasa."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.retraining.pages import TOPICS
from hub.texts import retraining as retraining_texts
from learning.adapters import schema
from learning.bootstrap import App
from learning.exams import EvaluationRow, RegressionCase, SuiteCount
from learning.jobs import MODEL_JOBS, SILENT, TRAIN, ask
from learning.model import JobKind, JobState, WatchedModel
from learning.tasks import tasks_of
from learning.working import Worker
from tests.hub_world import HOSTILE, Page, TestClient, World, post
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import START, FakeNlu, FakeServer, make_project

HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
HOME = "/retraining"


class Bench:
    """A hub, and a worker that trains with fakes when it is told to."""

    def __init__(self, world: World) -> None:
        make_project(world.root)
        models = world.root / "models"
        models.mkdir()
        (models / "old.tar.gz").write_bytes(b"old")
        self.world = world
        self.server = FakeServer(models / "old.tar.gz")
        self.nlu = FakeNlu(lambda model, text: HOLDOUT.get(text, "nlu_fallback"))
        app = App(world.loop.settings)
        app.__dict__.update(loop=world.loop, nlu=self.nlu, server=self.server)
        self.worker = Worker(world.loop, tasks_of(app), threading.Event(), "w")

    def gets_worse(self) -> None:
        self.nlu.understands = lambda model, text: HOLDOUT.get(text, "") if model.startswith("old") else HOSTILE

    def train(self, client: TestClient, **changes: Any) -> str:
        assert post(client, HOME, "/retraining/start", changes).status_code == 303
        assert self.worker.work_once()
        return str(client.get(HOME).text)


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def test_a_training_is_asked_for_once_and_done_by_a_worker(bench: Bench, client: TestClient) -> None:
    html = client.get(HOME).text
    assert retraining_texts.NO_WORKER in html
    assert retraining_texts.NO_COMPARISON in html
    fields = dict(Page(html).forms["/retraining/start"])
    assert client.post("/retraining/start", data={**fields, "reason": HOSTILE}).status_code == 303
    again = client.post("/retraining/start", data=fields)
    assert (again.status_code, "asked for already (job 1, by demo)" in again.text) == (409, True)
    waiting = client.get(HOME).text
    assert retraining_texts.WAITS_FOR_WORKER in waiting
    assert "/retraining/start" not in Page(waiting).forms
    assert "<script>alert" not in waiting
    assert bench.worker.work_once()
    html = client.get(HOME).text

    assert retraining_texts.WENT_LIVE in html
    assert retraining_texts.NOISE_NONE in html
    assert "2 (100.0 %)" in html
    assert bench.server.model.name.removesuffix(".tar.gz") in html
    assert client.get("/retraining/1").status_code == 200
    assert client.get("/retraining/99").status_code == 404


def test_a_training_at_work_tells_how_far_it_is_and_is_cancelled(bench: Bench, client: TestClient) -> None:
    seen: list[str] = []

    def look() -> None:
        bench.world.clock.at += timedelta(seconds=75)
        html = client.get(HOME).text
        seen.append(html)
        assert post(client, HOME, "/jobs/1/cancel").status_code == 303
        seen.append(client.get(HOME).text)

    bench.nlu.on_train = look
    html = bench.train(client)

    assert "<progress" in seen[0]
    assert retraining_texts.PROGRESS_UNKNOWN.format(seconds="1 min 15 s") in seen[0]
    assert retraining_texts.STEP_NOW.format(seconds="1 min 15 s") in seen[0]
    assert retraining_texts.STOPPING.format(who="demo") in seen[1]
    assert "/jobs/1/cancel" not in Page(seen[1]).forms
    assert retraining_texts.STATES[JobState.CANCELLED] in html
    assert bench.server.model.name == "old.tar.gz"


def test_a_job_whose_worker_is_silent_is_told(bench: Bench, client: TestClient) -> None:
    world, store = bench.world, bench.world.store
    ask(world.loop, JobKind.RETRAIN, "ann")
    job = store.claim_job(MODEL_JOBS, "gone", world.clock(), world.clock() - SILENT)
    assert job is not None
    store.save_job_step(replace(job, step=TRAIN, step_at=world.clock()))
    world.clock.at += SILENT + timedelta(seconds=1)

    assert retraining_texts.SILENT in client.get(HOME).text


def test_a_blocked_model_goes_live_only_by_an_admin_with_a_reason(bench: Bench, client: TestClient) -> None:
    bench.gets_worse()
    html = bench.train(client)
    assert retraining_texts.BLOCKED in html
    assert "<script>alert" not in html  # what the model said is no text of ours
    action = "/retraining/1/deploy"
    reviewer = bench.world.client(role="reviewer")
    assert action not in Page(reviewer.get(HOME).text).forms
    assert retraining_texts.OVERRIDE_ADMIN in reviewer.get(HOME).text
    csrf = dict(Page(reviewer.get(HOME).text).forms["/retraining/start"])["csrf"]
    assert reviewer.post(action, data={"csrf": csrf, "reason": "please"}).status_code == 403
    silent = post(client, HOME, action)
    assert (silent.status_code, retraining_texts.NEED_REASON in silent.text) == (422, True)
    assert post(client, HOME, action, {"reason": "the hold-out is old"}).status_code == 303
    assert bench.worker.work_once()

    assert bench.server.model.name != "old.tar.gz"
    assert (
        "the hold-out is old" in [row for row in bench.world.store.audit_rows() if row.what == "run model"][-1].reason
    )
    html = client.get(HOME).text
    assert action not in Page(html).forms
    assert post(client, HOME, "/retraining/back", {"model": "x", "reason": ""}).status_code in (422, 303)


def test_a_model_waits_for_somebody_and_a_former_one_comes_back(bench: Bench, client: TestClient) -> None:
    assert retraining_texts.NOT_LIVE in bench.train(client, deploy="")
    assert post(client, HOME, "/retraining/1/deploy").status_code == 303
    assert bench.worker.work_once()
    new = bench.server.model.name
    assert retraining_texts.WENT_LIVE in client.get("/retraining/1").text
    html = client.get(HOME).text
    assert Page(html).forms["/retraining/back"][1] == ("model", "old.tar.gz")
    silent = post(client, HOME, "/retraining/back")
    assert (silent.status_code, retraining_texts.NEED_REASON in silent.text) == (422, True)
    assert post(client, HOME, "/retraining/back", {"reason": "it was better"}).status_code == 303
    assert bench.worker.work_once()

    assert (bench.server.model.name, new != "old.tar.gz") == ("old.tar.gz", True)
    assert retraining_texts.ROLLED_BACK in client.get(HOME).text


def test_a_model_of_data_that_went_back_goes_live_only_by_an_admin_with_a_reason(
    bench: Bench, client: TestClient
) -> None:
    bench.train(client, deploy="")
    store = bench.world.store
    card = store.job(1).report["card"]
    gone = WatchedModel("evergreen-1.tar.gz", "old.tar.gz", START, "rolled_back", data=card["data"], said=HOSTILE)
    store.save_watched_model(gone)
    action = "/retraining/1/deploy"
    reviewer = bench.world.client(role="reviewer")
    html = reviewer.get(HOME).text
    assert (action in Page(html).forms, retraining_texts.OVERRIDE_ADMIN in html) == (False, True)
    csrf = dict(Page(html).forms["/retraining/start"])["csrf"]
    assert reviewer.post(action, data={"csrf": csrf, "reason": "please"}).status_code == 403
    assert post(client, HOME, action).status_code == 422
    html = client.get(HOME).text
    assert ("went back by itself" in html, "<script>alert" in html) == (True, False)
    assert post(client, HOME, action, {"reason": "that was the shop"}).status_code == 303
    assert bench.worker.work_once()

    assert bench.server.model.name != "old.tar.gz"
    ran = [row.reason for row in store.audit_rows() if row.what == "run model"][-1]
    assert "against the gate (but evergreen-1.tar.gz" in ran


def test_what_was_learned_of_a_model_after_it_was_asked_for_counts(bench: Bench, client: TestClient) -> None:
    bench.train(client, deploy="")
    assert post(client, HOME, "/retraining/1/deploy").status_code == 303
    data = bench.world.store.job(1).report["card"]["data"]
    gone = WatchedModel("evergreen-1.tar.gz", "old.tar.gz", START, "rolled_back", data=data, said="worse")
    bench.world.store.save_watched_model(gone)
    assert bench.worker.work_once()

    assert bench.server.model.name == "old.tar.gz"
    assert "did not pass the gate" in bench.world.store.job(2).message


def test_a_damaged_model_does_not_go_live(bench: Bench, client: TestClient) -> None:
    bench.train(client, deploy="")
    path = bench.world.loop.settings.path(bench.world.store.job(1).report["candidate"])
    path.write_bytes(b"half a mod")
    assert post(client, HOME, "/retraining/1/deploy").status_code == 303
    assert bench.worker.work_once()

    assert (bench.server.model.name, "is damaged" in bench.world.store.job(2).message) == ("old.tar.gz", True)


def test_a_model_that_was_compared_with_a_former_one_is_not_offered(bench: Bench, client: TestClient) -> None:
    bench.train(client, deploy="")
    fields = dict(Page(client.get(HOME).text).forms["/retraining/1/deploy"])
    bench.world.store.settle_model("other.tar.gz", "watch", bench.world.clock())
    html = client.get(HOME).text
    assert retraining_texts.CANDIDATE_LATE in html
    assert "/retraining/1/deploy" not in Page(html).forms
    assert client.post("/retraining/1/deploy", data=fields).status_code == 409


def test_conversations_are_read_now_and_the_live_topic_moves(bench: Bench, client: TestClient) -> None:
    (topic,) = TOPICS
    hub = bench.world.app.state.hub
    before = topic.read(hub)
    csrf = dict(Page(client.get(HOME).text).forms["/retraining/start"])["csrf"]
    assert client.post("/jobs/mine", data={"csrf": csrf}).status_code == 303

    assert topic.read(hub) != before
    assert retraining_texts.KINDS[JobKind.MINE] in client.get(HOME).text
    assert client.post("/jobs/99/cancel", data={"csrf": csrf}).status_code == 404


def test_a_viewer_sees_and_changes_nothing(bench: Bench, client: TestClient) -> None:
    bench.train(client, deploy="")
    html = bench.world.client(role="viewer").get(HOME).text

    assert not [action for action in Page(html).forms if action.startswith(("/retraining", "/jobs"))]
    assert retraining_texts.NOT_LIVE in html


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")]
)
def test_times_are_told_as_people_say_them(seconds: float, said: str) -> None:
    assert retraining_texts.duration(seconds) == said


@pytest.mark.parametrize(("share", "said"), [(1.0, "100"), (0.5, "50"), (0.034, "3.4"), (0.00001, "less than 0.1")])
def test_shares_keep_the_digits_that_matter(share: float, said: str) -> None:
    assert retraining_texts.percent(share) == said


def test_every_rule_is_told_with_the_words_of_its_cases(bench: Bench, client: TestClient) -> None:
    store = bench.world.store
    case = RegressionCase(
        "a" * 16, f"loyalty {HOSTILE}", "track_order", "example", "b" * 16, "s" * 16, bench.world.clock()
    )
    store.add_regression_cases([case])
    bench.gets_worse()
    bench.train(client)
    (job,) = store.jobs(1)
    card = dict(job.report["card"])
    lost = {"key": case.key, "expected": "track_order", "before": "track_order", "after": HOSTILE}
    card["rules"] = [
        {**rule, "state": "blocked", "examples": [lost]} if rule["name"] == "regression" else rule
        for rule in card["rules"]
    ]
    with store._database.write() as connection:
        connection.execute(sa.update(schema.jobs).values(report={**job.report, "card": card}))
    html = client.get(HOME).text

    assert retraining_texts.RULES in html
    assert all(name in html for name in retraining_texts.RULE_NAMES.values())
    assert "loyalty" in html
    assert "<script>alert" not in html
    store.drop_regression_case(case.case_id, "ann", bench.world.clock(), "it is hostile")
    html = client.get(HOME).text
    assert "loyalty &lt;" not in html
    assert retraining_texts.CASE_FORGOTTEN in html


def test_evaluations_are_listed_and_compared_on_the_same_cases(bench: Bench, client: TestClient) -> None:
    assert retraining_texts.NO_EVALUATIONS in client.get(HOME).text
    for passed, exam in ((90, "x"), (88, "x"), (95, "other")):
        counts = (SuiteCount("holdout", passed, 100, exam), SuiteCount("stories", 0, 0, "", HOSTILE))
        bench.world.store.save_evaluation(EvaluationRow(0, bench.world.clock(), "m.tar.gz", counts, 5.0, 9.0))
    html = client.get(HOME).text

    assert all(f"{share}.0 %" in html for share in (90, 88, 95))
    assert "-2</span>" in html
    assert "+7</span>" not in html  # other cases: that is no progress
    assert "5 / 9" in html
    assert "<script>alert" not in html
