"""The conversation itself: not understanding, yes and no, bare numbers, and changing one's mind."""

from __future__ import annotations

from typing import Any

from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction, SlotSet, UserUtteranceReverted
from rasa_sdk.executor import CollectingDispatcher

from actions import clarify, references, texts
from actions.base import TALK_TO_PERSON, YES_NO, Connect, Events, ShopAction, explain
from actions.conversation import (
    OFFER,
    PERSON,
    asked_back_before,
    fallbacks_before,
    was_offered,
)
from actions.handover import NOT_UNDERSTOOD, can_come, hand_over, reason_of_offer
from actions.handover import Connect as DeskConnect
from actions.services.call_log import CallLog
from actions.services.desk_client import desk_from_environment
from actions.services.shop_api import Shop, ShopError
from actions.services.shop_client import shop_from_environment
from actions.tasks import ADDRESS, CONFIRMED, EMAIL, FORM, ISSUE, ORDER


class Fallback(Action):
    """Ask what was meant where two things are equally likely; else ask to rephrase, then bring or offer a person."""

    MOST_MISSES = 2  # misunderstandings in a row after which a further question would only annoy

    def __init__(self, connect: Connect = shop_from_environment, desk: DeskConnect = desk_from_environment) -> None:
        """Remember how to reach the shop and the desk; they are reached only when a person is needed."""
        self._connect = connect
        self._desk = desk

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
        if await can_come(self._desk):
            log = CallLog()
            events = await hand_over(dispatcher, tracker, log.around(self._connect()), NOT_UNDERSTOOD, "", self._desk)
            return [*events, *log.events()]
        # A ticket that nobody has asked for helps nobody: where no person is there, it is their choice.
        dispatcher.utter_message(text=texts.OFFER_PERSON, buttons=YES_NO)
        return [SlotSet(OFFER, PERSON)]


class OfferPerson(Action):
    """Offer a person to a customer who is frustrated; the answer to what they wrote has come before it."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_offer_person"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Offer it; a yes to the very next question brings one."""
        dispatcher.utter_message(text=texts.OFFER_FRUSTRATED, buttons=YES_NO)
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

    def __init__(self, connect: Connect = shop_from_environment, desk: DeskConnect = desk_from_environment) -> None:
        """Remember how to reach the shop and the desk; they are reached only when the action runs."""
        super().__init__(connect)
        self._desk = desk

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_affirm"

    async def answer(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Try the desk even when an earlier question to the shop failed."""
        return await self.act(dispatcher, tracker, shop)

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Hand over if a person was offered."""
        if was_offered(tracker, PERSON):
            return await hand_over(dispatcher, tracker, shop, reason_of_offer(tracker), "", self._desk)
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

    async def answer(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Ask the shop even when it failed a form some time ago."""
        try:
            return await self.act(dispatcher, tracker, shop)
        except ShopError as error:
            return explain(dispatcher, tracker, error)

    async def act(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop) -> Events:
        """Go on with the order that is meant, or say what is missing."""
        unknown = references.no_order(tracker, asked_for_it=True)
        if unknown:
            dispatcher.utter_message(text=texts.unknown_order(unknown))
            return [SlotSet(ORDER, None)]
        other = references.means_other(tracker)
        numbers = await references.others(tracker, shop) if other else references.meant(tracker)
        if len(numbers) == 1:
            return await self._go_on(dispatcher, tracker, shop, numbers[0])
        if numbers or other:
            text = texts.WHICH_ORDER if other else texts.ONE_NUMBER
            dispatcher.utter_message(text=text, buttons=references.choices(tracker, numbers) or None)
        elif next(tracker.get_latest_entity_values(EMAIL), None):
            dispatcher.utter_message(text=texts.INFORM_EMAIL)
        else:
            dispatcher.utter_message(text=texts.INFORM_NOTHING)
        return []

    async def _go_on(self, dispatcher: CollectingDispatcher, tracker: Tracker, shop: Shop, number: str) -> Events:
        """Do for this order what was just done for another; else say where it is."""
        if references.can_repeat(tracker):
            return [SlotSet(ORDER, number), FollowupAction(FORM)]
        order = await shop.order_status(number)
        dispatcher.utter_message(text=texts.order_status(order), buttons=TALK_TO_PERSON if order.late else None)
        return [SlotSet(ORDER, number)]


class NeverMind(Action):
    """Drop what was going on."""

    def name(self) -> str:
        """Name this action as the domain does."""
        return "action_never_mind"

    async def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        """Forget the half-given answers; the order and the address stay for the next question."""
        dispatcher.utter_message(text=texts.NEVER_MIND)
        return [SlotSet(slot, None) for slot in (ISSUE, ADDRESS, CONFIRMED)]
