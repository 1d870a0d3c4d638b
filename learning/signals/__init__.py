"""Detectors of failed turns, one a file, and the registry that runs them all.

Understanding signals say that the bot did not get what was meant: they become gaps. Service signals say
that it understood but could not help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from learning.model import Conversation, Finding, Signal, content_id
from learning.ports import Encoder, Redactor
from learning.settings import SignalSettings
from learning.signals import (
    ambiguity,
    backend_failure,
    clarification,
    fallback,
    frustration,
    handoff,
    low_confidence,
    negative_feedback,
    repeated_fallback,
    rephrase,
    unfamiliar,
)


@dataclass(frozen=True)
class Context:
    """What detectors may look at besides the conversation."""

    settings: SignalSettings
    encoder: Encoder


Detector = Callable[[Conversation, Context], Iterator[Finding]]

DETECTORS: dict[str, Detector] = {
    "fallback": fallback.detect,
    "clarification": clarification.detect,
    "repeated_fallback": repeated_fallback.detect,
    "low_confidence": low_confidence.detect,
    "ambiguity": ambiguity.detect,
    "unfamiliar": unfamiliar.detect,
    "rephrase": rephrase.detect,
    "negative_feedback": negative_feedback.detect,
    "frustration": frustration.detect,
    "handoff": handoff.detect,
    "backend_failure": backend_failure.detect,
}


def find_signals(conversation: Conversation, context: Context, redactor: Redactor) -> list[Signal]:
    """Run every detector over a conversation; texts leave redacted."""
    signals: list[Signal] = []
    redacted: dict[str, str] = {}
    for kind, detect in DETECTORS.items():
        for finding in detect(conversation, context):
            turn = finding.turn
            if turn.turn_id not in redacted:
                redacted[turn.turn_id] = redactor.redact(turn.text)
            signals.append(
                Signal(
                    signal_id=content_id("signal", kind, turn.turn_id),
                    turn_id=turn.turn_id,
                    sender=conversation.sender,
                    kind=kind,
                    text=redacted[turn.turn_id],
                    intent=turn.intent,
                    confidence=turn.confidence,
                    weight=finding.weight,
                    evidence=finding.evidence,
                    at=turn.at,
                    channel=turn.channel,
                    clarified=turn.clarified,
                )
            )
    return signals
