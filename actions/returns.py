"""Returns: sending things back, refunds, and things that arrived wrong or broken."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import YES_NO, Events, ShopAction, identity, report
from actions.conversation import OFFER, PERSON, is_confirmed
from actions.services.shop_api import Shop


class ReturnItem(ShopAction):
    """Start a return after a yes, as long as the return window is open."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_return_item"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Start the return, or say why that can't be done."""
        number, email = identity(tracker)
        said = is_confirmed(tracker)
        if said is False:
            dispatcher.utter_message(text=texts.NOT_DONE)
        elif said:
            made = await shop.request_return(number, email)
            dispatcher.utter_message(text=texts.return_started(made.reference, made.order_number))
        else:
            order = await shop.order_details(number, email)
            text = texts.ASK_AGAIN if order.can_return else texts.cannot_return(order)
            dispatcher.utter_message(text=text)
        return []


class RefundStatus(ShopAction):
    """Say how far a refund is."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_refund_status"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Look the refund up; when there is none, offer a person."""
        number, email = identity(tracker)
        state = await shop.refund(number, email)
        if state.state == "none":
            dispatcher.utter_message(text=texts.refund(state), buttons=YES_NO)
            return [SlotSet(OFFER, PERSON)]
        dispatcher.utter_message(text=texts.refund(state))
        return []


class ReportItem(ShopAction):
    """Pass a damaged or wrong item or a warranty claim on to the service desk."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_report_item"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open a ticket in the customer's own words."""
        return await report(dispatcher, tracker, shop)
