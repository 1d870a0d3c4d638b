"""What human agents wrote in the bot's place is kept with the need that it answered, redacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning.adapters.store import Store
from learning.forget import forget
from learning.loop import Loop
from learning.model import AgentAnswer, GapKind
from learning.pipeline import mine
from tests.learning_builders import LOYALTY, START, TrackerFile, make_loop, make_project, talk

ANSWER = "You collect one point for every euro."


def agent(tracker: TrackerFile, sender: str, text: str) -> None:
    tracker.add(sender, {"event": "bot", "text": text, "data": {}, "metadata": {"agent": "tom"}})


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    make_project(tmp_path)
    tracker = TrackerFile(tmp_path / "var" / "tracker.db")
    talk(tracker)
    return tracker


@pytest.fixture
def loop(tmp_path: Path, tracker: TrackerFile) -> Loop:
    return make_loop(tmp_path)


def answers(loop: Loop) -> list[AgentAnswer]:
    (new_need,) = [gap for gap in loop.store.gaps().values() if gap.kind is GapKind.NEW_NEED]
    return loop.store.agent_answers(new_need.gap_id)


def test_they_belong_to_the_last_turn_that_failed_and_are_redacted(tracker: TrackerFile, loop: Loop) -> None:
    tracker.say("zoe", LOYALTY[0])
    tracker.say("zoe", "i want a person", "talk_to_person", 0.99, "I connect you.")
    agent(tracker, "zoe", f"{ANSWER} Write to zoe@example.com.")
    agent(tracker, "zoe", "Anything else?")
    tracker.say("yan", "where is my parcel", "track_order", 0.97, "It comes.")
    agent(tracker, "yan", "I have looked it up.")

    mine(loop)

    found = answers(loop)
    assert [answer.text for answer in found] == [f"{ANSWER} Write to <EMAIL_1>.", "Anything else?"]
    turns = {turn.turn_id: turn.text for turn in loop.store.turns_of_gap(next(iter(loop.store.gaps())))}
    assert {turns[answer.turn_id] for answer in found} == {LOYALTY[0]}


def test_the_same_answers_are_read_again_once(tracker: TrackerFile, loop: Loop) -> None:
    tracker.say("zoe", LOYALTY[0])
    agent(tracker, "zoe", ANSWER)
    mine(loop)
    agent(tracker, "zoe", "It is free.")
    mine(loop)
    mine(loop)

    assert [answer.text for answer in answers(loop)] == [ANSWER, "It is free."]


def test_an_agents_answer_does_not_make_the_bots_turn_good(tracker: TrackerFile, loop: Loop) -> None:
    tracker.say("zoe", LOYALTY[0], reply=None)
    agent(tracker, "zoe", ANSWER)
    mine(loop)

    assert any(turn.sender != "" for turn in loop.store.turns_of_gap(next(iter(loop.store.gaps()))))
    assert [answer.text for answer in answers(loop)] == [ANSWER]


def test_they_are_forgotten_with_the_customer(tmp_path: Path, tracker: TrackerFile, loop: Loop) -> None:
    tracker.say("zoe", LOYALTY[0])
    agent(tracker, "zoe", ANSWER)
    mine(loop)

    report = forget(loop, lambda: None, "ann", "zoe")  # type: ignore[arg-type, return-value]

    assert report.erased.rows["agent_answers"] == 1
    assert answers(loop) == []


def test_a_label_is_known_to_be_used_from_the_first_to_the_last_turn(tracker: TrackerFile, loop: Loop) -> None:
    tracker.say("zoe", "hello", "greet", 0.97, "Hi.")
    tracker.wait(86_400)
    tracker.say("yan", "hello", "greet", 0.97, "Hi.")
    mine(loop)
    tracker.say("xia", "hello", "greet", 0.97, "Hi.")
    mine(loop)

    use = loop.store.label_use()["greet"]
    assert isinstance(loop.store, Store)
    assert START < use.first_at < use.last_at
    assert (use.last_at - use.first_at).total_seconds() > 86_400
