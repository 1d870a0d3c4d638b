"""Where a conversation stands: who answers, and whether it has come to an end that the customer may rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from webchat.settings import WebchatSettings
from webchat.transcript import SHOWN_TEXT_KEY, Event, agent_of, is_no_message

CSAT_SLOT = "csat"  # the customer's mark for the conversation so far, 1 (bad) to 5
JOINED_KEY = "by"  # bot metadata: who has joined, in a note of the desk
FEWEST_MESSAGES = 2  # somebody who only says goodbye has nothing to rate

# Both set Rasa's own pause back.
NEW_SESSION = ("session_started", "restart")


@dataclass(frozen=True)
class ChatState:
    """What the page shows above the message field."""

    speaker: Literal["bot", "waiting", "person"] = "bot"
    name: str | None = None  # of the person
    rate: str | None = None  # names the end that may be rated, so that a skipped one is not asked about again

    def as_json(self) -> dict[str, Any]:
        """Return the state as the page reads it."""
        return {"speaker": self.speaker, "name": self.name, "rate": self.rate}


def chat_state(events: Iterable[Event], now: float, settings: WebchatSettings) -> ChatState:
    """Return where a conversation stands at this time.

    It has ended when the customer says goodbye, when a person gives it back to the bot, or when both sides have been
    silent for `csat_idle_minutes`; and it may be rated until the customer writes again.
    """
    standing = _Standing(settings)
    for event in events:
        standing.take(event)
    return ChatState(standing.speaker, standing.name, standing.rateable(now))


class _Standing:
    """The state while the events are gone through."""

    def __init__(self, settings: WebchatSettings) -> None:
        self._settings = settings
        self.speaker: Literal["bot", "waiting", "person"] = "bot"
        self.name: str | None = None
        self._messages = 0
        self._ended: str | None = None
        self._latest_id = ""
        self._last_at = 0.0

    def take(self, event: Event) -> None:
        kind = event["event"]
        if kind in NEW_SESSION:
            self.speaker, self.name = "bot", None
            self._messages, self._ended = 0, None
        elif kind == "pause":
            self.speaker, self.name, self._ended = "waiting", None, None
            self._spoken_by(event)  # a pause that goes on in a new session says with whom
        elif kind == "resume":
            if self.speaker != "bot":
                self._end(f"person-{event.get('timestamp')}", least=1)
            self.speaker, self.name = "bot", None
        elif kind == "user":
            self._said(event)
        elif kind == "bot":
            self._last_at = float(event["timestamp"])
            self._spoken_by(event)
        elif kind == "slot" and event.get("name") == CSAT_SLOT and event.get("value"):
            self._messages, self._ended = 0, None

    def rateable(self, now: float) -> str | None:
        if self.speaker != "bot":
            return None
        silent_for = now - self._last_at
        if self._ended is None and silent_for >= 60 * self._settings.csat_idle_minutes:
            self._end(f"idle-{self._latest_id}", least=FEWEST_MESSAGES)
        return self._ended

    def _spoken_by(self, event: Event) -> None:
        name = agent_of(event) or (event.get("metadata") or {}).get(JOINED_KEY)
        if name and self.speaker != "bot":
            self.speaker, self.name = "person", str(name)

    def _said(self, event: Event) -> None:
        if is_no_message(event) and not (event.get("metadata") or {}).get(SHOWN_TEXT_KEY):
            return  # a program's, not the customer's
        self._messages += 1
        self._ended = None
        self._latest_id, self._last_at = str(event.get("message_id") or ""), float(event["timestamp"])
        intent = ((event.get("parse_data") or {}).get("intent") or {}).get("name")
        if intent in self._settings.ending_intents:
            self._end(f"goodbye-{self._latest_id}", least=FEWEST_MESSAGES)

    def _end(self, name: str, least: int) -> None:
        if self._messages >= least:
            self._ended = name
