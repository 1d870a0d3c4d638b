"""What workers do: each kind of job, in threads of their own, through restarts, clocks and a database that is away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from learning import working
from learning.alert_records import Delivery, Message, Target
from learning.bootstrap import App
from learning.errors import StoreError
from learning.jobs import LIGHT_JOBS, MINE_JOBS, MODEL_JOBS, SCHEDULE, SILENT, STEPS, ask, view, worker_is_there
from learning.loop import Loop
from learning.model import Job, JobKind, JobState
from learning.scheduling import planned
from learning.settings import ScheduleSettings
from learning.tasks import tasks_of, workers
from learning.working import Outcome, Tell, Worker
from tests.learning_builders import FakeNlu, FakeServer, TrackerFile, make_loop, make_project, talk
from tests.schedule_world import TwoClocks

DEADLINE = 120.0  # seconds: a process imports for ten, and longer where the machine is busy
ROOT = Path(__file__).parents[2]


class Nobody:
    """A notifier without targets."""

    def targets(self) -> tuple[Target, ...]:
        return ()

    def send(self, message: Message, to: Collection[Target]) -> Delivery:
        raise AssertionError("there is nobody to be told")


def make_app(root: Path, now: Callable[[], datetime]) -> App:
    """A project on which some people have talked, with fakes in place of Rasa and of people who are told."""
    loop = make_loop(make_project(root), now=now)
    talk(TrackerFile(root / "var" / "tracker.db"))
    models = loop.settings.path("models")
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    app = App(loop.settings)
    nlu = FakeNlu(lambda model, text: "track_order" if "parcel" in text else "reset_password")
    app.__dict__.update(loop=loop, nlu=nlu, server=FakeServer(models / "old.tar.gz"), notifier=Nobody())
    return app


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def done(job: Job, say: Tell) -> Outcome:
    say(STEPS[job.kind][0], "at it")
    return Outcome(JobState.DONE, "done", {})


def test_every_scheduled_kind_is_done_by_one_thread_and_has_its_steps() -> None:
    kinds = [*MINE_JOBS, *MODEL_JOBS, *LIGHT_JOBS]

    assert sorted(kinds) == sorted(JobKind)
    assert set(STEPS) == set(JobKind)
    assert set(planned(ScheduleSettings())) <= set(kinds)


@pytest.mark.parametrize("kind", ["mine", "evaluate", "watch", "digest", "prune"])
def test_each_kind_is_really_done(kind: str, tmp_path: Path) -> None:
    app = make_app(tmp_path, lambda: datetime.now(timezone.utc))
    job = ask(app.loop, JobKind(kind), SCHEDULE)
    assert Worker(app.loop, tasks_of(app), threading.Event(), "w").work_once()
    ended = app.loop.store.job(job.number)

    assert (ended.state, ended.message != "") == (JobState.DONE, True), ended.message
    assert tuple(step for step, _ in ended.timings) == STEPS[job.kind]
    assert view(app.loop, ended).share == 1.0
    json.dumps(ended.report)


def test_a_digest_does_not_wait_for_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(tmp_path, lambda: datetime.now(timezone.utc))
    may_end = threading.Event()

    def long(job: Job, say: Tell) -> Outcome:
        assert may_end.wait(DEADLINE)
        return done(job, say)

    tasks = {**dict.fromkeys(JobKind, done), JobKind.RETRAIN: long}
    monkeypatch.setattr("learning.tasks.tasks_of", lambda app, tell: tasks)
    with workers(app):
        training, digest = (ask(app.loop, kind, "ann") for kind in (JobKind.RETRAIN, JobKind.DIGEST))
        wait_until(lambda: app.loop.store.job(training.number).state is JobState.RUNNING)
        wait_until(lambda: app.loop.store.job(digest.number).state is JobState.DONE)
        assert app.loop.store.job(training.number).state is JobState.RUNNING
        may_end.set()
        wait_until(lambda: app.loop.store.job(training.number).state is JobState.DONE)


def test_a_scheduled_job_of_a_process_that_ends_waits_for_the_next(tmp_path: Path) -> None:
    app, stop = make_app(tmp_path, lambda: datetime.now(timezone.utc)), threading.Event()

    def stopped(job: Job, say: Tell) -> Outcome:
        stop.set()
        return done(job, say)

    job = ask(app.loop, JobKind.RETRAIN, SCHEDULE)
    assert Worker(app.loop, {JobKind.RETRAIN: stopped}, stop, "w").work_once()
    waits = app.loop.store.job(job.number)
    assert (waits.state, waits.attempts) == (JobState.QUEUED, 0)
    assert Worker(app.loop, {JobKind.RETRAIN: done}, threading.Event(), "v").work_once()
    assert app.loop.store.job(job.number).state is JobState.DONE


def test_a_clock_set_forward_does_not_make_living_workers_look_dead(tmp_path: Path) -> None:
    clock = TwoClocks()
    loop = make_loop(make_project(tmp_path), now=clock)
    ask(loop, JobKind.MINE, SCHEDULE)
    assert loop.store.claim_job((JobKind.MINE,), "living", clock(), clock() - SILENT) is not None
    other = Worker(loop, {JobKind.MINE: done}, threading.Event(), "other", clock.monotonic)
    assert not other.work_once()
    clock.at += timedelta(hours=3)
    clock.pass_by(timedelta(seconds=1))
    assert not other.work_once()
    assert loop.store.beat_job(1, "living", clock())
    clock.pass_by(SILENT - timedelta(seconds=5))
    assert not other.work_once()
    clock.pass_by(timedelta(seconds=10))  # now it is really silent
    assert other.work_once()
    assert loop.store.job(1).state is JobState.DONE


def test_that_a_job_has_ended_is_noted_when_the_database_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = make_loop(make_project(tmp_path), now=lambda: datetime.now(timezone.utc))
    end_job, failed = loop.store.end_job, []

    def away_twice(job: Job, audited: bool = True) -> bool:
        if len(failed) < 2:
            failed.append(job)
            raise StoreError("failed (gone)", "learning database", "check that the database is up")
        return end_job(job, audited)

    monkeypatch.setattr(loop.store, "end_job", away_twice)
    monkeypatch.setattr(working, "NOTE_AGAIN", (0.01, 0.01, 0.01))
    ask(loop, JobKind.MINE, SCHEDULE)
    assert Worker(loop, {JobKind.MINE: done}, threading.Event(), "w").work_once()

    assert (len(failed), loop.store.job(1).state) == (2, JobState.DONE)


def test_routine_is_not_audited_but_what_deletes_is(tmp_path: Path) -> None:
    loop = make_loop(make_project(tmp_path), now=lambda: datetime.now(timezone.utc))
    for kind in planned(ScheduleSettings()):
        ask(loop, kind, SCHEDULE)
        assert Worker(loop, {kind: done}, threading.Event(), "w").work_once()
    ask(loop, JobKind.DIGEST, "ann")
    assert Worker(loop, {JobKind.DIGEST: done}, threading.Event(), "w").work_once()

    assert [row.what for row in loop.store.audit_rows()] == ["end retrain", "end prune", "ask digest", "end digest"]


def test_the_schedule_process_leads_works_and_ends_in_order(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    command = [sys.executable, "-m", "learning", "--project", str(root), "schedule"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
    try:
        wait_until(lambda: (root / "var" / "learning.db").exists())
        loop: Loop = make_loop(
            root, url=f"sqlite:///{root / 'var' / 'learning.db'}", now=lambda: datetime.now(timezone.utc)
        )
        wait_until(
            lambda: worker_is_there(loop, LIGHT_JOBS) and worker_is_there(loop) and loop.store.leader() is not None
        )
        wait_until(lambda: len(loop.store.schedule_times()) == 6)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
        assert b"mine runs every 15 minutes" in out
        assert b"schedule stopped" in out
        assert loop.store.leader() is None
        assert not worker_is_there(loop, LIGHT_JOBS)
    finally:
        process.kill()
