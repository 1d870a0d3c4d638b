"""Tickets and people: opening a case, asking about one, and handing over."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import Connect, Events, ShopAction, report
from actions.conversation import text_slot
from actions.handover import ASKED, ESCALATE, hand_over
from actions.handover import Connect as DeskConnect
from actions.services.desk_client import desk_from_environment
from actions.services.shop_api import Shop
from actions.services.shop_client import shop_from_environment
from actions.tasks import REFERENCE


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
    """Hand the conversation to a person."""

    def __init__(self, connect: Connect = shop_from_environment, desk: DeskConnect = desk_from_environment) -> None:
        """Remember how to reach the shop and the desk; they are reached only when the action runs."""
        super().__init__(connect)
        self._desk = desk

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_talk_to_person"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Hand over, for the reason that the policy gives or because the customer asked."""
        why = tracker.get_slot(ESCALATE)
        why = why if isinstance(why, dict) else {}
        reason, topic = str(why.get("reason") or ASKED), str(why.get("topic") or "")
        return await hand_over(dispatcher, tracker, shop, reason, topic, self._desk)

    async def answer(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Try the desk even when an earlier question to the shop failed."""
        return await self.act(dispatcher, tracker, shop)
