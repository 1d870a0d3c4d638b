"""What was read a moment ago need not be asked again: answers that live for seconds, in memory only."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class ShortCache:
    """The latest answers, the oldest dropped first.

    A customer's data lies here for `seconds` at most, under a key that holds who proved to be the customer: nobody is
    given what was read for somebody else.
    """

    def __init__(self, seconds: float = 10.0, keep: int = 1_000, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin empty; `clock` tells seconds."""
        self._seconds = seconds
        self._keep = keep
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """Return the answer, None if there is none that is young enough."""
        found = self._answers.get(key)
        if found is None:
            return None
        if self._clock() - found[0] >= self._seconds:
            del self._answers[key]
            return None
        return found[1]

    def put(self, key: Hashable, answer: Any) -> None:
        """Keep an answer."""
        now = self._clock()
        self._answers[key] = (now, answer)
        self._answers.move_to_end(key)
        while self._answers:
            oldest = next(iter(self._answers))
            if len(self._answers) <= self._keep and now - self._answers[oldest][0] < self._seconds:
                break
            del self._answers[oldest]

    def clear(self) -> None:
        """Forget everything: something was changed."""
        self._answers.clear()
