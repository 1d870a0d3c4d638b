"""The questions of the form, in words that fit the task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.executor import CollectingDispatcher

from actions import references, texts
from actions.base import YES_NO, Connect, Events
from actions.conversation import email, intent, order_number, task, text_slot
from actions.services.shop_client import shop_from_environment
from actions.tasks import ADDRESS, CONFIRMED, EMAIL, FORM, ISSUE, ORDER, REFERENCE


class AskSlot(Action, ABC):
    """Ask for one slot of the form, in words that fit the task."""

    @property
    @abstractmethod
    def slot(self) -> str:
        """The slot to ask for."""

    def name(self) -> str:
        """Name this action as the form expects it."""
        return f"action_ask_{FORM}_{self.slot}"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Ask; the first question of a task says what it is for."""
        current = task(tracker)
        first = intent(tracker) == current
        dispatcher.utter_message(
            text=texts.question(
                self.slot,
                current,
                first,
                number=order_number(tracker) or "",
                email=email(tracker) or "",
                address=text_slot(tracker, ADDRESS) or "",
            ),
            buttons=await self.buttons(tracker),
        )
        return []

    async def buttons(self, tracker: Tracker) -> list[dict[str, Any]] | None:
        """What can be answered with a click."""
        return None


class AskOrderNumber(AskSlot):
    """Ask for the order number, and offer the customer's own orders where they spoke of another one."""

    slot = ORDER

    def __init__(self, connect: Connect = shop_from_environment) -> None:
        """Remember how to reach the shop; it is reached only when there are orders to offer."""
        self._connect = connect

    async def buttons(self, tracker: Tracker) -> list[dict[str, Any]] | None:
        """The orders that may be meant."""
        if references.means_other(tracker):
            numbers = await references.others(tracker, self._connect())
        else:
            numbers = references.meant(tracker)
        return references.choices(tracker, numbers) if len(numbers) > 1 else None


class AskEmail(AskSlot):
    """Ask for the email address."""

    slot = EMAIL


class AskIssue(AskSlot):
    """Ask what happened."""

    slot = ISSUE


class AskNewAddress(AskSlot):
    """Ask for the new address."""

    slot = ADDRESS


class AskTicketReference(AskSlot):
    """Ask for the ticket reference."""

    slot = REFERENCE


class AskConfirmed(AskSlot):
    """Ask for a yes before anything is changed."""

    slot = CONFIRMED

    async def buttons(self, tracker: Tracker) -> list[dict[str, Any]] | None:
        """Yes and no."""
        return YES_NO
