"""Erasure in Rasa's SQL tracker store: the only place that writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from learning.adapters.endpoints import readable_url
from learning.adapters.tracker_sql import CONNECT_SECONDS, DIALECTS, Dialect
from learning.errors import TrackerStoreError
from learning.model import sender_key

BUSY_SECONDS = 30  # a bot that writes to the same SQLite file is waited for


class SqlTrackerEraser:
    """Deletes one sender's events.

    Raises:
        TrackerStoreError: the store is missing, or cannot be read or written.

    """

    def __init__(self, url: str) -> None:
        try:
            parsed = readable_url(sa.engine.make_url(url))
            self._dialect = DIALECTS.get(parsed.get_backend_name(), Dialect())
            self._is_sqlite = parsed.get_backend_name() == "sqlite"
            self._item = f"tracker store {parsed.render_as_string(hide_password=True)}"
            if not self._is_sqlite:
                waits = {} if "connect_timeout" in parsed.query else {"connect_timeout": CONNECT_SECONDS}
                self._engine = sa.create_engine(parsed, future=True, connect_args=waits)
                return
        except (ArgumentError, ImportError, ValueError) as error:
            raise TrackerStoreError(
                "is no database that can be opened", "tracker store", "correct tracker_store in endpoints.yml"
            ) from error
        file = Path(parsed.database or "")
        if not file.is_file():
            raise TrackerStoreError("does not exist", f"tracker store {file}", "correct tracker_store in endpoints.yml")
        # Without `mode`, opening would create what is missing; quoted, since a name may mean something in a URI.
        query = {"mode": "rw", "uri": "true", "timeout": str(BUSY_SECONDS)}
        parsed = sa.engine.URL.create("sqlite", database=f"file:{quote(str(file))}", query=query)
        self._engine = sa.create_engine(parsed, future=True)
        sa.event.listen(self._engine, "connect", _prepare_sqlite)

    def sender_of(self, key: str) -> str | None:
        """Return the sender whose pseudonym is `key`, None if the store has none; one pass over the senders."""
        with self._connection() as connection:
            senders = connection.execution_options(stream_results=True).execute(
                self._dialect.query("SELECT DISTINCT {exact_sender} AS sender FROM events")
            )
            names = (_text(row.sender) for row in senders)
            return next((name for name in names if sender_key(name) == key), None)

    def count(self, sender_id: str) -> int:
        """Return how many rows the sender has."""
        return self._number("SELECT count(*) FROM events WHERE {sender}", sender_id)

    def newest_other(self, sender_id: str) -> int:
        """Return the id of the last row that is somebody else's, 0 without any."""
        return self._number("SELECT id FROM events WHERE NOT ({sender}) ORDER BY id DESC LIMIT 1", sender_id)

    def erase(self, sender_id: str) -> int:
        """Delete the sender's rows in one transaction; return how many there were.

        On SQLite their bytes are overwritten.
        """
        statement = self._dialect.query("DELETE FROM events WHERE {sender}")
        with self._connection() as connection, connection.begin():
            removed = int(connection.execute(statement, {"sender": sender_id}).rowcount)
        if self._is_sqlite:
            with self._connection() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # does nothing without such a log
        return removed

    def _number(self, query: str, sender_id: str) -> int:
        with self._connection() as connection:
            return int(connection.execute(self._dialect.query(query), {"sender": sender_id}).scalar() or 0)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise TrackerStoreError(
                f"failed ({cause})", self._item, "nothing was deleted in it; correct this and forget again"
            ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA secure_delete = ON")


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
