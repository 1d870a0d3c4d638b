"""The built objects of one desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from desk.hours import OpeningHours
from desk.model import Handover
from desk.ports import Tracker
from desk.store import Store
from learning.settings import DeskSettings

PRESENT_FOR = timedelta(seconds=120)  # after an agent's page was last seen; it says so every 30 seconds
LEFT_AFTER = timedelta(minutes=5)  # after an agent's page was last seen, others may have their chats
ANNOUNCED_FOR = timedelta(seconds=30)  # from a place in the queue that a customer is told to their hand-over

# Is told what a person has done: who, what, with which hand-over, and an id or a name that belongs to it; never texts.
Audit = Callable[[str, str, Handover, str], None]


def unaudited(who: str, what: str, handover: Handover, detail: str) -> None:
    """Keep nothing: for what nobody decides through."""


@dataclass(frozen=True)
class Desk:
    """What the functions of the desk work with; built by `bootstrap`."""

    settings: DeskSettings
    store: Store
    tracker: Tracker
    hours: OpeningHours
    canned: Path
    now: Callable[[], datetime]
    audit: Audit = unaudited
