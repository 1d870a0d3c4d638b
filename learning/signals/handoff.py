"""The customer asked for a person, or accepted one, right after something that the bot did not understand."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 0.8  # some want a person whatever the bot says


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find fallback turns that a request for a person follows: the need is in the turn before."""
    for turn in conversation.turns:
        if turn.led_to_person and turn.is_fallback:
            yield Finding(turn, WEIGHT, "asked for a person after it")
