"""A project that knows nothing of this one is attached, trained with Rasa, and answers what was just approved."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.learning_builders import LOYALTY, nlu_yaml

ROOT = Path(__file__).parents[2]
START_SECONDS = 300
ANSWER = "You collect a point with every euro."
QUIET = {"RASA_TELEMETRY_ENABLED": "false", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
# As small as a DIET project can be, in the way that Rasa's own examples are written.
FILES = {
    "config.yml": """\
language: en
pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer   # words
- name: components.shout.Shout
- name: DIETClassifier
  epochs: 5
- name: FallbackClassifier
  threshold: 0.95
policies:
- name: RulePolicy
""",
    "domain.yml": """\
version: "3.1"
intents:
- greet
- hours
- nlu_fallback
responses:
  utter_greet:
  - text: "Hello!"
  utter_hours:
  - text: "From nine to five."
  utter_default:
  - text: "Sorry?"
""",
    "data/nlu.yml": nlu_yaml(
        {
            "greet": ("hello", "good morning", "hi there", "good evening", "hey", "hello bot"),
            "hours": ("when are you open", "opening hours", "are you open on sunday", "how long are you open today"),
        }
    ),
    "data/rules.yml": "".join(
        f"- rule: {intent}\n  steps:\n  - intent: {intent}\n  - action: {action}\n"
        for intent, action in (("greet", "utter_greet"), ("hours", "utter_hours"), ("nlu_fallback", "utter_default"))
    ).join(('version: "3.1"\nrules:\n', "")),
    "credentials.yml": "rest:\n",
    # A package of the same name as ours, with a component in it.
    "components/__init__.py": "",
    "components/shout.py": """\
from typing import Any, Dict, List, Text

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.MESSAGE_FEATURIZER, is_trainable=False)
class Shout(GraphComponent):
    @classmethod
    def create(
        cls,
        config: Dict[Text, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> "Shout":
        return cls()

    def process(self, messages: List[Message]) -> List[Message]:
        for message in messages:
            message.set("shouted", message.get("text", "").upper(), add_to_output=True)
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        return training_data
""",
}

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def run(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    return {**kept, **QUIET, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That project, attached and trained."""
    root = tmp_path_factory.mktemp("theirs")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    found = json.loads(run("learning", "attach", str(root), "--apply", "--json", cwd=ROOT))
    assert (found["done"], found["problem"][:12]) == ("applied", f"tracker store {root}"[:12])
    run("rasa", "train", cwd=root)
    return root


@pytest.fixture(scope="module")
def bot(project: Path) -> Iterator[str]:
    """The address of a Rasa server on it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log = project / "server.log"
    command = [sys.executable, "-m", "rasa", "run", "--enable-api", "-i", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as out:
        server = subprocess.Popen(command, cwd=project, env=environment(), stdout=out, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _is_up(url):
            assert server.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")
            time.sleep(0.5)
        yield url
    finally:
        server.terminate()
        server.wait(60)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/status", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def say(bot: str, sender: str, text: str) -> list[str]:
    answer = httpx.post(f"{bot}/webhooks/rest/webhook", json={"sender": sender, "message": text}, timeout=60)
    return [message["text"] for message in answer.json()]


def parse(bot: str, text: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.post(f"{bot}/model/parse", json={"text": text}, timeout=60).json()
    return found


def test_what_is_approved_is_answered_without_a_training(project: Path, bot: str) -> None:
    for number, text in enumerate(LOYALTY):
        assert say(bot, f"person-{number}", text) in (["Sorry?"], ["Hello!"], ["From nine to five."])
    mined = json.loads(run("learning", "--project", str(project), "mine", "--json", cwd=ROOT))
    waiting = json.loads(run("learning", "--project", str(project), "review", "list", "--json", cwd=ROOT))
    assert mined["new_proposals"] == len(waiting) > 0
    (proposal,) = [one for one in waiting if one["kind"] == "answer"]
    asked = ("learning", "--project", str(project), "review", "approve", proposal["proposal_id"], "--answer", ANSWER)
    run(*asked, cwd=ROOT)
    deadline = time.monotonic() + 30
    while say(bot, "later", "do you have loyalty points for me?") != [ANSWER]:
        assert time.monotonic() < deadline, (project / "server.log").read_text("utf-8", "replace")

    found = parse(bot, "how do i collect loyalty points")
    assert found["overlay"]["entry_id"]
    assert found["intent"]["name"] == "learned"
    # Their own component works as before, and so does what they had.
    assert found["shouted"] == "HOW DO I COLLECT LOYALTY POINTS"
