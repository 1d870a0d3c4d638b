"""The bot understood, but a back end did not answer."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding
from learning.settings import SignalSettings

WEIGHT = 1.0  # the action recorded it


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find turns whose action could not reach its service."""
    for turn in conversation.turns:
        if turn.failed_service:
            yield Finding(turn, WEIGHT, f"service {turn.failed_service} did not answer")
