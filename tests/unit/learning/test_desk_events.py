"""What the desk writes into a conversation, as the learning loop reads it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from learning.conversations import build
from learning.model import Conversation, Outcome
from learning.settings import Settings
from tests.learning_builders import START, raw_events, user_data


def talk(*more: dict[str, object]) -> Conversation:
    events = raw_events(user_data("where is it", "track_order"), *more)
    return build("s", events, START + timedelta(days=1), Settings())


def handed_over(reason: str) -> dict[str, object]:
    return {"event": "slot", "name": "handover", "value": {"reason": reason, "live": True}}


@pytest.mark.parametrize(
    ("reason", "counted"),
    [("excluded_topic", "excluded_topic"), ("low_confidence", "low_confidence"), ("asked", "asked"), ("odd", "asked")],
)
def test_the_cause_that_a_hand_over_names_counts(reason: str, counted: str) -> None:
    found = talk(handed_over(reason))
    assert (found.outcome, found.reason) == (Outcome.ESCALATED, counted)


def test_what_the_desk_says_by_itself_is_nobodys_answer() -> None:
    said = {"event": "bot", "data": {}}
    found = talk(
        handed_over("asked"),
        {**said, "text": "Anna is here now.", "metadata": {"desk": "joined", "by": "Anna", "desk_id": "1"}},
        {**said, "text": "It left today.", "metadata": {"desk": "reply", "agent": "Anna", "desk_id": "2"}},
        {**said, "text": "I'm the assistant again.", "metadata": {"desk": "returned", "desk_id": "3"}},
    )
    (turn,) = found.turns
    assert (turn.reply, turn.agent_reply) == ((), ("It left today.",))


def said(text: str, desk_id: str) -> dict[str, object]:
    metadata = {"desk": "reply", "agent": "Anna", "desk_id": desk_id}
    return {"event": "bot", "data": {}, "text": text, "metadata": metadata}


def marked(desk_id: object, **more: object) -> dict[str, object]:
    return {"event": "slot", "name": "recommended_answer", "value": {"desk_id": desk_id, "by": "Anna", **more}}


def test_an_answer_that_an_agent_recommends_is_known_by_its_place() -> None:
    talked = (
        user_data("and points?", "nlu_fallback"),
        said("Hi.", "1"),
        said("They never expire.", "2"),
        user_data("thanks", "thank"),
        said("Welcome.", "3"),
    )
    found = talk(*talked, marked("2"), marked("3"), marked("3", taken_back=True))
    assert [turn.recommended for turn in found.turns] == [(), (1,), ()]
    assert found.turns[1].agent_reply == ("Hi.", "They never expire.")
    assert talk(*talked, marked("3", taken_back=True), marked("3")).turns[2].recommended == (0,)


@pytest.mark.parametrize("value", [None, "2", 7, {}, {"desk_id": None}, {"desk_id": ""}, {"desk_id": "4"}, ["1"]])
def test_a_mark_of_nothing_marks_nothing(value: object) -> None:
    nameless = {"event": "bot", "data": {}, "text": "Hi.", "metadata": {"agent": "Anna"}}
    odd = {"event": "slot", "name": "recommended_answer", "value": value}
    assert talk(nameless, said("Hello.", "1"), odd).turns[0].recommended == ()


def test_a_slot_that_is_only_reset_hands_nothing_over() -> None:
    assert talk({"event": "slot", "name": "handover", "value": None}).outcome is Outcome.RESOLVED
