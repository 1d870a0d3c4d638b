"""What the shop does against people who want what is not theirs, and its mail, against a real SMTP server."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from argon2 import PasswordHasher

from shop.app import Shop, create_app
from shop.database import open_database
from shop.mailer import MOST_TRIES, Mailer, MailServer
from shop.seed import seed
from shop.store import GUESSES_COUNT, MOST_GUESSES, RESETS_AT_ONCE
from shop.tables import deliveries, outbox, passwords
from tests.hub_world import TestClient

ANN = "ann@example.com"
NOW = datetime(2025, 11, 21, 12, tzinfo=timezone.utc)
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
DEADLINE = 10.0


class World:
    """A shop with a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.now = NOW
        self.engine = open_database(f"sqlite:///{folder}/shop.db")
        seed(self.engine, date(2025, 11, 21))
        shop = Shop(self.engine, now=lambda: self.now, hasher=FAST)
        self.http = TestClient(create_app(shop), base_url="http://shop.test")

    def order(self, email: str, number: str = "10342") -> Any:
        return self.http.get(f"/api/v1/orders/{number}", headers={"X-Customer-Email": email})

    def reset(self, email: str = ANN, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/api/v1/password-resets", json={"email": email}, headers=headers)

    def redeem(self, code: str, email: str = ANN, password: str = "a long new password") -> Any:
        body = {"email": email, "code": code, "password": password}
        return self.http.post("/api/v1/password-resets/redeem", json=body)

    def mails(self) -> list[str]:
        with self.engine.connect() as connection:
            return [row.body for row in connection.execute(sa.select(outbox.c.body).order_by(outbox.c.id))]

    def codes(self) -> list[str]:
        return [code for body in self.mails() for code in re.findall(r"\b\d{8}\b", body)]

    def sent(self) -> int:
        with self.engine.connect() as connection:
            query = sa.select(sa.func.count()).where(deliveries.c.sent_at.isnot(None))
            return int(connection.execute(query).scalar() or 0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_whoever_guesses_addresses_is_stopped_and_so_is_who_guessed_right(world: World) -> None:
    guesses = [world.order(f"guess-{number}@example.com").status_code for number in range(MOST_GUESSES + 2)]
    assert guesses == [403] * MOST_GUESSES + [423] * 2
    assert world.order(ANN).status_code == 423
    assert world.order(ANN, "10017").status_code == 200
    assert "shipping_address" not in world.http.get("/api/v1/orders/10342").json()
    world.now += GUESSES_COUNT + timedelta(seconds=1)
    assert world.order(ANN).status_code == 200


def test_whoever_tries_a_known_address_on_all_orders_is_stopped(world: World) -> None:
    known = "bob@example.com"
    answers = [world.order(known, str(number)).status_code for number in range(10_001, 10_042)]
    found = [status for status in answers if status != 404]
    assert found[:MOST_GUESSES] == [403] * MOST_GUESSES
    assert set(found[MOST_GUESSES:]) == {423}
    assert world.order(ANN).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/orders?order_number=10342", None),
        ("POST", "/orders/10017/cancel", {}),
        ("PUT", "/orders/10017/address", {"address": "1 Evil Road, Nowhere"}),
        ("POST", "/orders/10342/returns", {}),
        ("GET", "/orders/10342/refund", None),
        ("POST", "/orders/10342/invoice", {}),
        ("GET", "/account/balance?order_number=10342", None),
    ],
)
def test_nothing_of_somebody_elses_order_is_given_or_changed(
    world: World, method: str, path: str, body: dict[str, Any] | None
) -> None:
    before = world.mails()
    tricks = ["eve@example.com", "ANN@example.com.evil.example", "ann@example.com@evil.example", "%", "' or '1'='1"]
    for trick in tricks:
        sent = None if body is None else {**body, "email": trick}
        answer = world.http.request(method, f"/api/v1{path}", json=sent, headers={"X-Customer-Email": trick})
        assert answer.status_code in (400, 403, 423), trick
        assert set(answer.json()) == {"error"}
    without = world.http.request(method, f"/api/v1{path}", json=body)
    assert without.status_code == 400
    assert world.mails() == before
    world.now += GUESSES_COUNT + timedelta(seconds=1)
    assert world.order(ANN, "10017").json()["status"] != "canceled"


def test_a_code_is_good_once_for_its_own_customer_and_for_half_an_hour(world: World) -> None:
    world.reset()
    (code,) = world.codes()
    assert world.redeem(code, email="bob@example.com").status_code == 403
    assert world.redeem("00000000").status_code == 403
    assert world.redeem(code, password="short").status_code == 400
    assert world.redeem(code).status_code == 200
    assert world.redeem(code).status_code == 403
    with world.engine.connect() as connection:
        (row,) = connection.execute(sa.select(passwords)).all()
    assert FAST.verify(row.hash, "a long new password")
    world.reset()
    world.now += timedelta(minutes=31)
    assert world.redeem(world.codes()[-1]).status_code == 403


