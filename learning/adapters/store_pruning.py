"""Deleting old rows that nobody needs any more; the newest of each kind stay."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import Database
from learning.adapters.store_jobs import OPEN

STAY = 20  # rows of a kind that are never deleted, however old they are
SPENT = "drafter_tokens:"  # begins the key of a day's tokens, such as drafter_tokens:2024-03-01


class PruneTables:
    """Each method deletes what ended before a time, in one transaction, and returns how many rows that were."""

    _database: Database

    def prune_jobs(self, before: datetime) -> int:
        """Delete jobs that have ended; those that wait or are at work are none of them."""
        table = schema.jobs
        old = sa.and_(table.c.state.not_in(OPEN), table.c.finished < before)
        with self._database.write() as connection:
            return _prune(connection, table, table.c.kind, table.c.number, old)

    def prune_runs(self, before: datetime) -> int:
        """Delete notes of how single runs of the loop ended."""
        table = schema.runs
        with self._database.write() as connection:
            return _prune(connection, table, table.c.job, table.c.number, table.c.finished < before)

    def prune_draws(self, before: datetime) -> int:
        """Delete random samples of conversations; the conversations stay."""
        table = schema.draws
        with self._database.write() as connection:
            return _prune(connection, table, table.c.who, table.c.at, table.c.at < before)

    def prune_tokens(self, before: datetime) -> int:
        """Delete how many tokens of a language model were spent on single days."""
        key = schema.meta.c.key
        old = sa.and_(key.startswith(SPENT, autoescape=True), key < f"{SPENT}{before.date().isoformat()}")
        with self._database.write() as connection:
            return connection.execute(sa.delete(schema.meta).where(old)).rowcount


def _prune(
    connection: Connection, table: sa.Table, kind: sa.Column[Any], order: sa.Column[Any], old: sa.sql.ColumnElement[Any]
) -> int:
    """Delete old rows, but for the newest of each kind."""
    deleted = 0
    for (one,) in connection.execute(sa.select(kind).where(old).distinct()).all():
        newest = sa.select(order).where(kind == one).order_by(order.desc()).offset(STAY - 1).limit(1)
        last = connection.execute(newest).scalar()
        if last is not None:
            deleted += connection.execute(sa.delete(table).where(old, kind == one, order < last)).rowcount
    return deleted
