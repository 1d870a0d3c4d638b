"""What the bot says, to Slack's Web API: with time-outs, bounded retries, and nothing said twice."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rasa.core.channels.channel import OutputChannel
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from components.slack_text import Place, choices, escaped, feedback, parts, section

logger = logging.getLogger(__name__)

TIMEOUT_S = 10
RETRIES = 2
NAMES = uuid.UUID("0b7c5a4e-6d0f-5a4b-9a53-1f6f2f6b7b11")  # of ids that are made from a desk's ids


def make_client(token: str, address: str | None = None, proxy: str | None = None) -> AsyncWebClient:
    """Return a client of Slack's Web API that waits at most ten seconds, and tries again where that is safe.

    A message is sent with an id of its own (`client_msg_id`), by which Slack knows one that has arrived before.
    """
    handlers = [AsyncConnectionErrorRetryHandler(RETRIES), AsyncRateLimitErrorRetryHandler(RETRIES)]
    options: dict[str, Any] = {"base_url": address} if address else {}
    return AsyncWebClient(token, timeout=TIMEOUT_S, proxy=proxy, retry_handlers=handlers, **options)


class SlackOutput(OutputChannel):
    """Says something at a place in Slack; the place is where the conversation is.

    During a turn the latest message is held back until the next one or `finish`, because the last answer of a turn
    carries the buttons for feedback. Without `begin` everything is sent at once.
    """

    def __init__(self, client: AsyncWebClient, place: Place | None = None, asks_feedback: bool = True) -> None:
        self._client = client
        self._place = place
        self._asks_feedback = asks_feedback
        self._held: dict[str, Any] | None = None
        self._in_turn = False

    @classmethod
    def name(cls) -> str:
        """Return the name that channel-specific responses are chosen by."""
        return "slack"

    def begin(self) -> None:
        """Begin a turn."""
        self._in_turn = True

    async def finish(self) -> None:
        """End the turn: what is held back is sent."""
        self._in_turn = False
        held, self._held = self._held, None
        if held is None:
            return
        asks = held["blocks"] or held["text"].rstrip().endswith("?")
        if self._asks_feedback and not asks:
            held["blocks"] = [section(held["plain"]), feedback()]
        await self._send(held)

    async def send_text_message(self, recipient_id: str, text: str, **kwargs: Any) -> None:
        """Say a text."""
        for number, part in enumerate(parts(text)):
            await self._say(recipient_id, part, [], _message_id(kwargs.get("desk_id"), number))

    async def send_text_with_buttons(
        self, recipient_id: str, text: str, buttons: Sequence[Mapping[str, Any]], **kwargs: Any
    ) -> None:
        """Say a text with quick replies."""
        *before, last = parts(text) or [" "]
        for part in before:
            await self._say(recipient_id, part, [])
        await self._say(recipient_id, last, [section(last), *choices(buttons)])

    async def send_image_url(self, recipient_id: str, image: str, **kwargs: Any) -> None:
        """Show an image."""
        await self._say(recipient_id, image, [{"type": "image", "image_url": image, "alt_text": "image"}])

    async def send_attachment(self, recipient_id: str, attachment: Any, **kwargs: Any) -> None:
        """Say the link or the text of an attachment."""
        if isinstance(attachment, Mapping):
            attachment = attachment.get("text") or attachment.get("fallback") or attachment.get("url") or ""
        await self.send_text_message(recipient_id, str(attachment))

    async def send_custom_json(self, recipient_id: str, json_message: Mapping[str, Any], **kwargs: Any) -> None:
        """Say what was made for Slack: `text` and `blocks`; other keys, such as another channel, are ignored."""
        text, blocks = str(json_message.get("text") or ""), json_message.get("blocks")
        if text or blocks:
            await self._say(recipient_id, text or " ", blocks if isinstance(blocks, list) else [])

    async def _say(self, recipient_id: str, text: str, blocks: list[dict[str, Any]], message_id: str = "") -> None:
        message = {
            "place": self._place or Place.parse(recipient_id),
            "text": escaped(text),
            "plain": text,
            "blocks": blocks,
            "id": message_id or str(uuid.uuid4()),
        }
        if not self._in_turn:
            await self._send(message)
            return
        held, self._held = self._held, message
        if held is not None:
            await self._send(held)

    async def _send(self, message: Mapping[str, Any]) -> None:
        place: Place = message["place"]
        options: dict[str, Any] = {"thread_ts": place.thread} if place.thread else {}
        if message["blocks"]:
            options["blocks"] = message["blocks"]
        try:
            # Not `as_user`, which Slack refuses for apps of today.
            await self._client.chat_postMessage(
                channel=place.channel or place.user,
                text=message["text"],
                client_msg_id=message["id"],
                unfurl_links=False,
                **options,
            )
        except SlackApiError as error:
            problem = str(error.response.get("error", "")) if error.response else ""
            logger.error("slack: conversation %s: not sent: %s", place.conversation_id, problem or "no answer")
            raise


def _message_id(desk_id: object, number: int) -> str:
    """Return the same id whenever the same answer of the desk is sent."""
    return str(uuid.uuid5(NAMES, f"{desk_id} {number}")) if desk_id else ""
