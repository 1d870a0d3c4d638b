"""What reviewers do beyond yes and no: undo, split, merge, move, bulk, second readings, and two people at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.adapters.store import Store
from learning.bulk import decide_all, last_batch, undo_all
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.gaps import existing_gap_id
from learning.loop import Loop
from learning.model import Action, Decision, GapKind, Proposal, ProposalKind, ProposalState
from learning.pipeline import learned_files, merge, mine, move_example, publish_waiting, review, split
from learning.publish import entry_id
from learning.review import AlreadyDecided, move
from learning.review import decide as decide_purely
from learning.reviewing import assign, notes_on
from learning.second_reading import is_drawn, measure, read, waiting_for
from learning.settings import ReviewSettings
from tests.learning_builders import (
    LOYALTY,
    START,
    TrackerFile,
    fresh_database,
    gap,
    make_loop,
    make_project,
    mined,
    proposal,
    save_members,
)

S = ProposalState
POINTS = tuple(text for text in LOYALTY if text != "how many loyalty points per order")  # nearer to nothing
GIFTS = (
    "do you sell gift cards",
    "buy gift cards",
    "gift cards balance",
    "are gift cards refundable",
    "where are gift cards sold",
    "gift cards for friends",
)


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tracker: TrackerFile, tmp_path: Path) -> Loop:
    """Nine people asked for loyalty points and six for gift cards; both are proposed."""
    for number, text in enumerate((*POINTS, *GIFTS)):
        tracker.say(f"person{number}", text)
    loop = make_loop(tmp_path)
    mine(loop)
    return loop


def waiting(loop: Loop) -> dict[str, Proposal]:
    """What waits, by a word of its examples."""
    words = ("loyalty", "gift", "parcel")
    found = [item for item in loop.store.proposals() if item.state is S.PENDING]
    return {next(word for word in words if word in " ".join(item.examples)): item for item in found}


def decide(loop: Loop, one: Proposal, action: Action, who: str = "ann", **more: Any) -> Any:
    reason = more.pop("reason", "because")
    return review(loop, Decision(one.proposal_id, action, who, loop.now(), reason=reason, **more))


def approve(loop: Loop, one: Proposal, **more: Any) -> Any:
    action = Action.EDIT if more else Action.APPROVE
    return decide(loop, one, action, **{"answer": "Yes.", **more} if more or not one.answer else {})


def audit(loop: Loop) -> list[str]:
    store = loop.store
    assert isinstance(store, Store)
    assert store.verify_audit() == []
    return [row.what for row in store.audit_rows()]


# --- undo -----------------------------------------------------------------------------------------


def test_what_is_undone_is_gone_at_once_and_waits_as_it_was_suggested(loop: Loop) -> None:
    suggested = waiting(loop)["loyalty"]
    approve(loop, suggested, label="learned/points", examples=("points please",))
    version = loop.store.overlay_version()
    decide(loop, suggested, Action.UNDO)

    assert loop.store.entries(S.PUBLISHED) == []
    assert learned_files(loop) == {}
    assert loop.store.overlay_version() == version + 1
    assert loop.store.proposal(suggested.proposal_id) == suggested
    assert loop.store.gap(suggested.gap_id).handled_at is None
    assert audit(loop)[-4:] == ["edit", "publish", "withdraw", "undo"]


def test_what_was_undone_can_go_live_again_any_number_of_times(loop: Loop) -> None:
    one = waiting(loop)["loyalty"]
    for number in (1, 2, 3):
        assert approve(loop, one).number == 2 * number - 1
        (entry,) = loop.store.entries(S.PUBLISHED)
        assert (entry.release, entry.examples) == (2 * number - 1, one.examples)
        decide(loop, one, Action.UNDO)

    assert [release.what.value for release in loop.store.releases()] == ["undo", "publish"] * 3
    assert [one.action.value for one in loop.store.decisions()] == ["approve", "undo"] * 3


def test_mining_refreshes_what_was_undone(loop: Loop, tracker: TrackerFile) -> None:
    one = waiting(loop)["loyalty"]
    approve(loop, one)
    decide(loop, one, Action.UNDO)
    tracker.say("late", "loyalty points for students")
    mine(loop)

    assert waiting(loop)["loyalty"].people == one.people + 1


@pytest.mark.parametrize("action", [Action.REJECT, Action.DEFER])
def test_a_rejection_and_a_deferral_can_be_undone(loop: Loop, action: Action) -> None:
    one = waiting(loop)["gift"]
    decide(loop, one, action, defer_turns=99)
    decide(loop, one, Action.UNDO, who="bob")

    assert loop.store.proposal(one.proposal_id) == one
    assert audit(loop)[-1] == "undo"


def test_what_hangs_on_an_answer_goes_with_it(loop: Loop) -> None:
    first = waiting(loop)["loyalty"]
    approve(loop, first)
    more = proposal(7, kind=ProposalKind.EXAMPLES, label=first.label, answer=None)
    loop.store.save_proposals([more], START)
    approve(loop, more)
    decide(loop, first, Action.UNDO)

    assert loop.store.entries(S.PUBLISHED) == []
    assert loop.store.proposal(more.proposal_id).state is S.WITHDRAWN
    decide(loop, more, Action.UNDO)
    with pytest.raises(ReviewError, match="does not know any more"):
        approve(loop, more)
    approve(loop, first)
    assert approve(loop, more).number == 5


def test_a_gap_stays_answered_by_what_else_is_live_for_it(loop: Loop) -> None:
    """Only what is asked after that answer would be asked anew."""
    first = waiting(loop)["loyalty"]
    approve(replace(loop, now=lambda: START + timedelta(hours=1)), first)
    second = proposal(9, gap_id=first.gap_id, kind=ProposalKind.EXAMPLES, label=first.label, answer=None)
    loop.store.save_proposals([second], START)
    approve(replace(loop, now=lambda: START + timedelta(hours=2)), second)
    assert loop.store.gap(first.gap_id).handled_at == START + timedelta(hours=2)
    decide(loop, second, Action.UNDO)

    assert loop.store.gap(first.gap_id).handled_at == START + timedelta(hours=1)
    decide(loop, second, Action.REJECT)
    decide(loop, first, Action.UNDO)
    assert loop.store.gap(first.gap_id).handled_at is None


def test_what_is_absorbed_is_not_undone(loop: Loop) -> None:
    one = waiting(loop)["loyalty"]
    approve(loop, one)
    (entry,) = loop.store.entries()
    loop.store.absorb([(entry, "understood")], "m", "retrain", START)

    with pytest.raises(ReviewError, match="part of the trained model"):
        decide(loop, one, Action.UNDO)
    assert len(loop.store.entries(S.ABSORBED)) == 1


def test_of_one_gap_only_one_proposal_waits(loop: Loop) -> None:
    one = waiting(loop)["gift"]
    decide(loop, one, Action.REJECT)
    loop.store.save_proposals([proposal(8, gap_id=one.gap_id)], START)

    with pytest.raises(ReviewError, match="waits for the same gap"):
        decide(loop, one, Action.UNDO)


def test_what_a_crash_left_goes_live_as_it_was_edited(loop: Loop) -> None:
    one = waiting(loop)["loyalty"]
    decision = Decision(one.proposal_id, Action.EDIT, "ann", START, answer="Edited.", examples=("edited",))
    loop.store.save_decision(one, replace(one, state=S.EDITED), decision)
    publish_waiting(loop)

    (entry,) = loop.store.entries(S.PUBLISHED)
    assert (entry.answer, entry.examples) == ("Edited.", ("edited",))


# --- two people at once ---------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def open_loop(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Loop]:
    """Opens one database again and again, as two processes do."""
    make_project(tmp_path)
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    first = make_loop(tmp_path, url)
    again = url or f"sqlite:///{tmp_path / 'var' / 'learning.db'}"
    return lambda: replace(first, store=Store(again))


def test_of_two_people_at_once_one_wins_and_the_other_is_told_who(open_loop: Callable[[], Loop]) -> None:
    proposals = [proposal(number, label=f"learned/q{number}") for number in range(6)]
    open_loop().store.save_proposals(proposals, START)
    refused: list[AlreadyDecided] = []
    failures: list[Exception] = []
    together = threading.Barrier(2)

    def work(who: str, action: Action) -> None:
        try:
            own = open_loop()
            for one in proposals:
                together.wait(30)
                try:
                    decide(own, one, action, who)
                except AlreadyDecided as error:
                    refused.append(error)
        except Exception as error:
            failures.append(error)

    people = [("ann", Action.APPROVE), ("bob", Action.REJECT)]
    threads = [threading.Thread(target=work, args=person) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    store = open_loop().store
    winners = {decision.proposal_id: decision for decision in store.decisions()}
    assert len(winners) == len(store.decisions()) == len(refused) == len(proposals)
    for error in refused:
        winner = winners[error.item.removeprefix("proposal ")]
        assert f": {winner.who} decided ({winner.action.value}) on 2024-" in error.what
    live = {entry.proposal_id for entry in store.entries(S.PUBLISHED)}
    assert live == {key for key, decision in winners.items() if decision.who == "ann"}
    assert store.verify_audit() == []


def test_who_saved_first_is_named_by_the_store_itself(open_loop: Callable[[], Loop]) -> None:
    loop = open_loop()
    one = proposal()
    loop.store.save_proposals([one], START)
    decide(loop, one, Action.REJECT, "ann")
    late = Decision(one.proposal_id, Action.DEFER, "bob", START)

    with pytest.raises(StoreError, match=r"somebody else decided first \(ann, reject, 2024-"):
        open_loop().store.save_decision(one, replace(one, state=S.DEFERRED), late)


# --- split and merge ------------------------------------------------------------------------------


def texts_of(loop: Loop, gap_id: str) -> set[str]:
    return {turn.text for turn in loop.store.turns_of_gap(gap_id)}


def test_merged_proposals_are_one_and_stay_so(loop: Loop, tracker: TrackerFile) -> None:
    both = waiting(loop)
    kept = merge(loop, [both["loyalty"].proposal_id, both["gift"].proposal_id], "ann", START)

    assert (kept.proposal_id, kept.state, kept.people) == (both["loyalty"].proposal_id, S.PENDING, 15)
    assert texts_of(loop, kept.gap_id) == {*POINTS, *GIFTS}
    gone = loop.store.proposal(both["gift"].proposal_id)
    assert (gone.state, texts_of(loop, gone.gap_id)) == (S.SUPERSEDED, set())
    tracker.say("late", "gift cards for students")
    mine(loop)
    assert "gift cards for students" not in texts_of(loop, gone.gap_id)
    assert {*POINTS, *GIFTS} <= texts_of(loop, kept.gap_id)
    assert [item.proposal_id for item in loop.store.proposals() if item.state is S.PENDING] == [kept.proposal_id]
    assert audit(loop).count("merge") == 1


def test_a_split_gives_each_need_its_own_proposal_and_mining_keeps_it(loop: Loop, tracker: TrackerFile) -> None:
    both = waiting(loop)
    kept = merge(loop, [both["loyalty"].proposal_id, both["gift"].proposal_id], "ann", START)
    stays, leaves = split(loop, kept.proposal_id, [GIFTS[0]], "ann", START)

    assert leaves is not None
    assert texts_of(loop, stays.gap_id) == set(POINTS)
    assert texts_of(loop, leaves.gap_id) == set(GIFTS)
    assert all("gift" in text for text in leaves.examples)
    assert not any("gift" in text for text in stays.examples)
    assert (stays.people, leaves.people) == (9, 6)
    assert leaves.replay is not None
    assert loop.store.gap(leaves.gap_id).kind is GapKind.NEW_NEED
    tracker.say("late", "gift cards for students")
    tracker.say("later", "loyalty points for students")
    mine(loop)
    assert texts_of(loop, stays.gap_id) == {*POINTS, "loyalty points for students"}
    assert texts_of(loop, leaves.gap_id) == {*GIFTS, "gift cards for students"}


def test_messages_are_divided_where_they_differ_most(loop: Loop) -> None:
    both = waiting(loop)
    kept = merge(loop, [both["gift"].proposal_id, both["loyalty"].proposal_id], "ann", START)
    stays, leaves = split(loop, kept.proposal_id, [], "ann", START)

    assert leaves is not None
    assert {frozenset(texts_of(loop, one.gap_id)) for one in (stays, leaves)} == {frozenset(POINTS), frozenset(GIFTS)}


def test_what_was_split_and_merged_again_can_be_split_again(loop: Loop) -> None:
    both = waiting(loop)
    kept = merge(loop, [both["loyalty"].proposal_id, both["gift"].proposal_id], "ann", START)
    _, leaves = split(loop, kept.proposal_id, [GIFTS[0]], "ann", START)
    assert leaves is not None
    merge(loop, [kept.proposal_id, leaves.proposal_id], "ann", START)
    stays, again = split(loop, kept.proposal_id, [GIFTS[0]], "ann", START)

    assert again is not None
    assert (again.proposal_id, again.state) == (leaves.proposal_id, S.PENDING)
    assert texts_of(loop, stays.gap_id) == set(POINTS)


@pytest.mark.parametrize(
    ("rearrange", "problem"),
    [
        (lambda loop, one: split(loop, one.proposal_id, ["never said"], "ann", START), "is none of its messages"),
        (lambda loop, one: split(loop, one.proposal_id, POINTS, "ann", START), "would all stay together"),
        (lambda loop, one: merge(loop, [one.proposal_id, one.proposal_id], "ann", START), "is only one proposal"),
        (lambda loop, one: move_example(loop, one.proposal_id, "no", "track_order", "ann", START), "none of its exam"),
        (lambda loop, one: move_example(loop, one.proposal_id, one.examples[0], "no", "ann", START), "is no label"),
    ],
)
def test_what_cannot_be_rearranged_is_told_and_left_alone(
    loop: Loop, rearrange: Callable[[Loop, Proposal], object], problem: str
) -> None:
    before = loop.store.proposals()
    with pytest.raises(ReviewError, match=problem):
        rearrange(loop, waiting(loop)["loyalty"])

    assert loop.store.proposals() == before


def test_what_is_decided_is_not_rearranged(loop: Loop) -> None:
    both = waiting(loop)
    decide(loop, both["gift"], Action.REJECT)

    with pytest.raises(ReviewError, match="only what waits can be rearranged"):
        merge(loop, [both["loyalty"].proposal_id, both["gift"].proposal_id], "ann", START)


def test_older_messages_do_not_join_what_was_answered_since(loop: Loop, tracker: TrackerFile) -> None:
    both = waiting(loop)
    answered = replace(loop, now=lambda: START + timedelta(hours=1))
    approve(answered, both["loyalty"])
    tracker.wait(2 * 3600)
    for number in range(4):
        tracker.say(f"late{number}", f"{POINTS[number]} now")
    mine(loop)
    came_back = waiting(loop)["loyalty"]

    with pytest.raises(ReviewError, match="older messages cannot join it"):
        merge(loop, [came_back.proposal_id, both["gift"].proposal_id], "ann", START)
    kept = merge(loop, [both["gift"].proposal_id, came_back.proposal_id], "ann", START)
    assert texts_of(loop, kept.gap_id) == {*GIFTS, *(f"{text} now" for text in POINTS[:4])}


# --- moving an example ----------------------------------------------------------------------------


def test_a_moved_example_is_proposed_for_its_label_and_stays_there(loop: Loop, tracker: TrackerFile) -> None:
    source = waiting(loop)["gift"]
    target = move_example(loop, source.proposal_id, GIFTS[2], "track_order", "ann", START)

    assert (target.kind, target.label, target.examples) == (ProposalKind.EXAMPLES, "track_order", (GIFTS[2],))
    assert target.gap_id == existing_gap_id("track_order")
    assert texts_of(loop, target.gap_id) == {GIFTS[2]}
    left = loop.store.proposal(source.proposal_id)
    assert set(left.examples) == set(GIFTS) - {GIFTS[2]}
    for number in range(3):
        tracker.say(f"late{number}", f"track my parcel {number}")
    mine(loop)
    assert GIFTS[2] in loop.store.proposal(target.proposal_id).examples
    assert GIFTS[2] not in loop.store.proposal(source.proposal_id).examples
    assert texts_of(loop, target.gap_id) >= {GIFTS[2]}
    assert approve(loop, loop.store.proposal(target.proposal_id)) is not None


def test_a_second_example_joins_the_first(loop: Loop) -> None:
    source = waiting(loop)["gift"]
    first = move_example(loop, source.proposal_id, GIFTS[2], "track_order", "ann", START)
    second = move_example(loop, source.proposal_id, GIFTS[3], "track_order", "ann", START)

    assert second.proposal_id == first.proposal_id
    assert set(second.examples) == {GIFTS[2], GIFTS[3]}
    assert second.people == 2


def test_a_moved_example_survives_mining_even_where_its_turn_does_not_count(loop: Loop, tracker: TrackerFile) -> None:
    """The label's gap was answered after the turn was said: mining would leave its text out."""
    source = waiting(loop)["gift"]
    first = move_example(loop, source.proposal_id, GIFTS[2], "track_order", "ann", START)
    later = replace(loop, now=lambda: START + timedelta(hours=1))
    approve(later, first)
    second = move_example(later, source.proposal_id, GIFTS[3], "track_order", "ann", START)
    tracker.wait(2 * 3600)
    tracker.say("late", "track parcel")
    mine(loop)

    assert second.proposal_id != first.proposal_id
    assert GIFTS[3] in loop.store.proposal(second.proposal_id).examples


