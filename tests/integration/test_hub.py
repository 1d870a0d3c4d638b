"""The hub over a real learning database and a real git repository, with a fake encoder."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import git
import httpx
import pytest

from hub import texts
from hub.app import COOKIE, create_app
from hub.context import HASHING_AT_ONCE
from hub.guard import PUBLIC, is_public
from hub.staff.accounts import Accounts
from learning import pipeline
from learning.adapters.store import Store
from learning.errors import PublishError
from learning.loop import Loop
from learning.model import (
    Action,
    Decision,
    Priority,
    ProposalState,
    Replay,
    ScorePart,
    Source,
)
from tests.hub_world import (
    HOSTILE,
    NOW,
    PASSWORD,
    WITH_ANSWER,
    Page,
    TestClient,
    World,
    a_proposal,
    branch_tip,
    fill,
    log_in,
    post,
    serving,
)
from tests.hub_world import project as project
from tests.hub_world import world as world


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with world.client() as client:
        yield client


def test_only_what_must_be_is_public() -> None:
    # Prometheus has a token of its own: without it, or a login, it is refused.
    assert {"/login", "/login/oidc", "/login/oidc/back", "/healthz", "/metrics/prometheus"} == PUBLIC
    assert not is_public("/statics")


def test_unknown_addresses_ask_for_a_login_too(world: World) -> None:
    assert world.client(None).get("/nothing/here").status_code == 303
    answer = world.client().get("/nothing/here")
    assert answer.status_code == 404
    assert texts.ERROR_TITLES[404] in answer.text
    assert world.client().post("/status").status_code == 403
    assert world.client().request("GET", "/logout").status_code == 405


def test_a_token_of_another_session_is_refused(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    fields = dict(Page(client.get("/proposals/0000000000000001").text).forms["/proposals/0000000000000001/reject"])
    answer = world.client().post("/proposals/0000000000000001/reject", data={**fields, "reason": "x"})
    assert answer.status_code == 403


def test_login_cookie_is_closed_to_scripts_and_other_sites(world: World) -> None:
    answer = log_in(world.client(None), "demo", PASSWORD, "/status")
    cookie = answer.headers["set-cookie"].lower()
    assert answer.headers["location"] == "/status"
    assert cookie.startswith(f"{COOKIE}=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_login_refuses_and_then_makes_wait(world: World) -> None:
    client = world.client(None)
    answers = [log_in(client, "demo", "guess").status_code for _ in range(3)]
    waiting = log_in(client, "demo", PASSWORD)
    assert answers == [401, 401, 401]
    assert waiting.status_code == 429
    assert waiting.headers["retry-after"] == "300"
    world.clock.at += timedelta(seconds=301)
    assert log_in(client, "demo", PASSWORD).status_code == 303


def test_a_name_that_nobody_can_have_is_neither_kept_nor_shown_nor_hashed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(world.accounts, "verify", lambda name, password: asked.append(name))
    answer = log_in(world.client(None), "\U0001f600" + "a" * 100_000, "guess")
    assert answer.status_code == 401
    assert len(answer.text) < 10_000
    assert max(len(part) for key in world.app.state.hub.limit._attempts for part in key) < 100
    assert asked == []


def test_a_form_has_to_arrive_in_time(world: World) -> None:
    settings = replace(world.app.state.hub.settings, form_seconds=0.1)
    app = create_app(settings, world.loop, world.accounts)
    head = b"POST /login HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\na="
    with serving(app) as url:
        place = httpx.URL(url)
        with contextlib.closing(socket.create_connection((place.host, place.port or 80), 10)) as slow:
            slow.sendall(head)
            answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert texts.ERROR_TEXTS[408].encode() in answer


def test_few_passwords_are_hashed_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    counting, now, most = threading.Lock(), 0, 0
    together = threading.Barrier(HASHING_AT_ONCE + 1)

    def verify(name: str, password: str) -> bool:
        nonlocal now, most
        with counting:
            now += 1
            most = max(most, now)
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(0.2)  # until one more than may be is here as well
        with counting:
            now -= 1
        return False

    monkeypatch.setattr(world.accounts, "verify", verify)
    with serving(world.app) as url:

        def guess(number: int) -> int:
            with httpx.Client(base_url=url, timeout=20) as client:
                fields = dict(Page(client.get("/login").text).forms["/login"])
                return client.post("/login", data={**fields, "name": f"user{number}", "password": "guess"}).status_code

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(guess, range(6))) == [401] * 6
    assert 1 <= most <= HASHING_AT_ONCE


@pytest.mark.parametrize("path", ["/releases/", "/retraining/"])
def test_a_number_that_no_database_holds_is_no_page(client: TestClient, path: str) -> None:
    assert [client.get(path + "9" * length).status_code for length in (9, 19, 5000)] == [404] * 3


def test_forged_cookies_and_old_passwords_end_the_session(world: World) -> None:
    accounts: Accounts = world.app.state.hub.accounts
    password = accounts.set_password("ann", NOW)
    client = world.client(None)
    log_in(client, "ann", password)
    assert client.get("/").status_code == 200
    accounts.set_password("ann", NOW)
    assert client.get("/").status_code == 303
    forged = world.client(None)
    forged.cookies.set(COOKIE, "eyJ1c2VyIjogImRlbW8ifQ==.aR.forged")
    assert forged.get("/").status_code == 303


def test_logging_out_ends_the_session(client: TestClient) -> None:
    assert post(client, "/", "/logout").headers["location"] == "/login"
    assert client.get("/").status_code == 303


@pytest.mark.parametrize("path", ["/", "/proposals/0000000000000001", "/releases", "/status", "/nothing", "/login"])
def test_pages_have_strict_headers_and_no_inline_scripts(world: World, client: TestClient, path: str) -> None:
    fill(world.store, a_proposal(1))
    answer = client.get(path)
    page = Page(answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "script" not in page.tags
    assert "style" not in page.tags | page.attributes


def test_hostile_texts_stay_texts_everywhere(world: World, client: TestClient) -> None:
    hostile = a_proposal(
        1,
        examples=(HOSTILE, "second"),
        answer=HOSTILE,
        sources=(Source(HOSTILE, HOSTILE, 0.5),),
        score_parts=(ScorePart(HOSTILE, 0.5, 1.0),),
        replay=Replay(2, 1, 10, 1, (HOSTILE,)),
    )
    fill(world.store, hostile, HOSTILE, name=HOSTILE)
    fill(world.store, a_proposal(2, people=1), HOSTILE, name=HOSTILE)
    path = "/proposals/0000000000000001"
    sayable = HOSTILE.replace("{{7*7}}\u202e", "")  # Rasa fills in what stands in braces; nobody sees the other one
    pages = [client.get("/"), client.get(path)]
    refused = post(client, path, f"{path}/approve", {"answer": "</textarea>" + HOSTILE, "name": HOSTILE})
    pages += [refused, post(client, path, f"{path}/approve", {"name": "ok", "answer": sayable})]
    pages += [client.get("/"), client.get("/releases"), client.get(path), client.get("/status")]
    pages += [post(client, "/releases", entry_action(world), {"reason": HOSTILE}), client.get("/releases")]
    assert refused.status_code == 422
    for answer in pages:
        tags = Page(answer.text)
        assert "script" not in tags.tags
        assert "onerror" not in tags.attributes
        assert "<script>" not in answer.text
        assert "49" not in re.findall(r"&#39;(\d+)", answer.text)
    assert "&lt;script&gt;" in pages[0].text


def entry_action(world: World) -> str:
    return f"/entries/{world.store.entries()[0].entry_id}/withdraw"


def test_the_inbox_puts_critical_needs_first(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(9))
    fill(world.store, a_proposal(2), priority=Priority.CRITICAL)
    fill(world.store, a_proposal(3, answer=None))
    html = client.get("/").text
    order = re.findall(r'href="/proposals/0+(\d)"', html)
    assert order == ["2", "9", "3"]
    assert texts.NO_ANSWER_YET in html
    assert "do i get points 2" in html
    assert texts.people(4) in html


def test_the_evidence_is_shown(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1), "my points, <EMAIL_1>")
    html = client.get("/proposals/00000000").text
    for shown in ("my points, &lt;EMAIL_1&gt;", "loyalty.md", "0.62", "where is my order", "Messages agree", "35 %"):
        assert shown in html
    assert texts.PERSON.format(number=2) in html
    assert texts.REPLAY_FIXES.format(fixed=1, failures=2) in html


def test_approving_publishes_and_writes_the_branch(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    version = world.store.overlay_version()
    answer = post(client, "/proposals/0000000000000001", "/proposals/0000000000000001/approve", WITH_ANSWER)
    said = client.get("/").text
    entry, release = world.store.entries()[0], world.store.releases()[0]
    assert answer.status_code == 303
    assert "Release 1: learned/question_1 is live." in said
    assert entry.answer == "One point for each dollar."
    assert world.store.overlay_version() > version
    assert (release.who, release.commit) == ("demo", branch_tip(world))
    assert release.commit in said or str(release.commit)[:10] in said
    assert "Release 1" not in client.get("/").text, "a notice is shown once"
    assert [row.what for row in world.store.audit_rows()] == ["propose", "approve", "publish"]


def test_editing_approves_what_the_person_wrote(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1, answer=None, sources=()))
    path = "/proposals/0000000000000001"
    empty = post(client, path, f"{path}/approve", {"keep": ["1"]})
    changes = {"name": "Points Program", "answer": "Ten points.", "keep": ["1"], "more": "bonus points?"}
    done = post(client, path, f"{path}/approve", changes)
    entry = world.store.entries()[0]
    assert empty.status_code == 422
    assert texts.NEED_ANSWER in empty.text
    assert done.status_code == 303
    assert (entry.label, entry.answer) == ("learned/points_program", "Ten points.")
    assert entry.examples == ("loyalty points 1?", "bonus points?")
    assert world.store.audit_rows()[1].what == "edit"


def test_a_refused_form_keeps_what_was_typed(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    path = "/proposals/0000000000000001"
    answer = post(client, path, f"{path}/approve", {"answer": "My own words", "keep": [], "more": ""})
    assert answer.status_code == 422
    assert texts.NEED_EXAMPLES in answer.text
    assert "My own words" in answer.text
    assert world.store.proposal("0000000000000001").state is ProposalState.PENDING


@pytest.mark.parametrize(
    "changes", [{"name": "taken", "answer": "Two."}, {"answer": "a { lone brace"}, {"keep": [], "more": "[]"}]
)
def test_what_the_loop_refuses_is_said_beside_the_form(
    world: World, client: TestClient, changes: dict[str, Any]
) -> None:
    fill(world.store, a_proposal(1))
    path = "/proposals/0000000000000001"
    answer = post(client, path, f"{path}/approve", {**WITH_ANSWER, **changes})
    assert answer.status_code == 422
    assert "Not accepted: this proposal has " in answer.text
    assert f'action="{path}/approve"' in answer.text
    assert world.store.entries() == []


def test_rejecting_needs_a_reason_and_keeps_it(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    path = "/proposals/0000000000000001"
    silent = post(client, path, f"{path}/reject", {"reason": " "})
    done = post(client, path, f"{path}/reject", {"reason": "not our business"})
    assert silent.status_code == 422
    assert texts.NEED_REASON in silent.text
    assert done.status_code == 303
    assert world.store.proposal("0000000000000001").state is ProposalState.REJECTED
    assert world.store.audit_rows()[-1].reason == "not our business"
    assert world.store.entries() == []


def test_deferring_until_a_date_or_a_volume(world: World, client: TestClient) -> None:
    for number in (1, 2):
        fill(world.store, a_proposal(number))
    one, two = "/proposals/0000000000000001", "/proposals/0000000000000002"
    past = post(client, one, f"{one}/defer", {"until": "date", "date": "2020-01-01"})
    post(client, one, f"{one}/defer", {"until": "date", "date": "2025-12-01"})
    post(client, two, f"{two}/defer", {"until": "doubled"})
    html = client.get("/").text
    assert past.status_code == 422
    assert world.store.proposal("0000000000000001").deferred_until == datetime(2025, 12, 1, tzinfo=timezone.utc)
    assert world.store.proposal("0000000000000002").deferred_turns == 4
    assert "until 1 Dec 2025" in html
    assert texts.NOTHING_WAITS in html


@pytest.mark.parametrize("second", ["approve", "reject", "defer"])
def test_the_second_decision_is_told_who_was_first(world: World, second: str) -> None:
    fill(world.store, a_proposal(1))
    path = "/proposals/0000000000000001"
    ann, bob = world.client(), world.client()
    opened = {"reason": "late", "until": "doubled", "keep": "0", "name": "x", "answer": "x"}
    fields = {**opened, **{name: value for name, value in Page(bob.get(path).text).forms[f"{path}/{second}"] if value}}
    assert post(ann, path, f"{path}/approve", WITH_ANSWER).status_code == 303
    late = bob.post(f"{path}/{second}", data=fields)
    assert late.status_code == 409
    assert texts.DECIDED_FIRST.format(state="live") in late.text
    assert len(world.store.releases()) == 1


def test_a_decision_that_comes_in_between_is_a_conflict_too(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(world.store, a_proposal(1))
    path, genuine = "/proposals/0000000000000001", pipeline.review

    def overtaken(loop: Loop, decision: Decision) -> Any:
        monkeypatch.setattr(pipeline, "review", genuine)
        genuine(loop, Decision(decision.proposal_id, Action.REJECT, "bob", NOW, reason="no"))
        return genuine(loop, decision)

    monkeypatch.setattr(pipeline, "review", overtaken)
    answer = post(client, path, f"{path}/approve", WITH_ANSWER)
    assert answer.status_code == 409
    assert texts.DECIDED_FIRST.format(state="rejected") in answer.text


def test_nobody_approves_what_they_have_not_seen(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    path = "/proposals/0000000000000001"
    fields = dict(Page(client.get(path).text).forms[f"{path}/approve"])
    world.store.save_proposals([a_proposal(1, examples=("something else",))], NOW)
    answer = client.post(f"{path}/approve", data={**fields, **WITH_ANSWER})
    assert answer.status_code == 409
    assert texts.CHANGED in answer.text
    assert "something else" in answer.text
    assert world.store.entries() == []


def test_withdrawing_takes_the_entry_back(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    post(client, "/proposals/0000000000000001", "/proposals/0000000000000001/approve", WITH_ANSWER)
    action = entry_action(world)
    fields = dict(Page(client.get("/releases").text).forms[action])
    silent = client.post(action, data=fields)
    done = client.post(action, data={**fields, "reason": "prices changed"})
    again = client.post(action, data={**fields, "reason": "prices changed"})
    assert silent.status_code == 422
    assert done.status_code == 303
    assert again.status_code == 409
    assert "is withdrawn now" in again.text
    assert world.store.entries()[0].state is ProposalState.WITHDRAWN
    with git.Repo(world.root) as repository:
        assert not [item for item in repository.commit(branch_tip(world)).tree.traverse() if "entry-" in str(item.path)]


def test_unknown_ids_are_not_found(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    token = dict(Page(client.get("/").text).forms["/logout"])
    assert client.get("/proposals/ffff").status_code == 404
    assert client.post("/proposals/ffff/reject", data={**token, "reason": "x"}).status_code == 404
    assert client.post("/entries/ffff/withdraw", data={**token, "reason": "x"}).status_code == 404


def test_a_failing_branch_is_a_warning_and_can_be_finished(world: World, client: TestClient) -> None:
    class Refusing:
        def propose(self, files: Mapping[str, str], message: str) -> str | None:
            raise PublishError("could not be written", "branch x", "correct the repository")

    hub = world.app.state.hub
    world.app.state.hub = replace(hub, loop=replace(world.loop, host=Refusing()))
    fill(world.store, a_proposal(1))
    post(client, "/proposals/0000000000000001", "/proposals/0000000000000001/approve", WITH_ANSWER)
    warned = client.get("/").text
    failing = post(client, "/releases", "/releases/publish")
    world.app.state.hub = hub
    finished = post(client, "/releases", "/releases/publish")
    assert "branch x could not be written; correct the repository." in warned
    assert failing.status_code == 503
    assert "could not be written" in failing.text
    assert finished.status_code == 303
    assert world.store.releases()[0].commit == branch_tip(world)


def test_a_broken_learning_database_is_said_clearly(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{world.root / 'broken.db'}"
    broken = Store(url)
    world.app.state.hub = replace(world.app.state.hub, loop=replace(world.loop, store=broken))
    (world.root / "broken.db").write_bytes(b"no database" * 1000)
    for side in ("-wal", "-shm"):
        (world.root / f"broken.db{side}").unlink(missing_ok=True)
    answer = client.get("/status")
    assert answer.status_code == 503
    assert "learning database" in answer.text


def test_what_nobody_foresaw_shows_no_details(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Store) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(Store, "gaps", fail)
    answer = client.get("/")
    assert answer.status_code == 500
    assert texts.ERROR_TITLES[500] in answer.text
    assert "secret detail" not in answer.text
    assert "content-security-policy" in answer.headers


def test_huge_and_damaged_forms_are_refused(client: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert client.post("/logout", content=b"a=" + b"x" * 300_000, headers=headers).status_code == 413
    assert client.post("/logout", content=b"\xff\xff", headers=headers).status_code == 400
    assert client.get("/").status_code == 200


def test_status_counts_what_is_there(world: World, client: TestClient) -> None:
    fill(world.store, a_proposal(1))
    html = client.get("/status").text
    assert texts.AUDIT_WHOLE in html
    assert texts.SIGNAL_KINDS["fallback"] in html
    assert "100.0 %" in html
    assert client.get("/healthz").text == "ok\n"
