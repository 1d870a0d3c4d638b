from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.conversations import LONGEST_SESSION, build, split
from learning.model import Outcome, Turn, sender_key
from learning.settings import Settings
from tests.learning_builders import START, conversations_of, raw_events, turns_of, user_data

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


def form(name: str | None) -> Data:
    return {"event": "active_loop", "name": name}


def only(*datas: Data, sender: str = "ann") -> Any:
    """The one conversation that rows make."""
    (conversation,) = conversations_of(*datas, sender=sender)
    return conversation


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
    assert turn.actions == ("utter_greet",)
    assert turn.at == START.replace(second=1)


def test_the_sender_is_kept_as_a_pseudonym() -> None:
    conversation = only(said("hello"), sender="ann@example.com")

    assert "ann" not in conversation.sender
    assert conversation == only(said("hello"), sender="ann@example.com")


@pytest.mark.parametrize("text", ["/greet", "/session_start", '/inform{"order": "1"}', "", "  ", None])
def test_commands_and_empty_messages_end_a_turn_and_are_none(text: str | None) -> None:
    (turn,) = turns_of(said("hello"), bot("hi"), said(text), bot("about the button"))

    assert turn.reply == ("hi",)


def test_a_turn_is_named_by_its_message_id_and_by_its_row_only_without_one() -> None:
    first, *_ = turns_of(said("hello", message_id="m1", at=5))
    moved, *_ = turns_of(action("action_listen"), said("hello", message_id="m1", at=5))
    unnamed, *_ = turns_of(said("hello", at=5))
    unnamed_later, *_ = turns_of(action("action_listen"), said("hello", at=5))

    assert first.turn_id == moved.turn_id
    assert len({first.turn_id, unnamed.turn_id, unnamed_later.turn_id}) == 3


def test_a_message_that_was_delivered_twice_makes_two_turns_with_ids_of_their_own() -> None:
    soon = turns_of(said("hello", message_id="m1", at=5), said("hello", message_id="m1", at=5))
    later = turns_of(said("hello", message_id="m1", at=5), said("hello", message_id="m1", at=9000))

    assert len({turn.turn_id for turn in [*soon, *later]}) == 3


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


@pytest.mark.parametrize(
    ("sentiment", "expected"),
    [({"frustration": 0.7}, 0.7), ({"frustration": "high"}, None), ({"frustration": float("nan")}, None), (None, None)],
)
def test_a_turn_carries_the_mood_it_was_written_in(sentiment: object, expected: float | None) -> None:
    (one,) = turns_of(said("hello", parsed={"sentiment": sentiment}))

    assert one.frustration == expected


# --- sessions -------------------------------------------------------------------------------------


def texts_of(*datas: Data) -> list[list[str]]:
    return [[turn.text for turn in conversation.turns] for conversation in conversations_of(*datas)]


def test_a_conversation_knows_its_rows_and_times() -> None:
    one = only(action("action_session_start"), said("/greet"), bot("hi"), said("hello"), bot("hi"), slot("offer", None))

    assert (one.first_row, one.last_row) == (4, 6)
    assert (one.started, one.last_at) == (START.replace(second=3), START.replace(second=4))
    assert one.sender == sender_key("ann")


def test_rasas_session_start_begins_a_new_conversation() -> None:
    assert texts_of(said("one"), action("action_session_start"), said("two")) == [["one"], ["two"]]


@pytest.mark.parametrize(("second", "count"), [(3600, 1), (3601, 2)])
def test_a_message_after_long_silence_begins_a_new_conversation(second: int, count: int) -> None:
    assert len(texts_of(said("one", at=-50), bot("1", at=0), said("two", at=second))) == count


def test_nothing_but_a_message_begins_a_conversation() -> None:
    late = thumb(at(1), "down")
    one = only(said("one"), bot("1"), {**late, "at": 9000}, {**action("utter_bye"), "at": 9001})

    assert one.last_row == 4
    assert one.turns[0].thumbs == -1


def test_a_button_after_long_silence_ends_a_conversation_and_begins_none() -> None:
    later = (said("/greet", at=9000), bot("hi", at=9000), said("two", at=9001))

    assert texts_of(said("one"), *later) == [["one"], ["two"]]
    assert texts_of(said("/greet"), bot("hi"), said("")) == []