def test_moved_examples_survive_mining_that_finds_another_more_typical(loop: Loop, tracker: TrackerFile) -> None:
    source = waiting(loop)["gift"]
    for text in GIFTS[2:5]:
        target = move_example(loop, source.proposal_id, text, "track_order", "ann", START)
    tracker.say("late", "track my parcel")
    settings = loop.settings
    one, few = replace(settings.proposals, max_examples=1), replace(settings.gaps, min_people=2)
    mine(replace(loop, settings=replace(settings, proposals=one, gaps=few)))

    refreshed = loop.store.proposal(target.proposal_id)
    assert (target.people, refreshed.people) == (3, 4)
    assert set(GIFTS[2:5]) <= set(refreshed.examples)


def test_a_proposal_whose_last_message_is_moved_is_over(loop: Loop) -> None:
    store = loop.store
    assert isinstance(store, Store)
    source = waiting(loop)["gift"]
    for text in source.examples:
        move_example(loop, source.proposal_id, text, "track_order", "ann", START)

    assert store.proposal(source.proposal_id).state is S.SUPERSEDED
    assert store.turns_of_gap(source.gap_id) == []


# --- what fits what is live -----------------------------------------------------------------------


def kind_of(kind: ProposalKind, label: str, target: str | None = None, answer: str | None = None) -> Proposal:
    return proposal(20, kind=kind, label=label, target=target, answer=answer)


