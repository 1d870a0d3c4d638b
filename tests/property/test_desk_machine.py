"""Whatever dies when, and in whatever order people act: no message is lost, doubled or reordered.

The desk's database and the tracker store are real; the bot may fail before or after it has stored a message, the
worker may be replaced by a new process at any time, and agents send the same form twice.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from desk import service
from desk.desk import Desk
from desk.errors import NotSaid, Taken
from desk.model import OPEN_STATES, Delivery, Kind, Reason
from desk.store import Store
from desk.worker import Worker
from tests.desk_world import make_desk_world

AGENTS = ("anna", "bert")
CUSTOMERS = ("ann", "bea")


class Killed(Exception):
    """The process ends here."""


class DyingStore(Store):
    """A store whose process can be killed before or after its next write."""

    kill: str = ""

    def tried(self, message):
        if self.kill == "before":
            raise Killed
        super().tried(message)
        if self.kill == "after":
            raise Killed

    def set_watermark(self, mark):
        if self.kill == "before":
            raise Killed
        super().set_watermark(mark)


class DeskMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = make_desk_world(self.folder)
        self.desk = self.world.desk
        self.said: dict[str, list[str]] = {name: [] for name in CUSTOMERS}  # what agents sent, in order
        self.wrote: dict[str, int] = dict.fromkeys(CUSTOMERS, 0)
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(sender=st.sampled_from(CUSTOMERS), live=st.booleans())
    def asks(self, sender: str, live: bool) -> None:
        self.count += 1
        self.world.ask(sender, self.count, live)
        self.wrote[sender] += 1

    @rule(sender=st.sampled_from(CUSTOMERS))
    def writes(self, sender: str) -> None:
        self.world.say(sender, "hello?")
        self.wrote[sender] += 1

    @rule(sender=st.sampled_from(CUSTOMERS))
    def comes_back_after_an_hour(self, sender: str) -> None:
        self.world.tracker.add(sender, {"event": "session_started"})

    @rule(who=st.sampled_from(AGENTS), number=st.integers(0, 3), twice=st.booleans())
    def takes(self, who: str, number: int, twice: bool) -> None:
        self._on_one(number, lambda one: service.take(self.desk, one, who, self._id()), twice)

    @rule(who=st.sampled_from(AGENTS), number=st.integers(0, 3), twice=st.booleans())
    def answers(self, who: str, number: int, twice: bool) -> None:
        key = self._id()

        def say(handover_id: str) -> None:
            service.reply(self.desk, handover_id, who, f"answer {key}", key)
            sender = self.desk.store.handover(handover_id).sender_id
            if f"answer {key}" not in self.said[sender]:
                self.said[sender].append(f"answer {key}")

        self._on_one(number, say, twice)

    @rule(who=st.sampled_from(AGENTS), number=st.integers(0, 3))
    def releases(self, who: str, number: int) -> None:
        self._on_one(number, lambda one: service.release(self.desk, one, who))

    @rule(who=st.sampled_from(AGENTS), number=st.integers(0, 3), returned=st.booleans(), twice=st.booleans())
    def closes(self, who: str, number: int, returned: bool, twice: bool) -> None:
        key = self._id()

        def close(handover_id: str) -> None:
            seen = service.chat(self.desk, handover_id, who).transcript.last_customer_row
            service.close(self.desk, handover_id, who, returned, "done", seen, key)

        self._on_one(number, close, twice)

    @rule(seconds=st.sampled_from([1, 60, 700]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.wait(seconds)

    @rule(trouble=st.lists(st.sampled_from(["", "before", "after"]), max_size=3))
    def the_worker_works(self, trouble: list[str]) -> None:
        self.world.bot.fail = list(trouble)
        self.world.worker.step()
        self.world.bot.fail = []

    @rule(kill=st.sampled_from(["before", "after"]))
    def the_worker_is_killed(self, kill: str) -> None:
        dying = DyingStore(f"sqlite:///{self.folder}/var/desk.db")
        dying.kill = kill
        desk = _with_store(self.desk, dying)
        self.world.clock.wait(11)  # the lease of the one before has run out
        with contextlib.suppress(Killed):
            Worker(desk, self.world.bot).step()
        self.world.clock.wait(11)
        self.world.worker = Worker(self.desk, self.world.bot)

    @invariant()
    def nothing_comes_twice_or_in_another_order(self) -> None:
        ids = [one.message_id for one in self.world.bot.stored]
        assert len(ids) == len(set(ids))
        for sender in CUSTOMERS:
            arrived = self._arrived(sender)
            assert arrived == self.said[sender][: len(arrived)]

    @invariant()
    def a_conversation_has_one_open_hand_over(self) -> None:
        senders = [one.sender_id for one in self.desk.store.open_handovers()]
        assert len(senders) == len(set(senders))

    @rule()
    def when_all_is_well_again_nothing_is_missing(self) -> None:
        self.world.bot.fail = []
        for _ in range(4):
            self.world.clock.wait(40)
            self.world.worker.step()
        for sender in CUSTOMERS:
            assert self._arrived(sender) == self.said[sender]
            for one in self.desk.store.of_sender(sender):
                sent = self.desk.store.messages(one.handover_id)
                assert {message.state for message in sent} <= {Delivery.DELIVERED}
            self._nobody_waits_in_silence(sender)

    def _nobody_waits_in_silence(self, sender: str) -> None:
        """Where the assistant is silent, somebody has the conversation or it stands in the queue."""
        silent = False
        for kind in self._kinds(sender):
            if kind == "pause":
                silent = True
            elif kind in ("resume", "session_started"):
                silent = False
        newest = self.desk.store.newest_of(sender)
        if newest is not None:
            assert newest.paused is silent
        if silent:
            assert newest is not None
            assert newest.state in OPEN_STATES

    def _kinds(self, sender: str) -> list[str]:
        query = "SELECT type_name FROM events WHERE sender_id = ? ORDER BY id"
        return [row[0] for row in self.world.tracker._connection.execute(query, (sender,))]

    def _arrived(self, sender: str) -> list[str]:
        return [one.text for one in self.world.bot.stored if one.sender_id == sender and one.kind is Kind.REPLY]

    def _on_one(self, number: int, act, twice: bool = False) -> None:
        found = self.desk.store.open_handovers()
        if not found:
            return
        chosen = found[number % len(found)].handover_id
        for _ in range(1 + twice):
            try:
                act(chosen)
            except (Taken, NotSaid):
                return

    def _id(self) -> str:
        self.count += 1
        return f"id{self.count}"


def _with_store(desk: Desk, store: Store) -> Desk:
    return Desk(desk.settings, store, desk.tracker, desk.hours, desk.canned, desk.now)


TestDesk = DeskMachine.TestCase
TestDesk.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)


def test_reasons_of_another_version_are_no_reason_to_stop() -> None:
    assert Reason.of("something new") is Reason.ASKED
