"""What the actions read from the conversation so far; the NLU result comes from here and nowhere else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from rasa_sdk import Tracker

from actions.services.call_log import OK, SLOT
from actions.services.shop_api import NewTicket
from actions.tasks import CONFIRMED, EMAIL, ORDER

OFFER = "offer"  # slot: what the bot has just offered to do
PERSON = "person"
BACKEND_FAILURE = "backend_failure"  # slot: the last operation that failed; read by the learning loop
CHECK = "check"  # slot: what the form found before asking to confirm
CHECK_REFUSED = "refused"
CHECK_UNAVAILABLE = "unavailable"
CHECK_LOCKED = "locked"  # the shop hears no more guesses; the form has said so
FALLBACK_INTENT = "nlu_fallback"
CUSTOMER = "verified_customer"  # slot: {"id", "name", "email"}; see docs/webchat.md
ANSWER = "answer"  # entity: the retrieval key that a button asks for
CLARIFIES = "clarifies"  # metadata of "Did you mean ...?": the labels of its buttons, in order; mining reads it

ORDER_NUMBER = re.compile(r"#?(1\d) ?(\d{3})")
EMAIL_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
TICKET_REFERENCE = re.compile(r"\bT-?(\d{3,10})\b", re.IGNORECASE)
LONGEST_BODY = 3_500  # the shop takes 4,000 characters; the rest is for the heading

Event = Mapping[str, Any]


def text_slot(tracker: Tracker, name: str) -> str | None:
    """A slot's text, or None when it is empty."""
    value = tracker.get_slot(name)
    return value.strip() if isinstance(value, str) and value.strip() else None


def clean_order_number(value: object) -> str | None:
    """The five digits of an order number, without the hash sign or a space behind the second."""
    match = ORDER_NUMBER.fullmatch(str(value).strip())
    return match.group(1) + match.group(2) if match else None


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


def verified_email(tracker: Tracker) -> str | None:
    """The address of a customer whom the host page has vouched for; only the web chat sets this slot."""
    customer = tracker.get_slot(CUSTOMER)
    address = customer.get("email") if isinstance(customer, Mapping) else None
    return clean_email(address) if address else None


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


def told(tracker: Tracker) -> str:
    """What the customer wrote: the latest message, or the one that the pressed button explains; no command ever."""
    text = latest_text(tracker)
    if not is_command(text):
        return text
    turns = _turns(tracker)
    return _text_of(turns[1]) if len(turns) > 1 and _asked_back(turns[1]) else ""


def is_command(text: str) -> bool:
    """Whether a text is what a button sends."""
    return text.startswith("/")


def asked_back_before(tracker: Tracker) -> bool:
    """Whether the bot's turn just before the latest message was a "Did you mean ...?"."""
    turns = _turns(tracker)
    return len(turns) > 1 and _asked_back(turns[1])


def fallbacks_before(tracker: Tracker, action: str) -> int:
    """How many of the customer's turns in a row, up to the one before this, ended in this action.

    A question that was answered with a button is no misunderstanding of its own: the button is what counts.
    """
    in_a_row = 0
    for after, turn in pairwise(_turns(tracker)):
        names = {event.get("name") for event in turn if event.get("event") == "action"}
        if action not in names or _chose_answer(turn):
            break
        if not (_asked_back(turn) and is_command(_text_of(after))):
            in_a_row += 1
    return in_a_row


def new_ticket(tracker: Tracker, topic: str, body: str, about: str = "") -> NewTicket:
    """A ticket about this conversation, with the same key until the shop has confirmed it.

    A shop that only seemed to be away has opened the ticket already, and gives it back to whoever asks again.

    Args:
        tracker: the conversation.
        topic: what kind of ticket it is.
        body: what it says.
        about: what tells it from other tickets of its topic; not the body where that grows with the conversation.

    """
    return NewTicket(
        key=_key(tracker, _first_attempt(tracker), f"{topic}\x1f{about}"),
        topic=topic,
        body=body[:LONGEST_BODY],
        email=email(tracker),
        order_number=order_number(tracker),
    )


def request_key(tracker: Tracker, what: str) -> str:
    """The same key however often this message is handled, and another one for each message and each thing asked."""
    return _key(tracker, len(_messages(tracker)), what)


def _key(tracker: Tracker, place: int, what: str) -> str:
    """The key of what was asked with a message; its place tells it from one with the same words and no id."""
    messages = _messages(tracker)
    said = messages[place - 1] if messages else {"parse_data": tracker.latest_message}
    message = (said.get("parse_data") or {}).get("message_id") or said.get("text")
    seed = "\x1f".join((tracker.sender_id, str(message), str(place), what))
    return hashlib.sha256(seed.encode()).hexdigest()


def _messages(tracker: Tracker) -> list[Event]:
    return [event for event in tracker.events if event.get("event") == "user"]


def _first_attempt(tracker: Tracker) -> int:
    """The place of the message since which a ticket was tried and none confirmed; the latest where none was tried."""
    latest = len(_messages(tracker))
    found = 0
    for back, turn in enumerate(_turns(tracker)[1:], start=1):
        outcomes = list(_ticket_outcomes(turn))
        if OK in outcomes:
            break
        if outcomes:
            found = back
    return latest - found


def _ticket_outcomes(turn: list[Event]) -> Iterator[object]:
    for event in turn:
        if event.get("event") == "slot" and event.get("name") == SLOT:
            calls = event.get("value")
            for call in calls if isinstance(calls, list) else ():
                if isinstance(call, Mapping) and call.get("operation") == "open_ticket":
                    yield call.get("outcome")


def this_turn_ran(tracker: Tracker) -> set[str]:
    """The actions since the latest message."""
    turns = _turns(tracker)
    return {str(event.get("name")) for event in turns[0] if event.get("event") == "action"} if turns else set()


def last_turn_ran(tracker: Tracker) -> set[str]:
    """The actions of the turn just before the latest message."""
    return {str(event.get("name")) for event in _previous_turn(tracker) if event.get("event") == "action"}


def value_before(tracker: Tracker, slot: str) -> Any:
    """What a slot held when the latest message came."""
    value, before = None, None
    for event in session_events(tracker):
        if event.get("event") == "user":
            before = value
        elif event.get("event") == "slot" and event.get("name") == slot:
            value = event.get("value")
    return before


def session_events(tracker: Tracker) -> list[Event]:
    """The events of this session, the oldest first."""
    events: list[Event] = []
    for event in tracker.events:
        if event.get("event") in ("session_started", "restart"):
            events = []
        events.append(event)
    return events


def _previous_turn(tracker: Tracker) -> list[Event]:
    """The events between the last two messages, newest first."""
    turns = _turns(tracker)
    return turns[1][:0:-1] if len(turns) > 1 else []


def _turns(tracker: Tracker) -> list[list[Event]]:
    """This session's turns, the newest first; each begins with the customer's message."""
    turns: list[list[Event]] = []
    for event in session_events(tracker):
        if event.get("event") == "user":
            turns.append([event])
        elif turns:
            turns[-1].append(event)
    return turns[::-1]


def _text_of(turn: list[Event]) -> str:
    return str(turn[0].get("text") or "")


def _asked_back(turn: list[Event]) -> bool:
    return any(event.get("event") == "bot" and (event.get("metadata") or {}).get(CLARIFIES) for event in turn)


def _chose_answer(turn: list[Event]) -> bool:
    entities = (turn[0].get("parse_data") or {}).get("entities") or []
    return any(entity.get("entity") == ANSWER for entity in entities)
