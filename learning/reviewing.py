"""What a decision sets off: it is checked against what is live, recorded, published at once, and can be undone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from learning.answer_checks import check as check_answer
from learning.current_answers import current_answers
from learning.errors import EvergreenError, ReviewError, StoreError
from learning.fitting import Known, check_fits, fits, read_labels, trained_labels
from learning.loop import Loop
from learning.model import (
    LIVE,
    TEACHING,
    Action,
    Change,
    Decision,
    Entry,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
)
from learning.names import check_name
from learning.publish import entry_id
from learning.releasing import take_back
from learning.review import (
    APPROVING,
    MOVES,
    OPEN_STATES,
    STATE_AFTER,
    HasChanged,
    already_decided,
    as_decided,
    content_mark,
    decide,
    effective,
    move,
)
from learning.rollout_steps import Schedule, first_step
from learning.texts import PLACEHOLDER
from learning.vectors import Vectors

logger = logging.getLogger(__name__)

UNPUBLISHED = (ProposalState.APPROVED, ProposalState.EDITED)


def review(
    loop: Loop, decision: Decision, judged: Proposal | None = None, schedule: Schedule | None = None
) -> Release | None:
    """Record a decision and, if it approves, publish at once; return the release.

    Args:
        loop: the loop.
        decision: the decision.
        judged: the proposal as a policy judged it: it must not have changed since, in any way. People decide without.
        schedule: how what is approved reaches its users; without, as the settings say.

    Raises:
        AlreadyDecided: somebody else decided first; the message says who, what and when.
        HasChanged: the proposal is not what was seen, or judged, any more.
        ReviewError: what would be published is incomplete, or does not fit what is live.

    """
    if judged is None:
        check_name(decision.who)
    before = judged or loop.store.proposal(decision.proposal_id)
    _check_seen(before, decision)
    decision = adding_to_known(loop, before, replace(decision, proposal_id=before.proposal_id))
    try:
        return _carry_out(loop, before, decision, schedule)
    except (ReviewError, StoreError) as error:
        present = loop.store.proposal(before.proposal_id)
        if STATE_AFTER[decision.action] not in MOVES[present.state] and decision.action is not Action.UNDO:
            last = loop.store.decisions_about(before.proposal_id)
            raise already_decided(present, last[-1] if last else None, decision.action) from error
        raise


def would_do(loop: Loop, decision: Decision) -> None:
    """Raise what `review` would raise, and change nothing."""
    check_name(decision.who)
    before = loop.store.proposal(decision.proposal_id)
    _check_seen(before, decision)
    decision = adding_to_known(loop, before, decision)
    after = decide(before, decision)
    if decision.action in APPROVING:
        check_fits(loop, after)


def _check_seen(proposal: Proposal, decision: Decision) -> None:
    if decision.seen is not None and decision.seen != content_mark(proposal) and proposal.state in OPEN_STATES:
        raise HasChanged(proposal.proposal_id)


def adding_to_known(loop: Loop, before: Proposal, decision: Decision) -> Decision:
    """Return the decision about a new question that a person named like an answered one: it adds examples to that.

    Where an answer was typed as well it stays as it is, and is refused: one of the two answers would be lost.
    """
    renamed = decision.action is Action.EDIT and decision.label not in (None, before.label)
    if before.kind is not ProposalKind.ANSWER or not renamed or decision.answer is not None:
        return decision
    return replace(decision, kind=ProposalKind.EXAMPLES) if decision.label in read_labels(loop).known else decision


def assign(loop: Loop, prefix: str, assignee: str | None, who: str) -> Proposal:
    """Note who is to decide about a proposal, None for anybody; return it.

    Raises:
        ReviewError: it is decided already.
        StoreError: it was decided about at the same moment.

    """
    check_name(who)
    proposal = loop.store.proposal(prefix)
    if proposal.state not in OPEN_STATES:
        raise ReviewError(
            f"is {proposal.state.value}: there is nothing left to decide",
            f"proposal {proposal.proposal_id}",
            "take the decision back with `review undo` first",
        )
    loop.store.assign(proposal, assignee, who, loop.now())
    return loop.store.proposal(proposal.proposal_id)


def _carry_out(loop: Loop, before: Proposal, decision: Decision, schedule: Schedule | None) -> Release | None:
    after = decide(before, decision)
    if decision.action is Action.UNDO:
        _undo(loop, before, after, decision)
        return None
    if decision.action in APPROVING:
        if decision.examples is not None:
            decision = replace(decision, examples=after.examples)
        return publish(loop, after, decision.who, (before, decision), schedule)
    loop.store.save_decision(before, after, decision)
    return None


def publish(
    loop: Loop,
    approved: Proposal,
    who: str,
    decided: tuple[Proposal, Decision] | None = None,
    schedule: Schedule | None = None,
) -> Release:
    """Make an approved proposal live, as it was decided: running bots answer it with their next message.

    With `decided`, the suggestion and the decision, the decision is recorded with the release: both are, or neither.
    Encoding and reading the project come first; whether it fits what is live is asked again in the transaction, when
    nobody else can change that any more.

    Raises:
        ReviewError: it does not fit what is live.
        StoreError: somebody else decided first, or it has changed.

    """
    live = move(approved, ProposalState.PUBLISHED)
    project, item = Known.read(loop, {live.kind}), f"proposal {live.proposal_id}"
    fits(live, item, project, loop.store.entries(*LIVE))
    vectors = _taught(loop, live)  # takes seconds in a cold process
    made, at = entry_id(live), loop.now()
    return loop.store.publish(
        approved,
        live,
        made,
        vectors,
        loop.encoder.identity,
        who,
        at,
        decided,
        lambda entries: fits(live, item, project, entries),
        first_step(made, loop.settings.rollout, at, schedule),
    )


def _taught(loop: Loop, proposal: Proposal) -> Vectors:
    """Return the vectors of what the proposal teaches; kinds that teach nothing have no row."""
    vectors: Vectors = loop.encoder.encode(proposal.examples if proposal.kind in TEACHING else ())
    return vectors


def publish_waiting(loop: Loop) -> list[Release]:
    """Publish what was approved and never released, as an earlier version may have left it after a crash.

    What does not fit any more stays as it is and is logged; the others go on.
    """
    waiting = [item for item in loop.store.proposals() if item.state in UNPUBLISHED]
    decisions = effective(loop.store.decisions()) if waiting else {}
    releases = []
    for item in waiting:
        try:
            releases.append(publish(loop, as_decided(item, decisions.get(item.proposal_id)), "recovery"))
        except EvergreenError:
            logger.warning(
                "proposal %s is approved and cannot go live: approve it again after `review undo` to see why",
                item.proposal_id,
            )
    return releases


# --- taking back ----------------------------------------------------------------------------------


def _undo(loop: Loop, before: Proposal, after: Proposal, decision: Decision) -> None:
    """Let a proposal wait again; what it made live is withdrawn, and so is what hangs on that."""
    for other in loop.store.proposals():
        if other.gap_id == before.gap_id and other.state in OPEN_STATES and other.proposal_id != before.proposal_id:
            raise ReviewError(
                f"cannot wait again: {other.proposal_id} waits for the same gap",
                f"proposal {before.proposal_id}",
                "decide about that one first",
            )
    trained = trained_labels(loop)

    def choose(live: Sequence[Entry]) -> list[Change]:
        own = [entry for entry in live if entry.proposal_id == before.proposal_id]
        return take_back(own, live, trained)

    loop.store.save_undo(before, after, decision, choose)


# --- what a reviewer should know ------------------------------------------------------------------


def notes_on(loop: Loop, decision: Decision) -> tuple[str, ...]:
    """Return what somebody who has decided should know.

    That is whose it was to decide, personal data in what they typed, and what speaks against the answer they wrote.
    """
    proposal = loop.store.proposal(decision.proposal_id)
    found = []
    if proposal.assignee and proposal.assignee != decision.who:
        found.append(f"It was assigned to {proposal.assignee}.")
    made = loop.store.decisions_about(proposal.proposal_id)
    if made and made[-1].kind is ProposalKind.EXAMPLES and decision.action is Action.EDIT:
        found.append(f"{decision.label} has an answer already: the examples were added to it, and no answer was made.")
    typed = [("Your answer", decision.answer)] if decision.answer else []
    typed += [("An example", text) for text in decision.examples or () if text not in proposal.examples]
    for what, text in typed:
        if kinds := personal_data(loop, text):
            found.append(f"{what} holds what looks like personal data ({kinds}): undo it if that is a customer's.")
    if decision.answer:
        answers = list(current_answers(loop).values())
        found += check_answer(decision.answer, decision.label or proposal.label, answers, loop.encoder)
    return tuple(found)


def personal_data(loop: Loop, text: str) -> str:
    """Return the kinds of personal data that the redactor finds in what somebody typed, empty without any."""
    marks = {mark for mark in PLACEHOLDER.findall(loop.redactor.redact(text)) if mark not in text}
    # Links belong into answers; a customer's own hardly ever come there by hand.
    kinds = {mark.strip("<>").rpartition("_")[0] for mark in marks} - {"URL"}
    return " and ".join(sorted(kind.lower() for kind in kinds))
