"""The Slack channel over HTTP: requests signed as Slack signs them, and a stand-in for its Web API."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from rasa.core.channels import channel as rasa_channel
from rasa.core.channels.channel import UserMessage
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.tracker_store import SQLTrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import BotUttered, ConversationPaused, UserUttered
from rasa.shared.exceptions import InvalidConfigException, RasaException
from sanic import Sanic, response

from components import slack_channel
from components.rated_channels import RatedRest
from components.slack_channel import SlackInput
from components.slack_inbox import Inbox, Received

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
DEADLINE = 10.0
DOMAIN = """
slots:
  last_feedback: {type: any, influence_conversation: false, mappings: [{type: custom}]}
"""
STAMPS = (f"{1_700_000_000 + number}.000100" for number in itertools.count())


@dataclass
class Agent:
    """Stands in for Rasa's agent: real stores, and a bot that does what the message says."""

    tracker_store: Any
    lock_store: InMemoryLockStore = field(default_factory=InMemoryLockStore)
    model_id: str = "model-1"
    ready: bool = True
    handled: list[UserMessage] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def is_ready(self) -> bool:
        return self.ready

    async def handle_message(self, message: UserMessage) -> None:
        async with self.lock_store.lock(message.sender_id):
            self.handled.append(message)
            if message.text == "wait":
                await asyncio.get_running_loop().run_in_executor(None, self.release.wait, DEADLINE)
            if message.text == "break":
                raise RuntimeError("the action server is down")
            tracker = await self.tracker_store.get_or_create_tracker(message.sender_id, append_action_listen=False)
            tracker.update(
                UserUttered(
                    message.text,
                    input_channel=message.input_channel,
                    message_id=message.message_id,
                    metadata=message.metadata,
                )
            )
            if message.text == "hand over":
                tracker.update(ConversationPaused())
            if tracker.is_paused():
                await self.tracker_store.save(tracker)
                return
            buttons = [{"title": "Yes, cancel it", "payload": "/affirm"}] if message.text == "menu" else []
            said = "First <!channel> & more." if message.text == "twice" else f"You said {message.text}."
            tracker.update(BotUttered(said, {"buttons": buttons}))
            await message.output_channel.send_response(message.sender_id, {"text": said, "buttons": buttons})
            if message.text == "twice":
                tracker.update(BotUttered("Second."))
                await message.output_channel.send_response(message.sender_id, {"text": "Second."})
            await self.tracker_store.save(tracker)


@dataclass
class Slack:
    """Both sides of Slack: it calls the bot's address, and keeps what the bot calls."""

    url: str
    agent: Agent
    said: list[dict[str, Any]]
    refusals: list[int]
    api: str

    def send(self, body: bytes, kind: str, signature: str | None = None, at: int | None = None, **more: str) -> Any:
        at = int(time.time()) if at is None else at
        signed = hmac.new(SECRET.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": kind,
            "x-slack-request-timestamp": str(at),
            "x-slack-signature": signature or f"v0={signed}",
            **more,
        }
        return httpx.post(f"{self.url}webhook", content=body, headers=headers, timeout=DEADLINE)

    def event(self, text: str, headers: dict[str, str] | None = None, **changes: Any) -> Any:
        event = {"type": "message", "channel_type": "im", "channel": "D1", "user": "U1", "text": text, **changes}
        event.setdefault("ts", next(STAMPS))
        content = {"type": "event_callback", "event_id": uuid.uuid4().hex, "event": event}
        return self.send(json.dumps(content).encode(), "application/json", **(headers or {}))

    def press(self, action: dict[str, Any], message: dict[str, Any], user: str = "U1", channel: str = "D1") -> Any:
        content = {
            "type": "block_actions",
            "user": {"id": user},
            "channel": {"id": channel},
            "message": message,
            "actions": [{"action_ts": next(STAMPS), "block_id": "b", **action}],
        }
        return self.send(urlencode({"payload": json.dumps(content)}).encode(), "application/x-www-form-urlencoded")

    def wait(self, count: int, method: str = "chat.postMessage") -> list[dict[str, Any]]:
        """Return the first `count` calls of a method once they are there, and see that no more come with them."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            found = [call for call in self.said if call["method"] == method]
            if len(found) >= count:
                assert len(found) == count, found
                return found
            time.sleep(0.01)
        raise AssertionError(f"{count} calls of {method} expected: {self.said}")

    def slots(self) -> list[Any]:
        with self.agent.tracker_store.session_scope() as session:
            rows = session.query(SQLTrackerStore.SQLEvent).all()
            return [json.loads(row.data)["value"] for row in rows if row.type_name == "slot"]


@contextmanager
def serving(app: Sanic) -> Iterator[str]:
    """Serve an app in a thread on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    loop, started = asyncio.new_event_loop(), threading.Event()
    servers: list[Any] = []

    async def serve() -> None:
        server: Any = await app.create_server(sock=listener, return_asyncio_server=True)
        await server.startup()
        await server.start_serving()
        await server.after_start()
        servers.append(server)
        started.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(DEADLINE), "the test server did not start"
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        asyncio.run_coroutine_threadsafe(servers[0].before_stop(), loop).result(DEADLINE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)