@pytest.mark.parametrize(
    ("one", "problem"),
    [
        (kind_of(ProposalKind.MERGE, "track_order", "no_label"), "is about no_label"),
        (kind_of(ProposalKind.MERGE, "no_label", "track_order"), "is about no_label"),
        (kind_of(ProposalKind.RETIRE, "no_label"), "is about no_label"),
        (kind_of(ProposalKind.REWORD, "learned/points", "utter_other", "New."), "does not answer learned/points"),
        (kind_of(ProposalKind.REWORD, "learned/points", "utter_learned/points", "Yes."), "says what is said already"),
    ],
)
def test_what_does_not_fit_what_is_live_is_refused(loop: Loop, one: Proposal, problem: str) -> None:
    approve(loop, waiting(loop)["loyalty"], label="learned/points")
    loop.store.save_proposals([one], START)
    with pytest.raises(ReviewError, match=problem):
        decide(loop, one, Action.APPROVE)

    assert len(loop.store.entries()) == 1


def test_labels_that_are_gone_take_nothing_more(loop: Loop) -> None:
    merged = kind_of(ProposalKind.MERGE, "track_order", "reset_password")
    loop.store.save_proposals([merged], START)
    decide(loop, merged, Action.APPROVE)
    more = proposal(21, kind=ProposalKind.EXAMPLES, label="reset_password", answer=None)
    loop.store.save_proposals([more], START)

    with pytest.raises(ReviewError, match="does not know any more"):
        decide(loop, more, Action.APPROVE)
    decide(loop, merged, Action.UNDO)
    assert decide(loop, more, Action.APPROVE) is not None


