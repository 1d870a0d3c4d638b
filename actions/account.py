"""The customer's account: store credit, passwords, and changes that a person makes."""

from __future__ import annotations

from rasa_sdk import Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import Events, IncompleteTask, ShopAction, identity, report
from actions.conversation import email, is_confirmed, request_key, task
from actions.services.shop_api import Shop


class AccountBalance(ShopAction):
    """Say how much store credit there is."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_account_balance"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Look the credit up."""
        number, address = identity(tracker)
        dispatcher.utter_message(text=texts.balance(await shop.balance(number, address)))
        return []


class ResetPassword(ShopAction):
    """Have a reset code mailed after a yes, without telling whether there is an account."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_reset_password"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Ask the shop for the code."""
        address = email(tracker)
        if address is None:
            raise IncompleteTask("reset_password: the email is missing; let the form ask for it")
        said = is_confirmed(tracker)
        if said:
            await shop.reset_password(address, request_key(tracker, "reset_password"))
            dispatcher.utter_message(text=texts.RESET_SENT)
        else:
            dispatcher.utter_message(text=texts.NOT_DONE if said is False else texts.ASK_AGAIN)
        return []


class AccountRequest(ShopAction):
    """Pass a change of contact details, or a deletion after a yes, on to the service desk."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_account_request"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Open a ticket."""
        identity(tracker)
        if task(tracker) == "delete_account" and not is_confirmed(tracker):
            dispatcher.utter_message(text=texts.NOT_DONE)
            return []
        return await report(dispatcher, tracker, shop)
