from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from learning.errors import ReviewError
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState, content_id
from learning.review import MOVES, STATE_AFTER, already_decided, as_decided, decide, effective, move, round_id
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
    (S.APPROVED, S.PENDING),
    (S.EDITED, S.PENDING),
    (S.PUBLISHED, S.PENDING),
    (S.REJECTED, S.PENDING),
    (S.WITHDRAWN, S.PENDING),
    (S.WITHDRAWN, S.PUBLISHED),
    (S.WITHDRAWN, S.ABSORBED),
    (S.PENDING, S.SUPERSEDED),
    (S.SUPERSEDED, S.PENDING),
}
# What mining may do when a gap has messages again, and undo may not.
NOT_BY_UNDO = {S.SUPERSEDED}


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
    undoes_in_vain = action is Action.UNDO and state in NOT_BY_UNDO
    if (state, STATE_AFTER[action]) in ALLOWED and not undoes_in_vain:
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
        ({"answer": "\x9b31m red"}, "U\\+009B, a character that cannot be shown"),
        ({"answer": "pay \u202e00.1"}, "cannot be shown"),
        ({"answer": "Yes.\u200b"}, "cannot be shown"),
        ({"answer": "\ufeffYes."}, "cannot be shown"),
        ({"answer": "\u200d\u200c\xa0"}, "nothing can be seen"),
        ({"answer": "\u3164\u2800"}, "nothing can be seen"),
        ({"answer": "\u0301"}, "nothing can be seen"),
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


@pytest.mark.parametrize(
    "answer",
    ["one\ttwo\r\nthree", "family \U0001f468\u200d\U0001f467", "می\u200cخواهم", "日本", "\U0001f44d", "größe", "5"],
)
def test_what_people_can_see_is_approved(answer: str) -> None:
    assert decide(proposal(answer=answer), decision(Action.APPROVE)).answer == answer


def test_an_answer_may_fill_in_slots() -> None:
    assert decide(proposal(answer="Hi {name}!"), decision(Action.APPROVE)).state is S.APPROVED


def examples_proposal() -> Proposal:
    return proposal(kind=ProposalKind.EXAMPLES, label="track_order", answer=None)


def test_examples_of_a_known_intent_need_no_answer_and_keep_their_name() -> None:
    assert decide(examples_proposal(), decision(Action.APPROVE)).state is S.APPROVED
    with pytest.raises(ReviewError, match="name cannot be changed"):
        decide(examples_proposal(), decision(Action.EDIT, label="learned/track_order"))


# --- undo -----------------------------------------------------------------------------------------


def test_what_is_undone_waits_as_it_was_suggested() -> None:
    put_off = decide(proposal(), decision(Action.DEFER, defer_turns=8))

    assert decide(put_off, decision(Action.UNDO)) == proposal()


@pytest.mark.parametrize(
    ("state", "problem", "next_step"),
    [
        (S.PENDING, "there is nothing to undo", "decide about it"),
        (S.ABSORBED, "is part of the trained model", "learning withdraw"),
        (S.SUPERSEDED, "was merged into another proposal", "review split"),
    ],
)
def test_where_undo_is_no_way_back_it_says_what_is(state: S, problem: str, next_step: str) -> None:
    with pytest.raises(ReviewError, match=problem) as caught:
        decide(proposal(state=state), decision(Action.UNDO))

    assert next_step in caught.value.next_step


def test_only_the_last_decision_that_was_not_undone_counts() -> None:
    first, second = (Decision("a", Action.REJECT, who, START) for who in ("ann", "bob"))
    other = Decision("b", Action.APPROVE, "ann", START)
    undone = Decision("a", Action.UNDO, "ann", START)

    assert effective([first, other, undone]) == {"b": other}
    assert list(effective([first, other, undone, second]).values()) == [other, second]


def test_the_second_is_told_who_was_first() -> None:
    error = already_decided(proposal(state=S.REJECTED), Decision("p", Action.REJECT, "ann", START), Action.APPROVE)

    assert "is rejected and cannot become approved: ann decided (reject) on 2024-03-01 at" in str(error)


