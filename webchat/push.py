"""Open streams: who waits for news of which conversation, and what they are sent.

The tracker store is the truth. A stream only ever sends what it reads there, so that nothing depends on which process
wrote a message; a bell tells it when to look.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from webchat.errors import too_many_streams
from webchat.state import ChatState
from webchat.transcript import ChatMessage

HEARTBEAT = b": still here\n\n"  # a comment, which keeps proxies from closing a silent connection


class Streams:
    """The bells of all open streams of this process."""

    def __init__(self, most_per_conversation: int, most: int) -> None:
        """Keep the limits; no stream is open yet."""
        self._most_per_conversation = most_per_conversation
        self._most = most
        self._bells: dict[str, list[asyncio.Event]] = {}
        self._count = 0
        self.closing = False

    @contextmanager
    def listen(self, conversation_id: str) -> Iterator[asyncio.Event]:
        """Give a bell that rings when there may be news of this conversation.

        Raises:
            ChatError: there are too many streams already.
        """
        bells = self._bells.get(conversation_id, [])
        if len(bells) >= self._most_per_conversation or self._count >= self._most:
            raise too_many_streams()
        bell = asyncio.Event()
        self._bells.setdefault(conversation_id, []).append(bell)
        self._count += 1
        try:
            yield bell
        finally:
            self._count -= 1
            self._bells[conversation_id].remove(bell)
            if not self._bells[conversation_id]:
                del self._bells[conversation_id]

    def ring(self, conversation_ids: Iterable[str]) -> None:
        """Have the streams of these conversations look for news."""
        for conversation_id in conversation_ids:
            for bell in self._bells.get(conversation_id, ()):
                bell.set()

    def ring_all(self) -> None:
        """Have all streams look for news."""
        self.ring(tuple(self._bells))

    def close(self) -> None:
        """End all streams: the server stops, and would wait for them."""
        self.closing = True
        self.ring_all()

    @property
    def conversations(self) -> Collection[str]:
        """The conversations that somebody reads now."""
        return self._bells.keys()

    def __len__(self) -> int:
        """Return how many streams are open."""
        return self._count


class Position:
    """What one reader has got so far; each message is sent once, whatever is read again."""

    def __init__(self, cursor: str) -> None:
        """Begin behind the message of this id; behind none if it is empty."""
        self._cursor: str | None = cursor
        self._sent: set[str] = set()
        self._state: dict[str, Any] | None = None

    def news(self, messages: Sequence[ChatMessage], state: ChatState, busy: bool, person_writes: bool = False) -> bytes:
        """Return what the reader does not have yet, as server-sent events; empty if there is nothing."""
        parts = [] if self._cursor is None else self._begin(messages, self._cursor)
        for message in messages:
            if message.id not in self._sent:
                self._sent.add(message.id)
                parts.append(server_sent("message", message.as_json(), message.id))
        told = {**state.as_json(), "busy": busy}
        if person_writes and state.speaker == "person":
            told["typing"] = True
        if told != self._state:
            self._state = told
            parts.append(server_sent("state", told))
        return b"".join(parts)

    def _begin(self, messages: Sequence[ChatMessage], cursor: str) -> list[bytes]:
        self._cursor = None
        if not cursor:
            return []
        ids = [message.id for message in messages]
        if cursor not in ids:
            # The conversation was erased, or the page is one of another conversation: it begins anew.
            return [server_sent("reset", {})]
        self._sent.update(ids[: ids.index(cursor) + 1])
        return []


def server_sent(kind: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    """Return one event as it goes over the wire; JSON has no line breaks of its own."""
    name = f"id: {event_id}\n" if event_id and event_id.isprintable() else ""
    return f"{name}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
