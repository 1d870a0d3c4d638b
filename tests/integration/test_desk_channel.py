"""The desk's channel over HTTP with real stores: once, whatever is repeated, and pushed where a channel pushes."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from rasa.core.channels import channel as rasa_channel
from rasa.core.channels.channel import CollectingOutputChannel, InputChannel
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.tracker_store import SQLTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActiveLoop, BotUttered, ConversationPaused, Event, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from sanic import Blueprint, Sanic

from components.desk_channel import DeskInput
from desk.errors import NotDelivered, Undeliverable
from desk.model import Kind, Outgoing
from desk.rasa_bot import RasaBot
from tests.desk_world import FRIDAY_NOON

TOKEN = "t" * 32
DEADLINE = 10  # seconds
MARK = "recommended_answer"
SLOTS = ("handover", "settled", "desk_pushed", "recommended_answer")
DOMAIN = "forms: {order_form: {required_slots: []}}\nslots:\n" + "".join(
    f"  {name}: {{type: any, influence_conversation: false, mappings: [{{type: custom}}]}}\n" for name in SLOTS
)


class Pushes(CollectingOutputChannel):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str, str]] = []
        self.broken = False

    async def send_text_message(self, recipient_id: str, text: str, **kwargs: Any) -> None:
        if self.broken:
            raise RuntimeError("the other side is down")
        self.sent.append((recipient_id, text, kwargs["desk_id"]))


class Pushing(InputChannel):
    output = Pushes()

    @classmethod
    def name(cls) -> str:
        return "slack"

    def get_output_channel(self) -> Pushes:
        return self.output

    def blueprint(self, on_new_message: Any) -> Blueprint:
        return Blueprint("slack")


@dataclass
class Running:
    url: str
    store: SQLTrackerStore
    pushes: Pushes
    bot: RasaBot = field(init=False)

    def __post_init__(self) -> None:
        self.bot = RasaBot(self.url, TOKEN)

    def begin(self, sender: str, channel: str = "webchat") -> None:
        tracker = DialogueStateTracker(sender, [])
        tracker.update(UserUttered("hello", input_channel=channel))
        tracker.update(ConversationPaused())
        asyncio.run(self.store.save(tracker))

    def tracker(self, sender: str) -> DialogueStateTracker:
        found = asyncio.run(self.store.retrieve_full_tracker(sender))
        assert found is not None
        return found

    def said(self, sender: str) -> list[str]:
        return [event.text for event in self.tracker(sender).events if isinstance(event, BotUttered)]


@pytest.fixture
def rasa(tmp_path: Path) -> Iterator[Running]:
    domain = Domain.from_yaml(DOMAIN)
    store = SQLTrackerStore(domain, db=str(tmp_path / "tracker.db"))
    agent = SimpleNamespace(
        tracker_store=store, lock_store=InMemoryLockStore(), model_id="m", domain=domain, is_ready=lambda: True
    )
    pushing = Pushing()
    pushing.output = Pushes()
    Sanic.test_mode = True  # several servers, one after the other, in one process
    app = Sanic(f"desk-{uuid4().hex}", configure_logging=False)
    app.ctx.agent = agent
    rasa_channel.register([DeskInput(TOKEN), pushing], app, route="/webhooks/")
    app.ctx.input_channels = [pushing]
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_serve(app, listener), loop).result(DEADLINE)
    try:
        running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", store, pushing.output)
        yield running
        running.bot.close()
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(DEADLINE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)
        listener.close()
        store.engine.dispose()


async def _serve(app: Sanic, listener: socket.socket) -> Any:
    server: Any = await app.create_server(sock=listener, return_asyncio_server=True)
    await server.startup()
    await server.start_serving()
    return server


async def _stop(server: Any) -> None:
    await server.before_stop()
    server.close()
    for one in list(server.connections):
        one.transport.abort()
    await asyncio.sleep(0)


def message(kind: Kind = Kind.REPLY, key: str = "m1", text: str = "Hello.", sender: str = "ann") -> Outgoing:
    return Outgoing(key, "h1", sender, kind, "anna", text, FRIDAY_NOON, note="label sent")


def test_a_message_is_stored_once_also_when_it_is_sent_at_the_same_time(rasa: Running) -> None:
    rasa.begin("ann")
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: rasa.bot.deliver(message()), range(5)))
    rasa.bot.deliver(message(key="m2", text="More."))
    assert rasa.said("ann") == ["Hello.", "More."]
    (first, _) = [event for event in rasa.tracker("ann").events if isinstance(event, BotUttered)]
    assert {"agent": "anna", "desk": "reply", "desk_id": "m1"}.items() <= first.metadata.items()


def test_the_assistant_is_silent_from_joining_to_returning(rasa: Running) -> None:
    rasa.begin("ann")
    rasa.bot.deliver(message(Kind.RETURNED, "m1", "I'm back."))
    assert not rasa.tracker("ann").is_paused()
    assert rasa.tracker("ann").get_slot("settled") == {"note": "label sent", "agent": "anna"}
    assert rasa.tracker("ann").latest_action_name == "action_listen"
    rasa.bot.deliver(message(Kind.REPLY, "m2", "One more thing."))
    assert rasa.tracker("ann").is_paused()


@pytest.mark.parametrize("kind", [Kind.JOINED, Kind.TRANSFERRED, Kind.REPLY])
def test_a_form_ends_when_a_person_comes(rasa: Running, kind: Kind) -> None:
    tracker = DialogueStateTracker("ann", [])
    asked: list[Event] = [ActiveLoop("order_form"), SlotSet("requested_slot", "order_number")]
    for event in [UserUttered("my orders", input_channel="webchat"), *asked]:
        tracker.update(event)
    asyncio.run(rasa.store.save(tracker))
    rasa.bot.deliver(message(kind))
    rasa.bot.deliver(message(Kind.RESOLVED, "m2", "All done."))
    after = rasa.tracker("ann")
    assert (after.active_loop_name, after.get_slot("requested_slot"), after.is_paused()) == (None, None, False)
    assert rasa.said("ann") == ["Hello.", "All done."]


def test_a_pushing_channel_gets_it_once_and_after_a_failure_again(rasa: Running) -> None:
    rasa.begin("U1", "slack")
    rasa.pushes.broken = True
    with pytest.raises(NotDelivered, match="not_pushed"):
        rasa.bot.deliver(message(sender="U1"))
    rasa.pushes.broken = False
    for _ in range(3):
        rasa.bot.deliver(message(sender="U1"))
    assert rasa.pushes.sent == [("U1", "Hello.", "m1")]
    assert rasa.said("U1") == ["Hello."]
    assert SlotSet("desk_pushed", "m1") in rasa.tracker("U1").events


def mark(kind: Kind, key: str, sender: str = "ann") -> Outgoing:
    return Outgoing(key, "h1", sender, kind, "anna", "", FRIDAY_NOON, note="m1")


def test_a_mark_is_stored_once_and_said_to_nobody(rasa: Running) -> None:
    rasa.begin("U1", "slack")
    rasa.bot.deliver(message(sender="U1"))
    for kind, key in ((Kind.RECOMMENDED, "k1"), (Kind.UNRECOMMENDED, "k2"), (Kind.RECOMMENDED, "k3")):
        for _ in range(2):
            rasa.bot.deliver(mark(kind, key, "U1"))
    tracker = rasa.tracker("U1")
    said = {"desk_id": "m1", "by": "anna"}
    assert [event.value for event in tracker.events if isinstance(event, SlotSet) and event.key == MARK] == [
        {**said, "mark": "k1"},
        {**said, "mark": "k2", "taken_back": True},
        {**said, "mark": "k3"},
    ]
    assert (rasa.pushes.sent, rasa.said("U1")) == ([("U1", "Hello.", "m1")], ["Hello."])
    assert tracker.is_paused()


def test_a_mark_with_words_or_without_an_answer_is_refused(rasa: Running) -> None:
    rasa.begin("ann")
    for odd in (replace(mark(Kind.RECOMMENDED, "k1"), text="Hello."), replace(mark(Kind.RECOMMENDED, "k1"), note="")):
        with pytest.raises(Undeliverable):
            rasa.bot.deliver(odd)


def test_what_cannot_be_delivered_is_told_apart_from_what_can_later(rasa: Running) -> None:
    with pytest.raises(Undeliverable, match="no longer exists"):
        rasa.bot.deliver(message(sender="nobody"))
    rasa.begin("ann")
    with pytest.raises(NotDelivered, match="401"):
        RasaBot(rasa.url, "wrong").deliver(message())
    with pytest.raises(NotDelivered, match="does not answer"):
        RasaBot("http://127.0.0.1:9", TOKEN).deliver(message())
    assert rasa.said("ann") == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"kind": "reply"}', b'{"desk_id": 1}', b"\xff"])
def test_what_is_no_message_is_refused(rasa: Running, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{rasa.url}/webhooks/desk/messages", content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (422, {"error": "not_understood"})
