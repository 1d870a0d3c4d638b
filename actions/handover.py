"""Handing a conversation to a person: a ticket with all that helps, an honest word, and silence where somebody comes.

The slot `handover` in the conversation is what the desk goes by: it reads the tracker store, so that no hand-over is
lost when the desk or its network is away at this moment.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from rasa_sdk import Tracker
from rasa_sdk.events import ActiveLoop, ConversationPaused, SlotSet
from rasa_sdk.executor import CollectingDispatcher

from actions import texts
from actions.base import Events, open_case
from actions.conversation import BACKEND_FAILURE, LONGEST_BODY, OFFER, email, is_command, task
from actions.services.desk_client import DeskLine, Outlook, desk_from_environment
from actions.services.shop_api import Shop, ShopError, ShopUnavailable, Ticket
from actions.tasks import REFERENCE

logger = logging.getLogger(__name__)

HANDOVER = "handover"  # slot: {"id", "reason", "topic", "mood", "live", "reference", "due_at", "channel"}
ESCALATE = "escalate"  # slot: why the policy sends the conversation to a person, {"reason", "topic"}
ASKED, NOT_UNDERSTOOD, FRUSTRATED = "asked", "not_understood", "frustrated"
SERVICE_FAILED, OFFERED = "service_failed", "offered"
CARD_SLOTS = ("task", "order_number", "email", "issue", "new_address")
Connect = Callable[[], DeskLine]


async def hand_over(
    dispatcher: CollectingDispatcher,
    tracker: Tracker,
    shop: Shop,
    reason: str,
    topic: str = "",
    connect: Connect = desk_from_environment,
) -> Events:
    """Bring a person in; where nobody can come now, open a ticket and say by when it is answered."""
    outlook = await connect().outlook(tracker.sender_id)
    ticket, problem = await _open_ticket(shop, tracker, reason, topic)
    if ticket is None and outlook is None:
        uncertain = isinstance(problem, ShopUnavailable) and problem.may_have_happened
        dispatcher.utter_message(text=texts.DESK_UNCERTAIN if uncertain else texts.DESK_UNAVAILABLE)
        # No new offer: promising a person who just couldn't be reached would go round in circles.
        return [*_used(tracker), *_failure(problem), *_leave_form(tracker)]
    reference = ticket.reference if ticket else ""
    live = bool(outlook and outlook.is_live)
    dispatcher.utter_message(text=_announcement(tracker, outlook, reference))
    events: Events = [
        *_used(tracker),
        SlotSet(HANDOVER, _record(tracker, reason, topic, live, reference, outlook)),
        *_failure(problem),
        *_leave_form(tracker),
    ]
    if reference:
        events.insert(0, SlotSet(REFERENCE, reference))
    if live:
        # From here on Rasa only keeps what the customer writes.
        events.append(ConversationPaused())
    return events


async def can_come(connect: Connect = desk_from_environment) -> bool:
    """Whether somebody at the desk could come now."""
    outlook = await connect().outlook()
    return outlook is not None and outlook.is_live


def reason_of_offer(tracker: Tracker) -> str:
    """Why the person was offered that the customer has just accepted: the newest cause of this session."""
    for event in reversed(tracker.events):
        if event.get("event") in ("session_started", "restart"):
            break
        if event.get("event") == "slot" and event.get("value"):
            if event.get("name") == BACKEND_FAILURE:
                return SERVICE_FAILED
            if event.get("name") == OFFER and isinstance(event.get("value"), str):
                cause = _cause_before(tracker, event)
                if cause:
                    return cause
    return OFFERED


def _cause_before(tracker: Tracker, offer: dict[str, Any]) -> str | None:
    """What the turn that made an offer was about."""
    actions: list[object] = []
    for event in tracker.events:
        if event is offer:
            break
        if event.get("event") == "user":
            actions = []
        elif event.get("event") == "action":
            actions.append(event.get("name"))
    if "action_offer_person" in actions:
        return FRUSTRATED
    return NOT_UNDERSTOOD if "action_fallback" in actions else None


async def _open_ticket(shop: Shop, tracker: Tracker, reason: str, topic: str) -> tuple[Ticket | None, ShopError | None]:
    body = ticket_body(tracker, reason, topic)
    try:
        return await open_case(shop, tracker, "talk_to_person", body), None
    except ShopError as error:
        logger.warning("ticket of a handover failed: conversation=%s operation=%s", tracker.sender_id, error.operation)
        return None, error


def ticket_body(tracker: Tracker, reason: str, topic: str = "") -> str:
    """What a person needs who has nothing but the ticket; of a long conversation the newest part."""
    about = f" ({topic})" if topic else ""
    head = [f"{texts.REASONS.get(reason, reason)}{about}. Task: {task(tracker) or 'none'}. Mood: {mood(tracker):.1f}."]
    card = [f"{name}: {value}" for name in CARD_SLOTS if (value := tracker.get_slot(name)) and name != "task"]
    if card:
        head.append("As the customer told it: " + "; ".join(card))
    earlier = [event for event in tracker.events if event.get("name") == HANDOVER and event.get("value")]
    if earlier:
        head.append(f"Earlier hand-overs in this conversation: {len(earlier)}.")
    start = "\n".join(head)[: LONGEST_BODY // 2]
    lines = [line for event in tracker.events if (line := _line(event))]
    said = "\n".join(lines)
    room = LONGEST_BODY - len(start) - 8
    if len(said) > room:
        said = "[...]\n" + said[-(room - 6) :]
    return f"{start}\n\n{said}".strip()


def mood(tracker: Tracker) -> float:
    """How frustrated the customer was at most in this session, 0 to 1."""
    strongest = 0.0
    for event in tracker.events:
        if event.get("event") in ("session_started", "restart"):
            strongest = 0.0
        elif event.get("event") == "user":
            sentiment = (event.get("parse_data") or {}).get("sentiment") or {}
            found = sentiment.get("frustration")
            if isinstance(found, (int, float)):
                strongest = max(strongest, float(found))
    return strongest


def _record(
    tracker: Tracker, reason: str, topic: str, live: bool, reference: str, outlook: Outlook | None
) -> dict[str, Any]:
    turns = sum(event.get("event") == "user" for event in tracker.events)
    message = str(tracker.latest_message.get("message_id") or "")
    return {
        # Asked once, recorded once: an action that is run again for the same message makes the same id.
        "id": f"{message or 'turn'}-{turns}",
        "reason": reason,
        "topic": topic or task(tracker) or "",
        "mood": round(mood(tracker), 3),
        "live": live,
        "reference": reference,
        "due_at": outlook.due_at if outlook else None,
        "channel": tracker.get_latest_input_channel() or "",
    }


def _announcement(tracker: Tracker, outlook: Outlook | None, reference: str) -> str:
    if outlook is None:
        return texts.handed_over(reference, email(tracker) is not None)
    if outlook.is_live:
        return texts.handed_over_live(outlook.ahead, reference)
    return texts.promised(reference, outlook.due, outlook.opens)


def _used(tracker: Tracker) -> Events:
    """What the policy said counts for one hand-over."""
    return [SlotSet(ESCALATE, None)] if tracker.get_slot(ESCALATE) else []


def _failure(problem: ShopError | None) -> Events:
    return [SlotSet(BACKEND_FAILURE, f"shop.{problem.operation}")] if problem else []


def _leave_form(tracker: Tracker) -> Events:
    """A form that went on asking would talk over the person."""
    if tracker.active_loop_name is None:
        return []
    return [ActiveLoop(None), SlotSet("requested_slot", None)]


def _line(event: dict[str, Any]) -> str:
    if event.get("event") not in ("user", "bot"):
        return ""
    metadata = event.get("metadata") or {}
    text = str(metadata.get("shown_text") or event.get("text") or "").strip()
    if not text:
        return ""
    if event["event"] == "bot":
        return f"{metadata.get('agent') or 'Assistant'}: {text}"
    return f"Customer: {_pressed(text) if is_command(text) else text}"


def _pressed(payload: str) -> str:
    """A button's payload without what a program adds to it."""
    name, brace, rest = payload.partition("{")
    try:
        values = json.loads(brace + rest) if brace else {}
    except ValueError:
        values = {}
    return f"[{name.lstrip('/')}]" + (f" {', '.join(map(str, values.values()))}" if isinstance(values, dict) else "")
