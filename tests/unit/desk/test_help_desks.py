"""The contract of other help desks, over local stand-ins that check the documented requests."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from starlette.testclient import TestClient

from desk.api import create_api
from desk.chatwoot import Chatwoot
from desk.errors import DeskError
from desk.mirror import Mirror
from desk.model import Handover, Kind, Line, Reason, State, Transcript
from desk.ports import HelpDesk
from desk.worker import Worker
from desk.zendesk import Zendesk
from learning.errors import SettingsError
from learning.settings import DeskSettings
from tests.desk_world import FRIDAY_NOON, make_desk_world

HANDOVER = Handover("h1", "ann", Reason.FRUSTRATED, FRIDAY_NOON, 1, mood=0.8, reference="T-1")
TRANSCRIPT = Transcript((Line(1, FRIDAY_NOON, "customer", "where is it?!"),), (("email", "ann@example.com"),))


class StandIn(Protocol):
    opened: list[str]
    added: list[str]
    closed: bool
    down: bool

    def agent_says(self, text: str) -> None: ...

    def answer(self, request: httpx.Request) -> httpx.Response: ...


class FakeZendesk:
    """Answers as Zendesk's reference documents, and refuses what it does not."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.added: list[str] = []
        self.closed = self.down = False
        self.tickets: dict[str, int] = {}
        self.comments: list[dict[str, Any]] = []

    def agent_says(self, text: str) -> None:
        number = len(self.comments) + 1
        self.comments.append({"id": number, "author_id": 7, "plain_body": text, "body": text, "public": True})

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return httpx.Response(503)
        user = base64.b64decode(request.headers["authorization"].split()[1]).decode()
        assert user == "anna@example.com/token:secret"
        path, body = request.url.path, json.loads(request.content or b"{}")
        if (request.method, path) == ("GET", "/api/v2/tickets.json"):
            wanted = request.url.params["external_id"]
            return httpx.Response(
                200, json={"tickets": [{"id": n} for key, n in self.tickets.items() if key == wanted]}
            )
        if (request.method, path) == ("POST", "/api/v2/tickets.json"):
            assert request.headers["idempotency-key"]
            ticket = body["ticket"]
            assert ticket["priority"] in ("urgent", "high", "normal", "low")
            assert ticket["comment"]["public"] is False
            self.opened.append(ticket["comment"]["body"])
            self.tickets[ticket["external_id"]] = 35
            return httpx.Response(201, json={"ticket": {"id": 35}})
        if (request.method, path) == ("PUT", "/api/v2/tickets/35.json"):
            if "comment" in body["ticket"]:
                assert body["ticket"]["comment"]["public"] is False
                self.added.append(body["ticket"]["comment"]["body"])
            self.closed = body["ticket"].get("status") == "solved"
            return httpx.Response(200, json={"ticket": {"id": 35}})
        if (request.method, path) == ("GET", "/api/v2/tickets/35/comments.json"):
            return httpx.Response(200, json={"comments": self.comments})
        if (request.method, path) == ("GET", "/api/v2/users/7.json"):
            return httpx.Response(200, json={"user": {"id": 7, "name": "Anna", "alias": None}})
        return httpx.Response(404)


