"""Rollouts and what answers led to, in the learning database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import chunks, upsert
from learning.adapters.store_conversations import ConversationTables
from learning.errors import StoreError
from learning.model import OFF, AnswerCounts, DayOfSender, Exposure, ProposalState, Rollout

WITHHELD, FRESH = "withheld", "fresh"  # stages of a failed turn: an entry has its answer, or mining looks at it


class RolloutTables(ConversationTables):
    """Rollouts and what answers led to, in the learning database."""

    def rollouts(self) -> list[Rollout]:
        """Return every rollout, by entry."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(schema.rollouts).order_by(schema.rollouts.c.entry_id))
            return [_to_rollout(row) for row in rows]

    def save_rollout(self, rollout: Rollout, what: str, who: str, reason: str, at: datetime) -> None:
        """Write a schedule as it stands now; refused once the entry is not live, or not at its share any more.

        Raises:
            StoreError: somebody else has changed the entry.

        """
        table = schema.entries
        share, item = rollout.steps[rollout.at_step], f"entry {rollout.entry_id}"
        with self._database.write() as connection:
            mine = sa.select(table.c.state, table.c.share).where(table.c.entry_id == rollout.entry_id)
            row = connection.execute(mine).first()
            if row is None or (row.state, row.share) != (ProposalState.PUBLISHED.value, share):
                raise StoreError("has been changed by somebody else", item, "look at it again")
            write_rollout(connection, rollout)
            told = f"{share} %"
            append_row(connection, at, who, what, rollout.entry_id, told, told, reason, "")

    def exposures(self, subject: str, since: datetime | None = None) -> list[Exposure]:
        """Return what came of the answers that a subject has changed, the oldest first."""
        table = schema.exposures
        query = sa.select(table).where(table.c.subject == subject).order_by(table.c.at, table.c.turn_id)
        if since is not None:
            query = query.where(table.c.at >= since)
        with self._database.read() as connection:
            return [Exposure(**row._mapping) for row in connection.execute(query)]

    def answers_since(self, since: datetime) -> list[DayOfSender]:
        """Return what came of all answers in conversations since then: one item for each sender and day (UTC)."""
        table = schema.conversations
        counted = [table.c.answered, table.c.thumbs_down, table.c.fallback_after, table.c.handoff_after]
        query = sa.select(table.c.sender, table.c.started, *counted)
        query = query.where(table.c.started >= since, table.c.answered > 0).order_by(table.c.started)
        first: dict[tuple[str, date], datetime] = {}
        sums: dict[tuple[str, date], list[int]] = {}
        with self._database.read() as connection:
            for sender, started, *counts in connection.execute(query):
                key = sender, started.astimezone(timezone.utc).date()
                first.setdefault(key, started)
                sums[key] = [a + b for a, b in zip(sums.get(key, (0, 0, 0, 0)), counts, strict=True)]
        return [DayOfSender(key[0], at, AnswerCounts(*sums[key])) for key, at in first.items()]


def write_rollout(connection: Connection, rollout: Rollout) -> None:
    """Write a rollout as it stands now, in the caller's transaction."""
    upsert(connection, schema.rollouts, "entry_id", asdict(rollout))


def check_rollouts(connection: Connection, seen: Sequence[Rollout]) -> None:
    """Raise `StoreError` if somebody has changed a rollout since it was read."""
    table = schema.rollouts
    for rollout in seen:
        row = connection.execute(sa.select(table).where(table.c.entry_id == rollout.entry_id)).first()
        if row is None or _to_rollout(row) != rollout:
            item = f"entry {rollout.entry_id}"
            raise StoreError("has had its rollout changed by somebody else", item, "look at it again")


def _to_rollout(row: Any) -> Rollout:
    return Rollout(**{**row._mapping, "steps": tuple(row.steps)})


def reopen_gap(connection: Connection, entry_id: str, at: datetime) -> None:
    """Note that the need which an entry was to answer is open again, in the caller's transaction."""
    entries, proposals, gaps = schema.entries, schema.proposals, schema.gaps
    gap_id = (
        sa.select(proposals.c.gap_id)
        .join(entries, entries.c.proposal_id == proposals.c.proposal_id)
        .where(entries.c.entry_id == entry_id)
    )
    found = gaps.c.gap_id == gap_id.scalar_subquery()
    connection.execute(sa.update(gaps).where(found).values(reopened_at=at, changed=True))
    free_withheld(connection, entry_id)


def free_withheld(connection: Connection, entry_id: str) -> None:
    """Let mining look at what an entry was to answer once its share had come, in the caller's transaction."""
    table, told = schema.failed_turns, schema.exposures
    query = sa.select(told.c.turn_id).where(told.c.subject == entry_id, told.c.arm == OFF)
    for chunk in chunks(connection.execute(query).scalars().all()):
        waits = sa.and_(table.c.turn_id.in_(chunk), table.c.stage == WITHHELD)
        connection.execute(sa.update(table).where(waits).values(stage=FRESH))
