"""Ratings become events of the tracker in every channel, and never messages of the dialogue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from learning.events import feedback_of, mark_of
from tests.webchat_world import DEADLINE_S, HTTP, Shop, running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with running(tmp_path / "tracker.db") as one:
        yield one


def rest(shop: Shop, message: str, sender: str = "rest-1") -> list[dict[str, Any]]:
    address = shop.url.replace("webchat", "rest") + "webhook"
    answer = HTTP.post(address, json={"sender": sender, "message": message}, timeout=DEADLINE_S)
    assert answer.status_code == 200
    return list(answer.json())


def test_a_rest_client_rates_the_latest_answer(shop: Shop) -> None:
    rest(shop, "hello")
    assert rest(shop, '/feedback{"value": "down", "comment": "not what I asked"}') == []
    [bot] = shop.events("bot")
    [given] = shop.slots("last_feedback")
    assert given == {"message_id": repr(bot["timestamp"]), "value": "down", "comment": "not what I asked"}
    assert feedback_of(given) == (repr(bot["timestamp"]), -1)
    assert [message.text for message in shop.agent.handled] == ["hello"]
    assert len(shop.events("user")) == 1


def test_an_answer_can_be_named(shop: Shop) -> None:
    rest(shop, "one")
    first = repr(shop.events("bot")[0]["timestamp"])
    rest(shop, "two")
    rest(shop, f'/feedback{{"value": "up", "message_id": "{first}"}}')
    assert shop.slots("last_feedback")[0]["message_id"] == first


def test_a_conversation_gets_a_mark(shop: Shop) -> None:
    rest(shop, "hello")
    rest(shop, '/feedback{"mark": 4}')
    assert [mark_of(value) for value in shop.slots("csat")] == [4]


@pytest.mark.parametrize(
    "message",
    [
        '/feedback{"value": "great"}',
        "/feedback",
        "/feedback{",
        '/feedback{"mark": 9}',
        '/feedback{"value": "up", "message_id": "1.0"}',
        '/feedback{"value": "up", "comment": 5}',
    ],
)
def test_feedback_that_cannot_be_used_is_dropped(shop: Shop, message: str) -> None:
    rest(shop, "hello")
    assert rest(shop, message) == []
    assert len(shop.agent.handled) == 1
    assert shop.events("slot") == []


def test_nothing_can_be_rated_before_the_bot_has_spoken(shop: Shop) -> None:
    assert rest(shop, '/feedback{"value": "up"}', sender="nobody") == []
    assert rest(shop, '/feedback{"mark": 5}', sender="nobody") == []
    assert shop.events("slot") == []


def test_other_commands_reach_the_bot(shop: Shop) -> None:
    rest(shop, "/feedback_form")
    rest(shop, "/greet")
    assert [message.text for message in shop.agent.handled] == ["/feedback_form", "/greet"]


def test_the_web_chat_asks_for_a_mark_at_the_end_and_takes_it_once(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("hello")
    customer.say("bye", "message-bye")
    assert customer.history().json()["state"]["rate"] == "goodbye-message-bye"
    assert customer.post("mark", {"mark": 5}).status_code == 200
    assert shop.slots("csat") == [5]
    assert customer.history().json()["state"]["rate"] is None
    customer.say("one more thing")
    customer.say("really one more")
    customer.say("bye", "message-end")
    assert customer.history().json()["state"]["rate"] == "goodbye-message-end"
    assert customer.post("mark", {"mark": 5}).status_code == 200
    assert shop.slots("csat") == [5, 5]


@pytest.mark.parametrize("mark", [0, 6, "5", 4.5, True, None, [5]])
def test_a_mark_is_one_to_five(shop: Shop, mark: Any) -> None:
    customer = shop.customer()
    customer.say("hello")
    answer = customer.post("mark", {"mark": mark})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert shop.slots("csat") == []


def test_marks_have_the_rate_limit_of_feedback(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("hello")
    codes = [customer.post("mark", {"mark": 3}).status_code for _ in range(31)]
    assert codes == [200] * 30 + [429]


def test_a_stranger_marks_nothing(shop: Shop) -> None:
    shop.customer().say("hello")
    assert HTTP.post(f"{shop.url}mark", json={"mark": 1}).status_code == 401
    assert shop.customer().post("mark", {"mark": 1}).status_code == 404
    assert shop.slots("csat") == []
