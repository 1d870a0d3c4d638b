"""What changes while somebody looks: each area names its topics, and pages are told when one has moved.

A page carries the marks of its topics as they were before it was read. A stream (server-sent events) begins with the
marks of now and goes on with each that moves, so that a page which was away, by a restart or a lid that was closed,
sees by comparing that it is old.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import anyio
import orjson
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from hub.context import Hub, hub_of
from hub.rendering import SESSION
from hub.staff.roles import RIGHTS, Right, Role

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between two looks at the topics
CHECK_EVERY = 5  # looks after which a stream asks whether its session still lasts
HEARTBEAT = 15  # seconds after which a stream that has nothing to say says so, for proxies that cut silent ones
# A client that hangs is let go after this.
SEND_SECONDS = 30.0


@dataclass(frozen=True)
class Topic:
    """Something that pages show and that may change under them.

    `read` returns a short mark that changes whenever the thing does (a version, a count, a time); it is called about
    once a second by one thread of the process, however many people look, and must take a millisecond or two.
    """

    name: str
    read: Callable[[Hub], str]
    right: Right


class Live:
    """The marks of all topics, read at most once a second and only while somebody looks."""

    def __init__(self, hub: Hub, topics: Sequence[Topic]) -> None:
        self.topics = tuple(topics)
        self.marks: Mapping[str, str] = {}  # replaced as a whole
        self._hub = hub
        self._read_at = float("-inf")
        self._failing: set[str] = set()
        self._reading = threading.Lock()

    def read(self) -> Mapping[str, str]:
        """Return the marks, read anew if they are older than a second and nobody else is at it."""
        if time.monotonic() - self._read_at >= PAUSE and self._reading.acquire(blocking=False):
            try:
                self.marks = {topic.name: mark for topic in self.topics if (mark := self._mark(topic)) is not None}
                self._read_at = time.monotonic()
            finally:
                self._reading.release()
        return self.marks

    def visible(self, role: Role | None, asked: Iterable[str]) -> frozenset[str]:
        """Return which of the topics that are asked for a role may see."""
        rights = RIGHTS[role] if role else frozenset()
        return frozenset(asked) & {topic.name for topic in self.topics if topic.right in rights}

    def _mark(self, topic: Topic) -> str | None:
        try:
            mark = topic.read(self._hub)
        except Exception:  # one area's trouble is not to silence the others
            if topic.name not in self._failing:
                logger.exception(
                    "the topic %s cannot be read; pages are not told of its changes until it can", topic.name
                )
            self._failing.add(topic.name)
            return self.marks.get(topic.name)
        self._failing.discard(topic.name)
        return mark


def live_of(request: Request) -> Live:
    """Return the marks of the hub that serves `request`."""
    return cast(Live, request.app.state.live)


def stream(request: Request) -> Response:
    """Tell a page of what moves, as long as it is open and its session lasts."""
    return EventSourceResponse(_events(request), ping=HEARTBEAT, send_timeout=SEND_SECONDS)


async def _events(request: Request) -> AsyncIterator[dict[str, str]]:
    """Yield the marks that the page asks for, then each that has moved; `ended` is the last of a session."""
    live, role = live_of(request), cast("Role | None", request.state.role)
    names = live.visible(role, request.query_params.getlist("topic"))
    told: Mapping[str, str] = {}
    looks = 0
    while True:
        if looks % CHECK_EVERY == 0 and await run_in_threadpool(_role_now, request) is not role:
            yield {"event": "ended", "data": ""}
            return
        marks = {name: mark for name, mark in (await run_in_threadpool(live.read)).items() if name in names}
        moved = {name: mark for name, mark in marks.items() if told.get(name) != mark}
        if moved or not looks:
            yield {"event": "marks", "data": orjson.dumps(moved).decode()}
        told = marks
        looks += 1
        await anyio.sleep(PAUSE)


def _role_now(request: Request) -> Role | None:
    person = hub_of(request).sessions.find(request.session.get(SESSION), is_active=False)
    return person.role if person else None
