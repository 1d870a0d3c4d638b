"""Two intents were nearly equally likely."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from learning.model import Conversation, Finding

if TYPE_CHECKING:
    from learning.signals import Context

WEIGHT = 0.5  # a near-tie is a coin toss between two answers


def detect(conversation: Conversation, context: Context) -> Iterator[Finding]:
    """Find answered turns whose two best intents are closer than `signals.near_tie`."""
    for turn in conversation.turns:
        rival = turn.runner_up
        if turn.is_fallback or rival is None or not turn.intent:
            continue
        lead = turn.confidence - rival[1]
        if lead < context.settings.near_tie:
            yield Finding(turn, WEIGHT, f"{turn.intent} only {lead:.2f} ahead of {rival[0]}")
