"""What may be decided about a proposal: one table of moves, one function that makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from learning.errors import ReviewError
from learning.model import LEARNED_INTENT, Action, Decision, Proposal, ProposalKind, ProposalState
from learning.texts import clean_example

State = ProposalState

MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.EDITED, State.REJECTED, State.DEFERRED}),
    State.DEFERRED: frozenset({State.PENDING, State.APPROVED, State.EDITED, State.REJECTED}),
    # Withdrawn unpublished: everything it had to say came from somebody who has been forgotten.
    State.APPROVED: frozenset({State.PUBLISHED, State.WITHDRAWN}),
    State.EDITED: frozenset({State.PUBLISHED, State.WITHDRAWN}),
    State.PUBLISHED: frozenset({State.ABSORBED, State.WITHDRAWN}),
    State.ABSORBED: frozenset({State.PUBLISHED, State.WITHDRAWN}),  # back when its model is rolled back
    State.REJECTED: frozenset(),
    State.WITHDRAWN: frozenset(),
}
STATE_AFTER: Mapping[Action, State] = {
    Action.APPROVE: State.APPROVED,
    Action.EDIT: State.EDITED,
    Action.REJECT: State.REJECTED,
    Action.DEFER: State.DEFERRED,
}
LEARNED_KEY = re.compile(rf"{LEARNED_INTENT}/[^\W_]\w{{0,79}}")  # it becomes part of a file's name
SLOT = re.compile(r"\{\w+\}")
UNSAYABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")  # control characters, half an emoji
MAX_ANSWER = 2000  # characters; more is an article, not a chat answer


def move(proposal: Proposal, to: State) -> Proposal:
    """Return the proposal in state `to`; raise `ReviewError` if the table does not allow the move."""
    if to not in MOVES[proposal.state]:
        raise ReviewError(
            f"is {proposal.state.value} and cannot become {to.value}",
            f"proposal {proposal.proposal_id}",
            "run `python -m learning review list` to see where things stand",
        )
    return replace(proposal, state=to)


def decide(proposal: Proposal, decision: Decision) -> Proposal:
    """Apply a person's decision: the new state, and the content as the person wants it.

    Raises:
        ReviewError: the move is not allowed, or what would be published is incomplete.

    """
    item = f"proposal {proposal.proposal_id}"
    decided = move(proposal, STATE_AFTER[decision.action])
    if decision.action is Action.REJECT:
        if not decision.reason.strip():
            raise ReviewError("needs a reason to be rejected", item, "say why with --reason, the miner learns from it")
        return decided
    if decision.action is Action.DEFER:
        if decision.defer_until is None and decision.defer_turns is None:
            raise ReviewError("needs a date or a volume", item, "use --until YYYY-MM-DD or --until-doubled")
        if decision.defer_until is not None and decision.defer_until < decision.at:
            raise ReviewError(
                f"cannot wait for {decision.defer_until:%Y-%m-%d}: it has passed", item, "give a later date"
            )
        return replace(decided, deferred_until=decision.defer_until, deferred_turns=decision.defer_turns)
    if decision.action is Action.EDIT:
        decided = replace(
            decided,
            label=decision.label or decided.label,
            examples=decision.examples if decision.examples is not None else decided.examples,
            answer=decision.answer if decision.answer is not None else decided.answer,
        )
    examples = tuple(dict.fromkeys(filter(None, map(clean_example, decided.examples))))
    decided = replace(decided, examples=examples)
    if decided.kind is ProposalKind.EXAMPLES and decided.label != proposal.label:
        raise ReviewError(
            f"adds examples to {proposal.label}, whose name cannot be changed",
            item,
            "edit its examples, or reject it with a reason",
        )
    _check_publishable(decided, item)
    return decided


def _check_publishable(proposal: Proposal, item: str) -> None:
    if not proposal.examples:
        raise ReviewError("has no examples with words in them", item, "add at least one with `review edit --example`")
    if proposal.kind is not ProposalKind.ANSWER:
        return
    if not (proposal.answer or "").strip():
        raise ReviewError(
            "has no answer yet: nothing in the knowledge articles fits", item, 'approve it with --answer "..."'
        )
    if len(proposal.answer or "") > MAX_ANSWER:
        raise ReviewError(f"has an answer of more than {MAX_ANSWER} characters", item, "shorten the answer")
    if UNSAYABLE.search(proposal.answer or ""):
        raise ReviewError("has an answer with a character that cannot be shown", item, "type the answer again")
    if re.search(r"[{}]", SLOT.sub("", proposal.answer or "")):
        raise ReviewError(
            "has an answer with a lone brace, which Rasa cannot say", item, "use braces for slots only, as in {name}"
        )
    if not LEARNED_KEY.fullmatch(proposal.label):
        raise ReviewError(
            f"has the name {proposal.label!r}",
            item,
            f"use `{LEARNED_INTENT}/` and up to 80 letters, digits or underscores",
        )
