"""Events of the tracker store become conversations: turns with what was understood and what was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from learning.model import Conversation, RawEvent, Turn, content_id, sender_key

RANKING_KEPT = 5  # deeper runners-up have never explained a failure
FEEDBACK_SLOT = "last_feedback"  # {"message_id", "value": "up" | "down", "comment"}, set by the channels
SERVICE_SLOT = "backend_failure"  # name of the service that an action could not reach


@dataclass
class _Draft:
    """A turn while its events come in."""

    sender: str
    event: RawEvent
    reply: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    thumbs: int = 0
    failed_service: str | None = None

    def turn(self) -> Turn:
        data = self.event.data
        parsed = _mapping(data.get("parse_data"))
        intent = _mapping(parsed.get("intent"))
        # A message id is stable when a store is copied; the row id stands in where a channel gives none.
        identity = data.get("message_id") or self.event.row_id
        return Turn(
            turn_id=content_id("turn", self.sender, identity),
            text=str(data.get("text") or ""),
            at=self.event.at,
            intent=_full_label(parsed, str(intent.get("name") or "")),
            confidence=_number(intent.get("confidence")),
            ranking=_ranking(parsed.get("intent_ranking")),
            reply=tuple(self.reply),
            actions=tuple(self.actions),
            channel=str(data.get("input_channel") or ""),
            overlay_entry=_mapping(parsed.get("overlay")).get("entry_id"),
            thumbs=self.thumbs,
            failed_service=self.failed_service,
        )


def build_conversation(sender_id: str, events: Iterable[RawEvent]) -> Conversation:
    """Return the turns of `sender_id` from its events in row order.

    Messages that are intents themselves (`/greet`, a pressed button) steer the dialogue but could not be
    misunderstood: they end the turn before them and are none of their own.
    """
    sender = sender_key(sender_id)
    drafts: list[_Draft] = []
    current: _Draft | None = None
    for event in events:
        if event.kind == "user":
            current = None if _is_command(event) else _Draft(sender, event)
            if current:
                drafts.append(current)
        elif event.kind == "slot" and event.data.get("name") == FEEDBACK_SLOT:
            # A thumb comes after the answer, often after a pressed button: it belongs to the last turn.
            if drafts:
                drafts[-1].thumbs = _thumbs(event.data.get("value"))
        elif current is not None:
            _add(current, event)
    return Conversation(sender, tuple(draft.turn() for draft in drafts))


def _add(draft: _Draft, event: RawEvent) -> None:
    if event.kind == "action":
        draft.actions.append(str(event.data.get("name") or ""))
    elif event.kind == "bot":
        text = event.data.get("text")
        if isinstance(text, str) and text:
            draft.reply.append(text)
    elif event.kind == "slot" and event.data.get("name") == SERVICE_SLOT and event.data.get("value"):
        draft.failed_service = str(event.data["value"])


def _is_command(event: RawEvent) -> bool:
    text = event.data.get("text")
    return not isinstance(text, str) or not text.strip() or text.startswith("/")


def _full_label(parsed: Mapping[str, Any], intent: str) -> str:
    """Return `faq/returns` where the retrieval intent `faq` was answered, else the intent."""
    selected = _mapping(_mapping(parsed.get("response_selector")).get(intent))
    key = _mapping(selected.get("response")).get("intent_response_key")
    return key if isinstance(key, str) and key else intent


def _ranking(value: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, list):
        return ()
    entries = [_mapping(item) for item in value[:RANKING_KEPT]]
    return tuple((str(item.get("name")), _number(item.get("confidence"))) for item in entries)


def _thumbs(value: object) -> int:
    return {"up": 1, "down": -1}.get(str(_mapping(value).get("value")), 0)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
