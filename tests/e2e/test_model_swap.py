"""Swaps under traffic: two real Rasa servers, customers who never pause, and no message lost or failed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from learning.adapters.rasa_server import RasaServer
from learning.adapters.rasa_servers import RasaServers
from learning.errors import BotServerError

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
START_SECONDS = 600.0  # a shared machine may give it a tenth of a core
TOKEN = "0123456789"
CUSTOMERS = 8
SWAPS = 4
FILES = {
    "config.yml": """
recipe: default.v1
language: en
pipeline: [{name: KeywordIntentClassifier}]
policies: [{name: RulePolicy}]
""",
    "domain.yml": """
version: "3.1"
intents: [greet]
responses: {utter_greet: [{text: "I am ANSWER"}]}
session_config: {session_expiration_time: 60, carry_over_slots_to_new_session: true}
""",
    "data/nlu.yml": 'version: "3.1"\nnlu: [{intent: greet, examples: "- hello\\n- hello there\\n"}]\n',
    "data/rules.yml": """
version: "3.1"
rules: [{rule: greet, steps: [{intent: greet}, {action: utter_greet}]}]
""",
    "credentials.yml": "components.rated_channels.RatedRest:\n",
}
ENDPOINTS = """
tracker_store: {type: SQL, dialect: sqlite, db: tracker.db}
lock_store: {type: redis, url: 127.0.0.1, port: REDIS}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process until the block ends; what it prints goes to a log in `folder`."""
    environment = {**os.environ, "RASA_TELEMETRY_ENABLED": "false", "PYTHONPATH": str(ROOT)}
    with (folder / f"{time.monotonic_ns()}.log").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_ready(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    """Wait until an address answers."""
    deadline = time.monotonic() + START_SECONDS
    while not _answers(url):
        said = "".join(path.read_text("utf-8", "replace")[-2000:] for path in sorted(folder.glob("*.log")))
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code < 500
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with two models that answer differently, `one` and `two`."""
    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, "utf-8")
    for name in ("one", "two"):
        (root / "domain.yml").write_text(FILES["domain.yml"].replace("ANSWER", name), "utf-8")
        command = [sys.executable, "-m", "rasa", "train", "--fixed-model-name", name]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return root


@dataclass
class Traffic:
    """What customers were answered, in order; `failed` is whatever was no answer."""

    urls: list[str]
    stop: threading.Event = field(default_factory=threading.Event)
    answers: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)

    def talk(self, sender: str) -> None:
        """Write one message after the other, each to a server that is drawn, until `stop`."""
        drawn = random.Random(sender)
        with httpx.Client(timeout=60) as client:
            while not self.stop.is_set():
                began = time.monotonic()
                self.sent[sender] += 1
                body = {"sender": sender, "message": "hello"}
                try:
                    answer = client.post(f"{drawn.choice(self.urls)}/webhooks/rest/webhook", json=body)
                    texts = [one["text"] for one in answer.raise_for_status().json()]
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.failed.append(repr(error))
                    continue
                self.seconds.append(time.monotonic() - began)
                (self.answers if len(texts) == 1 else self.failed).append(texts[0] if len(texts) == 1 else str(texts))

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.talk, args=(f"customer {number}",)) for number in range(CUSTOMERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()


@dataclass
class Fleet:
    root: Path
    urls: list[str]
    processes: list[subprocess.Popen[bytes]]

    @property
    def servers(self) -> RasaServers:
        return RasaServers([RasaServer(url, TOKEN, self.root / "models") for url in self.urls])

    def model(self, name: str) -> Path:
        return self.root / "models" / f"{name}.tar.gz"

    def messages(self) -> Counter[str]:
        """How many messages of each customer the tracker store holds."""
        with contextlib.closing(sqlite3.connect(self.root / "tracker.db")) as connection:
            query = "SELECT sender_id, count(*) FROM events WHERE type_name = 'user' GROUP BY sender_id"
            return Counter(dict(connection.execute(query)))


@pytest.fixture
def fleet(project: Path, tmp_path: Path) -> Iterator[Fleet]:
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not there: several servers need a common lock store")
    root = tmp_path / "bots"
    shutil.copytree(project, root)
    redis, ports = free_port(), [free_port(), free_port()]
    (root / "endpoints.yml").write_text(ENDPOINTS.replace("REDIS", str(redis)), "utf-8")
    with ExitStack() as stack:
        stack.enter_context(running(["redis-server", "--port", str(redis), "--save", ""], tmp_path))
        found = []
        for port in ports:  # both at once: most of the time goes into imports
            command = [sys.executable, "-m", "rasa", "run", "--enable-api", "--auth-token", TOKEN]
            command += ["--interface", "127.0.0.1", "--port", str(port), "--model", "models/one.tar.gz"]
            found.append(stack.enter_context(running(command, root)))
        for process, port in zip(found, ports, strict=True):
            wait_ready(process, f"http://127.0.0.1:{port}/status?token={TOKEN}", root)
        yield Fleet(root, [f"http://127.0.0.1:{port}" for port in ports], found)


def test_swaps_back_and_forth_lose_and_fail_no_message(fleet: Fleet) -> None:
    traffic = Traffic(fleet.urls)
    with traffic.flowing():
        for number in range(SWAPS):
            before = len(traffic.answers)
            fleet.servers.load_model(fleet.model("two" if number % 2 == 0 else "one"))
            _until(lambda before=before: len(traffic.answers) > before + 2 * CUSTOMERS)  # type: ignore[misc]
    assert traffic.failed == []
    assert set(traffic.answers) == {"I am one", "I am two"}
    assert fleet.messages() == traffic.sent
    assert {one.model for one in fleet.servers.states()} == {"one.tar.gz"}
    told = sorted(traffic.seconds)
    sys.stderr.write(f"{len(told)} messages, p50 {told[len(told) // 2]:.3f} s, longest {told[-1]:.3f} s\n")


def test_a_server_that_dies_in_the_middle_leaves_all_with_the_old_model(fleet: Fleet) -> None:
    (fleet.root / "models" / "broken.tar.gz").write_bytes(fleet.model("two").read_bytes()[:2000])
    with pytest.raises(BotServerError, match="could not be swapped everywhere"):
        fleet.servers.load_model(fleet.model("broken"))
    assert {one.model for one in fleet.servers.states()} == {"one.tar.gz"}
    fleet.processes[1].kill()
    fleet.processes[1].wait()
    fleet.servers.load_model(fleet.model("two"))  # it is left out, and told
    assert [one.model for one in fleet.servers.states()] == ["two.tar.gz", ""]


def _until(is_so) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "customers got no answers"
        time.sleep(0.05)
