"""The bot answered although it was guessing."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 0.5  # at the default threshold about every second guess is wrong


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find answered turns whose intent's confidence is under `signals.low_confidence`."""
    for turn in conversation.turns:
        # The overlay tells how near a message is to its examples, which is no probability.
        answered = not (turn.is_fallback or turn.answers_form or turn.overlay_entry) and turn.intent
        if answered and turn.confidence < settings.low_confidence:
            yield Finding(turn, WEIGHT, f"{turn.intent} at {turn.confidence:.2f}")
