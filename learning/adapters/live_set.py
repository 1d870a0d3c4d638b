"""The only way in which what is live changes: one numbered release, with all that follows from it, in one transaction.

What is live is the sum of all releases' changes. Entries, their proposals and gaps, the audit log and the version that
running bots compare with theirs change with the release, or nothing does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, entry_evidence, release_evidence
from learning.adapters.database import bump_overlay, chunks, insert
from learning.adapters.experiment_rows import check_untried, response_of, running_on, stop_experiment
from learning.adapters.store_models import what_model_knows
from learning.adapters.store_rollout import free_withheld, reopen_gap
from learning.errors import StoreError
from learning.model import EVERYBODY, LIVE, TEACHING, Change, Entry, ProposalKind, ProposalState, Release, ReleaseKind

LIVE_VALUES = tuple(state.value for state in LIVE)
WITHDRAWN = ProposalState.WITHDRAWN.value
BACK_TO = re.compile(r"back to release (\d+)")  # begins the reason of a rollback to a release
CHECK_AGAIN = "look at it again with `python -m learning releases list`"


@dataclass(frozen=True)
class Step:
    """A release that was begun in a transaction, and the overlay's version that it brings."""

    release: Release
    version: int


def change_live_set(
    connection: Connection,
    what: ReleaseKind,
    changes: Sequence[Change],
    who: str,
    at: datetime,
    reason: str = "",
    undoes: int | None = None,
    keep: Collection[str] = (),
    back_to: int | None = None,
) -> Release:
    """Bring entries to other shares of the users as one release, in the caller's transaction.

    An item that is no entry is an experiment: its row is the caller's to change, in the same transaction. Those that
    run on a text which goes away are stopped here: their variants would be said in its place.

    Args:
        connection: the transaction.
        what: why.
        changes: the items; 0 is not live.
        who: who does it.
        at: when.
        reason: for people.
        undoes: the release that is taken back.
        keep: proposals whose state and gap somebody else takes care of.
        back_to: the release after which all these items were as they are to be now.

    Raises:
        StoreError: an item is not at `before` any more, or cannot come to `after`.

    """
    rows = _rows(connection, [change.item_id for change in changes])
    changes = [*changes, *_stop_experiments(connection, changes, rows, at)]
    step = begin_release(connection, what, changes, who, at, reason, undoes)
    # What goes away first: another entry of the same proposal may take its place.
    for change in sorted(step.release.changes, key=lambda change: change.after > 0):
        row = rows.get(change.item_id)
        before, after, evidence = f"{change.before} %", f"{change.after} %", release_evidence(step.release)
        if row is not None:
            before, after = _change_entry(connection, step, change, row, keep, back_to)
            evidence = entry_evidence(row, change.after)
        told = f"release {step.release.number}{f': {reason}' if reason else ''}"
        # The row of the decision that is undone says so: this one says what happened to the entry.
        did = ReleaseKind.WITHDRAW if what is ReleaseKind.UNDO else what
        append_row(connection, at, who, did.value, change.item_id, before, after, told, evidence)
    return step.release


def begin_release(
    connection: Connection,
    what: ReleaseKind,
    changes: Sequence[Change],
    who: str,
    at: datetime,
    reason: str = "",
    undoes: int | None = None,
) -> Step:
    """Write the next release with its changes, and give running bots a new version to read."""
    number = int(connection.execute(sa.select(sa.func.max(schema.releases.c.number))).scalar() or 0) + 1
    ordered = tuple(sorted(changes, key=lambda change: change.item_id))
    release = Release(number, what, who, at, ordered, reason, undoes)
    row = asdict(release)
    rows = row.pop("changes")
    connection.execute(sa.insert(schema.releases), {**row, "what": what.value})
    insert(connection, schema.release_changes, [{"number": number, **change} for change in rows])
    return Step(release, bump_overlay(connection))


def read_entries(connection: Connection, states: Sequence[ProposalState]) -> list[Entry]:
    """Return the entries in the given states (all without any), in the order of their release."""
    query = sa.select(schema.entries).order_by(schema.entries.c.release, schema.entries.c.entry_id)
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
            held_by=row.held_by,
        )
        for row in connection.execute(query)
    ]


def told_state(state: str, share: int) -> str:
    """Return an entry's state as the audit log tells it, with the share where that is not everybody."""
    return state if share == EVERYBODY or state == WITHDRAWN else f"{state}, {share} %"


# --- gaps --------------------------------------------------------------------------------------------


def handle_gap(connection: Connection, proposal_id: str, at: datetime) -> None:
    """Note when a proposal's gap was answered, or given up: only what comes later is asked anew."""
    gap_id = sa.select(schema.proposals.c.gap_id).where(schema.proposals.c.proposal_id == proposal_id)
    connection.execute(
        sa.update(schema.gaps).where(schema.gaps.c.gap_id == gap_id.scalar_subquery()).values(handled_at=at)
    )


# --- one entry ---------------------------------------------------------------------------------------


def _rows(connection: Connection, entry_ids: Sequence[str]) -> dict[str, Any]:
    table = schema.entries
    found: dict[str, Any] = {}
    for chunk in chunks(entry_ids):
        for row in connection.execute(sa.select(table).where(table.c.entry_id.in_(chunk))):
            found[row.entry_id] = row
    return found