# --- what a decision makes of a suggestion --------------------------------------------------------


def test_a_decision_and_the_suggestion_are_put_together() -> None:
    suggestion = proposal(examples=("- one", "two"))
    changed = decision(Action.EDIT, label="learned/points", examples=("three",), answer="Yes.")
    decided = as_decided(suggestion, changed)

    assert (decided.label, decided.examples, decided.answer) == ("learned/points", ("three",), "Yes.")
    assert as_decided(suggestion, None).examples == ("one", "two")
    assert as_decided(suggestion, decision(Action.APPROVE)) == as_decided(suggestion, None)


def test_rounds_count_what_was_decided() -> None:
    first = proposal(1, gap_id="g")

    assert round_id("g", []) == content_id("proposal", "g")
    assert round_id("g", [first, replace(first, state=S.SUPERSEDED)]) == content_id("proposal", "g")
    assert round_id("g", [replace(first, state=S.PUBLISHED)]) == content_id("proposal", "g", 1)


# --- kinds ----------------------------------------------------------------------------------------


def upkeep(kind: ProposalKind, **more: Any) -> Proposal:
    values = {"kind": kind, "label": "track_order", "answer": None, "examples": ("- evidence",), **more}
    return proposal(**values)


def reword(**more: Any) -> Proposal:
    return upkeep(ProposalKind.REWORD, **{"target": "utter_track_order", "answer": "Tomorrow.", **more})


def merge(**more: Any) -> Proposal:
    return upkeep(ProposalKind.MERGE, **{"target": "where_is_it", **more})


def retire(**more: Any) -> Proposal:
    return upkeep(ProposalKind.RETIRE, **more)


@pytest.mark.parametrize("make", [reword, merge, retire])
def test_kinds_that_teach_nothing_need_no_examples_and_leave_them_as_they_are(make: Any) -> None:
    assert decide(make(examples=()), decision(Action.APPROVE)).state is S.APPROVED
    assert decide(make(), decision(Action.APPROVE)).examples == ("- evidence",)
    with pytest.raises(ReviewError, match="teach nothing"):
        decide(make(), decision(Action.EDIT, examples=("one",)))


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (reword(answer=None), "has no answer"),
        (reword(answer="x" * 2001), "more than 2000"),
        (reword(target=None), "does not name the response it rewords"),
        (merge(target=None), "does not name the label it merges"),
        (merge(target="track_order"), "merges track_order with itself"),
    ],
)
def test_what_a_kind_lacks_is_told(one: Proposal, problem: str) -> None:
    with pytest.raises(ReviewError, match=problem):
        decide(one, decision(Action.APPROVE))


def test_an_edit_may_say_which_label_a_merge_keeps() -> None:
    decided = decide(merge(), decision(Action.EDIT, label="where_is_it"))

    assert (decided.label, decided.target) == ("where_is_it", "track_order")
    with pytest.raises(ReviewError, match="merges where_is_it into track_order"):
        decide(merge(), decision(Action.EDIT, label="greet"))


@pytest.mark.parametrize("one", [reword(), retire(), examples_proposal()])
def test_only_a_new_question_and_a_merge_have_a_name_to_choose(one: Proposal) -> None:
    with pytest.raises(ReviewError, match="name cannot be changed"):
        decide(one, decision(Action.EDIT, label="learned/other"))


@pytest.mark.parametrize("one", [merge(), retire(), examples_proposal()])
def test_an_answer_to_what_brings_none_is_refused(one: Proposal) -> None:
    with pytest.raises(ReviewError, match="brings no answer"):
        decide(one, decision(Action.EDIT, answer="Hello."))


def test_what_a_machine_worded_may_be_approved_by_a_person() -> None:
    assert decide(proposal(drafter="machine:small"), decision(Action.APPROVE)).state is S.APPROVED
