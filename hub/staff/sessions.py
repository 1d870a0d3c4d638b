"""Sessions as the hub keeps them: a cookie alone opens nothing, so that logging out ends a stolen one, too."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hub.settings import HubSettings
from hub.staff.accounts import Accounts
from hub.staff.roles import Role

TOUCH_SECONDS = 60.0  # how exact the time of the last request is: writing it with each one would cost too much


@dataclass(frozen=True)
class Person:
    """Who is logged in, as what, and what the next page is to tell them."""

    name: str
    role: Role
    notice: str = ""


class Sessions:
    """The sessions table; of a token only the hash is kept, so that a copy of the database opens nothing.

    A session ends when its owner logs out, does nothing for `idle_seconds`, has had it for `session_seconds`, gets a
    new password, or loses the account.

    Raises:
        AccountError: the database cannot be read or written.

    """

    def __init__(self, accounts: Accounts, settings: HubSettings, now: Callable[[], datetime]) -> None:
        self._accounts = accounts
        self._database = accounts.database
        self._settings = settings
        self._now = now

    def begin(self, name: str) -> str | None:
        """Begin a session of an account; return its token, None if the account may not log in."""
        standing = self._accounts.standing(name)
        if standing is None:
            return None
        token, at = secrets.token_urlsafe(32), self._now().timestamp()
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE began <= ?", (at - self._settings.session_seconds,))
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, '')", (_hashed(token), name, standing.stamp, at, at)
            )
        return token

    def find(self, token: object, is_active: bool = True) -> Person | None:
        """Return who has a session, None if it has ended; `is_active`: a person did something, not a script."""
        if not isinstance(token, str):
            return None
        at, key = self._now().timestamp(), _hashed(token)
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT name, stamp, began, seen, notice FROM sessions WHERE token_hash = ?", (key,)
            ).fetchone()
        if row is None:
            return None
        name, stamp, began, seen, notice = row
        standing = self._accounts.standing(name)
        is_over = at - began >= self._settings.session_seconds or at - seen >= self._settings.idle_seconds
        if is_over or standing is None or standing.stamp != stamp:
            self.end(token)
            return None
        if is_active and at - seen >= TOUCH_SECONDS:
            with self._database.write() as connection:
                connection.execute("UPDATE sessions SET seen = ? WHERE token_hash = ?", (at, key))
        return Person(name, standing.role, notice)

    def leave(self, token: object, notice: str) -> None:
        """Keep what the next page of a session is to tell; an empty one takes it away."""
        with self._database.write() as connection:
            connection.execute("UPDATE sessions SET notice = ? WHERE token_hash = ?", (notice, _hashed(str(token))))

    def end(self, token: object) -> None:
        """End a session."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM sessions WHERE token_hash = ?", (_hashed(str(token)),))

    def end_others(self, name: str, token: object) -> int:
        """End every session of an account but this one; return how many there were."""
        with self._database.write() as connection:
            ended = connection.execute(
                "DELETE FROM sessions WHERE name = ? AND token_hash != ?", (name, _hashed(str(token)))
            )
            return ended.rowcount


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
