"""Detectors of failed turns, one a file, and the registry that runs them all.

Understanding signals say that the bot did not get what was meant: they become gaps. Answer signals say that it
understood, or thought so, and the answer was no good. Service signals say that it understood but could not help.
Which kind is which stands in `model`. A finding's evidence holds labels and numbers, never what was said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from learning.model import Conversation, Finding, Rating, Turn
from learning.ports import Encoder
from learning.settings import SignalSettings
from learning.signals import (
    abandonment,
    ambiguity,
    backend_failure,
    clarification,
    fallback,
    frustration,
    handoff,
    low_confidence,
    low_satisfaction,
    negative_feedback,
    recommended,
    repeated_fallback,
    repeated_question,
    rephrase,
    unfamiliar,
)
from learning.signals.again import Pair, judge


@dataclass(frozen=True)
class Context:
    """What detectors may look at besides the conversation."""

    settings: SignalSettings
    encoder: Encoder
    person_intents: Sequence[str] = ()
    closing_intents: Sequence[str] = ()

    def closes(self, turn: Turn) -> bool:
        """Whether a turn only thanks or says goodbye: that may be worded like nothing else, and needs no answer."""
        return turn.intent in self.closing_intents and turn.confidence >= self.settings.low_confidence


Detector = Callable[[Conversation, SignalSettings], Iterator[Finding]]
Pairs = Callable[[Conversation, SignalSettings], Iterator[Pair]]

# Detectors that look at one conversation and need nothing else.
DETECTORS: dict[str, Detector] = {
    "fallback": fallback.detect,
    "clarification": clarification.detect,
    "repeated_fallback": repeated_fallback.detect,
    "low_confidence": low_confidence.detect,
    "ambiguity": ambiguity.detect,
    "unfamiliar": unfamiliar.detect,
    "negative_feedback": negative_feedback.detect,
    "frustration": frustration.detect,
    "abandonment": abandonment.detect,
    "handoff": handoff.detect,
    "backend_failure": backend_failure.detect,
}
# Detectors that compare what two messages mean; sentences are encoded once for all conversations.
PAIR_DETECTORS: dict[str, Pairs] = {
    "rephrase": rephrase.pairs,
    "repeated_question": repeated_question.pairs,
}
# `recommended.unexplained` looks at what the others have found, and comes last.
# `low_satisfaction.weak_answers` looks at the ratings of all conversations, and is called by itself.
KINDS = (*DETECTORS, *PAIR_DETECTORS, recommended.KIND, low_satisfaction.KIND)


def detect(conversations: Sequence[Conversation], context: Context) -> list[list[tuple[str, Finding]]]:
    """Return for each conversation what its detectors found: (kind, finding), at most one of a kind for a turn."""
    found: list[list[tuple[str, Finding]]] = []
    pairs: list[tuple[int, str, Pair]] = []
    for number, conversation in enumerate(conversations):
        found.append(
            [
                (kind, finding)
                for kind, run in DETECTORS.items()
                for finding in run(conversation, context.settings)
                if kind != "unfamiliar" or not context.closes(finding.turn)
            ]
        )
        if len(conversation.turns) > 1:
            pairs += [
                (number, kind, pair)
                for kind, find in PAIR_DETECTORS.items()
                for pair in find(conversation, context.settings)
            ]
    taken: set[tuple[int, str, str]] = set()
    for (number, kind, pair), finding in zip(pairs, judge([pair for *_, pair in pairs], context.encoder), strict=True):
        key = (number, kind, pair.turn.turn_id)
        if finding is not None and key not in taken:
            taken.add(key)
            found[number].append((kind, finding))
    for conversation, findings in zip(conversations, found, strict=True):
        marked = list(recommended.unexplained(conversation, findings, context.person_intents))
        findings += [(recommended.KIND, finding) for finding in marked]
    return found


def ratings(conversation: Conversation) -> list[Rating]:
    """Return what the customer said of the answers: thumbs, and marks that are not in the middle."""
    return [
        Rating(turn.turn_id, conversation.sender, turn.intent, turn.rating > 0)
        for turn in conversation.turns
        if turn.rating and not turn.is_fallback
    ]
