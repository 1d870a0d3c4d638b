"""Rasa's channels with feedback: a button or a client sends `/feedback{"value": "down"}` like any other message.

In credentials.yml, in the place of `rest:`:

    components.rated_channels.RatedRest:

What is feedback never reaches the dialogue: a form does not ask again, and the customer's turn stays as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.core.channels.rest import RestInput
from rasa.core.lock_store import LockError
from sanic import Blueprint
from sanic.exceptions import Forbidden
from sanic.request import Request

from components.feedback import AnswerNotFound, FeedbackError, read_command, record
from components.slack_text import PREFIX as SLACK_PREFIX
from webchat.limits import sendable
from webchat.tokens import CONVERSATION_PREFIX as WEBCHAT_PREFIX

logger = logging.getLogger(__name__)

RESERVED = (WEBCHAT_PREFIX, SLACK_PREFIX)  # begin the senders of the channels that prove who writes

OnNewMessage = Callable[[UserMessage], Awaitable[Any]]


class TakesFeedback(InputChannel):
    """Mixed into a channel, before it, this records feedback where the channel would hand it to the dialogue."""

    def blueprint(self, on_new_message: OnNewMessage) -> Blueprint:
        """Return the channel's own routes."""
        apps: list[Any] = []

        async def receive(message: UserMessage) -> None:
            try:
                feedback = read_command(message.text)
            except FeedbackError as error:
                logger.warning("%s: conversation %s: feedback refused: %s", self.name(), message.sender_id, error)
                return
            if feedback is None:
                await on_new_message(message)
                return
            agent = getattr(apps[0].ctx, "agent", None) if apps else None
            if agent is None:
                logger.warning("%s: conversation %s: no model, feedback lost", self.name(), message.sender_id)
                return
            try:
                await record(agent, message.sender_id, feedback)
            except (AnswerNotFound, LockError) as error:
                kind = type(error).__name__
                logger.warning("%s: conversation %s: feedback not recorded: %s", self.name(), message.sender_id, kind)

        blueprint: Blueprint = super().blueprint(receive)

        @blueprint.middleware("request")
        async def know_app(request: Request) -> None:
            if not apps:
                apps.append(request.app)

        return blueprint


class RatedRest(TakesFeedback, RestInput):
    """Rasa's REST channel, under the same name and address.

    A client names its senders itself: it gets no conversation that another channel has opened for somebody.
    """

    async def _extract_sender(self, req: Request) -> str | None:
        sender = await super()._extract_sender(req)
        if isinstance(sender, str) and sender.startswith(RESERVED):
            raise Forbidden("this sender belongs to another channel")
        return cast("str | None", sender)

    def _extract_message(self, req: Request) -> str | None:
        message = super()._extract_message(req)
        return sendable(message) if isinstance(message, str) else message
