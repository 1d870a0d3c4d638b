"""What changes between reading a proposal and its release: nothing goes live that nobody has read, or does not fit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from learning.adapters import store_review
from learning.adapters.store import Store
from learning.bulk import decide_all
from learning.errors import NotFound, ReviewError, StoreError
from learning.forget import forget
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState
from learning.pipeline import merge, move_example, publish_waiting, review, rollback, split, withdraw
from learning.review import HasChanged, content_mark
from learning.review import decide as decide_purely
from learning.reviewing import assign, would_do
from learning.second_reading import read as read_second
from tests.learning_builders import START, FakeEncoder, make_loop, make_project, proposal

S = ProposalState
CHANGES: list[dict[str, Any]] = [
    {"answer": "Never read."},
    {"label": "learned/never_read"},
    {"examples": ("never read",)},
]


class Busy(FakeEncoder):
    """An encoder during whose first encoding something else happens, as in a cold process."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = meanwhile

    def encode(self, texts: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super().encode(texts)


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    return make_loop(make_project(tmp_path))


def while_encoding(loop: Loop, meanwhile: Callable[[], object]) -> Loop:
    return replace(loop, encoder=Busy(meanwhile))


def save(loop: Loop, *items: Proposal) -> None:
    loop.store.save_proposals(items, START)


def approval(item: Proposal, who: str = "ann", **more: Any) -> Decision:
    return Decision(item.proposal_id, Action.APPROVE, who, START, **more)


def live(loop: Loop) -> list[tuple[str, str | None]]:
    return [(entry.label, entry.answer) for entry in loop.store.entries(S.PUBLISHED)]


def leave_approved(loop: Loop, item: Proposal) -> None:
    """Record an approval without its release, as an earlier version did when it crashed in between."""
    loop.store.save_decision(item, decide_purely(item, approval(item)), approval(item))


# --- what was read ----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [*CHANGES, {"warnings": ("contradicts an article",)}])
@pytest.mark.parametrize("action", [Action.APPROVE, Action.REJECT])
def test_what_was_mined_anew_since_it_was_read_is_refused(loop: Loop, change: dict[str, Any], action: Action) -> None:
    save(loop, proposal(1))
    seen = content_mark(loop.store.proposals()[0])
    save(loop, replace(proposal(1), **change))
    decision = Decision(proposal(1).proposal_id, action, "ann", START, reason="because", seen=seen)

    for decide in (would_do, review):
        with pytest.raises(HasChanged, match="has changed"):
            decide(loop, decision)
    assert live(loop) == []
    assert loop.store.decisions() == []
    assert review(loop, replace(decision, seen=content_mark(loop.store.proposals()[0]))) or action is Action.REJECT


def test_the_mark_is_compared_in_the_transaction_too(loop: Loop) -> None:
    save(loop, proposal(1))
    seen, warned = content_mark(proposal(1)), replace(proposal(1), warnings=("contradicts an article",))

    with pytest.raises(HasChanged):
        review(while_encoding(loop, lambda: save(loop, warned)), approval(proposal(1), seen=seen))
    assert live(loop) == []


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_mined_anew_while_it_is_encoded_does_not_go_live(loop: Loop, change: dict[str, Any]) -> None:
    save(loop, proposal(1))

    with pytest.raises(StoreError, match="has changed"):
        review(while_encoding(loop, lambda: save(loop, replace(proposal(1), **change))), approval(proposal(1)))
    assert (live(loop), loop.store.decisions(), publish_waiting(loop)) == ([], [], [])
    assert loop.store.proposals()[0].state is S.PENDING


def test_a_mark_follows_what_is_read_and_nothing_else() -> None:
    marks = {content_mark(replace(proposal(1), **change)) for change in [*CHANGES, {"warnings": ("x",)}, {}]}

    assert len(marks) == 5
    assert content_mark(replace(proposal(1), score=1, state=S.DEFERRED, assignee="bob")) == content_mark(proposal(1))
    one, other = replace(proposal(1), examples=("a", "b")), replace(proposal(1), examples=("a",), warnings=("b",))
    assert content_mark(one) != content_mark(other)


def test_a_bulk_decides_about_what_it_listed(loop: Loop) -> None:
    save(loop, proposal(1), proposal(2))
    listed = loop.store.proposals()
    save(loop, replace(proposal(1), answer="Never read."))
    _, done = decide_all(loop, listed, lambda item: approval(item, seen=content_mark(item)))

    assert {one.proposal_id: bool(one.problem) for one in done} == {
        proposal(1).proposal_id: True,
        proposal(2).proposal_id: False,
    }
    assert [label for label, _ in live(loop)] == [proposal(2).label]


# --- what is live meanwhile ---------------------------------------------------------------------------


def test_of_two_answers_with_one_name_only_the_first_goes_live(loop: Loop) -> None:
    first, second = (proposal(number, label="learned/x", answer=f"{number}.") for number in (1, 2))
    save(loop, first, second)

    with pytest.raises(ReviewError, match="which another answer has"):
        review(while_encoding(loop, lambda: review(loop, approval(second, "bob"))), approval(first))
    assert live(loop) == [("learned/x", "2.")]
    assert loop.store.proposal(first.proposal_id).state is S.PENDING
    assert [one.who for one in loop.store.decisions()] == ["bob"]


def test_more_words_do_not_go_live_without_their_answer(loop: Loop) -> None:
    answer = proposal(1, label="learned/x")
    more = proposal(2, kind=ProposalKind.EXAMPLES, label="learned/x", answer=None)
    save(loop, answer, more)
    review(loop, approval(answer))
    undo = Decision(answer.proposal_id, Action.UNDO, "bob", START)

    with pytest.raises(ReviewError, match="does not know any more"):
        review(while_encoding(loop, lambda: review(loop, undo)), approval(more))
    assert live(loop) == []


def test_what_a_crash_left_and_does_not_fit_any_more_stays_and_the_others_go_live(
    loop: Loop, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, other = (
        proposal(number, label=label) for number, label in enumerate(("learned/x",) * 2 + ("learned/y",))
    )
    save(loop, first, second, other)
    for item in (first, other):
        leave_approved(loop, item)
    review(loop, approval(second))
    with caplog.at_level(logging.WARNING):
        releases = publish_waiting(loop)

    assert [label for label, _ in live(loop)] == ["learned/x", "learned/y"]
    assert len(releases) == 1
    assert loop.store.proposal(first.proposal_id).state is S.APPROVED
    assert first.proposal_id in caplog.text


# --- names, assignments, ids ----------------------------------------------------------------------------


def test_nobody_decides_by_the_name_of_a_policy(loop: Loop) -> None:
    save(loop, proposal(1), proposal(2))
    review(loop, approval(proposal(2)))
    (entry,) = loop.store.entries()
    attempts: list[Callable[[], object]] = [
        lambda: review(loop, approval(proposal(1), "policy:bob")),
        lambda: would_do(loop, approval(proposal(1), "policy:bob")),
        lambda: assign(loop, proposal(1).proposal_id, "ann", "policy:bob"),
        lambda: withdraw(loop, entry.entry_id, "policy:bob", "because"),
        lambda: rollback(loop, 1, "policy:bob"),
        lambda: split(loop, proposal(1).proposal_id, (), "policy:bob", START),
        lambda: merge(loop, [proposal(1).proposal_id, proposal(2).proposal_id], "policy:bob", START),
        lambda: move_example(loop, proposal(1).proposal_id, "x", "greet", "policy:bob", START),
        lambda: read_second(loop, proposal(2).proposal_id, Action.APPROVE, "policy:bob", START),
        lambda: forget(loop, lambda: pytest.fail("was opened"), "policy:bob", "zoe"),
    ]
    for attempt in attempts:
        with pytest.raises(ReviewError, match="begins with policy:, as only automatic decisions do"):
            attempt()
    assert len(live(loop)) == 1


def test_what_was_decided_meanwhile_is_not_assigned(loop: Loop) -> None:
    save(loop, proposal(1))
    stale = loop.store.proposals()[0]
    review(loop, Decision(stale.proposal_id, Action.REJECT, "ann", START, reason="no"))
    store = loop.store
    assert isinstance(store, Store)

    with pytest.raises(StoreError, match="is rejected by now"):
        store.assign(stale, "bob", "ann", START)
    assert store.proposals()[0].assignee is None
    assert store.audit_rows()[-1].what == "reject"


def test_an_assignment_says_what_the_proposal_is_now(loop: Loop) -> None:
    save(loop, proposal(1))
    stale = loop.store.proposals()[0]
    review(loop, Decision(stale.proposal_id, Action.DEFER, "ann", START, defer_turns=9))
    store = loop.store
    assert isinstance(store, Store)
    store.assign(stale, "bob", "ann", START)

    assert (store.audit_rows()[-1].before, store.audit_rows()[-1].after) == ("deferred", "deferred")


def test_one_proposal_is_read_without_the_others(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    save(loop, *(proposal(number) for number in range(20)))
    read: list[str] = []
    genuine = store_review.to_proposal
    monkeypatch.setattr(store_review, "to_proposal", lambda row: read.append(row.proposal_id) or genuine(row))

    assert loop.store.proposal(proposal(7).proposal_id).label == proposal(7).label
    assert read == [proposal(7).proposal_id]
    for prefix in ("", "\x00", "\udcff", proposal(7).proposal_id.upper() + "x"):
        with pytest.raises(NotFound):
            loop.store.proposal(prefix)
