"""Numbers for monitors, in the learning database: counted where they stand, without reading a single record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import OVERLAY_VERSION, get_meta
from learning.adapters.store_conversations import ConversationTables
from learning.adapters.store_jobs import OPEN
from learning.adapters.store_models import RUNNING
from learning.adapters.totals import JOB
from learning.loop_numbers import LoopNumbers
from learning.model import JobState

RUN_WENT_WELL = "ok"


class NumberTables(ConversationTables):
    """Where the loop stands, in one reading of the database."""

    def loop_numbers(self, alive_since: datetime) -> LoopNumbers:
        """Return where the loop stands; workers count that have given a sign of life since then."""
        jobs, gaps, workers = schema.jobs, schema.gaps, schema.workers
        unanswered = sa.or_(gaps.c.handled_at.is_(None), gaps.c.reopened_at > gaps.c.handled_at)
        with self._database.read() as connection:
            totals = {
                (row.channel, row.name): int(row.total) for row in connection.execute(sa.select(schema.metric_totals))
            }
            ended = {name: count for (_, name), count in totals.items() if name.startswith(JOB)}
            return LoopNumbers(
                overlay_version=int(get_meta(connection, OVERLAY_VERSION) or 0),
                entries=_pairs(connection, schema.entries.c.state, schema.entries.c.kind),
                quarantined=_count(connection, sa.select(sa.func.count()).select_from(schema.quarantine)),
                gaps=_groups(connection, gaps.c.priority, unanswered),
                proposals=_groups(connection, schema.proposals.c.state),
                releases=_groups(connection, schema.releases.c.what),
                totals={key: count for key, count in totals.items() if not key[1].startswith(JOB)},
                ended_jobs={_kind_and_state(name): count for name, count in ended.items()},
                open_jobs=_pairs(connection, jobs.c.kind, jobs.c.state, jobs.c.state.in_(OPEN)),
                workers=_count(
                    connection,
                    sa.select(sa.func.count()).select_from(workers).where(workers.c.heartbeat >= alive_since),
                ),
                succeeded=_succeeded(connection),
                **_running(connection),
                days_waiting=_count(connection, sa.select(sa.func.count()).select_from(schema.metric_dirty)),
            )


def _groups(connection: Connection, column: Any, *where: Any) -> dict[str, int]:
    query = sa.select(column.label("key"), sa.func.count().label("n")).where(*where).group_by(column)
    return {str(row.key): int(row.n) for row in connection.execute(query)}


def _pairs(connection: Connection, one: Any, other: Any, *where: Any) -> dict[tuple[str, str], int]:
    query = sa.select(one.label("one"), other.label("other"), sa.func.count().label("n"))
    rows = connection.execute(query.where(*where).group_by(one, other))
    return {(str(row.one), str(row.other)): int(row.n) for row in rows}


def _count(connection: Connection, query: Any) -> int:
    return int(connection.execute(query).scalar() or 0)


def _kind_and_state(name: str) -> tuple[str, str]:
    kind, _, state = name[len(JOB) :].partition(":")
    return kind, state


def _succeeded(connection: Connection) -> dict[str, datetime]:
    """Return when each job last went well: as the schedule or a person asked for it, or run from a terminal."""
    jobs, runs = schema.jobs, schema.runs
    done = jobs.c.state == JobState.DONE.value
    asked = sa.select(jobs.c.kind.label("name"), sa.func.max(jobs.c.finished).label("at")).where(done)
    ran = sa.select(runs.c.job.label("name"), sa.func.max(runs.c.finished).label("at"))
    found: dict[str, datetime] = {}
    for query in (asked.group_by(jobs.c.kind), ran.where(runs.c.outcome == RUN_WENT_WELL).group_by(runs.c.job)):
        for row in connection.execute(query):
            if row.at is not None:
                found[row.name] = max(row.at, found.get(row.name, row.at))
    return found


def _running(connection: Connection) -> Mapping[str, Any]:
    table, name = schema.deployed_models, get_meta(connection, RUNNING) or ""
    since = connection.execute(sa.select(table.c.at).where(table.c.name == name)).scalar()
    return {"model": name, "model_since": since}
