"""The form that collects what a task needs, checks it, and asks before anything is changed."""

from __future__ import annotations

from typing import Any

from rasa_sdk import FormValidationAction, Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import references, texts
from actions.base import Connect, Events, explain
from actions.conversation import (
    CHECK,
    CHECK_LOCKED,
    CHECK_REFUSED,
    CHECK_UNAVAILABLE,
    clean_email,
    clean_order_number,
    clean_reference,
    email,
    intent,
    latest_text,
    order_number,
    task,
    text_slot,
    this_turn_ran,
    told,
    value_before,
    verified_email,
)
from actions.services.call_log import CallLog
from actions.services.shop_api import NotVerified, OrderDetails, Refused, Shop, ShopError, ShopUnavailable
from actions.services.shop_client import shop_from_environment
from actions.tasks import ADDRESS, CONFIRMED, EMAIL, FORM, FREE_TEXT, ISSUE, ORDER, REFERENCE, TASKS

REQUESTED = "requested_slot"
INFORM = "action_inform"  # starts the form for another order, which it has found already
TELLING_WORDS = 7  # "my lamp arrived with a big crack" tells what happened, "an item is missing" does not
SHORTEST_ISSUE = 3  # characters; "no" or "?" helps nobody at the desk
SHORTEST_ADDRESS = 8  # characters; the shortest real address has a street, a number and a town


