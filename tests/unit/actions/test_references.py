"""Which order is meant: the other one, one instead of another, none at all; and whose word is taken for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import references, texts
from actions.dialogue import Inform
from actions.form import ValidateSupportForm
from actions.questions import AskOrderNumber
from tests.builders import action, slot, tracker, user
from tests.fakes import ANN
from tests.unit.actions.test_form import DOMAIN, turn

EVE = "eve@example.com"
CUSTOMER = {"id": "7", "name": "Ann", "email": ANN}
STARTED = {"event": "session_started"}
NUMBERS = st.integers(10_001, 19_999).map(str)


def told(text, *numbers, intent="inform"):
    message = user(text, intent)
    message["parse_data"]["entities"] = [{"entity": "order_number", "value": number} for number in numbers]
    return message


def after_tracking(*messages, task="track_order", **slots):
    """A conversation in which one order after the other was tracked, with what comes then."""
    events = [STARTED]
    for number in ("10342", "10017"):
        events += [
            told(number, number),
            slot("order_number", number),
            action("support_form"),
            action("action_track_order"),
        ]
    values = {"task": task, "order_number": "10017", "email": None, **slots}
    return tracker(*events, *messages, **values)


@pytest.mark.parametrize(
    ("text", "numbers", "meant"),
    [
        ("sorry, 10017 not 10342", ["10017", "10342"], ["10017"]),
        ("not 10342 but 10017", ["10342", "10017"], ["10017"]),
        ("10017 instead of order #10342", ["10017", "10342"], ["10017"]),
        ("10017 and 10342", ["10017", "10342"], ["10017", "10342"]),
        ("not 10342", ["10342"], []),
        ("10 017, i said 10017", ["10 017", "10017"], ["10017"]),
    ],
)
def test_what_is_taken_back_does_not_count(text, numbers, meant):
    assert references.meant(tracker(told(text, *numbers))) == meant


@given(NUMBERS, NUMBERS, st.sampled_from(["{0} not {1}", "not {1}, {0}", "{0} rather than order #{1}"]))
def test_of_two_numbers_the_one_that_is_not_denied_is_meant(right, wrong, sentence):
    text = sentence.format(right, wrong)
    assert references.meant(tracker(told(text, right, wrong))) == ([right] if right != wrong else [])


@pytest.mark.parametrize(
    "text",
    ["and the other one?", "what about my other order", "no, the other order", "the other one please", "and my other?"],
)
def test_another_order_is_spoken_of(text):
    assert references.means_other(tracker(told(text)))


@pytest.mark.parametrize(
    "text", ["the other day it came", "my other card was charged", "another question", "the other boot"]
)
def test_other_things_are_no_orders(text):
    assert not references.means_other(tracker(told(text)))


@pytest.mark.parametrize(
    ("text", "asked", "found"),
    [
        ("99999", True, "99999"),
        ("it's #20342", True, "20342"),
        ("where is order 99999?", False, "99999"),
        ("order number is 99999", False, "99999"),
        ("i live in 75011 paris", False, None),
        ("it cost 20000 euros", True, None),
        ("call 0861234567", True, None),
        ("mail me at box-20342@example.com", True, None),
    ],
)
def test_five_digits_that_are_no_order(text, asked, found):
    assert references.no_order(tracker(told(text)), asked) == found


def test_no_order_is_said_to_be_unknown_outside_the_form(shop, run):
    messages, slots = run(Inform(lambda: shop), after_tracking(told("99999")))
    assert messages[0]["text"] == texts.unknown_order("99999")
    assert slots["order_number"] is None


def test_no_order_does_not_fall_back_to_the_last_one_in_the_form(shop, run):
    conversation = turn(user("where is order 99999?", "track_order"), task="track_order", order_number="10342")
    messages, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert messages[0]["text"] == texts.unknown_order("99999")
    assert (slots["order_number"], slots["requested_slot"]) == (None, "order_number")


def test_a_house_number_is_no_order(shop, run):
    message = user("order it to 20342 Elm Street", "inform")
    known = {"order_number": "10017", "email": ANN}
    given = slot("new_address", "order it to 20342 Elm Street")
    conversation = turn(message, given, task="change_delivery_address", requested="new_address", **known)
    messages, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert messages == []
    assert slots["requested_slot"] == "confirmed"


def test_the_other_of_two_is_taken_and_the_task_goes_on(shop):
    import asyncio

    from rasa_sdk.executor import CollectingDispatcher

    events = asyncio.run(Inform(lambda: shop).run(CollectingDispatcher(), after_tracking(told("the other one")), {}))
    assert {"event": "slot", "timestamp": None, "name": "order_number", "value": "10342"} in events
    assert {"event": "followup", "timestamp": None, "name": "support_form"} in events


def test_the_form_follows_to_the_other_of_two(shop, run):
    before = [
        told("10342", "10342"),
        slot("order_number", "10342"),
        told("10017", "10017"),
        slot("order_number", "10017"),
    ]
    message = user("where is my other order?", "track_order")
    values = {"task": "track_order", "order_number": "10017", "requested_slot": None}
    conversation = tracker(*before, message, action("support_form"), loop="support_form", **values)
    _, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert (slots["order_number"], slots["requested_slot"]) == ("10342", None)


def test_what_the_shop_did_not_know_is_not_the_other_one():
    events = [told("12345", "12345"), slot("order_number", "12345"), slot("order_number", None)]
    conversation = tracker(*events, told("10017", "10017"), slot("order_number", "10017"), told("the other one"))
    assert references.named(conversation) == ["10017"]


def test_an_earlier_session_is_forgotten():
    conversation = tracker(told("10342", "10342"), slot("order_number", "10342"), STARTED, told("the other one"))
    assert references.named(conversation) == []


def one_shown(message, **slots):
    return tracker(
        STARTED, told("10017", "10017"), slot("order_number", "10017"), message, order_number="10017", **slots
    )


def test_a_proven_customer_is_offered_the_other_orders(shop, run):
    messages, _ = run(Inform(lambda: shop), one_shown(told("the other one"), task="refund_status", email=ANN))
    assert messages[0]["text"] == texts.WHICH_ORDER
    payloads = [button["payload"] for button in messages[0]["buttons"]]
    assert payloads == [f'/refund_status{{"order_number": "{number}"}}' for number in ("10342", "10025", "10007")]


@pytest.mark.parametrize("slots", [{}, {"email": EVE}, {"verified_customer": {"id": "8", "email": EVE}}])
def test_nobody_else_is_offered_any(slots, shop, run):
    messages, _ = run(Inform(lambda: shop), one_shown(told("the other one"), task="track_order", **slots))
    assert messages[0]["text"] == texts.WHICH_ORDER
    assert not messages[0]["buttons"]


def test_the_form_offers_them_too(shop, run):
    message = user("i want to return my other order", "return_item")
    conversation = tracker(
        told("10017", "10017"),
        slot("order_number", "10017"),
        message,
        slot("order_number", None),
        task="return_item",
        email=ANN,
    )
    messages, _ = run(AskOrderNumber(lambda: shop), conversation)
    assert [button["title"] for button in messages[0]["buttons"]] == ["Order 10342", "Order 10025", "Order 10007"]


def test_a_signed_customer_is_not_asked_for_the_address(shop, run):
    conversation = turn(
        told("cancel 10017", "10017", intent="cancel_order"),
        slot("order_number", "10017"),
        task="cancel_order",
        verified_customer=CUSTOMER,
    )
    messages, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert (slots["email"], slots["requested_slot"]) == (ANN, "confirmed")
    assert messages == []


def test_the_shop_still_checks_a_signed_customer(shop, run):
    conversation = turn(
        told("cancel 10017", "10017", intent="cancel_order"),
        slot("order_number", "10017"),
        task="cancel_order",
        verified_customer={"id": "8", "name": "Eve", "email": EVE},
    )
    messages, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert messages[0]["text"] == texts.not_verified("10017")
    assert (slots["email"], slots["requested_slot"]) == (None, "email")


def test_another_address_of_a_signed_customer_gives_way_to_the_signed_one(shop, run):
    conversation = turn(
        told("cancel 10017", "10017", intent="cancel_order"),
        slot("order_number", "10017"),
        task="cancel_order",
        email=EVE,
        verified_customer=CUSTOMER,
    )
    _, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert (slots["email"], slots["requested_slot"]) == (ANN, "confirmed")


@pytest.mark.parametrize("claim", [None, "ann@example.com", {"email": None}, {"email": ["ann@example.com"]}, {}, 7])
def test_anything_but_a_signed_customer_is_none(claim, shop, run):
    message = user(f"i am verified_customer {ANN}", "cancel_order", {"verified_customer": ANN})
    message["metadata"] = {"verified_customer": CUSTOMER}
    conversation = turn(message, task="cancel_order", order_number="10017", verified_customer=claim)
    _, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert (slots.get("email"), slots["requested_slot"]) == (None, "email")


@pytest.mark.parametrize("said", ["yes", "no"])
def test_an_answer_about_another_order_is_asked_again(said, shop, run):
    shop.orders["10018"] = shop.orders["10017"]
    before = [told("10018", "10018"), slot("order_number", "10018"), slot("email", ANN)]
    message = told(f"{said}, 10017", "10017", intent="affirm")
    new = [slot("order_number", "10017"), slot("confirmed", said)]
    values = {
        "task": "cancel_order",
        "requested_slot": "confirmed",
        "email": ANN,
        "order_number": "10017",
        "confirmed": said,
    }
    conversation = tracker(*before, message, action("support_form"), *new, loop="support_form", **values)
    _, slots = run(ValidateSupportForm(lambda: shop), conversation, DOMAIN)
    assert (slots["confirmed"], slots["requested_slot"]) == (None, "confirmed")
    assert shop.done == []


def test_a_message_that_answers_nothing_lets_the_rules_decide(shop):
    """Any slot event would tell Rasa that it was an answer, and no "never mind" could leave the form."""
    import asyncio

    from rasa_sdk.executor import CollectingDispatcher

    before = [told("10017", "10017"), slot("order_number", "10017"), slot("email", ANN)]
    values = {"task": "cancel_order", "requested_slot": "confirmed", "email": ANN, "order_number": "10017"}
    conversation = tracker(
        *before, user("never mind", "never_mind"), action("support_form"), loop="support_form", **values
    )
    events = asyncio.run(ValidateSupportForm(lambda: shop).run(CollectingDispatcher(), conversation, DOMAIN))
    assert [event["name"] for event in events if event["event"] == "slot"] == ["requested_slot"]


def test_a_number_is_looked_up_even_after_the_shop_was_away(shop, run):
    messages, _ = run(Inform(lambda: shop), tracker(told("10342", "10342"), check="unavailable"))
    assert messages[0]["text"].startswith("Order 10342")
