"""Who may use the hub: accounts with Argon2 hashes, or of an identity provider, each with a role."""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hub.errors import AccountError
from hub.staff.database import StaffDatabase
from hub.staff.roles import Role

ADMIN = "admin"
DEMO = "demo"
MAX_NAME = 64  # characters
NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_NAME - 1}}}")
MIN_PASSWORD = 12  # characters of one that a person chooses; NIST SP 800-63B asks for 8 at least
MAX_PASSWORD = 200  # characters; hashing more would only cost time
# What the assistant does by itself, and what customers do, stands under these names in the audit log and in hand-overs.
RESERVED = frozenset({"customer", "desk", "pulls", "retrain", "rollout", "schedule", "watch"})
NO_PASSWORD = "!"  # begins what stands in place of a hash where an identity provider vouches for the person

# Told of a change, by what was before and after, while it can still fail: what cannot be noted is not done.
Note = Callable[[str, str], None]


def no_note(before: str, after: str) -> None:
    """Note nothing."""


@dataclass(frozen=True)
class Account:
    """A person's account; `subject` says who they are to the identity provider, empty where they have a password."""

    name: str
    role: Role
    created_at: datetime
    is_disabled: bool
    subject: str

    @property
    def is_external(self) -> bool:
        """Whether an identity provider vouches for the person."""
        return bool(self.subject)


@dataclass(frozen=True)
class Standing:
    """What a session goes by: the role as it is now, and a mark that changes with the password."""

    role: Role
    stamp: str


