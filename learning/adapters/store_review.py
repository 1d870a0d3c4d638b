"""Proposals, what people decide about them, and who reads them, in the learning database.

A decision changes the state of a proposal and never its content: that stays what the machine suggested, and what was
undone waits again as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import bump_overlay
from learning.adapters.rows import decision_row, proposal_row, to_decision, to_proposal
from learning.adapters.store_conversations import ConversationTables
from learning.errors import NotFound, StoreError
from learning.model import (
    Action,
    Decision,
    Entry,
    Proposal,
    ProposalState,
    SecondReading,
)
from learning.review import as_decided, effective

PENDING, SUPERSEDED = ProposalState.PENDING, ProposalState.SUPERSEDED
LIVE = (ProposalState.PUBLISHED.value, ProposalState.ABSORBED.value)
MOVED = "move-example"  # in the audit log: an example that a person put into a proposal


class ReviewTables(ConversationTables):
    """What review writes; each writing method is one transaction."""

    def proposals(self) -> list[Proposal]:
        """Return every proposal, the best score first."""
        query = sa.select(schema.proposals).order_by(schema.proposals.c.score.desc(), schema.proposals.c.proposal_id)
        with self._database.read() as connection:
            return [to_proposal(row) for row in connection.execute(query)]

    def proposal(self, prefix: str) -> Proposal:
        """Return the proposal whose id starts with `prefix`.

        Raises:
            NotFound: none does, or more than one.

        """
        found = [proposal for proposal in self.proposals() if prefix and proposal.proposal_id.startswith(prefix)]
        if len(found) == 1:
            return found[0]
        what = f"fits {len(found)} proposals" if found else "is no proposal"
        raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning review list`")

    def save_proposals(self, proposals: Sequence[Proposal], at: datetime) -> int:
        """Write new proposals and refresh waiting ones; what people decided is never touched.

        One that was merged into another waits again: its gap has turns of its own again.
        """
        new = 0
        table = schema.proposals
        with self._database.write() as connection:
            self._check_forgotten(connection)
            for proposal in proposals:
                mine = table.c.proposal_id == proposal.proposal_id
                row = connection.execute(sa.select(table).where(mine)).first()
                evidence = _evidence(proposal)
                if row is None:
                    new += 1
                    connection.execute(sa.insert(table), proposal_row(proposal))
                    append_row(connection, at, "miner", "propose", proposal.proposal_id, "", "pending", "", evidence)
                elif row.state in (PENDING.value, SUPERSEDED.value):
                    kept = _put_by_hand(connection, proposal, row.examples) if row.state == PENDING.value else []
                    content = {
                        **proposal_row(proposal),
                        "created_at": row.created_at,
                        "assignee": row.assignee,
                        "examples": [*proposal.examples, *kept],
                    }
                    connection.execute(sa.update(table).where(mine).values(**content))
                    if row.state == SUPERSEDED.value:
                        item, why = proposal.proposal_id, "has messages of its own again"
                        append_row(connection, at, "miner", "reopen", item, row.state, "pending", why, evidence)
        return new

    def reopen_deferred(self, before: Proposal, after: Proposal, at: datetime) -> None:
        """Put a deferred proposal back in the queue."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            append_row(connection, at, "miner", "reopen", after.proposal_id, "deferred", "pending", "due", "")

    def assign(self, proposal: Proposal, assignee: str | None, who: str, at: datetime) -> None:
        """Note who is to decide about a proposal, or that it is anybody's."""
        with self._database.write() as connection:
            table = schema.proposals
            connection.execute(
                sa.update(table).where(table.c.proposal_id == proposal.proposal_id).values(assignee=assignee)
            )
            state, reason = proposal.state.value, f"to {assignee}" if assignee else "to nobody"
            append_row(connection, at, who, "assign", proposal.proposal_id, state, state, reason, "")

    # --- decisions -------------------------------------------------------------------------------

    def decisions(self) -> list[Decision]:
        """Return what people and policies decided, the oldest first."""
        query = sa.select(schema.decisions).order_by(schema.decisions.c.number)
        with self._database.read() as connection:
            return [to_decision(row) for row in connection.execute(query)]

    def decisions_about(self, proposal_id: str) -> list[Decision]:
        """Return what was decided about one proposal, the oldest first."""
        with self._database.read() as connection:
            return _decisions_about(connection, proposal_id)

    def save_decision(self, before: Proposal, after: Proposal, decision: Decision) -> None:
        """Record what a person decided; a proposal that someone else has moved meanwhile is refused."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            _append_decision(connection, before, after, decision)

    def save_undo(self, before: Proposal, after: Proposal, decision: Decision, entries: Sequence[Entry]) -> None:
        """Let a decided proposal wait again; `entries`, what it made live and what hangs on that, are withdrawn."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            for entry in entries:
                self._withdraw(connection, entry, decision, with_proposal=entry.proposal_id != before.proposal_id)
            if entries:
                bump_overlay(connection)
            _handle_gap_as_before(connection, before)
            _append_decision(connection, before, after, decision)

    def _withdraw(self, connection: Connection, entry: Entry, decision: Decision, with_proposal: bool) -> None:
        table, withdrawn = schema.entries, ProposalState.WITHDRAWN.value
        changed = connection.execute(
            sa.update(table)
            .where(table.c.entry_id == entry.entry_id, table.c.state == entry.state.value)
            .values(state=withdrawn)
        )
        if changed.rowcount != 1:
            raise StoreError(f"is no longer {entry.state.value}", f"entry {entry.entry_id}", "look at it again")
        if with_proposal:
            proposals = schema.proposals
            connection.execute(
                sa.update(proposals).where(proposals.c.proposal_id == entry.proposal_id).values(state=withdrawn)
            )
            handle_gap(connection, entry.proposal_id, decision.at)
        reason = f"{decision.proposal_id} was undone"
        item, state = entry.entry_id, entry.state.value
        append_row(connection, decision.at, decision.who, "withdraw", item, state, withdrawn, reason, "")

    def _change_state(self, connection: Connection, before: Proposal, after: Proposal) -> None:
        """Move a proposal that is as the caller saw it: as it was suggested, or as it was decided."""
        table = schema.proposals
        row = connection.execute(sa.select(table).where(table.c.proposal_id == before.proposal_id)).first()
        decided = _decisions_about(connection, before.proposal_id)
        item, next_step = f"proposal {before.proposal_id}", "look at it again with `python -m learning review show`"
        if row is None or row.state != before.state.value:
            last = f" ({decided[-1].who}, {decided[-1].action.value}, {_when(decided[-1].at)})" if decided else ""
            now = f"; it is {row.state} now" if row is not None else ""
            what = f"is no longer {before.state.value}: somebody else decided first{last}, or was forgotten{now}"
            raise StoreError(what, item, next_step)
        present = to_proposal(row)
        last_decision = effective(decided).get(before.proposal_id)
        seen = (present.examples, as_decided(present, None).examples, as_decided(present, last_decision).examples)
        if before.examples not in seen:
            # What was erased meanwhile must not come back.
            raise StoreError("has changed: it was mined again, or somebody in it was forgotten", item, next_step)
        connection.execute(
            sa.update(table)
            .where(table.c.proposal_id == before.proposal_id)
            .values(state=after.state.value, deferred_until=after.deferred_until, deferred_turns=after.deferred_turns)
        )

    # --- second readings -------------------------------------------------------------------------

    def second_readings(self) -> list[SecondReading]:
        """Return what second readers would have decided, the oldest first."""
        table = schema.second_readings
        query = sa.select(table).order_by(table.c.at, table.c.proposal_id, table.c.who)
        with self._database.read() as connection:
            return [
                SecondReading(row.proposal_id, row.who, row.at, Action(row.action), row.reason)
                for row in connection.execute(query)
            ]

    def save_second_reading(self, reading: SecondReading) -> None:
        """Record what a second reader would have decided; nobody reads a proposal twice."""
        table = schema.second_readings
        with self._database.write() as connection:
            query = sa.select(table).where(table.c.proposal_id == reading.proposal_id, table.c.who == reading.who)
            if connection.execute(query).first() is not None:
                raise StoreError(
                    f"was read by {reading.who} before", f"proposal {reading.proposal_id}", "read another one"
                )
            connection.execute(sa.insert(table), {**asdict(reading), "action": reading.action.value})
            item = reading.proposal_id
            append_row(connection, reading.at, reading.who, "second reading", item, "", reading.action.value, "", "")


