"""The connection to the desk's database: opening, transactions, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from desk import schema
from desk.errors import DeskError
from desk.model import Handover, Outgoing
from learning.sql import Transactions, cause_of, without_password

WRITER_LOCK = 0x6465736B  # any number that nobody else locks on PostgreSQL
SCHEMA_VERSION = "schema_version"
PRAGMAS = ("secure_delete = ON",)  # who is forgotten leaves no bytes in the file


class Database(Transactions):
    """An SQLite or PostgreSQL database with the desk's tables, which are made where they are missing."""

    def __init__(self, url: str) -> None:
        self._item = "desk database " + without_password(url)
        try:
            parsed = sa.engine.make_url(url)
            super().__init__(parsed, WRITER_LOCK, PRAGMAS)
            if self._is_sqlite and parsed.database:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        except (ArgumentError, ImportError, OSError) as error:
            raise DeskError(f"cannot be opened ({cause_of(error)})", self._item, "correct desk.database") from error
        self._create()

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
        return DeskError(f"failed ({cause_of(error)})", self._item, "check that the database is up and may be written")


def get_meta(connection: Connection, key: str) -> str | None:
    """Return the value of `key`, None if it was never set."""
    value = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()
    return None if value is None else str(value)


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Set `key`."""
    if connection.execute(sa.update(schema.meta).where(schema.meta.c.key == key).values(value=value)).rowcount == 0:
        connection.execute(sa.insert(schema.meta), {"key": key, "value": value})


def row_of(record: Handover | Outgoing, leave: Sequence[str] = ()) -> dict[str, Any]:
    """Return a record as its table has it, without the columns in `leave`."""
    found = {name: value for name, value in asdict(record).items() if name not in leave}
    return {name: value.value if isinstance(value, Enum) else value for name, value in found.items()}
