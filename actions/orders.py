"""Orders: where they are, what they hold, and changing or canceling them while that is possible."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.events import SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import TALK_TO_PERSON, Events, ShopAction, identity, open_case, report
from actions.conversation import is_confirmed, order_number, text_slot
from actions.services.shop_api import Shop
from actions.tasks import ADDRESS, REFERENCE


class TrackOrder(ShopAction):
    """Say where an order is; the number alone is enough."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_track_order"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Look the order up."""
        number = order_number(tracker)
        if number is None:
            dispatcher.utter_message(text=texts.BAD_NUMBER)
            return []
        order = await shop.order_status(number)
        dispatcher.utter_message(text=texts.order_status(order), buttons=TALK_TO_PERSON if order.late else None)
        return []


class OrderNotReceived(ShopAction):
    """Have a parcel traced that is said to be delivered; otherwise say where it is."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_order_not_received"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Compare what the customer says with what the shop knows."""
        number, email = identity(tracker)
        order = (await shop.order_details(number, email)).summary
        if order.status != "delivered":
            dispatcher.utter_message(text=texts.order_status(order), buttons=TALK_TO_PERSON)
            return []
        ticket = await open_case(
            shop, tracker, "order_not_received", "Delivered according to the carrier.", about=order.order_number
        )
        dispatcher.utter_message(text=texts.not_received(order, ticket.reference))
        return [SlotSet(REFERENCE, ticket.reference)]


class CancelOrder(ShopAction):
    """Cancel an order after a yes, as long as it hasn't left."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_cancel_order"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Cancel, or say why that can't be done."""
        number, email = identity(tracker)
        said = is_confirmed(tracker)
        if said is False:
            dispatcher.utter_message(text=texts.NOT_DONE)
        elif said:
            dispatcher.utter_message(text=texts.canceled(await shop.cancel_order(number, email)))
        else:
            order = await shop.order_details(number, email)
            text = texts.ASK_AGAIN if order.can_cancel else texts.cannot_cancel(order)
            dispatcher.utter_message(text=text)
        return []


class ChangeDeliveryAddress(ShopAction):
    """Send an order elsewhere after a yes, as long as it hasn't left."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_change_delivery_address"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Change the address, or say why that can't be done."""
        number, email = identity(tracker)
        said, address = is_confirmed(tracker), text_slot(tracker, ADDRESS)
        if said is False:
            dispatcher.utter_message(text=texts.NOT_DONE)
        elif said and address:
            order = await shop.change_address(number, email, address)
            dispatcher.utter_message(text=texts.address_changed(order))
        else:
            order = await shop.order_details(number, email)
            text = texts.ASK_AGAIN if order.can_cancel else texts.cannot_change_address(order)
            dispatcher.utter_message(text=text)
        return []


class OrderHistory(ShopAction):
    """List the customer's orders."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_order_history"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """List them, newest first."""
        number, email = identity(tracker)
        dispatcher.utter_message(text=texts.order_history(await shop.order_history(number, email)))
        return []


class ReportOrderProblem(ShopAction):
    """Pass a missing item or a wished change on to the service desk."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_report_order_problem"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open a ticket in the customer's own words."""
        return await report(dispatcher, tracker, shop)
