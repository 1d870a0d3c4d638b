"""What the actions read from the conversation so far; the NLU result comes from here and nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from rasa_sdk import Tracker

from actions.services.shop_api import NewTicket
from actions.tasks import CONFIRMED, EMAIL, ORDER

OFFER = "offer"  # slot: what the bot has just offered to do
PERSON = "person"
BACKEND_FAILURE = "backend_failure"  # slot: the last operation that failed; read by the learning loop
CHECK = "check"  # slot: what the form found before asking to confirm
CHECK_REFUSED = "refused"
CHECK_UNAVAILABLE = "unavailable"

ORDER_NUMBER = re.compile(r"#?(1\d{4})")
EMAIL_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
TICKET_REFERENCE = re.compile(r"\bT-?(\d{3,10})\b", re.IGNORECASE)
LONGEST_BODY = 3_500  # the shop takes 4,000 characters; the rest is for the heading
LAST_MESSAGES = 3  # enough for a person to see what it is about


def text_slot(tracker: Tracker, name: str) -> str | None:
    """A slot's text, or None when it is empty."""
    value = tracker.get_slot(name)
    return value.strip() if isinstance(value, str) and value.strip() else None


def clean_order_number(value: object) -> str | None:
    """The five digits of an order number, without the hash sign."""
    match = ORDER_NUMBER.fullmatch(str(value).strip())
    return match.group(1) if match else None


def clean_email(value: object) -> str | None:
    """An email address in lower case."""
    cleaned = str(value).strip().lower()
    return cleaned if EMAIL_ADDRESS.fullmatch(cleaned) else None


def clean_reference(text: str) -> str | None:
    """The ticket reference in a text."""
    match = TICKET_REFERENCE.search(text)
    return f"T-{match.group(1)}" if match else None


def order_number(tracker: Tracker) -> str | None:
    """The order that the customer means."""
    value = text_slot(tracker, ORDER)
    return clean_order_number(value) if value else None


def email(tracker: Tracker) -> str | None:
    """The customer's email address."""
    value = text_slot(tracker, EMAIL)
    return clean_email(value) if value else None


def task(tracker: Tracker) -> str | None:
    """What the customer is trying to get done."""
    return text_slot(tracker, "task")


def is_confirmed(tracker: Tracker) -> bool | None:
    """Whether the customer said yes or no; None when they weren't asked."""
    return {"yes": True, "no": False}.get(text_slot(tracker, CONFIRMED) or "")


def intent(tracker: Tracker) -> str | None:
    """The intent of the latest message."""
    found = (tracker.latest_message.get("intent") or {}).get("name")
    return str(found) if found else None


def latest_text(tracker: Tracker) -> str:
    """The latest message."""
    return str(tracker.latest_message.get("text") or "")


def was_offered(tracker: Tracker, what: str) -> bool:
    """Whether the bot's turn just before the latest message offered this."""
    for event in _previous_turn(tracker):
        if event.get("event") == "slot" and event.get("name") == OFFER:
            return bool(event.get("value") == what)
    return False


def fallbacks_before(tracker: Tracker, action: str) -> int:
    """How many of the customer's turns in a row, up to the one before this, ended in this action."""
    in_a_row = 0
    understood = True
    seen_latest = False
    for event in reversed(tracker.events):
        kind = event.get("event")
        if kind in ("session_started", "restart"):
            break
        if kind == "action" and event.get("name") == action and seen_latest:
            understood = False
        if kind == "user":
            if seen_latest:
                if understood:
                    break
                in_a_row += 1
            seen_latest = True
            understood = True
    return in_a_row


def new_ticket(tracker: Tracker, topic: str, body: str) -> NewTicket:
    """A ticket about this conversation, with the same key however often this message is handled."""
    message = tracker.latest_message.get("message_id") or latest_text(tracker)
    turns = sum(1 for event in tracker.events if event.get("event") == "user")
    seed = "\x1f".join((tracker.sender_id, str(message), str(turns), topic))
    return NewTicket(
        key=hashlib.sha256(seed.encode()).hexdigest(),
        topic=topic,
        body=body[:LONGEST_BODY],
        email=email(tracker),
        order_number=order_number(tracker),
    )


def last_messages(tracker: Tracker) -> str:
    """The customer's last few messages, for the person who takes over."""
    texts = [
        str(event.get("text"))
        for event in tracker.events
        if event.get("event") == "user" and event.get("text") and not str(event["text"]).startswith("/")
    ]
    return "\n".join(texts[-LAST_MESSAGES:])


def _previous_turn(tracker: Tracker) -> list[Mapping[str, Any]]:
    """The events between the last two messages, newest first."""
    turn: list[Mapping[str, Any]] = []
    users = 0
    for event in reversed(tracker.events):
        if event.get("event") == "user":
            users += 1
            if users == 2:
                break
        elif users == 1:
            turn.append(event)
    return turn