class Accounts:
    """The accounts table; the demo account exists in memory only, while its password is given.

    Raises:
        AccountError: the database cannot be opened, read or written.

    """

    def __init__(self, path: Path, demo_password: str | None = None, hasher: PasswordHasher | None = None) -> None:
        self.database = StaffDatabase(path)
        self._hasher = hasher or PasswordHasher()
        # An unknown name takes as long as a known one, so that nobody can find out which names exist.
        self._decoy = self._hasher.hash(secrets.token_hex(16))
        self._demo_hash = self._hasher.hash(demo_password) if demo_password else None

    def ensure_admin(self, now: datetime) -> str | None:
        """Make the first account if there is none; return its password, which is never shown again."""
        password = _new_password()
        row = (ADMIN, self._hasher.hash(password), now.isoformat(), Role.ADMIN.value)
        with self.database.write() as connection:
            made = connection.execute(
                "INSERT INTO accounts (name, password_hash, created_at, role) SELECT ?, ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM accounts)",
                row,
            )
            return password if made.rowcount == 1 else None

    def add(self, name: str, now: datetime, role: Role, note: Note = no_note) -> str:
        """Make an account; return its password, which is never shown again.

        Raises:
            AccountError: the name is not usable, or taken.

        """
        _check_name(name)
        password = _new_password()
        row = (name, self._hasher.hash(password), now.isoformat(), role.value)
        with self.database.write() as connection:
            made = connection.execute(
                "INSERT INTO accounts (name, password_hash, created_at, role) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (name) DO NOTHING",
                row,
            )
            if made.rowcount == 0:
                raise AccountError("exists already", f"account {name!r}", "choose another name")
            note("", role.value)
        return password

    def set_password(self, name: str, now: datetime, role: Role | None = None, note: Note = no_note) -> str:
        """Make the account `name`, or give it a new password; return the password, which is never shown again.

        Without a `role` an account keeps its own, and a new one is a reviewer's.

        Raises:
            AccountError: the name is not usable, or it is the last admin's and the role another one.

        """
        _check_name(name)
        password = _new_password()
        hashed = self._hasher.hash(password)
        with self.database.write() as connection:
            row = _find(connection, name)
            if row is None:
                values = (name, hashed, now.isoformat(), (role or Role.REVIEWER).value)
                note("", values[-1])
                connection.execute(
                    "INSERT INTO accounts (name, password_hash, created_at, role) VALUES (?, ?, ?, ?)", values
                )
                return password
            if row.is_external:
                raise AccountError(
                    "has no password: the identity provider vouches for it", f"account {name!r}", "log in through it"
                )
            connection.execute("UPDATE accounts SET password_hash = ? WHERE name = ?", (hashed, name))
            if role is not None and role is not row.role:
                _set_role(connection, row, role)
            note(row.role.value, f"{(role or row.role).value}, new password")
        return password

    def change_password(self, name: str, old: str, new: str, note: Note = no_note) -> bool:
        """Give an account the password that its owner chose; return whether `old` was right.

        Raises:
            AccountError: the new one is too short or too long, or the account has none.

        """
        if name == DEMO:
            raise AccountError("comes from the environment", f"account {name!r}", "set EVERGREEN_HUB_DEMO_PASSWORD")
        if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD:
            raise AccountError(
                "has the wrong length", "the new password", f"use {MIN_PASSWORD} to {MAX_PASSWORD} characters"
            )
        if not self.verify(name, old):
            return False
        before, hashed = self._hash_of(name), self._hasher.hash(new)
        with self.database.write() as connection:
            # Two tabs at once: the one that comes second finds that its old password is no longer right.
            changed = connection.execute(
                "UPDATE accounts SET password_hash = ? WHERE name = ? AND password_hash = ?", (hashed, name, before)
            )
            if changed.rowcount == 1:
                note("", "own password")
            return changed.rowcount == 1

    def set_role(self, name: str, role: Role, note: Note = no_note) -> None:
        """Give an account another role.

        Raises:
            AccountError: there is no such account, or it is the last admin's.

        """
        with self.database.write() as connection:
            row = _known(connection, name)
            if row.role is not role:
                _set_role(connection, row, role)
                note(row.role.value, role.value)

    def set_disabled(self, name: str, is_disabled: bool, note: Note = no_note) -> None:
        """Close an account, or open it again; its sessions end with their next request.

        Raises:
            AccountError: there is no such account, or it is the last admin's.

        """
        with self.database.write() as connection:
            row = _known(connection, name)
            if is_disabled:
                _keep_an_admin(connection, row)
                connection.execute("DELETE FROM sessions WHERE name = ?", (name,))
            connection.execute("UPDATE accounts SET disabled = ? WHERE name = ?", (int(is_disabled), name))
            if row.is_disabled != is_disabled:
                note(*(("open", "closed") if is_disabled else ("closed", "open")))

    def remove(self, name: str, note: Note = no_note) -> None:
        """Delete an account; its sessions end with their next request.

        Raises:
            AccountError: there is no such account, or it is the last admin's.

        """
        with self.database.write() as connection:
            row = _known(connection, name)
            _keep_an_admin(connection, row)
            connection.execute("DELETE FROM sessions WHERE name = ?", (name,))
            connection.execute("DELETE FROM accounts WHERE name = ?", (name,))
            note(row.role.value, "")

    def admit(self, name: str, subject: str, role: Role, now: datetime, note: Note = no_note) -> Account:
        """Return the account of a person whom the identity provider has vouched for, made or brought up to date.

        Raises:
            AccountError: the name is not usable, or somebody else's, or the account is closed.

        """
        _check_name(name)
        values = (name, NO_PASSWORD + secrets.token_hex(16), now.isoformat(), role.value, subject)
        with self.database.write() as connection:
            row = _find(connection, name)
            if row is None:
                connection.execute(
                    "INSERT INTO accounts (name, password_hash, created_at, role, subject) VALUES (?, ?, ?, ?, ?)",
                    values,
                )
                note("", role.value)
            elif row.subject != subject:
                raise AccountError(
                    "belongs to somebody else", f"account {name!r}", "ask an admin of the hub to remove that account"
                )
            elif row.is_disabled:
                raise AccountError("is closed", f"account {name!r}", "ask an admin of the hub to open it again")
            elif row.role is not role:
                connection.execute("UPDATE accounts SET role = ? WHERE name = ?", (role.value, name))
                note(row.role.value, role.value)
            return _known(connection, name)

    def all(self) -> list[Account]:
        """Return every account by name, without that of the demo."""
        with self.database.read() as connection:
            return [_to_account(row) for row in connection.execute(f"{SELECT} ORDER BY name")]

    def known(self, name: str) -> Account:
        """Return an account.

        Raises:
            AccountError: there is none of this name.

        """
        with self.database.read() as connection:
            return _known(connection, name)

    def everybody(self) -> dict[str, Role]:
        """Return who can log in now, with that of the demo while it is switched on."""
        open_ones = {one.name: one.role for one in self.all() if not one.is_disabled}
        return {**open_ones, DEMO: Role.ADMIN} if self._demo_hash else open_ones

    def verify(self, name: str, password: str) -> bool:
        """Whether `password` opens the account `name`."""
        stored = self._hash_of(name)
        has_password = stored is not None and not stored.startswith(NO_PASSWORD)
        try:
            self._hasher.verify(stored if stored and has_password else self._decoy, password[: MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False
        return has_password and len(password) <= MAX_PASSWORD and self.standing(name) is not None

    def standing(self, name: str) -> Standing | None:
        """Return what a session of this account goes by; None if there is no such account, or it is closed."""
        if name == DEMO:
            return Standing(Role.ADMIN, _stamp(self._demo_hash)) if self._demo_hash else None
        query = "SELECT role, password_hash FROM accounts WHERE name = ? AND NOT disabled"
        with self.database.read() as connection:
            row = connection.execute(query, (name,)).fetchone()
        return Standing(Role(row[0]), _stamp(row[1])) if row else None

    def _hash_of(self, name: str) -> str | None:
        if name == DEMO:
            return self._demo_hash
        with self.database.read() as connection:
            row = connection.execute("SELECT password_hash FROM accounts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None


SELECT = "SELECT name, role, created_at, disabled, subject FROM accounts"


def _find(connection: sqlite3.Connection, name: str) -> Account | None:
    row = connection.execute(f"{SELECT} WHERE name = ?", (name,)).fetchone()
    return _to_account(row) if row else None


def _known(connection: sqlite3.Connection, name: str) -> Account:
    found = _find(connection, name)
    if found is None:
        names = ", ".join(row[0] for row in connection.execute("SELECT name FROM accounts ORDER BY name"))
        raise AccountError("does not exist", f"account {name!r}", f"use one of {names}")
    return found


def _set_role(connection: sqlite3.Connection, account: Account, role: Role) -> None:
    if role is not Role.ADMIN:
        _keep_an_admin(connection, account)
    connection.execute("UPDATE accounts SET role = ? WHERE name = ?", (role.value, account.name))


def _keep_an_admin(connection: sqlite3.Connection, account: Account) -> None:
    """Refuse to take the last admin away; those of an identity provider do not count, which may be out of reach."""
    others = connection.execute(
        "SELECT COUNT(*) FROM accounts WHERE role = 'admin' AND NOT disabled AND subject = '' AND name != ?",
        (account.name,),
    ).fetchone()[0]
    if account.role is Role.ADMIN and not account.is_external and not account.is_disabled and not others:
        raise AccountError(
            "is the last one of an admin with a password", f"account {account.name!r}", "make another admin first"
        )


def _to_account(row: tuple[str, str, str, int, str]) -> Account:
    name, role, created_at, disabled, subject = row
    return Account(name, Role(role), datetime.fromisoformat(created_at), bool(disabled), subject)


def _check_name(name: str) -> None:
    if name == DEMO:
        raise AccountError("is reserved", f"account {name!r}", "set EVERGREEN_HUB_DEMO_PASSWORD to switch it on")
    if name in RESERVED:
        raise AccountError("is what the assistant goes by", f"account {name!r}", "choose another name")
    if not NAME.fullmatch(name):
        raise AccountError(
            "is not usable as a name", f"account {name[:64]!r}", "use small letters, digits, dots and dashes"
        )


def _stamp(password_hash: str) -> str:
    return hashlib.sha256(password_hash.encode()).hexdigest()[:16]


def _new_password() -> str:
    return secrets.token_urlsafe(15)
