"""The answer was followed by a frustrated message."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 0.3  # most anger is about the parcel and not about the answer: alone it proves nothing


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find answered turns after which frustration rises to `signals.frustration`.

    A customer who comes angry, or stays so, says nothing about the answer: only the turn is meant where it began.
    """
    bar = settings.frustration
    for turn, after in zip(conversation.turns, conversation.turns[1:], strict=False):
        before, mood = turn.frustration or 0.0, after.frustration
        if turn.reply and mood is not None and before < bar <= mood:
            yield Finding(turn, WEIGHT, f"next message is frustrated at {mood:.2f}, this one at {before:.2f}")
