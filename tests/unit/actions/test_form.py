"""The form: what it still needs, what it accepts, and how it follows a change of mind."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
import yaml
from rasa_sdk import Action

from actions import form, texts
from actions.questions import AskConfirmed, AskEmail, AskIssue, AskNewAddress, AskOrderNumber, AskTicketReference
from actions.returns import ReportItem
from actions.services.shop_api import Refused
from actions.tasks import TASKS
from tests.builders import action, slot, tracker, user
from tests.fakes import ANN, FakeShop

PROJECT = Path(__file__).parents[3]
FORM = "support_form"
STATIC = ("order_number", "email", "ticket_reference", "issue", "new_address", "confirmed")
DOMAIN = {"forms": {FORM: {"required_slots": list(STATIC)}}, "slots": {name: {"mappings": []} for name in STATIC}}


def turn(message, *given, task, requested=None, **slots):
    """The conversation as Rasa hands it to the form's validation: new slots come last."""
    known = dict.fromkeys((*STATIC, "check"))
    new = {event["name"]: event["value"] for event in given}
    values = {**known, "task": task, "requested_slot": requested, **slots, **new}
    return tracker(message, action(FORM), *given, loop=FORM, **values)


def validate(shop, run, conversation):
    return run(form.ValidateSupportForm(lambda: shop), conversation, DOMAIN)


def test_one_turn_is_enough_when_the_number_came_along(shop, run):
    message = user("where is #10342", "track_order", {"order_number": "#10342"})
    messages, slots = validate(shop, run, turn(message, slot("order_number", "#10342"), task="track_order"))
    assert slots["order_number"] == "10342"
    assert slots["requested_slot"] is None
    assert messages == []


@pytest.mark.parametrize("task", TASKS)
def test_each_task_asks_for_its_needs_in_order(task, shop, run):
    _, slots = validate(shop, run, turn(user("please", task), task=task))
    assert slots["requested_slot"] == TASKS[task].needs[0]


def test_a_personal_task_goes_on_to_the_confirmation_once_verified(shop, run):
    conversation = turn(
        user(ANN, "inform"), slot("email", ANN), task="cancel_order", requested="email", order_number="10017"
    )
    messages, slots = validate(shop, run, conversation)
    assert slots["requested_slot"] == "confirmed"
    assert messages == []


def test_a_wrong_email_is_asked_for_again(shop, run):
    conversation = turn(
        user("eve@example.com", "inform"),
        slot("email", "eve@example.com"),
        task="cancel_order",
        requested="email",
        order_number="10017",
    )
    messages, slots = validate(shop, run, conversation)
    assert (slots["email"], slots["requested_slot"]) == (None, "email")
    assert messages[0]["text"] == texts.not_verified("10017")


def test_an_unknown_order_is_asked_for_again(shop, run):
    conversation = turn(
        user("10999", "inform"),
        slot("order_number", "10999"),
        task="order_history",
        requested="order_number",
        email=ANN,
    )
    messages, slots = validate(shop, run, conversation)
    assert (slots["order_number"], slots["requested_slot"]) == (None, "order_number")
    assert messages[0]["text"] == texts.unknown_order("10999")


@pytest.mark.parametrize(
    ("task", "number"), [("cancel_order", "10342"), ("change_delivery_address", "10342"), ("return_item", "10007")]
)
def test_what_the_shop_would_refuse_is_not_asked_to_be_confirmed(task, number, shop, run):
    conversation = turn(user(ANN, "inform"), slot("email", ANN), task=task, requested="email", order_number=number)
    _, slots = validate(shop, run, conversation)
    assert slots["check"] == "refused"
    assert slots["requested_slot"] is None


def test_a_shop_that_is_down_ends_the_form(shop, run):
    shop.down = True
    conversation = turn(
        user(ANN, "inform"), slot("email", ANN), task="damaged_item", requested="email", order_number="10025"
    )
    messages, slots = validate(shop, run, conversation)
    assert slots["check"] == "unavailable"
    assert slots["requested_slot"] is None
    assert messages == []  # the action that follows says so, once


class DeafShop(FakeShop):
    async def order_details(self, number, email):
        raise Refused("order_details", "There were too many tries.", "Try again in 15 minutes.")


@pytest.mark.parametrize("task", ["cancel_order", "damaged_item", "change_delivery_address"])
def test_a_shop_that_hears_no_more_guesses_ends_the_form(task, run):
    shop = DeafShop()
    conversation = turn(user(ANN, "inform"), slot("email", ANN), task=task, requested="email", order_number="10017")
    messages, slots = validate(shop, run, conversation)
    assert (slots["check"], slots["requested_slot"]) == ("locked", None)
    assert "too many tries" in messages[0]["text"]
    messages, slots = run(ReportItem(lambda: shop), tracker(user(ANN), task=task, check="locked", email=ANN))
    assert (messages, slots, shop.opened) == ([], {"email": None}, [])


def test_a_new_start_forgets_the_answers_of_the_last_task(shop, run):
    conversation = turn(
        user("cancel 10017", "cancel_order"),
        slot("order_number", "10017"),
        slot("email", ANN),
        slot("confirmed", "yes"),
        slot("issue", "old"),
        task="cancel_order",
        check="unavailable",
    )
    _, slots = validate(shop, run, conversation)
    assert (slots["confirmed"], slots["issue"], slots["check"]) == (None, None, None)
    assert slots["requested_slot"] == "confirmed"


