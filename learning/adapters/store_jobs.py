"""What is done in the background, and who does it, in the learning database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import upsert
from learning.adapters.store_conversations import ConversationTables
from learning.adapters.totals import count_end
from learning.errors import NotFound, StoreError
from learning.model import Job, JobKind, JobState

OPEN = (JobState.QUEUED.value, JobState.RUNNING.value)
MOST_ATTEMPTS = 2  # a job that has taken two workers with it would take the third
KEPT = 50  # finished jobs of a kind; what models were made of stands with the models, too
DIED = "its worker died"


class JobTables(ConversationTables):
    """The jobs and the workers, in the learning database."""

    def jobs(self, limit: int | None = None, *kinds: JobKind) -> list[Job]:
        """Return jobs (of these kinds, if any are named), the newest first."""
        table = schema.jobs
        query = sa.select(table).order_by(table.c.number.desc()).limit(limit)
        if kinds:
            query = query.where(table.c.kind.in_([kind.value for kind in kinds]))
        with self._database.read() as connection:
            return [_to_job(row) for row in connection.execute(query)]

    def job(self, number: int) -> Job:
        """Return one job; raise `NotFound` without one."""
        with self._database.read() as connection:
            return _read(connection, number)

    def add_job(self, job: Job, audited: bool = True) -> Job:
        """Put a job into the queue, or begin it at once if it names its worker; return it with its number.

        Raises:
            StoreError: one of its kind is in the queue or at work already.

        """
        table = schema.jobs
        with self._database.write() as connection:
            mine = sa.and_(table.c.kind == job.kind.value, table.c.state.in_(OPEN))
            row = connection.execute(sa.select(table.c.number, table.c.who).where(mine)).first()
            if row is not None:
                said = f"is asked for already (job {row.number}, by {row.who})"
                raise StoreError(said, f"job {job.kind.value}", "wait until it has ended, or cancel it")
            return insert_job(connection, job, audited)

    def claim_job(self, kinds: Collection[JobKind], worker: str, at: datetime, dead_before: datetime) -> Job | None:
        """Give a worker the oldest job of these kinds that waits, unless another one is at such a job.

        A job whose worker has given no sign of life since `dead_before` goes back into the queue, the second time it
        has failed.
        """
        table = schema.jobs
        query = sa.select(table).where(table.c.kind.in_([kind.value for kind in kinds]), table.c.state.in_(OPEN))
        with self._database.write() as connection:
            found = [_to_job(row) for row in connection.execute(query.order_by(table.c.number))]
            running = [job for job in found if job.state is JobState.RUNNING]
            if any(not _is_dead(job, dead_before) for job in running):
                return None
            for job in running:
                _bury(connection, job, at)
            back = [_read(connection, job.number) for job in running]
            waiting = [job for job in (*back, *found) if job.state is JobState.QUEUED]
            if not waiting:
                return None
            first = min(waiting, key=lambda job: job.number)
            claimed = replace(
                first,
                state=JobState.RUNNING,
                started=at,
                worker=worker,
                heartbeat=at,
                attempts=first.attempts + 1,
                step="",
                step_at=None,
                timings=(),
            )
            upsert(connection, table, "number", _row(claimed))
        return claimed

    def beat_job(self, number: int, worker: str, at: datetime) -> bool:
        """Note a sign of life; return whether the job is this worker's and nobody wants it to stop."""
        table = schema.jobs
        mine = sa.and_(table.c.number == number, table.c.worker == worker, table.c.state == JobState.RUNNING.value)
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(mine).values(heartbeat=at))
            return connection.execute(sa.select(table.c.cancelled_by).where(mine)).scalar() == ""

    def save_job_step(self, job: Job) -> bool:
        """Note which step a job is at; return False, and note nothing, if it is to stop."""
        table = schema.jobs
        mine = sa.and_(
            table.c.number == job.number,
            table.c.worker == job.worker,
            table.c.state == JobState.RUNNING.value,
            table.c.cancelled_by == "",
        )
        values = {"step": job.step, "step_at": job.step_at, "timings": job.timings, "message": job.message}
        with self._database.write() as connection:
            done = connection.execute(sa.update(table).where(mine).values(heartbeat=job.step_at, **values))
            return bool(done.rowcount)

    def end_job(self, job: Job, audited: bool = True) -> bool:
        """Note how a job has ended, or that it waits again; return whether it was its worker's to say."""
        table = schema.jobs
        with self._database.write() as connection:
            row = connection.execute(sa.select(table).where(table.c.number == job.number)).first()
            if row is None or (row.state, row.worker) != (JobState.RUNNING.value, job.worker):
                return False
            present = _to_job(row)
            upsert(connection, table, "number", _row(replace(job, cancelled_by=present.cancelled_by)))
            count_end(connection, job)
            if audited and job.finished is not None:
                who = present.cancelled_by if job.state is JobState.CANCELLED and present.cancelled_by else job.worker
                _note(connection, job, who, f"end {job.kind.value}", present.state.value, job.message, job.finished)
        return True

    def cancel_job(self, number: int, who: str, reason: str, at: datetime, too_late: Collection[str]) -> Job:
        """Take a job out of the queue, or tell its worker to stop; return it as it is now.

        Raises:
            NotFound: there is no such job.
            StoreError: it has ended, somebody has cancelled it already, or it is at one of the steps `too_late`.

        """
        item = f"job {number}"
        with self._database.write() as connection:
            job = _read(connection, number)
            if job.state.value not in OPEN:
                raise StoreError(f"is {job.state.value} already", item, "nothing was done")
            if job.cancelled_by:
                raise StoreError(f"was cancelled by {job.cancelled_by} already", item, "wait until it has stopped")
            if job.step in too_late:
                raise StoreError("cannot be stopped any more", item, "wait a moment, then roll the model back")
            if job.state is JobState.QUEUED:
                after = replace(job, state=JobState.CANCELLED, finished=at, cancelled_by=who, message=reason)
            else:
                after = replace(job, cancelled_by=who)
            upsert(connection, schema.jobs, "number", _row(after))
            count_end(connection, after)
            _note(connection, after, who, f"cancel {job.kind.value}", job.state.value, reason, at)
        return after

    def beat_worker(self, worker: str, kinds: Collection[JobKind], at: datetime, dead_before: datetime) -> None:
        """Note that a worker is there and what it does; whoever has been silent since `dead_before` is forgotten."""
        table = schema.workers
        with self._database.write() as connection:
            connection.execute(sa.delete(table).where(table.c.heartbeat < dead_before))
            row = {"worker": worker, "kinds": ",".join(sorted(kind.value for kind in kinds)), "heartbeat": at}
            upsert(connection, table, "worker", row)

    def leave_worker(self, worker: str) -> None:
        """Note that a worker has gone."""
        with self._database.write() as connection:
            connection.execute(sa.delete(schema.workers).where(schema.workers.c.worker == worker))

    def workers(self, alive_since: datetime) -> dict[str, frozenset[JobKind]]:
        """Return who has given a sign of life since then, with what they do."""
        table = schema.workers
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).where(table.c.heartbeat >= alive_since)).all()
        return {row.worker: frozenset(JobKind(kind) for kind in row.kinds.split(",") if kind) for row in rows}

    def jobs_mark(self) -> str:
        """Return what changes whenever a job does."""
        table = schema.jobs
        newest = sa.func.max(table.c.number), sa.func.max(table.c.heartbeat), sa.func.max(table.c.finished)
        states = sa.select(table.c.number, table.c.state, table.c.cancelled_by).where(table.c.state.in_(OPEN))
        with self._database.read() as connection:
            parts: Sequence[Any] = connection.execute(sa.select(*newest)).one()
            waiting = [tuple(row) for row in connection.execute(states.order_by(table.c.number))]
        return " ".join(map(str, (*parts, *waiting)))


