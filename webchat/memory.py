"""What the channel remembers of the conversations that are going on."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from webchat.limits import RateLimit
from webchat.transcript import ChatMessage

Answers = list[ChatMessage]

STREAMS_PER_MINUTE = 60  # six pages that lose their connection every six seconds
KEPT_ANSWERS = 50  # a page repeats only its latest messages
KEPT_CONVERSATIONS = 10_000  # about 20 MB; the tracker store knows the others


@dataclass
class OpenConversation:
    """One conversation's limits, and the work on its latest messages by client message id."""

    messages: RateLimit
    feedback: RateLimit
    streams: RateLimit = field(default_factory=lambda: RateLimit(STREAMS_PER_MINUTE))
    # True while the store may hold messages unknown to this process: after a start or a failure.
    ask_store: bool = True
    _work: OrderedDict[str, asyncio.Task[Answers]] = field(default_factory=OrderedDict)

    def work_on(self, client_message_id: str) -> asyncio.Task[Answers] | None:
        """Return the work on a message that has been sent before, running or done."""
        return self._work.get(client_message_id)

    def start(self, client_message_id: str, answer: Callable[[], Awaitable[Answers]]) -> asyncio.Task[Answers]:
        """Start the work on a new message; it goes on even if the customer closes the page."""

        async def run() -> Answers:
            try:
                answers = await answer()
            except BaseException:
                # The next try must run again, but only after a look at what was stored.
                self._work.pop(client_message_id, None)
                self.ask_store = True
                raise
            self.ask_store = False
            return answers

        task = asyncio.get_running_loop().create_task(run())
        self._work[client_message_id] = task
        # A failure is told to whoever waits; without a waiter it must not end as "never retrieved".
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        surplus = max(0, len(self._work) - KEPT_ANSWERS)
        for old in [key for key, work in self._work.items() if work.done()][:surplus]:
            del self._work[old]
        return task

    @property
    def busy(self) -> bool:
        """Tell whether a message is being answered."""
        return any(not work.done() for work in self._work.values())


class OpenConversations:
    """The conversations seen lately, the least recently used dropped first."""

    def __init__(self, messages_per_minute: int, feedback_per_minute: int, keep: int = KEPT_CONVERSATIONS) -> None:
        """Keep the limits that every conversation starts with."""
        self._messages_per_minute = messages_per_minute
        self._feedback_per_minute = feedback_per_minute
        self._keep = keep
        self._open: OrderedDict[str, OpenConversation] = OrderedDict()

    def get(self, conversation_id: str) -> OpenConversation:
        """Return what is remembered of a conversation, or a fresh memory."""
        found = self._open.get(conversation_id)
        if found is None:
            found = OpenConversation(RateLimit(self._messages_per_minute), RateLimit(self._feedback_per_minute))
            self._open[conversation_id] = found
        self._open.move_to_end(conversation_id)
        if len(self._open) > self._keep:
            idle = next((key for key, one in self._open.items() if not one.busy and one is not found), None)
            if idle is not None:
                del self._open[idle]
        return found

    def __len__(self) -> int:
        """Return how many conversations are remembered."""
        return len(self._open)
