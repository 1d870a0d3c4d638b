"""A bot process with the chat channel in it: a real Sanic server, real stores, and a bot that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rasa.core.channels import channel as rasa_channel
from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.tracker_store import SQLTrackerStore, TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, Event, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Sanic

from components.desk_channel import DeskInput
from components.rated_channels import RatedRest
from components.webchat_channel import WebchatInput
from webchat.identity import Customer, make_token
from webchat.settings import WebchatSettings

SECRET = b"0123456789abcdef0123456789abcdef"
IDENTITY_SECRET = b"fedcba9876543210fedcba9876543210"
DESK_TOKEN = "d" * 32
DEADLINE_S = 30
DEFAULTS = WebchatSettings(push_interval_ms=50, demo_page=True)
SLOTS = ("last_feedback", "csat", "verified_customer", "email")
DOMAIN = "slots:\n" + "".join(
    f"  {name}: {{type: any, influence_conversation: false, mappings: [{{type: custom}}]}}\n" for name in SLOTS
)
# One client for all: each call of `httpx.get` would read the certificates of all authorities anew.
HTTP = httpx.Client(verify=False, timeout=DEADLINE_S)
ANSWERS: dict[str, dict[str, Any]] = {
    "menu": {"buttons": [{"title": "Yes, cancel it", "payload": "/affirm"}]},
    "card": {
        "custom": {
            "card": {
                "title": "Rain jacket",
                "text": "Light, and dry to the bone",
                "image": "https://images.example.com/jacket.png",
                "link": "https://shop.example.com/jacket",
                "link_title": "See it in the shop",
                "buttons": [{"title": "Return it", "payload": "/return_item"}],
            }
        }
    },
}


class Clock:
    """The channel's clock; a test moves it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class ScriptedAgent:
    """Stands in for Rasa's agent: real stores, and a bot that does what the message says."""

    tracker_store: TrackerStore
    lock_store: InMemoryLockStore = field(default_factory=InMemoryLockStore)
    model_id: str = "model-1"
    handled: list[UserMessage] = field(default_factory=list)
    ready: bool = True
    release: threading.Event = field(default_factory=threading.Event)
    seconds_a_message: float = 0.0

    @property
    def processor(self) -> ScriptedAgent:
        return self

    @property
    def domain(self) -> Domain:
        return self.tracker_store.domain

    def is_ready(self) -> bool:
        return self.ready

    async def fetch_tracker_and_update_session(self, conversation_id: str) -> DialogueStateTracker:
        """Begin a session where there is none, as Rasa's processor does."""
        tracker = await self.tracker_store.get_or_create_tracker(conversation_id, append_action_listen=False)
        if not tracker.events:
            tracker.update(SessionStarted())
        return tracker

    async def handle_message(self, message: UserMessage) -> None:
        if not self.ready:
            return  # as Rasa does
        async with self.lock_store.lock(message.sender_id):
            self.handled.append(message)
            if self.seconds_a_message:
                await asyncio.sleep(self.seconds_a_message)
            if message.text == "wait":
                await asyncio.get_running_loop().run_in_executor(None, self.release.wait, DEADLINE_S)
            if message.text == "break":
                raise RuntimeError("the action server is down")
            tracker = await self.tracker_store.get_or_create_tracker(message.sender_id, append_action_listen=False)
            if message.text == "new session":
                tracker.update(SessionStarted())
            parsed = {"intent": {"name": "goodbye" if message.text == "bye" else "inform", "confidence": 1.0}}
            tracker.update(
                UserUttered(
                    message.text,
                    parse_data={**parsed, "entities": [], "text": message.text},
                    input_channel=message.input_channel,
                    message_id=message.message_id,
                    metadata=message.metadata,
                )
            )
            if message.text != "silence" and not tracker.is_paused():
                tracker.update(BotUttered(f"You said {message.text}", ANSWERS.get(str(message.text), {})))
            await self.tracker_store.save(tracker)


