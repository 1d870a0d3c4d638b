"""Pull requests in the learning database."""

from __future__ import annotations

from datetime import datetime

from learning.adapters.store_conversations import ConversationTables
from learning.model import PullRequest


class PullTables(ConversationTables):
    """Pull requests in the learning database."""

    def pull_requests(self, *states: str) -> list[PullRequest]:
        """Return the pull requests in the given states (all without any), the oldest first."""
        raise NotImplementedError

    def save_pull_request(self, pull: PullRequest, who: str, at: datetime) -> None:
        """Write a pull request as it stands now."""
        raise NotImplementedError
