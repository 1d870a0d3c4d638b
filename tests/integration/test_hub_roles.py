"""Who may do what, for every route of the table: a new one cannot be forgotten here."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import pytest

from hub import texts
from hub.app import OPEN_ROUTES, ROUTES, STAFF_ROUTES
from hub.guard import LIVE, is_public
from hub.routing import StaffRoute
from hub.staff.roles import RIGHTS, Right, Role
from tests.hub_world import HOSTILE, Page, TestClient, World, a_proposal, fill
from tests.hub_world import project as project
from tests.hub_world import world as world

UNKNOWN = "0000000000000009"
HOSTILE_IDS = ("%00", "..%2f..%2fetc", "'; DROP TABLE gaps; --", "-1", "9" * 40, "١٢", "🌲", HOSTILE, "%", "a" * 3000)
QUERY = re.findall(
    r"\w+",
    """after before channel compare cursor days feedback from gap intent item max_conf min_conf mine model mood n next
    outcome page period person q reason release seed signal since sort state tag text to topic until what who""",
)
READING = [route for route in STAFF_ROUTES if "GET" in route.methods and route.path != LIVE]
DOING = [route for route in STAFF_ROUTES if "POST" in route.methods]


def address(route: Any, value: str = UNKNOWN) -> str:
    return re.sub(
        r"\{[^}]+?(:int|:serial)?\}", lambda part: "9" if part.group(1) else quote(value, safe="%"), route.path
    )


def may(role: Role, route: StaffRoute) -> bool:
    return route.right is None or route.right in RIGHTS[role]


def token_of(client: TestClient) -> str:
    return dict(Page(client.get("/account").text).forms["/logout"])["csrf"]


@contextmanager
def unchanged(world: World) -> Iterator[None]:
    """Check that nobody writes to the learning database or to the accounts meanwhile."""
    with closing(sqlite3.connect(world.root / "var/learning.db")) as watcher:
        before = watcher.execute("PRAGMA data_version").fetchone(), world.accounts.all()
        yield
        assert (watcher.execute("PRAGMA data_version").fetchone(), world.accounts.all()) == before


def test_every_route_names_its_right() -> None:
    assert {route.path for route in ROUTES} == {route.path for route in (*STAFF_ROUTES, *OPEN_ROUTES)}
    assert all(isinstance(route, StaffRoute) for route in STAFF_ROUTES)
    for_all = {route.path for route in STAFF_ROUTES if route.right is None}
    assert for_all == {LIVE, "/account", "/account/password", "/account/sessions"}
    assert {route.path for route in OPEN_ROUTES if not is_public(route.path)} == {"/logout"}
    looking = {route.path for route in DOING if route.right is Right.LOOK}
    assert looking == set(), "what changes something needs more than the right to look"


@pytest.mark.parametrize("role", Role)
def test_each_role_sees_what_it_may_and_nothing_else(world: World, role: Role) -> None:
    fill(world.store, a_proposal(1))
    client = world.client(role=role)
    world.client("demo").get("/metrics")  # whoever looks first brings the kept figures of the days up to date
    wrong = []
    with unchanged(world):
        for route in READING:
            answer = client.get(address(route))
            is_forbidden = answer.status_code == 403 and texts.FORBIDDEN in answer.text
            if is_forbidden is may(role, route) or answer.status_code >= 500:
                wrong.append((route.path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
def test_each_role_does_what_it_may_and_nothing_else(world: World, role: Role) -> None:
    fill(world.store, a_proposal(1))
    client = world.client(role=role)
    token = token_of(client)
    wrong = []
    with unchanged(world):
        for route in (route for route in DOING if not may(role, route)):
            for value in (UNKNOWN, "0000000000000001"):
                answer = client.post(address(route, value), data={"csrf": token, "reason": "x", "name": "x"})
                if answer.status_code != 403 or texts.FORBIDDEN not in answer.text:
                    wrong.append((route.path, answer.status_code))
    for route in (route for route in DOING if may(role, route)):
        answer = client.post(address(route), data={"csrf": token})
        if answer.status_code == 403 or answer.status_code >= 500:
            wrong.append((route.path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("token", [None, "", "wrong", "another session's"])
def test_no_form_is_taken_without_the_token_of_its_session(world: World, token: str | None) -> None:
    fill(world.store, a_proposal(1))
    client = world.client("demo")
    sent = token_of(world.client("demo")) if token == "another session's" else token
    wrong = []
    with unchanged(world):
        for route in (*DOING, *(one for one in OPEN_ROUTES if "POST" in one.methods)):
            data = {"reason": "x", "name": "x"} if sent is None else {"reason": "x", "name": "x", "csrf": sent}
            answer = client.post(address(route, "0000000000000001"), data=data)
            if answer.status_code != 403 or texts.ERROR_TITLES[403] not in answer.text:
                wrong.append((route.path, answer.status_code))
    assert wrong == []


def test_nobody_who_is_not_logged_in_gets_anywhere(world: World) -> None:
    fill(world.store, a_proposal(1))
    client = world.client(None)
    client.get("/login")
    wrong = []
    with unchanged(world):
        for route in STAFF_ROUTES:
            where = address(route, "0000000000000001")
            is_get = "GET" in route.methods
            answer = client.get(where) if is_get else client.post(where, data={"reason": "x"})
            expected = (303, "/login") if is_get else (401, "")
            if route.path == LIVE:
                expected = (204, "")  # a browser would take the login page for a broken stream
            if (answer.status_code, answer.headers.get("location", "")[:6]) != expected or "loyalty" in answer.text:
                wrong.append((route.path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("value", HOSTILE_IDS)
def test_no_address_breaks_a_page(world: World, value: str) -> None:
    client = world.client("demo")
    token = token_of(client)
    wrong = []
    for route in (route for route in (*READING, *DOING) if "{" in route.path):
        where = address(route, value)
        answer = (
            client.get(where) if "GET" in route.methods else client.post(where, data={"csrf": token, "reason": "x"})
        )
        if answer.status_code >= 500 or "<script>alert" in answer.text:
            wrong.append((route.path, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("value", ["", "'", "-1", "9" * 30, "2026-99-99", "\x00", "%", HOSTILE, "nan", "١٢"])
def test_no_query_breaks_a_page(world: World, value: str) -> None:
    client = world.client("demo")
    wrong = []
    for route in READING:
        answer = client.get(address(route), params=dict.fromkeys(QUERY, value))
        is_page = answer.headers["content-type"].startswith("text/html")
        if answer.status_code >= 500 or (is_page and "<script>alert" in answer.text):
            wrong.append((route.path, answer.status_code))
    assert wrong == []


def test_pages_have_nothing_inline_and_are_kept_nowhere(world: World) -> None:
    fill(world.store, a_proposal(1), HOSTILE, name=HOSTILE)
    client = world.client("demo")
    wrong = []
    for route in READING:
        answer = client.get(address(route, "0000000000000001"))
        policy, page = answer.headers["content-security-policy"], Page(answer.text)
        strict = "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'self';" in policy
        inline = {"script", "style", "iframe", "object", "embed"} & page.tags
        inline |= {one for one in page.attributes if one == "style" or one.startswith("on")}
        kept = answer.headers["cache-control"] != "no-store" or answer.headers["x-content-type-options"] != "nosniff"
        if not strict or inline or kept:
            wrong.append((route.path, policy, inline, answer.headers["cache-control"]))
    assert wrong == []


def test_what_a_role_may_not_do_is_not_offered(world: World) -> None:
    fill(world.store, a_proposal(1))
    wrong = []
    for role in Role:
        client = world.client(role=role)
        for route in (route for route in READING if may(role, route)):
            for action in Page(client.get(address(route, "0000000000000001")).text).forms:
                forbidden = [one for one in DOING if one.path_regex.match(action) and not may(role, one)]
                if forbidden:
                    wrong.append((role.value, route.path, action))
    assert wrong == []


def test_secrets_are_on_no_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name, password = world.somebody(Role.REVIEWER, "ann")
    client = world.client("demo")
    hashes = sqlite3.connect(world.root / "var/hub.db").execute("SELECT password_hash FROM accounts").fetchall()
    secrets = [password, world.app.state.hub.settings.secret, *(one for (one,) in hashes), "argon2"]
    for route in READING:
        shown = client.get(address(route, name)).text
        assert [one for one in secrets if one in shown] == [], route.path
