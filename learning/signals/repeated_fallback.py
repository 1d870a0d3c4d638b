"""The bot failed to understand twice in a row: the customer is close to leaving."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 1.0  # two failures in a row are never chance


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find fallbacks that follow a fallback which no button cleared up."""
    for before, turn in zip(conversation.turns, conversation.turns[1:], strict=False):
        if before.is_fallback and not before.clarified and turn.is_fallback:
            yield Finding(turn, WEIGHT, "second fallback in a row")
