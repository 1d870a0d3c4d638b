"""The Rasa channel of the web chat: the page and its small JSON interface, served by the bot itself.

In credentials.yml:

    components.webchat_channel.WebchatInput:
      title: Fernway help

One worker process is assumed, as Rasa has by default: repeated messages are recognized from memory,
after a restart from the tracker store.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from rasa.core.channels.channel import CollectingOutputChannel, InputChannel, UserMessage
from rasa.core.lock_store import LockError
from rasa.shared.core.events import BotUttered, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from webchat import errors
from webchat.errors import ChatError
from webchat.limits import checked_text, without_command
from webchat.memory import Answers, OpenConversations
from webchat.page import Asset, load_page, load_static, security_headers
from webchat.settings import WebchatSettings
from webchat.tokens import SECRET_VARIABLE, TokenSigner, new_conversation_id, secret_from
from webchat.transcript import (
    FEEDBACK_SLOT,
    SHOWN_TEXT_KEY,
    ChatMessage,
    answers_to,
    offered,
    transcript,
)

logger = logging.getLogger(__name__)

CHANNEL_NAME = "webchat"
DAY_S = 24 * 60 * 60
MAX_BODY_BYTES = 32_768  # a message of 1,000 characters, each escaped, with room to spare
MAX_COMMENT_CHARS = 500  # a few sentences on what was wrong
_CLIENT_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")

OnNewMessage = Callable[[UserMessage], Awaitable[Any]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Incoming:
    """One message from the page: what the customer sees of it and what Rasa gets."""

    message_id: str
    shown: str
    sent: str
    is_choice: bool  # a quick reply, which must have been offered


class WebchatOutput(CollectingOutputChannel):
    """Collects what the bot says; the customer gets it from the tracker, where it has its id."""

    @classmethod
    def name(cls) -> str:
        """Return the name that channel-specific responses are chosen by."""
        return CHANNEL_NAME


class WebchatInput(InputChannel):
    """Serves the chat page and takes its messages."""

    def __init__(self, settings: WebchatSettings, secret: bytes, clock: Clock = time.time) -> None:
        """Keep settings, signing secret and clock; nothing is read or opened yet."""
        self.settings = settings
        self._clock = clock
        self._signer = TokenSigner(secret, settings.token_days * DAY_S)
        self._open = OpenConversations(settings.messages_per_minute, settings.feedback_per_minute)

    @classmethod
    def name(cls) -> str:
        """Return the channel's name, which is also its URL prefix."""
        return CHANNEL_NAME

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> WebchatInput:
        """Build the channel from its section of credentials.yml and the environment."""
        secret = secret_from(os.environ)
        if secret is None:
            logger.warning(
                "webchat: %s is not set; with a random secret no conversation can be resumed after a restart",
                SECRET_VARIABLE,
            )
            secret = secrets.token_bytes(32)
        return cls(WebchatSettings.from_options(credentials), secret)

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """Return the routes of the page and of its interface."""
        page, static = load_page(self.settings), load_static()
        headers = security_headers(self.settings.frame_ancestors)
        blueprint = Blueprint("webchat")

        @blueprint.get("/")
        async def chat_page(request: Request) -> HTTPResponse:
            if not request.path.endswith("/"):
                # The page's links are relative, so that it works behind any proxy prefix.
                return response.empty(308, {"Location": f"{request.path.rsplit('/', 1)[-1]}/"})
            return _asset_response(request, page, headers)

        @blueprint.get("/static/<name:str>")
        async def static_file(request: Request, name: str) -> HTTPResponse:
            asset = static.get(name)
            return response.empty(404, headers) if asset is None else _asset_response(request, asset, headers)

        @blueprint.post("/session")
        async def new_session(request: Request) -> HTTPResponse:
            return _json({"token": self._signer.issue(new_conversation_id(), self._clock())}, 201)

        @blueprint.post("/messages")
        async def send_message(request: Request) -> HTTPResponse:
            answers = await self._receive(request, on_new_message)
            return _json({"messages": [answer.as_json() for answer in answers]})

        @blueprint.get("/history")
        async def history(request: Request) -> HTTPResponse:
            conversation_id = self._conversation_of(request)
            messages = transcript(await _stored_events(_agent(request), conversation_id))
            return _json({"messages": [message.as_json() for message in messages]})

        @blueprint.post("/feedback")
        async def feedback(request: Request) -> HTTPResponse:
            await self._record_feedback(request)
            return _json({"recorded": True})

        @blueprint.exception(ChatError)
        async def refuse(request: Request, error: ChatError) -> HTTPResponse:
            refusal = _json(error.as_json(), error.status)
            if error.retry_after_s is not None:
                refusal.headers["Retry-After"] = str(error.retry_after_s)
            return refusal

        return blueprint

    def _conversation_of(self, request: Request) -> str:
        conversation_id = self._signer.conversation_of(request.token, self._clock())
        if conversation_id is None:
            raise errors.unauthorized()
        return conversation_id

    async def _receive(self, request: Request, on_new_message: OnNewMessage) -> Answers:
        """Hand one message to Rasa, once, and wait for what the bot says."""
        conversation_id = self._conversation_of(request)
        conversation = self._open.get(conversation_id)
        incoming = self._incoming(request)
        work = conversation.work_on(incoming.message_id)
        if work is None:
            wait_s = conversation.messages.hit(self._clock())
            if wait_s:
                raise errors.rate_limited(wait_s)
            agent = _agent(request)

            async def answer() -> Answers:
                if conversation.ask_store:
                    earlier = answers_to(await _stored_events(agent, conversation_id), incoming.message_id)
                    if earlier is not None:
                        return earlier
                return await _answer(agent, on_new_message, conversation_id, incoming)

            work = conversation.start(incoming.message_id, answer)
        return await self._wait_for(work, conversation_id)

    def _incoming(self, request: Request) -> Incoming:
        body = _body(request)
        message_id = body.get("client_message_id")
        if not isinstance(message_id, str) or not _CLIENT_MESSAGE_ID.fullmatch(message_id):
            raise errors.bad_request("client_message_id must be 8 to 64 letters, digits, '-' or '_'")
        limit = self.settings.max_message_chars
        text = checked_text(body.get("text"), limit, "the message")
        payload = body.get("payload")
        if payload is None:
            return Incoming(message_id, text, without_command(text), is_choice=False)
        return Incoming(message_id, text, checked_text(payload, limit, "the choice"), is_choice=True)

    async def _wait_for(self, work: asyncio.Task[list[ChatMessage]], conversation_id: str) -> Answers:
        try:
            return await asyncio.wait_for(asyncio.shield(work), self.settings.answer_timeout_s)
        except asyncio.TimeoutError:
            if work.done():  # the bot's own time-out, not ours
                logger.exception("webchat: conversation %s: the bot failed to answer", conversation_id)
                raise errors.answer_failed() from None
            raise errors.answer_slow() from None
        except ChatError:
            raise
        except Exception:
            # Whatever an action, a policy or a store raises, the customer must hear that it did not work.
            logger.exception("webchat: conversation %s: the bot failed to answer", conversation_id)
            raise errors.answer_failed() from None

    async def _record_feedback(self, request: Request) -> None:
        """Append a thumb to the conversation as a slot event, which mining reads in every channel alike."""
        conversation_id = self._conversation_of(request)
        body = _body(request)
        message_id, value = body.get("message_id"), body.get("value")
        if value not in ("up", "down"):
            raise errors.bad_request("value must be 'up' or 'down'")
        comment = body.get("comment") or None
        if comment is not None:
            comment = checked_text(comment, MAX_COMMENT_CHARS, "the comment")
        wait_s = self._open.get(conversation_id).feedback.hit(self._clock())
        if wait_s:
            raise errors.rate_limited(wait_s)
        agent = _agent(request)
        given = {"message_id": message_id, "value": value, "comment": comment}
        try:
            # The same lock that Rasa holds while it answers: neither can overwrite the other's events.
            async with agent.lock_store.lock(conversation_id):
                messages = transcript(await _stored_events(agent, conversation_id))
                if not any(one.role == "bot" and one.id == message_id for one in messages):
                    raise errors.message_not_found()
                tracker = await agent.tracker_store.retrieve(conversation_id)
                if tracker.get_slot(FEEDBACK_SLOT) == given:
                    return  # a repeated click
                tracker.model_id = agent.model_id
                tracker.update(SlotSet(FEEDBACK_SLOT, given))
                await agent.tracker_store.save(tracker)
        except LockError:
            logger.warning("webchat: conversation %s: locked for too long to take feedback", conversation_id)
            raise errors.answer_slow() from None


