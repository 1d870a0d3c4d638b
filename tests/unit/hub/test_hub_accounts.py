from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from hub.errors import AccountError
from hub.staff.accounts import MAX_PASSWORD, Accounts

NOW = datetime(2025, 11, 21, tzinfo=timezone.utc)
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "hub.db"


def test_first_start_makes_one_admin_only(path: Path) -> None:
    password = Accounts(path, hasher=FAST).ensure_admin(NOW)
    again = Accounts(path, hasher=FAST)
    assert password is not None
    assert len(password) >= 20
    assert again.ensure_admin(NOW) is None
    assert again.verify("admin", password)
    assert not again.verify("admin", password + "x")
    assert not again.verify("admin", "")


def test_the_password_is_stored_nowhere_and_the_file_is_private(path: Path) -> None:
    password = Accounts(path, hasher=FAST).ensure_admin(NOW)
    assert password is not None
    assert password.encode() not in path.read_bytes()
    assert b"$argon2id$" in path.read_bytes()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_demo_opens_only_while_its_password_is_given(path: Path) -> None:
    assert Accounts(path, "open sesame", hasher=FAST).verify("demo", "open sesame")
    without = Accounts(path, hasher=FAST)
    assert not without.verify("demo", "open sesame")
    assert not without.verify("demo", "")
    assert without.standing("demo") is None


def test_unknown_names_and_endless_passwords_are_refused(path: Path) -> None:
    accounts = Accounts(path, "d" * (MAX_PASSWORD + 50), hasher=FAST)
    assert not accounts.verify("nobody", "x")
    assert not accounts.verify("' OR 1=1 --", "x")
    assert not accounts.verify("demo", "d" * (MAX_PASSWORD + 50))


def test_a_new_password_changes_the_stamp(path: Path) -> None:
    accounts = Accounts(path, hasher=FAST)
    first = accounts.set_password("ann", NOW)
    standing = accounts.standing("ann")
    second = accounts.set_password("ann", NOW)
    assert accounts.standing("ann") != standing
    assert not accounts.verify("ann", first)
    assert accounts.verify("ann", second)


@pytest.mark.parametrize("name", ["demo", "desk", "rollout", "", "Ann", "a b", "<script>", "x" * 65])
def test_unusable_names_are_refused(path: Path, name: str) -> None:
    accounts = Accounts(path, hasher=FAST)
    with pytest.raises(AccountError):
        accounts.set_password(name, NOW)


def test_the_last_account_stays(path: Path) -> None:
    accounts = Accounts(path, hasher=FAST)
    accounts.ensure_admin(NOW)
    accounts.set_password("ann", NOW)
    accounts.remove("ann")
    with pytest.raises(AccountError, match="last one"):
        accounts.remove("admin")
    with pytest.raises(AccountError, match="does not exist"):
        accounts.remove("ann")


def test_a_file_that_is_no_database_is_said_so(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(AccountError, match="account database"):
        Accounts(path, hasher=FAST)
