"""Payments: invoices, and charges that look wrong."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import Events, ShopAction, identity, report
from actions.conversation import request_key
from actions.services.shop_api import Shop


class DoubleCharge(ShopAction):
    """Have a second charge checked by a person."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_double_charge"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open a ticket for the payments team."""
        identity(tracker)
        return await report(dispatcher, tracker, shop)


class InvoiceRequest(ShopAction):
    """Have the invoice mailed to the order's own address."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_invoice_request"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Ask the shop to send it."""
        number, email = identity(tracker)
        await shop.send_invoice(number, email, request_key(tracker, "send_invoice"))
        dispatcher.utter_message(text=texts.INVOICE_SENT)
        return []
