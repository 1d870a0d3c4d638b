"""The bot said that it did not understand."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 1.0  # the bot itself says so


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find turns that the NLU gave up on."""
    for turn in conversation.turns:
        if turn.is_fallback:
            guess = turn.runner_up
            evidence = f"not understood; best guess {guess[0]} at {guess[1]:.2f}" if guess else "not understood"
            yield Finding(turn, WEIGHT, evidence)
