"""What is said later arrives by itself, once, whoever wrote it and whatever broke in between."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
from rasa.shared.core.events import BotUttered, ConversationPaused, ConversationResumed

from components import webchat_stream
from desk.model import Kind, Outgoing
from desk.rasa_bot import RasaBot
from tests.desk_world import FRIDAY_NOON as NOW
from tests.webchat_world import (
    DEADLINE_S,
    DEFAULTS,
    DESK_TOKEN,
    HTTP,
    SECRET,
    Shop,
    next_message,
    running,
    wait_for,
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with running(tmp_path / "tracker.db") as one:
        yield one


def by_anna(text: str) -> BotUttered:
    return BotUttered(text, metadata={"agent": "Anna", "desk_id": text})


def test_what_another_process_writes_arrives_by_itself(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("hello")
    with customer.stream() as events:
        assert [next_message(events), next_message(events)] == ["hello", "You said hello"]
        shop.append(customer.conversation_id, by_anna("I am Anna, let me look"))
        kind, data = next(events)
        while kind != "message":
            kind, data = next(events)
        assert (data["text"], data["agent"]) == ("I am Anna, let me look", "Anna")


def test_a_stream_tells_of_its_own_conversation_only(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    for one in (customer, other):
        one.say("hello")
    with customer.stream() as events:
        next_message(events)
        next_message(events)
        shop.append(other.conversation_id, by_anna("for the other"))
        shop.append(customer.conversation_id, by_anna("for you"))
        assert next_message(events) == "for you"


def test_a_reconnect_gets_what_it_missed_and_nothing_twice(shop: Shop) -> None:
    customer = shop.customer()
    [answer] = customer.say("one").json()["messages"]
    shop.append(customer.conversation_id, by_anna("missed"))
    with customer.stream(cursor=answer["id"]) as events:
        assert next_message(events) == "missed"
        customer.say("two")
        assert [next_message(events), next_message(events)] == ["two", "You said two"]


def test_nothing_is_lost_over_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "tracker.db"
    with running(database) as before:
        customer = before.customer()
        [answer] = customer.say("one").json()["messages"]
        before.append(customer.conversation_id, by_anna("while the server is down"))
    with running(database) as after:
        customer.url = after.url
        with customer.stream(cursor=answer["id"]) as events:
            assert next_message(events) == "while the server is down"


def test_a_cursor_of_another_conversation_begins_anew(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    customer.say("mine")
    [foreign] = other.say("theirs").json()["messages"]
    with customer.stream(cursor=foreign["id"]) as events:
        assert next(events) == ("reset", {})
        assert next_message(events) == "mine"


def test_other_pages_see_that_the_bot_works(shop: Shop) -> None:
    customer = shop.customer()
    with customer.stream() as events, ThreadPoolExecutor() as pool:
        assert next(events)[1]["busy"] is False
        sent = pool.submit(customer.say, "wait")
        assert next(events) == ("state", {"speaker": "bot", "name": None, "rate": None, "busy": True})
        shop.agent.release.set()
        assert [next_message(events), next_message(events)] == ["wait", "You said wait"]
        assert sent.result(DEADLINE_S).status_code == 200
        assert next(data for kind, data in events if kind == "state")["busy"] is False


def test_it_says_who_is_talking(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("a person please")
    speakers = []
    with customer.stream() as events:
        states = (data for kind, data in events if kind == "state")
        speakers.append(next(states))
        for event in (ConversationPaused(), by_anna("Hello"), ConversationResumed()):
            shop.append(customer.conversation_id, event)
            speakers.append(next(states))
    assert [(one["speaker"], one["name"]) for one in speakers] == [
        ("bot", None),
        ("waiting", None),
        ("person", "Anna"),
        ("bot", None),
    ]
    assert speakers[-1]["rate"].startswith("person-")


def test_it_shows_that_a_person_writes_until_the_answer_is_there(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    bot = RasaBot(shop.url.removesuffix("webhooks/webchat/"), DESK_TOKEN)
    for one in (customer, other):
        one.say("a person please")
        shop.append(one.conversation_id, ConversationPaused(), by_anna("Hello"))
    with customer.stream() as events, other.stream() as others:
        states = (data for kind, data in events if kind == "state")
        assert "typing" not in next(states)
        bot.show_typing(customer.conversation_id)
        assert next(states)["typing"] is True
        bot.deliver(Outgoing("m1", "h1", customer.conversation_id, Kind.REPLY, "Anna", "It comes today.", NOW))
        assert [next(events), next(events)] == [
            ("message", ANY),
            ("state", {"speaker": "person", "name": "Anna", "rate": None, "busy": False}),
        ]
        assert [next_message(others) for _ in range(3)][-1] == "Hello"
        assert "typing" not in next(data for kind, data in others if kind == "state")
    bot.close()


def test_the_sign_that_a_person_writes_ends_by_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webchat_stream, "TYPING_S", 0.05)
    customer = shop.customer()
    customer.say("a person please")
    bot = RasaBot(shop.url.removesuffix("webhooks/webchat/"), DESK_TOKEN)
    with customer.stream() as events:
        states = (data for kind, data in events if kind == "state")
        next(states)
        bot.show_typing(customer.conversation_id)  # nobody has joined: there is nobody to be seen writing
        shop.append(customer.conversation_id, ConversationPaused(), by_anna("Hello"))
        assert "typing" not in next(states)
        bot.show_typing(customer.conversation_id)
        assert next(states)["typing"] is True
        assert "typing" not in next(states)
    bot.close()


@pytest.mark.parametrize("token", ["x", SECRET.decode()])
def test_nobody_else_can_say_that_a_person_writes(shop: Shop, token: str) -> None:
    address = shop.url.replace("webchat", "desk") + "typing"
    body = {"sender_id": shop.customer().conversation_id}
    assert HTTP.post(address, json=body, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    right = {"Authorization": f"Bearer {DESK_TOKEN}"}
    for wrong in ({}, {"sender_id": 7}, {"sender_id": "x" * 256}, []):
        assert HTTP.post(address, json=wrong, headers=right).status_code == 422


def test_messages_during_a_pause_are_kept_without_an_answer(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("a person please")
    shop.append(customer.conversation_id, ConversationPaused())
    assert customer.say("are you there?").json()["messages"] == []
    assert customer.lines()[-1] == "are you there?"
    assert customer.history().json()["state"]["speaker"] == "waiting"


def test_a_stream_needs_the_token_of_its_conversation(shop: Shop) -> None:
    customer = shop.customer()
    forged = customer.token[:-1] + ("0" if customer.token[-1] != "0" else "1")
    for headers in ({}, {"Authorization": f"Bearer {forged}"}, {"Authorization": customer.conversation_id}):
        answer = HTTP.get(f"{shop.url}stream", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    for address in (f"stream?token={customer.token}", f"stream?access_token={customer.token}"):
        assert HTTP.get(shop.url + address).status_code == 401


def test_a_conversation_has_so_many_streams_and_no_more(tmp_path: Path) -> None:
    with running(tmp_path / "tracker.db", replace(DEFAULTS, streams_per_conversation=2)) as shop:
        customer, other = shop.customer(), shop.customer()
        with customer.stream() as one, customer.stream() as two:
            next(one)
            next(two)
            refused = HTTP.get(f"{shop.url}stream", headers=customer.headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
            with other.stream() as events:
                next(events)

        def opens() -> bool:
            with HTTP.stream("GET", f"{shop.url}stream", headers=customer.headers) as answer:
                return answer.status_code == 200

        wait_for(opens, "a closed page makes room")


def test_opening_streams_has_a_rate_limit(shop: Shop) -> None:
    customer = shop.customer()
    codes = []
    for _ in range(61):
        with HTTP.stream("GET", f"{shop.url}stream", headers=customer.headers) as answer:
            codes.append(answer.status_code)
    assert 429 in codes
    assert codes[0] == 200


def test_a_cursor_that_is_none_of_ours_is_refused(shop: Shop) -> None:
    answer = HTTP.get(f"{shop.url}stream", headers={**shop.customer().headers, "Last-Event-ID": "x" * 101})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_a_server_that_stops_does_not_wait_for_open_pages(tmp_path: Path) -> None:
    with running(tmp_path / "tracker.db") as shop:
        customer = shop.customer()
        stream = customer.stream()
        events = stream.__enter__()
        next(events)
    assert list(events) == []  # ended by the server, not broken off
    stream.__exit__(None, None, None)