def test_a_first_message_that_tells_what_happened_is_the_description(shop, run):
    message = user("the lamp arrived with a big crack", "damaged_item")
    _, slots = validate(shop, run, turn(message, task="damaged_item"))
    assert slots["issue"] == "the lamp arrived with a big crack"
    _, slots = validate(shop, run, turn(user("damaged item", "damaged_item"), task="damaged_item"))
    assert slots["issue"] is None


def test_another_wish_replaces_the_task(shop, run):
    conversation = turn(
        user("where is it", "track_order"), task="account_balance", requested="email", order_number="10342"
    )
    _, slots = validate(shop, run, conversation)
    assert (slots["task"], slots["requested_slot"]) == ("track_order", None)


def test_an_answer_that_sounds_like_a_wish_is_an_answer(shop, run):
    message = user("my order email is ann@example.com", "update_contact_details", {"email": ANN})
    conversation = turn(message, slot("email", ANN), task="account_balance", requested="email", order_number="10342")
    _, slots = validate(shop, run, conversation)
    assert "task" not in slots
    assert slots["requested_slot"] is None


def test_free_text_never_changes_the_task(shop, run):
    message = user("my parcel came late", "order_late")
    conversation = turn(message, slot("issue", "my parcel came late"), task="complaint", requested="issue")
    _, slots = validate(shop, run, conversation)
    assert "task" not in slots
    assert slots["issue"] == "my parcel came late"


def test_repeating_the_wish_repeats_the_question(shop, run):
    conversation = turn(user("refund", "refund_status"), task="refund_status", requested="order_number")
    _, slots = validate(shop, run, conversation)
    assert (slots["task"], slots["requested_slot"]) == ("refund_status", "order_number")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("order_number", "20342", texts.BAD_NUMBER),
        ("email", "ann at example", texts.BAD_EMAIL),
        ("issue", "?", texts.TOO_SHORT),
        ("new_address", "Cork", texts.TOO_SHORT),
    ],
)
def test_answers_of_the_wrong_shape_are_refused_with_a_hint(name, value, said, shop, run):
    task = {"issue": "create_ticket", "new_address": "change_delivery_address"}.get(name, "refund_status")
    known = {"order_number": "10017", "email": ANN} if name == "new_address" else {}
    conversation = turn(user(value, "inform"), slot(name, value), task=task, requested=name, **known)
    messages, slots = validate(shop, run, conversation)
    assert slots[name] is None
    assert messages[0]["text"] == said


def test_a_ticket_reference_is_found_in_the_message(shop, run):
    _, slots = validate(shop, run, turn(user("what about t-48291307?", "ticket_status"), task="ticket_status"))
    assert (slots["ticket_reference"], slots["requested_slot"]) == ("T-48291307", None)


@pytest.mark.parametrize(
    ("ask", "task", "said"),
    [
        (AskOrderNumber(), "track_order", "Sure, I can look that order up. What's the order number?"),
        (AskEmail(), "complaint", "Which email address should we use?"),
        (AskIssue(), "complaint", "I'm sorry to hear that. What happened?"),
        (AskNewAddress(), "change_delivery_address", "What's the new address?"),
        (AskTicketReference(), "ticket_status", "What's the ticket reference?"),
        (AskConfirmed(), "cancel_order", "Shall I really cancel order 10017?"),
        (AskConfirmed(), "change_delivery_address", "to this address: 12 Elm Street"),
    ],
)
def test_questions_fit_the_task(ask, task, said, run):
    conversation = tracker(
        user("please", task), task=task, order_number="10017", email=ANN, new_address="12 Elm Street"
    )
    messages, _ = run(ask, conversation)
    assert said in messages[0]["text"]


@pytest.mark.parametrize("task", [task for task in TASKS.values() if "confirmed" in task.needs], ids=lambda t: t.name)
def test_every_confirmation_has_words(task):
    assert texts.question("confirmed", task.name, False, number="1", email="e", address="a").endswith(("?", "."))


def test_the_domain_lists_every_action_and_every_task():
    domain = yaml.safe_load((PROJECT / "domain.yml").read_text(encoding="utf-8"))
    assert set(domain["slots"]["task"]["values"]) == set(TASKS)
    assert set(TASKS) <= set(domain["intents"])
    assert set(domain["actions"]) == {found().name() for found in own_actions(Action)}


def test_every_intent_has_a_rule():
    domain = yaml.safe_load((PROJECT / "domain.yml").read_text(encoding="utf-8"))
    rules = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "data" / "rules").glob("*.yml"))
    assert set(domain["intents"]) == set(re.findall(r"- intent: (\S+)", rules))


def own_actions(kind):
    import actions.account
    import actions.dialogue
    import actions.orders
    import actions.payments
    import actions.questions
    import actions.returns
    import actions.tickets  # noqa: F401

    for found in kind.__subclasses__():
        if found.__module__.startswith("actions.") and not inspect.isabstract(found):
            yield found
        yield from own_actions(found)
