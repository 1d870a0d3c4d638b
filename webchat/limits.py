"""What one message may hold and how often one conversation may send."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field

from webchat.errors import bad_request, message_too_long

HALF_CHARACTER = re.compile("[\ud800-\udfff]")
WINDOW_S = 60.0  # limits are given per minute


def checked_text(value: object, limit: int, what: str) -> str:
    """Return text without surrounding blanks, or refuse what is empty, too long or no text."""
    if not isinstance(value, str) or not value.strip():
        raise bad_request(f"{what} is empty")
    text = sendable(value.strip())
    if len(text) > limit:
        raise message_too_long(len(text), limit)
    return text


def sendable(text: str) -> str:
    """Return text that every store and service takes: half of a character that needs two is no text."""
    return HALF_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)


def without_command(text: str) -> str:
    """Return typed text as plain words: Rasa reads a leading slash as an intent with entities of its own.

    Otherwise a customer could set any entity or slot by typing `/inform{"customer_id": "7"}`.
    """
    words = text.lstrip("/ \t\r\n")
    if not words:
        raise bad_request("the message is empty")
    return words


@dataclass
class RateLimit:
    """A sliding window: at most `per_minute` hits in any minute."""

    per_minute: int
    hits: deque[float] = field(default_factory=deque)

    def hit(self, now: float) -> int:
        """Count a hit and return 0, or return the whole seconds to wait without counting it."""
        while self.hits and now - self.hits[0] >= WINDOW_S:
            self.hits.popleft()
        if len(self.hits) >= self.per_minute:
            return max(1, math.ceil(self.hits[0] + WINDOW_S - now))
        self.hits.append(now)
        return 0
