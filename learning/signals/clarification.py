"""The bot asked which of two things was meant, and the customer pressed one: a failure with its label."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 1.0  # the customer had to say it twice, and said what it means


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find turns whose meaning the customer chose; "Something else" chooses none and is a plain fallback."""
    for turn in conversation.turns:
        if turn.clarified:
            yield Finding(turn, WEIGHT, f"asked back; the customer chose {turn.clarified}")
