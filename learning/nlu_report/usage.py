"""Which intents customers really use, by what the tracker store has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from learning.nlu_report.data import BUILT_IN

STALE_DAYS = 90  # a season; an intent that nobody needed in it can wait, or go
MIN_MESSAGES = 500  # in the tracker store; with fewer, an intent that nobody used yet says nothing


class IntentLog(Protocol):
    """The tracker store, as far as the use of intents goes."""

    def intent_last_seen(self) -> Mapping[str, tuple[int, datetime]]:
        """Return for each intent how many messages had it, and when the last came."""
        ...


@dataclass(frozen=True)
class StaleIntent:
    """An intent that was used, but not of late."""

    intent: str
    messages: int
    last_seen: datetime


@dataclass(frozen=True)
class Usage:
    """What is not used of the domain's intents; a retrieval intent counts as one."""

    messages: int
    stale_days: int
    never: tuple[str, ...]
    stale: tuple[StaleIntent, ...]

    @property
    def is_firm(self) -> bool:
        """Whether there are enough messages to call an intent unused."""
        return self.messages >= MIN_MESSAGES


def find_unused(log: IntentLog, domain: Sequence[str], now: datetime, stale_days: int = STALE_DAYS) -> Usage:
    """Return the domain's intents that no message had, or none in the last `stale_days`."""
    seen = log.intent_last_seen()
    wanted = sorted(set(domain) - BUILT_IN)
    limit = now - timedelta(days=stale_days)
    stale = [StaleIntent(intent, *seen[intent]) for intent in wanted if intent in seen and seen[intent][1] < limit]
    return Usage(
        messages=sum(messages for messages, _ in seen.values()),
        stale_days=stale_days,
        never=tuple(intent for intent in wanted if intent not in seen),
        stale=tuple(sorted(stale, key=lambda item: item.last_seen)),
    )
