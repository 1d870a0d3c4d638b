"""Rasa's Slack channel, hardened: signed requests only, answered at once, each message handled once.

In credentials.yml:

    components.slack_channel.SlackInput:
      slack_token: ${SLACK_TOKEN}
      slack_signing_secret: ${SLACK_SIGNING_SECRET}

What differs from Rasa's own: repeats are known by the message they carry, whatever Slack's reason for them; direct
messages are one conversation for each person, mentions one for each thread; nobody can type a command such as
`/inform{...}`; a button counts while it is on offer; feedback on each answer; nothing is sent `as_user`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from rasa.core.channels.channel import OutputChannel, UserMessage
from rasa.core.channels.slack import SlackInput as RasaSlackInput
from rasa.core.lock_store import LockError
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse
from slack_sdk.errors import SlackClientError

from components.chat_events import stored_events
from components.feedback import AnswerNotFound, FeedbackError, Thumb, read_command, record
from components.slack_inbox import DEFAULT, VARIABLE, Inbox, Received
from components.slack_output import SlackOutput, make_client
from components.slack_text import FEEDBACK_BLOCK, Place, plain
from webchat.errors import ChatError
from webchat.limits import RateLimit, checked_text, without_command
from webchat.transcript import SHOWN_TEXT_KEY, ChatMessage, offered, transcript

logger = logging.getLogger(__name__)

MAX_BODY = 256 * 1024  # bytes; Slack's own limit of a message is 40,000 characters
MAX_TEXT = 1_000  # characters, as in the web chat
PER_MINUTE = 20  # messages of one conversation
REMEMBERED = 10_000  # clicks and conversations
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
# Everything else that comes as a message (edits, deletions, joins) is no new one.
SUBTYPES = (None, "file_share", "thread_broadcast")
STOP_S = 20.0  # for which the messages under way may go on when the bot is stopped
STARTS = 120  # seconds in which a model is loaded
CLOCKS_APART = 1.0  # seconds by which Slack's clock may be behind ours
NOT_READY = "I am just being started and cannot answer yet. Please try again in a minute."
FAILED = "Something went wrong on my side, and your message may not have been handled. Please try again in a moment."
NOT_OFFERED = "That choice is no longer open. Please tell me what you need."
THANKS = "Thank you for the feedback."

OnNewMessage = Callable[[UserMessage], Awaitable[Any]]


class SlackInput(RasaSlackInput):
    """Takes Slack's events and button clicks; credentials are those of Rasa's channel, and `feedback: false`."""

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> SlackInput:
        """Build the channel from its section of credentials.yml."""
        if not credentials or not credentials.get("slack_token"):
            cls.raise_missing_credentials_exception()
        assert credentials is not None
        return cls(
            str(credentials["slack_token"]),
            str(credentials.get("slack_signing_secret") or ""),
            asks_feedback=bool(credentials.get("feedback", True)),
            address=credentials.get("slack_api_url"),
            proxy=credentials.get("proxy"),
            inbox=Path(os.environ.get(VARIABLE) or DEFAULT),
        )

    def __init__(
        self,
        token: str,
        signing_secret: str,
        asks_feedback: bool = True,
        address: str | None = None,
        proxy: str | None = None,
        inbox: Path = DEFAULT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(token, slack_signing_secret=signing_secret, proxy=proxy, conversation_granularity="thread")
        self._asks_feedback = asks_feedback
        self._address = address
        self._clock = clock
        self._client: Any = None
        self._clicked: OrderedDict[str, None] = OrderedDict()
        self._inbox_path = inbox
        self._kept: Inbox | None = None
        self._limits: OrderedDict[str, RateLimit] = OrderedDict()
        self._work: set[asyncio.Task[None]] = set()

    def get_output_channel(self, channel: str | None = None, thread_id: str | None = None) -> OutputChannel:
        """Return what says something in the conversation whose id it is given."""
        return self._output(None)

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """Return the routes: a health check, and the address that Slack calls."""
        blueprint = Blueprint("slack_webhook")

        @blueprint.get("/")
        async def health(request: Request) -> HTTPResponse:
            return response.json({"status": "ok"})

        @blueprint.post("/webhook")
        async def webhook(request: Request) -> HTTPResponse:
            if len(request.body) > MAX_BODY:
                return response.text("too large", status=413)
            if not self.is_request_from_slack_authentic(request):
                return response.text("not signed by Slack", status=401)
            try:
                return self._receive(request, on_new_message)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
                # Signed by Slack, and not in any shape that it documents: a retry would not help.
                logger.warning("slack: a request that cannot be read")
                return response.text("cannot be read", status=400)

        @blueprint.listener("after_server_start")
        async def go_on(app: Any, _: Any = None) -> None:
            for message in self._inbox().left():
                self._start(self._take_up(app, on_new_message, message))

        @blueprint.listener("before_server_stop")
        async def finish(app: Any, _: Any = None) -> None:
            if self._work:
                await asyncio.wait(self._work, timeout=STOP_S)

        return blueprint

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _take_up(self, app: Any, on_new_message: OnNewMessage, message: Received) -> None:
        """Handle what was received before a restart; what Rasa had begun with then is not begun again."""
        agent = getattr(app.ctx, "agent", None)
        for _ in range(STARTS):
            if agent is not None and agent.is_ready():
                break
            await asyncio.sleep(1.0)
            agent = getattr(app.ctx, "agent", None)
        if agent is not None and await _is_stored(agent, message.conversation, message.key):
            place = Place.parse(message.conversation)
            await self._apologize(self._output(place), message.conversation, FAILED)
            self._inbox().done(message.key)
            return
        await self._handle(agent, on_new_message, message)

    def _receive(self, request: Request, on_new_message: OnNewMessage) -> HTTPResponse:
        """Answer at once, and work on it afterwards: Slack waits three seconds and then sends it again."""
        kind = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
        if kind == JSON:
            content = json.loads(request.body)
            if "challenge" in content:
                return response.text(str(content["challenge"]))
            work = self._message(request, on_new_message, content)
        elif kind == FORM:
            work = self._click(request, on_new_message, json.loads(request.form["payload"][0]))
        else:
            return response.text("neither an event nor a click", status=415)
        if work is not None:
            self._start(work)
        return response.empty(200)

    def _message(
        self, request: Request, on_new_message: OnNewMessage, content: Mapping[str, Any]
    ) -> Coroutine[Any, Any, None] | None:
        """Return the work on an event, None if it is no message for the bot or has been here before."""
        event = content.get("event") or {}
        # Slack's own bots have an id, messages of apps a user, too: an answer to one's own answers never ends.
        is_person = event.get("user") and not event.get("bot_id") and event.get("subtype") in SUBTYPES
        is_direct = event.get("channel_type") == "im"
        if event.get("type") not in ("message", "app_mention") or not is_person or not event.get("text"):
            return None
        if not is_direct and event["type"] != "app_mention":
            return None  # people talk to each other; a mention comes as an event of its own
        # In a thread a mention begins one, and a direct one stays apart from the other messages.
        thread = event.get("thread_ts") or ("" if is_direct else event["ts"])
        place = Place(event["user"], "" if is_direct and not thread else event["channel"], thread)
        key = f"{event['channel']}-{event['ts']}"  # the same in each event about one message
        message = Received(key, place.conversation_id, plain(event["text"]))
        return self._handle(_agent(request), on_new_message, message) if self._inbox().put(message) else None

    def _click(
        self, request: Request, on_new_message: OnNewMessage, content: Mapping[str, Any]
    ) -> Coroutine[Any, Any, None] | None:
        """Return the work on a button that somebody pressed."""
        if content.get("type") != "block_actions" or not content.get("actions"):
            return None
        action, message, user = content["actions"][0], content.get("message") or {}, content["user"]["id"]
        channel, thread = content["channel"]["id"], message.get("thread_ts") or ""
        is_direct = channel.startswith("D")
        place = Place(user, "" if is_direct and not thread else channel, thread)
        payload = action.get("value")
        # A double click is one: what counts is which button of which message.
        button = f"{user}-{channel}-{message.get('ts')}-{action.get('action_id')}"
        if not payload:
            return None
        if action.get("block_id") == FEEDBACK_BLOCK:
            is_new = self._is_new(button)
            return self._rate(_agent(request), place, channel, str(payload), message) if is_new else None
        shown = str((action.get("text") or {}).get("text") or "")
        chosen = Received(button, place.conversation_id, str(payload), shown, is_choice=True)
        return self._handle(_agent(request), on_new_message, chosen) if self._inbox().put(chosen) else None

    async def _handle(self, agent: Any, on_new_message: OnNewMessage, message: Received) -> None:
        """Hand one message to Rasa; whatever happens, the person hears of it."""
        conversation = message.conversation
        output = self._output(Place.parse(conversation))
        try:
            await self._hand_on(agent, on_new_message, message, output)
        except ChatError as error:
            await self._apologize(output, conversation, error.message)
        except SlackClientError:
            pass  # logged where it was sent; the tracker has the answer
        except Exception:
            logger.exception("slack: conversation %s: the bot failed to answer", conversation)
            await self._apologize(output, conversation, FAILED)
        self._inbox().done(message.key)  # not where the process is stopped meanwhile: then it is taken up again

    async def _hand_on(self, agent: Any, on_new_message: OnNewMessage, message: Received, output: SlackOutput) -> None:
        conversation, text = message.conversation, message.text
        if agent is None or not agent.is_ready():
            await output.send_text_message(conversation, NOT_READY)
        elif refusal := self._refusal(conversation, text):
            await output.send_text_message(conversation, refusal)
        elif message.is_choice and not offered(await _said(agent, conversation), text):
            await output.send_text_message(conversation, NOT_OFFERED)
        else:
            metadata = {SHOWN_TEXT_KEY: message.shown} if message.shown else None
            sent = text if message.is_choice else without_command(text)
            output.begin()
            await on_new_message(UserMessage(sent, output, conversation, None, self.name(), message.key, metadata))
            await output.finish()

    async def _apologize(self, output: SlackOutput, conversation: str, text: str) -> None:
        try:
            await output.finish()
            await output.send_text_message(conversation, text)
        except Exception:
            logger.exception("slack: conversation %s: not even told that it failed", conversation)

    async def _rate(self, agent: Any, place: Place, channel: str, payload: str, message: Mapping[str, Any]) -> None:
        """Note what somebody thinks of the answer under which the button stands."""
        try:
            thumb = read_command(payload)
            if agent is None or not isinstance(thumb, Thumb):
                return
            rated = _rated(await _said(agent, place.conversation_id), message)
            await record(agent, place.conversation_id, Thumb(thumb.value, rated))
            options = {"thread_ts": place.thread} if place.thread else {}
            await self._slack().chat_postEphemeral(channel=channel, user=place.user, text=THANKS, **options)
        except (FeedbackError, AnswerNotFound, LockError, SlackClientError) as error:
            kind = type(error).__name__
            logger.warning("slack: conversation %s: feedback: %s", place.conversation_id, kind)
        except Exception:
            logger.exception("slack: conversation %s: feedback failed", place.conversation_id)

    def _refusal(self, conversation: str, text: str) -> str:
        """Return why a message is not handled, empty if it is."""
        limit = self._limits.setdefault(conversation, RateLimit(PER_MINUTE))
        self._limits.move_to_end(conversation)
        while len(self._limits) > REMEMBERED:
            self._limits.popitem(last=False)
        wait = limit.hit(self._clock())
        if wait:
            return f"That was a lot at once. Please wait {wait} seconds before the next message."
        try:
            checked_text(text, MAX_TEXT, "the message")
        except ChatError as error:
            return error.message
        return ""

    def _is_new(self, click: str) -> bool:
        if click in self._clicked:
            return False
        self._clicked[click] = None
        while len(self._clicked) > REMEMBERED:
            self._clicked.popitem(last=False)
        return True

    def _inbox(self) -> Inbox:
        if self._kept is None:
            self._kept = Inbox(self._inbox_path)
        return self._kept

    def _output(self, place: Place | None) -> SlackOutput:
        return SlackOutput(self._slack(), place, self._asks_feedback)

    def _slack(self) -> Any:
        if self._client is None:  # it wants the running loop
            self._client = make_client(self.slack_token, self._address, self.proxy)
        return self._client


def _agent(request: Request) -> Any:
    return getattr(request.app.ctx, "agent", None)


async def _said(agent: Any, conversation: str) -> list[ChatMessage]:
    return transcript(await stored_events(agent, conversation, ()))


async def _is_stored(agent: Any, conversation: str, key: str) -> bool:
    """Whether a message is in the conversation: after a restart that is all there is to know repeats by."""
    events = await stored_events(agent, conversation, ())
    return any(event["event"] == "user" and event.get("message_id") == key for event in events)


def _rated(said: list[ChatMessage], message: Mapping[str, Any]) -> str | None:
    """Return the id of the answer that Slack shows as `message`: the last one told by then, of the same text if any."""
    until = float(message.get("ts") or 0) + CLOCKS_APART
    before = [one for one in said if one.role == "bot" and one.time.timestamp() <= until]
    shown = plain(str(message.get("text") or ""))
    same = [one for one in before if one.text.strip() == shown]
    return (same or before)[-1].id if before else None