def insert_job(connection: Connection, job: Job, audited: bool) -> Job:
    """Put a job into the queue in the caller's transaction; return it with its number."""
    newest = connection.execute(sa.select(sa.func.max(schema.jobs.c.number))).scalar() or 0
    added = replace(job, number=int(newest) + 1)
    connection.execute(sa.insert(schema.jobs), _row(added))
    if audited:
        _note(connection, added, job.who, f"ask {job.kind.value}", "", job.reason, job.at)
    _forget_old(connection, job.kind)
    return added


def _bury(connection: Connection, job: Job, at: datetime) -> None:
    """Put a job whose worker died back into the queue, or end it."""
    if job.cancelled_by:
        after = replace(job, state=JobState.CANCELLED, finished=at, message=DIED)
    elif job.attempts >= MOST_ATTEMPTS:
        after = replace(job, state=JobState.FAILED, finished=at, message=f"{DIED}, {job.attempts} times now")
    else:
        after = replace(job, state=JobState.QUEUED, worker="", message=f"{DIED}; it begins again")
    upsert(connection, schema.jobs, "number", _row(after))
    count_end(connection, after)
    _note(connection, after, job.worker, f"lose {job.kind.value}", job.state.value, after.message, at)


def _is_dead(job: Job, dead_before: datetime) -> bool:
    return job.heartbeat is None or job.heartbeat < dead_before


def _forget_old(connection: Connection, kind: JobKind) -> None:
    table = schema.jobs
    mine = sa.and_(table.c.kind == kind.value, table.c.state.not_in(OPEN))
    query = sa.select(table.c.number).where(mine).order_by(table.c.number.desc()).offset(KEPT).limit(1)
    last = connection.execute(query).scalar()
    if last is not None:
        connection.execute(sa.delete(table).where(mine, table.c.number <= last))


def _note(connection: Connection, job: Job, who: str, what: str, before: str, reason: str, at: datetime) -> None:
    append_row(connection, at, who, what, f"job {job.number}", before, job.state.value, reason, "")


def _read(connection: Connection, number: int) -> Job:
    row = connection.execute(sa.select(schema.jobs).where(schema.jobs.c.number == number)).first()
    if row is None:
        raise NotFound("does not exist", f"job {number}", "take one from `python -m learning jobs list`")
    return _to_job(row)


def _row(job: Job) -> Mapping[str, Any]:
    return {**asdict(job), "kind": job.kind.value, "state": job.state.value}


def _to_job(row: Any) -> Job:
    timings = tuple((str(step), float(seconds)) for step, seconds in row.timings)
    return Job(**{**row._mapping, "kind": JobKind(row.kind), "state": JobState(row.state), "timings": timings})
