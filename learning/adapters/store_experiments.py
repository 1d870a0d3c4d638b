"""A/B tests in the learning database."""

from __future__ import annotations

from datetime import datetime

from learning.adapters.store_conversations import ConversationTables
from learning.model import Experiment, ExperimentOutcome


class ExperimentTables(ConversationTables):
    """A/B tests in the learning database."""

    def experiments(self) -> list[Experiment]:
        """Return every experiment, the newest first."""
        raise NotImplementedError

    def experiment(self, prefix: str) -> Experiment:
        """Return the experiment whose id starts with `prefix`."""
        raise NotImplementedError

    def save_experiment(self, before: Experiment | None, after: Experiment, who: str, at: datetime) -> None:
        """Write an experiment as it stands now, with its release and its line in the audit log."""
        raise NotImplementedError

    def experiment_outcomes(self, experiment_id: str) -> list[ExperimentOutcome]:
        """Return how the first conversation of each sender went, the oldest first."""
        raise NotImplementedError
