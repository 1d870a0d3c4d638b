"""Pull requests in the learning database."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import upsert
from learning.adapters.store_conversations import ConversationTables
from learning.model import PullRequest


class PullTables(ConversationTables):
    """Pull requests in the learning database."""

    def pull_requests(self, *states: str) -> list[PullRequest]:
        """Return the pull requests in the given states (all without any), the oldest first."""
        table = schema.pull_requests
        query = sa.select(table).order_by(table.c.opened_at, table.c.pull_id)
        if states:
            query = query.where(table.c.state.in_(states))
        with self._database.read() as connection:
            return [
                PullRequest(**{**dict(row._mapping), "conflicts": tuple(row.conflicts)})
                for row in connection.execute(query)
            ]

    def save_pull_request(self, pull: PullRequest, who: str, at: datetime) -> None:
        """Write a pull request as it stands now; a change of its state or its conflicts goes into the audit log."""
        table = schema.pull_requests
        with self._database.write() as connection:
            row = connection.execute(sa.select(table).where(table.c.pull_id == pull.pull_id)).first()
            before, conflicts = (row.state, tuple(row.conflicts)) if row is not None else ("", ())
            upsert(connection, table, "pull_id", asdict(pull))
            if (before, conflicts) != (pull.state, pull.conflicts):
                reason = "; ".join(pull.conflicts) or pull.url or pull.branch
                append_row(connection, at, who, "pull request", pull.pull_id, before, pull.state, reason, "")
