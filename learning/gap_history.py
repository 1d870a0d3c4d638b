"""What happened to a gap, step by step: asked, proposed, decided, live, taken back, asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from learning.loop import Loop
from learning.model import MOVED, SPLIT, Action, AuditRow, Entry, Gap, Proposal, Release

MERGED = "merge"  # what the audit log calls it
REOPENED = "reopen"


class StepKind(str, Enum):
    """What a step of a gap's history is."""

    FIRST = "first"
    PROPOSED = "proposed"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    UNDONE = "undone"
    LIVE = "live"
    TAKEN_BACK = "taken_back"
    SPLIT = "split"
    MERGED = "merged"
    MOVED = "moved"
    DUE = "due"
    CAME_BACK = "came_back"


@dataclass(frozen=True)
class Step:
    """One step; `label` is what the proposal was about, `release` the number of the release that it was."""

    at: datetime
    kind: StepKind
    who: str = ""
    proposal_id: str = ""
    label: str = ""
    release: int | None = None
    reason: str = ""


DECIDED = {
    Action.APPROVE: StepKind.APPROVED,
    Action.EDIT: StepKind.EDITED,
    Action.REJECT: StepKind.REJECTED,
    Action.DEFER: StepKind.DEFERRED,
    Action.UNDO: StepKind.UNDONE,
}
REARRANGED = {SPLIT: StepKind.SPLIT, MERGED: StepKind.MERGED, MOVED: StepKind.MOVED, REOPENED: StepKind.DUE}
# What a person who has a minute wants to know of the past.
TURNING_POINTS = frozenset(
    {StepKind.APPROVED, StepKind.EDITED, StepKind.REJECTED, StepKind.TAKEN_BACK, StepKind.CAME_BACK}
)


def read_history(loop: Loop, gap: Gap) -> tuple[Step, ...]:
    """Return what happened to a gap, the oldest first."""
    store = loop.store
    proposals = [item for item in store.proposals() if item.gap_id == gap.gap_id]
    by_id = {item.proposal_id: item for item in proposals}
    entries = [entry for entry in store.entries() if entry.proposal_id in by_id] if proposals else []
    steps = [Step(gap.first_seen, StepKind.FIRST)]
    steps += [Step(row.at, StepKind.CAME_BACK) for row in store.read_audit(item=gap.gap_id, what=REOPENED)]
    for item in proposals:
        steps.append(Step(item.created_at, StepKind.PROPOSED, proposal_id=item.proposal_id, label=item.label))
        steps += _decided(loop, item)
        steps += _rearranged(item, list(store.read_audit(item=item.proposal_id)))
    steps += _released(entries, store.releases() if entries else ())
    return tuple(sorted(steps, key=lambda step: step.at))  # of the same moment, causes stand first already


def turning_points(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the steps that sum up the past: not a rejection that was undone, as if it had never been said."""
    undone, decided = set(), dict[str, int]()
    for place, step in enumerate(steps):
        if step.kind is StepKind.UNDONE:
            undone.add(decided.pop(step.proposal_id, None))
        elif step.kind in DECIDED.values():
            decided[step.proposal_id] = place
    return tuple(
        step
        for place, step in enumerate(steps)
        if step.kind in TURNING_POINTS and not (step.kind is StepKind.REJECTED and place in undone)
    )


def _decided(loop: Loop, item: Proposal) -> Iterator[Step]:
    for decision in loop.store.decisions_about(item.proposal_id):
        label = decision.label or item.label
        kind = DECIDED[decision.action]
        yield Step(decision.at, kind, decision.who, item.proposal_id, label, reason=decision.reason)


def _rearranged(item: Proposal, rows: Sequence[AuditRow]) -> Iterator[Step]:
    for row in rows:
        if row.what in REARRANGED:
            yield Step(row.at, REARRANGED[row.what], row.who, item.proposal_id, item.label, reason=row.reason)


def _released(entries: Sequence[Entry], releases: Sequence[Release]) -> Iterator[Step]:
    """Yield the releases that made something for the gap live, and those that took it away from everybody."""
    own = {entry.entry_id: entry for entry in entries}
    for release in releases:
        for change in release.changes:
            entry = own.get(change.item_id)
            if entry is None or bool(change.before) == bool(change.after):
                continue
            kind = StepKind.LIVE if change.after else StepKind.TAKEN_BACK
            yield Step(release.at, kind, release.who, entry.proposal_id, entry.label, release.number, release.reason)
