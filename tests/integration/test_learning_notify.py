"""Messages to people: real mail to a real SMTP server, real requests to local web servers, retries, secrets.

Slack and Teams have fixed hosts with HTTPS: there the request is caught where `requests` hands it to its transport, so
that everything before it, the plug-in's own code included, is real.
"""

from __future__ import annotations

import email
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from aiosmtpd.controller import Controller
from requests.adapters import HTTPAdapter

from learning.adapters.notify import ATTEMPTS, AppriseNotifier
from learning.alert_records import Message
from learning.errors import SettingsError

MESSAGE = Message(
    title="Evergreen: 10 to 16 Nov 2025",
    text="Zwölf people.\nhttp://hub.example/inbox\n",
    html="<!doctype html><html><body><p>Zwölf people. <a href='http://hub.example/inbox'>Inbox</a></p></body></html>",
    markdown="**Zwölf** people. [Inbox](http://hub.example/inbox)",
)
SECRET = "sEcReTtOkEn99"


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextmanager
def silent_server() -> Iterator[int]:
    """Give the port of a server that takes connections and never says anything."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@dataclass
class Mailbox:
    """Keeps what comes in; `answers` are given before anything is taken, and `refuses` names who is unknown."""

    got: list[tuple[tuple[str, ...], Any]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    refuses: str = ""

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == self.refuses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.pop(0)
        self.got.append((tuple(envelope.rcpt_tos), email.message_from_bytes(envelope.content, policy=default)))
        return "250 OK"


@pytest.fixture
def smtp() -> Iterator[tuple[Mailbox, str]]:
    box, port = Mailbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, f"mailto://127.0.0.1:{port}?from=bot@example.com&mode=insecure"
    controller.stop()


@dataclass
class Web:
    """A web server that keeps what is posted, and gives the `answers` in turn, 200 after them."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, str, bytes]] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, self.headers.get("Authorization", ""), body))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


def notifier(*urls: str, pauses: list[float] | None = None) -> AppriseNotifier:
    return AppriseNotifier(" ".join(urls), sleep=(pauses if pauses is not None else []).append, timeout=5.0)


def send(one: AppriseNotifier) -> Any:
    return one.send(MESSAGE, one.targets())


def test_a_mail_has_the_page_and_the_plain_text_with_its_links(smtp) -> None:
    box, url = smtp
    delivery = send(notifier(f"{url}&to=ann@example.com"))
    assert [target.name for target in delivery.delivered] == ["email #1"]
    ((to, mail),) = box.got
    assert to == ("ann@example.com",)
    assert mail["Subject"] == MESSAGE.title
    assert "bot@example.com" in mail["From"]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.com>")
    plain, page = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert "http://hub.example/inbox" in plain.get_content()
    assert "Zwölf" in plain.get_content()
    assert "<a href='http://hub.example/inbox'>" in page.get_content()


def test_mail_that_is_put_off_is_tried_again_and_nobody_gets_it_twice(smtp) -> None:
    box, url = smtp
    pauses: list[float] = []
    box.answers = ["451 later"]
    delivery = send(notifier(f"{url}&to=ann@example.com,bob@example.com", pauses=pauses))
    assert not delivery.failed
    assert sorted(to for to, _ in box.got) == [("ann@example.com",), ("bob@example.com",)]
    assert len(pauses) == 1


def test_mail_for_which_nobody_is_there_is_given_up_after_some_attempts(smtp) -> None:
    box, url = smtp
    pauses: list[float] = []
    box.answers = ["451 later"] * 10
    delivery = send(notifier(f"{url}&to=ann@example.com", pauses=pauses))
    assert [reason for _, reason in delivery.failed] == ["did not take it"]
    assert len(pauses) == ATTEMPTS - 1
    assert len(box.answers) == 10 - ATTEMPTS


def test_a_webhook_gets_title_and_text_and_its_password(web) -> None:
    delivery = send(notifier(f"json://joe:{SECRET}@127.0.0.1:{web.port}/hooks/evergreen"))
    assert not delivery.failed
    ((path, authorization, body),) = web.got
    assert path == "/hooks/evergreen"
    assert authorization.startswith("Basic ")
    content = json.loads(body)
    assert content["title"] == MESSAGE.title
    assert "http://hub.example/inbox" in content["message"]


