"""Proposals, what people decide about them, and who reads them, in the learning database.

A decision changes the state of a proposal and never its content: that stays what the machine suggested, and what was
undone waits again as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import chunks, get_meta
from learning.adapters.live_set import LIVE_VALUES, change_live_set, read_entries
from learning.adapters.rows import decision_row, proposal_row, to_decision, to_proposal
from learning.adapters.store_conversations import ConversationTables
from learning.errors import NotFound, StoreError
from learning.model import (
    LIVE,
    MOVED,
    POLICY,
    SPLIT,
    Action,
    Change,
    Decision,
    Entry,
    Proposal,
    ProposalState,
    Release,
    ReleaseKind,
    SecondReading,
)
from learning.review import OPEN_STATES, HasChanged, as_decided, content_mark, effective

PENDING, SUPERSEDED = ProposalState.PENDING, ProposalState.SUPERSEDED
REGROUPINGS = "regroupings"  # key of their number


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
        found: list[Proposal] = []
        if prefix and prefix.isascii() and prefix.isprintable():  # a database may refuse to compare anything else
            table = schema.proposals
            query = sa.select(table).where(sa.func.substr(table.c.proposal_id, 1, len(prefix)) == prefix)
            with self._database.read() as connection:
                found = [to_proposal(row) for row in connection.execute(query)]
        if len(found) == 1:
            return found[0]
        what = f"fits {len(found)} proposals" if found else "is no proposal"
        raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning review list`")

    def save_proposals(
        self,
        proposals: Sequence[Proposal],
        at: datetime,
        scores: Mapping[str, int] = MappingProxyType({}),
        settled: Sequence[str] = (),
        regroupings: int | None = None,
    ) -> int:
        """Write new proposals and refresh waiting ones; return how many are new. What people decided is never touched.

        One that was merged into another waits again: its gap has turns of its own again.

        Args:
            proposals: what was made of gaps.
            at: the time now.
            scores: new scores of others that wait.
            settled: gaps that were proposed for as they are now.
            regroupings: how many there were when this was read; if a person has rearranged anything since, nothing is
                written, and the gaps are looked at again by the next mining.

        """
        new = 0
        table = schema.proposals
        with self._database.write() as connection:
            self._check_forgotten(connection)
            if regroupings is not None and regroupings != int(get_meta(connection, REGROUPINGS) or 0):
                return 0
            for chunk in chunks(sorted(settled)):
                gaps = schema.gaps
                connection.execute(sa.update(gaps).where(gaps.c.gap_id.in_(chunk)).values(changed=False))
            for proposal_id, score in sorted(scores.items()):
                waiting = sa.and_(table.c.proposal_id == proposal_id, table.c.state == PENDING.value)
                connection.execute(sa.update(table).where(waiting).values(score=score))
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

    def regroupings(self) -> int:
        """Return how often a person has put turns into other gaps."""
        with self._database.read() as connection:
            return int(get_meta(connection, REGROUPINGS) or 0)

    def split_gaps(self) -> set[str]:
        """Return the gaps that a person has parted from others."""
        table = schema.audit
        with self._database.read() as connection:
            query = sa.select(table.c.after).where(table.c.what == SPLIT)
            return set(connection.execute(query).scalars())

    def reopen_deferred(self, before: Proposal, after: Proposal, at: datetime) -> None:
        """Put a deferred proposal back in the queue."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            append_row(connection, at, "miner", "reopen", after.proposal_id, "deferred", "pending", "due", "")

    def assign(self, proposal: Proposal, assignee: str | None, who: str, at: datetime) -> None:
        """Note who is to decide about a proposal, or that it is anybody's; refused once somebody has decided."""
        table = schema.proposals
        mine = table.c.proposal_id == proposal.proposal_id
        with self._database.write() as connection:
            state = connection.execute(sa.select(table.c.state).where(mine)).scalar()
            if state not in [one.value for one in OPEN_STATES]:
                what = "was forgotten" if state is None else f"is {state} by now: there is nothing left to decide"
                raise StoreError(what, f"proposal {proposal.proposal_id}", "look at what is left in `review list`")
            connection.execute(sa.update(table).where(mine).values(assignee=assignee))
            reason = f"to {assignee}" if assignee else "to nobody"
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
            return read_decisions(connection, proposal_id)

    def save_decision(self, before: Proposal, after: Proposal, decision: Decision) -> None:
        """Record what a person decided; a proposal that someone else has moved meanwhile is refused."""
        with self._database.write() as connection:
            self._record_decision(connection, before, after, decision)

    def save_undo(
        self,
        before: Proposal,
        after: Proposal,
        decision: Decision,
        choose: Callable[[Sequence[Entry]], Sequence[Change]],
    ) -> Release | None:
        """Let a decided proposal wait again; what it made live goes away with what hangs on that, as one release.

        Args:
            before: the proposal as it is.
            after: the same, waiting.
            decision: who undoes it, when and why.
            choose: returns what goes away, of the entries that are live in this transaction.

        """
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            changes = choose(read_entries(connection, LIVE))
            release = None
            if changes:
                who, at, keep = decision.who, decision.at, {before.proposal_id}
                reason = f"{decision.proposal_id} was undone{f': {decision.reason}' if decision.reason else ''}"
                release = change_live_set(connection, ReleaseKind.UNDO, changes, who, at, reason, keep=keep)
            _handle_gap_as_before(connection, before)
            append_decision(connection, before, after, decision)
        return release

    def _record_decision(self, connection: Connection, before: Proposal, after: Proposal, decision: Decision) -> None:
        """Record a decision about what its author has seen; what a policy has judged must be the same in every way."""
        present = self._change_state(connection, before, after)
        unread = decision.seen is not None and decision.seen != content_mark(present)
        if unread or (decision.who.startswith(POLICY) and present != before):
            raise HasChanged(before.proposal_id)
        append_decision(connection, before, after, decision)

    def _change_state(self, connection: Connection, before: Proposal, after: Proposal) -> Proposal:
        """Move a proposal that is as the caller saw it, as suggested or as decided; return what was suggested."""
        table = schema.proposals
        row = connection.execute(sa.select(table).where(table.c.proposal_id == before.proposal_id)).first()
        decided = read_decisions(connection, before.proposal_id)
        item, next_step = f"proposal {before.proposal_id}", "look at it again with `python -m learning review show`"
        if row is None or row.state != before.state.value:
            last = f" ({decided[-1].who}, {decided[-1].action.value}, {_when(decided[-1].at)})" if decided else ""
            now = f"; it is {row.state} now" if row is not None else ""
            what = f"is no longer {before.state.value}: somebody else decided first{last}, or was forgotten{now}"
            raise StoreError(what, item, next_step)
        present = to_proposal(row)
        last_decision = effective(decided).get(before.proposal_id)
        seen = (present, as_decided(present, None), as_decided(present, last_decision))
        if _content(before) not in map(_content, seen):
            # What was erased meanwhile must not come back, and what nobody has read must not go live.
            raise HasChanged(before.proposal_id)
        connection.execute(
            sa.update(table)
            .where(table.c.proposal_id == before.proposal_id)
            .values(state=after.state.value, deferred_until=after.deferred_until, deferred_turns=after.deferred_turns)
        )
        return present

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
            entries.c.state.in_(LIVE_VALUES),
        )
    )
    at = connection.execute(others).scalar()
    gaps = schema.gaps
    connection.execute(sa.update(gaps).where(gaps.c.gap_id == undone.gap_id).values(handled_at=at, changed=True))


def append_decision(connection: Connection, before: Proposal, after: Proposal, decision: Decision) -> None:
    """Record a decision with its line in the audit log, in the caller's transaction."""
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


def read_decisions(connection: Connection, proposal_id: str) -> list[Decision]:
    """Return what was decided about one proposal, the oldest first."""
    table = schema.decisions
    query = sa.select(table).where(table.c.proposal_id == proposal_id).order_by(table.c.number)
    return [to_decision(row) for row in connection.execute(query)]


def _content(proposal: Proposal) -> tuple[object, ...]:
    """Return what a decision makes live."""
    return (proposal.kind, proposal.label, proposal.target, proposal.answer, proposal.examples)


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
