"""The learning database: everything the loop remembers, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import HEAD, append_row, content_hash, find_problems
from learning.adapters.database import OVERLAY_VERSION, bump_overlay, get_meta, upsert
from learning.adapters.rows import decision_row, proposal_row, to_proposal
from learning.adapters.store_erasure import ErasureStore
from learning.adapters.store_gaps import GapTables
from learning.errors import NotFound, StoreError
from learning.model import (
    AuditRow,
    Decision,
    Entry,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
)
from learning.overlay import pack_vectors


class Store(GapTables, ErasureStore):
    """Reads and writes the loop's records; each writing method is one transaction.

    Raises:
        StoreError: the database cannot be opened, read or written.

    """

    # --- proposals and decisions ---------------------------------------------------------------

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
        """Write new proposals and refresh waiting ones; what people decided is never touched."""
        new = 0
        with self._database.write() as connection:
            self._check_forgotten(connection)
            for proposal in proposals:
                table = schema.proposals
                row = connection.execute(
                    sa.select(table.c.state, table.c.created_at).where(table.c.proposal_id == proposal.proposal_id)
                ).first()
                if row is None:
                    new += 1
                    connection.execute(sa.insert(table), proposal_row(proposal))
                    evidence = content_hash(*proposal.examples, proposal.answer or "")
                    append_row(connection, at, "miner", "propose", proposal.proposal_id, "", "pending", "", evidence)
                elif ProposalState(row.state) is ProposalState.PENDING:
                    content = {**proposal_row(proposal), "created_at": row.created_at}
                    connection.execute(
                        sa.update(table).where(table.c.proposal_id == proposal.proposal_id).values(**content)
                    )
        return new

    def save_decision(self, before: Proposal, after: Proposal, decision: Decision) -> None:
        """Record what a person decided; a proposal that someone else has moved meanwhile is refused."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
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
                content_hash(*after.examples, after.answer or ""),
            )

    def reopen_deferred(self, before: Proposal, after: Proposal, at: datetime) -> None:
        """Put a deferred proposal back in the queue."""
        with self._database.write() as connection:
            self._change_state(connection, before, after)
            append_row(connection, at, "miner", "reopen", after.proposal_id, "deferred", "pending", "due", "")

    def _change_state(self, connection: Connection, before: Proposal, after: Proposal) -> None:
        table = schema.proposals
        changed = connection.execute(
            sa.update(table)
            .where(
                table.c.proposal_id == before.proposal_id,
                table.c.state == before.state.value,
                # What was erased meanwhile must not come back.
                table.c.examples == sa.literal(before.examples, schema.Json()),
            )
            .values(**proposal_row(after))
        )
        if changed.rowcount != 1:
            raise StoreError(
                f"is no longer {before.state.value} as it was: somebody else decided first, or was forgotten",
                f"proposal {before.proposal_id}",
                "look at it again with `python -m learning review show`",
            )

    # --- entries and releases ------------------------------------------------------------------

    def publish(
        self, before: Proposal, after: Proposal, entry_id: str, vectors: Any, encoder: str, who: str, at: datetime
    ) -> Release:
        """Make a decided proposal live: entry, release, overlay version and audit in one transaction."""
        with self._database.write() as connection:
            number = int(connection.execute(sa.select(sa.func.max(schema.releases.c.number))).scalar() or 0) + 1
            release = Release(number, entry_id, who, at)
            self._change_state(connection, before, after)
            row = {
                "entry_id": entry_id,
                "proposal_id": after.proposal_id,
                "kind": after.kind.value,
                "label": after.label,
                "examples": after.examples,
                "answer": after.answer if after.kind is ProposalKind.ANSWER else None,
                "vectors": pack_vectors(vectors),
                "encoder": encoder,
                "release": number,
                "state": ProposalState.PUBLISHED.value,
            }
            upsert(connection, schema.entries, "entry_id", row)
            connection.execute(sa.insert(schema.releases), asdict(release))
            _handle_gap(connection, after.proposal_id, at)
            bump_overlay(connection)
            evidence = content_hash(*after.examples, after.answer or "")
            append_row(
                connection,
                at,
                who,
                "publish",
                entry_id,
                before.state.value,
                after.state.value,
                f"release {number}",
                evidence,
            )
        return release

    def move_entry(self, entry: Entry, to: ProposalState, who: str, what: str, reason: str, at: datetime) -> None:
        """Absorb, withdraw or bring back an entry with its proposal; the overlay changes with it."""
        with self._database.write() as connection:
            table = schema.entries
            changed = connection.execute(
                sa.update(table)
                .where(table.c.entry_id == entry.entry_id, table.c.state == entry.state.value)
                .values(state=to.value)
            )
            if changed.rowcount != 1:
                raise StoreError(f"is no longer {entry.state.value}", f"entry {entry.entry_id}", "look at it again")
            connection.execute(
                sa.update(schema.proposals)
                .where(schema.proposals.c.proposal_id == entry.proposal_id)
                .values(state=to.value)
            )
            if to is ProposalState.WITHDRAWN:
                # What comes in from now on is not answered again; what came before was.
                _handle_gap(connection, entry.proposal_id, at)
            bump_overlay(connection)
            append_row(connection, at, who, what, entry.entry_id, entry.state.value, to.value, reason, "")

    def entries(self, *states: ProposalState) -> list[Entry]:
        """Return the entries in the given states (all without any), in the order of their release."""
        query = sa.select(schema.entries).order_by(schema.entries.c.release)
        if states:
            query = query.where(schema.entries.c.state.in_([state.value for state in states]))
        with self._database.read() as connection:
            return [
                Entry(
                    entry_id=row.entry_id,
                    proposal_id=row.proposal_id,
                    kind=ProposalKind(row.kind),
                    label=row.label,
                    examples=tuple(row.examples),
                    answer=row.answer,
                    release=row.release,
                    state=ProposalState(row.state),
                )
                for row in connection.execute(query)
            ]

    def releases(self) -> list[Release]:
        """Return all releases, the newest first."""
        query = sa.select(schema.releases).order_by(schema.releases.c.number.desc())
        with self._database.read() as connection:
            return [Release(row.number, row.entry_id, row.who, row.at, row.commit) for row in connection.execute(query)]

    def mark_committed(self, commit: str) -> None:
        """Note the commit that carries every release which had none yet."""
        table = schema.releases
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(table.c.commit.is_(None)).values(commit=commit))

    def overlay_version(self) -> int:
        """Return the version that running bots compare with theirs."""
        with self._database.read() as connection:
            return int(get_meta(connection, OVERLAY_VERSION) or 0)

    # --- runs and audit ------------------------------------------------------------------------

    def record_run(
        self, job: str, started: datetime, finished: datetime, outcome: str, summary: Mapping[str, Any]
    ) -> None:
        """Note how a job of the loop ended."""
        with self._database.write() as connection:
            row = {"job": job, "started": started, "finished": finished, "outcome": outcome, "summary": dict(summary)}
            connection.execute(sa.insert(schema.runs), row)

    def last_run(self, job: str) -> Mapping[str, Any] | None:
        """Return the newest run of `job`, None if there was none."""
        query = sa.select(schema.runs).where(schema.runs.c.job == job).order_by(schema.runs.c.number.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).first()
            return dict(row._mapping) if row else None

    def audit_rows(self) -> list[AuditRow]:
        """Return the audit log from its beginning."""
        query = sa.select(schema.audit).order_by(schema.audit.c.seq)
        with self._database.read() as connection:
            return [AuditRow(**dict(row._mapping)) for row in connection.execute(query)]

    def verify_audit(self) -> list[str]:
        """Return what is wrong with the audit log, one sentence a row; empty if it is whole."""
        rows = self.audit_rows()
        with self._database.read() as connection:
            return find_problems(rows, get_meta(connection, HEAD))


def _handle_gap(connection: Connection, proposal_id: str, at: datetime) -> None:
    gap_id = sa.select(schema.proposals.c.gap_id).where(schema.proposals.c.proposal_id == proposal_id)
    connection.execute(
        sa.update(schema.gaps).where(schema.gaps.c.gap_id == gap_id.scalar_subquery()).values(handled_at=at)
    )
