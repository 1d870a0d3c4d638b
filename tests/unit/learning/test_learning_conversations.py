from __future__ import annotations

from typing import Any

import pytest

from learning.conversations import build_conversation
from learning.model import RawEvent
from tests.learning_builders import START, raw_events, user_data

Data = dict[str, Any]


def said(text: str | None, intent: str = "greet", **more: Any) -> Data:
    return user_data(text, intent, **more)


def bot(text: str | None, **more: Any) -> Data:
    return {"event": "bot", "text": text, "data": {}, "metadata": {}, **more}


def action(name: str) -> Data:
    return {"event": "action", "name": name}


def slot(name: str, value: object) -> Data:
    return {"event": "slot", "name": name, "value": value}


def thumb(message_id: str, value: str) -> Data:
    return slot("last_feedback", {"message_id": message_id, "value": value, "comment": ""})


def at(number: int) -> str:
    """The id of the bot message that is event `number` (from 0) of `raw_events`."""
    return repr(START.timestamp() + number)


def turns_of(*datas: Data) -> list[Any]:
    return list(build_conversation("ann", raw_events(*datas)).turns)


def test_a_turn_holds_what_was_said_understood_and_answered() -> None:
    parsed = {"intent_ranking": [{"name": "greet", "confidence": 0.9}, {"name": "bye", "confidence": 0.1}]}
    (turn,) = turns_of(
        action("action_listen"),
        said("hello", "greet", parsed=parsed, message_id="m1"),
        action("utter_greet"),
        bot("hi"),
        bot(None),
        bot("how can I help?"),
        action("action_listen"),
    )

    assert (turn.text, turn.intent, turn.confidence, turn.channel) == ("hello", "greet", 0.9, "rest")
    assert turn.ranking == (("greet", 0.9), ("bye", 0.1))
    assert turn.reply == ("hi", "how can I help?")
    assert turn.actions == ("utter_greet", "action_listen")
    assert turn.at == START.replace(second=1)


def test_the_sender_is_kept_as_a_pseudonym() -> None:
    conversation = build_conversation("ann@example.com", raw_events(said("hello")))

    assert "ann" not in conversation.sender
    assert conversation == build_conversation("ann@example.com", raw_events(said("hello")))


@pytest.mark.parametrize("text", ["/greet", "/session_start", '/inform{"order": "1"}', "", "  ", None])
def test_commands_and_empty_messages_end_a_turn_and_are_none(text: str | None) -> None:
    (turn,) = turns_of(said("hello"), bot("hi"), said(text), bot("about the button"))

    assert turn.reply == ("hi",)


def test_a_turn_is_named_by_its_message_id_and_by_its_row_only_without_one() -> None:
    first, *_ = turns_of(said("hello", message_id="m1"))
    moved, *_ = turns_of(action("action_listen"), said("hello", message_id="m1"))
    unnamed, *_ = turns_of(said("hello"))
    unnamed_later, *_ = turns_of(action("action_listen"), said("hello"))

    assert first.turn_id == moved.turn_id
    assert len({first.turn_id, unnamed.turn_id, unnamed_later.turn_id}) == 3


def test_a_message_that_was_delivered_twice_makes_two_turns_with_ids_of_their_own() -> None:
    first, second = turns_of(said("hello", message_id="m1"), said("hello", message_id="m1"))

    assert first.turn_id != second.turn_id


def test_a_retrieval_intent_is_the_full_key_and_no_rival_of_itself() -> None:
    parsed = {
        "response_selector": {"faq": {"response": {"intent_response_key": "faq/shipping_cost"}}},
        "intent_ranking": [{"name": "faq", "confidence": 0.9}, {"name": "bye", "confidence": 0.05}],
    }
    (turn,) = turns_of(said("shipping?", "faq", parsed=parsed))

    assert turn.intent == "faq/shipping_cost"
    assert turn.runner_up == ("bye", 0.05)


def test_what_the_overlay_answered_is_noted() -> None:
    (turn,) = turns_of(said("hello", parsed={"overlay": {"entry_id": "abc", "version": 3}}))

    assert turn.overlay_entry == "abc"


@pytest.mark.parametrize("parsed", [None, [], "text", {"intent": None}, {"intent": [], "intent_ranking": {"a": 1}}])
def test_odd_parse_data_makes_a_turn_without_an_intent(parsed: object) -> None:
    (turn,) = turns_of({"event": "user", "text": "hello", "parse_data": parsed})

    assert (turn.intent, turn.confidence, turn.ranking) == ("", 0.0, ())


