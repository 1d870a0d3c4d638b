"""When scheduled jobs come next: APScheduler's job store on the learning database, which outlives every process.

APScheduler keeps cadences and times; `learning.scheduler` asks it what is due and puts that into the queue. Its own
main loop is not used: that one goes on when putting a job has failed, reads the clock by itself, and sleeps through a
clock that is set forward. Jobs are kept pickled: whoever can write the learning database can run code here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from apscheduler.job import Job
from apscheduler.jobstores.base import JobLookupError
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.base import BaseScheduler
from sqlalchemy.exc import SQLAlchemyError

from learning.cadence import Cadence, PlannedTime, newest_missed, next_time, trigger_of
from learning.errors import StoreError

JOBS_TABLE = "apscheduler_jobs"
PATIENCE = 10  # seconds to wait for a writer on SQLite, or for a PostgreSQL server that does not answer


def put(name: str, minutes: int, cron: str) -> None:
    """Be what APScheduler keeps a reference to: the scheduler that finds a job due knows how to put it."""


class _Clockless(BaseScheduler):
    """A scheduler that somebody else drives."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def wakeup(self) -> None:
        """Do nothing: nobody sleeps."""


class ScheduleTimes:
    """The next times of scheduled jobs, by their names.

    Raises:
        StoreError: the learning database cannot be read or written.

    """

    def __init__(self, url: str) -> None:
        parsed = sa.engine.make_url(url)
        self._item = f"learning database {parsed!r}"
        is_sqlite = parsed.get_backend_name() == "sqlite"
        patience = {"timeout": PATIENCE} if is_sqlite else {"connect_timeout": PATIENCE}
        # The job store knows the former way of SQLAlchemy only, so that it cannot share the store's engine.
        options: dict[str, Any] = {"connect_args": patience, "pool_pre_ping": not is_sqlite}
        self._kept = SQLAlchemyJobStore(url=parsed, tablename=JOBS_TABLE, engine_options=options)
        self._scheduler: BaseScheduler | None = None

    def planned(self) -> dict[str, PlannedTime]:
        """Return every job that is kept, with its cadence and when it comes next."""
        with self._opened() as scheduler:
            return {job.id: _planned(job) for job in scheduler.get_jobs()}

    def due(self, now: datetime) -> list[tuple[str, datetime, datetime]]:
        """Return what is due: the name, when it was due first, and when it was due last (see `put_due`)."""
        with self._opened():
            jobs = self._kept.get_due_jobs(now)
        return [(job.id, job.next_run_time, newest_missed(job.trigger, job.next_run_time, now)) for job in jobs]

    def plan(self, name: str, cadence: Cadence, now: datetime, at: datetime | None = None) -> datetime:
        """Keep a job with a cadence from now on; return when it comes next, which is `at` if that is given."""
        trigger = trigger_of(cadence, now)
        at = at or next_time(trigger, now)
        with self._opened() as scheduler:
            kept = (name, cadence.minutes, cadence.cron)
            scheduler.add_job(put, trigger, kept, id=name, name=name, next_run_time=at, replace_existing=True)
        return at

    def move_on(self, name: str, now: datetime) -> None:
        """Let a job come at its next time after now: once, however often it was missed."""
        with self._opened() as scheduler:
            job = scheduler.get_job(name)
            if job is not None:
                scheduler.modify_job(name, next_run_time=next_time(job.trigger, now))

    def drop(self, name: str) -> None:
        """Keep a job no more."""
        with self._opened() as scheduler:
            try:
                scheduler.remove_job(name)
            except JobLookupError:
                return

    def close(self) -> None:
        """Let go of the database."""
        self._kept.engine.dispose()

    @contextmanager
    def _opened(self) -> Iterator[BaseScheduler]:
        """Give the scheduler; its table is made when it is first used."""
        try:
            if self._scheduler is None:
                try:
                    self._scheduler = self._start()
                except SQLAlchemyError:  # another process has made the table at the same moment, or the second try says
                    self._scheduler = self._start()
            yield self._scheduler
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise StoreError(f"failed ({cause})", self._item, "check that the database is up") from error

    def _start(self) -> BaseScheduler:
        scheduler = _Clockless(timezone="UTC")
        scheduler.add_jobstore(self._kept)
        scheduler.start(paused=True)
        return scheduler


def _planned(job: Job) -> PlannedTime:
    _, minutes, cron = job.args
    return PlannedTime(Cadence(minutes, cron), job.next_run_time)
