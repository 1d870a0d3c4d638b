"""The shape that all actions share: a shop that is connected late, and one honest answer to each failure."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.conversation import (
    BACKEND_FAILURE,
    CHECK,
    CHECK_LOCKED,
    CHECK_UNAVAILABLE,
    OFFER,
    PERSON,
    email,
    new_ticket,
    order_number,
    task,
    text_slot,
)
from actions.services.call_log import CallLog
from actions.services.shop_api import (
    NotVerified,
    OrderUnknown,
    Refused,
    Shop,
    ShopError,
    ShopUnavailable,
    Ticket,
    TicketUnknown,
)
from actions.services.shop_client import shop_from_environment
from actions.tasks import EMAIL, ISSUE, ORDER, REFERENCE, TASKS

logger = logging.getLogger(__name__)

Events = list[EventType]
Connect = Callable[[], Shop]

YES_NO = [{"title": "Yes", "payload": "/affirm"}, {"title": "No", "payload": "/deny"}]
TALK_TO_PERSON = [{"title": "Talk to a person", "payload": "/talk_to_person"}]


class ShopAction(Action, ABC):
    """An action that asks the shop and never claims a success that the shop didn't confirm."""

    def __init__(self, connect: Connect = shop_from_environment) -> None:
        """Remember how to reach the shop; it is reached only when the action runs."""
        self._connect = connect

    @abstractmethod
    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Do the work; errors of the shop may pass through."""

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Do the work, and tell which questions the shop was asked."""
        log = CallLog()
        events = await self.answer(dispatcher, tracker, log.around(self._connect()))
        return [*events, *log.events()]

    async def answer(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Do the work, and answer for the shop when it fails."""
        if tracker.get_slot(CHECK) == CHECK_LOCKED:
            return [SlotSet(EMAIL, None)]  # proven by nothing, so it must not be taken for known later
        try:
            if tracker.get_slot(CHECK) == CHECK_UNAVAILABLE:
                # The form has waited for the shop a moment ago; the customer needn't wait again.
                raise ShopUnavailable("order_details", "The form couldn't reach the shop.", "Ask again later.")
            return await self.act(dispatcher, tracker, shop)
        except ShopError as error:
            return explain(dispatcher, tracker, error)


class IncompleteTask(Exception):
    """A task was started without what its table says it needs."""


def identity(tracker: Tracker) -> tuple[str, str]:
    """The order number and the email address that the form has collected."""
    number, address = order_number(tracker), email(tracker)
    if number is None or address is None:
        raise IncompleteTask(f"{task(tracker)}: order number or email is missing; let the form ask for it")
    return number, address


def explain(dispatcher: CollectingDispatcher, tracker: Tracker, error: ShopError) -> Events:
    """Tell the customer about a failure, and leave a trace that the learning loop can read."""
    if isinstance(error, OrderUnknown):
        dispatcher.utter_message(text=texts.unknown_order(order_number(tracker) or ""))
        return [SlotSet(ORDER, None)]
    if isinstance(error, NotVerified):
        dispatcher.utter_message(text=texts.not_verified(order_number(tracker) or ""), buttons=TALK_TO_PERSON)
        return [SlotSet(EMAIL, None)]
    if isinstance(error, TicketUnknown):
        dispatcher.utter_message(text=texts.unknown_ticket(str(tracker.get_slot(REFERENCE))))
        return [SlotSet(REFERENCE, None)]
    if isinstance(error, Refused):
        dispatcher.utter_message(text=texts.refused(error), buttons=TALK_TO_PERSON)
        return []
    logger.warning("shop failed: conversation=%s operation=%s", tracker.sender_id, error.operation)
    uncertain = isinstance(error, ShopUnavailable) and error.may_have_happened
    dispatcher.utter_message(text=texts.UNCERTAIN if uncertain else texts.UNAVAILABLE, buttons=TALK_TO_PERSON)
    return [SlotSet(BACKEND_FAILURE, f"shop.{error.operation}"), SlotSet(OFFER, PERSON)]


async def open_case(shop: Shop, tracker: Tracker, topic: str, body: str, about: str = "") -> Ticket:
    """Open a ticket about this conversation; `about` tells it from others of its topic."""
    ticket = await shop.open_ticket(new_ticket(tracker, topic, body, about))
    logger.info("ticket opened: conversation=%s reference=%s", tracker.sender_id, ticket.reference)
    return ticket


async def report(dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
    """Open a ticket about the task at hand with what the customer wrote."""
    what = task(tracker) or "create_ticket"
    body = text_slot(tracker, ISSUE) or f"The customer wants us to {TASKS[what].goal}."
    about = f"{order_number(tracker)} {body}"
    ticket = await open_case(shop, tracker, what, body, about)
    dispatcher.utter_message(text=texts.case_opened(what, ticket))
    return [SlotSet(REFERENCE, ticket.reference)]