def test_one_that_fails_stops_no_other_and_is_named_without_its_secret(web, smtp, caplog, capfd) -> None:
    _, url = smtp
    web.answers = [500] * ATTEMPTS
    caplog.set_level(logging.INFO)  # `schedule` logs from there on; below it `urllib3` tells every address
    one = notifier(
        f"json://joe:{SECRET}@127.0.0.1:{web.port}/{SECRET}",
        f"form://127.0.0.1:1/{SECRET}",  # nobody listens there
        f"{url}&to=ann@example.com",
    )
    delivery = send(one)
    assert [(target.name, reason) for target, reason in delivery.failed] == [
        ("webhook #1", "answered with 500"),
        ("form webhook #1", "did not answer"),
    ]
    assert [target.name for target in delivery.delivered] == ["email #1"]
    assert len(web.got) == ATTEMPTS
    told = f"{delivery} {one.targets()} {delivery.problems} {caplog.text} {''.join(capfd.readouterr())}"
    assert SECRET not in told
    assert "Zwölf" not in caplog.text


def test_what_will_be_refused_again_is_not_asked_again(web) -> None:
    pauses: list[float] = []
    web.answers = [404] * 10
    one = notifier(f"json://127.0.0.1:{web.port}/gone", pauses=pauses)
    assert [reason for _, reason in send(one).failed] == ["answered with 404"]
    assert (len(web.got), pauses) == (1, [])
    web.got.clear()
    web.answers = [429, 503]  # too many requests, and away: that passes
    assert not send(one).failed
    assert len(web.got) == 3


def test_a_server_that_never_answers_is_left_after_its_time() -> None:
    with silent_server() as port:
        one = AppriseNotifier(f"json://127.0.0.1:{port}/", sleep=lambda seconds: None, timeout=0.2)
        assert [reason for _, reason in send(one).failed] == ["did not answer"]


@dataclass
class Caught:
    """What went to hosts that a test cannot be."""

    got: list[requests.PreparedRequest] = field(default_factory=list)
    verified: list[object] = field(default_factory=list)
    timeouts: list[object] = field(default_factory=list)


@pytest.fixture
def caught(monkeypatch) -> Caught:
    state = Caught()

    def answer(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        state.got.append(request)
        state.verified.append(verify)
        state.timeouts.append(timeout)
        response = requests.Response()
        response.status_code, response._content, response.request = 200, b"ok", request
        response.url = request.url
        return response

    monkeypatch.setattr(HTTPAdapter, "send", answer)
    return state


def test_slack_gets_its_own_kind_of_links(caught) -> None:
    one = notifier("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7d")
    assert [target.name for target in one.targets()] == ["Slack #1"]
    assert not send(one).failed
    (request,) = caught.got
    assert request.url.startswith("https://hooks.slack.com/services/T1JJ3T3L2/")
    body = json.loads(request.body)
    assert "<http://hub.example/inbox|Inbox>" in json.dumps(body)
    assert all(caught.verified)  # certificates are checked, by whatever bundle
    assert caught.timeouts == [(5.0, 5.0)]


def test_teams_gets_a_card(caught) -> None:
    url = (
        "https://prod-161.westeurope.logic.azure.com:443/workflows/643e69f83c8944438d68119179a10a64/triggers/manual"
        "/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=KODuebWbDGYFr0z0eu"
    )
    one = notifier(url)
    assert [target.name for target in one.targets()] == ["Teams #1"]
    assert not send(one).failed
    (request,) = caught.got
    assert "logic.azure.com" in request.url
    card = json.loads(request.body)["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard"
    assert "http://hub.example/inbox" in json.dumps(card)


def test_only_those_who_are_to_be_told_are(web) -> None:
    one = notifier(*(f"json://127.0.0.1:{web.port}/{name}" for name in "abc"))
    one.send(MESSAGE, one.targets()[1:2])
    assert [path for path, _, _ in web.got] == ["/b"]


def test_the_same_target_twice_is_one_and_keys_stay_the_same() -> None:
    urls = ("json://127.0.0.1:9/a", "json://127.0.0.1:9/b", "json://127.0.0.1:9/a")
    first, second = notifier(*urls), notifier(*urls[1:])
    assert [target.name for target in first.targets()] == ["webhook #1", "webhook #2"]
    assert {target.key for target in first.targets()} == {target.key for target in second.targets()}


def test_without_targets_there_is_nobody() -> None:
    assert notifier("").targets() == ()


def test_a_url_that_is_none_is_told_by_its_place_and_not_by_its_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        notifier("json://127.0.0.1:9/", f"nonsense://{SECRET}")
    assert "place 2 of 2" in str(caught.value)
    assert SECRET not in str(caught.value)