class FakeChatwoot:
    """Answers as Chatwoot's reference documents, and refuses what it does not."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.added: list[str] = []
        self.closed = self.down = False
        self.contacts: list[dict[str, Any]] = []
        self.talks: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def agent_says(self, text: str) -> None:
        one = {"id": len(self.messages) + 1, "content": text, "message_type": 1, "private": False}
        self.messages.append({**one, "sender": {"name": "Anna"}})

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return httpx.Response(503)
        assert request.headers["api_access_token"] == "secret"
        path, body = request.url.path.removeprefix("/api/v1/accounts/1"), json.loads(request.content or b"{}")
        if (request.method, path) == ("GET", "/contacts/search"):
            return httpx.Response(200, json={"payload": self.contacts})
        if (request.method, path) == ("POST", "/contacts"):
            assert body["inbox_id"] == 2
            self.contacts.append({"id": 5, "identifier": body["identifier"]})
            return httpx.Response(200, json={"payload": {"contact": self.contacts[-1]}})
        if (request.method, path) == ("GET", "/contacts/5/conversations"):
            return httpx.Response(200, json={"payload": self.talks})
        if (request.method, path) == ("POST", "/conversations"):
            assert {"source_id", "inbox_id", "contact_id", "status"} <= set(body)
            self.opened.append(body["message"]["content"])
            self.talks.append({"id": 35})
            return httpx.Response(200, json={"id": 35})
        if (request.method, path) == ("POST", "/conversations/35/messages"):
            assert body["message_type"] in ("incoming", "outgoing")
            self.added.append(body["content"])
            return httpx.Response(200, json={"id": 99})
        if (request.method, path) == ("GET", "/conversations/35/messages"):
            return httpx.Response(200, json={"payload": self.messages})
        if (request.method, path) == ("POST", "/conversations/35/toggle_status"):
            self.closed = body["status"] == "resolved"
            return httpx.Response(200, json={"payload": {"success": True}})
        return httpx.Response(404)


def zendesk() -> tuple[HelpDesk, StandIn]:
    fake = FakeZendesk()
    return Zendesk("https://x.example.com", "anna@example.com", "secret", httpx.MockTransport(fake.answer)), fake


def chatwoot() -> tuple[HelpDesk, StandIn]:
    fake = FakeChatwoot()
    return Chatwoot("https://x.example.com", "1/2", "secret", httpx.MockTransport(fake.answer)), fake


BOTH = pytest.mark.parametrize("make", [zendesk, chatwoot])
Make = Callable[[], tuple[HelpDesk, StandIn]]


@BOTH
def test_a_hand_over_is_opened_once_with_all_that_helps(make: Make) -> None:
    other, fake = make()
    assert other.open(HANDOVER, TRANSCRIPT) == other.open(HANDOVER, TRANSCRIPT) == "35"
    (text,) = fake.opened
    for part in ("frustrated", "T-1", "ann@example.com", "Customer: where is it?!"):
        assert part in text


@BOTH
def test_messages_go_both_ways_and_answers_are_read_behind_the_last(make: Make) -> None:
    other, fake = make()
    number = other.open(HANDOVER, TRANSCRIPT)
    other.add(number, "12", "hello?", True)
    assert any("hello?" in text for text in fake.added)
    fake.agent_says("one")
    fake.agent_says("two")
    assert other.answers(number, "") == [("1", "Anna", "one"), ("2", "Anna", "two")]
    assert other.answers(number, "1") == [("2", "Anna", "two")]
    other.close(number, "label sent")
    assert fake.closed


@BOTH
def test_a_help_desk_that_is_down_is_said_without_its_secret(make: Make) -> None:
    other, fake = make()
    fake.down = True
    with pytest.raises(DeskError, match="answered 503") as failed:
        other.open(HANDOVER, TRANSCRIPT)
    assert "secret" not in str(failed.value)


@BOTH
def test_the_mirror_carries_a_whole_conversation_once(make: Make, tmp_path: Path) -> None:
    other, fake = make()
    world = make_desk_world(tmp_path)
    worker = Worker(world.desk, world.bot, Mirror(other))
    world.ask("ann")
    fake.down = True
    worker.step()
    fake.down = False
    world.clock.wait(5)
    worker.step()
    world.say("ann", "anybody?")
    fake.agent_says("Here I am.")
    for _ in range(3):
        worker.step()

    assert len(fake.opened) == 1
    assert sum("anybody?" in text for text in fake.added) == 1
    assert [(one.kind, one.agent, one.text) for one in world.bot.stored] == [(Kind.REPLY, "Anna", "Here I am.")]
    assert world.desk.store.open_handovers()[0].state is State.TAKEN


@BOTH
def test_answers_are_asked_for_now_and_then_and_at_once_where_a_webhook_rings(make: Make, tmp_path: Path) -> None:
    other, fake = make()
    world = make_desk_world(tmp_path)
    worker = Worker(world.desk, world.bot, Mirror(other, timedelta(seconds=60)))
    world.ask("ann")
    for _ in range(2):
        worker.step()

    def said_after(seconds: float, rings: bool = False) -> int:
        fake.agent_says("Here I am.")
        world.clock.wait(seconds)
        if rings:
            world.desk.store.ring(world.clock())
        worker.step()
        worker.deliver()
        return len(world.bot.stored)

    assert [said_after(59), said_after(1), said_after(30), said_after(1, rings=True), said_after(1)] == [0, 2, 2, 4, 4]
    fake.down = True
    assert said_after(60) == 4
    fake.down = False
    assert said_after(5) == 7  # what failed is not put off for as long


def signed(help_desk: str, body: bytes, at: datetime = FRIDAY_NOON, secret: str = "s" * 32) -> dict[str, str]:
    """Sign a webhook as the help desks document it."""
    if help_desk == "zendesk":
        stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        digest = hmac.new(secret.encode(), stamp.encode() + body, "sha256").digest()
        name = "X-Zendesk-Webhook-Signature"
        return {name: base64.b64encode(digest).decode(), f"{name}-Timestamp": stamp}
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, "sha256").digest()
    return {"X-Chatwoot-Signature": f"sha256={digest.hex()}", "X-Chatwoot-Timestamp": stamp}


@pytest.mark.parametrize("help_desk", ["zendesk", "chatwoot"])
def test_only_what_the_help_desk_has_signed_lately_rings(help_desk: str, tmp_path: Path) -> None:
    settings = DeskSettings(token="t" * 32, help_desk=help_desk, help_desk_secret="s" * 32)
    world = make_desk_world(tmp_path, settings)
    body, late = b'{"event": "message_created"}', timedelta(minutes=6)
    forged = [
        {},
        signed(help_desk, body, secret="x"),
        signed(help_desk, b"another"),
        signed(help_desk, body, FRIDAY_NOON - late),
        signed(help_desk, body, FRIDAY_NOON + late),
        {name: "ä" if "Timestamp" in name else value for name, value in signed(help_desk, body).items()},
        {name: "9" * 400 if "Timestamp" in name else value for name, value in signed(help_desk, body).items()},
    ]
    with TestClient(create_api(world.desk)) as client:
        for headers in forged:
            raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
            assert client.post("/help-desk", content=body, headers=raw).status_code == 401
        assert client.post("/help-desk", content=b"x" * 1_000_001).status_code == 413
        assert world.desk.store.rung() == ""
        assert client.post("/help-desk", content=body, headers=signed(help_desk, body)).status_code == 204
    assert world.desk.store.rung() != ""


@pytest.mark.parametrize("help_desk", ["", "zendesk", "chatwoot"])
def test_without_a_secret_nothing_rings(help_desk: str, tmp_path: Path) -> None:
    world = make_desk_world(tmp_path, DeskSettings(token="t" * 32, help_desk=help_desk))
    with TestClient(create_api(world.desk)) as client:
        headers = signed(help_desk or "zendesk", b"{}", secret="")
        assert client.post("/help-desk", content=b"{}", headers=headers).status_code == 401


def test_wrong_settings_are_said() -> None:
    with pytest.raises(SettingsError, match="account id/inbox id"):
        Chatwoot("https://x.example.com", "1", "secret")
    with pytest.raises(SettingsError, match="help_desk_url"):
        Zendesk("example", "anna@example.com", "secret")
