"""Events of the tracker store become conversations: turns with what was understood and what was answered."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from learning.model import Conversation, RawEvent, Turn, content_id, sender_key

RANKING_KEPT = 5  # deeper runners-up have never explained a failure
FEEDBACK_SLOT = "last_feedback"  # {"message_id", "value": "up" | "down", "comment"}, set by the channels
SERVICE_SLOT = "backend_failure"  # name of the service that an action could not reach
CLARIFIES = "clarifies"  # metadata of "Did you mean ...?": the labels of its first buttons, in order
SESSION_START = "action_session_start"  # begins a new session, and sets the slots that are carried over again
THUMBS = {"up": 1, "down": -1}
CHANNEL_LENGTH = 64  # characters; the learning database keeps no longer names


@dataclass
class _Draft:
    """A turn while its events come in."""

    turn_id: str
    event: RawEvent
    reply: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    thumbs: dict[str, int] = field(default_factory=dict)
    failed_service: str | None = None
    choices: dict[str, str] = field(default_factory=dict)  # payload of a button -> the label it stands for
    clarified: str | None = None

    def turn(self) -> Turn:
        data = self.event.data
        parsed = _mapping(data.get("parse_data"))
        intent = _mapping(parsed.get("intent"))
        return Turn(
            turn_id=self.turn_id,
            text=_text(data.get("text")),
            at=self.event.at,
            intent=_full_label(parsed, _text(intent.get("name"))),
            confidence=_number(intent.get("confidence")),
            ranking=_ranking(parsed.get("intent_ranking")),
            reply=tuple(self.reply),
            actions=tuple(self.actions),
            channel=_text(data.get("input_channel"))[:CHANNEL_LENGTH],
            familiarity=_share(_mapping(parsed.get("out_of_scope")).get("similarity")),
            frustration=_share(_mapping(parsed.get("sentiment")).get("frustration")),
            overlay_entry=_text(_mapping(parsed.get("overlay")).get("entry_id")) or None,
            # An answer may have several messages: one that was no good is enough.
            thumbs=min(self.thumbs.values(), default=0),
            failed_service=self.failed_service,
            clarified=self.clarified,
        )


def build_conversation(sender_id: str, events: Iterable[RawEvent]) -> Conversation:
    """Return the turns of `sender_id` from its events in row order.

    Messages that are intents themselves (`/greet`, a pressed button) steer the dialogue but could not be
    misunderstood: they end the turn before them and are none of their own.
    """
    sender = sender_key(sender_id)
    drafts: list[_Draft] = []
    answers = _Answers()
    repeats: Counter[str] = Counter()
    # `latest` outlives `current`: a pressed button ends the turn, but what follows is still about it.
    current: _Draft | None = None
    latest: _Draft | None = None
    for event in events:
        if event.kind == "user":
            if current is not None:
                # Only the very next message is the answer: `/track_order` may stand on many other buttons.
                current.clarified = current.choices.get(_text(event.data.get("text")).strip())
            current = None
            if not _is_command(event):
                current = latest = _Draft(_turn_id(sender, event, repeats), event)
                drafts.append(current)
        elif event.kind == "action" and event.data.get("name") == SESSION_START:
            current = latest = None
        elif event.kind == "slot" and event.data.get("name") == FEEDBACK_SLOT:
            message, thumb = _feedback(event.data.get("value"))
            rated = answers.turn_of(message, latest)
            if thumb and rated:
                rated.thumbs[message] = thumb
        else:
            if event.kind == "bot":
                answers.add(event, latest)
            if current is not None:
                _add(current, event)
    return Conversation(sender, tuple(draft.turn() for draft in drafts))


@dataclass
class _Answers:
    """Which turn each message of the bot belongs to, by the id that a thumb names it with."""

    owners: dict[str, _Draft | None] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, event: RawEvent, draft: _Draft | None) -> None:
        """Note a message of the bot: its id is its timestamp, a second one in the same clock tick gets `~2`."""
        timestamp = event.data.get("timestamp")
        if isinstance(timestamp, (int, float)):
            base = repr(float(timestamp))
            self.seen[base] += 1
            self.owners[base if self.seen[base] == 1 else f"{base}~{self.seen[base]}"] = draft

    def turn_of(self, message: str, latest: _Draft | None) -> _Draft | None:
        """Return the turn that the message answered; the latest where a channel counts its messages otherwise."""
        for known in (message, message.partition("~")[0]):
            if known in self.owners:
                return self.owners[known]
        return latest


def _turn_id(sender: str, event: RawEvent, repeats: Counter[str]) -> str:
    # A message id is stable when a store is copied; the row id stands in where a channel gives none.
    identity = str(event.data.get("message_id") or event.row_id)
    repeats[identity] += 1
    # A channel that delivers a message twice gives both the same id.
    again = () if repeats[identity] == 1 else (repeats[identity],)
    return content_id("turn", sender, identity, *again)


def _add(draft: _Draft, event: RawEvent) -> None:
    if event.kind == "action":
        draft.actions.append(_text(event.data.get("name")))
    elif event.kind == "bot":
        if text := _text(event.data.get("text")):
            draft.reply.append(text)
        draft.choices.update(_choices(event))
    elif event.kind == "slot" and event.data.get("name") == SERVICE_SLOT and event.data.get("value"):
        draft.failed_service = _text(event.data["value"])


def _is_command(event: RawEvent) -> bool:
    text = event.data.get("text")
    # Rasa ignores blanks before a command, too.
    return not isinstance(text, str) or not text.strip() or text.lstrip().startswith("/")


def _full_label(parsed: Mapping[str, Any], intent: str) -> str:
    """Return `faq/returns` where the retrieval intent `faq` was answered, else the intent."""
    selected = _mapping(_mapping(parsed.get("response_selector")).get(intent))
    key = _mapping(selected.get("response")).get("intent_response_key")
    return _text(key) or intent


def _ranking(value: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, list):
        return ()
    entries = [_mapping(item) for item in value[:RANKING_KEPT]]
    return tuple((_text(item.get("name")), _number(item.get("confidence"))) for item in entries)


def _feedback(value: object) -> tuple[str, int]:
    """Return the id of the rated message and its thumb, 0 where the slot was only reset."""
    given = _mapping(value)
    return _text(given.get("message_id")), THUMBS.get(_text(given.get("value")), 0)


def _choices(event: RawEvent) -> dict[str, str]:
    """Return which button of a "Did you mean ...?" stands for which label; "Something else" stands for none."""
    labels = _mapping(event.data.get("metadata")).get(CLARIFIES)
    buttons = _mapping(event.data.get("data")).get("buttons")
    if not isinstance(labels, list) or not isinstance(buttons, list):
        return {}
    payloads = [_text(_mapping(button).get("payload")).strip() for button in buttons]
    pairs = zip(payloads, map(_text, labels), strict=False)
    return {payload: label for payload, label in pairs if payload and label}


def _text(value: object) -> str:
    """Return a string that a database can keep: no NUL and no half of a surrogate pair; empty for anything else."""
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _share(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and isfinite(value) else 0.0
