"""What customers, one person with much time, and odd rows must not be able to do to mining."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.store import Store
from learning.errors import ReviewError
from learning.loop import Loop
from learning.model import Action, Decision, Outcome, ProposalKind, ProposalState
from learning.pipeline import mine, review, withdraw
from tests.learning_builders import (
    LOYALTY,
    START,
    FakeEncoder,
    TrackerFile,
    make_loop,
    make_project,
    proposal,
    talk,
    user_data,
)


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(make_project(tmp_path) / "var" / "tracker.db")


@pytest.fixture
def loop(tracker: TrackerFile, tmp_path: Path) -> Loop:
    return make_loop(tmp_path)


def at(loop: Loop, **later: float) -> Loop:
    """The same loop at an earlier or later time after the first message."""
    return replace(loop, now=lambda: START + timedelta(**later))


def texts(loop: Loop) -> list[str]:
    store = loop.store
    assert isinstance(store, Store)
    with store._database.read() as connection:
        return [row.text for row in connection.execute(sa.select(schema.failed_turns))]


# --- what is personal -------------------------------------------------------------------------------


def test_a_name_that_is_told_in_a_good_turn_is_redacted_in_the_failed_one(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "hello, my name is Amber Stone", "greet", 0.97, "Hello!")
    tracker.say("ann", "Stone is not happy with the zorblax")
    mine(at(loop, minutes=1))
    mine(at(loop, days=1))

    assert texts(loop) == ["<NAME_1> is not happy with the zorblax"]


# --- judged late ------------------------------------------------------------------------------------


def test_mining_while_people_talk_ends_in_the_same_as_mining_once(tmp_path: Path, tracker: TrackerFile) -> None:
    talk(tracker)
    early, late = make_loop(tmp_path), make_loop(tmp_path, f"sqlite:///{tmp_path}/late.db")
    mine(at(early, minutes=2))
    mine(at(early, days=1))
    mine(at(late, days=1))

    assert early.store.gaps() == late.store.gaps()
    assert early.store.good_turns() == late.store.good_turns() != []
    assert early.store.outcome_counts() == late.store.outcome_counts()


def test_a_conversation_that_is_gone_from_the_tracker_store_is_closed(loop: Loop, tracker: TrackerFile) -> None:
    tracker.say("ann", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
    mine(at(loop, minutes=1))
    tracker.execute("UPDATE events SET sender_id = 'moved', id = id + 100")
    mine(at(loop, days=1))

    assert Outcome.OPEN.value not in loop.store.outcome_counts()


def test_a_restored_backup_is_mined_like_what_it_was(loop: Loop, tracker: TrackerFile) -> None:
    talk(tracker)
    mine(loop)
    before = loop.store.gaps(), loop.store.counts()
    rows = [tuple(row) for row in tracker._connection.execute("SELECT * FROM events ORDER BY id")]
    tracker.execute("DELETE FROM events WHERE id > 3")
    mine(loop)
    tracker.execute("DELETE FROM events")
    for row in rows:
        tracker.add_row(row[1:])
    mine(loop)

    assert (loop.store.gaps(), loop.store.counts()) == before
    assert mine(loop).new_signals == 0


# --- odd rows ---------------------------------------------------------------------------------------

HUGE = 10**400
ODD: dict[str, Callable[[TrackerFile], object]] = {
    "placeholder": lambda tracker: tracker.say("eve", f"what is <NAME_{'9' * 5000}> about"),
    "confidence": lambda tracker: tracker.say("eve", "hm", "greet", HUGE),  # type: ignore[arg-type]
    "frustration": lambda tracker: tracker.say("eve", "hm", parsed={"sentiment": {"frustration": HUGE}}),
    "csat": lambda tracker: tracker.add("eve", {"event": "slot", "name": "csat", "value": "9" * 5000}),
    "thumb": lambda tracker: tracker.add(
        "eve", {"event": "slot", "name": "last_feedback", "value": {"message_id": "1~" + "9" * 5000, "value": "up"}}
    ),
    "service": lambda tracker: tracker.add(
        "eve", {"event": "slot", "name": "backend_failure", "value": "half \ud83d of it\0"}
    ),
    "label": lambda tracker: tracker.say("eve", "hm", "x" * 5000, 0.3),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_no_message_stops_mining(loop: Loop, tracker: TrackerFile, odd: Callable[[TrackerFile], object]) -> None:
    tracker.say("eve", "before")
    odd(tracker)
    talk(tracker)
    mine(loop)

    assert len(loop.store.gaps()) == 1
    assert mine(loop).new_signals == 0


def test_a_time_in_the_future_does_not_make_everything_else_old(loop: Loop, tracker: TrackerFile) -> None:
    talk(tracker)
    clock = at(loop, days=1)
    mine(clock)
    (before,) = loop.store.gaps().values()
    row: dict[str, Any] = {**user_data("hello", "greet"), "timestamp": 32_503_680_000.0}
    tracker.add_row(("eve", "user", row["timestamp"], "greet", None, json.dumps(row)))
    mine(clock)

    assert loop.store.gap(before.gap_id).priority is before.priority


# --- one person -------------------------------------------------------------------------------------


def test_one_person_cannot_take_over_a_gap(loop: Loop, tracker: TrackerFile) -> None:
    for number, text in enumerate(LOYALTY[:6]):
        tracker.say(f"person{number}", text)
    mine(loop)
    (alone,) = loop.store.gaps().values()
    for number in range(320):
        tracker.say("eve", f"loyalty points scam {number}")
    mine(loop)

    (gap,) = loop.store.gaps().values()
    assert gap.name == alone.name
    assert gap.people == alone.people + 1
    (waiting,) = loop.store.proposals()
    assert sum("scam" in text for text in waiting.examples) <= loop.settings.gaps.max_per_sender
    assert sum("scam" not in text for text in waiting.examples) >= 5


def test_one_persons_flood_does_not_wash_out_what_others_asked(
    loop: Loop, tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learning.grouping.POOL", 50)
    for number, text in enumerate(LOYALTY[:2]):
        tracker.say(f"person{number}", text)
    for number in range(120):
        tracker.say("eve", f"word{number} other{number} thing{number}")
    mine(loop)
    for number, text in enumerate(LOYALTY[2:4]):
        tracker.say(f"late{number}", text)
    mine(loop)

    assert [gap.people for gap in loop.store.gaps().values()] == [4]


# --- another encoder, other training data -------------------------------------------------------------


def test_another_encoder_makes_the_vectors_anew(loop: Loop, tracker: TrackerFile) -> None:
    talk(tracker)
    mine(loop)
    for number in range(3):
        tracker.say(f"late{number}", f"{LOYALTY[number]} today")
    mine(replace(loop, encoder=FakeEncoder("fake-2", 48)))

    (gap,) = loop.store.gaps().values()
    assert gap.people > 10


def test_examples_of_an_intent_that_is_gone_are_refused(loop: Loop) -> None:
    gone = proposal(kind=ProposalKind.EXAMPLES, label="gone_intent", answer=None)
    loop.store.save_proposals([gone], START)

    with pytest.raises(ReviewError, match="does not know any more"):
        review(loop, Decision(gone.proposal_id, Action.APPROVE, "ann", START))


def test_more_words_for_an_answer_go_with_it(loop: Loop) -> None:
    answer, words = proposal(1), proposal(2, kind=ProposalKind.EXAMPLES, label=proposal(1).label, answer=None)
    loop.store.save_proposals([answer, words], START)
    for one in (answer, words):
        review(loop, Decision(one.proposal_id, Action.APPROVE, "ann", START))
    (first,) = (entry for entry in loop.store.entries() if entry.kind is ProposalKind.ANSWER)
    withdraw(loop, first.entry_id, "ann", "wrong")

    assert loop.store.entries(ProposalState.PUBLISHED) == []
