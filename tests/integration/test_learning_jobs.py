"""Jobs in the background: asked for, done, cancelled, lost with their workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from learning.adapters.rasa_nlu import RasaNlu
from learning.bootstrap import App
from learning.errors import ReviewError, Stopped, StoreError, TrainingError
from learning.jobs import MODEL_JOBS, SILENT, STEPS, TRAIN, ask, cancel, view, worker_is_there
from learning.loop import Loop
from learning.model import Job, JobKind, JobState
from learning.model_card import from_plain
from learning.stopping import stopped_by
from learning.tasks import tasks_of
from learning.working import Outcome, Tell, Worker, do_now
from tests.learning_builders import FakeNlu, FakeServer, make_loop, make_project

HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
DEADLINE = 10.0  # seconds


class MovingClock:
    """Moves on by itself a little with each look, and by hand."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at


class Project:
    """A project with fakes in place of Rasa, and what a worker needs."""

    def __init__(self, root: Path) -> None:
        self.clock = MovingClock()
        self.loop = make_loop(make_project(root), now=self.clock)
        models = self.loop.settings.path("models")
        models.mkdir()
        (models / "old.tar.gz").write_bytes(b"old")
        self.server = FakeServer(models / "old.tar.gz")
        self.nlu = FakeNlu(lambda model, text: HOLDOUT.get(text, "nlu_fallback"))
        self.app = App(self.loop.settings)
        self.app.__dict__.update(loop=self.loop, nlu=self.nlu, server=self.server)
        self.stop = threading.Event()

    def worker(self, name: str = "w", **tasks: Callable[[Job, Tell], Outcome]) -> Worker:
        own = {JobKind(kind): task for kind, task in tasks.items()}
        return Worker(self.loop, {**tasks_of(self.app), **own}, self.stop, name)

    def models(self) -> list[str]:
        return sorted(path.name for path in self.loop.settings.path("models").iterdir())

    def trainings(self) -> list[str]:
        folder = self.loop.settings.path("var/training")
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def audit(self) -> list[tuple[str, str, str]]:
        return [(row.who, row.what, row.after) for row in self.loop.store.audit_rows()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def worse(model: str, text: str) -> str:
    return HOLDOUT.get(text, "") if model.startswith("old") else "greet"


def never() -> None:
    raise AssertionError("it was trained again")


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def retrain(project: Project, **asked: Any) -> Job:
    job = ask(project.loop, JobKind.RETRAIN, "ann", asked=asked)
    assert project.worker().work_once()
    return project.loop.store.job(job.number)


def test_a_job_waits_is_done_and_tells_what_came_of_it(project: Project) -> None:
    asked = ask(project.loop, JobKind.RETRAIN, "ann", "many new entries")
    assert (asked.number, asked.state) == (1, JobState.QUEUED)
    with pytest.raises(StoreError, match=r"asked for already \(job 1, by ann"):
        ask(project.loop, JobKind.RETRAIN, "bob")
    assert project.worker().work_once()
    done = project.loop.store.job(1)

    assert (done.state, done.attempts, done.reason) == (JobState.DONE, 1, "many new entries")
    assert tuple(step for step, _ in done.timings) == STEPS[JobKind.RETRAIN]
    card = from_plain(done.report["card"])
    assert card is not None
    assert (card.before, card.after, card.total, card.champion) == (2, 2, 2, "old.tar.gz")
    assert len(card.data) == 64
    (deployed, *_) = project.loop.store.deployed_models()
    assert from_plain(deployed.card) == card
    assert project.server.model.name == deployed.name == card.challenger
    assert [row[:2] for row in project.audit()][:1] == [("ann", "ask retrain")]
    assert not project.worker().work_once()
    assert project.loop.store.verify_audit() == []


def test_the_next_training_knows_how_long_each_step_takes(project: Project) -> None:
    project.nlu.on_train = lambda: project.clock.__setattr__("at", project.clock.at + timedelta(seconds=30))
    retrain(project)
    begun = threading.Event()
    seen: list[Any] = []

    def half() -> None:
        project.clock.at += timedelta(seconds=15)
        seen.append(view(project.loop, project.loop.store.jobs(1)[0]))
        begun.set()

    project.nlu.on_train = half
    retrain(project)
    (shown,) = seen

    training = next(step for step in shown.steps if step.name == TRAIN)
    assert (training.is_now, round(training.expected), round(training.seconds)) == (True, 30, 15)
    assert 0.4 < shown.share < 0.6
    assert shown.left == pytest.approx(15, abs=1)


def test_what_nobody_timed_yet_has_no_expected_end(project: Project) -> None:
    job = ask(project.loop, JobKind.RETRAIN, "ann")
    shown = view(project.loop, job)

    assert (shown.left, shown.share, shown.seconds) == (None, 0.0, 0.0)
    assert shown.may_be_cancelled


def test_a_cancelled_job_never_begins(project: Project) -> None:
    job = ask(project.loop, JobKind.RETRAIN, "ann")
    assert cancel(project.loop, job.number, "bob", "not now").state is JobState.CANCELLED
    assert not project.worker().work_once()
    with pytest.raises(StoreError, match="is cancelled already"):
        cancel(project.loop, job.number, "bob")
    assert ("bob", "cancel retrain", "cancelled") in project.audit()


def test_a_training_that_is_cancelled_changes_nothing_that_is_live(project: Project) -> None:
    before = project.models()
    project.nlu.on_train = lambda: cancel(project.loop, 1, "bob") and None
    done = retrain(project)

    assert (done.state, done.cancelled_by) == (JobState.CANCELLED, "bob")
    assert project.models() == before
    assert project.server.model.name == "old.tar.gz"
    assert [model.name for model in project.loop.store.deployed_models()] == ["old.tar.gz"]
    project.nlu.on_train = lambda: None
    assert retrain(project).state is JobState.DONE  # nothing is in the way of the next


def test_a_swap_that_has_begun_is_finished(project: Project) -> None:
    load, refused = project.server.load_model, []

    def late(model: Path) -> None:
        with pytest.raises(StoreError, match="cannot be stopped any more"):
            cancel(project.loop, 1, "bob")
        refused.append(model)
        load(model)

    project.server.load_model = late  # type: ignore[method-assign]
    assert retrain(project).state is JobState.DONE
    assert len(refused) == 1


def test_a_real_child_process_is_stopped_within_a_second_or_two(project: Project, tmp_path: Path) -> None:
    nlu = RasaNlu(project.loop.settings)
    began, asked = time.monotonic(), threading.Event()
    pids = tmp_path / "pid"
    code = f"import os, time; open({str(pids)!r}, 'w').write(str(os.getpid())); time.sleep(60)"

    def when_it_runs() -> bool:
        return pids.exists() and pids.read_text() != "" and (asked.set() or True)

    with stopped_by(when_it_runs), pytest.raises(Stopped):
        nlu._run([sys.executable, "-c", code], "rasa train", 60)

    assert asked.is_set()
    assert time.monotonic() - began < DEADLINE
    with pytest.raises(ProcessLookupError):
        os.kill(int(pids.read_text()), 0)


def test_a_slow_child_gets_all_that_it_is_sent(project: Project) -> None:
    """Models take seconds to load before they read a single text."""
    nlu = RasaNlu(project.loop.settings)
    code = "import sys, time; time.sleep(1.2); print(len(sys.stdin.buffer.read()))"
    done = nlu._run([sys.executable, "-c", code], "model", 60, sent=b"x" * 1_000_000, stdout=subprocess.PIPE)

    assert (done.returncode, done.stdout) == (0, b"1000000\n")


def test_a_child_that_takes_too_long_is_ended(project: Project) -> None:
    nlu = RasaNlu(project.loop.settings)
    with pytest.raises(TrainingError, match="took more than 0 s and was stopped"):
        nlu._run([sys.executable, "-c", "import time; time.sleep(60)"], "model", 0)


def test_a_failed_training_says_why(project: Project) -> None:
    def fail() -> None:
        raise TrainingError("failed with exit code 1", "rasa train", "read the log")

    project.nlu.on_train = fail
    done = retrain(project)

    assert (done.state, done.message) == (JobState.FAILED, "rasa train: failed with exit code 1; read the log")
    assert done.step == TRAIN


def test_a_mistake_in_the_code_ends_the_job_and_not_the_worker(project: Project) -> None:
    def wrong(job: Job, say: Tell) -> Outcome:
        raise ZeroDivisionError("a customer's text")

    ask(project.loop, JobKind.MINE, "ann")
    assert project.worker(mine=wrong).work_once()
    done = project.loop.store.job(1)
    assert done.state is JobState.FAILED
    assert "ZeroDivisionError" in done.message
    assert "customer" not in done.message


def test_a_dead_workers_job_begins_again_once_and_then_fails(project: Project) -> None:
    job = ask(project.loop, JobKind.RETRAIN, "ann")
    store, clock = project.loop.store, project.clock
    assert store.claim_job(MODEL_JOBS, "first", clock(), clock() - SILENT) is not None
    assert store.claim_job(MODEL_JOBS, "second", clock(), clock() - SILENT) is None
    clock.at += SILENT + timedelta(seconds=1)
    assert view(project.loop, store.job(1)).is_silent
    again = store.claim_job(MODEL_JOBS, "second", clock(), clock() - SILENT)
    assert again is not None
    assert (again.number, again.worker, again.attempts) == (job.number, "second", 2)
    assert not store.beat_job(1, "first", clock())  # it came back to life, and its job is another's
    assert not store.save_job_step(replace(again, worker="first", step_at=clock()))
    assert not store.end_job(replace(again, worker="first", state=JobState.DONE, finished=clock()))
    clock.at += SILENT + timedelta(seconds=1)
    assert store.claim_job(MODEL_JOBS, "third", clock(), clock() - SILENT) is None
    ended = store.job(1)

    assert (ended.state, "its worker died" in ended.message) == (JobState.FAILED, True)


def test_only_one_job_that_concerns_models_is_at_work(project: Project) -> None:
    ask(project.loop, JobKind.RETRAIN, "ann")
    ask(project.loop, JobKind.MODEL_BACK, "ann", asked={"model": "old.tar.gz"})
    store, clock = project.loop.store, project.clock
    first = store.claim_job(MODEL_JOBS, "a", clock(), clock() - SILENT)

    assert first is not None
    assert first.kind is JobKind.RETRAIN
    assert store.claim_job(MODEL_JOBS, "b", clock(), clock() - SILENT) is None


def test_two_workers_never_take_the_same_job(project: Project) -> None:
    ask(project.loop, JobKind.RETRAIN, "ann")
    taken: list[Job | None] = []
    gate = threading.Barrier(4)

    def grab(name: str) -> None:
        gate.wait()
        taken.append(project.loop.store.claim_job(MODEL_JOBS, name, project.clock(), project.clock() - SILENT))

    threads = [threading.Thread(target=grab, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(job is not None for job in taken) == 1


def test_a_worker_says_that_it_is_there_and_that_it_has_gone(project: Project) -> None:
    assert not worker_is_there(project.loop)
    thread = threading.Thread(target=project.worker().run)
    thread.start()
    try:
        wait_until(lambda: worker_is_there(project.loop))
        ask(project.loop, JobKind.RETRAIN, "ann")
        wait_until(lambda: project.loop.store.job(1).state is JobState.DONE)
    finally:
        project.stop.set()
        thread.join(DEADLINE)
    assert not thread.is_alive()
    assert not worker_is_there(project.loop)


def test_a_worker_that_is_told_to_end_leaves_the_job_to_the_next(project: Project) -> None:
    project.nlu.on_train = project.stop.set
    waits = retrain(project)
    assert (waits.state, waits.attempts) == (JobState.QUEUED, 0)
    project.stop.clear()
    project.nlu.on_train = never
    assert project.worker().work_once()  # with the model that was trained already
    assert (project.loop.store.job(1).state, project.trainings()) == (JobState.DONE, [])


def test_a_blocked_model_is_deployed_by_a_person_with_a_reason(project: Project) -> None:
    project.nlu.understands = worse
    blocked = retrain(project)
    assert (blocked.state, project.server.model.name) == (JobState.BLOCKED, "old.tar.gz")
    card = from_plain(blocked.report["card"])
    assert card is not None
    assert {one.text for one in card.lost} == set(HOLDOUT)
    assert set(card.wrong) == {("track_order", "greet", 1), ("reset_password", "greet", 1)}
    ask(project.loop, JobKind.DEPLOY, "carl", "the hold-out is out of date", {"job": blocked.number})
    assert project.worker().work_once()

    assert project.loop.store.job(2).state is JobState.DONE
    assert project.server.model.name == card.challenger
    rows = [row for row in project.loop.store.audit_rows() if row.what == "run model"]
    assert (rows[-1].who, rows[-1].item) == ("carl", card.challenger)
    assert "against the gate" in rows[-1].reason
    assert "the hold-out is out of date" in rows[-1].reason


def test_a_model_waits_for_a_person_where_that_was_asked(project: Project) -> None:
    done = retrain(project, deploy=False)
    assert (done.state, project.server.model.name) == (JobState.DONE, "old.tar.gz")
    ask(project.loop, JobKind.DEPLOY, "ann", asked={"job": done.number})
    assert project.worker().work_once()
    new = project.server.model.name
    assert new == done.report["card"]["challenger"]

    ask(project.loop, JobKind.DEPLOY, "ann", asked={"job": done.number})
    assert project.worker().work_once()
    assert "has no file any more" in project.loop.store.job(3).message
    ask(project.loop, JobKind.MODEL_BACK, "ann", "it was better", {"model": "old.tar.gz"})
    assert project.worker().work_once()
    assert project.server.model.name == "old.tar.gz"


def test_a_model_that_was_compared_with_another_is_not_deployed(project: Project) -> None:
    done = retrain(project, deploy=False)
    other = project.loop.settings.path("models") / "other.tar.gz"
    other.write_bytes(b"other")
    project.server.model = other
    ask(project.loop, JobKind.DEPLOY, "ann", asked={"job": done.number})
    assert project.worker().work_once()

    assert "was compared with old.tar.gz, and other.tar.gz runs now" in project.loop.store.job(2).message
    assert project.server.model == other


def test_the_command_line_is_seen_and_cancelled_like_any_other(project: Project) -> None:
    project.nlu.on_train = lambda: cancel(project.loop, 1, "bob") and None
    with pytest.raises(Stopped):
        do_now(project.loop, JobKind.RETRAIN, "ann", tasks_of(project.app)[JobKind.RETRAIN], lambda step, words: None)
    assert project.loop.store.job(1).state is JobState.CANCELLED
    with pytest.raises(ReviewError, match="policy:"):
        ask(project.loop, JobKind.RETRAIN, "policy:me")


def test_only_the_newest_finished_jobs_are_kept(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.adapters.store_jobs.KEPT", 3)
    for _ in range(6):
        cancel(project.loop, ask(project.loop, JobKind.MINE, "ann").number, "ann")
    retrain(project)

    assert [job.number for job in project.loop.store.jobs()] == [7, 6, 5, 4, 3]
    assert [job.kind for job in project.loop.store.jobs(1, JobKind.MINE)] == [JobKind.MINE]


def test_the_mark_moves_with_whatever_people_see(project: Project) -> None:
    marks = [project.loop.store.jobs_mark()]
    ask(project.loop, JobKind.RETRAIN, "ann")
    marks.append(project.loop.store.jobs_mark())
    project.loop.store.claim_job(MODEL_JOBS, "w", project.clock(), project.clock() - SILENT)
    marks.append(project.loop.store.jobs_mark())
    project.loop.store.beat_job(1, "w", project.clock())
    marks.append(project.loop.store.jobs_mark())
    cancel(project.loop, 1, "bob")
    marks.append(project.loop.store.jobs_mark())

    assert len(set(marks)) == len(marks)


def test_a_schedule_that_is_terminated_ends_in_order(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    command = [sys.executable, "-m", "learning", "--project", str(root), "jobs", "work"]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert worker.stdout is not None
        assert b"working" in worker.stdout.readline()
        loop: Loop = make_loop(
            root, url=f"sqlite:///{root / 'var' / 'learning.db'}", now=lambda: datetime.now(timezone.utc)
        )
        wait_until(lambda: worker_is_there(loop))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(DEADLINE) == 0
        assert not worker_is_there(loop)
    finally:
        worker.kill()
