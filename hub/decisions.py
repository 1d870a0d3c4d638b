"""Decisions through the learning loop: record, publish, write the branch, and say who was first."""

from __future__ import annotations

from dataclasses import dataclass

from hub import texts
from hub.context import Hub
from hub.errors import Conflict
from hub.forms import fingerprint
from learning import pipeline
from learning.errors import EvergreenError, ReviewError, StoreError
from learning.model import Decision, Entry, Proposal, ProposalState, Release
from learning.review import MOVES, STATE_AFTER

OPEN_STATES = (ProposalState.PENDING, ProposalState.DEFERRED)
NOT_LIVE_YET = (ProposalState.APPROVED, ProposalState.EDITED)


@dataclass(frozen=True)
class Outcome:
    """What became of a decision; `warning` says why the branch could not be written."""

    proposal: Proposal
    release: Release | None
    commit: str | None
    warning: str = ""


def check_seen(proposal: Proposal, seen: str) -> None:
    """Raise `Conflict` if the proposal is no longer what the reviewer had before them."""
    if proposal.state not in OPEN_STATES:
        raise _decided(proposal)
    if fingerprint(proposal) != seen:
        raise Conflict(texts.CHANGED, proposal.proposal_id, "")


def decide(hub: Hub, decision: Decision) -> Outcome:
    """Record a decision; what it approves is live and on the review branch afterwards.

    Raises:
        Conflict: somebody else decided first.
        ReviewError: what would be published is incomplete.

    """
    try:
        release = pipeline.review(hub.loop, decision)
    except (ReviewError, StoreError) as error:
        present = hub.loop.store.proposal(decision.proposal_id)
        if STATE_AFTER[decision.action] not in MOVES[present.state]:
            raise _decided(present) from error
        raise
    after = hub.loop.store.proposal(decision.proposal_id)
    if release is None:
        return Outcome(after, None, None)
    commit, warning = write_branch(hub)
    return Outcome(after, release, commit, warning)


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
    try:
        with hub.branch_lock:
            return pipeline.write_branch(hub.loop), ""
    except EvergreenError as error:
        return None, f"{error.item} {error.what}; {error.next_step}."


def _decided(present: Proposal) -> Conflict:
    text = texts.NOT_LIVE_YET if present.state in NOT_LIVE_YET else texts.DECIDED_FIRST
    return Conflict(text.format(state=texts.STATES[present.state]), present.proposal_id, "")


def _entry(hub: Hub, entry_id: str) -> Entry | None:
    return next((entry for entry in hub.loop.store.entries() if entry.entry_id == entry_id), None)
