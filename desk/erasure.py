"""Forgetting a person at the desk, for `learning forget`.

It goes by the pseudonym: the tracker store, which knows who that is, may have forgotten them already.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from desk.store import Store
from learning.model import sender_key


class DeskEraser:
    """Counts and deletes what the desk keeps of one person."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def count(self, key: str) -> int:
        """Return how many hand-overs a person had."""
        return sum(len(self._store.of_sender(sender)) for sender in self._senders(key))

    def is_open(self, key: str) -> bool:
        """Whether one of them still waits for somebody."""
        return any(one.is_open for sender in self._senders(key) for one in self._store.of_sender(sender))

    def erase(self, key: str) -> int:
        """Delete their hand-overs with answers, notes and history; return how many there were."""
        return sum(self._store.forget(sender, self._now()) for sender in self._senders(key))

    def _senders(self, key: str) -> list[str]:
        return [sender for sender in self._store.senders() if sender_key(sender) == key]


def open_eraser(url: str, now: Callable[[], datetime]) -> DeskEraser | None:
    """Open the desk's database, None where there was never a desk: nothing is made for a person to be forgotten.

    Raises:
        DeskError: it is there and cannot be opened.

    """
    try:
        parsed = sa.engine.make_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            return None
    except ArgumentError:
        pass  # the store says better what is wrong with it
    return DeskEraser(Store(url), now)
