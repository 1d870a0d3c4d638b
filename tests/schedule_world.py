"""A schedule whose clock tests move: the time of day and the time that has really passed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from learning.adapters.schedule_times import ScheduleTimes
from learning.leading import Leadership
from learning.loop import Loop
from learning.model import Due, Job, JobKind, JobState
from learning.scheduler import Scheduler
from tests.learning_builders import fresh_database, make_loop, make_project

MONDAY = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
TICK = timedelta(seconds=5)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class TwoClocks:
    """The time of day, which can be set, and seconds that only grow."""

    def __init__(self, at: datetime = MONDAY) -> None:
        self.at = at
        self.passed = 0.0

    def __call__(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.passed

    def pass_by(self, time: timedelta) -> None:
        self.at += time
        self.passed += time.total_seconds()


class World:
    """A project with its schedule; `done` is what was put into the queue, with the real hours at which it was."""

    def __init__(self, root: Path, url: str = "", mine_minutes: int = 60) -> None:
        self.clock = TwoClocks()
        self.url = url or fresh_database(root / "var" / "learning.db")
        learning = f"schedule:\n  watch_minutes: 1440\n  mine_minutes: {mine_minutes}\n"
        self.loop: Loop = make_loop(make_project(root, learning), url=self.url, now=self.clock)
        self.done: list[tuple[JobKind, float]] = []

    def scheduler(self, name: str = "a") -> Scheduler:
        """A scheduler process, as it is when it has just started."""
        leads = Leadership(self.loop.store, name, self.clock, self.clock.monotonic)
        return Scheduler(self.loop, ScheduleTimes(self.url), leads, {})

    def work(self) -> list[Job]:
        """Do all that waits at once."""
        now, ended = self.clock(), []
        for kind in JobKind:
            job = self.loop.store.claim_job((kind,), "w", now, now - DAY)
            if job is not None:
                assert self.loop.store.end_job(
                    Job(**{**vars(job), "state": JobState.DONE, "finished": now}), audited=False
                )
                ended.append(job)
                self.done.append((kind, self.clock.passed / 3600))
        return ended

    def go_on(self, scheduler: Scheduler, time: timedelta) -> list[tuple[JobKind, Due]]:
        """Let time pass and do what is put; looks at which nothing can be due are left out, but for the first."""
        came, until, tick = [], self.clock.passed + time.total_seconds(), TICK
        while (left := until - self.clock.passed) > 0:
            self.clock.pass_by(min(tick, timedelta(seconds=left)))
            found = scheduler.look()
            came += found
            if any(one is Due.PUT for _, one in found):
                self.work()
            following = min(self.loop.store.schedule_times().values())
            tick = max(following - self.clock(), TICK)
        return came

    def times(self, kind: JobKind) -> list[float]:
        """The real hours at which a kind of job was done."""
        return [hour for one, hour in self.done if one is kind]
