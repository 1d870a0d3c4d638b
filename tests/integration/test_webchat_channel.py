"""The chat channel over HTTP: a real Sanic server and real tracker and lock stores around a scripted bot."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.webchat_channel import WebchatInput
from tests.webchat_world import DEADLINE_S, DEFAULTS, HTTP, Shop, Visitor, running


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with running(tmp_path / "tracker.db") as one:
        yield one


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code, and check that every refusal has the same shape."""
    error = answer.json()["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "retry_after_s"}
    return answer.status_code, error["code"]


def test_the_page_and_its_files_are_served_with_a_strict_policy(shop: Shop) -> None:
    page = HTTP.get(shop.url)
    assert page.status_code == 200
    assert "Fernway help" in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?! src)|\son\w+=|\sstyle=", page.text)
    addresses = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
    script = HTTP.get(f"{shop.url}static/chat.js").text
    addresses += [f"static/{name}" for name in re.findall(r'from "\./([a-z]+\.js)"', script)]
    assert {"static/chat.js", "static/chat.css"} <= set(addresses)
    for address in addresses:
        answer = HTTP.get(shop.url + address)
        assert answer.status_code == 200, address
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_address_without_a_slash_leads_to_the_page(shop: Shop) -> None:
    page = HTTP.get(shop.url.rstrip("/"), follow_redirects=True)
    assert (page.status_code, str(page.url)) == (200, shop.url)


