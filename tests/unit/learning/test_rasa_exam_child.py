"""Playing conversations: what an answer lacks is told, and one that breaks does not end the exam."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from rasa.shared.core.events import ActionExecuted, UserUttered

from learning.adapters.rasa_exam_child import play, what_is_wrong


def step(user: str = "hello", **more: Any) -> dict[str, Any]:
    return {"user": user, "says": (), "never": (), "actions": None, **more}


@pytest.mark.parametrize(
    ("wanted", "said", "ran", "problem"),
    [
        (step(says=("hi|hello", "there")), "HELLO there", [], ""),
        (step(says=("order number",)), "Sorry?", [], "'order number' is not in 'Sorry?'"),
        (step(never=("°",)), "It is 20 °C", [], "'°' is in 'It is 20 °C'"),
        (step(), "  ", [], "nothing was answered"),
        (step(actions=["utter_greet"]), "", ["utter_greet"], ""),
        (step(actions=["utter_greet"]), "hi", ["utter_thank"], "ran utter_thank instead of utter_greet"),
        (step(actions=[]), "hi", ["utter_thank"], "ran utter_thank instead of nothing"),
    ],
)
def test_what_is_wrong_with_an_answer(wanted: dict[str, Any], said: str, ran: list[str], problem: str) -> None:
    assert what_is_wrong(wanted, said, ran) == problem


@dataclass
class FakeAgent:
    """Answers as it is told, and keeps one conversation."""

    answers: dict[str, str]
    senders: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tracker = SimpleNamespace(events=[])
        self.tracker_store = SimpleNamespace(get_or_create_tracker=self._tracker)
        self.processor = SimpleNamespace(handle_message=self._handle)

    async def _tracker(self, sender: str) -> SimpleNamespace:
        self.senders.add(sender)
        return self.tracker

    async def _handle(self, message: Any) -> None:
        self.tracker.events += [
            UserUttered(message.text),
            ActionExecuted("utter_answer"),
            ActionExecuted("action_listen"),
        ]
        if self.answers[message.text] == "raise":
            raise ConnectionError("no action server")
        await message.output_channel.send_text_message(message.sender_id, self.answers[message.text])


def run(answers: dict[str, str], *steps: dict[str, Any]) -> tuple[str, set[str]]:
    agent = FakeAgent(answers)
    found = asyncio.run(play(agent, {"name": "n", "steps": steps}))  # type: ignore[arg-type]
    assert found["name"] == "n"
    return found["problem"], agent.senders


def test_a_conversation_is_played_by_a_sender_that_logs_can_tell() -> None:
    problem, senders = run({"a": "one", "b": "two"}, step("a", says=("one",)), step("b", actions=["utter_answer"]))

    assert problem == ""
    assert len(senders) == 1
    assert next(iter(senders)).startswith("evaluation-")


def test_it_ends_at_the_message_that_is_answered_wrongly() -> None:
    assert (
        run({"a": "one", "b": "two"}, step("a"), step("b", says=("three",)))[0] == "message 2: 'three' is not in 'two'"
    )


def test_what_breaks_is_a_result() -> None:
    assert run({"a": "raise"}, step("a"))[0] == "message 1: ConnectionError: no action server"