def handle_gap(connection: Connection, proposal_id: str, at: datetime) -> None:
    """Note when a proposal's gap was answered, or given up: only what comes later is asked anew."""
    gap_id = sa.select(schema.proposals.c.gap_id).where(schema.proposals.c.proposal_id == proposal_id)
    connection.execute(
        sa.update(schema.gaps).where(schema.gaps.c.gap_id == gap_id.scalar_subquery()).values(handled_at=at)
    )


def _handle_gap_as_before(connection: Connection, undone: Proposal) -> None:
    """Note when the gap was answered without what was undone: by its other live entries, or never."""
    entries, proposals, releases = schema.entries, schema.proposals, schema.releases
    others = (
        sa.select(sa.func.max(releases.c.at))
        .select_from(entries)
        .join(releases, releases.c.number == entries.c.release)
        .join(proposals, proposals.c.proposal_id == entries.c.proposal_id)
        .where(
            proposals.c.gap_id == undone.gap_id,
            entries.c.proposal_id != undone.proposal_id,
            entries.c.state.in_(LIVE),
        )
    )
    at = connection.execute(others).scalar()
    gaps = schema.gaps
    connection.execute(sa.update(gaps).where(gaps.c.gap_id == undone.gap_id).values(handled_at=at, changed=True))


def _append_decision(connection: Connection, before: Proposal, after: Proposal, decision: Decision) -> None:
    connection.execute(sa.insert(schema.decisions), decision_row(decision))
    append_row(
        connection,
        decision.at,
        decision.who,
        decision.action.value,
        after.proposal_id,
        before.state.value,
        after.state.value,
        decision.reason,
        _evidence(after),
    )


def _decisions_about(connection: Connection, proposal_id: str) -> list[Decision]:
    table = schema.decisions
    query = sa.select(table).where(table.c.proposal_id == proposal_id).order_by(table.c.number)
    return [to_decision(row) for row in connection.execute(query)]


def _evidence(proposal: Proposal) -> str:
    return content_hash(*proposal.examples, proposal.answer or "")


def _put_by_hand(connection: Connection, proposal: Proposal, before: Sequence[str]) -> list[Any]:
    """Return the examples that a person put into a proposal and that mining would drop, by their hashes in the log."""
    missing = [text for text in before if text not in proposal.examples]
    if not missing:
        return []
    table = schema.audit
    query = sa.select(table.c.evidence_hash).where(table.c.item == proposal.proposal_id, table.c.what == MOVED)
    by_hand = set(connection.execute(query).scalars())
    return [text for text in missing if content_hash(text) in by_hand]


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d at %H:%M} UTC"
