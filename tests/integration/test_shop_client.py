"""The assistant's client against the real shop, and against a shop that misbehaves."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

from actions.services.breaker import CircuitBreaker
from actions.services.cache import ShortCache
from actions.services.shop_api import (
    Money,
    NewTicket,
    NotVerified,
    OrderUnknown,
    Refused,
    ShopUnavailable,
    TicketUnknown,
)
from actions.services.shop_client import Patience, ShopClient
from shop.app import Shop, create_app
from shop.database import open_database
from shop.seed import seed

ANN = "ann@example.com"
PROJECT = Path(__file__).parents[2]
HASTY = Patience(total_seconds=1.0, attempt_seconds=0.5, backoff_seconds=0.0, longest_backoff_seconds=0.0)


@pytest.fixture
def client(tmp_path) -> ShopClient:
    engine = open_database(f"sqlite:///{tmp_path}/shop.db")
    seed(engine, date.today())
    return ShopClient(transport=httpx.ASGITransport(create_app(Shop(engine))), patience=HASTY)


def ask(question):
    return asyncio.run(question)


def test_every_question_of_the_client_is_answered_by_the_real_shop(client):
    async def conversation() -> None:
        status = await client.order_status("10342")
        assert (status.order_number, status.status) == ("10342", "in_transit")
        whole = await client.order_details("10342", ANN)
        assert whole.summary == status
        assert not whole.can_cancel
        assert len(await client.order_history("10342", ANN)) == 6
        moved = await client.change_address("10017", ANN, "12 Elm Street, Cork")
        assert moved.shipping_address == "12 Elm Street, Cork"
        canceled = await client.cancel_order("10017", ANN)
        assert canceled.summary.status == "canceled"
        refund = await client.refund("10017", ANN)
        assert (refund.state, refund.amount) == ("pending", canceled.total)
        assert (await client.refund("10342", ANN)).state == "none"
        assert (await client.request_return("10025", ANN)).reference.startswith("R-")
        assert await client.balance("10342", ANN) == Money(2500, "EUR")
        await client.send_invoice("10342", ANN, "k" * 8)
        await client.reset_password("nobody@example.com", "k" * 8)
        wanted = NewTicket("key-00000001", "complaint", "Broken", ANN, "10342")
        ticket = await client.open_ticket(wanted)
        assert await client.open_ticket(wanted) == ticket
        assert await client.ticket(ticket.reference) == ticket
        await client.aclose()

    ask(conversation())


@pytest.mark.parametrize(
    ("question", "error"),
    [
        (lambda client: client.order_status("19999"), OrderUnknown),
        (lambda client: client.ticket("T-99999999"), TicketUnknown),
        (lambda client: client.order_details("10342", "eve@example.com"), NotVerified),
        (lambda client: client.cancel_order("10342", ANN), Refused),
        (lambda client: client.order_details("10342", "müller@example.com"), ShopUnavailable),
    ],
)
def test_a_no_is_a_typed_error(client, question, error):
    with pytest.raises(error):
        ask(question(client))


class Scripted(httpx.AsyncBaseTransport):
    """A shop that gives these answers in turn, and the last one for ever."""

    def __init__(self, *answers: int | Exception | str | float) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return httpx.Response(200, json={})
        if isinstance(answer, str):
            return httpx.Response(200, text=answer)
        return httpx.Response(answer, json={"status": "accepted", "reference": "T-1", "topic": "x", "state": "open"})


TICKET = NewTicket("key-00000001", "complaint", "Broken")


def test_harmless_questions_are_tried_again():
    transport = Scripted(503, httpx.ReadTimeout("slow"), 200)
    found = ask(ShopClient(transport=transport, patience=HASTY).ticket("T-1"))
    assert found.reference == "T-1"
    assert len(transport.requests) == 3


def test_a_ticket_is_tried_again_with_the_same_key():
    transport = Scripted(503, 201)
    ask(ShopClient(transport=transport, patience=HASTY).open_ticket(TICKET))
    assert [request.headers["idempotency-key"] for request in transport.requests] == ["key-00000001"] * 2


@pytest.mark.parametrize(
    "question",
    [lambda client: client.reset_password(ANN, "key-1"), lambda client: client.send_invoice("10342", ANN, "key-1")],
)
def test_mail_is_asked_for_again_with_the_same_key(question):
    transport = Scripted(503, httpx.ReadTimeout("slow"), 202)
    ask(question(ShopClient(transport=transport, patience=HASTY)))
    assert [request.headers["idempotency-key"] for request in transport.requests] == ["key-1"] * 3


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_shop_that_is_down_is_left_alone_and_tried_by_one_question_at_a_time():
    clock, transport = Ticks(), Scripted(httpx.ConnectError("refused"))
    client = ShopClient(transport=transport, patience=Patience(attempts=1), breaker=CircuitBreaker(3, 15.0, clock))

    async def play() -> list[int]:
        asked = []
        for moment in (0, 0, 0, 0, 14.9, 15, 15, 29.9, 30):
            clock.now = moment
            with pytest.raises(ShopUnavailable):
                await client.order_status("10342")
            asked.append(len(transport.requests))
        return asked

    assert ask(play()) == [1, 2, 3, 3, 3, 4, 4, 4, 5]


def test_a_shop_that_answers_again_is_asked_again_and_a_no_is_an_answer():
    clock, transport = Ticks(), Scripted(httpx.ConnectError("refused"), 200)
    breaker = CircuitBreaker(1, 15.0, clock)
    client = ShopClient(transport=transport, patience=Patience(attempts=1), breaker=breaker)

    async def play() -> None:
        with pytest.raises(ShopUnavailable):
            await client.ticket("T-1")
        clock.now = 15
        assert (await client.ticket("T-1")).reference == "T-1"
        assert (await client.ticket("T-2")).reference == "T-1"

    ask(play())
    assert len(transport.requests) == 3


def test_a_question_that_is_given_up_frees_the_trial():
    clock = Ticks()
    breaker = CircuitBreaker(1, 15.0, clock)
    client = ShopClient(transport=Scripted(60.0), patience=Patience(total_seconds=60), breaker=breaker)
    breaker.failed()
    clock.now = 15

    async def play() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.ticket("T-1"), 0.05)

    ask(play())
    clock.now = 30
    assert breaker.lets_pass()
    assert not breaker.lets_pass()


def test_what_cannot_be_written_says_nothing_about_the_shop():
    transport = Scripted(201)
    client = ShopClient(transport=transport, patience=HASTY, breaker=CircuitBreaker(1))

    async def play() -> None:
        ticket = NewTicket("key-00000001", "complaint", "Broken \ud800")
        assert (await client.open_ticket(ticket)).reference == "T-1"
        with pytest.raises(ShopUnavailable) as caught:
            await client.cancel_order("10017", "ann\ud800@example.com")
        assert not caught.value.may_have_happened
        assert (await client.ticket("T-1")).reference == "T-1"

    ask(play())


def test_what_was_read_a_moment_ago_is_not_asked_again_and_belongs_to_who_asked():
    clock, transport = Ticks(), Scripted(200)
    client = ShopClient(transport=transport, patience=HASTY, cache=ShortCache(10.0, clock=clock))

    async def play() -> list[int]:
        asked = []
        for moment, reference in ((0, "T-1"), (9.9, "T-1"), (9.9, "T-2"), (10, "T-1")):
            clock.now = moment
            await client.ticket(reference)
            asked.append(len(transport.requests))
        return asked

    assert ask(play()) == [1, 1, 2, 3]


def test_nobody_is_given_what_was_read_for_somebody_else(client):
    async def play() -> None:
        assert (await client.order_details("10342", ANN)).summary.order_number == "10342"
        for other in ("eve@example.com", "", ANN + " x"):  # without an address the view is the public one: no details
            with pytest.raises((NotVerified, Refused, ShopUnavailable)):
                await client.order_details("10342", other)

    ask(play())


def test_a_change_makes_what_was_read_old(client):
    async def play() -> tuple[str, str]:
        before = await client.order_details("10017", ANN)
        await client.cancel_order("10017", ANN)
        return before.summary.status, (await client.order_details("10017", ANN)).summary.status

    before, after = ask(play())
    assert before != after == "canceled"


def test_tries_are_bounded_and_name_the_operation():
    transport = Scripted(httpx.ConnectError("refused"))
    with pytest.raises(ShopUnavailable, match="order_status") as caught:
        ask(ShopClient(transport=transport, patience=HASTY).order_status("10342"))
    assert len(transport.requests) == HASTY.attempts
    assert not caught.value.may_have_happened


def test_a_change_that_never_got_out_did_not_happen():
    with pytest.raises(ShopUnavailable) as caught:
        ask(ShopClient(transport=Scripted(httpx.ConnectError("refused")), patience=HASTY).cancel_order("10017", ANN))
    assert not caught.value.may_have_happened


def test_one_attempt_that_got_out_is_enough_to_be_uncertain():
    transport = Scripted(httpx.ReadTimeout("slow"), httpx.ConnectError("refused"))
    with pytest.raises(ShopUnavailable) as caught:
        ask(ShopClient(transport=transport, patience=HASTY).cancel_order("10017", ANN))
    assert caught.value.may_have_happened


def test_a_silent_shop_costs_no_more_than_the_overall_time():
    started = time.monotonic()
    patience = Patience(total_seconds=0.2, attempt_seconds=60.0)
    with pytest.raises(ShopUnavailable, match="TimeoutError"):
        ask(ShopClient(transport=Scripted(60.0), patience=patience).order_status("10342"))
    assert time.monotonic() - started < 5.0


@pytest.mark.parametrize("answer", ["no json", "[]", "{}", '{"reference": 1}'])
def test_nonsense_is_a_failure_and_never_a_success(answer):
    with pytest.raises(ShopUnavailable):
        ask(ShopClient(transport=Scripted(answer), patience=HASTY).ticket("T-1"))


def test_the_token_is_sent_and_personal_data_stays_out_of_errors():
    transport = Scripted(httpx.ReadTimeout(f"timeout of {ANN}"))
    with pytest.raises(ShopUnavailable) as caught:
        ask(ShopClient(token="secret", transport=transport, patience=HASTY).refund("10342", ANN))
    assert transport.requests[0].headers["authorization"] == "Bearer secret"
    assert ANN not in str(caught.value)
    assert ANN not in str(transport.requests[0].url)


@pytest.fixture
def running_shop(tmp_path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path / "shop.log").open("w+")
    command = [sys.executable, "-m", "shop", "--port", str(port), "--db", f"sqlite:///{tmp_path}/var/shop.db"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EVERGREEN_")}
    process = subprocess.Popen(command, cwd=PROJECT, stdout=log, stderr=subprocess.STDOUT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"{url}/healthz", timeout=1.0).raise_for_status()
                break
            except httpx.HTTPError as error:
                log.seek(0)
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the shop didn't start: {log.read()}") from error
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def test_the_shop_as_a_process_answers_the_client(running_shop):
    async def question() -> str:
        client = ShopClient(running_shop)
        try:
            return (await client.order_status("10342")).status
        finally:
            await client.aclose()

    assert ask(question()) == "in_transit"


def test_the_command_explains_itself():
    shown = subprocess.run([sys.executable, "-m", "shop", "--help"], cwd=PROJECT, capture_output=True, text=True)
    assert shown.returncode == 0
    assert "--db" in shown.stdout


def test_a_database_that_cannot_be_used_is_said_without_its_password():
    command = [sys.executable, "-m", "shop", "--db", "postgresql://fernway:hunter2@127.0.0.1:1/shop"]
    shown = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 1
    assert "EVERGREEN_SHOP_DB" in shown.stdout
    assert "hunter2" not in shown.stdout + shown.stderr
