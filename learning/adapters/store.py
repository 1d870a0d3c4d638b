"""The learning database: everything the loop remembers, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import HEAD, append_row, content_hash, find_problems
from learning.adapters.database import OVERLAY_VERSION, bump_overlay, get_meta, insert, set_meta, upsert
from learning.adapters.store_erasure import ErasureStore
from learning.adapters.store_experiments import ExperimentTables
from learning.adapters.store_gaps import GapTables
from learning.adapters.store_models import ModelTables
from learning.adapters.store_pulls import PullTables
from learning.adapters.store_regroup import RegroupTables
from learning.adapters.store_review import handle_gap
from learning.adapters.store_rollout import RolloutTables
from learning.errors import StoreError
from learning.model import (
    ANSWERING,
    EVERYBODY,
    TEACHING,
    AuditRow,
    Change,
    Decision,
    Entry,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
    ReleaseKind,
)
from learning.overlay import pack_vectors

SPENT = "drafter_tokens:"  # begins the key of a day's tokens


class Store(GapTables, RegroupTables, ErasureStore, RolloutTables, ExperimentTables, PullTables, ModelTables):
    """Reads and writes the loop's records; each writing method is one transaction.

    Raises:
        StoreError: the database cannot be opened, read or written.

    """

    # --- entries and releases ------------------------------------------------------------------

    def publish(
        self,
        before: Proposal,
        after: Proposal,
        entry_id: str,
        vectors: Any,
        encoder: str,
        who: str,
        at: datetime,
        decided: tuple[Proposal, Decision] | None = None,
        check: Callable[[Sequence[Entry]], None] | None = None,
    ) -> Release:
        """Make a decided proposal live: entry, release, overlay version and audit in one transaction.

        Args:
            before: the proposal as it was decided.
            after: the same, published.
            entry_id: the id of its entry.
            vectors: one row for each example that it teaches.
            encoder: the identity of what made them.
            who: who makes it live.
            at: when.
            decided: the suggestion and the decision that made `before` of it, to record it in the same transaction.
            check: raises if `after` does not fit the entries that are live or absorbed in this transaction.

        """
        with self._database.write() as connection:
            if decided is not None:
                suggested, decision = decided
                self._record_decision(connection, suggested, before, decision)
            if check is not None:
                check(_entries(connection, [ProposalState.PUBLISHED, ProposalState.ABSORBED]))
            number = int(connection.execute(sa.select(sa.func.max(schema.releases.c.number))).scalar() or 0) + 1
            release = Release(number, ReleaseKind.PUBLISH, who, at, (Change(entry_id, 0, EVERYBODY),))
            self._change_state(connection, before, after)
            row = {
                "entry_id": entry_id,
                "proposal_id": after.proposal_id,
                "kind": after.kind.value,
                "label": after.label,
                "examples": after.examples,
                "answer": after.answer if after.kind in ANSWERING else None,
                "target": after.target,
                "vectors": pack_vectors(vectors) if after.kind in TEACHING else None,
                "encoder": encoder,
                "release": number,
                "state": ProposalState.PUBLISHED.value,
            }
            upsert(connection, schema.entries, "entry_id", row)
            insert_release(connection, release)
            handle_gap(connection, after.proposal_id, at)
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
                handle_gap(connection, entry.proposal_id, at)
            bump_overlay(connection)
            append_row(connection, at, who, what, entry.entry_id, entry.state.value, to.value, reason, "")

    def release(
        self,
        what: ReleaseKind,
        changes: Sequence[Change],
        who: str,
        at: datetime,
        reason: str = "",
        undoes: int | None = None,
        check: Callable[[Sequence[Entry]], None] | None = None,
    ) -> Release:
        """Bring entries to other shares of the users in one numbered step; 0 takes one back.

        Args:
            what: why.
            changes: the entries; refused if one is not at `before` any more.
            who: who does it.
            at: when.
            reason: for people.
            undoes: the release that is taken back.
            check: raises if what is live afterwards does not fit together.

        Raises:
            StoreError: somebody else has changed one of them.

        """
        raise NotImplementedError

    def entries(self, *states: ProposalState) -> list[Entry]:
        """Return the entries in the given states (all without any), in the order of their release."""
        with self._database.read() as connection:
            return _entries(connection, states)

    def releases(self) -> list[Release]:
        """Return all releases, the newest first."""
        query = sa.select(schema.releases).order_by(schema.releases.c.number.desc())
        with self._database.read() as connection:
            changes: dict[int, list[Change]] = {}
            for row in connection.execute(sa.select(schema.release_changes).order_by(schema.release_changes.c.item_id)):
                changes.setdefault(row.number, []).append(Change(row.item_id, row.before, row.after))
            return [
                Release(
                    number=row.number,
                    what=ReleaseKind(row.what),
                    who=row.who,
                    at=row.at,
                    changes=tuple(changes.get(row.number, ())),
                    reason=row.reason,
                    undoes=row.undoes,
                    commit=row.commit,
                )
                for row in connection.execute(query)
            ]

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

    def spent(self, day: str) -> int:
        """Return how many tokens of a language model were spent on a day such as 2024-03-01 (UTC)."""
        with self._database.read() as connection:
            return int(get_meta(connection, f"{SPENT}{day}") or 0)

    def spend(self, day: str, tokens: int) -> None:
        """Note tokens that a language model has taken."""
        with self._database.write() as connection:
            before = int(get_meta(connection, f"{SPENT}{day}") or 0)
            set_meta(connection, f"{SPENT}{day}", str(before + tokens))

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


def insert_release(connection: Connection, release: Release) -> None:
    """Write a release with its changes, in the caller's transaction."""
    row = asdict(release)
    changes = row.pop("changes")
    connection.execute(sa.insert(schema.releases), {**row, "what": release.what.value})
    insert(connection, schema.release_changes, [{"number": release.number, **change} for change in changes])


def _entries(connection: Connection, states: Sequence[ProposalState]) -> list[Entry]:
    query = sa.select(schema.entries).order_by(schema.entries.c.release)
    if states:
        query = query.where(schema.entries.c.state.in_([state.value for state in states]))
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
            target=row.target,
            share=row.share,
            absorbed_by=row.absorbed_by,
        )
        for row in connection.execute(query)
    ]
