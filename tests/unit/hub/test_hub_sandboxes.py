"""Sandbox sessions: one a person, few at a time, ended when nobody uses them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hub.review.sandboxes import MOST_SAID, Sandboxes, SandboxState
from learning.errors import ReviewError, TrainingError
from learning.loop import Loop
from learning.model import Entry
from learning.sandbox import Exchange, Reply, Understood
from tests.hub_world import a_proposal

DEADLINE = 5.0  # seconds
LOOP = cast(Loop, SimpleNamespace(store=SimpleNamespace(entries=lambda *states: [])))
ONE, TWO = a_proposal(1), a_proposal(2)


class FakeBot:
    model = "m.tar.gz"

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.closed = False
        self.breaks = False

    def use(self, entries: Sequence[Entry]) -> None:
        self.entries = list(entries)

    def understand(self, texts: Sequence[str]) -> list[Understood]:
        return [Understood("faq", 0.9) for _ in texts]

    def say(self, conversation: str, text: str) -> Exchange:
        if self.breaks:
            raise TrainingError("ended by itself", "model m", "try again")
        return Exchange(text, Understood("faq", 0.9), tuple(Reply(entry.answer or "") for entry in self.entries))

    def close(self) -> None:
        self.closed = True


class FakeBots:
    """Starts bots; `gate` holds them up while they load."""

    def __init__(self) -> None:
        self.made: list[FakeBot] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fails = False

    def start(self, actions: str | None = None) -> FakeBot:
        self.gate.wait(DEADLINE)
        if self.fails:
            raise TrainingError("holds no model", "folder models", "run `rasa train`")
        self.made.append(FakeBot())
        return self.made[-1]


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def wait(until: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def bots() -> FakeBots:
    return FakeBots()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def boxes(bots: FakeBots, clock: Clock) -> Iterator[Sandboxes]:
    made = Sandboxes(bots, most=2, idle_seconds=60, clock=clock)
    yield made
    bots.gate.set()
    made.stop_all()


def state(boxes: Sandboxes, user: str, proposal_id: str = ONE.proposal_id) -> SandboxState | None:
    view = boxes.view(user, proposal_id)
    return view.state if view else None


def begin(boxes: Sandboxes, user: str, proposal: Any = ONE) -> None:
    boxes.start(LOOP, user, proposal)
    wait(lambda: state(boxes, user, proposal.proposal_id) is SandboxState.READY)


def test_a_session_loads_and_answers_with_the_proposal(boxes: Sandboxes, bots: FakeBots) -> None:
    bots.gate.clear()
    before = boxes.mark()
    boxes.start(LOOP, "ann", ONE)
    assert state(boxes, "ann") is SandboxState.LOADING
    loading = boxes.mark()
    bots.gate.set()
    wait(lambda: state(boxes, "ann") is SandboxState.READY)
    boxes.say("ann", ONE.proposal_id, "points?", compare=True, after=0)
    view = boxes.view("ann", ONE.proposal_id)
    assert view is not None
    (said,) = view.said
    assert said.without is not None
    assert [reply.text for reply in said.applied.replies] == [ONE.answer]
    assert said.without.replies == ()
    assert said.differs
    assert len({before, loading, boxes.mark()}) == 3, "pages are told of each step"


def test_one_session_a_person_and_few_at_a_time(boxes: Sandboxes, bots: FakeBots) -> None:
    begin(boxes, "ann")
    begin(boxes, "ann", TWO)
    assert bots.made[0].closed
    assert state(boxes, "ann") is None
    begin(boxes, "bob")
    with pytest.raises(ReviewError, match="2 people"):
        boxes.start(LOOP, "cat", ONE)
    boxes.stop("bob")
    begin(boxes, "cat")
    assert boxes.view("bob", ONE.proposal_id) is None


def test_nobody_reads_another_ones_session(boxes: Sandboxes) -> None:
    begin(boxes, "ann")
    with pytest.raises(ReviewError, match="is not running"):
        boxes.say("bob", ONE.proposal_id, "hello", compare=False, after=0)
    assert boxes.view("bob", ONE.proposal_id) is None


def test_what_nobody_uses_is_ended(boxes: Sandboxes, bots: FakeBots, clock: Clock) -> None:
    begin(boxes, "ann")
    clock.at = 50
    boxes.say("ann", ONE.proposal_id, "hello", compare=False, after=0)
    clock.at = 100
    boxes.sweep()
    assert state(boxes, "ann") is SandboxState.READY
    clock.at = 111
    boxes.sweep()
    assert state(boxes, "ann") is None
    assert bots.made[0].closed


def test_one_that_was_ended_while_it_loaded_leaves_no_model_behind(boxes: Sandboxes, bots: FakeBots) -> None:
    bots.gate.clear()
    boxes.start(LOOP, "ann", ONE)
    boxes.stop("ann")
    bots.gate.set()
    wait(lambda: bots.made and bots.made[0].closed)


def test_a_double_click_says_nothing_twice(boxes: Sandboxes) -> None:
    begin(boxes, "ann")
    for _ in range(2):
        boxes.say("ann", ONE.proposal_id, "points?", compare=False, after=0)
    boxes.say("ann", ONE.proposal_id, "points?", compare=False, after=1)
    view = boxes.view("ann", ONE.proposal_id)
    assert view is not None
    assert [said.text for said in view.said] == ["points?", "points?"]


def test_a_session_does_not_grow_for_ever(boxes: Sandboxes) -> None:
    begin(boxes, "ann")
    for number in range(MOST_SAID):
        boxes.say("ann", ONE.proposal_id, f"{number}", compare=False, after=number)
    with pytest.raises(ReviewError, match="which is the most"):
        boxes.say("ann", ONE.proposal_id, "more", compare=False, after=MOST_SAID)


def test_what_cannot_be_started_or_breaks_is_told(boxes: Sandboxes, bots: FakeBots) -> None:
    bots.fails = True
    for user in ("bob", "cat", "ann"):  # one that has failed holds no model, and keeps nobody waiting
        boxes.start(LOOP, user, ONE)
        wait(lambda user=user: state(boxes, user) is SandboxState.FAILED)
    bots.fails = False
    begin(boxes, "ann")
    bots.made[0].breaks = True
    boxes.say("ann", ONE.proposal_id, "hello", compare=False, after=0)
    view = boxes.view("ann", ONE.proposal_id)
    assert view is not None
    assert view.state is SandboxState.FAILED
    assert view.problem == "model m ended by itself; try again."
    assert bots.made[0].closed


def test_without_a_model_there_is_none() -> None:
    boxes = Sandboxes()
    assert not boxes.is_available
    with pytest.raises(ReviewError, match="no model"):
        boxes.start(LOOP, "ann", ONE)
