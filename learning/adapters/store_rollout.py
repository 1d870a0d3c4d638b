"""Rollouts and what answers led to, in the learning database."""

from __future__ import annotations

from datetime import datetime

from learning.adapters.store_conversations import ConversationTables
from learning.model import AnswerCounts, Exposure, Rollout


class RolloutTables(ConversationTables):
    """Rollouts and what answers led to, in the learning database."""

    def rollouts(self) -> list[Rollout]:
        """Return every rollout."""
        raise NotImplementedError

    def save_rollout(self, rollout: Rollout) -> None:
        """Write a rollout as it stands now."""
        raise NotImplementedError

    def exposures(self, subject: str, since: datetime | None = None) -> list[Exposure]:
        """Return what came of the answers that a subject has changed, the oldest first."""
        raise NotImplementedError

    def answer_counts(self, since: datetime, until: datetime) -> AnswerCounts:
        """Return what came of all answers in a time."""
        raise NotImplementedError
