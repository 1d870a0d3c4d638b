"""The Rasa channel of the web chat: the page, the widget and their small interface, served by the bot itself.

In credentials.yml:

    components.webchat_channel.WebchatInput:
      title: Fernway help

Repeated messages are recognized from memory, after a restart from the tracker store. What is said later, by whichever
process, is read from the tracker store and pushed to the open pages.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from rasa.core.channels.channel import CollectingOutputChannel, InputChannel, UserMessage
from rasa.core.lock_store import LockError
from sanic import Blueprint
from sanic.request import Request
from sanic.response import HTTPResponse

from components.chat_events import stored_events, vouch_for
from components.feedback import AnswerNotFound, FeedbackError, Thumb, read_mark, read_thumb, record
from components.webchat_http import agent_of, body_of, json_answer, refusal, serve_files
from components.webchat_stream import CHAT_SLOTS, News
from webchat import errors
from webchat.errors import ChatError
from webchat.identity import IdentityChecker, IdentityRefused, identity_secret_from
from webchat.limits import checked_text, without_command
from webchat.memory import Answers, OpenConversations
from webchat.settings import WebchatSettings
from webchat.state import chat_state
from webchat.tokens import SECRET_VARIABLE, Caller, TokenSigner, new_conversation_id, secret_from
from webchat.transcript import SHOWN_TEXT_KEY, ChatMessage, exchange, offered, transcript

logger = logging.getLogger(__name__)

CHANNEL_NAME = "webchat"
HOUR_S = 60 * 60
DAY_S = 24 * HOUR_S
MAX_CURSOR_CHARS = 100  # longer than any message id
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

    def __init__(
        self,
        settings: WebchatSettings,
        secret: bytes,
        clock: Clock = time.time,
        identity_secret: bytes | None = None,
    ) -> None:
        """Keep settings, secrets and clock; nothing is read or opened yet."""
        self.settings = settings
        self._clock = clock
        self._signer = TokenSigner(secret, settings.token_days * DAY_S, settings.customer_hours * HOUR_S)
        self._identities = IdentityChecker(identity_secret, 60 * settings.identity_minutes)
        self._open = OpenConversations(settings.messages_per_minute, settings.feedback_per_minute)
        self._news = News(settings, self._open, clock)

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
        settings = WebchatSettings.from_options(credentials)
        return cls(settings, secret, identity_secret=identity_secret_from(os.environ, secret))

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """Return the routes of the pages and of their interface."""
        blueprint = Blueprint("webchat")
        serve_files(blueprint, self.settings)

        @blueprint.post("/session")
        async def new_session(request: Request) -> HTTPResponse:
            return json_answer(self._begin(request), 201)

        @blueprint.post("/messages")
        async def send_message(request: Request) -> HTTPResponse:
            sent, *answers = await self._receive(request, on_new_message)
            return json_answer({"received": sent.as_json(), "messages": [answer.as_json() for answer in answers]})

        @blueprint.get("/history")
        async def history(request: Request) -> HTTPResponse:
            events = await stored_events(agent_of(request), self._caller(request).conversation_id, CHAT_SLOTS)
            messages = transcript(events, self.settings.image_hosts)
            state = chat_state(events, self._clock(), self.settings)
            return json_answer({"messages": [one.as_json() for one in messages], "state": state.as_json()})

        @blueprint.get("/stream")
        async def stream(request: Request) -> None:
            cursor = request.headers.get("last-event-id", "")
            if len(cursor) > MAX_CURSOR_CHARS:
                raise errors.bad_request("Last-Event-ID is no message of ours")
            await self._news.stream(request, self._caller(request).conversation_id, cursor)

        @blueprint.post("/feedback")
        async def feedback(request: Request) -> HTTPResponse:
            await self._record(request, read_thumb)
            return json_answer({"recorded": True})

        @blueprint.post("/mark")
        async def mark(request: Request) -> HTTPResponse:
            await self._record(request, lambda body: read_mark(body.get("mark")))
            return json_answer({"recorded": True})

        @blueprint.exception(ChatError)
        async def refuse(request: Request, error: ChatError) -> HTTPResponse:
            return refusal(error)

        @blueprint.listener("before_server_stop")
        async def end_streams(*_: Any) -> None:
            self._news.streams.close()

        return blueprint

    def person_writes(self, conversation_id: str, is_on: bool) -> None:
        """Show to the customer that a person writes, or that they do no more; nothing of it is kept."""
        self._news.person_writes(conversation_id, is_on)

    def _begin(self, request: Request) -> dict[str, Any]:
        """Begin a conversation, or go on with one of the customer whom the host page has just vouched for."""
        body, now = body_of(request), self._clock()
        if "identity" not in body:
            return {"token": self._signer.issue(new_conversation_id(), now), "customer": None}
        try:
            customer = self._identities.customer(body["identity"], now)
        except IdentityRefused as reason:
            logger.warning("webchat: identity token refused: %s", reason)
            raise errors.identity_refused() from None
        conversation_id = self._signer.resumed(body.get("resume"), customer, now) or new_conversation_id()
        token = self._signer.issue(conversation_id, now, customer)
        return {"token": token, "customer": {"name": customer.name}}

    def _caller(self, request: Request) -> Caller:
        caller = self._signer.caller(request.token, self._clock())
        if caller is None:
            raise errors.unauthorized()
        return caller

    async def _receive(self, request: Request, on_new_message: OnNewMessage) -> Answers:
        """Hand one message to Rasa, once, and wait for what the bot says."""
        caller = self._caller(request)
        conversation_id = caller.conversation_id
        conversation = self._open.get(conversation_id)
        incoming = self._incoming(request)
        work = conversation.work_on(incoming.message_id)
        if work is None:
            wait_s = conversation.messages.hit(self._clock())
            if wait_s:
                raise errors.rate_limited(wait_s)
            agent = agent_of(request)

            async def answer() -> Answers:
                if conversation.ask_store:
                    earlier = await self._exchange(agent, conversation_id, incoming, this_session_only=False)
                    if earlier is not None:
                        return earlier
                return await self._answer(agent, on_new_message, caller, incoming)

            work = conversation.start(incoming.message_id, answer)
            # The other pages of this conversation see that the bot works, and what it said.
            self._news.streams.ring((conversation_id,))
            work.add_done_callback(lambda _: self._news.streams.ring((conversation_id,)))
        return await self._wait_for(work, conversation_id)

    def _incoming(self, request: Request) -> Incoming:
        body = body_of(request)
        message_id = body.get("client_message_id")
        if not isinstance(message_id, str) or not _CLIENT_MESSAGE_ID.fullmatch(message_id):
            raise errors.bad_request("client_message_id must be 8 to 64 letters, digits, '-' or '_'")
        limit = self.settings.max_message_chars
        text = checked_text(body.get("text"), limit, "the message")
        payload = body.get("payload")
        if payload is None:
            return Incoming(message_id, text, without_command(text), is_choice=False)
        return Incoming(message_id, text, checked_text(payload, limit, "the choice"), is_choice=True)

    async def _answer(self, agent: Any, on_new_message: OnNewMessage, caller: Caller, incoming: Incoming) -> Answers:
        """Let Rasa work on one message; return it and what the bot said, with the ids the tracker gave."""
        conversation_id = caller.conversation_id
        if incoming.is_choice and not offered(
            transcript(await stored_events(agent, conversation_id, ())), incoming.sent
        ):
            raise errors.choice_not_offered()
        if caller.customer is not None:
            await vouch_for(agent, conversation_id, caller.customer.as_json())
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
        said = await self._exchange(agent, conversation_id, incoming, this_session_only=True)
        if said is None:  # Rasa drops messages silently while no model is loaded
            raise errors.bot_not_ready()
        return said

    async def _exchange(
        self, agent: Any, conversation_id: str, incoming: Incoming, this_session_only: bool
    ) -> Answers | None:
        events = await stored_events(agent, conversation_id, CHAT_SLOTS, this_session_only)
        return exchange(transcript(events, self.settings.image_hosts), incoming.message_id)

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

    async def _record(self, request: Request, read: Callable[[dict[str, Any]], Thumb | int]) -> None:
        """Append a thumb or a mark to the conversation as a slot event, which mining reads in every channel alike."""
        conversation_id = self._caller(request).conversation_id
        body = body_of(request)
        try:
            given = read(body)
        except FeedbackError as error:
            raise errors.bad_request(str(error)) from None
        if isinstance(given, Thumb) and given.message_id is None:
            raise errors.message_not_found()  # the page knows which answer it is about
        wait_s = self._open.get(conversation_id).feedback.hit(self._clock())
        if wait_s:
            raise errors.rate_limited(wait_s)
        try:
            await record(agent_of(request), conversation_id, given)
        except AnswerNotFound:
            raise errors.message_not_found() from None
        except LockError:
            logger.warning("webchat: conversation %s: locked for too long to take feedback", conversation_id)
            raise errors.answer_slow() from None
        self._news.streams.ring((conversation_id,))
