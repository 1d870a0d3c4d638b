"""The bot answered although it was guessing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from learning.model import Conversation, Finding

if TYPE_CHECKING:
    from learning.signals import Context

WEIGHT = 0.5  # at the default threshold about every second guess is wrong


def detect(conversation: Conversation, context: Context) -> Iterator[Finding]:
    """Find answered turns whose intent's confidence is under `signals.low_confidence`."""
    for turn in conversation.turns:
        if not turn.is_fallback and turn.intent and turn.confidence < context.settings.low_confidence:
            yield Finding(turn, WEIGHT, f"{turn.intent} at {turn.confidence:.2f}")
