"""How many people wanted something in each of the last weeks, in the learning database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.database import chunks
from learning.adapters.store_conversations import ConversationTables

WEEK = timedelta(days=7)


class TrendTables(ConversationTables):
    """What the curves beside gaps are drawn from."""

    def weekly_people(self, gap_ids: Collection[str], newest: datetime, weeks: int) -> dict[str, tuple[int, ...]]:
        """Return for each gap how many people were in it in each of the `weeks` up to `newest`, the oldest first."""
        table = schema.failed_turns
        ends = [newest - number * WEEK for number in range(weeks)]
        # The first condition that holds counts: each week ends where the next one begins.
        weeks_ago = [(table.c.at > end - WEEK, number) for number, end in enumerate(ends)]
        bucket: Any = sa.case(*weeks_ago, else_=weeks)
        query = sa.select(table.c.gap_id, bucket.label("week"), sa.func.count(sa.distinct(table.c.sender)).label("n"))
        found = {gap_id: [0] * weeks for gap_id in gap_ids}
        with self._database.read() as connection:
            for chunk in chunks(sorted(found)):
                within = (table.c.gap_id.in_(chunk), table.c.at <= newest, table.c.at > newest - weeks * WEEK)
                for row in connection.execute(query.where(*within).group_by(table.c.gap_id, sa.text("week"))):
                    found[row.gap_id][weeks - 1 - row.week] = row.n
        return {gap_id: tuple(counts) for gap_id, counts in found.items()}
