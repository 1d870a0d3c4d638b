"""Tracker events -> the messages a customer sees."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from webchat.content import Button, Card, Link, buttons_of, cards_of, picture, web_address

FEEDBACK_SLOT = "last_feedback"
SHOWN_TEXT_KEY = "shown_text"  # user metadata: what the customer saw, where Rasa got something else
EXTERNAL = "is_external"  # metadata of what a program said in the customer's place, such as a reminder
DESK_KEY = "desk"  # bot metadata: what a message of the desk is, "reply" or one of its notes
REPLY = "reply"
AGENT_KEY = "agent"  # bot metadata: the name of the person who wrote it

Event = Mapping[str, Any]


@dataclass(frozen=True)
class ChatMessage:
    """One line of the chat.

    A bot message's id is its event's timestamp as JSON writes it, so that feedback leads to its event.
    """

    id: str
    role: Literal["user", "bot"]
    text: str
    time: datetime
    buttons: tuple[Button, ...] = ()
    links: tuple[Link, ...] = ()
    image: str | None = None
    cards: tuple[Card, ...] = ()
    agent: str | None = None
    note: bool = False  # says who answers now, and is no answer
    feedback: Literal["up", "down"] | None = None

    @property
    def choices(self) -> tuple[Button, ...]:
        """Every quick reply that the message offers, its cards' too."""
        return self.buttons + tuple(button for card in self.cards for button in card.buttons)

    def as_json(self) -> dict[str, Any]:
        """Return the message as the page reads it."""
        return {
            "id": self.id,
            "role": self.role,
            "text": self.text,
            "time": self.time.isoformat(),
            "buttons": [{"title": button.title, "payload": button.payload} for button in self.buttons],
            "links": [{"title": link.title, "url": link.url} for link in self.links],
            "image": self.image,
            "cards": [card.as_json() for card in self.cards],
            "agent": self.agent,
            "note": self.note,
            "feedback": self.feedback,
        }


def transcript(events: Iterable[Event], image_hosts: Collection[str] = ()) -> list[ChatMessage]:
    """Return everything said in a conversation, oldest first, with the latest feedback on each answer."""
    kept = list(events)
    ids = _bot_message_ids(kept)
    feedback = _latest_feedback(kept)
    messages = []
    for position, event in enumerate(kept):
        if event["event"] == "user":
            message = _user_message(event)
        elif event["event"] == "bot":
            message = _bot_message(event, ids[position], feedback.get(ids[position]), image_hosts)
        else:
            continue
        if message is not None:
            messages.append(message)
    return messages


def exchange(messages: Iterable[ChatMessage], client_message_id: str) -> list[ChatMessage] | None:
    """Return one message and what was said to it, or None when that message is not in the conversation."""
    found: list[ChatMessage] | None = None
    for message in messages:
        if message.role == "user":
            if found is not None:
                break
            if message.id == client_message_id:
                found = [message]
        elif found is not None:
            found.append(message)
    return found


def offered(messages: Sequence[ChatMessage], payload: str) -> bool:
    """Tell whether the bot offered this quick reply, so that nobody can send commands of their own."""
    return any(button.payload == payload for message in messages for button in message.choices)


def _bot_message_ids(events: Sequence[Event]) -> dict[int, str]:
    """Name each bot event by its timestamp; a second one in the same clock tick gets `~2`."""
    ids: dict[int, str] = {}
    seen: dict[str, int] = {}
    for position, event in enumerate(events):
        if event["event"] == "bot":
            base = repr(float(event["timestamp"]))
            seen[base] = seen.get(base, 0) + 1
            ids[position] = base if seen[base] == 1 else f"{base}~{seen[base]}"
    return ids


def _latest_feedback(events: Sequence[Event]) -> dict[str, Literal["up", "down"]]:
    found: dict[str, Literal["up", "down"]] = {}
    for event in events:
        value = event.get("value")
        if event["event"] == "slot" and event.get("name") == FEEDBACK_SLOT and isinstance(value, Mapping):
            thumb = value.get("value")
            if thumb == "up" or thumb == "down":
                found[str(value.get("message_id"))] = thumb
    return found


def _user_message(event: Event) -> ChatMessage | None:
    raw = event.get("text") or ""
    shown = (event.get("metadata") or {}).get(SHOWN_TEXT_KEY)
    # A command without a shown text came from a program, such as a reminder; nobody typed it.
    text = shown if isinstance(shown, str) else ("" if is_no_message(event) else raw)
    if not text:
        return None
    return ChatMessage(str(event.get("message_id") or ""), "user", text, _time(event))


def _bot_message(
    event: Event, message_id: str, thumb: Literal["up", "down"] | None, image_hosts: Collection[str]
) -> ChatMessage | None:
    data = event.get("data") or {}
    text = event.get("text") or ""
    buttons, links = buttons_of(data.get("buttons") or data.get("quick_replies"))
    cards = cards_of(data, image_hosts)
    image = picture(data.get("image"), image_hosts)
    for other in (None if image else data.get("image"), data.get("attachment")):
        if address := web_address(other):
            links = (*links, Link(address, address))
    if not (text or buttons or links or image or cards):
        return None
    return ChatMessage(
        message_id, "bot", text, _time(event), buttons, links, image, cards, agent_of(event), is_note(event), thumb
    )


def is_no_message(event: Event) -> bool:
    """Tell whether a user event is a command or a program's: nothing that the customer has written."""
    return str(event.get("text") or "").startswith("/") or bool((event.get("metadata") or {}).get(EXTERNAL))


def agent_of(event: Event) -> str | None:
    """Return the name of the person who wrote a message in the bot's place."""
    name = (event.get("metadata") or {}).get(AGENT_KEY)
    return str(name) if name else None


def is_note(event: Event) -> bool:
    """Tell whether a message only says who answers now, such as "Anna is here"."""
    return (event.get("metadata") or {}).get(DESK_KEY) not in (None, REPLY)


def _time(event: Event) -> datetime:
    return datetime.fromtimestamp(float(event["timestamp"]), tz=timezone.utc)
