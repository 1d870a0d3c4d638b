"""The customer came back to the same question later in the conversation: its answer had not settled it."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Turn
from learning.settings import SignalSettings
from learning.signals.again import Pair, same_numbers, shared_words, stems

WEIGHT = 0.5  # every other one only wants to be sure, or has lost sight of the answer
FEW_WORDS, MOST_WORDS = 0.34, 0.8  # share in common under which two questions differ, and from which they are one
FEWEST_STEMS = 2  # "thanks" and "hello" come twice in any conversation
LOOKBACK = 30  # turns; bounds what an endless conversation costs


def pairs(conversation: Conversation, settings: SignalSettings) -> Iterator[Pair]:
    """Yield answered turns with a later message, not the next one, that may ask the same again."""
    asked: list[tuple[int, Turn, frozenset[str]]] = []
    for position, after in enumerate(conversation.turns):
        words = stems(after.text)
        if after.answers_form or len(words) < FEWEST_STEMS:
            continue
        for earlier, turn, other in asked[-LOOKBACK:]:
            if earlier + 1 == position:
                continue
            shared = shared_words(words, other)
            if shared >= FEW_WORDS and same_numbers(turn.text, after.text):
                sure = shared if shared >= MOST_WORDS else None
                evidence = f"asked again {position - earlier} messages later"
                yield Pair(turn, after, sure, settings.repeat_similarity, WEIGHT, evidence)
        if after.reply and not after.is_fallback:
            asked.append((position, after, words))
