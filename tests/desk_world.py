"""What the tests of the desk are built from: its real database and a real tracker store, with a bot made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from desk.desk import Desk
from desk.errors import NotDelivered, Undeliverable
from desk.hours import opening_hours
from desk.model import MARKS, Kind, Outgoing
from desk.store import Store
from desk.tracker import SqlTracker
from desk.worker import Worker
from learning.settings import DeskSettings
from tests.learning_builders import TrackerFile, user_data

FRIDAY_NOON = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)  # Dublin is on UTC then
CLOSING = (Kind.RESOLVED, Kind.RETURNED, Kind.AWAY)


@dataclass
class Clock:
    at: datetime = FRIDAY_NOON

    def __call__(self) -> datetime:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class ClockedTracker(TrackerFile):
    """A tracker store whose events happen when the test's clock says."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path)
        self._clock = clock

    def add(self, sender: str, data: Mapping[str, Any]) -> float:
        return super().add(sender, {"timestamp": self._clock().timestamp(), **data})


@dataclass
class FakeBot:
    """Appends to the tracker store as the channel does: once for an id. It may die before or after it has stored."""

    tracker: ClockedTracker
    stored: list[Outgoing] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    fail: list[str] = field(default_factory=list)  # what happens next: "before", "after"
    attempts: int = 0
    typing: list[str] = field(default_factory=list)  # to whom it was shown that somebody writes

    def show_typing(self, sender_id: str) -> None:
        self.typing.append(sender_id)

    def deliver(self, message: Outgoing) -> None:
        self.attempts += 1
        trouble = self.fail.pop(0) if self.fail else ""
        if message.sender_id in self.gone:
            raise Undeliverable("is gone", "message", "nothing")
        if trouble == "before":
            raise NotDelivered("The assistant does not answer", "message", "wait")
        if all(one.message_id != message.message_id for one in self.stored):
            self.stored.append(message)
            self._append(message)
        if trouble == "after":
            raise NotDelivered("The answer was lost", "message", "wait")

    def _append(self, message: Outgoing) -> None:
        sender = message.sender_id
        if message.kind in MARKS:
            mark = {"desk_id": message.note, "by": message.agent, "mark": message.message_id}
            value = mark if message.kind is Kind.RECOMMENDED else {**mark, "taken_back": True}
            self.tracker.add(sender, {"event": "slot", "name": "recommended_answer", "value": value})
            return
        if message.kind not in CLOSING:
            self.tracker.add(sender, {"event": "pause", "metadata": {"desk": message.kind.value}})
        metadata = {"desk": message.kind.value, "desk_id": message.message_id}
        if message.kind is Kind.REPLY:
            metadata["agent"] = message.agent
        self.tracker.add(sender, {"event": "bot", "text": message.text, "data": {}, "metadata": metadata})
        if message.kind in CLOSING:
            self.tracker.add(sender, {"event": "resume"})


@dataclass
class DeskWorld:
    desk: Desk
    tracker: ClockedTracker
    bot: FakeBot
    worker: Worker
    clock: Clock

    def ask(self, sender: str, number: int = 1, live: bool = True, **value: Any) -> None:
        """A customer is handed over, as the action does it."""
        record: Mapping[str, Any] = {"id": f"m-{number}", "reason": "asked", "live": live, "mood": 0.2, **value}
        self.say(sender, "a person please", "talk_to_person")
        self.tracker.add(sender, {"event": "slot", "name": "handover", "value": record})
        if live:
            self.tracker.add(sender, {"event": "pause"})

    def say(self, sender: str, text: str, intent: str = "inform", **more: Any) -> None:
        self.tracker.add(sender, user_data(text, intent, **more))

    def only(self) -> str:
        """The id of the one open hand-over."""
        (found,) = self.desk.store.open_handovers()
        return found.handover_id


def make_desk_world(folder: Path, settings: DeskSettings | None = None) -> DeskWorld:
    settings = settings or DeskSettings(token="t" * 32)
    clock = Clock()
    tracker = ClockedTracker(folder / "var" / "tracker.db", clock)
    desk = Desk(
        settings=settings,
        store=Store(f"sqlite:///{folder}/var/desk.db"),
        tracker=SqlTracker(lambda: f"sqlite:///{folder}/var/tracker.db"),
        hours=opening_hours(settings),
        canned=folder / "canned.yml",
        now=clock,
    )
    bot = FakeBot(tracker)
    return DeskWorld(desk, tracker, bot, Worker(desk, bot), clock)