def test_an_edit_turns_a_merge_round(loop: Loop) -> None:
    merged = kind_of(ProposalKind.MERGE, "track_order", "reset_password")
    loop.store.save_proposals([merged], START)
    decide(loop, merged, Action.EDIT, label="reset_password")

    (entry,) = loop.store.entries()
    assert (entry.label, entry.target) == ("reset_password", "track_order")
    assert loop.store.proposal(merged.proposal_id).label == "track_order"


# --- assignment and notes -------------------------------------------------------------------------


def test_an_assignment_survives_mining_and_deciding_in_place_of_somebody_is_told(
    loop: Loop, tracker: TrackerFile
) -> None:
    one = waiting(loop)["gift"]
    assert assign(loop, one.proposal_id, "bob", "ann").assignee == "bob"
    tracker.say("late", "gift cards for students")
    mine(loop)
    mine_again = waiting(loop)["gift"]
    assert (mine_again.assignee, mine_again.people) == ("bob", one.people + 1)

    decision = Decision(one.proposal_id, Action.REJECT, "ann", START, reason="no")
    review(loop, decision)
    assert notes_on(loop, decision) == ("It was assigned to bob.",)
    assert notes_on(loop, replace(decision, who="bob")) == ()
    with pytest.raises(ReviewError, match="nothing left to decide"):
        assign(loop, one.proposal_id, None, "ann")
    assert "assign" in audit(loop)


