"""Whole conversations with the running bot, its action server and the shop: what customers say and what they read."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
import yaml

from deploy.demo import scratch_copy
from deploy.stack import Ports, Stack
from learning.adapters.project import Project
from learning.adapters.rasa_exam import RasaExaminer
from learning.exams import LiveStory, StoryStep
from learning.settings import load_settings
from shop.database import open_database
from shop.tables import customers, orders

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "conversations"
CHANGED = ("processing", "delivered_lately")  # states that conversations change
CASES = [(path.stem, case) for path in sorted(FOLDER.glob("*.yml")) for case in yaml.safe_load(path.read_text("utf-8"))]


def today() -> Any:
    return datetime.now(timezone.utc).date()


def in_state(name: str, row: Any) -> bool:
    """Whether an order is in the state that a conversation names."""
    delivered = row.delivered_on
    return {
        "processing": row.status == "processing",
        "in_transit": row.status == "in_transit" and row.expected_on >= today(),
        "late": row.status == "in_transit" and row.expected_on < today(),
        "delivered": row.status == "delivered",
        "delivered_lately": row.status == "delivered" and delivered > today() - timedelta(days=25),
        "delivered_long_ago": row.status == "delivered" and delivered < today() - timedelta(days=35),
        "returned": row.status == "returned",
    }[name]


@dataclass
class Town:
    """The running bot, and the shop's orders: one that a conversation may change serves no other."""

    stack: Stack
    rows: list[Any]
    taken: Counter[int] = field(default_factory=Counter)

    def order(self, state: str) -> dict[str, str]:
        """Take an order in this state, with another one of the same customer."""
        fitting = [row for row in self.rows if in_state(state, row) and self.others(row)]
        row = min(fitting, key=lambda one: self.taken[one.number])
        assert state not in CHANGED or not self.taken[row.number], f"the shop has no more orders that are {state}"
        self.taken[row.number] += 1
        return {"order": str(row.number), "email": row.email, "other": str(self.others(row)[0].number)}

    def others(self, row: Any) -> list[Any]:
        return [one for one in self.rows if one.email == row.email and one.number != row.number]

    def say(self, sender: str, text: str) -> str:
        message = {"sender": sender, "message": text}
        answer = httpx.post(f"{self.stack.bot_url}/webhooks/rest/webhook", json=message, timeout=60)
        answer.raise_for_status()
        return "\n".join(str(one.get("text", "")) for one in answer.json())


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    project = scratch_copy(ROOT, tmp_path_factory.mktemp("conversations"))
    stack = Stack(project, Ports.free(), say=lambda line: None)
    try:
        stack.train_if_needed()
        stack.start(without=("hub", "schedule"))
        engine = open_database(f"sqlite:///{project}/var/shop.db")
        query = sa.select(orders, customers.c.email).join(customers).order_by(orders.c.number)
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        engine.dispose()
        yield Town(stack, list(rows))
    finally:
        stack.stop()


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{file}: {case['name']}" for file, case in CASES])
def test_conversation(town: Town, case: dict[str, Any]) -> None:
    sender, told = uuid4().hex, []
    # An address of its own for each: the shop stops listening to one that guesses too often.
    names = {"stranger": f"eve.{sender}@example.com", **(town.order(case["order"]) if "order" in case else {})}
    for step in case["steps"]:
        text = step["user"].format(**names)
        answer = town.say(sender, text)
        told += [f"> {text}", answer]
        for pattern in patterns(step, "bot", names):
            assert re.search(pattern, answer, re.IGNORECASE), "\n".join([*told, f"misses: {pattern}"])
        for pattern in patterns(step, "not", names):
            assert not re.search(pattern, answer, re.IGNORECASE), "\n".join([*told, f"has: {pattern}"])
        assert answer.strip(), "\n".join([*told, "no answer"])


def patterns(step: dict[str, Any], name: str, names: dict[str, str]) -> list[str]:
    given = step.get(name, [])
    return [one.format(**names) for one in ([given] if isinstance(given, str) else given)]


def test_the_evaluation_plays_conversations_with_the_action_server(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = town.stack
    monkeypatch.setenv("EVERGREEN_ACTIONS_URL", f"http://127.0.0.1:{stack.ports.actions}/webhook")
    settings = load_settings(stack.root)
    stories = Project(settings).live_stories().stories
    wrong = LiveStory("wrong", (StoryStep("where is order 99999?", says=("is on its way",)),))
    (model,) = (stack.root / "models").glob("*.tar.gz")
    first, second = RasaExaminer(settings).examine([model, model], ["where is order 10342?"], [*stories, wrong])

    for found in (first, second):
        assert (found.not_played, len(found.played)) == ("", len(stories) + 1)
        assert {one.name: one.problem for one in found.played if one.problem} == {"wrong": found.played[-1].problem}
        assert "can't find an order 99999" in found.played[-1].problem  # the shop was asked
        (parsed,) = found.parsed
        assert (parsed.label, parsed.spans) == ("track_order", frozenset({(15, 20, "order_number")}))
        assert parsed.ms > 0


@contextmanager
def hanging_shop(town: Town) -> Iterator[None]:
    """A shop that takes every request and never answers."""
    group = town.stack._running["shop"].pid
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def test_a_shop_that_hangs_is_told_and_nothing_is_claimed(town: Town) -> None:
    """Last in this file: the action server remembers for a while that the shop was away."""
    names = town.order("processing")
    customer, visitor = uuid4().hex, uuid4().hex
    assert "really cancel" in town.say(customer, f"cancel order {names['order']}, my email is {names['email']}")
    with hanging_shop(town):
        answer = town.say(customer, "yes")
        assert "can't tell whether that went through" in answer
        assert "person" in answer
        assert "is canceled" not in answer
        answer = town.say(visitor, f"where is order {names['other']}?")
        assert "can't reach our order system" in answer
        assert "pass you to a person" in answer
        # The shop keeps the tickets: the desk may take the case without one, but no reference is made up.
        answer = town.say(visitor, "yes")
        assert re.search(
            "I've passed this on|passing you to a person|no ticket was opened|didn't confirm your request", answer
        )
        assert not re.search(r"T-\d{8}", answer)


def test_who_guesses_too_often_is_not_heard_any_more(town: Town) -> None:
    guesser, victim = f"eve.{uuid4().hex}@example.com", town.order("processing")
    for _ in range(20):
        answer = town.say(uuid4().hex, f"cancel order {victim['order']}, my email is {guesser}")
        assert "Shall I" not in answer
        if "too many" in answer:
            break
    assert "too many" in answer
    assert "email address did you order" not in answer


def test_there_are_enough_conversations_and_each_has_its_name() -> None:
    names = [case["name"] for _, case in CASES]
    assert len(names) >= 75
    assert len(set(names)) == len(names)
