"""The Rasa channel through which people at the desk speak in a conversation.

In credentials.yml:

    components.desk_channel.DeskInput:

The desk sends each message until it hears that it is there. Under the lock that Rasa itself holds while it answers,
the channel looks for the message's id in the conversation: so it is stored once, however often it is sent, and
whoever dies in between. Channels that push (Slack) get it after it was stored; that it was pushed is noted in the
conversation as well. That the assistant should have said an answer is stored in the same way, and said to nobody.
That somebody is writing is shown where the customer's channel can show it, and stored nowhere.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from rasa.core.channels.channel import InputChannel, OutputChannel, UserMessage
from rasa.core.lock_store import LockError
from rasa.shared.core.constants import REQUESTED_SLOT
from rasa.shared.core.events import (
    ActionExecuted,
    ActiveLoop,
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    SlotSet,
)
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "EVERGREEN_DESK_TOKEN"
SETTLED_SLOT = "settled"  # what a person settled: {"note", "agent"}
HANDOVER_SLOT = "handover"
PUSHED_SLOT = "desk_pushed"  # id of the last message that a pushing channel has accepted
# An agent's answer that the assistant should have given, for learning: {"desk_id" of the answer, "by", "mark"},
# where the mark was taken back with "taken_back".
RECOMMENDED_SLOT = "recommended_answer"
LISTEN = "action_listen"
LONGEST = {"desk_id": 64, "sender_id": 255, "kind": 16, "agent": 255, "text": 8_000, "note": 2_000}
OPENING, REPLY, CLOSING = ("joined", "transferred"), "reply", ("resolved", "returned", "away")
RECOMMENDED, UNRECOMMENDED = "recommended", "unrecommended"
MARKS = (RECOMMENDED, UNRECOMMENDED)  # their note is the id of the answer that is marked


@dataclass(frozen=True)
class DeskMessage:
    """What the desk puts into a conversation."""

    desk_id: str
    sender_id: str
    kind: str
    agent: str
    text: str
    note: str

    def events(self, tracker: DialogueStateTracker) -> list[Event]:
        """Return what is appended to the conversation."""
        if self.kind in MARKS:
            value = {"desk_id": self.note, "by": self.agent, "mark": self.desk_id}
            return [SlotSet(RECOMMENDED_SLOT, {**value, "taken_back": True} if self.kind == UNRECOMMENDED else value)]
        metadata = {"desk": self.kind, "desk_id": self.desk_id}
        if self.kind == REPLY:
            metadata["agent"] = self.agent
        elif self.agent:
            metadata["by"] = self.agent
        said = BotUttered(self.text, metadata=metadata)
        if self.kind not in CLOSING:
            # Also before an answer: a customer who was away for an hour came back to a new session with the assistant.
            paused: list[Event] = [] if tracker.is_paused() else [ConversationPaused(metadata=metadata)]
            return [*paused, *_leave_form(tracker), said]
        events: list[Event] = [said, SlotSet(HANDOVER_SLOT, None)]
        if self.kind != "away":
            events.append(SlotSet(SETTLED_SLOT, {"note": self.note, "agent": self.agent}))
        events.append(ConversationResumed())
        if tracker.latest_action_name != LISTEN:
            # The hand-over ended before its turn did; rules begin where the assistant listens.
            events.append(ActionExecuted(LISTEN))
        return events


def _leave_form(tracker: DialogueStateTracker) -> list[Event]:
    """End a form: what is said to a person is no answer to it, also not when the assistant is back."""
    return [ActiveLoop(None), SlotSet(REQUESTED_SLOT, None)] if tracker.active_loop_name else []


class DeskInput(InputChannel):
    """Takes what people at the desk write; it is no channel that customers could write to."""

    def __init__(self, token: str) -> None:
        """Keep the token that the desk proves itself with; without one everything is refused."""
        self._token = token

    @classmethod
    def name(cls) -> str:
        """Return the channel's name, which is also its URL prefix."""
        return "desk"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> DeskInput:
        """Build the channel from the environment."""
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            logger.warning("desk: %s is not set; nobody can answer from the desk", TOKEN_VARIABLE)
        return cls(token)

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        """Return the routes: for what is said, and for that somebody writes."""
        blueprint = Blueprint("desk")

        @blueprint.post("/messages")
        async def take_message(request: Request) -> HTTPResponse:
            return await self._take(request)

        @blueprint.post("/typing")
        async def take_typing(request: Request) -> HTTPResponse:
            if not self._is_desk(request):
                return _problem(401, "wrong_token")
            sender_id = _typing(request.body)
            if sender_id is None:
                return _problem(422, "not_understood")
            _show_typing(_channels(request), sender_id, True)
            return response.empty()

        return blueprint

    def _is_desk(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return bool(self._token) and hmac.compare_digest(given.encode(), self._token.encode())

    async def _take(self, request: Request) -> HTTPResponse:
        if not self._is_desk(request):
            return _problem(401, "wrong_token")
        message = _message(request.body)
        if message is None:
            return _problem(422, "not_understood")
        agent = getattr(request.app.ctx, "agent", None)
        if agent is None or not agent.is_ready():
            return _problem(503, "not_ready")
        channels = _channels(request)
        try:
            # The same lock that Rasa holds while it answers: neither can overwrite the other's events.
            async with agent.lock_store.lock(message.sender_id):
                answer = await _append_and_push(agent, message, channels)
            if message.text:
                _show_typing(channels, message.sender_id, False)
            return answer
        except LockError:
            return _problem(503, "locked")


async def _append_and_push(agent: Any, message: DeskMessage, channels: Iterable[InputChannel]) -> HTTPResponse:
    store = agent.tracker_store
    whole = cast("DialogueStateTracker | None", await store.retrieve_full_tracker(message.sender_id))
    if whole is None or not whole.events:
        return _problem(404, "no_conversation")
    tracker = cast(DialogueStateTracker, await store.retrieve(message.sender_id))
    if not _is_there(whole, message.desk_id):
        await _append(agent, tracker, message.events(tracker))
    output = _pushing(channels, whole.get_latest_input_channel()) if message.text else None
    if output is None or _was_pushed(whole, message.desk_id):
        return response.json({"stored": True})
    try:
        await output.send_text_message(message.sender_id, message.text, desk_id=message.desk_id)
    except Exception:
        # Whatever the other side's client raises: the desk tries again, and nothing is stored twice.
        logger.exception("desk: message %s was stored but not pushed", message.desk_id)
        return _problem(502, "not_pushed")
    await _append(agent, tracker, [SlotSet(PUSHED_SLOT, message.desk_id)])
    return response.json({"stored": True, "pushed": True})


async def _append(agent: Any, tracker: DialogueStateTracker, events: list[Event]) -> None:
    tracker.model_id = agent.model_id
    for event in events:
        tracker.update(event, agent.domain)
    await agent.tracker_store.save(tracker)


def _is_there(tracker: DialogueStateTracker, desk_id: str) -> bool:
    return any(
        event.metadata.get("desk_id") == desk_id
        if isinstance(event, BotUttered)
        else isinstance(event, SlotSet) and event.key == RECOMMENDED_SLOT and _mark_of(event.value) == desk_id
        for event in tracker.events
    )


def _mark_of(value: object) -> object:
    return value.get("mark") if isinstance(value, dict) else None


def _was_pushed(tracker: DialogueStateTracker, desk_id: str) -> bool:
    return any(
        isinstance(event, SlotSet) and event.key == PUSHED_SLOT and event.value == desk_id for event in tracker.events
    )


def _pushing(channels: Iterable[InputChannel], name: str | None) -> OutputChannel | None:
    """Return what pushes to the customer's channel; None where customers fetch what was said, or wait for nothing."""
    for channel in channels:
        if channel.name() == name:
            return channel.get_output_channel()
    return None


def _channels(request: Request) -> list[InputChannel]:
    return getattr(request.app.ctx, "input_channels", None) or []


def _show_typing(channels: Iterable[InputChannel], sender_id: str, is_on: bool) -> None:
    """Have the channels that can show that somebody writes do so; one that has no such reader does nothing."""
    for channel in channels:
        show = getattr(channel, "person_writes", None)
        if show is not None:
            show(sender_id, is_on)


def _typing(body: bytes) -> str | None:
    """Return in whose conversation somebody writes."""
    sender_id = (_object(body) or {}).get("sender_id")
    return sender_id if isinstance(sender_id, str) and 0 < len(sender_id) <= LONGEST["sender_id"] else None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _message(body: bytes) -> DeskMessage | None:
    given = _object(body)
    if given is None:
        return None
    values = {name: given.get(name, "") for name in LONGEST}
    if not all(isinstance(value, str) and len(value) <= LONGEST[name] for name, value in values.items()):
        return None
    if not values["desk_id"] or not values["sender_id"]:
        return None
    if values["kind"] not in (*OPENING, REPLY, *CLOSING, *MARKS):
        return None
    if not (values["note"] and not values["text"] if values["kind"] in MARKS else values["text"]):
        return None
    return DeskMessage(**values)


def _problem(status: int, code: str) -> HTTPResponse:
    return response.json({"error": code}, status=status)