def test_an_endless_conversation_is_cut() -> None:
    sessions = split(raw_events(*(said("again") for _ in range(2 * LONGEST_SESSION + 1))), Settings().conversations)

    assert [len(session) for session in sessions] == [LONGEST_SESSION, LONGEST_SESSION, 1]


def test_a_thumb_on_an_earlier_conversation_is_no_thumb_on_this_one() -> None:
    both = (said("one"), bot("1"), action("action_session_start"), said("two"), bot("2"))

    assert [turn.thumbs for turn in turns_of(*both, thumb(at(1), "up"))] == [0, 0]
    assert [turn.thumbs for turn in turns_of(*both, thumb("17", "up"))] == [0, 1]  # a channel's own counter


EVENTS = st.lists(
    st.sampled_from(
        [said("one"), said("two"), said("/greet"), bot("1"), action("action_session_start"), slot("offer", "person")]
    ).flatmap(lambda data: st.sampled_from([0, 1, 3700]).map(lambda gap: (data, gap))),
    max_size=30,
)


@given(EVENTS, st.integers(0, 30))
def test_reading_may_begin_at_any_conversation(pairs: list[tuple[Data, int]], skipped: int) -> None:
    clock = itertools.accumulate(gap for _, gap in pairs)
    events = raw_events(*({**data, "at": second} for (data, _), second in zip(pairs, clock, strict=True)))
    settings = Settings()
    whole = [build("ann", session, START, settings) for session in split(events, settings.conversations)]
    firsts = [one.first_row for one in whole[:skipped]]
    start = firsts[-1] if firsts else 0
    later = split([event for event in events if event.row_id >= start], settings.conversations)

    assert [build("ann", session, START, settings) for session in later] == [
        one for one in whole if one.first_row >= start
    ]


# --- how conversations end ------------------------------------------------------------------------


def ended(*datas: Data) -> tuple[str, str]:
    one = only(*datas)
    return one.outcome.value, one.reason


def missed(text: str = "odd") -> Data:
    return said(text, "nlu_fallback")


PERSON = said("a human please", "talk_to_person")
OFFER = slot("offer", "person")
ASKED_BACK = bot(
    "Did you mean ...?", metadata={"clarifies": ["track_order"]}, data={"buttons": [{"payload": "/track_order"}]}
)
HANDED_OVER = ("escalated", "asked")


def test_a_conversation_is_open_until_it_has_been_silent_long_enough() -> None:
    young, old = START.replace(minute=59), START.replace(hour=10, second=1)
    (still,) = conversations_of(missed(), bot("sorry"), now=young)
    (over,) = conversations_of(missed(), bot("sorry"), now=old)

    assert (still.outcome, still.reason) == (Outcome.OPEN, "")
    assert over.outcome is Outcome.ABANDONED
    assert still.conversation_id == over.conversation_id


def test_who_was_answered_and_left_was_helped() -> None:
    assert ended(said("hello"), bot("hi")) == ("resolved", "")
    assert ended(missed(), bot("sorry"), said("hello"), bot("hi")) == ("resolved", "")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([said("hi"), PERSON], "asked"),
        ([PERSON], "asked"),
        ([said("hi"), said("/talk_to_person", "talk_to_person")], "asked"),
        ([said("hi"), action("action_talk_to_person")], "asked"),
        ([missed(), PERSON], "not_understood"),
        ([missed(), said("/talk_to_person", "talk_to_person")], "not_understood"),
        ([missed(), bot("a person?"), OFFER, said("/affirm", "affirm"), action("action_affirm")], "not_understood"),
        ([missed(), bot("a person?"), OFFER, said("yes please", "affirm")], "not_understood"),
        ([said("hi"), slot("backend_failure", "shop.orders"), OFFER, said("yes", "affirm")], "service_failed"),
        ([said("/track"), said("hi"), said("/x"), slot("backend_failure", "shop"), PERSON], "service_failed"),
        ([said("hi"), bot("1"), thumb(at(1), "down"), said("so?"), bot("2"), PERSON], "dissatisfied"),
        ([said("hi"), bot("1"), slot("csat", 1), PERSON], "dissatisfied"),
        ([PERSON, bot("bye"), said("thanks", "thank"), missed()], "asked"),
        ([missed(), ASKED_BACK, said("/track_order", "track_order"), bot("here"), PERSON], "asked"),
    ],
)
def test_handing_over_to_a_person_is_an_escalation_with_its_reason(events: list[Data], reason: str) -> None:
    assert ended(*events) == ("escalated", reason)


