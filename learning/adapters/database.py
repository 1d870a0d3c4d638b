"""The connection to the learning database: opening, migrating, transactions, and errors that say what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from learning.adapters import schema
from learning.errors import StoreError
from learning.sql import Transactions, cause_of, without_password

# Writers take turns on PostgreSQL as they do on SQLite: each continues the audit log's chain from its newest row.
WRITER_LOCK = 0x65766772  # any number that nobody else locks
OVERLAY_VERSION = "overlay_version"
OVERLAY_EPOCHS = "overlay_epochs"  # random names of the newest versions, the newest first
EPOCHS_KEPT = 30  # a bot that is further behind reads everything
WATERMARK = "tracker_watermark"
MIGRATIONS = Path(__file__).with_name("migrations")


class Database(Transactions):
    """An SQLite or PostgreSQL database at the newest migration.

    Raises:
        StoreError: it cannot be opened, read or written.

    """

    def __init__(self, url: str) -> None:
        self._item = "learning database " + without_password(url)
        try:
            parsed = sa.engine.make_url(url)
            super().__init__(parsed, WRITER_LOCK)
        except (ArgumentError, ImportError) as error:
            raise self._unusable(error) from error
        if self._is_sqlite and parsed.database and not parsed.database.startswith("file:"):
            try:
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"cannot be made ({error.strerror})", self._item, "check the folder's rights"
                ) from error
        self._migrate()

    def _migrate(self) -> None:
        try:
            with self._engine.connect() as connection:
                present = sa.inspect(connection).has_table("alembic_version")
                revision = (
                    connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if present else None
                )
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            if revision == _head(config):
                return
            with self.write() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"was made by another version of Evergreen ({error})",
                self._item,
                "update Evergreen, or restore a backup",
            ) from error
        except SQLAlchemyError as error:
            raise self._error(error) from error

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, else PostgreSQL."""
        return self._is_sqlite

    def compact(self, tables: Sequence[str]) -> bool:
        """Rewrite what holds `tables`, so that no byte of what was deleted stays in the files; whether it worked.

        On SQLite it is the whole file with its log, on PostgreSQL the tables. It fails while somebody else is at work.
        """
        statements = [f"VACUUM FULL {table}" for table in tables]
        if self._is_sqlite:
            # The search index marks words of deleted texts, and drops them only when it is merged.
            merged = "INSERT INTO conversation_search (conversation_search) VALUES ('optimize')"
            statements = [merged, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"]
        dialect: Any = self._engine.dialect
        try:
            raw: Any = self._engine.raw_connection()  # neither statement may stand in a transaction
            try:
                if not self._is_sqlite:
                    raw.dbapi_connection.set_session(autocommit=True)
                cursor = raw.cursor()
                for statement in statements:
                    cursor.execute(statement)
                # (busy, pages in the log, pages moved): a log that somebody reads keeps what is old.
                return not self._is_sqlite or cursor.fetchone()[0] == 0
            finally:
                if not self._is_sqlite:
                    raw.dbapi_connection.set_session(autocommit=False)
                raw.close()
        except (SQLAlchemyError, dialect.dbapi.Error):
            return False

    def _unusable(self, error: Exception) -> StoreError:
        return StoreError(
            f"is no database that can be opened ({cause_of(error)})",
            self._item,
            "correct store.url or EVERGREEN_STORE_URL",
        )

    def _error(self, error: SQLAlchemyError) -> StoreError:
        cause = cause_of(error)
        if "readonly" in cause or "read-only" in cause:
            return StoreError("is read-only", self._item, "give this user the right to write it; nothing was changed")
        if "unable to open" in cause:
            return StoreError("cannot be opened", self._item, "check the rights of the file and its folder")
        return StoreError(f"failed ({cause})", self._item, "check that the database is up; nothing was half-written")


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def chunks(items: Sequence[str], size: int = 400) -> Iterator[list[str]]:
    """Yield `items` in lists short enough for one statement's parameters."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def get_meta(connection: Connection, key: str) -> str | None:
    """Return the value of `key`, None if it was never set."""
    value = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()
    return None if value is None else str(value)


def set_meta(connection: Connection, key: str, value: str) -> None:
    """Set `key`."""
    upsert(connection, schema.meta, "key", {"key": key, "value": value})


def bump_overlay(connection: Connection) -> int:
    """Make running bots read what has changed; return the new version, which `entries.changed` gets where it did."""
    version = int(get_meta(connection, OVERLAY_VERSION) or 0) + 1
    set_meta(connection, OVERLAY_VERSION, str(version))
    # A backup that was restored comes to the same numbers again, but to other names.
    names = (get_meta(connection, OVERLAY_EPOCHS) or "").split()
    set_meta(connection, OVERLAY_EPOCHS, " ".join([uuid4().hex, *names[: EPOCHS_KEPT - 1]]))
    return version


def upsert(connection: Connection, table: sa.Table, key: str, row: Mapping[str, Any]) -> None:
    """Update the row with this `key`, or insert it."""
    changed = connection.execute(sa.update(table).where(table.c[key] == row[key]).values(**row))
    if changed.rowcount == 0:
        connection.execute(sa.insert(table), dict(row))


def insert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, if there are any."""
    if rows:
        connection.execute(sa.insert(table), rows)
