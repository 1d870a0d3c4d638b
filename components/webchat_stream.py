"""News of a conversation as they come: what a person or a reminder says arrives by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from sanic.request import Request
from sqlalchemy.exc import SQLAlchemyError

from components.chat_events import TrackerWatch, newest_row, stored_events
from components.webchat_http import agent_of
from webchat import errors
from webchat.memory import OpenConversations
from webchat.push import HEARTBEAT, Position, Streams
from webchat.settings import WebchatSettings
from webchat.state import CSAT_SLOT, chat_state
from webchat.transcript import FEEDBACK_SLOT, transcript

logger = logging.getLogger(__name__)

HEARTBEAT_S = 15.0  # proxies close a connection that is silent for 30 to 60 s
LONGEST_S = 30 * 60.0  # then the page opens another one, and its token is looked at again
TYPING_S = 6.0  # after the last sign that a person writes; the desk gives one every three seconds
BLIND_INTERVAL_S = 2.0  # between looks at each conversation, where a store cannot tell what is new
CHAT_SLOTS = (FEEDBACK_SLOT, CSAT_SLOT)
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"}

Clock = Callable[[], float]


class News:
    """The open streams of this process, and the one task that looks for news for all of them."""

    def __init__(self, settings: WebchatSettings, opened: OpenConversations, clock: Clock) -> None:
        """Keep what streams need; nothing runs until the first one opens."""
        self.streams = Streams(settings.streams_per_conversation, settings.most_streams)
        self._settings = settings
        self._opened = opened
        self._clock = clock
        self._watcher: asyncio.Task[None] | None = None
        self._typing: dict[str, asyncio.TimerHandle] = {}  # conversations in which a person writes now

    def person_writes(self, conversation_id: str, is_on: bool) -> None:
        """Show to whoever reads a conversation that a person writes, for `TYPING_S`, or that they do no more."""
        before = self._typing.pop(conversation_id, None)
        if before is not None:
            before.cancel()
        if is_on and conversation_id in self.streams.conversations:
            loop = asyncio.get_running_loop()
            self._typing[conversation_id] = loop.call_later(TYPING_S, self.person_writes, conversation_id, False)
        self.streams.ring((conversation_id,))

    async def stream(self, request: Request, conversation_id: str, cursor: str) -> None:
        """Send what is new behind `cursor` until the reader goes, the server stops, or `LONGEST_S` are over."""
        wait_s = self._opened.get(conversation_id).streams.hit(self._clock())
        if wait_s:
            raise errors.rate_limited(wait_s)
        agent_of(request)  # without a model there is nothing to read with: a refusal, not a broken stream
        with self.streams.listen(conversation_id) as bell:
            self._watch(request)
            answer = await request.respond(headers=HEADERS, content_type="text/event-stream")
            try:
                await self._send_news(request, conversation_id, Position(cursor), bell, answer.send)
            except SQLAlchemyError:
                logger.exception("webchat: conversation %s: the stream ended, the store failed", conversation_id)
            await answer.eof()

    async def _send_news(
        self, request: Request, conversation_id: str, position: Position, bell: asyncio.Event, send: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        # Sanic breaks off an answer that takes longer than its own limit.
        until = loop.time() + min(LONGEST_S, 0.8 * float(request.app.config.RESPONSE_TIMEOUT))
        row: int | None = None
        events: list[dict[str, Any]] | None = None
        while not self.streams.closing and loop.time() < until:
            bell.clear()
            agent = agent_of(request)
            newest = newest_row(agent.tracker_store, conversation_id)
            if events is None or newest is None or newest != row:
                events = await stored_events(agent, conversation_id, CHAT_SLOTS)
                row = newest
            said = transcript(events, self._settings.image_hosts)
            state = chat_state(events, self._clock(), self._settings)
            busy, person_writes = self._opened.get(conversation_id).busy, conversation_id in self._typing
            await send(position.news(said, state, busy, person_writes) or HEARTBEAT)
            try:
                await asyncio.wait_for(bell.wait(), HEARTBEAT_S)
            except asyncio.TimeoutError:
                continue

    def _watch(self, request: Request) -> None:
        if self._watcher is not None and not self._watcher.done():
            return
        watch = TrackerWatch()
        # Before the stream reads for the first time: what comes in between is then found by both, not by none.
        watch.changed(agent_of(request).tracker_store)
        self._watcher = asyncio.get_running_loop().create_task(self._look(request.app, watch))

    async def _look(self, app: Any, watch: TrackerWatch) -> None:
        """Ring for conversations with new rows, whichever process wrote them, while anybody listens."""
        interval_s = self._settings.push_interval_ms / 1000
        while len(self.streams) and not self.streams.closing:
            await asyncio.sleep(interval_s)
            agent = getattr(app.ctx, "agent", None)
            if agent is None:
                continue
            try:
                changed = watch.changed(agent.tracker_store)
            except SQLAlchemyError:
                logger.exception("webchat: the tracker store could not be asked for news; trying again")
                await asyncio.sleep(BLIND_INTERVAL_S)
                continue
            if changed is None:
                await asyncio.sleep(max(0.0, BLIND_INTERVAL_S - interval_s))
                self.streams.ring_all()
            else:
                self.streams.ring(changed.intersection(self.streams.conversations))
