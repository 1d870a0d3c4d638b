"""The customer asked the same thing again in other words, so the answer was no help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from learning.model import Conversation, Finding, Turn

if TYPE_CHECKING:
    from learning.signals import Context

WEIGHT = 0.7  # some repeat a message only because the bot was slow
SAME_WORDS = 0.98  # from here it is the same message sent twice, not a rephrasing


def detect(conversation: Conversation, context: Context) -> Iterator[Finding]:
    """Find answered turns that the next message, soon after, says again."""
    pairs = [pair for pair in zip(conversation.turns, conversation.turns[1:], strict=False) if _may_be(*pair, context)]
    if not pairs:
        return
    vectors = context.encoder.encode([turn.text for pair in pairs for turn in pair])
    for number, (turn, after) in enumerate(pairs):
        similarity = float(vectors[2 * number] @ vectors[2 * number + 1])
        if context.settings.rephrase_similarity <= similarity < SAME_WORDS:
            yield Finding(
                turn, WEIGHT, f"asked again after {(after.at - turn.at).seconds} s, similarity {similarity:.2f}"
            )


def _may_be(turn: Turn, after: Turn, context: Context) -> bool:
    seconds = (after.at - turn.at).total_seconds()
    answered = bool(turn.reply) and not turn.is_fallback
    return answered and 0 <= seconds <= context.settings.rephrase_window and min(len(turn.text), len(after.text)) > 8
