"""Which scheduler process leads, what is paused, and what was due, in the learning database.

All of it stands in the table `meta`. What is due is put into the queue in one transaction with the check that the
process still leads: one that was held up for a minute and goes on cannot put anything a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import Database, get_meta, set_meta
from learning.adapters.schedule_times import JOBS_TABLE
from learning.adapters.store_jobs import OPEN, insert_job
from learning.model import Due, Job, JobState, Leader, ScheduleMark

LEADER = "schedule_leader"
MARK = "schedule:"  # begins the key of a scheduled job's mark
MARK_TIMES = ("paused_at", "resumed_at", "due")
DONE = (JobState.DONE.value, JobState.BLOCKED.value)  # a model that was not good enough was trained all the same


class ScheduleTables:
    """The lead and the marks; each writing method is one transaction."""

    _database: Database

    def leader(self) -> Leader | None:
        """Return which process leads, None if none does."""
        with self._database.read() as connection:
            return _leader(connection)

    def take_lead(self, holder: str, seen: Leader | None, at: datetime) -> Leader | None:
        """Let `holder` lead instead of the leader that it has `seen` (None: nobody); None if that has changed."""
        with self._database.write() as connection:
            present = _leader(connection)
            if present != seen:
                return None
            taken = Leader(holder, _last_term(connection) + 1, 0, at, at)
            _write_leader(connection, taken)
        return taken

    def beat_lead(self, lead: Leader, at: datetime) -> Leader | None:
        """Note a sign of life of the leader; return the lead as it is now, None if another one leads."""
        with self._database.write() as connection:
            present = _leader(connection)
            if present is None or not _is_same(present, lead):
                return None
            after = replace(present, beat=present.beat + 1, at=at)
            _write_leader(connection, after)
        return after

    def leave_lead(self, lead: Leader) -> None:
        """Note that a process leads no more, so that the next one need not wait."""
        with self._database.write() as connection:
            present = _leader(connection)
            if present is not None and _is_same(present, lead):
                set_meta(connection, LEADER, orjson.dumps({"term": lead.term}).decode())

    def schedule_marks(self) -> dict[str, ScheduleMark]:
        """Return what is kept of scheduled jobs by their names."""
        columns = schema.meta.c.key, schema.meta.c.value
        query = sa.select(*columns).where(schema.meta.c.key.startswith(MARK, autoescape=True))
        with self._database.read() as connection:
            return {key.removeprefix(MARK): _to_mark(value) for key, value in connection.execute(query)}

    def schedule_times(self) -> dict[str, datetime]:
        """Return when each scheduled job comes next, as the leader has planned it; empty before the first one led."""
        with self._database.read() as connection:
            if not sa.inspect(connection).has_table(JOBS_TABLE):
                return {}
            table = sa.table(JOBS_TABLE, sa.column("id"), sa.column("next_run_time"))
            rows = connection.execute(sa.select(table.c.id, table.c.next_run_time)).all()
        return {name: datetime.fromtimestamp(at, timezone.utc) for name, at in rows if at is not None}

    def pause_schedule(self, name: str, who: str, reason: str, at: datetime) -> ScheduleMark:
        """Let a job not be put into the queue any more; one that is paused already stays as it is."""
        with self._database.write() as connection:
            mark = _mark(connection, name)
            if mark.paused_at is None:
                mark = replace(mark, paused_at=at, paused_by=who, paused_why=reason)
                _write_mark(connection, name, mark)
                append_row(connection, at, who, "pause schedule", name, "runs", "paused", reason, "")
        return mark

    def resume_schedule(self, name: str, who: str, reason: str, at: datetime) -> bool:
        """Let a job be put into the queue again from its next time on; return whether it was paused."""
        with self._database.write() as connection:
            mark = _mark(connection, name)
            if mark.paused_at is None:
                return False
            _write_mark(connection, name, ScheduleMark(resumed_at=at, due=mark.due, job=mark.job))
            append_row(connection, at, who, "resume schedule", name, "paused", "runs", reason, "")
        return True

    def put_due(self, job: Job, due: datetime, missed: datetime, lead: Leader) -> Due:
        """Put a scheduled job into the queue, once for each time at which it was due.

        Args:
            job: what is put; its time is now.
            due: when it was due first, which tells this time from others.
            missed: when it was due last; equal to `due` unless nobody was there to put it for a while.
            lead: as whom the caller does it.

        """
        name = job.kind.value
        with self._database.write() as connection:
            present = _leader(connection)
            if present is None or not _is_same(present, lead):
                return Due.LOST
            mark = _mark(connection, name)
            if mark.due == due:
                return Due.SAME
            came = _came_of(connection, job, mark, missed)
            if came is Due.PUT:
                insert_job(connection, job, audited=False)
            newest = connection.execute(sa.select(sa.func.max(schema.jobs.c.number))).scalar() or 0
            _write_mark(connection, name, replace(mark, due=due, job=int(newest)))
        return came


def _came_of(connection: Connection, job: Job, mark: ScheduleMark, missed: datetime) -> Due:
    if mark.paused_at is not None or (mark.resumed_at is not None and missed <= mark.resumed_at <= job.at):
        return Due.PAUSED
    table = schema.jobs
    mine = table.c.kind == job.kind.value
    if connection.execute(sa.select(table.c.number).where(mine, table.c.state.in_(OPEN))).first():
        return Due.OPEN
    # Where the clock was set back, jobs from before that may look as if they had begun since: their numbers tell.
    since = sa.and_(table.c.number > mark.job, table.c.started.between(missed, job.at), table.c.state.in_(DONE))
    if connection.execute(sa.select(table.c.number).where(mine, since)).first():
        return Due.DONE
    return Due.PUT


def _is_same(one: Leader, other: Leader) -> bool:
    return (one.holder, one.term) == (other.holder, other.term)


def _leader(connection: Connection) -> Leader | None:
    plain = orjson.loads(get_meta(connection, LEADER) or "{}")
    if "holder" not in plain:
        return None
    times = {name: datetime.fromisoformat(plain[name]) for name in ("since", "at")}
    return Leader(**{**plain, **times})


def _last_term(connection: Connection) -> int:
    return int(orjson.loads(get_meta(connection, LEADER) or "{}").get("term", 0))


def _write_leader(connection: Connection, leader: Leader) -> None:
    set_meta(connection, LEADER, orjson.dumps(asdict(leader)).decode())


def _mark(connection: Connection, name: str) -> ScheduleMark:
    return _to_mark(get_meta(connection, f"{MARK}{name}") or "{}")


def _to_mark(text: str) -> ScheduleMark:
    plain: Mapping[str, Any] = orjson.loads(text)
    times = {name: datetime.fromisoformat(plain[name]) for name in MARK_TIMES if plain.get(name)}
    return ScheduleMark(**{**plain, **times})


def _write_mark(connection: Connection, name: str, mark: ScheduleMark) -> None:
    set_meta(connection, f"{MARK}{name}", orjson.dumps(asdict(mark)).decode())
