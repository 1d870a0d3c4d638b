"""What the page of one chat shows, worked out before the template."""

from __future__ import annotations

from dataclasses import dataclass

from desk.model import Delivery, Line, Outgoing, State
from desk.service import Chat
from hub.texts import desk as texts

REST_CHANNELS = frozenset({"rest", "cmdline"})  # nothing can be pushed to them
FRUSTRATED = 0.5  # as components.sentiment has it
ANNOYED = 0.25


@dataclass(frozen=True)
class ChatView:
    """One chat for one person."""

    is_mine: bool
    can_take: bool
    can_finish: bool
    lines: tuple[Line, ...]
    on_their_way: tuple[Outgoing, ...]  # queued, oldest first
    failed: tuple[Outgoing, ...]
    seen_row: int
    mood: str
    is_rest: bool

    @classmethod
    def of(cls, chat: Chat, who: str) -> ChatView:
        """Work out what a person may do, and what they see."""
        handover = chat.handover
        said = {line.desk_id for line in chat.transcript.lines if line.desk_id}
        # A message can be in the conversation a moment before the worker has noted so.
        missing = [one for one in chat.pending if one.message_id not in said]
        return cls(
            is_mine=handover.state is State.TAKEN and handover.agent == who,
            can_take=handover.state is State.WAITING or (chat.is_left and handover.agent != who),
            can_finish=handover.is_open and handover.agent in (None, who),
            lines=chat.transcript.lines,
            on_their_way=tuple(one for one in missing if one.state is Delivery.QUEUED),
            failed=tuple(one for one in missing if one.state is Delivery.FAILED),
            seen_row=chat.transcript.last_customer_row,
            mood=mood_word(handover.mood),
            is_rest=chat.transcript.channel in REST_CHANNELS,
        )


def mood_word(mood: float) -> str:
    """A mood from 0 to 1 as a word."""
    calm, annoyed, frustrated = texts.MOODS
    return frustrated if mood >= FRUSTRATED else annoyed if mood >= ANNOYED else calm