class ValidateSupportForm(FormValidationAction):
    """Decide what is still missing, and check with the shop what has been given."""

    def __init__(self, connect: Connect = shop_from_environment) -> None:
        """Remember how to reach the shop; it is reached only when there is something to check."""
        self._connect = connect

    def name(self) -> str:
        """Name this action after the form."""
        return f"validate_{FORM}"

    async def required_slots(
        self,
        domain_slots: list[str],
        dispatcher: CollectingDispatcher,
        tracker: Tracker,
        domain: dict[str, Any],
    ) -> list[str]:
        """The slots of the current task; none once the shop is known to be away, or to refuse to listen."""
        current = TASKS.get(task(tracker) or "")
        check = tracker.get_slot(CHECK)
        if current is None or check in (CHECK_UNAVAILABLE, CHECK_LOCKED):
            return []
        if check == CHECK_REFUSED:
            return [slot for slot in current.needs if slot not in (ADDRESS, CONFIRMED)]
        return list(current.needs)

    async def get_validation_events(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> Events:
        """Start afresh or switch tasks if need be, then check each answer and the answers together."""
        answered = tracker.slots_to_validate()
        log = CallLog()
        shop = log.around(self._connect())
        events: Events = []
        if tracker.get_slot(REQUESTED) is None:
            events += _apply(tracker, _fresh_start(tracker))
        else:
            events += _apply(tracker, _switch_task(tracker, answered))
        for slot in answered:
            check, value = getattr(self, f"validate_{slot}", None), tracker.get_slot(slot)
            # What a fresh start has just cleared was the answer to an older question.
            if check and value is not None:
                events += _apply(tracker, check(value, dispatcher, tracker, domain))
        events += _apply(tracker, await self._other_order(dispatcher, tracker, shop))
        events += _apply(tracker, _unsaid(tracker))
        if answered or events:
            # Any event, even of an unneeded question to the shop, would tell Rasa that the message was an answer: then
            # no rule such as "never mind" could leave the form.
            events += _apply(tracker, await self._verify(dispatcher, tracker, shop))
        return [*events, *log.events()]

    def extract_ticket_reference(
        self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Find a ticket reference in the message."""
        found = clean_reference(latest_text(tracker))
        return {REFERENCE: found} if found else {}

    def validate_order_number(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept one number of the right shape."""
        # The slot keeps only the last of several numbers, so the message itself is looked at.
        given = references.meant(tracker)
        if len(given) > 1:
            dispatcher.utter_message(text=texts.ONE_NUMBER)
            return {ORDER: None}
        cleaned = given[0] if given else clean_order_number(value)
        if cleaned is None:
            dispatcher.utter_message(text=texts.BAD_NUMBER)
        return {ORDER: cleaned}

    def validate_email(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept one address of the right shape."""
        cleaned = clean_email(value)
        if cleaned is None:
            dispatcher.utter_message(text=texts.BAD_EMAIL)
        return {EMAIL: cleaned}

    def validate_ticket_reference(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept a reference of the right shape."""
        return {REFERENCE: clean_reference(str(value))}

    def validate_issue(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept anything that says something."""
        return {ISSUE: _long_enough(value, SHORTEST_ISSUE, dispatcher)}

    def validate_new_address(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept anything that could be an address."""
        return {ADDRESS: _long_enough(value, SHORTEST_ADDRESS, dispatcher)}

    def validate_confirmed(
        self, value: object, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]
    ) -> dict[str, Any]:
        """Accept yes and no."""
        return {CONFIRMED: value if value in ("yes", "no") else None}

    async def _other_order(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> dict[str, Any]:
        """Follow a customer who means another order than the last, or names one that cannot be."""
        current, requested = TASKS.get(task(tracker) or ""), tracker.get_slot(REQUESTED)
        if current is None or ORDER not in current.needs or requested in FREE_TEXT:
            return {}
        unknown = references.no_order(tracker, asked_for_it=requested in (ORDER, CONFIRMED))
        if unknown:
            dispatcher.utter_message(text=texts.unknown_order(unknown))
            return {ORDER: None}
        if not references.means_other(tracker) or INFORM in this_turn_ran(tracker):
            return {}
        found = await references.others(tracker, shop)
        return {ORDER: found[0] if len(found) == 1 else None}

    async def _verify(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> dict[str, Any]:
        """Check that number and address belong together, and that the order allows the task."""
        current = TASKS.get(task(tracker) or "")
        number, address = order_number(tracker), email(tracker)
        if current is None or not current.is_personal or number is None or address is None:
            return {}
        if text_slot(tracker, CONFIRMED):
            return {}  # checked before the question was asked, and again by the shop when it acts
        try:
            order, owner = await _details(shop, number, address, verified_email(tracker))
        except ShopUnavailable:
            return {CHECK: CHECK_UNAVAILABLE}  # the action at the end of the form says so
        except Refused as error:
            # Too many wrong guesses. Nothing is proven: the form must neither go on nor ask to confirm.
            explain(dispatcher, tracker, error)
            return {CHECK: CHECK_LOCKED}
        except ShopError as error:
            return {event["name"]: event["value"] for event in explain(dispatcher, tracker, error)}
        found = {EMAIL: owner} if owner != address else {}
        return found if _allows(order, current.name) else {**found, CHECK: CHECK_REFUSED}


def _apply(tracker: Tracker, values: dict[str, Any]) -> Events:
    """Make new values visible to the next check, and report them."""
    tracker.slots.update(values)
    return [SlotSet(name, value) for name, value in values.items()]


def _fresh_start(tracker: Tracker) -> dict[str, Any]:
    """Clear the answers of an earlier task; a message that tells what happened counts as the description."""
    current = TASKS.get(task(tracker) or "")
    message = told(tracker)
    tells = (
        current is not None
        and current.first_message_tells
        and intent(tracker) == current.name
        and len(message.split()) >= TELLING_WORDS
    )
    known = verified_email(tracker)
    signed = {EMAIL: known} if known and not email(tracker) else {}
    return {CHECK: None, CONFIRMED: None, ADDRESS: None, ISSUE: message if tells else None, **signed}


def _unsaid(tracker: Tracker) -> dict[str, Any]:
    """Take an answer back that was given about another order: "no, 10017" and "yes, 10017" confirm nothing yet."""
    if tracker.get_slot(REQUESTED) != CONFIRMED:
        return {}
    changed = any(value_before(tracker, slot) != tracker.get_slot(slot) for slot in (ORDER, EMAIL))
    return {CONFIRMED: None, CHECK: None} if changed else {}


async def _details(shop: Shop, number: str, address: str, signed: str | None) -> tuple[OrderDetails, str]:
    """The order with the address that opens it: the one given, or else the one the host page vouches for."""
    try:
        return await shop.order_details(number, address), address
    except NotVerified:
        if signed is None or signed == address:
            raise
        return await shop.order_details(number, signed), signed


def _switch_task(tracker: Tracker, answered: dict[str, Any]) -> dict[str, Any]:
    """Follow a customer who asks for something else instead of answering the question."""
    wanted, requested = intent(tracker), tracker.get_slot(REQUESTED)
    if wanted not in TASKS or requested in answered or requested in FREE_TEXT:
        return {}
    if wanted == task(tracker):
        # Repeating the wish is no answer; setting the slot again makes the form repeat its question.
        return {"task": wanted}
    return {"task": wanted, CHECK: None, CONFIRMED: None, ADDRESS: None, ISSUE: None}


def _allows(order: OrderDetails, name: str) -> bool:
    """Whether the order is in a state that allows the task."""
    if name in ("cancel_order", "change_delivery_address"):
        return order.can_cancel
    if name == "return_item":
        return order.can_return
    return True


def _long_enough(value: object, shortest: int, dispatcher: CollectingDispatcher) -> str | None:
    text = str(value).strip()
    if len(text) >= shortest:
        return text
    dispatcher.utter_message(text=texts.TOO_SHORT)
    return None
