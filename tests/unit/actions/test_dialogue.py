"""Not understanding, yes and no, bare numbers, and changing one's mind."""

from __future__ import annotations

from actions import texts
from actions.dialogue import Affirm, DefaultFallback, Deny, Fallback, Inform, NeverMind
from tests.builders import action, slot, tracker, user


def test_the_first_misunderstanding_asks_to_rephrase(run):
    messages, slots = run(Fallback(), tracker(user("blorp", "nlu_fallback")))
    assert messages[0]["text"] == texts.REPHRASE
    assert slots == {}


def test_the_second_in_a_row_offers_a_person(run):
    conversation = tracker(
        user("blorp", "nlu_fallback"), action("action_fallback"), action("action_listen"), user("blurp", "nlu_fallback")
    )
    messages, slots = run(Fallback(), conversation)
    assert messages[0]["text"] == texts.OFFER_PERSON
    assert slots == {"offer": "person"}


def test_something_understood_in_between_starts_the_count_again(run):
    conversation = tracker(
        user("blorp", "nlu_fallback"),
        action("action_fallback"),
        user("hello", "greet"),
        action("utter_greet"),
        user("blurp", "nlu_fallback"),
    )
    messages, _ = run(Fallback(), conversation)
    assert messages[0]["text"] == texts.REPHRASE


def test_a_misunderstanding_of_the_last_session_does_not_count(run):
    conversation = tracker(
        user("blorp", "nlu_fallback"),
        action("action_fallback"),
        {"event": "session_started"},
        user("blurp", "nlu_fallback"),
    )
    messages, _ = run(Fallback(), conversation)
    assert messages[0]["text"] == texts.REPHRASE


def test_a_yes_to_the_offer_brings_a_person(shop, run):
    conversation = tracker(user("blorp"), action("action_fallback"), slot("offer", "person"), user("yes", "affirm"))
    messages, _ = run(Affirm(lambda: shop), conversation)
    assert shop.opened[0].topic == "talk_to_person"
    assert "T-00000001" in messages[0]["text"]


def test_a_yes_inside_the_form_leaves_it_for_the_person(shop):
    import asyncio

    from rasa_sdk.executor import CollectingDispatcher

    conversation = tracker(user("blorp"), slot("offer", "person"), user("yes", "affirm"), loop="support_form")
    events = asyncio.run(Affirm(lambda: shop).run(CollectingDispatcher(), conversation, {}))
    assert {"event": "active_loop", "timestamp": None, "name": None} in events


def test_an_older_offer_is_no_longer_open(shop, run):
    conversation = tracker(
        user("blorp"), slot("offer", "person"), user("thanks", "thank"), action("utter_thank"), user("yes", "affirm")
    )
    messages, _ = run(Affirm(lambda: shop), conversation)
    assert shop.opened == []
    assert messages[0]["text"] == texts.AFFIRM


def test_yes_and_no_leave_the_form_its_question(shop, run):
    conversation = tracker(user("no", "deny"), loop="support_form")
    assert run(Deny(), conversation)[0] == []
    assert run(Affirm(lambda: shop), conversation)[0] == []
    assert run(Deny(), tracker(user("no", "deny")))[0][0]["text"] == texts.DENY


def test_a_bare_number_is_looked_up(shop, run):
    messages, _ = run(Inform(lambda: shop), tracker(user("#10342", "inform", {"order_number": "#10342"})))
    assert messages[0]["text"].startswith("Order 10342")


def test_a_bare_address_asks_what_for_and_nothing_says_what_was_expected(shop, run):
    messages, _ = run(Inform(lambda: shop), tracker(user("ann@example.com", "inform", {"email": "ann@example.com"})))
    assert messages[0]["text"] == texts.INFORM_EMAIL
    messages, _ = run(Inform(lambda: shop), tracker(user("it's 12", "inform")))
    assert messages[0]["text"] == texts.INFORM_NOTHING


def test_several_numbers_are_taken_one_at_a_time(shop, run):
    message = user("10342 and 10017", "inform", {"order_number": "10342"})
    message["parse_data"]["entities"].append({"entity": "order_number", "value": "10017"})
    messages, _ = run(Inform(lambda: shop), tracker(message))
    assert messages[0]["text"] == texts.ONE_NUMBER


def test_never_mind_forgets_half_given_answers(run):
    messages, slots = run(NeverMind(), tracker(user("never mind"), issue="x", confirmed="yes"))
    assert messages[0]["text"] == texts.NEVER_MIND
    assert slots == {"issue": None, "new_address": None, "confirmed": None}


def test_a_lost_thread_is_said_and_taken_back(run):
    messages, _ = run(DefaultFallback(), tracker(user("?")))
    assert messages[0]["text"] == texts.DEFAULT