def _agent(request: Request) -> Any:
    """Return Rasa's agent, which is exchanged when a new model is loaded: never keep it."""
    agent = getattr(request.app.ctx, "agent", None)
    if agent is None:
        raise errors.bot_not_ready()
    return agent


async def _answer(agent: Any, on_new_message: OnNewMessage, conversation_id: str, incoming: Incoming) -> Answers:
    """Let Rasa work on one message and return what it said, with the ids the tracker gave."""
    if incoming.is_choice and not offered(transcript(await _stored_events(agent, conversation_id)), incoming.sent):
        raise errors.choice_not_offered()
    await on_new_message(
        UserMessage(
            incoming.sent,
            WebchatOutput(),
            conversation_id,
            input_channel=CHANNEL_NAME,
            message_id=incoming.message_id,
            metadata={SHOWN_TEXT_KEY: incoming.shown} if incoming.shown != incoming.sent else None,
        )
    )
    answers = answers_to(await _stored_events(agent, conversation_id, this_session_only=True), incoming.message_id)
    if answers is None:  # Rasa drops messages silently while no model is loaded
        raise errors.bot_not_ready()
    return answers


async def _stored_events(agent: Any, conversation_id: str, this_session_only: bool = False) -> list[dict[str, Any]]:
    """Read the events that the chat shows."""
    store = agent.tracker_store
    retrieve = store.retrieve if this_session_only else store.retrieve_full_tracker
    tracker = cast("DialogueStateTracker | None", await retrieve(conversation_id))
    return [event.as_dict() for event in tracker.events if _is_shown(event)] if tracker else []


def _is_shown(event: Event) -> bool:
    if isinstance(event, SlotSet):
        return bool(event.key == FEEDBACK_SLOT)
    return isinstance(event, (UserUttered, BotUttered))


def _body(request: Request) -> dict[str, Any]:
    if len(request.body) > MAX_BODY_BYTES:
        raise errors.request_too_large()
    try:
        body = json.loads(request.body)
    except ValueError:
        raise errors.bad_request("the body is not JSON") from None
    if not isinstance(body, dict):
        raise errors.bad_request("the body is not a JSON object")
    return body


def _json(body: dict[str, Any], status: int = 200) -> HTTPResponse:
    # Conversations are personal: no cache on the way may keep them.
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return response.json(body, status=status, headers=headers)


def _asset_response(request: Request, asset: Asset, headers: dict[str, str]) -> HTTPResponse:
    validated = {**headers, "ETag": asset.etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == asset.etag:
        return response.empty(304, validated)
    return response.raw(asset.body, headers=validated, content_type=asset.content_type)