def test_personal_data_that_a_reviewer_types_is_told_and_the_suggestion_is_not(loop: Loop) -> None:
    one = waiting(loop)["gift"]
    typed = Decision(
        one.proposal_id,
        Action.EDIT,
        "ann",
        START,
        answer="Write to zoe@example.com.",
        examples=(*one.examples[:2], "call me at +353 1 234 5678"),
    )
    answer, example = notes_on(loop, typed)

    assert answer.startswith("Your answer holds what looks like personal data (email)")
    assert example.startswith("An example holds what looks like personal data (phone)")
    assert "zoe" not in answer
    assert notes_on(loop, replace(typed, answer=None, examples=one.examples)) == ()


# --- bulk -----------------------------------------------------------------------------------------


def test_each_of_many_is_decided_on_its_own_and_all_are_undone_together(loop: Loop) -> None:
    both = waiting(loop)
    unready = proposal(30, answer=None)
    loop.store.save_proposals([unready], START)

    def decision(one: Proposal) -> Decision:
        return Decision(one.proposal_id, Action.APPROVE, "ann", START)

    ready = [one for one in both.values() if one.answer]
    every = [*ready, unready]
    _, tried = decide_all(loop, every, decision, dry_run=True)
    assert [bool(one.problem) for one in tried] == [*(False for _ in ready), True]
    assert loop.store.decisions() == []
    batch, done = decide_all(loop, every, decision)

    assert [one.release for one in done] == [*range(1, len(ready) + 1), None]
    assert "has no answer yet" in str(done[-1].problem)
    assert last_batch(loop) == batch
    assert [one.problem for one in undo_all(loop, batch, "bob")] == [None] * len(ready)
    assert loop.store.entries(S.PUBLISHED) == []
    for call in (lambda: undo_all(loop, batch, "bob"), lambda: last_batch(loop)):
        with pytest.raises(NotFound):
            call()


