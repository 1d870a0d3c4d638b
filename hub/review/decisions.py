"""Decisions through the learning loop: record, publish, write the branch, and say who was first."""

from __future__ import annotations

from dataclasses import dataclass, replace

from starlette.requests import Request

from hub import texts
from hub.context import Hub, hub_of
from hub.errors import Conflict
from hub.rendering import leave_notice
from hub.review.forms import fingerprint
from learning import pipeline
from learning.errors import EvergreenError
from learning.model import Decision, Entry, Proposal, ProposalState, Release
from learning.review import OPEN_STATES as OPEN_STATES  # the pages tell what waits by them
from learning.review import AlreadyDecided, HasChanged, content_mark
from learning.reviewing import notes_on

NOT_LIVE_YET = (ProposalState.APPROVED, ProposalState.EDITED)


@dataclass(frozen=True)
class Outcome:
    """What became of a decision; `warning` says why the branch could not be written.

    `proposal` has the labels under which it went live. `seen` marks it as it is now, for an undo, and `notes` is what
    the person should know of what they typed.
    """

    proposal: Proposal
    release: Release | None
    commit: str | None
    seen: str
    notes: tuple[str, ...] = ()
    warning: str = ""


def check_seen(hub: Hub, proposal: Proposal, seen: str) -> None:
    """Raise `Conflict` if the proposal is no longer what the reviewer had before them."""
    if proposal.state not in OPEN_STATES:
        raise _decided(hub, proposal)
    if fingerprint(proposal) != seen:
        raise Conflict(texts.CHANGED, proposal.proposal_id, "")


def decide(hub: Hub, decision: Decision, found: Proposal) -> Outcome:
    """Record a decision about a proposal as it was found; what it approves is live and on the branch afterwards.

    Raises:
        Conflict: somebody else decided first, or it has changed since it was found.
        ReviewError: what would be published is incomplete.

    """
    try:
        release = pipeline.review(hub.loop, replace(decision, seen=content_mark(found)))
    except HasChanged as error:
        raise Conflict(texts.CHANGED, decision.proposal_id, "") from error
    except AlreadyDecided as error:
        raise _decided(hub, hub.loop.store.proposal(decision.proposal_id)) from error
    after = hub.loop.store.proposal(decision.proposal_id)
    seen = fingerprint(after)
    if release is None:
        return Outcome(after, None, None, seen)
    commit, warning = write_branch(hub)
    entry = next((entry for entry in hub.loop.store.entries() if entry.proposal_id == after.proposal_id), None)
    named = replace(after, kind=entry.kind, label=entry.label, target=entry.target) if entry else after
    return Outcome(named, release, commit, seen, notes_on(hub.loop, decision), warning)


def leave_outcome(request: Request, outcome: Outcome, stays: bool = True) -> None:
    """Have the next page say what became of a decision, and offer the way back.

    Args:
        request: whose session it is.
        outcome: what became of it.
        stays: whether a decision with notes leads to the proposal's own page, which has them and the way back.

    """
    label, is_shown_there = outcome.proposal.label, stays and bool(outcome.notes)
    undo = None if is_shown_there else (outcome.proposal.proposal_id, outcome.seen)
    notes = "" if stays else " ".join(outcome.notes)
    if outcome.release is None:
        done = {"rejected": texts.DONE_REJECTED, "deferred": texts.DONE_DEFERRED}[outcome.proposal.state.value]
        leave_notice(request, done.format(label=label), notes, undo)
        return
    said = texts.DONE_LIVE[outcome.proposal.kind].format(
        number=outcome.release.number, label=label, target=outcome.proposal.target
    )
    if outcome.commit:
        branch = hub_of(request).loop.settings.review.branch
        said = f"{said} {texts.DONE_BRANCH.format(branch=branch, commit=outcome.commit[:10])}"
    warning = texts.BRANCH_PROBLEM.format(problem=outcome.warning) if outcome.warning else ""
    leave_notice(request, said, f"{warning} {notes}".strip(), undo)


def undo(hub: Hub, decision: Decision, seen: str) -> str:
    """Take a proposal's last decision back, and what went live off the branch; return a warning.

    Raises:
        Conflict: it is no longer as the person saw it.
        ReviewError: there is no way back.

    """
    before = hub.loop.store.proposal(decision.proposal_id)
    if fingerprint(before) != seen:
        raise Conflict(texts.CHANGED, before.proposal_id, "")
    try:
        pipeline.review(hub.loop, decision)
    except EvergreenError as error:
        present = hub.loop.store.proposal(before.proposal_id)
        if present.state is not before.state:
            said = texts.UNDONE_FIRST.format(state=texts.STATES[present.state])
            raise Conflict(said, before.proposal_id, "") from error
        raise
    return write_branch(hub)[1] if before.state in pipeline.LIVE else ""


def withdraw(hub: Hub, entry_id: str, who: str, reason: str) -> tuple[str, str]:
    """Take an entry back and off the branch; return its label and a warning.

    Raises:
        Conflict: somebody else withdrew it first.

    """
    try:
        label = pipeline.withdraw(hub.loop, entry_id, who, reason)
    except EvergreenError as error:
        present = _entry(hub, entry_id)
        if present and present.state not in pipeline.LIVE:
            message = texts.WITHDRAWN_FIRST.format(label=present.label, state=texts.STATES[present.state])
            raise Conflict(message, entry_id, "") from error
        raise
    return label, write_branch(hub)[1]


def finish_publishing(hub: Hub) -> list[Release]:
    """Publish what was approved but is not live, and bring the branch up to date."""
    made = pipeline.publish_waiting(hub.loop)
    with hub.branch_lock:
        pipeline.write_branch(hub.loop)
    return made


def write_branch(hub: Hub) -> tuple[str | None, str]:
    """Write the branch; what is live stays so if git fails, and `finish_publishing` tries again."""
    with hub.branch_lock:
        commit, error = pipeline.try_branch(hub.loop)
    return commit, f"{error.item} {error.what}; {error.next_step}." if error else ""


def _decided(hub: Hub, present: Proposal) -> Conflict:
    """Return the conflict that tells a second reviewer what the first one decided."""
    text = texts.NOT_LIVE_YET if present.state in NOT_LIVE_YET else texts.DECIDED_FIRST
    said = text.format(state=texts.STATES[present.state])
    decided = hub.loop.store.decisions_about(present.proposal_id)
    if decided:
        said = f"{said} {texts.DECIDED_BY.format(who=decided[-1].who, at=f'{decided[-1].at:%Y-%m-%d %H:%M} UTC')}"
    return Conflict(said, present.proposal_id, "")


def _entry(hub: Hub, entry_id: str) -> Entry | None:
    return next((entry for entry in hub.loop.store.entries() if entry.entry_id == entry_id), None)