def web_api(said: list[dict[str, Any]], refusals: list[int]) -> Sanic:
    """Slack's Web API as far as the bot calls it: it keeps the calls, and refuses as often as it is told."""
    app = Sanic(f"slack-{uuid.uuid4().hex}", configure_logging=False)

    @app.post("/api/<method>")
    async def call(request: Any, method: str) -> Any:
        if request.token != "xoxb-1":
            return response.json({"ok": False, "error": "invalid_auth"})
        if refusals:
            return response.json({"ok": False, "error": "ratelimited"}, refusals.pop(), {"Retry-After": "0"})
        content = request.json or {name: values[0] for name, values in request.form.items()}
        said.append({**content, "method": method})
        return response.json({"ok": True, "ts": next(STAMPS)})

    return app


@pytest.fixture
def slack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slack]:
    monkeypatch.setenv("EVERGREEN_SLACK_INBOX", str(tmp_path / "inbox.db"))
    said: list[dict[str, Any]] = []
    refusals: list[int] = []
    Sanic.test_mode = True
    with serving(web_api(said, refusals)) as api:
        agent = Agent(SQLTrackerStore(Domain.from_yaml(DOMAIN), db=str(tmp_path / "tracker.db")))
        with bot(agent, f"{api}api/") as url:
            yield Slack(url, agent, said, refusals, f"{api}api/")


@contextmanager
def restarted(slack: Slack) -> Iterator[Slack]:
    """The bot again, with what it kept on disk and nothing of what it had in memory."""
    with bot(slack.agent, slack.api) as url:
        yield Slack(url, slack.agent, slack.said, slack.refusals, slack.api)


@contextmanager
def bot(agent: Agent, api: str) -> Iterator[str]:
    app = Sanic(f"bot-{uuid.uuid4().hex}", configure_logging=False)
    app.ctx.agent = agent
    credentials = {"slack_token": "xoxb-1", "slack_signing_secret": SECRET, "slack_api_url": api}
    rasa_channel.register([SlackInput.from_credentials(credentials), RatedRest()], app, route="/webhooks/")
    with serving(app) as url:
        yield f"{url}webhooks/slack/"


def test_a_direct_message_is_answered_where_it_was_asked(slack: Slack) -> None:
    answer = slack.event("where is my order?")
    (said,) = slack.wait(1)
    assert answer.status_code == 200
    assert (said["channel"], said["text"]) == ("U1", "You said where is my order?.")
    assert "as_user" not in said
    assert "thread_ts" not in said
    (message,) = slack.agent.handled
    assert (message.sender_id, message.input_channel) == ("slack_U1", "slack")


def test_slack_is_answered_before_the_work_is_done(slack: Slack) -> None:
    before = time.monotonic()
    assert slack.event("wait").status_code == 200
    assert time.monotonic() - before < 3
    assert slack.said == []
    slack.agent.release.set()
    slack.wait(1)


@pytest.mark.parametrize("signature", ["", "v0=", "v0=" + "0" * 64, "v1=abc", "é"])
def test_what_slack_did_not_sign_is_refused(slack: Slack, signature: str) -> None:
    body = json.dumps({"challenge": "x"}).encode()
    headers = {"content-type": "application/json", "x-slack-request-timestamp": str(int(time.time()))}
    signed = {**headers, "x-slack-signature": signature.encode("latin-1")} if signature else headers
    answer = httpx.post(f"{slack.url}webhook", content=body, headers=signed, timeout=DEADLINE)
    assert answer.status_code == 401
    assert slack.agent.handled == []


def test_an_old_request_is_refused_though_it_is_signed(slack: Slack) -> None:
    body = json.dumps({"challenge": "x"}).encode()
    assert slack.send(body, "application/json", at=int(time.time()) - 400).status_code == 401
    assert slack.send(body, "application/json; charset=utf-8").text == "x"


def test_repeats_are_dropped_whatever_slack_gives_as_reason(slack: Slack) -> None:
    event = {"ts": "1700000500.000100"}
    for number, reason in enumerate(("", "http_timeout", "http_error", "connection_failed")):
        headers = {"x-slack-retry-num": str(number), "x-slack-retry-reason": reason} if reason else {}
        assert slack.event("hello", headers, **event).status_code == 200
    slack.event("goodbye")
    slack.wait(2)
    assert [message.text for message in slack.agent.handled] == ["hello", "goodbye"]