def test_a_bulk_rejection_without_a_reason_fails_for_each(loop: Loop) -> None:
    both = list(waiting(loop).values())
    _, done = decide_all(loop, both, lambda one: Decision(one.proposal_id, Action.REJECT, "ann", START))

    assert all("needs a reason" in str(one.problem) for one in done)


def put_off(one: Proposal, days: int = 1) -> Decision:
    return Decision(one.proposal_id, Action.DEFER, "ann", START, defer_until=START + timedelta(days=days))


def test_a_bulk_whose_deferrals_came_due_gives_way_to_the_one_before(loop: Loop) -> None:
    now = replace(loop, now=lambda: START)
    both = waiting(loop)
    add_to = [proposal(number) for number in (40, 41)]
    loop.store.save_proposals(add_to, START)
    earlier, _ = decide_all(
        now, add_to, lambda one: Decision(one.proposal_id, Action.REJECT, "ann", START - timedelta(days=1), reason="no")
    )
    soon, late = both.values()
    newest, done = decide_all(now, [soon, late], lambda one: put_off(one, 1 if one is soon else 9))
    assert [one.problem for one in done] == [None, None]
    assert last_batch(loop) == newest

    mine(replace(loop, now=lambda: START + timedelta(days=2)))
    assert last_batch(loop) == newest
    assert [(one.proposal_id, one.problem) for one in undo_all(loop, newest, "ann")] == [(late.proposal_id, None)]
    assert last_batch(loop) == earlier
    with pytest.raises(NotFound):
        undo_all(loop, newest, "ann")
    assert {one.proposal_id for one in undo_all(loop, earlier, "ann")} == {one.proposal_id for one in add_to}


