"""The connection to the desk's database: opening, transactions, and errors that say what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from desk import schema
from desk.errors import DeskError

IMMEDIATE = "desk_immediate"
WRITER_LOCK = 0x6465736B  # any number that nobody else locks on PostgreSQL
SCHEMA_VERSION = "schema_version"


class Database:
    """An SQLite or PostgreSQL database with the desk's tables, which are made where they are missing."""

    def __init__(self, url: str) -> None:
        self._item = "desk database " + re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", url)
        try:
            parsed = sa.engine.make_url(url)
            self._is_sqlite = parsed.get_backend_name() == "sqlite"
            self._engine = sa.create_engine(parsed, future=True, pool_pre_ping=not self._is_sqlite)
            if self._is_sqlite and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except (ArgumentError, ImportError, OSError) as error:
            raise DeskError(f"cannot be opened ({_cause(error)})", self._item, "correct desk.database") from error
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin)
        self._writer = self._engine.execution_options(**{IMMEDIATE: True})
        self._create()

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
        """Give a connection in a transaction; writers take turns, so that what they read first stays true."""
        try:
            with self._writer.begin() as connection:
                if not self._is_sqlite:
                    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
                yield connection
        except SQLAlchemyError as error:
            raise self._error(error) from error

    def compact(self) -> None:
        """Leave no byte of what was deleted in the log that SQLite keeps beside its file."""
        if self._is_sqlite:
            with self.read() as connection:
                connection.exec_driver_sql("COMMIT")  # a checkpoint works outside of transactions only
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _create(self) -> None:
        with self.write() as connection:
            schema.metadata.create_all(connection)
            known = connection.execute(
                sa.select(schema.meta.c.value).where(schema.meta.c.key == SCHEMA_VERSION)
            ).scalar()
            if known is None:
                connection.execute(sa.insert(schema.meta), {"key": SCHEMA_VERSION, "value": schema.VERSION})
            elif known != schema.VERSION:
                raise DeskError(
                    f"was made by another version of Evergreen (tables {known}, not {schema.VERSION})",
                    self._item,
                    "update Evergreen, or restore a backup",
                )

    def _error(self, error: SQLAlchemyError) -> DeskError:
        return DeskError(f"failed ({_cause(error)})", self._item, "check that the database is up and may be written")


def _cause(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 10000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA secure_delete = ON")  # who is forgotten leaves no bytes in the file
    cursor.close()


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get(IMMEDIATE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