def test_a_repeat_after_a_restart_is_known(slack: Slack, tmp_path: Path) -> None:
    slack.event("hello", ts="1700000600.000100")
    slack.wait(1)
    with restarted(slack) as again:
        again.event("hello", {"x-slack-retry-num": "1"}, ts="1700000600.000100")
        again.event("goodbye")
        again.wait(2)
    assert [message.text for message in slack.agent.handled] == ["hello", "goodbye"]


def test_what_slack_had_a_yes_for_is_handled_after_a_crash(slack: Slack, tmp_path: Path) -> None:
    Inbox(tmp_path / "inbox.db").put(Received("D1-1", "slack_U1", "where is my order"))
    with restarted(slack) as again:
        assert again.wait(1)[0]["text"] == "You said where is my order."
    with restarted(slack) as third:
        third.event("goodbye")
        third.wait(2)
    assert [message.text for message in slack.agent.handled] == ["where is my order", "goodbye"]


def test_what_rasa_had_begun_with_is_not_begun_again_but_told(slack: Slack, tmp_path: Path) -> None:
    slack.event("cancel my order", ts="1700000650.000100")
    slack.wait(1)
    until = time.monotonic() + DEADLINE
    while Inbox(tmp_path / "inbox.db").left() and time.monotonic() < until:
        time.sleep(0.01)
    with sqlite3.connect(tmp_path / "inbox.db") as inbox:  # as it stands where the bot is killed before it says so
        message = Received("D1-1700000650.000100", "slack_U1", "cancel my order")
        inbox.execute("UPDATE inbox SET done = 0, message = ?", (json.dumps(asdict(message)),))
    with restarted(slack) as again:
        assert again.wait(2)[1]["text"] == slack_channel.FAILED
    assert len(slack.agent.handled) == 1


def test_a_bot_that_is_stopped_finishes_what_it_has_begun(slack: Slack, tmp_path: Path) -> None:
    with restarted(slack) as again:
        again.event("wait")
        until = time.monotonic() + DEADLINE
        while not slack.agent.handled and time.monotonic() < until:
            time.sleep(0.01)
        threading.Timer(0.2, slack.agent.release.set).start()
    assert slack.wait(1)[0]["text"] == "You said wait."
    assert Inbox(tmp_path / "inbox.db").left() == []


def test_a_mention_opens_a_thread_of_its_own(slack: Slack) -> None:
    stamp = "1700000700.000100"
    mention = {"channel": "C1", "channel_type": "channel", "ts": stamp}
    slack.event("<@U0BOT> hello", type="app_mention", **mention)
    slack.event("<@U0BOT> hello", type="message", **mention)  # the same, as an app with both subscriptions gets it
    slack.event("people among themselves", channel="C1", channel_type="channel")
    slack.event("and more <@U0BOT>", type="app_mention", channel="C1", channel_type="channel", thread_ts=stamp)
    said = slack.wait(2)
    assert [(one["channel"], one["thread_ts"]) for one in said] == [("C1", stamp)] * 2
    assert {message.sender_id for message in slack.agent.handled} == {f"slack_U1_C1_{stamp}"}
    assert [message.text for message in slack.agent.handled] == ["hello", "and more"]


@pytest.mark.parametrize(
    "changes",
    [{"bot_id": "B1"}, {"subtype": "message_changed"}, {"subtype": "channel_join"}, {"user": ""}, {"type": "other"}],
)
def test_what_no_person_said_is_ignored(slack: Slack, changes: dict[str, Any]) -> None:
    assert slack.event("hello", **changes).status_code == 200
    slack.event("real")
    slack.wait(1)
    assert [message.text for message in slack.agent.handled] == ["real"]


def test_nobody_can_type_a_command(slack: Slack) -> None:
    slack.event('/inform{"email": "other@example.com"}')
    slack.wait(1)
    assert slack.agent.handled[0].text == 'inform{"email": "other@example.com"}'


def test_the_last_answer_of_a_turn_asks_for_feedback_and_nobody_is_alarmed(slack: Slack) -> None:
    slack.event("twice")
    first, second = slack.wait(2)
    assert first["text"] == "First &lt;!channel&gt; &amp; more."
    assert "blocks" not in first
    (row,) = [block for block in second["blocks"] if block["type"] == "actions"]
    assert [element["action_id"] for element in row["elements"]] == ["thumb_up", "thumb_down"]
    assert first["client_msg_id"] != second["client_msg_id"]


