"""What the tests of the hub are built from: the hub over a real learning database and a real git repository."""

from __future__ import annotations

import shutil
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import git
import numpy as np
import pytest
import uvicorn
from argon2 import PasswordHasher

from hub.app import create_app
from hub.settings import HubSettings
from hub.staff.accounts import Accounts
from hub.staff.roles import Role
from learning import bootstrap
from learning.adapters.store import Store
from learning.loop import Loop
from learning.model import (
    Gap,
    GapKind,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Replay,
    ScorePart,
    Source,
)
from learning.privacy import PatternRedactor
from tests.learning_builders import mined, save_members

with warnings.catch_warnings():  # Starlette would rather have a client that is not among the locked packages
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient as TestClient

NOW = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)> "\'{{7*7}}\u202e'
PASSWORD = "correct horse battery"
WITH_ANSWER = {"answer": "One point for each dollar."}  # a text area's content is no attribute
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class FakeEncoder:
    identity = "fake"

    def encode(self, texts: Any) -> Any:
        return np.ones((len(texts), 4), dtype=np.float32) / 2


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


class Page(HTMLParser):
    """Forms by their action with their fields, and every tag that was met; the hub's own scripts are `own-script`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: dict[str, list[tuple[str, str]]] = {}
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._action = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        own = (values.get("src") or "").startswith("/static/js/")
        is_data = values.get("type") == "application/json"  # which no browser runs
        self.tags.add("own-script" if tag == "script" and (own or is_data) else tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "form":
            self._action = values["action"] or ""
            self.forms[self._action] = []
        elif tag in ("input", "textarea") and "name" in values:
            if values.get("type") in ("checkbox", "radio") and "checked" not in values:
                return
            self.forms[self._action].append((values["name"] or "", values.get("value") or ""))


@dataclass
class World:
    root: Path
    loop: Loop
    store: Store
    app: Any
    clock: Clock
    session_clock: Clock = field(default_factory=lambda: Clock())

    def client(self, name: str | None = "demo", role: Role | str | None = None) -> TestClient:
        """Return a browser in which `name` is logged in, nobody for None; `role` makes an account for it."""
        client = TestClient(self.app, base_url="http://hub.test", follow_redirects=False, raise_server_exceptions=False)
        if role is not None:
            name, password = self.somebody(Role(role), "" if name in (None, "demo") else str(name))
            assert log_in(client, name, password).status_code == 303
        elif name:
            assert log_in(client, name, PASSWORD).status_code == 303
        return client

    def somebody(self, role: Role, name: str = "") -> tuple[str, str]:
        """Make an account of a role; return its name and its password."""
        name = name or f"{role.value}-{len(self.accounts.all())}"
        return name, self.accounts.set_password(name, NOW, role)

    @property
    def accounts(self) -> Accounts:
        accounts: Accounts = self.app.state.hub.accounts
        return accounts


def log_in(client: TestClient, name: str, password: str, onward: str = "/") -> Any:
    fields = dict(Page(client.get("/login").text).forms["/login"])
    return client.post("/login", data={**fields, "name": name, "password": password, "next": onward})


def post(client: TestClient, page: str, action: str, changes: Mapping[str, Any] | None = None) -> Any:
    """Open `page`, fill in its form `action`, and send it, as a browser would."""
    fields: dict[str, Any] = {}
    for name, value in Page(client.get(page).text).forms[action]:
        fields.setdefault(name, []).append(value)
    return client.post(action, data={**fields, **(changes or {})})


def a_proposal(number: int, **changes: Any) -> Proposal:
    proposal = Proposal(
        proposal_id=f"{number:016x}",
        gap_id=f"gap{number:013x}",
        kind=ProposalKind.ANSWER,
        label=f"learned/question_{number}",
        examples=(f"do i get points {number}", f"loyalty points {number}?"),
        answer="One point for each dollar.",
        sources=(Source("loyalty.md", "One point for each dollar.", 0.62),),
        score=50 + number,
        score_parts=(ScorePart("messages agree", 0.8, 0.35),),
        people=4,
        turns=2,
        state=ProposalState.PENDING,
        created_at=NOW,
        replay=Replay(2, 1, 100, 1, ("where is my order",)),
    )
    return replace(proposal, **changes)


def fill(store: Store, proposal: Proposal, said: str = "do you have a points program?", **gap: Any) -> None:
    """Save a gap with two messages of two people, and the proposal made of it."""
    turn_ids = []
    for person in range(2):
        sender = f"s{person}{proposal.proposal_id[-14:]}"
        at = NOW - timedelta(days=person)
        reading = mined(sender, said, started=at, last_at=at)
        (talk,) = reading.conversations
        (turn,) = talk.failed
        moved = replace(talk, failed=(replace(turn, at=at),))
        store.save_batch([replace(reading, conversations=(moved,))], [], 1)
        turn_ids.append(turn.turn_id)
    record = Gap(
        **{
            "gap_id": proposal.gap_id,
            "kind": GapKind.NEW_NEED,
            "name": f"loyalty points {proposal.proposal_id[-1]}",
            "intent": None,
            "priority": Priority.MEDIUM,
            "turns": len(turn_ids),
            "people": proposal.people,
            "first_seen": NOW - timedelta(days=1),
            "last_seen": NOW,
            **gap,
        }
    )
    save_members(store, [record], dict.fromkeys(turn_ids, record.gap_id))
    store.save_proposals([proposal], NOW)


def make_project(root: Path) -> Path:
    """Make a project with a repository and an empty, migrated learning database."""
    (root / "README.md").write_text("a project\n")
    (root / "data").mkdir()
    (root / "data" / "nlu.yml").write_text("nlu:\n- intent: learned/taken\n  examples: |\n    - is this name taken\n")
    with git.Repo.init(root) as repository:
        repository.index.add(["README.md"])
        author = git.Actor("Test", "test@localhost")
        repository.index.commit("start", author=author, committer=author)
    Store(f"sqlite:///{root}/var/learning.db").counts()
    return root


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project that each test gets a copy of."""
    return make_project(tmp_path_factory.mktemp("hub-project"))


@pytest.fixture
def world(tmp_path: Path, project: Path) -> World:
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    clock = Clock()
    loop = replace(bootstrap.build(tmp_path).loop, encoder=FakeEncoder(), redactor=PatternRedactor(), now=clock)
    settings = HubSettings(tmp_path / "var/hub.db", "s" * 32, PASSWORD, login_failures=3)
    session_clock = Clock()
    accounts = Accounts(settings.database, PASSWORD, FAST)
    app = create_app(settings, loop, accounts, session_clock=session_clock)
    store = loop.store
    assert isinstance(store, Store)
    return World(tmp_path, loop, store, app, clock, session_clock)


def branch_tip(world: World) -> str:
    with git.Repo(world.root) as repository:
        return str(repository.heads["evergreen/learned"].commit.hexsha)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", ws="none", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
