"""The conversation itself: not understanding, yes and no, bare numbers, and changing one's mind."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import SlotSet, UserUtteranceReverted
from rasa_sdk.executor import CollectingDispatcher

from actions import clarify, texts
from actions.base import TALK_TO_PERSON, YES_NO, Events, ShopAction
from actions.conversation import (
    OFFER,
    PERSON,
    asked_back_before,
    clean_order_number,
    fallbacks_before,
    was_offered,
)
from actions.services.shop_api import Shop
from actions.tasks import ADDRESS, CONFIRMED, EMAIL, ISSUE, ORDER
from actions.tickets import hand_over


class Fallback(Action):
    """Ask what was meant where two things are equally likely; else ask to rephrase, then offer a person."""

    MOST_MISSES = 2  # misunderstandings in a row after which a further question would only annoy

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_fallback"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Give the answer that a button asks for, or count the misunderstandings in a row."""
        answer = clarify.chosen_answer(tracker, domain)
        if answer:
            dispatcher.utter_message(response=f"utter_{answer}")
            return []
        misses = fallbacks_before(tracker, self.name())
        labels = clarify.candidates(tracker, domain)
        if labels and misses < self.MOST_MISSES and not asked_back_before(tracker):
            clarify.ask(dispatcher, tracker, domain, labels)
            return []
        if misses == 0:
            dispatcher.utter_message(text=texts.REPHRASE)
            return []
        dispatcher.utter_message(text=texts.OFFER_PERSON, buttons=YES_NO)
        return [SlotSet(OFFER, PERSON)]


class DefaultFallback(Action):
    """Replace Rasa's silent answer to a state that no rule covers."""

    def name(self) -> str:
        """Name this action as Rasa does."""
        return "action_default_fallback"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Ask again and take the message back, so that the next one starts from a known state."""
        dispatcher.utter_message(text=texts.DEFAULT, buttons=TALK_TO_PERSON)
        return [UserUtteranceReverted()]


class Affirm(ShopAction):
    """Take a yes as the answer to what was offered, or ask what it is about."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_affirm"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Try the desk even when an earlier question to the shop failed."""
        return await self.act(dispatcher, tracker, self._connect())

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Hand over if a person was offered."""
        if was_offered(tracker, PERSON):
            return await hand_over(dispatcher, tracker, shop, "The customer accepted the offer of a person.")
        if tracker.active_loop_name is None:
            dispatcher.utter_message(text=texts.AFFIRM)
        return []


class Deny(Action):
    """Take a no calmly."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_deny"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Ask what else there is, unless a form is about to ask its own question."""
        if tracker.active_loop_name is None:
            dispatcher.utter_message(text=texts.DENY)
        return []


class Inform(ShopAction):
    """Make the best of a message that only gives a number or an address."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_inform"

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Say where the order is, or what is missing."""
        given = [clean_order_number(value) for value in tracker.get_latest_entity_values(ORDER)]
        numbers = list(dict.fromkeys(number for number in given if number))
        if len(numbers) > 1:
            dispatcher.utter_message(text=texts.ONE_NUMBER)
        elif numbers:
            order = await shop.order_status(numbers[0])
            dispatcher.utter_message(text=texts.order_status(order), buttons=TALK_TO_PERSON if order.late else None)
        elif next(tracker.get_latest_entity_values(EMAIL), None):
            dispatcher.utter_message(text=texts.INFORM_EMAIL)
        else:
            dispatcher.utter_message(text=texts.INFORM_NOTHING)
        return []


class NeverMind(Action):
    """Drop what was going on."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_never_mind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Forget the half-given answers; the order and the address stay for the next question."""
        dispatcher.utter_message(text=texts.NEVER_MIND)
        return [SlotSet(slot, None) for slot in (ISSUE, ADDRESS, CONFIRMED)]
