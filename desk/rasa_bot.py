"""The running assistant, reached through its channel `desk` (components/desk_channel.py)."""

from __future__ import annotations

import logging

import httpx

from desk.errors import NotDelivered, Undeliverable
from desk.model import Outgoing
from learning.errors import SettingsError

TYPING_TIMEOUT = 1.0  # seconds; messages wait behind it
TIMEOUT = 10.0  # seconds; Rasa holds a conversation's lock while it answers the customer
GONE = 404
REFUSED = 422
NEXT = "it is tried again by itself; look at the log of the Rasa server if it goes on"

logger = logging.getLogger(__name__)


class RasaBot:
    """Puts messages into conversations, each once: the channel looks for the id under the conversation's lock."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            self._client = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT, transport=transport)
        except httpx.InvalidURL as error:
            raise SettingsError(f"is no URL ({error})", f"bot.url {url}", "write http://host:port") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def show_typing(self, sender_id: str) -> None:
        """Show to a customer that somebody writes; where that fails, nothing is lost and nothing raised."""
        try:
            self._client.post("/webhooks/desk/typing", json={"sender_id": sender_id}, timeout=TYPING_TIMEOUT)
        except httpx.HTTPError as error:
            logger.info("typing was not shown (%s)", type(error).__name__)

    def deliver(self, message: Outgoing) -> None:
        """Put a message into its conversation, once however often this is called."""
        item = f"message {message.message_id}"
        body = {
            "desk_id": message.message_id,
            "sender_id": message.sender_id,
            "kind": message.kind.value,
            "agent": message.agent,
            "text": message.text,
            "note": message.note,
        }
        try:
            response = self._client.post("/webhooks/desk/messages", json=body)
        except httpx.HTTPError as error:
            raise NotDelivered(f"The assistant does not answer ({type(error).__name__})", item, NEXT) from error
        if response.is_success:
            return
        if response.status_code == GONE and _code(response) == "no_conversation":
            raise Undeliverable("The conversation no longer exists", item, "nothing can be done")
        if response.status_code == REFUSED:
            raise Undeliverable("The assistant refused it", item, "compare the versions of desk and Rasa server")
        raise NotDelivered(f"The assistant answered {response.status_code} {_code(response)}".strip(), item, NEXT)


def _code(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ""
