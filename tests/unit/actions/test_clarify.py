"""Asking what was meant: the question, its buttons, the answers to them, and when there is no further question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from actions import texts
from actions.clarify import candidates, payload
from actions.conversation import CLARIFIES
from actions.dialogue import Fallback
from actions.form import ValidateSupportForm
from tests.builders import action, slot, tracker, user

ROOT = Path(__file__).parents[3]
DOMAIN: dict[str, Any] = {
    "intents": ["track_order", "order_late", {"faq": {"is_retrieval_intent": True}}, "nlu_fallback", "damaged_item"],
    "entities": ["order_number", "email", "answer"],
    "responses": {"utter_faq/delivery_time": [], "utter_learned/loyalty_points": [], "utter_greet": []},
}
TIED = (("track_order", 0.4), ("faq/delivery_time", 0.35), ("order_late", 0.1))
QUESTION = {"event": "bot", "text": "Did you mean ...?", "metadata": {CLARIFIES: ["track_order", "order_late"]}}


def tied(text: str, *ranking: tuple[str, float], reason: str = "near_tie", **entities: str) -> dict[str, Any]:
    message = user(text, "nlu_fallback", entities)
    message["parse_data"]["out_of_scope"] = {
        "reason": reason,
        "candidates": [{"name": name, "confidence": confidence} for name, confidence in ranking or TIED],
    }
    return message


def asked(text: str = "delivery") -> list[dict[str, Any]]:
    """A turn of the customer that the bot answered with the question."""
    return [tied(text), action("action_fallback"), QUESTION, action("action_listen")]


# --- the question ---------------------------------------------------------------------------------


def test_a_near_tie_is_asked_about_with_a_button_for_each_meaning(run):
    messages, slots = run(Fallback(), tracker(tied("delivery")), DOMAIN)

    assert messages[0]["text"] == "Did you mean tracking an order or how long delivery takes?"
    assert messages[0]["buttons"] == [
        {"title": "Tracking an order", "payload": "/track_order"},
        {"title": "How long delivery takes", "payload": '/nlu_fallback{"answer": "faq/delivery_time"}'},
        {"title": "Something else", "payload": "/nlu_fallback"},
    ]
    assert messages[0][CLARIFIES] == ["track_order", "faq/delivery_time"]
    assert slots == {}


@pytest.mark.parametrize(("third", "offered"), [(0.23, 2), (0.25, 3)])
def test_a_third_meaning_is_offered_where_it_is_about_as_likely(third, offered):
    conversation = tracker(tied("delivery", ("track_order", 0.4), ("faq/delivery_time", 0.3), ("order_late", third)))

    assert len(candidates(conversation, DOMAIN)) == offered


def test_three_meanings_are_named_in_a_row():
    assert texts.did_you_mean(["affirm", "deny", "help"]) == "Did you mean yes, no, or what I can do?"


@pytest.mark.parametrize(
    "message",
    [
        tied("blorp", reason="unfamiliar"),
        tied("blorp", ("track_order", 0.4)),
        tied("blorp", ("track_order", 0.4), ("faq/no_such_answer", 0.4), ("retired", 0.4), ("nlu_fallback", 0.4)),
        user("blorp", "nlu_fallback"),
    ],
    ids=["no tie", "one meaning", "meanings that the bot has no answer to", "another pipeline"],
)
def test_there_is_no_question_without_two_meanings(run, message):
    messages, _ = run(Fallback(), tracker(message), DOMAIN)

    assert messages[0]["text"] == texts.REPHRASE


def test_buttons_carry_what_the_message_told(run):
    message = tied("10342 late", ("track_order", 0.4), ("order_late", 0.4), order_number="10342", email="a@b.ie")
    message["parse_data"]["entities"] += [
        {"entity": "order_number", "value": "10017"},
        {"entity": "order_number", "value": "10342"},
        {"entity": "unknown", "value": "x"},
        {"entity": "email", "value": {"not": "text"}},
        {"entity": "email", "value": "x" * 500},
        {"entity": "answer", "value": "faq/delivery_time"},
    ]
    messages, _ = run(Fallback(), tracker(message), DOMAIN)
    name, _, values = messages[0]["buttons"][0]["payload"].partition("{")

    assert name == "/track_order"
    assert json.loads("{" + values) == {"order_number": ["10342", "10017"], "email": "a@b.ie"}
    assert messages[0]["buttons"][-1]["payload"] == "/nlu_fallback"


def test_a_payload_stays_on_one_line():
    assert "\n" not in payload("track_order", {"email": "a\nb"})


# --- the answers to it ------------------------------------------------------------------------------


def test_the_button_of_an_answer_gives_it(run):
    pressed = user("/nlu_fallback{...}", "nlu_fallback", {"answer": "faq/delivery_time"})
    messages, _ = run(Fallback(), tracker(*asked(), pressed), DOMAIN)

    assert messages[0]["response"] == "utter_faq/delivery_time"


@pytest.mark.parametrize("answer", ["faq/unknown", "greet", "", "faq"])
def test_what_is_no_answer_is_never_uttered(run, answer):
    messages, _ = run(Fallback(), tracker(user("/nlu_fallback", "nlu_fallback", {"answer": answer})), DOMAIN)

    assert (messages[0]["response"], messages[0]["text"]) == (None, texts.REPHRASE)


def test_something_else_asks_to_rephrase_and_the_next_failure_offers_a_person(run):
    declined = [*asked(), user("/nlu_fallback", "nlu_fallback")]
    messages, _ = run(Fallback(), tracker(*declined), DOMAIN)
    assert messages[0]["text"] == texts.REPHRASE

    again = [*declined, action("action_fallback"), user("blorp", "nlu_fallback")]
    messages, slots = run(Fallback(), tracker(*again), DOMAIN)
    assert messages[0]["text"] == texts.OFFER_PERSON
    assert slots == {"offer": "person"}


def test_after_a_rephrasing_a_near_tie_is_asked_about_and_something_else_offers_a_person(run):
    rephrased = [user("blorp", "nlu_fallback"), action("action_fallback"), tied("delivery")]
    messages, _ = run(Fallback(), tracker(*rephrased), DOMAIN)
    assert CLARIFIES in messages[0]

    declined = [user("blorp", "nlu_fallback"), action("action_fallback"), *asked(), user("/nlu_fallback")]
    messages, _ = run(Fallback(), tracker(*declined), DOMAIN)
    assert messages[0]["text"] == texts.OFFER_PERSON


def test_a_question_that_was_passed_over_is_not_asked_again(run):
    messages, _ = run(Fallback(), tracker(*asked(), tied("delivery")), DOMAIN)

    assert messages[0]["text"] == texts.OFFER_PERSON


def test_after_two_misunderstandings_there_is_no_further_question(run):
    lost = [user("blorp", "nlu_fallback"), action("action_fallback")] * 2
    messages, _ = run(Fallback(), tracker(*lost, tied("delivery")), DOMAIN)

    assert messages[0]["text"] == texts.OFFER_PERSON


def test_a_chosen_answer_starts_the_count_again(run):
    pressed = user("/nlu_fallback{...}", "nlu_fallback", {"answer": "faq/delivery_time"})
    conversation = tracker(*asked(), pressed, action("action_fallback"), user("blorp", "nlu_fallback"))
    messages, _ = run(Fallback(), conversation, DOMAIN)

    assert messages[0]["text"] == texts.REPHRASE


def test_the_message_asked_about_tells_what_happened(run, shop):
    long = "my lamp arrived with a crack and one shade is missing"
    pressed = user("/damaged_item", "damaged_item")
    start = tracker(*asked(long), pressed, slot("requested_slot", None), loop="support_form", task="damaged_item")
    _, slots = run(ValidateSupportForm(lambda: shop), start, {"slots": {}, "forms": {}})

    assert slots["issue"] == long


def test_a_payload_is_never_taken_for_a_description(run, shop):
    pressed = user('/damaged_item{"a": "b c d e f g h i"}', "damaged_item")
    start = tracker(pressed, slot("requested_slot", None), loop="support_form", task="damaged_item")
    _, slots = run(ValidateSupportForm(lambda: shop), start, {"slots": {}, "forms": {}})

    assert slots["issue"] is None


# --- titles -----------------------------------------------------------------------------------------


def test_every_intent_and_every_answer_of_the_project_has_a_title():
    domain = yaml.safe_load((ROOT / "domain.yml").read_text("utf-8"))
    learned = yaml.safe_load((ROOT / "data" / "learned" / "learning.yml").read_text("utf-8"))
    answers = {name.removeprefix("utter_") for name in [*domain["responses"], *learned["responses"]] if "/" in name}
    retrieval = {answer.partition("/")[0] for answer in answers}
    wanted = {*domain["intents"], *answers} - retrieval - {"nlu_fallback"}

    assert set(texts.TITLES) == wanted
    assert len(set(texts.TITLES.values())) == len(texts.TITLES)
    assert all(len(title) <= 45 for title in texts.TITLES.values())  # more breaks on a phone


def test_what_was_learned_since_is_called_by_its_name():
    assert texts.choice("learned/loyalty_points") == "Loyalty points"
