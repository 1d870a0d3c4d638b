"""The hub's own small SQLite database: accounts and sessions, readable by nobody but its owner."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hub.errors import AccountError

BUSY_SECONDS = 10.0
TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, created_at TEXT NOT NULL, role TEXT NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0, subject TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS sessions (
    token_hash TEXT PRIMARY KEY, name TEXT NOT NULL, stamp TEXT NOT NULL, began REAL NOT NULL, seen REAL NOT NULL,
    notice TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_name ON sessions (name);
"""
# Columns that came later, with what they hold in a database from before them: such accounts could do everything.
LATER = (
    ("role", "TEXT NOT NULL DEFAULT 'admin'"),
    ("disabled", "INTEGER NOT NULL DEFAULT 0"),
    ("subject", "TEXT NOT NULL DEFAULT ''"),
)


class StaffDatabase:
    """One SQLite file, made where it is missing.

    Raises:
        AccountError: it cannot be opened, read or written.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made here, not by SQLite, so that it is never readable by other users.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise AccountError(
                f"cannot be opened ({error.strerror})", f"account database {path}", "check EVERGREEN_HUB_DB"
            ) from error
        with self.write() as connection:
            for statement in filter(str.strip, TABLES.split(";")):
                connection.execute(statement)
            present = {row[1] for row in connection.execute("PRAGMA table_info(accounts)")}
            for name, kind in LATER:
                if name not in present:
                    connection.execute(f"ALTER TABLE accounts ADD COLUMN {name} {kind}")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Open the database to read."""
        with self._connected() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Open the database to write: what is read here stays true until the transaction ends."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                yield connection
        except sqlite3.Error as error:
            raise AccountError(
                f"failed ({error})", f"account database {self._path}", "check the file, or set EVERGREEN_HUB_DB"
            ) from error
