"""What may be decided about a proposal: one table of moves, one function that makes them.

A decision never changes what the machine suggested: `as_decided` puts the two together, and what was undone is the
suggestion again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace

from learning.errors import ReviewError, StoreError
from learning.model import (
    ANSWERING,
    LEARNED_INTENT,
    TEACHING,
    Action,
    Decision,
    Proposal,
    ProposalKind,
    ProposalState,
    content_id,
)
from learning.texts import clean_example

State = ProposalState

MOVES: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.APPROVED, State.EDITED, State.REJECTED, State.DEFERRED, State.SUPERSEDED}),
    State.DEFERRED: frozenset({State.PENDING, State.APPROVED, State.EDITED, State.REJECTED}),
    # Withdrawn unpublished: everything it had to say came from somebody who has been forgotten.
    State.APPROVED: frozenset({State.PUBLISHED, State.WITHDRAWN, State.PENDING}),
    State.EDITED: frozenset({State.PUBLISHED, State.WITHDRAWN, State.PENDING}),
    State.PUBLISHED: frozenset({State.ABSORBED, State.WITHDRAWN, State.PENDING}),
    State.ABSORBED: frozenset({State.PUBLISHED, State.WITHDRAWN}),  # back when its model is rolled back
    State.REJECTED: frozenset({State.PENDING}),
    State.WITHDRAWN: frozenset({State.PENDING, State.PUBLISHED, State.ABSORBED}),  # restored
    State.SUPERSEDED: frozenset({State.PENDING}),  # when its gap has turns again
}
STATE_AFTER: Mapping[Action, State] = {
    Action.APPROVE: State.APPROVED,
    Action.EDIT: State.EDITED,
    Action.REJECT: State.REJECTED,
    Action.DEFER: State.DEFERRED,
    Action.UNDO: State.PENDING,
}
OPEN_STATES = (State.PENDING, State.DEFERRED)
APPROVING = frozenset({Action.APPROVE, Action.EDIT})
LEARNED_KEY = re.compile(rf"{LEARNED_INTENT}/[^\W_]\w{{0,79}}")  # it becomes part of a file's name
SLOT = re.compile(r"\{\w+\}")
UNSAYABLE = frozenset({"Cc", "Cf", "Cs"})  # control characters, invisible ones that turn text around, half an emoji
SAYABLE = frozenset("\t\n\r\u200c\u200d")  # of those: white space, and what joins emoji and letters of some scripts
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")  # letters and symbols without a shape
MAX_ANSWER = 2000  # characters; more is an article, not a chat answer
# Why undo is no way back from a state.
NOT_UNDONE: Mapping[State, tuple[str, str]] = {
    State.PENDING: ("waits for a decision: there is nothing to undo", "decide about it"),
    State.ABSORBED: (
        "is part of the trained model and cannot be undone",
        "take its entry back with `python -m learning withdraw`, then run `python -m learning retrain`",
    ),
    State.SUPERSEDED: (
        "was merged into another proposal",
        "take its messages out of that one with `python -m learning review split`",
    ),
}


class AlreadyDecided(ReviewError):
    """Somebody else decided first; the message names them."""


class HasChanged(StoreError):
    """A proposal is no longer what was decided about."""

    def __init__(self, proposal_id: str) -> None:
        super().__init__(
            "has changed: it was mined again, or somebody in it was forgotten",
            f"proposal {proposal_id}",
            "look at it again with `python -m learning review show`",
        )


def content_mark(proposal: Proposal) -> str:
    """Return a mark of what a reviewer reads: it changes when that does, and not with the state or the score."""
    kind, examples = proposal.kind.value, proposal.examples
    said = (kind, proposal.label, proposal.target, proposal.answer)
    return content_id("seen", *said, len(examples), *examples, *proposal.warnings)


def already_decided(present: Proposal, last: Decision | None, wanted: Action) -> AlreadyDecided:
    """Return the error that tells a second reviewer who decided `last`, what and when."""
    by = f": {last.who} decided ({last.action.value}) on {last.at:%Y-%m-%d at %H:%M} UTC" if last else ""
    return AlreadyDecided(
        f"is {present.state.value} and cannot become {STATE_AFTER[wanted].value}{by}",
        f"proposal {present.proposal_id}",
        "nothing more was done; `python -m learning review undo` takes a decision back",
    )


def move(proposal: Proposal, to: State) -> Proposal:
    """Return the proposal in state `to`; raise `ReviewError` if the table does not allow the move."""
    if to not in MOVES[proposal.state]:
        raise ReviewError(
            f"is {proposal.state.value} and cannot become {to.value}",
            f"proposal {proposal.proposal_id}",
            "run `python -m learning review list` to see where things stand",
        )
    return replace(proposal, state=to)


def as_decided(proposal: Proposal, decision: Decision | None) -> Proposal:
    """Return the machine's suggestion as a person's decision left it; without changes it is the suggestion.

    Examples that will be taught come as they will be written.
    """
    if decision is not None and decision.action is Action.EDIT:
        proposal = _edited(proposal, decision)
    if proposal.kind in TEACHING:
        examples = tuple(dict.fromkeys(filter(None, map(clean_example, proposal.examples))))
        proposal = replace(proposal, examples=examples)
    return proposal


def _edited(proposal: Proposal, decision: Decision) -> Proposal:
    if proposal.kind is ProposalKind.MERGE and decision.label == proposal.target:
        return replace(proposal, label=str(proposal.target), target=proposal.label)  # the other one stays
    if decision.kind is ProposalKind.EXAMPLES:
        proposal = replace(proposal, kind=decision.kind, answer=None, sources=(), drafter="", warnings=())
    return replace(
        proposal,
        label=decision.label or proposal.label,
        examples=decision.examples if decision.examples is not None else proposal.examples,
        answer=decision.answer if decision.answer is not None else proposal.answer,
    )


def effective(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """Return the decision that counts now by proposal id, the oldest first; what was undone counts no more."""
    found: dict[str, Decision] = {}
    for decision in decisions:
        found.pop(decision.proposal_id, None)
        if decision.action is not Action.UNDO:
            found[decision.proposal_id] = decision
    return found


def decide(proposal: Proposal, decision: Decision) -> Proposal:
    """Apply a person's decision: the new state, and the content as the person wants it.

    Raises:
        ReviewError: the move is not allowed, or what would be published is incomplete.

    """
    item = f"proposal {proposal.proposal_id}"
    if decision.action is Action.UNDO:
        return undo(proposal)
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
        _check_may_change(proposal, decision, item)
    decided = as_decided(decided, decision)
    _check_publishable(decided, item)
    return decided


def undo(proposal: Proposal) -> Proposal:
    """Return a decided proposal as it waited before; raise `ReviewError` where there is no way back."""
    if proposal.state in NOT_UNDONE:
        what, next_step = NOT_UNDONE[proposal.state]
        raise ReviewError(what, f"proposal {proposal.proposal_id}", next_step)
    return replace(move(proposal, State.PENDING), deferred_until=None, deferred_turns=None)


def _check_may_change(proposal: Proposal, decision: Decision, item: str) -> None:
    """Refuse an edit of what a proposal of this kind does not have: it would be lost without a word."""
    renames = decision.label is not None and decision.label != proposal.label
    if renames and proposal.kind is ProposalKind.MERGE and decision.label != proposal.target:
        raise ReviewError(
            f"merges {proposal.target} into {proposal.label}", item, "name one of the two as the one that stays"
        )
    if renames and proposal.kind not in (ProposalKind.ANSWER, ProposalKind.MERGE):
        raise ReviewError(
            f"{_ABOUT[proposal.kind]} {proposal.label}, whose name cannot be changed",
            item,
            "edit the rest of it, or reject it with a reason",
        )
    if decision.answer is not None and proposal.kind not in ANSWERING:
        raise ReviewError(f"{_ABOUT[proposal.kind]} {proposal.label} and brings no answer", item, "leave --answer out")
    if decision.examples is not None and proposal.kind not in TEACHING:
        raise ReviewError(
            f"{_ABOUT[proposal.kind]} {proposal.label}: its examples show why and teach nothing",
            item,
            "leave them as they are",
        )


_ABOUT = {
    ProposalKind.EXAMPLES: "adds examples to",
    ProposalKind.ANSWER: "answers",
    ProposalKind.REWORD: "rewords the answer to",
    ProposalKind.MERGE: "merges another label into",
    ProposalKind.RETIRE: "retires",
}


def _check_publishable(proposal: Proposal, item: str) -> None:
    """Refuse what could not go live; whether it fits what is live is another matter."""
    if proposal.kind in TEACHING and not proposal.examples:
        raise ReviewError("has no examples with words in them", item, "add at least one with `review edit --example`")
    if proposal.kind in ANSWERING:
        check_sayable(proposal.answer or "", item)
    if proposal.kind is ProposalKind.ANSWER and not LEARNED_KEY.fullmatch(proposal.label):
        raise ReviewError(
            f"has the name {proposal.label!r}",
            item,
            f"use `{LEARNED_INTENT}/` and up to 80 letters, digits or underscores",
        )
    if proposal.kind in (ProposalKind.REWORD, ProposalKind.MERGE) and not proposal.target:
        missing = "response it rewords" if proposal.kind is ProposalKind.REWORD else "label it merges"
        raise ReviewError(f"does not name the {missing}", item, "reject it with a reason")
    if proposal.kind is ProposalKind.MERGE and proposal.target == proposal.label:
        raise ReviewError(f"merges {proposal.label} with itself", item, "reject it with a reason")


def is_unsayable(char: str) -> bool:
    """Return whether a character is none that people see, but one that terminals or browsers obey."""
    return unicodedata.category(char) in UNSAYABLE and char not in SAYABLE


def check_sayable(answer: str, item: str) -> None:
    """Raise `ReviewError` about `item` if an answer is none, or one that Rasa or a browser would not show as it is."""
    if not answer.strip():
        raise ReviewError(
            "has no answer yet: nothing in the knowledge articles fits", item, 'approve it with --answer "..."'
        )
    if len(answer) > MAX_ANSWER:
        raise ReviewError(f"has an answer of more than {MAX_ANSWER} characters", item, "shorten the answer")
    hidden = next(filter(is_unsayable, answer), None)
    if hidden is not None:
        raise ReviewError(
            f"has an answer with U+{ord(hidden):04X}, a character that cannot be shown", item, "type the answer again"
        )
    if not any(unicodedata.category(char)[0] in "LNPS" and char not in BLANK for char in answer):
        raise ReviewError("has an answer in which nothing can be seen", item, "type the answer again")
    if re.search(r"[{}]", SLOT.sub("", answer)):
        raise ReviewError(
            "has an answer with a lone brace, which Rasa cannot say", item, "use braces for slots only, as in {name}"
        )


def round_id(gap_id: str, before: Iterable[Proposal]) -> str:
    """Return the id of the next proposal for a gap that these were made for before.

    Only what was decided counts: what waits is made again, and so is what was merged into another.
    """
    rounds = sum(item.state not in (State.PENDING, State.SUPERSEDED) for item in before)
    return content_id("proposal", gap_id, rounds) if rounds else content_id("proposal", gap_id)
