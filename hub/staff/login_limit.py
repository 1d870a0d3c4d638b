"""A brake on guessing passwords: failures are counted per name and address, and per address."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

from hub.settings import HubSettings

MAX_KEYS = 10_000  # names and addresses remembered at once, so that guessing cannot fill the memory


class LoginLimit:
    """Says whether another attempt may be made now; forgets everything after `login_wait` seconds."""

    def __init__(self, settings: HubSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        # The key that was tried last is the last, so that those who have waited long enough stand in front.
        self._attempts: OrderedDict[tuple[str, ...], list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def attempt(self, name: str, address: str) -> bool:
        """Count an attempt and return whether it may go on; counted first, so that many at once gain nothing."""
        limits = {
            (address, name): self._settings.login_failures,
            (address,): self._settings.login_failures_address,
        }
        with self._lock:
            now = self._now()
            since = now - timedelta(seconds=self._settings.login_wait)
            self._forget(since)
            recent = {key: [at for at in self._attempts.get(key, ()) if at > since] for key in limits}
            if any(len(recent[key]) >= limit for key, limit in limits.items()) or len(self._attempts) >= MAX_KEYS:
                return False
            for key, times in recent.items():
                self._attempts[key] = [*times, now]
                self._attempts.move_to_end(key)
            return True

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of a person who has logged in."""
        with self._lock:
            self._attempts.pop((address, name), None)
            attempts = self._attempts.get((address,))
            if attempts:
                attempts.pop()
            if not attempts:
                self._attempts.pop((address,), None)

    def _forget(self, since: datetime) -> None:
        while self._attempts and next(iter(self._attempts.values()))[-1] <= since:
            self._attempts.popitem(last=False)
