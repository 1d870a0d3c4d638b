"""The customer said that the answer was no good: a thumbs-down, or in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from learning.model import Conversation, Finding

if TYPE_CHECKING:
    from learning.signals import Context

EXPLICIT_WEIGHT = 1.0  # a pressed thumb is meant
IMPLICIT_WEIGHT = 0.8  # now and then the phrase is about the shop, not about the answer
NOT_HELPED = re.compile(
    r"\b(not what i (asked|meant|said|wanted)|(that'?s|thats|this is) (wrong|not it|not right|no help|useless)"
    r"|you (don'?t|do not|didn'?t|did not) (understand|get it|listen|answer)|did ?n[o']?t (help|answer)"
    r"|wrong answer|that (doesn'?t|does not) (help|answer)|(didn'?t|did not) ask (that|for that|about that))",
    re.IGNORECASE,
)


def detect(conversation: Conversation, context: Context) -> Iterator[Finding]:
    """Find turns with a thumbs-down, and turns whose answer the next message rejects."""
    turns = conversation.turns
    for position, turn in enumerate(turns):
        after = turns[position + 1] if position + 1 < len(turns) else None
        if turn.thumbs < 0:
            yield Finding(turn, EXPLICIT_WEIGHT, "thumbs-down")
        elif after and NOT_HELPED.search(after.text):
            yield Finding(turn, IMPLICIT_WEIGHT, "next message rejects the answer")
