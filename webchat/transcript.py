"""Tracker events -> the messages a customer sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

FEEDBACK_SLOT = "last_feedback"
SHOWN_TEXT_KEY = "shown_text"  # user metadata: what the customer saw, where Rasa got something else

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Button:
    """A quick reply: what the customer reads and what the bot gets."""

    title: str
    payload: str


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
    link: str | None = None
    feedback: Literal["up", "down"] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the message as the page reads it."""
        return {
            "id": self.id,
            "role": self.role,
            "text": self.text,
            "time": self.time.isoformat(),
            "buttons": [{"title": button.title, "payload": button.payload} for button in self.buttons],
            "link": self.link,
            "feedback": self.feedback,
        }


def transcript(events: Iterable[Event]) -> list[ChatMessage]:
    """Return everything said in a conversation, oldest first, with the latest feedback on each answer."""
    kept = list(events)
    ids = _bot_message_ids(kept)
    feedback = _latest_feedback(kept)
    messages = []
    for position, event in enumerate(kept):
        if event["event"] == "user":
            message = _user_message(event)
        elif event["event"] == "bot":
            message = _bot_message(event, ids[position], feedback.get(ids[position]))
        else:
            continue
        if message is not None:
            messages.append(message)
    return messages


def answers_to(events: Iterable[Event], client_message_id: str) -> list[ChatMessage] | None:
    """Return what the bot said to one message, or None when that message is not in the conversation."""
    answers: list[ChatMessage] | None = None
    for message in transcript(events):
        if message.role == "user":
            if answers is not None:
                break
            if message.id == client_message_id:
                answers = []
        elif answers is not None:
            answers.append(message)
    return answers


def offered(messages: Sequence[ChatMessage], payload: str) -> bool:
    """Tell whether the bot offered this quick reply, so that nobody can send commands of their own."""
    return any(button.payload == payload for message in messages for button in message.buttons)


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
    text = shown if isinstance(shown, str) else ("" if raw.startswith("/") else raw)
    if not text:
        return None
    return ChatMessage(str(event.get("message_id") or ""), "user", text, _time(event))


def _bot_message(event: Event, message_id: str, thumb: Literal["up", "down"] | None) -> ChatMessage | None:
    data = event.get("data") or {}
    text = event.get("text") or ""
    buttons = tuple(_buttons(data.get("buttons") or data.get("quick_replies") or []))
    link = data.get("image") or data.get("attachment")
    if not isinstance(link, str) or not link.startswith(("https://", "http://")):
        link = None
    if not text and not buttons and link is None:
        return None
    return ChatMessage(message_id, "bot", text, _time(event), buttons, link, thumb)


def _buttons(items: Iterable[Any]) -> Iterable[Button]:
    for item in items:
        if isinstance(item, Mapping) and item.get("title"):
            title = str(item["title"])
            yield Button(title, str(item.get("payload") or title))


def _time(event: Event) -> datetime:
    return datetime.fromtimestamp(float(event["timestamp"]), tz=timezone.utc)