@pytest.mark.parametrize(
    "events",
    [
        [said("hi"), OFFER, said("no", "deny"), bot("ok")],
        [said("hi"), OFFER, said("hello"), said("yes", "affirm")],  # the offer counts for the next message only
        [said("hi"), slot("offer", "return"), said("yes", "affirm")],
        [said("hi"), OFFER, slot("offer", None), said("yes", "affirm")],
    ],
)
def test_an_offer_that_was_not_accepted_escalates_nothing(events: list[Data]) -> None:
    assert ended(*events) == ("resolved", "")


def test_the_turn_before_a_person_was_asked_for_is_noted() -> None:
    turns = turns_of(said("hi"), missed(), OFFER, said("/affirm", "affirm"), said("thanks", "thank"))

    assert [turn.led_to_person for turn in turns] == [False, True, False]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([missed(), bot("sorry")], "not_understood"),
        ([said("hi", "greet"), action("action_default_fallback")], "not_understood"),
        ([said("hi"), slot("backend_failure", "shop.orders"), bot("later")], "service_failed"),
        ([said("hi"), bot("1"), said("/track"), slot("backend_failure", "shop.orders")], "service_failed"),
        ([said("hi"), bot("1"), thumb(at(1), "down")], "rated_down"),
        ([said("hi"), bot("1"), slot("csat", "2")], "rated_down"),
        ([said("track it"), action("f"), form("f"), bot("which order?")], "unanswered_question"),
        ([user_data("hi", "greet", 0.4), bot("1")], "doubtful_answer"),
        ([said("hi", parsed={"out_of_scope": {"similarity": 0.3}}), bot("1")], "doubtful_answer"),
        ([user_data("that helps who", "thank", 0.4), bot("1")], "doubtful_answer"),
    ],
)
def test_leaving_after_something_that_did_not_help_is_abandoning(events: list[Data], reason: str) -> None:
    assert ended(*events) == ("abandoned", reason)


@pytest.mark.parametrize(
    "events",
    [
        [missed(), ASKED_BACK, said("/track_order", "track_order"), bot("here")],
        [said("hi"), slot("backend_failure", "shop.orders"), bot("later"), said("thanks"), bot("bye")],
        [said("hi"), action("f"), form("f"), bot("why?"), user_data("a leg", "greet", 0.2), action("f"), form(None)],
        [user_data("hi", "greet", 0.4), bot("1"), thumb(at(1), "up")],
        [user_data("hi", "greet", 0.4), bot("1"), slot("csat", 4)],
        [said("hi"), bot("1"), said("that helped", "thank", parsed={"out_of_scope": {"similarity": 0.3}}), bot("2")],
        [said("track it"), action("f"), form("f"), bot("which?"), said("10342"), action("f"), form(None), bot("here")],
        [
            said("track it"),
            action("f"),
            form("f"),
            bot("why?"),
            missed("it broke"),
            action("f"),
            form(None),
            bot("done"),
        ],
    ],
)
def test_what_was_cleared_up_is_not_abandoned(events: list[Data]) -> None:
    assert ended(*events) == ("resolved", "")


def test_what_a_form_took_as_its_answer_was_understood() -> None:
    asked = [said("it broke"), action("f"), form("f"), bot("what happened?")]
    _, taken = turns_of(*asked, missed("the leg fell off"), action("f"))
    _, refused = turns_of(*asked, missed("the leg fell off"), action("action_fallback"), action("f"))

    assert (taken.answers_form, taken.is_fallback) == (True, False)
    assert (refused.answers_form, refused.is_fallback) == (False, True)


@pytest.mark.parametrize(
    ("value", "mark"), [(1, 1), ("5", 5), (3.0, 3), (0, None), (6, None), ("x", None), (True, None)]
)
def test_a_mark_belongs_to_the_last_answer(value: object, mark: int | None) -> None:
    turns = turns_of(said("one"), bot("1"), said("two"), slot("csat", value))

    assert [turn.csat for turn in turns] == [mark, None]


@pytest.mark.parametrize(
    ("more", "rating"),
    [({}, 0), ({"csat": 2}, -1), ({"csat": 3}, 0), ({"csat": 4}, 1), ({"csat": 5, "thumbs": -1}, -1)],
)
def test_a_thumb_says_more_than_a_mark(more: dict[str, int], rating: int) -> None:
    assert Turn("t", "hi", START, "greet", 0.9, **more).rating == rating  # type: ignore[arg-type]
