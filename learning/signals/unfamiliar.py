"""The bot answered something that is like nothing it was trained on."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 0.3  # at the default threshold two right answers in five look like this: alone it proves nothing


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find answered turns whose nearest training examples are far (`signals.unfamiliar`)."""
    for turn in conversation.turns:
        near = turn.familiarity
        answered = not turn.is_fallback and not turn.answers_form and turn.overlay_entry is None
        if answered and near is not None and near < settings.unfamiliar:
            yield Finding(turn, WEIGHT, f"answered as {turn.intent}, nearest examples at {near:.2f}")