def test_codes_cannot_be_guessed_and_mailboxes_not_be_flooded(world: World) -> None:
    for _ in range(RESETS_AT_ONCE + 3):
        assert world.reset().status_code == 202
    assert len(world.codes()) == RESETS_AT_ONCE
    answers = [world.redeem(f"{number:08d}").status_code for number in range(6)]
    assert answers == [403] * 5 + [423]
    assert world.redeem(world.codes()[0]).status_code == 423
    world.now += timedelta(minutes=16)
    assert world.redeem(world.codes()[0]).status_code == 200


def test_a_repeated_request_mails_once(world: World) -> None:
    for _ in range(3):
        assert world.reset(key="message-1").status_code == 202
    world.reset(key="message-2")
    for key in ("invoice-1", "invoice-1", "invoice-2"):
        headers = {"Idempotency-Key": key}
        world.http.post("/api/v1/orders/10342/invoice", json={"email": ANN}, headers=headers)
    kinds = [body.split()[0] for body in world.mails()]
    assert kinds == ["Your", "Your", "Invoice", "Invoice"]


class Box:
    """Keeps what a mail server takes; refuses as often as it is told."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refusals = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def box() -> Iterator[tuple[Box, int]]:
    handler = Box()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"shop", b"p@ss"))

    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        authenticator=authenticator,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield handler, port
    controller.stop()


def test_the_code_arrives_by_mail_and_only_once(world: World, box: tuple[Box, int]) -> None:
    handler, port = box
    server = MailServer.parse(f"smtp://shop:p%40ss@127.0.0.1:{port}")
    mailer = Mailer(world.engine, server, lambda: world.now)
    world.reset()
    assert [mailer.send_waiting() for _ in range(3)] == [1, 0, 0]
    (mail,) = handler.mails
    assert mail.rcpt_tos == [ANN]
    assert world.codes()[0].encode() in mail.content
    assert b"Subject: Your reset code" in mail.content


def test_a_mail_that_is_refused_is_tried_again_with_growing_pauses(world: World, box: tuple[Box, int]) -> None:
    handler, port = box
    handler.refusals = 2
    mailer = Mailer(world.engine, MailServer.parse(f"smtp://shop:p%40ss@127.0.0.1:{port}"), lambda: world.now)
    world.reset()
    sent = []
    for seconds in (0, 9, 1, 19, 1, 0):
        world.now += timedelta(seconds=seconds)
        sent.append(mailer.send_waiting())
    assert sent == [0, 0, 0, 0, 1, 0]
    assert len(handler.mails) == 1


def test_a_server_that_is_away_or_says_no_costs_nothing_but_tries(world: World, box: tuple[Box, int]) -> None:
    handler, port = box
    world.reset()
    for address in ("smtp://127.0.0.1:1", f"smtp://shop:wrong@127.0.0.1:{port}"):
        mailer = Mailer(world.engine, MailServer.parse(address), lambda: world.now)
        for _ in range(MOST_TRIES):
            world.now += timedelta(hours=5)
            assert mailer.send_waiting() == 0
    assert handler.mails == []
    with world.engine.connect() as connection:
        assert connection.execute(sa.select(deliveries.c.tries)).scalar() == MOST_TRIES


def test_the_mailer_runs_beside_the_shop(world: World, box: tuple[Box, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shop.mailer.EVERY_S", 0.01)
    handler, port = box
    mailer = Mailer(world.engine, MailServer.parse(f"smtp://shop:p%40ss@127.0.0.1:{port}"), lambda: world.now)
    thread = mailer.start()
    world.reset()
    until = time.monotonic() + DEADLINE
    while world.sent() < 1 and time.monotonic() < until:
        time.sleep(0.01)
    mailer.stop()
    thread.join(DEADLINE)
    assert len(handler.mails) == 1
    assert not thread.is_alive()


@pytest.mark.parametrize("address", ["mail.example.com", "http://mail.example.com", "smtp://"])
def test_an_address_that_is_none_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match="EVERGREEN_SHOP_SMTP") as caught:
        MailServer.parse(address)
    assert "example.com:587" in str(caught.value)
    assert "secret" not in repr(MailServer.parse("smtp://me:secret@h"))


def test_a_mail_cannot_be_sent_elsewhere_by_its_text(world: World, box: tuple[Box, int]) -> None:
    handler, port = box
    hostile = ["x\r\nBcc: all@example.com", "x\n.\nMAIL FROM:<a@b>", "\0"]
    with world.engine.begin() as connection:
        for number, text in enumerate(hostile):
            row = {"kind": "return_label", "recipient": ANN, "body": f"{number} {text}", "created_at": world.now}
            connection.execute(outbox.insert(), row)
    mailer = Mailer(world.engine, MailServer.parse(f"smtp://shop:p%40ss@127.0.0.1:{port}"), lambda: world.now)
    assert mailer.send_waiting() == len(hostile)
    assert [mail.rcpt_tos for mail in handler.mails] == [[ANN]] * len(hostile)
    assert all(b"\r\nBcc:" not in mail.content.split(b"\r\n\r\n")[0] for mail in handler.mails)
