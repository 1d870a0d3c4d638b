from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from learning.errors import ReviewError
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState
from learning.review import MOVES, STATE_AFTER, decide, move
from tests.learning_builders import START, proposal

S = ProposalState
# The table once more, by hand: a move that is added or lost has to be meant.
ALLOWED = {
    (S.PENDING, S.APPROVED),
    (S.PENDING, S.EDITED),
    (S.PENDING, S.REJECTED),
    (S.PENDING, S.DEFERRED),
    (S.DEFERRED, S.PENDING),
    (S.DEFERRED, S.APPROVED),
    (S.DEFERRED, S.EDITED),
    (S.DEFERRED, S.REJECTED),
    (S.APPROVED, S.PUBLISHED),
    (S.EDITED, S.PUBLISHED),
    (S.APPROVED, S.WITHDRAWN),
    (S.EDITED, S.WITHDRAWN),
    (S.PUBLISHED, S.ABSORBED),
    (S.PUBLISHED, S.WITHDRAWN),
    (S.ABSORBED, S.PUBLISHED),
    (S.ABSORBED, S.WITHDRAWN),
}


def decision(action: Action, **more: Any) -> Decision:
    return Decision("p", action, "ann", START, **more)


def complete(action: Action) -> Decision:
    return decision(action, reason="because", defer_until=START + timedelta(days=1))


@pytest.mark.parametrize(("before", "after"), itertools.product(S, S))
def test_every_move_is_as_the_table_says(before: S, after: S) -> None:
    if (before, after) in ALLOWED:
        assert move(proposal(state=before), after) == proposal(state=after)
    else:
        with pytest.raises(ReviewError, match=f"is {before.value} and cannot become {after.value}"):
            move(proposal(state=before), after)


@pytest.mark.parametrize(("state", "action"), itertools.product(S, Action))
def test_every_action_in_every_state(state: S, action: Action) -> None:
    if (state, STATE_AFTER[action]) in ALLOWED:
        assert decide(proposal(state=state), complete(action)).state is STATE_AFTER[action]
    else:
        with pytest.raises(ReviewError):
            decide(proposal(state=state), complete(action))


def test_the_table_knows_every_state_and_action() -> None:
    assert set(MOVES) == set(S)
    assert set(STATE_AFTER) == set(Action)


def test_a_rejection_needs_a_reason() -> None:
    for reason in ("", "  "):
        with pytest.raises(ReviewError, match="needs a reason"):
            decide(proposal(), decision(Action.REJECT, reason=reason))


def test_a_deferral_needs_a_date_or_a_volume() -> None:
    with pytest.raises(ReviewError, match="needs a date or a volume"):
        decide(proposal(), decision(Action.DEFER))

    assert decide(proposal(), decision(Action.DEFER, defer_turns=8)).deferred_turns == 8


def test_an_edit_changes_what_it_names_and_an_approval_nothing() -> None:
    changes = {"label": "learned/points", "examples": ("one", "two"), "answer": "Yes."}
    edited = decide(proposal(), decision(Action.EDIT, **changes))
    approved = decide(proposal(), decision(Action.APPROVE, **changes))

    assert (edited.label, edited.examples, edited.answer) == ("learned/points", ("one", "two"), "Yes.")
    assert (approved.label, approved.answer) == (proposal().label, proposal().answer)


def test_examples_are_approved_as_they_will_be_written() -> None:
    edited = decide(proposal(), decision(Action.EDIT, examples=("- [a](b)", "a b", "\u2028", "c\n- d")))

    assert edited.examples == ("a b", "c - d")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"examples": ()}, "has no examples"),
        ({"examples": ("[]", " ", "---")}, "has no examples"),
        ({"answer": None}, "has no answer"),
        ({"answer": " \n"}, "has no answer"),
        ({"answer": "x" * 2001}, "more than 2000 characters"),
        ({"answer": "a smile :{ is nice"}, "lone brace"),
        ({"answer": "a {slot[0].x} b"}, "lone brace"),
        ({"answer": "a\0b"}, "cannot be shown"),
        ({"answer": "half \ud83d"}, "cannot be shown"),
        ({"label": "loyalty"}, "has the name"),
        ({"label": "faq/loyalty"}, "has the name"),
        ({"label": "learned/"}, "has the name"),
        ({"label": "learned/a b"}, "has the name"),
        ({"label": "learned/a/b"}, "has the name"),
        ({"label": "learned/a\n"}, "has the name"),
        ({"label": "learned/../../etc"}, "has the name"),
        ({"label": "learned/" + "a" * 300}, "has the name"),
    ],
)
def test_what_could_not_be_published_is_not_approved(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ReviewError, match=problem):
        decide(proposal(**changes), decision(Action.APPROVE))


def test_an_answer_may_fill_in_slots() -> None:
    assert decide(proposal(answer="Hi {name}!"), decision(Action.APPROVE)).state is S.APPROVED


def examples_proposal() -> Proposal:
    return proposal(kind=ProposalKind.EXAMPLES, label="track_order", answer=None)


def test_examples_of_a_known_intent_need_no_answer_and_keep_their_name() -> None:
    assert decide(examples_proposal(), decision(Action.APPROVE)).state is S.APPROVED
    with pytest.raises(ReviewError, match="name cannot be changed"):
        decide(examples_proposal(), decision(Action.EDIT, label="learned/track_order"))
