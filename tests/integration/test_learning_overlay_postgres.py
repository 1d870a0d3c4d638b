"""The running bot's reader on a real PostgreSQL: what is new, what is broken, and a connection that is dropped."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from learning.adapters.store import Store
from learning.overlay import OverlayReader
from tests.learning_builders import FakeEncoder
from tests.unit.learning.test_learning_overlay import publish

pytestmark = pytest.mark.service
DEADLINE = 20.0  # seconds, for a machine that is busy with other things


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def test_a_running_bot_follows_postgresql(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.overlay.RETRY_SECONDS", 0.05)
    store, encoder = Store(postgres_url), FakeEncoder()
    watching = OverlayReader(postgres_url, encoder.encode, encoder.identity, poll=0.02)
    engine = sa.create_engine(postgres_url, future=True)
    try:
        publish(store, 1)
        publish(store, 2)
        eventually(lambda: len(watching.snapshot().entries) == 2)
        vector = encoder.encode(["loyalty points"])[0]
        assert watching.snapshot().nearest(vector) is not None

        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE meta SET value = '3' WHERE key = 'overlay_version'"))
            broken = "UPDATE entries SET answer = NULL, changed = 3 WHERE entry_id = 'entry1'"
            connection.execute(sa.text(broken))
        eventually(lambda: [entry.entry_id for entry in watching.snapshot().entries] == ["entry2"])
        eventually(
            lambda: [(one.entry_id, one.reason) for one in store.quarantined()] == [("entry1", "it has no answer")]
        )

        with engine.connect() as connection:
            others = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE :q"
            )
            connection.execute(sa.text(others), {"q": "%overlay_version%"})
        publish(store, 3)
        eventually(lambda: len(watching.snapshot().entries) == 2)
    finally:
        watching.close()
        engine.dispose()
