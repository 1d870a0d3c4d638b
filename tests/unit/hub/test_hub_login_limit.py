from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from hub.settings import HubSettings
from hub.staff.login_limit import LoginLimit

START = datetime(2025, 11, 21, tzinfo=timezone.utc)
SETTINGS = HubSettings(Path("hub.db"), "s" * 32, login_failures=3, login_failures_address=5, login_wait=60)


class Clock:
    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at


def test_a_name_has_to_wait_and_may_go_on_later() -> None:
    clock = Clock()
    limit = LoginLimit(SETTINGS, clock)
    assert [limit.attempt("ann", "10.0.0.1") for _ in range(4)] == [True, True, True, False]
    assert limit.attempt("ann", "10.0.0.2"), "another address is another person"
    clock.at += timedelta(seconds=61)
    assert limit.attempt("ann", "10.0.0.1")


def test_many_names_from_one_address_have_to_wait_too() -> None:
    limit = LoginLimit(SETTINGS, Clock())
    allowed = [limit.attempt(f"user{number}", "10.0.0.1") for number in range(8)]
    assert allowed == [True] * 5 + [False] * 3


def test_what_has_expired_is_kept_no_longer() -> None:
    clock = Clock()
    limit = LoginLimit(SETTINGS, clock)
    for number in range(50):
        limit.attempt(f"user{number}", f"10.0.0.{number}")
    limit.succeeded("user7", "10.0.0.7")
    clock.at += timedelta(seconds=30)
    limit.attempt("user1", "10.0.0.1")
    clock.at += timedelta(seconds=31)
    limit.attempt("ann", "10.1.0.1")
    assert set(limit._attempts) == {("10.0.0.1", "user1"), ("10.0.0.1",), ("10.1.0.1", "ann"), ("10.1.0.1",)}


def test_success_forgets_the_failures_of_the_name() -> None:
    limit = LoginLimit(SETTINGS, Clock())
    for _ in range(20):
        assert limit.attempt("ann", "10.0.0.1")
        limit.succeeded("ann", "10.0.0.1")
