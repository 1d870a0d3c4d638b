"""From "the assistant should have said this" at the desk to the answer that is proposed, over the real channel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desk import service
from desk.desk import Desk
from desk.hours import opening_hours
from desk.store import Store as DeskStore
from desk.tracker import SqlTracker
from desk.worker import Worker
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.evidence import read_evidence
from learning.loop import Loop
from learning.model import AGENTS, GapKind, Proposal, ProposalState
from learning.pipeline import mine
from learning.settings import DeskSettings
from tests.desk_world import Clock
from tests.integration.test_desk_channel import Running
from tests.integration.test_desk_channel import rasa as rasa
from tests.learning_builders import LOYALTY, TrackerFile, make_loop, make_project, talk, user_data

ANSWER = "Loyalty points expire after 18 months."
CHEQUES = "can i pay by cheque"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project whose tracker store is the one that the channel writes to."""
    endpoints = "tracker_store: {type: SQL, dialect: sqlite, db: tracker.db}\n"
    (make_project(tmp_path) / "endpoints.yml").write_text(endpoints)
    return tmp_path


@pytest.fixture
def tracker(project: Path) -> TrackerFile:
    return TrackerFile(project / "tracker.db")


@pytest.fixture
def loop(project: Path, tracker: TrackerFile) -> Loop:
    return make_loop(project, open_tracker=lambda: SqlTrackerEvents(f"sqlite:///{project}/tracker.db"))


class Anna:
    """An agent who takes, answers and marks, with the worker that carries it all to Rasa."""

    def __init__(self, project: Path, tracker: TrackerFile, rasa: Running) -> None:
        settings = DeskSettings(token="t" * 32)
        self.desk = Desk(
            settings=settings,
            store=DeskStore(f"sqlite:///{project}/desk.db"),
            tracker=SqlTracker(lambda: f"sqlite:///{project}/tracker.db"),
            hours=opening_hours(settings),
            canned=project / "canned.yml",
            now=Clock(),
        )
        self.worker = Worker(self.desk, rasa.bot)
        self.tracker = tracker

    def answers(self, sender: str, text: str) -> str:
        """Take the chat that a customer asks for, and answer; return its id."""
        self.tracker.add(sender, user_data("a person please", "talk_to_person", 0.99))
        value = {"id": sender, "reason": "asked", "live": True}
        self.tracker.add(sender, {"event": "slot", "name": "handover", "value": value})
        self.tracker.add(sender, {"event": "pause"})
        self.worker.step()
        (found,) = (one for one in self.desk.store.open_handovers() if one.sender_id == sender)
        service.take(self.desk, found.handover_id, "anna", f"join-{sender}")
        service.reply(self.desk, found.handover_id, "anna", text, f"reply-{sender}")
        self.worker.step()
        return found.handover_id

    def marks(self, sender: str, handover_id: str, taught: bool = True) -> None:
        service.teach(self.desk, handover_id, "anna", f"reply-{sender}", taught)
        self.worker.step()


@pytest.fixture
def anna(project: Path, tracker: TrackerFile, rasa: Running) -> Anna:
    return Anna(project, tracker, rasa)


def proposed(loop: Loop) -> Proposal:
    mine(loop)
    (new_need,) = [gap for gap in loop.store.gaps().values() if gap.kind is GapKind.NEW_NEED]
    (found,) = [
        one for one in loop.store.proposals() if one.gap_id == new_need.gap_id and one.state is ProposalState.PENDING
    ]
    return found


def test_one_marked_answer_is_drafted_before_all_others(tracker: TrackerFile, loop: Loop, anna: Anna) -> None:
    talk(tracker)
    tracker.say("zoe", LOYALTY[0])
    handover_id = anna.answers("zoe", f"Hi! {ANSWER}")
    before = proposed(loop)
    assert {source.document for source in before.sources} == {"loyalty.md"}

    anna.marks("zoe", handover_id)
    after = proposed(loop)
    assert (after.answer, {source.document for source in after.sources}) == (ANSWER, {AGENTS})
    (reply,) = read_evidence(loop, after).agent_replies
    assert (reply.text, reply.recommended) == (f"Hi! {ANSWER}", True)

    anna.marks("zoe", handover_id, taught=False)
    assert {source.document for source in proposed(loop).sources} == {"loyalty.md"}


def test_an_answer_that_is_marked_when_the_customer_is_back_counts(
    tracker: TrackerFile, loop: Loop, anna: Anna
) -> None:
    talk(tracker)
    tracker.say("zoe", LOYALTY[0])
    handover_id = anna.answers("zoe", ANSWER)
    tracker.add("zoe", {"event": "action", "name": "action_session_start"})
    tracker.add("zoe", {"event": "session_started"})
    tracker.say("zoe", "where is my order", "track_order", 0.97, "It comes tomorrow.")
    assert {source.document for source in proposed(loop).sources} == {"loyalty.md"}

    anna.marks("zoe", handover_id)
    after = proposed(loop)
    assert (after.answer, {source.document for source in after.sources}) == (ANSWER, {AGENTS})


def test_the_mark_makes_a_failure_of_what_seemed_to_go_well(tracker: TrackerFile, loop: Loop, anna: Anna) -> None:
    for number in range(6):
        sender = f"payer{number}"
        tracker.say(sender, f"{CHEQUES} {'please ' * number}".strip(), "track_order", 0.97, "It comes tomorrow.")
        anna.marks(sender, anna.answers(sender, "You cannot pay by cheque in our shop."))
    mine(loop)
    assert loop.store.signal_counts() == {"recommended": 6}
    failed = [turn for gap_id in loop.store.gaps() for turn in loop.store.turns_of_gap(gap_id)]
    assert {turn.text.replace(" please", "") for turn in failed} == {CHEQUES}
    (gap,) = loop.store.gaps().values()
    assert replace(gap, people=6) == gap
