"""Wrong codes for one address: after a few, nobody may try for a while."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

MOST = 5  # a code has eight digits: five guesses in a quarter of an hour lead nowhere
COUNTED = timedelta(minutes=15)
REMEMBERED = 10_000  # addresses


class Guesses:
    """Counts in memory: a restart forgives, and a code is good for half an hour."""

    def __init__(self) -> None:
        """Begin with none."""
        self._at: OrderedDict[str, list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, who: str, now: datetime) -> int:
        """Return for how many minutes an address may not try, 0 if it may."""
        with self._lock:
            recent = [at for at in self._at.get(who, []) if now - at < COUNTED]
        return -(-int((recent[0] + COUNTED - now).total_seconds()) // 60) if len(recent) >= MOST else 0

    def note(self, who: str, now: datetime) -> None:
        """Count a wrong one."""
        with self._lock:
            self._at[who] = [*[at for at in self._at.pop(who, []) if now - at < COUNTED], now]
            while len(self._at) > REMEMBERED:
                self._at.popitem(last=False)
