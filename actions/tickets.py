"""Tickets and people: opening a case, asking about one, and handing over."""

from __future__ import annotations

import logging

from rasa_sdk import Tracker
from rasa_sdk.events import ActiveLoop, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import Events, ShopAction, open_case, report
from actions.conversation import BACKEND_FAILURE, email, last_messages, task, text_slot
from actions.services.shop_api import Shop, ShopError, ShopUnavailable
from actions.tasks import REFERENCE

logger = logging.getLogger(__name__)


class CreateTicket(ShopAction):
    """Open a ticket, or file a complaint, in the customer's own words."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_create_ticket"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open the ticket."""
        return await report(dispatcher, tracker, shop)


class TicketStatus(ShopAction):
    """Say how far a ticket is."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_ticket_status"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Look the ticket up."""
        ticket = await shop.ticket(text_slot(tracker, REFERENCE) or "")
        dispatcher.utter_message(text=texts.ticket_state(ticket))
        return []


class TalkToPerson(ShopAction):
    """Hand the conversation to the service desk and say the reference."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_talk_to_person"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open a ticket with the reason and the last messages."""
        return await hand_over(dispatcher, tracker, shop, "The customer asked for a person.")

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, object]) -> Events:
        """Try the desk even when an earlier question to the shop failed."""
        return await self.act(dispatcher, tracker, self._connect())


async def hand_over(dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop, reason: str) -> Events:
    """Open a ticket for a person; when even that fails, say how to reach one without the bot."""
    about = f"Task: {task(tracker) or 'none'}."
    try:
        ticket = await open_case(shop, tracker, "talk_to_person", f"{reason} {about}\n{last_messages(tracker)}".strip())
    except ShopError as error:
        logger.warning("handover failed: conversation=%s operation=%s", tracker.sender_id, error.operation)
        uncertain = isinstance(error, ShopUnavailable) and error.may_have_happened
        dispatcher.utter_message(text=texts.DESK_UNCERTAIN if uncertain else texts.DESK_UNAVAILABLE)
        # No new offer: promising a person who just couldn't be reached would go round in circles.
        return [SlotSet(BACKEND_FAILURE, f"shop.{error.operation}"), *_leave_form(tracker)]
    dispatcher.utter_message(text=texts.handed_over(ticket.reference, email(tracker) is not None))
    return [SlotSet(REFERENCE, ticket.reference), *_leave_form(tracker)]


def _leave_form(tracker: Tracker) -> Events:
    """A form that went on asking would talk over the person."""
    if tracker.active_loop_name is None:
        return []
    return [ActiveLoop(None), SlotSet("requested_slot", None)]
