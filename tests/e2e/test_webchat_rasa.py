"""The chat channel in a real Rasa server: sessions, the HTTP API, a stop with open pages, and a restart."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.webchat_world import IDENTITY_SECRET, SECRET, Visitor, next_message
from webchat.identity import Customer, make_token

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
START_SECONDS = 180.0
TOKEN = "0123456789"
EXPIRATION_SECONDS = 3.0
CUSTOMER = {"id": "7", "name": "Ada", "email": "ada@example.com"}
SLOT = "{type: any, influence_conversation: false, mappings: [{type: custom}]}"
FILES = {
    "config.yml": """
recipe: default.v1
language: en
pipeline: [{name: KeywordIntentClassifier}]
policies: [{name: RulePolicy}]
""",
    "domain.yml": f"""
version: "3.1"
intents: [greet]
slots:
  verified_customer: {SLOT}
  last_feedback: {SLOT}
  csat: {SLOT}
  email: {{type: text, influence_conversation: false, mappings: [{{type: custom}}]}}
responses: {{utter_greet: [{{text: "Hello!"}}]}}
session_config: {{session_expiration_time: {EXPIRATION_SECONDS / 60}, carry_over_slots_to_new_session: false}}
""",
    "data/nlu.yml": 'version: "3.1"\nnlu: [{intent: greet, examples: "- hello\\n- hello there\\n"}]\n',
    "data/rules.yml": """
version: "3.1"
rules: [{rule: greet, steps: [{intent: greet}, {action: utter_greet}]}]
""",
    "endpoints.yml": "tracker_store: {type: SQL, dialect: sqlite, db: tracker.db}\n",
    "credentials.yml": "components.webchat_channel.WebchatInput:\ncomponents.rated_channels.RatedRest:\n",
}


class Bot:
    """A Rasa server of a small project of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            **os.environ,
            "RASA_TELEMETRY_ENABLED": "false",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(ROOT),
            "EVERGREEN_WEBCHAT_SECRET": SECRET.decode(),
            "EVERGREEN_WEBCHAT_IDENTITY_SECRET": IDENTITY_SECRET.decode(),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def train(self) -> None:
        for name, text in FILES.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text, "utf-8")
        command = [sys.executable, "-m", "rasa", "train"]
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        server = ["--enable-api", "--auth-token", TOKEN, "--interface", "127.0.0.1", "--port", str(self.port)]
        with (self.root / "bot.log").open("ab") as log:
            command = [sys.executable, "-m", "rasa", "run", *server]
            self.process = subprocess.Popen(command, cwd=self.root, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/status", params={"token": TOKEN}).status_code == 200:
                    return
            time.sleep(0.2)
        raise AssertionError(f"the bot did not start:\n{(self.root / 'bot.log').read_text('utf-8')}")

    def end(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.end()
        self.process.wait(60)

    def append(self, conversation_id: str, *events: dict[str, Any]) -> None:
        address = f"{self.url}/conversations/{conversation_id}/tracker/events"
        httpx.post(address, params={"token": TOKEN}, json=list(events), timeout=30).raise_for_status()

    def slots(self, conversation_id: str) -> dict[str, Any]:
        address = f"{self.url}/conversations/{conversation_id}/tracker"
        return dict(httpx.get(address, params={"token": TOKEN}, timeout=30).json()["slots"])

    def visitor(self, identified: bool = False) -> Visitor:
        token = make_token(IDENTITY_SECRET, Customer(**CUSTOMER), time.time(), 300)
        body = {"identity": token} if identified else {}
        answer = httpx.post(f"{self.url}/webhooks/webchat/session", json=body)
        return Visitor(f"{self.url}/webhooks/webchat/", answer.json()["token"])


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    one = Bot(tmp_path_factory.mktemp("bot"))
    one.train()
    one.start()
    yield one
    one.stop()


def test_a_known_customer_is_known_in_every_session(bot: Bot) -> None:
    customer = bot.visitor(identified=True)
    for _ in range(2):
        assert [one["text"] for one in customer.say("hello").json()["messages"]] == ["Hello!"]
        slots = bot.slots(customer.conversation_id)
        assert (slots["verified_customer"], slots["email"]) == (CUSTOMER, CUSTOMER["email"])
        # There is nothing to wait for: a session ends by the clock alone.
        time.sleep(EXPIRATION_SECONDS + 0.1)
    kinds = [event["event"] for event in events_of(bot, customer)]
    assert kinds.count("session_started") == 2
    assert kinds.count("user") == 2


def events_of(bot: Bot, customer: Visitor) -> list[dict[str, Any]]:
    address = f"{bot.url}/conversations/{customer.conversation_id}/tracker"
    answer = httpx.get(address, params={"token": TOKEN, "include_events": "ALL"}, timeout=30)
    return list(answer.json()["events"])


def test_no_message_makes_a_customer_known(bot: Bot) -> None:
    customer = bot.visitor()
    customer.say('/greet{"verified_customer": {"id": "7"}, "email": "ada@example.com"}')
    httpx.post(
        f"{bot.url}/webhooks/rest/webhook",
        json={
            "sender": "rest-1",
            "message": '/greet{"verified_customer": {"id": "7"}, "email": "ada@example.com"}',
            "metadata": {"verified_customer": {"id": "7"}},
        },
        timeout=30,
    )
    for conversation_id in (customer.conversation_id, "rest-1"):
        slots = bot.slots(conversation_id)
        assert (slots["verified_customer"], slots["email"]) == (None, None)


def test_a_rating_by_command_is_no_turn(bot: Bot) -> None:
    def say(text: str) -> Any:
        body = {"sender": "rest-2", "message": text}
        return httpx.post(f"{bot.url}/webhooks/rest/webhook", json=body, timeout=30).json()

    assert [one["text"] for one in say("hello")] == ["Hello!"]
    assert say('/feedback{"value": "up"}') == []
    assert say('/feedback{"mark": 4}') == []
    slots = bot.slots("rest-2")
    assert (slots["last_feedback"]["value"], slots["csat"]) == ("up", 4)


def test_open_pages_stay_up_to_date_over_a_restart(bot: Bot) -> None:
    customer = bot.visitor()
    [answer] = customer.say("hello").json()["messages"]
    by_anna = {"event": "bot", "metadata": {"agent": "Anna", "desk": "reply"}}
    with customer.stream(cursor=answer["id"]) as events:
        bot.append(customer.conversation_id, {"event": "pause"}, {**by_anna, "text": "I am Anna"})
        assert next_message(events) == "I am Anna"
        # Ended by the server, not broken off after the 15 s that Sanic waits for open answers.
        bot.end()
        assert [data["text"] for kind, data in events if kind == "message"] == []
    bot.stop()
    bot.start()
    bot.append(customer.conversation_id, {**by_anna, "text": "Still here"})
    assert customer.lines() == ["hello", "Hello!", "I am Anna", "Still here"]
    with customer.stream(cursor=answer["id"]) as events:
        assert [next_message(events), next_message(events)] == ["I am Anna", "Still here"]
