"""Entries and releases, in the learning database: what is live, and how it came to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Union

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, entry_evidence
from learning.adapters.database import OVERLAY_VERSION, chunks, get_meta, upsert
from learning.adapters.experiment_rows import check_untried, stop_experiment
from learning.adapters.live_set import (
    begin_release,
    change_live_set,
    handle_gap,
    read_entries,
    told_state,
)
from learning.adapters.rows import to_proposal
from learning.adapters.store_review import ReviewTables, append_decision, read_decisions
from learning.adapters.store_rollout import check_rollouts, write_rollout
from learning.errors import StoreError
from learning.model import (
    ANSWERING,
    EVERYBODY,
    LIVE,
    TEACHING,
    Change,
    Decision,
    Entry,
    Proposal,
    ProposalState,
    Quarantined,
    Release,
    ReleaseKind,
    Rollout,
)
from learning.overlay import pack_vectors
from learning.review import APPROVING, STATE_AFTER, as_decided, effective

Changes = Union[Sequence[Change], Callable[[Sequence[Entry]], Sequence[Change]]]


class ReleaseTables(ReviewTables):
    """What is live; each writing method is one transaction."""

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
        rollout: Rollout | None = None,
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
            rollout: how it reaches its users; without, everybody gets it at once.

        """
        share = rollout.steps[rollout.at_step] if rollout else EVERYBODY
        with self._database.write() as connection:
            if decided is not None:
                suggested, decision = decided
                self._record_decision(connection, suggested, before, decision)
            if check is not None:
                check(read_entries(connection, LIVE))
            self._change_state(connection, before, after)
            check_untried(connection, after, f"proposal {after.proposal_id}", share)
            step = begin_release(connection, ReleaseKind.PUBLISH, [Change(entry_id, 0, share)], who, at)
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
                "release": step.release.number,
                "state": ProposalState.PUBLISHED.value,
                "share": share,
                "held_by": None,
                "changed": step.version,
            }
            upsert(connection, schema.entries, "entry_id", row)
            if rollout is not None:
                write_rollout(connection, rollout)
            handle_gap(connection, after.proposal_id, at)
            published = told_state(after.state.value, share)
            told = f"release {step.release.number}"
            evidence = entry_evidence(after, share)
            append_row(connection, at, who, "publish", entry_id, before.state.value, published, told, evidence)
        return step.release

    def release(
        self,
        what: ReleaseKind,
        changes: Changes,
        who: str,
        at: datetime,
        reason: str = "",
        undoes: int | None = None,
        check: Callable[[Sequence[Entry]], None] | None = None,
        rollouts: Sequence[Rollout] = (),
        back_to: int | None = None,
        seen: Sequence[Rollout] = (),
    ) -> Release:
        """Bring entries to other shares of the users in one numbered step; 0 takes one back.

        Args:
            what: why.
            changes: the entries, or what chooses them among those that are live in this transaction; refused if one is
                not at `before` any more.
            who: who does it.
            at: when.
            reason: for people.
            undoes: the release that is taken back.
            check: raises if what is live afterwards does not fit together.
            rollouts: how the entries go on to their users.
            back_to: the release after which all these items were as they are to be now.
            seen: rollouts as they were read: refused if one is not so any more.

        Raises:
            StoreError: somebody else has changed one of them, nothing would change, or nobody stands behind one.

        """
        with self._database.write() as connection:
            check_rollouts(connection, seen)
            chosen = changes(read_entries(connection, LIVE)) if callable(changes) else changes
            if not chosen:
                raise StoreError("changes nothing", f"release ({what.value})", "name what is to be changed")
            _change_experiments(connection, chosen, at, reason)
            decided = _proposals_of(connection, [change.item_id for change in chosen if change.before == 0])
            release = change_live_set(connection, what, chosen, who, at, reason, undoes, back_to=back_to)
            for entry, suggested in decided:
                _stand_behind(connection, entry, suggested, who, at, reason)
            for rollout in rollouts:
                write_rollout(connection, rollout)
            if check is not None:
                check(read_entries(connection, LIVE))
        return release

    def entries(self, *states: ProposalState) -> list[Entry]:
        """Return the entries in the given states (all without any), in the order of their release."""
        with self._database.read() as connection:
            return read_entries(connection, states)

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
        """Note the commit that carries every release which had none yet; empty where no file had to change."""
        table = schema.releases
        with self._database.write() as connection:
            connection.execute(sa.update(table).where(table.c.commit.is_(None)).values(commit=commit))

    def overlay_version(self) -> int:
        """Return the version that running bots compare with theirs."""
        with self._database.read() as connection:
            return int(get_meta(connection, OVERLAY_VERSION) or 0)

    def quarantined(self) -> list[Quarantined]:
        """Return what running bots leave out because it is broken."""
        query = sa.select(schema.quarantine).order_by(schema.quarantine.c.entry_id)
        with self._database.read() as connection:
            return [Quarantined(**dict(row._mapping)) for row in connection.execute(query)]


# --- what comes back ---------------------------------------------------------------------------------


def _change_experiments(connection: Connection, changes: Sequence[Change], at: datetime, reason: str) -> None:
    """End the experiments among the items: what is no entry is one."""
    table = schema.entries
    known: set[str] = set()
    for chunk in chunks([change.item_id for change in changes]):
        known |= set(connection.execute(sa.select(table.c.entry_id).where(table.c.entry_id.in_(chunk))).scalars())
    for change in changes:
        if change.item_id in known:
            continue
        if change.after:
            raise StoreError("cannot begin again", f"experiment {change.item_id}", "create and start a new one")
        stop_experiment(connection, change.item_id, at, reason)


def _proposals_of(connection: Connection, entry_ids: Sequence[str]) -> list[tuple[Entry, Proposal]]:
    """Return entries with their proposals as they are now."""
    wanted, table = set(entry_ids), schema.proposals
    entries = [entry for entry in read_entries(connection, ()) if entry.entry_id in wanted] if wanted else []
    found = []
    for entry in entries:
        row = connection.execute(sa.select(table).where(table.c.proposal_id == entry.proposal_id)).first()
        if row is not None:
            found.append((entry, to_proposal(row)))
    return found


def _stand_behind(
    connection: Connection, entry: Entry, suggested: Proposal, who: str, at: datetime, reason: str
) -> None:
    """See to it that an entry which comes back is what was decided last; who brings it back decides it again.

    Raises:
        StoreError: nobody has decided what the entry says, or the proposal has changed since.

    """
    decisions = read_decisions(connection, entry.proposal_id)
    counts = effective(decisions).get(entry.proposal_id)
    for decision in [*([counts] if counts else []), *reversed(decisions)]:
        if decision.action in APPROVING and _says(entry, as_decided(suggested, decision)):
            if decision is not counts:
                again = replace(decision, who=who, at=at, reason=reason)
                after = replace(suggested, state=STATE_AFTER[again.action])
                append_decision(connection, suggested, after, again)
            return
    raise StoreError(
        "cannot come back: what was approved has changed since, or somebody in it was forgotten",
        f"entry {entry.entry_id}",
        f"decide about proposal {entry.proposal_id} again",
    )


def _says(entry: Entry, decided: Proposal) -> bool:
    answer = decided.answer if decided.kind in ANSWERING else None
    own = (entry.kind, entry.label, entry.target, entry.answer, entry.examples)
    return own == (decided.kind, decided.label, decided.target, answer, decided.examples)