def test_feedback_is_noted_for_the_answer_it_stands_under(slack: Slack) -> None:
    slack.event("one")
    said = slack.wait(1)[0]
    shown_at = time.time()
    slack.event("two")
    slack.wait(2)
    row = said["blocks"][-1]
    action = {**row["elements"][1], "block_id": row["block_id"], "type": "button"}
    message = {"ts": f"{shown_at:.6f}", "text": said["text"]}
    assert slack.press(action, message).status_code == 200
    slack.press(action, message)  # a second click on the same button
    slack.wait(1, "chat.postEphemeral")
    (slot,) = slack.slots()
    assert slot["value"] == "down"
    events = [one for one in slack.agent.handled if one.text == "one"]
    assert float(slot["message_id"]) < shown_at
    assert len(events) == 1


def test_a_quick_reply_counts_while_it_was_offered(slack: Slack) -> None:
    slack.event("menu")
    (menu,) = slack.wait(1)
    button = menu["blocks"][-1]["elements"][0]
    message = {"ts": "1700000900.000100", "text": menu["text"]}
    slack.press({**button, "type": "button"}, message)
    slack.wait(2)
    assert slack.agent.handled[-1].text == "/affirm"
    assert slack.agent.handled[-1].metadata == {"shown_text": "Yes, cancel it"}
    slack.press({**button, "type": "button", "value": "/deny", "action_id": "x"}, message)
    assert slack.wait(3)[-1]["text"] == slack_channel.NOT_OFFERED
    slack.press({**button, "type": "button", "action_id": "y"}, message, user="U2")
    assert slack.wait(4)[-1]["text"] == slack_channel.NOT_OFFERED
    assert len(slack.agent.handled) == 2


def test_a_failure_is_told_and_a_starting_bot_says_so(slack: Slack) -> None:
    slack.event("break")
    assert slack.wait(1)[0]["text"] == slack_channel.FAILED
    slack.agent.ready = False
    slack.event("hello")
    assert slack.wait(2)[1]["text"] == slack_channel.NOT_READY


def test_long_and_many_messages_get_a_friendly_answer(slack: Slack) -> None:
    slack.event("x" * 2_000)
    assert "1,000 is the most" in slack.wait(1)[0]["text"]
    for number in range(slack_channel.PER_MINUTE):
        slack.event(f"message {number}")
    said = slack.wait(slack_channel.PER_MINUTE + 1)
    assert sum("Please wait" in one["text"] for one in said) == 1


def test_a_slack_that_is_busy_is_asked_again_and_told_once(slack: Slack) -> None:
    slack.refusals += [429]
    slack.event("hello")
    slack.wait(1)


def test_nothing_is_answered_while_a_person_has_the_conversation(slack: Slack) -> None:
    slack.event("hand over")
    slack.event("are you there?")
    until = time.monotonic() + DEADLINE
    while len(slack.agent.handled) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert [message.text for message in slack.agent.handled] == ["hand over", "are you there?"]
    assert slack.said == []


def test_a_reply_can_be_sent_with_nothing_but_the_conversation(slack: Slack) -> None:
    async def push() -> None:
        credentials = {"slack_token": "xoxb-1", "slack_signing_secret": SECRET, "slack_api_url": slack.api}
        output = SlackInput.from_credentials(credentials).get_output_channel()
        for _ in range(2):
            await output.send_text_message("slack_U1_C1_1700.1", "A person here.", desk_id="d1")
        await output.send_text_message("slack_U1", "Direct.", desk_id="d2")

    asyncio.run(push())
    first, again, direct = slack.wait(3)
    assert (first["channel"], first["thread_ts"]) == ("C1", "1700.1")
    assert first["client_msg_id"] == again["client_msg_id"] != direct["client_msg_id"]
    assert direct["channel"] == "U1"


@pytest.mark.parametrize("sender", ["slack_U1", "slack_U1_C1_1.2", "web-" + "0" * 32])
def test_nobody_opens_other_peoples_conversations_through_rest(slack: Slack, sender: str) -> None:
    rest = slack.url.replace("/slack/", "/rest/")
    body = {"sender": sender, "message": "show my order history again"}
    assert httpx.post(f"{rest}webhook", json=body, timeout=DEADLINE).status_code == 403
    assert slack.agent.handled == []
    assert httpx.post(f"{rest}webhook", json={**body, "sender": "me"}, timeout=DEADLINE).status_code == 200


def test_it_does_not_start_without_its_secrets() -> None:
    with pytest.raises(InvalidConfigException):
        SlackInput.from_credentials({"slack_token": "xoxb-1"})
    with pytest.raises(RasaException):
        SlackInput.from_credentials({"slack_signing_secret": SECRET})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b'{"event": 1}', b'{"event": {"type": "message"}}', b"\xff", b"[" * 30_000]
)
def test_bodies_of_other_shapes_are_refused_or_ignored(slack: Slack, body: bytes) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain"):
        assert slack.send(body, kind).status_code in (200, 400, 415)
    assert slack.agent.handled == []
