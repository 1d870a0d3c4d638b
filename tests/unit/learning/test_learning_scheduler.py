from __future__ import annotations

import logging
import threading
from datetime import datetime
from pathlib import Path

import pytest

from learning.cadence import Cadence, PlannedTime
from learning.errors import StoreError
from learning.leading import Leadership
from learning.model import Due, Job, JobKind, Leader
from learning.scheduler import Scheduler
from learning.scheduling import planned
from learning.settings import ScheduleSettings
from tests.learning_builders import START, Clock, make_loop, make_project


class FakeTimes:
    """Jobs that are due at once until they are moved on; `told` is what happened, in order."""

    def __init__(self, told: list[str], *due: str) -> None:
        self.told = told
        self.waiting = list(due)

    def planned(self) -> dict[str, PlannedTime]:
        return {kind.value: PlannedTime(cadence, START) for kind, cadence in planned(ScheduleSettings()).items()}

    def due(self, now: datetime) -> list[tuple[str, datetime, datetime]]:
        return [(name, START, START) for name in self.waiting]

    def plan(self, name: str, cadence: Cadence, now: datetime, at: datetime | None = None) -> datetime:
        self.told.append(f"plan {name}")
        return START

    def move_on(self, name: str, now: datetime) -> None:
        self.told.append(f"move {name}")
        self.waiting.remove(name)

    def drop(self, name: str) -> None:
        self.told.append(f"drop {name}")
        self.waiting.remove(name)


@pytest.fixture
def told() -> list[str]:
    return []


def scheduler(root: Path, times: FakeTimes) -> Scheduler:
    loop = make_loop(make_project(root), now=Clock(START))
    return Scheduler(loop, times, Leadership(loop.store, "a", loop.now), {})


def test_a_job_is_put_before_its_next_time_is_planned(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies in between leaves it due, and the next one finds that it was put."""
    one = scheduler(tmp_path, FakeTimes(told, "mine", "prune"))
    store = one._loop.store
    put = store.put_due

    def note(job: Job, due: datetime, missed: datetime, lead: Leader) -> Due:
        told.append(f"put {job.kind.value}")
        return put(job, due, missed, lead)

    monkeypatch.setattr(store, "put_due", note)

    assert one.look() == [(JobKind.MINE, Due.PUT), (JobKind.PRUNE, Due.PUT)]
    assert told == ["put mine", "move mine", "put prune", "move prune"]
    assert {job.kind for job in store.jobs()} == {JobKind.MINE, JobKind.PRUNE}


def test_a_name_that_nobody_knows_is_dropped(tmp_path: Path, told: list[str]) -> None:
    assert scheduler(tmp_path, FakeTimes(told, "tidy")).look() == []
    assert told == ["drop tidy"]


def test_a_database_that_is_away_is_told_once_and_waited_for(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, stop, looks = scheduler(tmp_path, FakeTimes(told, "mine")), threading.Event(), []
    look = one.look

    def away_at_first() -> object:
        looks.append(1)
        if len(looks) < 4:
            raise StoreError("failed (gone)", "learning database", "check that the database is up")
        stop.set()
        return look()

    monkeypatch.setattr(one, "look", away_at_first)
    with caplog.at_level(logging.INFO):
        one.run(stop, tick=0.001)

    assert caplog.text.count("the schedule waits: learning database: failed (gone)") == 1
    assert "the schedule goes on" in caplog.text
    assert told == ["move mine"]
    assert one._loop.store.leader() is None  # it was left in order