def test_a_bulk_that_is_all_part_of_the_model_is_not_the_last(loop: Loop) -> None:
    one = next(item for item in waiting(loop).values() if item.answer)
    batch, _ = decide_all(loop, [one], lambda item: Decision(item.proposal_id, Action.APPROVE, "ann", START))
    (entry,) = loop.store.entries(S.PUBLISHED)
    loop.store.absorb([(entry, "understood")], "m", "retrain", START)

    with pytest.raises(NotFound):
        last_batch(loop)
    assert "part of the trained model" in str(undo_all(loop, batch, "ann")[0].problem)


def test_a_reason_that_was_typed_names_no_bulk(loop: Loop) -> None:
    both = waiting(loop)
    batch, _ = decide_all(loop, [both["gift"]], put_off)
    (bulk,) = loop.store.decisions()
    for text in ("same as [bulk deadbeef]", bulk.reason):
        decide(loop, both["loyalty"], Action.REJECT, reason=text)
        assert last_batch(loop) == batch
        assert [one.proposal_id for one in undo_all(loop, batch, "bob")] == [both["gift"].proposal_id]
        with pytest.raises(NotFound):
            last_batch(loop)
        decide(loop, both["loyalty"], Action.UNDO)
        batch, _ = decide_all(loop, [both["gift"]], put_off)


def test_all_of_a_bulk_are_decided_at_the_same_time(loop: Loop) -> None:
    both = list(waiting(loop).values())
    times = iter(START + timedelta(seconds=number) for number in range(9))
    batch, _ = decide_all(
        loop, both, lambda one: Decision(one.proposal_id, Action.REJECT, "ann", next(times), reason="no")
    )

    assert [one.at for one in loop.store.decisions()] == [START, START]
    assert len(undo_all(loop, batch, "ann")) == 2


# --- second readers -------------------------------------------------------------------------------


def with_share(loop: Loop, share: float) -> Loop:
    settings = replace(loop.settings, review=ReviewSettings(second_reader_share=share))
    return replace(loop, settings=settings)


def test_about_the_share_is_drawn_and_a_larger_one_draws_the_same_and_more() -> None:
    ids = [proposal(number).proposal_id for number in range(2000)]
    drawn = {share: {one for one in ids if is_drawn(one, share)} for share in (0.0, 0.1, 0.2, 1.0)}

    assert not drawn[0.0]
    assert drawn[0.1] < drawn[0.2] < drawn[1.0] == set(ids)
    assert abs(len(drawn[0.2]) / len(ids) - 0.2) < 0.03


def test_a_second_reader_sees_the_suggestion_and_no_verdict(loop: Loop) -> None:
    loop = with_share(loop, 1.0)
    both = waiting(loop)
    approve(loop, both["loyalty"], label="learned/edited_name")
    by_policy = Decision(both["gift"].proposal_id, Action.REJECT, "policy:moderate", loop.now(), reason="because")
    review(loop, by_policy, judged=both["gift"])

    (shown,) = waiting_for(loop, "bob")
    assert shown == both["loyalty"]
    assert waiting_for(loop, "ann") == []
    assert waiting_for(with_share(loop, 0.0), "bob") == []


def test_readings_are_compared_once_and_by_different_people(loop: Loop) -> None:
    loop = with_share(loop, 1.0)
    both = waiting(loop)
    approve(loop, both["loyalty"])
    decide(loop, both["gift"], Action.REJECT)
    loyalty, gift = (both[word].proposal_id for word in ("loyalty", "gift"))
    with pytest.raises(ReviewError, match="a second reader is somebody else"):
        read(loop, loyalty, Action.APPROVE, "ann", START)
    read(loop, loyalty, Action.APPROVE, "bob", START)
    with pytest.raises(StoreError, match="was read by bob before"):
        read(loop, loyalty, Action.APPROVE, "bob", START)
    with pytest.raises(ReviewError, match="needs a reason"):
        read(loop, gift, Action.EDIT, "bob", START)
    read(loop, gift, Action.EDIT, "bob", START, "the name is wrong")
    found, differing = measure(loop)

    assert (found.readings, found.disagreement, differing) == (2, 0.5, (gift,))
    assert found.is_flagged(loop.settings.review.max_disagreement)
    assert waiting_for(loop, "bob") == []
    decide(loop, both["gift"], Action.UNDO)
    assert measure(loop)[1] == ()
    assert "second reading" in audit(loop)


