"""What the tracker tells about entries and experiments, and what became of their answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.exposures import answer_counts, exposures
from learning.model import AnswerCounts, BotEvent, Turn, UserEvent
from tests.learning_builders import conversations_of, raw_events, session, turn, turns_of, user_data

ENTRY, OTHER = "a" * 16, "b" * 16


def bot(text: str = "It comes tomorrow.", **metadata: Any) -> dict[str, Any]:
    return {"event": "bot", "text": text, "data": {}, "metadata": metadata}


def exposed(value: Any) -> tuple[tuple[str, str], ...]:
    (event,) = raw_events(bot(evergreen=value))
    assert isinstance(event, BotEvent)
    return event.exposed


def test_a_message_that_an_entry_took_and_one_that_it_would_have_taken() -> None:
    on = user_data("points?", "learned", parsed={"overlay": {"entry_id": ENTRY, "version": 3, "similarity": 0.8}})
    off = user_data("points!", "nlu_fallback", parsed={"overlay_withheld": ENTRY})

    first, second = turns_of(on, bot(), off, bot("Sorry?"))
    assert (first.overlay_entry, first.exposed) == (ENTRY, ((ENTRY, "on"),))
    assert (second.overlay_entry, second.exposed) == (None, ((ENTRY, "off"),))


def test_the_wording_of_any_message_of_the_answer_counts_once() -> None:
    told = bot(evergreen=[[ENTRY, "off"], [OTHER, "friendly"]])
    (only,) = turns_of(user_data("where is it", "track_order"), told, bot(evergreen=[[ENTRY, "on"]]))

    assert only.exposed == ((ENTRY, "off"), (OTHER, "friendly"))


def test_what_a_button_brings_counts_for_the_turn_before_it() -> None:
    said = user_data("hello", "greet")
    (only,) = turns_of(said, bot(), user_data("/track_order", "track_order"), bot(evergreen=[[OTHER, "b"]]))

    assert only.exposed == ((OTHER, "b"),)


def test_what_an_agent_writes_in_the_bots_place_is_nobodys_wording() -> None:
    (only,) = turns_of(user_data("hello", "greet"), bot(agent="bob", evergreen=[[OTHER, "b"]]))

    assert (only.exposed, only.reply) == ((), ())


@pytest.mark.parametrize(
    "value",
    [
        "text", 7, {"a": "b"}, [ENTRY, "on"], [[ENTRY]], [[ENTRY, "on", "more"]], [[ENTRY, 1]], [[1, "on"]],
        [["", "on"]], [[ENTRY, ""]], [["a" * 17, "on"]], [[ENTRY, "x" * 65]], [["<b>", "on"]], [["\ud800", "on"]],
        [[ENTRY, "\0"]], [None], [[None, None]],
    ],
)  # fmt: skip
def test_odd_metadata_is_left_out(value: Any) -> None:
    assert exposed(value) == ()


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=9))
def test_any_metadata_is_read_and_bounded(value: Any) -> None:
    found = exposed(value)

    assert len(found) <= 8
    assert all(0 < len(subject) <= 16 and 0 < len(arm) <= 64 for subject, arm in found)


@pytest.mark.parametrize("value", ["", "a" * 17, 7, None, ["x"], "a b", "é" * 3])
def test_an_odd_id_of_a_withheld_entry_is_none(value: Any) -> None:
    (event,) = raw_events(user_data("points", "greet", parsed={"overlay_withheld": value}))

    assert isinstance(event, UserEvent)
    assert event.withheld is None


def reached(text: str, second: int = 0, **more: Any) -> Turn:
    return turn(text, "learned/points", second=second, exposed=((ENTRY, "on"),), reply=("Points.",), **more)


def test_each_outcome_of_an_exposed_turn() -> None:
    talk = session(
        reached("one", thumbs=-1),
        reached("two", 1),
        turn("what", "nlu_fallback", second=2),
        reached("three", 3, led_to_person=True),
        reached("four", 4, csat=2),
    )
    found = [(one.thumbs_down, one.fallback_after, one.handoff_after) for one in exposures(talk)]

    assert found == [(True, False, False), (False, True, False), (False, False, True), (True, False, False)]
    assert {(one.conversation_id, one.sender, one.subject, one.arm) for one in exposures(talk)} == {
        (talk.conversation_id, "ann", ENTRY, "on")
    }


def test_a_turn_counts_for_every_subject_and_one_with_an_id_too_long_for_none() -> None:
    talk = session(turn("one", exposed=((ENTRY, "off"), (OTHER, "b"), ("x" * 64, "on"))))

    assert [(one.subject, one.arm) for one in exposures(talk)] == [(ENTRY, "off"), (OTHER, "b")]


def test_answers_are_counted_and_fallbacks_are_none() -> None:
    talk = session(
        turn("one", reply=("yes",), thumbs=-1),
        turn("two", "nlu_fallback", second=1, reply=("Sorry?",), thumbs=-1, led_to_person=True),
        turn("three", "nlu_fallback", second=2, reply=("Sorry?",)),
        turn("four", second=3, reply=("yes",), led_to_person=True),
        turn("five", second=4),
        turn("six", "nlu_fallback", second=5),
    )

    assert answer_counts(talk) == AnswerCounts(answered=2, thumbs_down=1, fallback_after=1, handoff_after=1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(-1, 1), st.booleans()), min_size=1, max_size=8))
def test_no_outcome_is_more_frequent_than_answers(turns: list[tuple[bool, bool, int, bool]]) -> None:
    talk = session(
        *(
            turn(
                f"text {number}",
                "greet" if understood else "nlu_fallback",
                second=number,
                reply=("yes",) if answered else (),
                thumbs=thumbs,
                led_to_person=person,
                exposed=((ENTRY, "on"),),
            )
            for number, (understood, answered, thumbs, person) in enumerate(turns)
        )
    )
    counts = answer_counts(talk)

    assert max(counts.thumbs_down, counts.fallback_after, counts.handoff_after) <= counts.answered <= len(turns)
    assert len(list(exposures(talk))) == len(turns)


def test_a_thumb_and_a_hand_over_in_the_tracker_reach_the_exposure() -> None:
    on = user_data("points?", "learned", parsed={"overlay": {"entry_id": ENTRY, "version": 3, "similarity": 0.8}})
    (talk,) = conversations_of(
        on,
        {**bot(), "timestamp": 1709283601.5},
        {"event": "slot", "name": "last_feedback", "value": {"message_id": "1709283601.5", "value": "down"}},
        user_data("I want a person", "talk_to_person"),
    )
    (found,) = exposures(talk)

    assert (found.thumbs_down, found.fallback_after, found.handoff_after) == (True, False, True)
