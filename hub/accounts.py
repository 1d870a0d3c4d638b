"""Who may use the hub: one small table with Argon2 hashes, in a database of the hub's own."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.errors import AccountError

ADMIN = "admin"
DEMO = "demo"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MAX_PASSWORD = 200  # characters; hashing more would only cost time
BUSY_SECONDS = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, created_at TEXT NOT NULL
)
"""


class Accounts:
    """The accounts table; the demo account exists in memory only, while its password is given.

    Raises:
        AccountError: the database cannot be opened, read or written.

    """

    def __init__(self, path: Path, demo_password: str | None = None, hasher: PasswordHasher | None = None) -> None:
        self._path = path
        self._hasher = hasher or PasswordHasher()
        # An unknown name takes as long as a known one, so that nobody can find out which names exist.
        self._decoy = self._hasher.hash(secrets.token_hex(16))
        self._demo_hash = self._hasher.hash(demo_password) if demo_password else None
        self._prepare()

    def ensure_admin(self, now: datetime) -> str | None:
        """Make the first account if there is none; return its password, which is never shown again."""
        password = _new_password()
        row = (ADMIN, self._hasher.hash(password), now.isoformat())
        with self._connect() as connection:
            made = connection.execute(
                "INSERT INTO accounts SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM accounts)", row
            )
            return password if made.rowcount == 1 else None

    def set_password(self, name: str, now: datetime) -> str:
        """Make the account `name`, or give it a new password; return the password, which is never shown again.

        Raises:
            AccountError: the name is not usable.

        """
        if name == DEMO:
            raise AccountError("is reserved", f"account {name!r}", "set EVERGREEN_HUB_DEMO_PASSWORD to switch it on")
        if not NAME.fullmatch(name):
            raise AccountError(
                "is not usable as a name", f"account {name[:64]!r}", "use small letters, digits, dots and dashes"
            )
        password = _new_password()
        with self._connect() as connection:
            connection.execute(
                "INSERT INTO accounts VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash",
                (name, self._hasher.hash(password), now.isoformat()),
            )
        return password

    def remove(self, name: str) -> None:
        """Delete an account; its sessions end with its next request.

        Raises:
            AccountError: there is no such account, or it is the last one.

        """
        with self._connect() as connection:
            names = {row[0] for row in connection.execute("SELECT name FROM accounts")}
            if name not in names:
                raise AccountError("does not exist", f"account {name!r}", f"use one of {', '.join(sorted(names))}")
            if len(names) == 1:
                raise AccountError("is the last one", f"account {name!r}", "make another account first")
            connection.execute("DELETE FROM accounts WHERE name = ?", (name,))

    def verify(self, name: str, password: str) -> bool:
        """Whether `password` opens the account `name`."""
        stored = self._hash_of(name)
        try:
            self._hasher.verify(stored or self._decoy, password[: MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None and len(password) <= MAX_PASSWORD

    def stamp(self, name: str) -> str | None:
        """Return a mark that changes with the account's password; None if there is no such account."""
        stored = self._hash_of(name)
        return hashlib.sha256(stored.encode()).hexdigest()[:16] if stored else None

    def _hash_of(self, name: str) -> str | None:
        if name == DEMO:
            return self._demo_hash
        with self._connect() as connection:
            row = connection.execute("SELECT password_hash FROM accounts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _prepare(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Made here, not by SQLite, so that it is never readable by other users.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise AccountError(
                f"cannot be opened ({error.strerror})", f"account database {self._path}", "check EVERGREEN_HUB_DB"
            ) from error
        with self._connect() as connection:
            connection.execute(SCHEMA)

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise AccountError(
                f"failed ({error})", f"account database {self._path}", "check the file, or set EVERGREEN_HUB_DB"
            ) from error


def _new_password() -> str:
    return secrets.token_urlsafe(15)
