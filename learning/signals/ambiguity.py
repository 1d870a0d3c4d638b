"""Two intents were nearly equally likely."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 0.5  # a near-tie is a coin toss between two answers


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find answered turns whose two best intents are closer than `signals.near_tie`."""
    for turn in conversation.turns:
        rival = turn.runner_up
        # What the overlay decided has a similarity, not a probability: the classifier's runner-up is no rival of it.
        decided = turn.overlay_entry is not None
        if decided or turn.is_fallback or turn.answers_form or rival is None or not turn.intent:
            continue
        lead = turn.confidence - rival[1]
        if lead < settings.near_tie:
            yield Finding(turn, WEIGHT, f"{turn.intent} only {lead:.2f} ahead of {rival[0]}")
