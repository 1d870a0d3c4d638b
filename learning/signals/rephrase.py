"""The customer asked the same thing again in other words, so the answer was no help."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from learning.model import Conversation, Turn
from learning.settings import SignalSettings
from learning.signals.again import Pair, same_numbers, shared_words, stems
from learning.texts import words_of

WEIGHT = 0.7  # some repeat a message only because the bot was slow
FEW_WORDS, MOST_WORDS = 0.2, 0.6  # share in common under which two messages differ, and from which they ask the same
SHORTEST = 8  # characters; "yes please" after "yes" is no question


def pairs(conversation: Conversation, settings: SignalSettings) -> Iterator[Pair]:
    """Yield answered turns with the next message, where that comes soon and may say the same."""
    for turn, after in pairwise(conversation.turns):
        if not _may_be(turn, after, settings):
            continue
        shared = shared_words(stems(turn.text), stems(after.text))
        if shared < FEW_WORDS:
            continue
        # The very same words are the same message, sent twice by the channel or by a nervous finger.
        if words_of(turn.text) == words_of(after.text) or not same_numbers(turn.text, after.text):
            continue
        evidence = f"asked again after {(after.at - turn.at).seconds} s"
        sure = shared if shared >= MOST_WORDS else None
        yield Pair(turn, after, sure, settings.rephrase_similarity, WEIGHT, evidence)


def _may_be(turn: Turn, after: Turn, settings: SignalSettings) -> bool:
    answered = bool(turn.reply) and not turn.is_fallback and not turn.answers_form and not after.answers_form
    return (
        answered
        and min(len(turn.text), len(after.text)) > SHORTEST
        and 0 <= (after.at - turn.at).total_seconds() <= settings.rephrase_window
    )