def test_texts_that_no_database_can_keep_are_cleaned() -> None:
    (turn,) = turns_of(user_data("he\0llo \ud83d", "greet", float("nan"), input_channel="c" * 300))

    assert turn.text == "hello ?"
    assert turn.confidence == 0.0
    assert len(turn.channel) == 64


# --- thumbs ---------------------------------------------------------------------------------------


def test_a_thumb_belongs_to_the_turn_whose_answer_it_names() -> None:
    turns = turns_of(said("one"), bot("1"), said("two"), bot("2"), thumb(at(1), "down"))

    assert [turn.thumbs for turn in turns] == [-1, 0]


def test_a_second_message_in_the_same_clock_tick_is_named_with_a_suffix() -> None:
    same = {"timestamp": 5.5}
    turns = turns_of(said("one"), bot("1", **same), said("two"), bot("2", **same), thumb("5.5~2", "down"))

    assert [turn.thumbs for turn in turns] == [0, -1]


def test_a_suffix_that_is_not_known_leads_to_the_message_itself() -> None:
    turns = turns_of(said("one"), bot("1"), said("two"), bot("2"), thumb(at(1) + "~2", "up"))

    assert [turn.thumbs for turn in turns] == [1, 0]


def test_a_thumb_of_another_channels_counting_goes_to_the_last_turn() -> None:
    turns = turns_of(said("one"), bot("1"), said("two"), bot("2"), thumb("bubble-17", "down"))

    assert [turn.thumbs for turn in turns] == [0, -1]


def test_an_answer_to_a_button_counts_for_the_turn_before_it() -> None:
    turns = turns_of(
        said("one"), bot("sure?"), said("/affirm"), bot("done"), said("two"), bot("2"), thumb(at(3), "down")
    )

    assert [turn.thumbs for turn in turns] == [-1, 0]


def test_the_last_thumb_on_a_message_wins() -> None:
    (turn,) = turns_of(said("one"), bot("1"), thumb(at(1), "down"), thumb(at(1), "up"))

    assert turn.thumbs == 1


def test_one_bad_message_among_several_makes_the_turn_bad() -> None:
    (turn,) = turns_of(said("one"), bot("1"), bot("2"), thumb(at(1), "down"), thumb(at(2), "up"))

    assert turn.thumbs == -1


@pytest.mark.parametrize("value", [None, "down", {}, {"value": "sideways"}, {"value": 5}, []])
def test_a_slot_that_is_reset_or_odd_takes_no_thumb_back(value: object) -> None:
    (turn,) = turns_of(said("one"), bot("1"), thumb(at(1), "down"), slot("last_feedback", value))

    assert turn.thumbs == -1


def test_slots_carried_into_a_new_session_are_not_said_again() -> None:
    turns = turns_of(
        said("one"),
        bot("1"),
        said("two"),
        bot("2"),
        action("action_session_start"),
        thumb("lost-id", "down"),
        slot("backend_failure", "shop.orders"),
        said("three"),
        bot("3"),
    )

    assert [turn.thumbs for turn in turns] == [0, 0, 0]
    assert [turn.failed_service for turn in turns] == [None, None, None]


def test_a_thumb_before_anything_was_said_is_no_error() -> None:
    assert turns_of(thumb(at(0), "down"), bot("welcome"), thumb(at(1), "up")) == []


def test_a_failed_service_is_noted_on_its_turn() -> None:
    turns = turns_of(said("one"), slot("backend_failure", "shop.orders"), said("two"), slot("backend_failure", None))

    assert [turn.failed_service for turn in turns] == ["shop.orders", None]


def test_no_events_make_an_empty_conversation() -> None:
    empty: list[RawEvent] = []

    assert build_conversation("ann", empty).turns == ()


@pytest.mark.parametrize(
    ("sentiment", "expected"),
    [({"frustration": 0.7}, 0.7), ({"frustration": "high"}, None), ({"frustration": float("nan")}, None), (None, None)],
)
def test_a_turn_carries_the_mood_it_was_written_in(sentiment: object, expected: float | None) -> None:
    (one,) = turns_of(said("hello", parsed={"sentiment": sentiment}))

    assert one.frustration == expected
