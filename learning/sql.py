"""What the databases of the loop and of the desk share: types of columns, and transactions in which writers take turns.

It knows no tables: those stand in `learning/adapters/schema.py` and `desk/schema.py`.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from learning.errors import EvergreenError

IMMEDIATE = "evergreen_immediate"


class UtcTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in Python, naive UTC in the database (SQLite knows no zones)."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Store UTC without its zone; a naive time would be a mistake of the caller."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; pass an aware time")
        return value.astimezone(timezone.utc).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the time as aware UTC."""
        return value.replace(tzinfo=timezone.utc) if value is not None else None


class Json(sa.types.TypeDecorator[Any]):
    """Plain JSON text, the same on SQLite and PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """Encode; tuples become lists."""
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        """Decode."""
        return None if value is None else orjson.loads(value)


class Transactions:
    """Transactions of an SQLite or PostgreSQL database; who inherits says what its errors are.

    Args:
        url: of the database, parsed.
        writer_lock: a number that nobody else locks on PostgreSQL.
        pragmas: what SQLite is told at every connection besides, such as `secure_delete = ON`.

    """

    def __init__(self, url: sa.engine.URL, writer_lock: int, pragmas: tuple[str, ...] = ()) -> None:
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._lock, self._pragmas = writer_lock, pragmas
        self._engine = sa.create_engine(url, future=True, pool_pre_ping=not self._is_sqlite)
        # Two readers that both turn into writers would fail each other: writers take the lock at once.
        self._writer = self._engine.execution_options(**{IMMEDIATE: True})
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", self._prepare_sqlite)
            # pysqlite's own transaction handling starts too late; see SQLAlchemy's SQLite page.
            sa.event.listen(self._engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._error(error) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is committed at the end, rolled back on any error.

        Writers take turns, so that what they read first stays true.
        """
        try:
            with self._writer.begin() as connection:
                if not self._is_sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": self._lock})
                yield connection
        except SQLAlchemyError as error:
            raise self._error(error) from error

    def _error(self, error: SQLAlchemyError) -> EvergreenError:
        """Return what a failure is called."""
        raise NotImplementedError

    def _prepare_sqlite(self, connection: Any, _record: Any) -> None:
        """Let readers go on while one writes, and wait instead of failing when two write."""
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout = 10000")
        # A read-only file cannot change its journal; the first write will say so clearly.
        with contextlib.suppress(sqlite3.OperationalError):
            cursor.execute("PRAGMA journal_mode = WAL")
        for pragma in self._pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def cause_of(error: Exception) -> str:
    """Return the first line of what a database says of a failure."""
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def without_password(url: str) -> str:
    """Return the address of a database as it may be shown."""
    return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", url)


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