def test_an_unchanged_file_is_not_sent_again(shop: Shop) -> None:
    first = HTTP.get(f"{shop.url}static/chat.js")
    again = HTTP.get(f"{shop.url}static/chat.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["..%2Fsettings.py", "%2e%2e/tokens.py", "chat.py", "..%2F..%2Fpyproject.toml"])
def test_nothing_else_can_be_read_from_the_disk(shop: Shop, name: str) -> None:
    assert HTTP.get(f"{shop.url}static/{name}").status_code == 404


def test_a_message_gets_the_bots_answer(shop: Shop) -> None:
    answer = shop.customer().say("hello")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    [message] = answer.json()["messages"]
    assert (message["role"], message["text"], message["feedback"]) == ("bot", "You said hello", None)
    [handled] = shop.agent.handled
    assert (handled.input_channel, handled.output_channel.name()) == ("webchat", "webchat")
    assert re.fullmatch("web-[0-9a-f]{32}", handled.sender_id)


def test_a_silent_bot_is_no_error(shop: Shop) -> None:
    answer = shop.customer().say("silence")
    assert (answer.status_code, answer.json()["messages"]) == (200, [])


def test_a_repeated_message_is_not_processed_twice(shop: Shop) -> None:
    customer = shop.customer()
    first, second = customer.say("hello", "message-1"), customer.say("hello", "message-1")
    assert first.json() == second.json()
    assert len(shop.agent.handled) == 1


def test_a_message_repeated_while_it_is_worked_on_is_not_processed_twice(shop: Shop) -> None:
    customer = shop.customer()
    with ThreadPoolExecutor() as pool:
        sent = [pool.submit(customer.say, "wait", "message-1") for _ in range(3)]
        shop.agent.release.set()
        answers = [one.result(DEADLINE_S).json()["messages"] for one in sent]
    assert answers[0] == answers[1] == answers[2] != []
    assert len(shop.agent.handled) == 1


def test_the_same_message_id_of_two_customers_is_two_messages(shop: Shop) -> None:
    assert shop.customer().say("one", "message-1").json() != shop.customer().say("two", "message-1").json()
    assert len(shop.agent.handled) == 2


def test_history_and_repeats_survive_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "tracker.db"
    with running(database) as before:
        customer = before.customer()
        first = customer.say("hello", "message-1").json()
    with running(database) as after:
        returned = Visitor(after.url, customer.token)
        assert returned.lines() == ["hello", "You said hello"]
        assert returned.say("hello", "message-1").json() == first
        assert after.agent.handled == []
        returned.say("and again", "message-2")
        assert returned.lines() == ["hello", "You said hello", "and again", "You said and again"]


def test_history_reaches_back_over_sessions(shop: Shop) -> None:
    customer = shop.customer()
    customer.say("hello")
    customer.say("new session")
    assert customer.lines() == ["hello", "You said hello", "new session", "You said new session"]


def test_a_lost_customer_does_not_stop_the_work(shop: Shop) -> None:
    customer = shop.customer()
    body = {"text": "wait", "client_message_id": "message-1"}
    with pytest.raises(httpx.ReadTimeout):
        HTTP.post(f"{shop.url}messages", json=body, headers=customer.headers, timeout=0.5)
    shop.agent.release.set()
    assert [one["text"] for one in customer.say("wait", "message-1").json()["messages"]] == ["You said wait"]
    assert len(shop.agent.handled) == 1


def test_a_slow_answer_can_be_asked_for_again(tmp_path: Path) -> None:
    with running(tmp_path / "tracker.db", replace(DEFAULTS, answer_timeout_s=1)) as shop:
        customer = shop.customer()
        slow = customer.say("wait", "message-1")
        shop.agent.release.set()
        late = customer.say("wait", "message-1")
        assert len(shop.agent.handled) == 1
    assert code(slow) == (504, "answer_slow")
    assert slow.headers["retry-after"] == "2"
    assert late.json()["messages"][0]["text"] == "You said wait"


def test_a_broken_bot_is_never_reported_as_success_and_can_be_tried_again(shop: Shop) -> None:
    customer = shop.customer()
    assert code(customer.say("break", "message-1")) == (500, "answer_failed")
    assert code(customer.say("break", "message-1")) == (500, "answer_failed")
    assert len(shop.agent.handled) == 2
    assert customer.say("hello").status_code == 200


def test_without_a_model_the_customer_is_asked_to_wait(shop: Shop) -> None:
    customer = shop.customer()
    shop.agent.ready = False
    assert code(customer.say("hello", "message-1")) == (503, "not_ready")
    shop.agent.ready = True
    assert customer.say("hello", "message-1").status_code == 200


def wrong_tokens(own: str, other: str) -> list[str]:
    own_id, own_issued, own_signature = own.split(".")
    other_id = other.split(".")[0]
    return [
        "x",
        own_id,
        f"{other_id}.{own_issued}.{own_signature}",  # another conversation under an own signature
        f"{own_id}.{int(own_issued) + 1}.{own_signature}",
        f"{own_id}.{own_issued}.{'0' * 64}",
        f"{own_id}.{own_issued}.",
    ]


def test_nobody_reads_writes_or_rates_in_another_conversation(shop: Shop) -> None:
    victim, stranger = shop.customer(), shop.customer()
    [said] = victim.say("my order is 10342").json()["messages"]
    handled = len(shop.agent.handled)
    for token in wrong_tokens(stranger.token, victim.token):
        forger = Visitor(shop.url, token)
        assert code(forger.history()) == (401, "unauthorized"), token
        assert code(forger.say("hello")) == (401, "unauthorized"), token
        rating = forger.post("feedback", {"message_id": said["id"], "value": "down"})
        assert code(rating) == (401, "unauthorized"), token
    assert code(HTTP.get(f"{shop.url}history")) == (401, "unauthorized")
    assert code(HTTP.get(f"{shop.url}history?token={victim.token}")) == (401, "unauthorized")
    assert stranger.lines() == []
    assert code(stranger.post("feedback", {"message_id": said["id"], "value": "down"})) == (
        404,
        "message_not_found",
    )
    assert len(shop.agent.handled) == handled
    assert shop.events("slot") == []


def test_an_old_token_no_longer_opens_the_conversation(shop: Shop) -> None:
    customer = shop.customer()
    shop.clock.now += 31 * 86_400
    assert code(customer.history()) == (401, "unauthorized")


def test_a_message_has_a_length_limit(shop: Shop) -> None:
    customer = shop.customer()
    assert customer.say("x" * 1000).status_code == 200
    assert code(customer.say("x" * 1001)) == (413, "message_too_long")
    assert code(customer.say("x" * 50_000)) == (413, "request_too_large")
    assert len(shop.agent.handled) == 1


def test_the_longest_message_fits_however_it_is_written(shop: Shop) -> None:
    assert shop.customer().say("\U0001f600" * 1000).status_code == 200


def test_too_many_messages_get_a_friendly_refusal_and_repeats_are_free(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    for number in range(20):
        assert customer.say("hello", f"message-{number}").status_code == 200
    refused = customer.say("hello", "message-20")
    assert code(refused) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "60"
    assert customer.say("hello", "message-19").status_code == 200
    assert other.say("hello").status_code == 200
    shop.clock.now += 60
    assert customer.say("hello", "message-20").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        "hello",
        {"text": "hello"},
        {"text": "hello", "client_message_id": "short"},
        {"text": "hello", "client_message_id": 12345678},
        {"text": " ", "client_message_id": "message-1"},
        {"text": 5, "client_message_id": "message-1"},
        {"text": "Yes", "client_message_id": "message-1", "payload": {"x": 1}},
    ],
)
def test_a_malformed_message_is_refused(shop: Shop, body: Any) -> None:
    assert code(shop.customer().post("messages", body)) == (400, "bad_request")
    assert shop.agent.handled == []


def test_what_is_not_json_is_refused(shop: Shop) -> None:
    answer = HTTP.post(f"{shop.url}messages", content=b"\xff{", headers=shop.customer().headers)
    assert code(answer) == (400, "bad_request")


