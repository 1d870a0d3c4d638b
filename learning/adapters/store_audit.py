"""Reading the append-only log, a bounded number of rows in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.audit_log import HEAD
from learning.adapters.database import Database
from learning.audit import verify
from learning.model import AuditRow

COLUMNS = tuple(field.name for field in fields(AuditRow))
CHUNK = 5_000  # rows that are read at once: about 5 MB
LAST_CHARACTER = "\U0010ffff"
UNREADABLE = datetime.min.replace(tzinfo=timezone.utc)  # in place of what somebody wrote where a time belongs


class AuditTables:
    """What the log is read by; rows are written by `audit_log.append_row` alone, each with what it tells of."""

    _database: Database

    def audit_end(self) -> tuple[int, str | None]:
        """Return the number of the newest row (0 without any) and the hash noted of it, read in one moment."""
        newest = sa.select(sa.func.max(schema.audit.c.seq)).scalar_subquery()
        noted = sa.select(schema.meta.c.value).where(schema.meta.c.key == HEAD).scalar_subquery()
        with self._database.read() as connection:
            last, head = connection.execute(sa.select(newest, noted)).one()
        return int(last or 0), None if head is None else str(head)

    def read_audit(
        self,
        *,
        item: str = "",
        who: str = "",
        what: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Iterator[AuditRow]:
        """Yield the rows of the log that fit, in their order.

        Args:
            item: how the id of what a row is about begins.
            who: whose rows.
            what: rows of which kind, such as `publish`.
            since: rows from this time on.
            until: rows before this time.
            before: rows with numbers under this one.
            newest_first: from the end.
            limit: at most so many.

        """
        table = schema.audit
        fitting: list[Any] = []
        if item:
            fitting += [sa.func.substr(table.c.item, 1, len(item)) == item, self._begins_about(item)]
        fitting += [column == value for column, value in ((table.c.who, who), (table.c.what, what)) if value]
        fitting += [table.c.at >= since] if since else []
        fitting += [table.c.at < until] if until else []
        fitting += [table.c.seq < before] if before is not None else []
        # The time as it stands there: what cannot be one must be told as altered, and not end the walk.
        columns = [sa.type_coerce(table.c.at, sa.Text) if name == "at" else table.c[name] for name in COLUMNS]
        query = sa.select(*columns).where(*fitting)
        query = query.order_by(table.c.seq.desc() if newest_first else table.c.seq)
        left = limit
        last: int | None = None
        while left is None or left > 0:
            size = CHUNK if left is None else min(CHUNK, left)
            beyond: list[Any] = []
            if last is not None:
                beyond = [table.c.seq < last if newest_first else table.c.seq > last]
            with self._database.read() as connection:
                rows = connection.execute(query.where(*beyond).limit(size)).all()
            yield from map(_to_row, rows)
            if len(rows) < size:
                return
            last = rows[-1][0]
            left = None if left is None else left - len(rows)

    def _begins_about(self, item: str) -> Any:
        """Return a condition that the index of items can be asked, which takes no other letters for the same."""
        column = schema.audit.c.item
        if self._database.is_sqlite:  # its LIKE knows no case, so that no index serves it
            return sa.and_(column >= item, column < item + LAST_CHARACTER)
        return column.startswith(item, autoescape=True)

    def audit_rows(self) -> list[AuditRow]:
        """Return the whole log from its beginning."""
        return list(self.read_audit())

    def verify_audit(self) -> list[str]:
        """Return what is wrong with the log, one sentence each; empty if it is whole."""
        return list(verify(self).sentences)


def _to_row(row: Any) -> AuditRow:
    seq, at, *texts = row
    # SQLite lets somebody write other things into a column of texts: no hash fits them.
    return AuditRow(seq, _time(at), *(text if isinstance(text, str) else repr(text) for text in texts))


def _time(value: Any) -> datetime:
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return UNREADABLE
    return at.replace(tzinfo=timezone.utc) if at.tzinfo is None else UNREADABLE
