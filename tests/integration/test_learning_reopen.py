"""A gap that was handled and comes back is reopened, says what was tried, and gets a proposal of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from learning.history import tried_for
from learning.loop import Loop
from learning.model import Action, Decision, Entry, Gap, Priority, ProposalKind, ProposalState
from learning.pipeline import mine, review, withdraw
from tests.learning_builders import LOYALTY, START, TrackerFile, make_loop, make_project, talk

RELEASED = START + timedelta(hours=1)


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tracker: TrackerFile, tmp_path: Path) -> Loop:
    """Ten people asked, and the answer went live an hour later."""
    talk(tracker)
    loop = make_loop(tmp_path)
    mine(loop)
    (waiting,) = loop.store.proposals()
    at_release = replace(loop, now=lambda: RELEASED)
    review(at_release, Decision(waiting.proposal_id, Action.APPROVE, "ann", RELEASED))
    return loop


def come_back(tracker: TrackerFile, people: int) -> None:
    tracker.wait(2 * 3600)
    for number in range(people):
        tracker.say(f"late{number}", f"{LOYALTY[number]} now")


def only_gap(loop: Loop) -> Gap:
    (gap,) = loop.store.gaps().values()
    return gap


def only_entry(loop: Loop) -> Entry:
    (entry,) = loop.store.entries(ProposalState.PUBLISHED)
    return entry


def test_a_handled_gap_is_low_and_has_no_new_proposal(loop: Loop, tracker: TrackerFile) -> None:
    come_back(tracker, 2)
    report = mine(loop)

    assert (report.new_signals, report.new_proposals) == (4, 0)
    gap = only_gap(loop)
    assert gap.people > 10
    assert (gap.priority, gap.is_reopened) == (Priority.LOW, False)


def test_it_is_reopened_once_enough_people_come_back(loop: Loop, tracker: TrackerFile) -> None:
    come_back(tracker, 4)
    report = mine(loop)

    assert report.new_proposals == 1
    gap = only_gap(loop)
    assert gap.is_reopened
    assert gap.priority is Priority.CRITICAL
    (waiting,) = (item for item in loop.store.proposals() if item.state is ProposalState.PENDING)
    # The answer is there: what is missing are the words that it is asked in.
    assert (waiting.kind, waiting.label, waiting.answer) == (ProposalKind.EXAMPLES, only_entry(loop).label, None)
    assert all(text.endswith("now") for text in waiting.examples)
    (before,) = (one for one in tried_for(loop, [gap])[gap.gap_id] if one.proposal_id != waiting.proposal_id)
    assert before.sentence == f"2024-03-01: {only_entry(loop).label}, release 1, published"
    assert [row.what for row in loop.store.audit_rows()].count("reopen") == 1  # type: ignore[attr-defined]
    assert mine(loop).new_proposals == 0


def test_more_words_for_the_answer_go_live_beside_it(loop: Loop, tracker: TrackerFile) -> None:
    come_back(tracker, 4)
    mine(loop)
    (waiting,) = (item for item in loop.store.proposals() if item.state is ProposalState.PENDING)
    later = RELEASED + timedelta(hours=4)
    review(replace(loop, now=lambda: later), Decision(waiting.proposal_id, Action.APPROVE, "ann", later))

    first, second = loop.store.entries(ProposalState.PUBLISHED)
    assert (second.label, second.answer, second.release) == (first.label, None, 2)
    mine(loop)
    assert not only_gap(loop).is_reopened


def test_after_a_withdrawal_the_question_is_asked_anew(loop: Loop, tracker: TrackerFile) -> None:
    withdraw(replace(loop, now=lambda: RELEASED), only_entry(loop).entry_id, "ann", "wrong answer")
    come_back(tracker, 4)

    assert mine(loop).new_proposals == 1
    (waiting,) = (item for item in loop.store.proposals() if item.state is ProposalState.PENDING)
    assert waiting.kind is ProposalKind.ANSWER


def test_what_was_rejected_does_not_come_back(tracker: TrackerFile, tmp_path: Path) -> None:
    talk(tracker)
    loop = make_loop(tmp_path)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(loop, Decision(waiting.proposal_id, Action.REJECT, "ann", RELEASED, reason="we have none"))
    come_back(tracker, 5)

    assert mine(loop).new_proposals == 0
