"""Handing over with everything running: a customer in the bot, an agent at the desk, and Rasa killed in between."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from deploy.stack import Ports, Stack
from desk import service
from desk.bootstrap import build_desk
from desk.desk import Desk
from desk.model import Delivery, Handover
from learning.settings import load_settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0  # seconds for anything that happens by itself
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", "results", "__pycache__", "node_modules")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The whole assistant on a copy of the project, with a desk that is always open."""
    project = tmp_path_factory.mktemp("handover") / "project"
    shutil.copytree(ROOT, project, ignore=LEFT_OUT)
    settings = project / "learning.yml"
    content = yaml.safe_load(settings.read_text("utf-8"))
    content["desk"]["hours"] = ["Mon-Sun 00:00-23:59"]
    settings.write_text(yaml.safe_dump(content), "utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    stack = Stack(project, Ports.free(), environ)
    stack.train_if_needed()
    try:
        stack.start(without=("hub", "schedule"))
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def desk(stack: Stack) -> Desk:
    desk = build_desk(load_settings(stack.root))
    service.set_duty(desk, "anna", True)
    return desk


def say(stack: Stack, sender: str, text: str) -> list[str]:
    url = f"{stack.bot_url}/webhooks/rest/webhook"
    answer = httpx.post(url, json={"sender": sender, "message": text}, timeout=60)
    answer.raise_for_status()
    return [str(one.get("text")) for one in answer.json()]


def wait_for(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE} s: {what}"
        time.sleep(0.1)


def handed_over(desk: Desk, sender: str) -> Handover:
    wait_for(lambda: desk.store.newest_of(sender) is not None, "the hand-over at the desk")
    found = desk.store.newest_of(sender)
    assert found is not None
    return found


def test_from_the_bot_to_a_person_and_back(stack: Stack, desk: Desk) -> None:
    (told,) = say(stack, "ann", "i want to talk to a person")
    assert "right here in this chat" in told
    assert say(stack, "ann", "where is order 10342?") == []
    handover = handed_over(desk, "ann")
    assert handover.live

    service.take(desk, handover.handover_id, "anna", "e2e-join")
    service.reply(desk, handover.handover_id, "anna", "It left today.", "e2e-reply")

    def arrived() -> bool:
        return {one.state for one in desk.store.messages(handover.handover_id)} == {Delivery.DELIVERED}

    wait_for(arrived, "the answer in the conversation")
    chat = service.chat(desk, handover.handover_id, "anna")
    assert [line.text for line in chat.transcript.lines if line.who == "agent"] == ["It left today."]
    seen = chat.transcript.last_customer_row
    service.close(desk, handover.handover_id, "anna", True, "told", seen, "e2e-close")
    wait_for(arrived, "the assistant's return")
    (answer,) = say(stack, "ann", "where is order 10342?")
    assert "10342" in answer


def test_a_topic_for_people_is_not_answered_by_the_bot(stack: Stack, desk: Desk) -> None:
    assert "right here in this chat" in say(stack, "bea", "my lawyer will hear about this parcel")[0]
    handover = handed_over(desk, "bea")
    assert (handover.reason.value, handover.topic) == ("excluded_topic", "legal action")


@pytest.mark.parametrize("part", ["bot", "desk"])
def test_an_answer_survives_a_kill_and_comes_once(stack: Stack, desk: Desk, part: str) -> None:
    sender = f"kill-{part}"
    say(stack, sender, "i want to talk to a person")
    handover = handed_over(desk, sender)
    service.take(desk, handover.handover_id, "anna", f"{part}-join")
    for number in range(5):
        service.reply(desk, handover.handover_id, "anna", f"answer {number}", f"{part}-{number}")
    stack.restart(part)
    service.set_duty(desk, "anna", True)

    def delivered() -> bool:
        return all(one.state is Delivery.DELIVERED for one in desk.store.messages(handover.handover_id))

    wait_for(delivered, "all answers")
    lines = service.chat(desk, handover.handover_id, "anna").transcript.lines
    assert [line.text for line in lines if line.who == "agent"] == [f"answer {number}" for number in range(5)]
