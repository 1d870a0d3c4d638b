"""A second person reads a share of what was decided, without knowing the verdict; how far the two agree is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from learning.agreement import Agreement, agreement
from learning.errors import ReviewError
from learning.loop import Loop
from learning.model import (
    POLICY,
    Action,
    Decision,
    Proposal,
    ProposalState,
    SecondReading,
    content_id,
)
from learning.names import check_name
from learning.review import effective

VERDICTS = frozenset({Action.APPROVE, Action.EDIT, Action.REJECT})
FEW = 30  # readings under which the agreement says little


def is_drawn(proposal_id: str, share: float) -> bool:
    """Whether a proposal is among the share (0..1) that is read twice; a larger share draws the same ones and more."""
    return int(content_id("second reading", proposal_id), 16) < share * 16**16


def waiting_for(loop: Loop, who: str) -> list[Proposal]:
    """Return what `who` may read a second time, as it was suggested, without what became of it; the oldest first."""
    firsts = _first_verdicts(loop)
    read = {reading.proposal_id for reading in loop.store.second_readings()}
    waiting = [
        blind(item)
        for item in loop.store.proposals()
        if item.proposal_id in firsts and item.proposal_id not in read and firsts[item.proposal_id].who != who
    ]
    return sorted(waiting, key=lambda item: (item.created_at, item.proposal_id))


def blind(proposal: Proposal) -> Proposal:
    """Return a proposal as it was before anybody decided about it."""
    return replace(proposal, state=ProposalState.PENDING, deferred_until=None, deferred_turns=None, assignee=None)


def read(loop: Loop, prefix: str, action: Action, who: str, at: datetime, reason: str = "") -> SecondReading:
    """Record what a second reader would have decided; nothing that is live changes.

    Raises:
        ReviewError: the proposal is not drawn for it, or `who` decided it.

    """
    check_name(who)
    proposal = loop.store.proposal(prefix)
    item = f"proposal {proposal.proposal_id}"
    first = _first_verdicts(loop).get(proposal.proposal_id)
    if first is None:
        raise ReviewError(
            "is not to be read a second time", item, "take one from `python -m learning review second list`"
        )
    if first.who == who:
        raise ReviewError(f"was decided by {who}: a second reader is somebody else", item, "leave it to a colleague")
    if action is not Action.APPROVE and not reason.strip():
        raise ReviewError("needs a reason to be judged so", item, "say why with --reason")
    reading = SecondReading(proposal.proposal_id, who, at, action, reason)
    loop.store.save_second_reading(reading)
    return reading


def measure(loop: Loop) -> tuple[Agreement, tuple[str, ...]]:
    """Return how far first and second readers agree, and the ids of the proposals about which they differ.

    Of several second readings of a proposal the first one counts; one that was undone counts no more.
    """
    firsts = _first_verdicts(loop)
    pairs: dict[str, tuple[str, str]] = {}
    for reading in loop.store.second_readings():
        first = firsts.get(reading.proposal_id)
        if first is not None and first.who != reading.who:
            pairs.setdefault(reading.proposal_id, (first.action.value, reading.action.value))
    differing = tuple(sorted(proposal_id for proposal_id, (one, other) in pairs.items() if one != other))
    return agreement(list(pairs.values())), differing


def _first_verdicts(loop: Loop) -> Mapping[str, Decision]:
    """Return what people decided about the proposals that are drawn; what a policy decided is no reader's verdict."""
    share = loop.settings.review.second_reader_share
    return {
        proposal_id: decision
        for proposal_id, decision in effective(loop.store.decisions()).items()
        if decision.action in VERDICTS and not decision.who.startswith(POLICY) and is_drawn(proposal_id, share)
    }
