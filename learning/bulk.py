"""Many decisions at once, each on its own: one that fails does not stop the others, and all can be undone together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from learning.errors import EvergreenError, NotFound
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalState, content_id
from learning.review import NOT_UNDONE, effective
from learning.reviewing import review, would_do

BATCH = re.compile(r"\[bulk ([0-9a-f]{8})\]\Z")  # ends the reason of a decision that was made with others
WAITING_AGAIN = (ProposalState.PENDING, ProposalState.SUPERSEDED)


@dataclass(frozen=True)
class Done:
    """What became of one decision of many: `problem` says why it was not made, `release` what it made live."""

    proposal_id: str
    label: str
    release: int | None = None
    problem: str | None = None


def decide_all(
    loop: Loop, proposals: Sequence[Proposal], decide: Callable[[Proposal], Decision], dry_run: bool = False
) -> tuple[str, list[Done]]:
    """Decide about each of `proposals` in turn; return the batch's id, and what became of each.

    Args:
        loop: the loop.
        proposals: what is decided about.
        decide: what is decided about each; all get the time of the first, and the batch's id behind their reason.
        dry_run: change nothing, and only say what would not be accepted.

    """
    decisions = [decide(proposal) for proposal in proposals]
    at = decisions[0].at if decisions else loop.now()
    batch = _batch_at(at)
    done = []
    for proposal, decision in zip(proposals, decisions, strict=True):
        decision = replace(decision, at=at)
        # A rejection's own reason must not look given where it is missing.
        if decision.reason.strip() or decision.action is not Action.REJECT:
            decision = replace(decision, reason=f"{decision.reason} [bulk {batch}]".strip())
        done.append(_one(loop, proposal, decision, dry_run))
    return batch, done


def undo_all(loop: Loop, batch: str, who: str) -> list[Done]:
    """Take back every decision of a batch that still counts, the newest first.

    Raises:
        NotFound: no decision that counts belongs to it.

    """
    proposals = {item.proposal_id: item for item in loop.store.proposals()}
    counting = [decision for decision in _counting(loop, proposals) if batch_of(decision) == batch]
    if not counting:
        raise NotFound("has no decision that still counts", f"bulk {batch!r}", "undo proposals one by one")
    done = []
    for decision in reversed(counting):
        undone = Decision(decision.proposal_id, Action.UNDO, who, loop.now(), reason=f"with all of bulk {batch}")
        done.append(_one(loop, proposals[decision.proposal_id], undone))
    return done


def last_batch(loop: Loop) -> str:
    """Return the id of the newest batch with a decision that can be taken back.

    Raises:
        NotFound: there is none.

    """
    proposals = {item.proposal_id: item for item in loop.store.proposals()}
    batches = [
        batch
        for one in _counting(loop, proposals)
        if (batch := batch_of(one)) and proposals[one.proposal_id].state not in NOT_UNDONE
    ]
    if not batches:
        raise NotFound("was not made", "a bulk decision", "undo proposals one by one")
    return batches[-1]


def batch_of(decision: Decision) -> str | None:
    """Return the id of the batch that a decision was made in, if any.

    A reason that was only typed, or copied from another decision, names no batch: the id tells the time of its own.
    """
    found = BATCH.search(decision.reason)
    return found.group(1) if found and found.group(1) == _batch_at(decision.at) else None


def _batch_at(at: datetime) -> str:
    return content_id("bulk", at.timestamp())[:8]


def _counting(loop: Loop, proposals: Mapping[str, Proposal]) -> list[Decision]:
    """Return the decisions that still count, the oldest first, about those of `proposals` that are still decided.

    What was put off waits again when it is due, and is gone if all who said it were forgotten meanwhile.
    """
    decided = {key for key, item in proposals.items() if item.state not in WAITING_AGAIN}
    return [one for one in effective(loop.store.decisions()).values() if one.proposal_id in decided]


def _one(loop: Loop, proposal: Proposal, decision: Decision, dry_run: bool = False) -> Done:
    try:
        if dry_run:
            would_do(loop, decision)
            return Done(proposal.proposal_id, proposal.label)
        release = review(loop, decision)
    except EvergreenError as error:
        return Done(proposal.proposal_id, proposal.label, problem=f"{error.what}; {error.next_step}")
    return Done(proposal.proposal_id, proposal.label, release.number if release else None)