def test_what_is_not_drawn_is_not_read(loop: Loop) -> None:
    one = waiting(loop)["gift"]
    decide(loop, one, Action.REJECT)

    with pytest.raises(EvergreenError, match="is not to be read a second time"):
        read(with_share(loop, 0.0), one.proposal_id, Action.APPROVE, "bob", START)


def test_gaps_that_are_about_labels_are_not_rearranged(loop: Loop) -> None:
    retired = kind_of(ProposalKind.RETIRE, "track_order")
    loop.store.save_upkeep([gap(retired.gap_id, kind=GapKind.UNUSED)])
    loop.store.save_proposals([retired], START)

    with pytest.raises(ReviewError, match="is about labels, not about messages"):
        split(loop, retired.proposal_id, [], "ann", START)


# --- forgetting what was edited -------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Zoe said one thing and Ann another; both are examples of a proposal."""
    store = Store(fresh_database(tmp_path / "learning.db"))
    store.save_batch([mined("zoe", "zyzzyva one"), mined("ann", "points")], [], 1)
    save_members(store, [gap(proposal().gap_id)], {turn.turn_id: proposal().gap_id for turn in store.fresh_turns(9)})
    store.save_proposals([proposal(examples=("zyzzyva one", "points"))], START)
    return store


def forget_zoe(store: Store) -> None:
    store.erase("zoe", (), lambda texts: "points", START, "ann", START)


@pytest.mark.parametrize(
    ("examples", "state"), [(("my own words",), S.PUBLISHED), (("zyzzyva one",), S.WITHDRAWN), (None, S.PUBLISHED)]
)
@pytest.mark.parametrize("is_live", [True, False])
def test_what_goes_with_a_person_is_what_was_decided_and_not_what_was_suggested(
    store: Store, examples: tuple[str, ...] | None, state: ProposalState, is_live: bool
) -> None:
    suggested = store.proposals()[0]
    action = Action.EDIT if examples else Action.APPROVE
    decision = Decision(suggested.proposal_id, action, "ann", START, examples=examples)
    decided = decide_purely(suggested, decision)
    store.save_decision(suggested, decided, decision)
    if is_live:
        live = move(decided, S.PUBLISHED)
        vectors = np.ones((len(live.examples), 4), dtype=np.float32)
        store.publish(decided, live, entry_id(live), vectors, "e", "ann", START)
    forget_zoe(store)

    waits = state if is_live or state is S.WITHDRAWN else decided.state
    assert store.proposals()[0].state is waits
    assert [entry.state for entry in store.entries()] == [state] * is_live
    assert "zyzzyva" not in repr((store.proposals(), store.entries(), store.decisions()))


def test_evidence_may_go_and_what_it_shows_stays_live(store: Store) -> None:
    retired = proposal(9, kind=ProposalKind.RETIRE, label="greet", examples=("zyzzyva one",), state=S.APPROVED)
    store.save_proposals([retired], START)
    live = move(retired, S.PUBLISHED)
    store.publish(retired, live, entry_id(live), np.empty((0, 4), dtype=np.float32), "e", "ann", START)
    forget_zoe(store)

    (entry,) = store.entries(S.PUBLISHED)
    assert entry.examples == ()
    assert store.proposal(retired.proposal_id).state is S.PUBLISHED


def test_what_was_edited_and_erased_meanwhile_is_not_published(store: Store) -> None:
    suggested = store.proposals()[0]
    decision = Decision(suggested.proposal_id, Action.EDIT, "ann", START, examples=("zyzzyva one", "my own words"))
    decided = decide_purely(suggested, decision)
    store.save_decision(suggested, decided, decision)
    forget_zoe(store)

    with pytest.raises(StoreError, match="was forgotten"):
        store.publish(decided, move(decided, S.PUBLISHED), "e", np.ones((2, 4), dtype=np.float32), "e", "ann", START)
    assert store.entries() == []
