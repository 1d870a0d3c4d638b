"""The customer asked for a person right after something that the bot did not understand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from learning.model import Conversation, Finding

if TYPE_CHECKING:
    from learning.signals import Context

WEIGHT = 0.8  # some want a person whatever the bot says
PERSON_INTENT = "talk_to_person"


def detect(conversation: Conversation, context: Context) -> Iterator[Finding]:
    """Find fallback turns that a request for a person follows: the need is in the turn before."""
    for turn, after in zip(conversation.turns, conversation.turns[1:], strict=False):
        if turn.is_fallback and after.intent == PERSON_INTENT:
            yield Finding(turn, WEIGHT, "asked for a person after it")