@dataclass
class Shop:
    """A running bot process with the chat channel in it."""

    url: str
    agent: ScriptedAgent
    clock: Callable[[], float]
    database: Path

    def customer(self, identity: str | None = None, resume: str | None = None) -> Visitor:
        body = {} if identity is None else {"identity": identity, "resume": resume}
        answer = HTTP.post(f"{self.url}session", json=body)
        assert answer.status_code == 201
        return Visitor(self.url, answer.json()["token"])

    def identity(self, customer_id: str = "7", secret: bytes = IDENTITY_SECRET, **named: str) -> str:
        """Return a token as the host page's server makes it."""
        return make_token(secret, Customer(customer_id, **named), self.clock(), 300)

    def events(self, kind: str) -> list[dict[str, Any]]:
        with self.agent.tracker_store.session_scope() as session:
            rows = session.query(SQLTrackerStore.SQLEvent).order_by(SQLTrackerStore.SQLEvent.id).all()
            return [json.loads(row.data) for row in rows if row.type_name == kind]

    def slots(self, name: str) -> list[Any]:
        return [event["value"] for event in self.events("slot") if event["name"] == name]

    def append(self, conversation_id: str, *events: Event) -> None:
        """Write events into the tracker store as another process does: a desk, a reminder, a second worker."""
        store = SQLTrackerStore(Domain.from_yaml(DOMAIN), db=str(self.database))

        async def write() -> None:
            tracker = await store.get_or_create_tracker(conversation_id, append_action_listen=False)
            for event in events:
                tracker.update(event)
            await store.save(tracker)

        # In a thread of its own: a browser test has an event loop of Playwright's in this one.
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, write()).result(DEADLINE_S)
        store.engine.dispose()


@dataclass
class Visitor:
    """Somebody who talks to the interface as the page does."""

    url: str
    token: str

    @property
    def conversation_id(self) -> str:
        return self.token.split(".")[0]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def post(self, path: str, body: Any) -> httpx.Response:
        return HTTP.post(f"{self.url}{path}", json=body, headers=self.headers)

    def say(self, text: Any, message_id: str | None = None, **more: Any) -> httpx.Response:
        body = {"text": text, "client_message_id": message_id or uuid.uuid4().hex, **more}
        return self.post("messages", body)

    def history(self) -> httpx.Response:
        return HTTP.get(f"{self.url}history", headers=self.headers)

    def lines(self) -> list[str]:
        return [one["text"] for one in self.history().json()["messages"]]

    @contextlib.contextmanager
    def stream(self, cursor: str = "") -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
        """Open a stream; what it yields are the kinds and contents of events as they come."""
        headers = {**self.headers, "Last-Event-ID": cursor}
        with HTTP.stream("GET", f"{self.url}stream", headers=headers) as answer:
            if answer.status_code != 200:
                answer.read()
                answer.raise_for_status()
            yield read_stream(answer.iter_lines())


def read_stream(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the events of a stream of server-sent events."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def next_message(events: Iterator[tuple[str, dict[str, Any]]]) -> str:
    """Return the text of the next message in a stream."""
    return str(next(data["text"] for kind, data in events if kind == "message"))


@contextlib.contextmanager
def running(
    database: Path,
    settings: WebchatSettings = DEFAULTS,
    clock: Callable[[], float] | None = None,
    port: int = 0,
    identity_secret: bytes | None = IDENTITY_SECRET,
) -> Iterator[Shop]:
    """Run a bot process's worth of channel in a thread on a free port, or on this one."""
    clock = clock or Clock()
    store = SQLTrackerStore(Domain.from_yaml(DOMAIN), db=str(database))
    agent = ScriptedAgent(store)
    Sanic.test_mode = True  # several servers, one after the other, in one process
    app = Sanic(f"webchat-{uuid.uuid4().hex}", configure_logging=False)
    app.ctx.agent = agent
    channel = WebchatInput(settings, SECRET, clock, identity_secret)
    app.ctx.input_channels = [channel]
    rasa_channel.register([channel, RatedRest(), DeskInput(DESK_TOKEN)], app, route="/webhooks/")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    loop = asyncio.new_event_loop()
    started = threading.Event()
    servers: list[Any] = []

    async def serve() -> None:
        server: Any = await app.create_server(sock=listener, return_asyncio_server=True)
        assert server is not None
        await server.startup()
        await server.start_serving()
        servers.append(server)
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    async def stop() -> None:
        await servers[0].before_stop()
        servers[0].close()
        deadline = loop.time() + DEADLINE_S
        while any(not one.close_if_idle() for one in list(servers[0].connections)) and loop.time() < deadline:
            await asyncio.sleep(0.01)  # as Sanic does: open streams end by themselves
        for one in list(servers[0].connections):
            one.transport.abort()
        await asyncio.sleep(0)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(DEADLINE_S), "the test server did not start"
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/webhooks/webchat/"
    try:
        yield Shop(address, agent, clock, database)
    finally:
        agent.release.set()
        asyncio.run_coroutine_threadsafe(stop(), loop).result(DEADLINE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        listener.close()
        store.engine.dispose()


def wait_for(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.02)