def _stop_experiments(
    connection: Connection, changes: Sequence[Change], rows: Mapping[str, Any], at: datetime
) -> list[Change]:
    """Stop the experiments on what goes away, but those that are named; return their changes."""
    named = {change.item_id for change in changes}
    gone = [rows[change.item_id] for change in changes if change.after == 0 and change.item_id in rows]
    about = {response for response in map(response_of, gone) if response is not None}
    found = [one for one in running_on(connection, about) if one not in named]
    for one in found:
        stop_experiment(connection, one, at, "what it was about was taken back")
    return [Change(one, EVERYBODY, 0) for one in found]


def _change_entry(
    connection: Connection, step: Step, change: Change, row: Any, keep: Collection[str], back_to: int | None
) -> tuple[str, str]:
    """Bring one entry from `before` to `after`; return its state before and after, as the audit log tells it."""
    item = f"entry {row.entry_id}"
    now = row.share if row.state in LIVE_VALUES else 0
    if now != change.before or change.before == change.after or not 0 <= change.after <= EVERYBODY:
        was = f"{row.state}, {now} %" if now else row.state
        raise StoreError(f"is {was} by now and cannot go from {change.before} to {change.after} %", item, CHECK_AGAIN)
    values: dict[str, Any] = {"changed": step.version}
    knows = what_model_knows(connection)
    if change.after == 0:
        values.update(state=WITHDRAWN, held_by=knows.name if row.entry_id in knows.taught else None)
        if step.release.what is not ReleaseKind.STOP:  # reopening the gap does it
            free_withheld(connection, row.entry_id)
    elif row.state == ProposalState.ABSORBED.value or (change.after < EVERYBODY and row.entry_id in knows.taught):
        raise StoreError(
            f"is part of the model {row.absorbed_by or knows.name}, which knows no shares".replace("  ", " "),
            item,
            "withdraw it, or go back to an earlier model with `python -m learning models rollback`",
        )
    else:
        check_untried(connection, row, item, change.after)
        values["share"] = change.after
        if change.before == 0:
            if ProposalKind(row.kind) in TEACHING and not row.examples:
                raise StoreError("has no example left: what it taught was forgotten", item, "write a new one")
            values.update(state=_state_again(connection, row, change.after), held_by=None)
    if back_to is not None:
        values["release"] = _order_at(connection, row.entry_id, back_to) or row.release
    table = schema.entries
    connection.execute(sa.update(table).where(table.c.entry_id == row.entry_id).values(**values))
    state = values.get("state", row.state)
    if row.proposal_id not in keep and state != row.state:
        _move_proposal(connection, step.release, row, state)
    return told_state(row.state, row.share), told_state(state, values.get("share", row.share))


def _state_again(connection: Connection, row: Any, share: int) -> str:
    """Return the state of an entry that comes back: it needs no overlay where the running model has absorbed it."""
    taken = share == EVERYBODY and what_model_knows(connection).has_absorbed(row.entry_id, row.absorbed_by)
    return ProposalState.ABSORBED.value if taken else ProposalState.PUBLISHED.value


def _order_at(connection: Connection, entry_id: str, last: int) -> int | None:
    """Return the release that an entry was ordered by after release `last`: what is newer says more.

    Publishing gives an entry its place; a rollback gives it the place that it had where that led back to.
    """
    table, changes = schema.releases, schema.release_changes
    giving = table.c.what.in_([ReleaseKind.PUBLISH.value, ReleaseKind.ROLLBACK.value])
    query = (
        sa.select(table.c.number, table.c.what, table.c.undoes, table.c.reason)
        .join(changes, changes.c.number == table.c.number)
        .where(changes.c.item_id == entry_id, giving)
        .order_by(table.c.number.desc())
    )
    for row in connection.execute(query).all():
        if row.number > last:
            continue
        if row.what == ReleaseKind.PUBLISH.value:
            return int(row.number)
        led = BACK_TO.match(row.reason)
        last = row.undoes - 1 if row.undoes is not None else int(led[1]) if led else row.number - 1
    return None


def _left_by_undo(connection: Connection, entry_id: str, number: int) -> bool:
    """Whether the release that took an entry away, the last one before `number`, came of an undone decision."""
    table, changes = schema.releases, schema.release_changes
    query = (
        sa.select(table.c.what)
        .join(changes, changes.c.number == table.c.number)
        .where(changes.c.item_id == entry_id, changes.c.after == 0, table.c.number < number)
        .order_by(table.c.number.desc())
    )
    return connection.execute(query.limit(1)).scalar() == ReleaseKind.UNDO.value


def _move_proposal(connection: Connection, release: Release, row: Any, state: str) -> None:
    table = schema.proposals
    leaves = state == WITHDRAWN
    # A decision that was undone comes back with a rollback only, under the name of whoever wants that.
    back = release.what is ReleaseKind.ROLLBACK and _left_by_undo(connection, row.entry_id, release.number)
    undone = (ProposalState.PENDING.value,) if back and not leaves else ()
    expected = LIVE_VALUES if leaves else (WITHDRAWN, *undone)
    mine = sa.and_(table.c.proposal_id == row.proposal_id, table.c.state.in_(expected))
    moved = connection.execute(sa.update(table).where(mine).values(state=state))
    if moved.rowcount != 1 and not leaves:
        now = connection.execute(sa.select(table.c.state).where(table.c.proposal_id == row.proposal_id)).scalar()
        what = "was forgotten" if now is None else f"is {now} by now, so that nobody stands behind the entry"
        raise StoreError(
            f"cannot come back: its proposal {row.proposal_id} {what}",
            f"entry {row.entry_id}",
            "decide about the proposal again, see `python -m learning review list`",
        )
    if release.what is ReleaseKind.STOP:
        reopen_gap(connection, row.entry_id, release.at)
    else:
        handle_gap(connection, row.proposal_id, release.at)
