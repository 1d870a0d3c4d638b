"""Which gaps get a proposal, of which kind, and what becomes of those that repeat one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning.grouping import judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import Action, Decision, GapKind, Proposal, ProposalKind, ProposalState
from learning.pipeline import mine, review, split
from learning.proposing import write_proposals
from tests.learning_builders import LOYALTY, START, TrackerFile, gap, make_loop, make_project

ANSWER = "Standard shipping takes two to four days."
FAQ = f"""version: "3.1"
nlu:
- intent: faq/delivery_time
  examples: |
    - how long does shipping take
    - how long is shipping
    - shipping how long
    - when does shipping arrive
    - how long will shipping take
responses:
  utter_faq/delivery_time:
  - text: "{ANSWER}"
"""
BIG, SMALL = "a" * 16, "b" * 16


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    make_project(tmp_path)
    return TrackerFile(tmp_path / "var" / "tracker.db")


@pytest.fixture
def loop(tmp_path: Path, tracker: TrackerFile) -> Loop:
    return make_loop(tmp_path)


def grouped_by_hand(loop: Loop, *sizes: int) -> None:
    """Put the loyalty questions into gaps of these sizes, the bigger one first, as if each were a need of its own."""
    read_conversations(loop, lambda batch: None)
    turns = sorted(loop.store.fresh_turns(100), key=lambda turn: turn.at)
    members = {}
    for gap_id, size in zip((BIG, SMALL), sizes, strict=False):
        members.update({turn.turn_id: gap_id for turn in turns[:size]})
        turns = turns[size:]
    gaps = [gap(gap_id) for gap_id in sorted(set(members.values()))]
    texts = {turn.turn_id: turn.text for turn in loop.store.fresh_turns(100)}
    vectors = dict(zip(texts, loop.encoder.encode(list(texts.values())), strict=True))
    loop.store.save_grouping(gaps, {}, "m", members, {}, vectors, (), "")


def propose(loop: Loop) -> dict[str, Proposal]:
    """Propose for what has changed; return what waits, by gap."""
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    judge_gaps(loop, known)
    write_proposals(loop, known, encoder)
    return {item.gap_id: item for item in loop.store.proposals() if item.state is ProposalState.PENDING}


def decide(loop: Loop, proposal: Proposal, action: Action) -> None:
    review(loop, Decision(proposal.proposal_id, action, "ann", START, reason="no"))


def ask(tracker: TrackerFile, *texts: str) -> None:
    for number, text in enumerate(texts):
        tracker.say(f"person{number:02}", text)


def test_a_gap_that_repeats_a_bigger_one_waits_and_then_adds_to_what_was_learned(
    loop: Loop, tracker: TrackerFile
) -> None:
    ask(tracker, *LOYALTY)
    grouped_by_hand(loop, len(LOYALTY) - 3, 3)
    waiting = propose(loop)
    assert set(waiting) == {BIG}
    assert propose(loop) == waiting

    decide(loop, waiting[BIG], Action.APPROVE)
    (more,) = propose(loop).values()
    assert (more.gap_id, more.kind, more.label) == (SMALL, ProposalKind.EXAMPLES, waiting[BIG].label)
    assert (more.answer, more.sources) == (None, ())


def test_a_question_that_waits_becomes_examples_of_what_went_live_with_its_answer(
    loop: Loop, tracker: TrackerFile
) -> None:
    other = ("collect every order", "every order collect now", "collect order every time", "order collect every week")
    ask(tracker, *LOYALTY, *other)
    grouped_by_hand(loop, len(LOYALTY), len(other))
    waiting = propose(loop)
    assert {item.kind for item in waiting.values()} == {ProposalKind.ANSWER}
    assert set(waiting[SMALL].sources) & set(waiting[BIG].sources) or waiting[SMALL].answer in str(waiting[BIG].answer)

    decide(loop, waiting[BIG], Action.APPROVE)
    (more,) = propose(loop).values()
    assert (more.gap_id, more.kind, more.label) == (SMALL, ProposalKind.EXAMPLES, waiting[BIG].label)
    assert more.proposal_id == waiting[SMALL].proposal_id


def test_what_repeats_a_rejected_need_is_not_proposed(loop: Loop, tracker: TrackerFile) -> None:
    ask(tracker, *LOYALTY)
    grouped_by_hand(loop, len(LOYALTY) - 3, 3)
    decide(loop, propose(loop)[BIG], Action.REJECT)

    assert propose(loop) == {}


def test_a_proposal_that_waits_follows_what_people_decide(loop: Loop, tracker: TrackerFile) -> None:
    gift = [f"{word} wrapping paper for gifts" for word in ("nice", "golden", "red", "green")]
    ask(tracker, *LOYALTY, *gift)
    grouped_by_hand(loop, len(LOYALTY), len(gift))
    before = propose(loop)
    assert set(before) == {BIG, SMALL}
    decide(loop, before[BIG], Action.REJECT)
    for number, text in enumerate(("zebra crossing lights", "zebra lights crossing", "lights zebra crossing")):
        tracker.say(f"late{number}", text)  # another gap makes the next run look
    mine(loop)

    after = {item.gap_id: item for item in loop.store.proposals()}[SMALL]
    assert after.score < before[SMALL].score
    assert after.score_parts


def test_what_a_person_parts_while_mining_runs_stays_parted(loop: Loop, tracker: TrackerFile) -> None:
    ask(tracker, *LOYALTY)
    grouped_by_hand(loop, len(LOYALTY))
    before = propose(loop)[BIG]
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    moved = before.examples[:3]

    class Interrupted(KeptVectors):
        def save(self) -> None:
            """Let a reviewer come between what the miner reads and what it writes."""
            split(loop, before.proposal_id, moved, "ann", START)

    tracker.say("late", "loyalty points shop")
    read_conversations(loop, lambda batch: None)
    (late,) = loop.store.fresh_turns(10)
    vectors = {late.turn_id: loop.encoder.encode([late.text])[0]}
    loop.store.save_grouping([], {}, "m", {late.turn_id: BIG}, {}, vectors, (), "")
    assert write_proposals(loop, known, Interrupted(loop.encoder, loop.store)) == 0
    after = {item.gap_id: item for item in loop.store.proposals()}
    assert set(moved).isdisjoint(after[BIG].examples)

    parted = propose(loop)
    assert set(moved).isdisjoint(parted[BIG].examples)
    (other,) = [item for gap_id, item in parted.items() if gap_id != BIG]
    assert (other.kind, set(other.examples) >= set(moved)) == (ProposalKind.ANSWER, True)
    decide(loop, parted[BIG], Action.APPROVE)
    tracker.say("later", "zebra crossing")
    mine(loop)
    assert loop.store.proposal(other.proposal_id).kind is ProposalKind.ANSWER


def test_an_answer_that_a_person_had_to_give_did_not_go_well(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
    tracker.say("bob", "where is my other parcel", "track_order", 0.97, "It comes tomorrow.")
    tracker.add("bob", {"event": "bot", "text": "It is lost.", "data": {}, "metadata": {"agent": "tom"}})
    mine(loop)

    assert [turn.text for turn in loop.store.good_turns()] == ["where is my parcel"]


def test_replay_leaves_out_what_went_well_under_a_label_that_is_gone(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("eve", "loyalty points for me", "learned/gone", 0.97, "You have some.")
    tracker.say("dan", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
    ask(tracker, *LOYALTY)
    grouped_by_hand(loop, len(LOYALTY))
    replayed = propose(loop)[BIG].replay

    assert replayed is not None
    assert (replayed.successes, replayed.broken) == (1, 0)


def test_a_disliked_answer_gets_a_better_one(tmp_path: Path, loop: Loop, tracker: TrackerFile) -> None:
    (tmp_path / "data" / "nlu" / "faq.yml").write_text(FAQ, "utf-8")
    asked = ("how long does shipping take", "how long is shipping", "shipping how long", "how long will shipping take")
    for number, text in enumerate(asked):
        sender = f"unhappy{number}"
        selected = {"faq": {"response": {"intent_response_key": "faq/delivery_time"}}}
        tracker.say(sender, text, "faq", 0.97, None, parsed={"response_selector": selected})
        stamp = tracker.add(sender, {"event": "bot", "text": ANSWER, "data": {}, "metadata": {}})
        thumb = {"message_id": str(stamp), "value": "down", "comment": ""}
        tracker.add(sender, {"event": "slot", "name": "last_feedback", "value": thumb})
        agent = {"event": "bot", "text": "Express shipping takes one day.", "data": {}}
        tracker.add(sender, {**agent, "metadata": {"agent": "tom"}})
    mine(loop)

    (better,) = loop.store.proposals()
    assert loop.store.gap(better.gap_id).kind is GapKind.WEAK_ANSWER
    assert (better.kind, better.label, better.target) == (
        *(ProposalKind.REWORD, "faq/delivery_time"),
        "utter_faq/delivery_time",
    )
    assert better.replay is not None
    assert better.replay.fixed == len(asked)
    assert {source.document for source in better.sources} >= {"agents"}
    assert "Express shipping takes one day" in str(better.answer)

    decide(loop, better, Action.APPROVE)
    (entry,) = loop.store.entries(ProposalState.PUBLISHED)
    assert (entry.kind, entry.target, entry.answer) == (ProposalKind.REWORD, better.target, better.answer)