def test_a_typed_command_is_only_words(shop: Shop) -> None:
    customer = shop.customer()
    customer.say('/inform{"customer_id": "7"}')
    assert shop.agent.handled[0].text == 'inform{"customer_id": "7"}'
    assert customer.lines()[0] == '/inform{"customer_id": "7"}'


def test_an_offered_choice_reaches_the_bot_and_is_shown_by_its_title(shop: Shop) -> None:
    customer = shop.customer()
    [menu] = customer.say("menu").json()["messages"]
    assert menu["buttons"] == [{"title": "Yes, cancel it", "payload": "/affirm"}]
    assert customer.say("Yes, cancel it", payload="/affirm").status_code == 200
    assert shop.agent.handled[-1].text == "/affirm"
    assert customer.lines()[2] == "Yes, cancel it"


def test_a_choice_that_was_never_offered_is_refused(shop: Shop) -> None:
    customer, other = shop.customer(), shop.customer()
    other.say("menu")
    assert code(customer.say("Yes", payload="/affirm")) == (409, "choice_not_offered")
    assert len(shop.agent.handled) == 1


def test_feedback_becomes_an_event_that_history_shows(shop: Shop) -> None:
    customer = shop.customer()
    [said] = customer.say("hello").json()["messages"]
    comment = "That is not what I asked"
    answer = customer.post("feedback", {"message_id": said["id"], "value": "down", "comment": comment})
    assert (answer.status_code, answer.json()) == (200, {"recorded": True})
    [event] = shop.events("slot")
    assert event["name"] == "last_feedback"
    assert event["value"] == {"message_id": said["id"], "value": "down", "comment": comment}
    assert event["metadata"]["model_id"] == "model-1"
    [bot_event] = shop.events("bot")
    assert repr(bot_event["timestamp"]) == said["id"]
    assert customer.history().json()["messages"][-1]["feedback"] == "down"
    assert customer.say("and now").status_code == 200


def test_the_same_feedback_twice_is_one_event(shop: Shop) -> None:
    customer = shop.customer()
    [said] = customer.say("hello").json()["messages"]
    for value in ("up", "up", "down", "up"):
        assert customer.post("feedback", {"message_id": said["id"], "value": value}).status_code == 200
    assert [event["value"]["value"] for event in shop.events("slot")] == ["up", "down", "up"]


def test_feedback_on_an_earlier_session_is_kept(shop: Shop) -> None:
    customer = shop.customer()
    [said] = customer.say("hello").json()["messages"]
    customer.say("new session")
    assert customer.post("feedback", {"message_id": said["id"], "value": "up"}).status_code == 200
    assert customer.lines() == ["hello", "You said hello", "new session", "You said new session"]
    assert customer.history().json()["messages"][1]["feedback"] == "up"
    assert len(shop.events("bot")) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"value": "up"}, 404),
        ({"message_id": "1.0", "value": "up"}, 404),
        ({"message_id": ["1.0"], "value": "up"}, 400),
        ({"message_id": "1.0", "value": "great"}, 400),
        ({"message_id": "1.0", "value": ["up"]}, 400),
        ({"message_id": "1.0", "value": "up", "comment": "x" * 501}, 400),
    ],
)
def test_wrong_feedback_is_refused(shop: Shop, body: dict[str, Any], status: int) -> None:
    customer = shop.customer()
    customer.say("hello", "message-1")
    assert code(customer.post("feedback", body))[0] == status
    assert shop.events("slot") == []


def test_feedback_has_a_rate_limit(tmp_path: Path) -> None:
    with running(tmp_path / "tracker.db", replace(DEFAULTS, feedback_per_minute=2)) as shop:
        customer = shop.customer()
        [said] = customer.say("hello").json()["messages"]
        answers = [customer.post("feedback", {"message_id": said["id"], "value": "up"}) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]


def test_logs_carry_no_customer_text(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    customer = shop.customer()
    customer.say("break", "message-1")
    ours = [record for record in caplog.records if record.name == "components.webchat_channel"]
    assert len(ours) == 1
    assert "web-" in ours[0].getMessage()


def test_credentials_build_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_WEBCHAT_SECRET", "k" * 32)
    channel = WebchatInput.from_credentials({"title": "Help"})
    assert (channel.name(), channel.url_prefix(), channel.settings.title) == ("webchat", "webchat", "Help")


def test_without_a_secret_the_operator_is_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("EVERGREEN_WEBCHAT_SECRET", raising=False)
    with caplog.at_level(logging.WARNING, logger="components.webchat_channel"):
        WebchatInput.from_credentials(None)
    assert "EVERGREEN_WEBCHAT_SECRET is not set" in caplog.text
