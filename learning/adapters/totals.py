"""Totals that only grow, whatever is erased or counted anew: what a monitor takes for counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import insert
from learning.metrics_days import CALL, MOST_OPERATIONS, OTHER_OPERATION
from learning.model import Job, JobState, Outcome

JOB = "job:"  # begins the names of how jobs have ended: job:mine:done
NOT_TOTALLED = frozenset({"again", Outcome.OPEN.value})  # what may still be taken back
NO_CHANNEL = ""


def add_totals(connection: Connection, channel: str, more: Mapping[str, int]) -> None:
    """Add to the totals of a channel; what is not above zero is left out."""
    table = schema.metric_totals
    mine = table.c.channel == channel
    known = {row.name: row.total for row in connection.execute(sa.select(table).where(mine))}
    operations = {name.rpartition(":")[0] for name in known if name.startswith(CALL)}
    rows: Counter[str] = Counter()
    for name, count in sorted(more.items()):
        if count > 0 and name not in NOT_TOTALLED:
            rows[_bounded(name, operations)] += count
    for name in sorted(rows.keys() & known.keys()):
        connection.execute(
            sa.update(table).where(mine, table.c.name == name).values(total=table.c.total + rows.pop(name))
        )
    insert(connection, table, [{"channel": channel, "name": name, "total": n} for name, n in sorted(rows.items())])


def count_end(connection: Connection, job: Job) -> None:
    """Count a job that has ended; one that waits again has not."""
    if job.state not in (JobState.QUEUED, JobState.RUNNING):
        add_totals(connection, NO_CHANNEL, {f"{JOB}{job.kind.value}:{job.state.value}": 1})


def _bounded(name: str, operations: set[str]) -> str:
    """Return a name, or that of the other operations where a faulty client has made up too many; note a new one."""
    operation, _, outcome = name.rpartition(":")
    if not name.startswith(CALL) or operation in operations:
        return name
    if len(operations) >= MOST_OPERATIONS:
        return f"{CALL}{OTHER_OPERATION}:{outcome}"
    operations.add(operation)
    return name
