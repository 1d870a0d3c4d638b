"""A circuit breaker: a back end that is down is not asked by every customer, and does not make each of them wait."""

from __future__ import annotations

import time
from collections.abc import Callable


class CircuitBreaker:
    """Open after `failures` failed questions in a row; after `pause_seconds` one question at a time tries again.

    It counts questions, not attempts, and only what the back end itself did wrong: a "no" is an answer. States and
    names are those of M. Nygard, Release It! (2007).
    """

    def __init__(
        self, failures: int = 5, pause_seconds: float = 15.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin closed; `clock` tells seconds."""
        self._limit = failures
        self._pause = pause_seconds
        self._clock = clock
        self._failed = 0
        self._opened_at: float | None = None
        self._is_trying = False

    def lets_pass(self) -> bool:
        """Whether to ask now; who gets a yes says with `succeeded` or `failed` how it went."""
        if self._opened_at is None:
            return True
        if self._is_trying or self._clock() - self._opened_at < self._pause:
            return False
        self._is_trying = True
        return True

    def succeeded(self) -> None:
        """Note an answer, whatever it says: the breaker closes."""
        self._failed, self._opened_at, self._is_trying = 0, None, False

    def failed(self) -> None:
        """Note a failure; the last one that is allowed, or a failed trial, opens the breaker."""
        self._failed += 1
        if self._is_trying or self._failed >= self._limit:
            self._opened_at = self._clock()
        self._is_trying = False

    def gave_up(self) -> None:
        """Note that nothing was asked after all: a trial is left to the next question."""
        self._is_trying = False
