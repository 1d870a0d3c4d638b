"""Accounts, sessions and settings as people change them in the hub."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.__main__ import cli
from hub.app import COOKIE
from hub.errors import AccountError
from hub.staff.accounts import MIN_PASSWORD
from hub.staff.roles import Role
from hub.texts import staff as texts
from learning import bootstrap
from learning.errors import StoreError
from learning.overrides import SETTABLE
from tests.hub_world import NOW, PASSWORD, Page, TestClient, World, log_in, post
from tests.hub_world import project as project
from tests.hub_world import world as world

LIST = "/settings/accounts"
LONG = "a new password of my own"


@pytest.fixture
def admin(world: World) -> Iterator[TestClient]:
    with world.client(role=Role.ADMIN) as client:
        yield client


def shown_password(answer: Any) -> str:
    found = re.search(r'class="secret">([^<]+)<', answer.text)
    assert found is not None
    return found.group(1)


def rows(world: World) -> list[tuple[str, str, str, str]]:
    return [(row.what, row.item, row.before, row.after) for row in world.store.audit_rows()]


def test_an_account_is_made_and_its_password_shown_once(world: World, admin: TestClient) -> None:
    answer = post(admin, LIST, LIST, {"name": "Ann.Lee", "role": "agent"})
    password = shown_password(answer)
    assert password not in admin.get(LIST).text
    client = world.client(None)
    assert log_in(client, "ann.lee", password).headers["location"] == "/desk"
    assert client.get(LIST).status_code == 403
    assert rows(world) == [("account-add", "ann.lee", "", "agent")]
    assert world.store.audit_rows()[0].who == world.accounts.all()[0].name


@pytest.mark.parametrize(
    ("name", "role"), [("", "agent"), ("a b", "agent"), ("demo", "agent"), ("ann", "boss"), ("ann", "")]
)
def test_what_cannot_be_an_account_is_said_and_what_was_typed_stays(
    world: World, admin: TestClient, name: str, role: str
) -> None:
    answer = post(admin, LIST, LIST, {"name": name, "role": role})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert f'value="{name}"' in answer.text
    assert len(world.accounts.all()) == 1
    assert rows(world) == []


def test_a_name_that_is_taken_is_not_taken_over(world: World, admin: TestClient) -> None:
    name, password = world.somebody(Role.VIEWER, "ann")
    assert post(admin, LIST, LIST, {"name": name, "role": "admin"}).status_code == 422
    assert (world.accounts.known(name).role, world.accounts.verify(name, password)) == (Role.VIEWER, True)


def test_a_new_role_holds_with_the_next_click(world: World, admin: TestClient) -> None:
    client = world.client("ann", Role.VIEWER)
    assert client.get("/audit").status_code == 403
    assert post(admin, LIST, f"{LIST}/ann/role", {"role": "reviewer"}).status_code == 303
    assert texts.DONE_ROLE.format(name="ann", role="Reviewer") in admin.get(LIST).text
    assert client.get("/audit").status_code == 200
    assert rows(world) == [("account-role", "ann", "viewer", "reviewer")]


@pytest.mark.parametrize("what", ["close", "remove", "password"])
def test_what_ends_an_account_ends_its_sessions(world: World, admin: TestClient, what: str) -> None:
    name, password = world.somebody(Role.VIEWER, "ann")
    client = world.client(None)
    log_in(client, name, password)
    assert client.get("/status").status_code == 200
    answer = post(admin, LIST, f"{LIST}/ann/{what}")
    assert client.get("/status").status_code == 303
    assert log_in(world.client(None), name, password).status_code == 401
    if what == "password":
        assert log_in(world.client(None), name, shown_password(answer)).status_code == 303
    if what == "close":
        post(admin, LIST, f"{LIST}/ann/open")
        assert client.get("/status").status_code == 303, "the old session stays ended"
        assert log_in(world.client(None), name, password).status_code == 303
    assert rows(world)[0][:2] == (f"account-{what}", "ann")


@pytest.mark.parametrize(("what", "fields"), [("close", {}), ("remove", {}), ("role", {"role": "viewer"})])
def test_the_last_admin_stays(world: World, admin: TestClient, what: str, fields: dict[str, str]) -> None:
    (name,) = [one.name for one in world.accounts.all()]
    world.accounts.admit("outside", "https://id.example|1", Role.ADMIN, NOW)
    answer = post(admin, LIST, f"{LIST}/{name}/{what}", fields)
    assert (answer.status_code, "last one" in answer.text) == (422, True)
    assert admin.get(LIST).status_code == 200
    assert [row for row in rows(world) if row[1] == name] == []


def test_what_cannot_be_noted_is_not_done(world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise StoreError("is away", "learning database", "start it")

    monkeypatch.setattr(type(world.store), "note", broken)
    world.somebody(Role.VIEWER, "ann")
    assert post(admin, LIST, f"{LIST}/ann/role", {"role": "admin"}).status_code == 503
    assert post(admin, LIST, LIST, {"name": "bob", "role": "admin"}).status_code == 503
    assert [(one.name, one.role) for one in world.accounts.all() if one.name in ("ann", "bob")] == [
        ("ann", Role.VIEWER)
    ]


@pytest.mark.parametrize("what", ["close", "open", "remove", "password"])
def test_an_account_that_is_not_there(world: World, admin: TestClient, what: str) -> None:
    token = {"csrf": dict_of(admin)["csrf"]}
    assert admin.post(f"{LIST}/nobody/{what}", data=token).status_code == 422
    assert len(world.accounts.all()) == 1


def dict_of(client: TestClient) -> dict[str, str]:

    return dict(Page(client.get("/account").text).forms["/logout"])


def test_people_choose_their_own_password(world: World) -> None:
    name, password = world.somebody(Role.AGENT, "ann")
    here, elsewhere = world.client(None), world.client(None)
    for client in (here, elsewhere):
        log_in(client, name, password)
    cookie = here.cookies[COOKIE]
    wrong = post(here, "/account", "/account/password", {"old": "guess", "new": LONG, "again": LONG})
    typo = post(here, "/account", "/account/password", {"old": password, "new": LONG, "again": LONG + "x"})
    less = "x" * (MIN_PASSWORD - 1)
    short = post(here, "/account", "/account/password", {"old": password, "new": less, "again": less})
    assert [one.status_code for one in (wrong, typo, short)] == [422, 422, 422]
    assert LONG not in wrong.text + typo.text
    done = post(here, "/account", "/account/password", {"old": password, "new": LONG, "again": LONG})
    assert done.status_code == 303
    assert texts.DONE_PASSWORD in here.get("/account").text
    assert here.cookies[COOKIE] != cookie
    assert elsewhere.get("/account").status_code == 303
    assert [log_in(world.client(None), name, one).status_code for one in (password, LONG)] == [401, 303]
    assert rows(world) == [("account-password", "ann", "", "own password")]


def test_a_session_that_was_left_open_is_no_place_to_guess_the_password(world: World) -> None:
    client = world.client("ann", Role.VIEWER)
    guesses = [
        post(
            client, "/account", "/account/password", {"old": f"guess {number}", "new": LONG, "again": LONG}
        ).status_code
        for number in range(4)
    ]
    assert guesses == [422, 422, 422, 429]


def test_logging_out_ends_the_session_on_the_server(world: World) -> None:
    client = world.client("demo")
    stolen = client.cookies[COOKIE]
    post(client, "/", "/logout")
    thief = world.client(None)
    thief.cookies.set(COOKIE, stolen)
    assert thief.get("/").status_code == 303


def test_logging_in_takes_a_new_session(world: World) -> None:
    client = world.client(None)
    client.get("/login")
    prepared = client.cookies[COOKIE]
    log_in(client, "demo", PASSWORD)
    other = world.client(None)
    other.cookies.set(COOKIE, prepared)
    assert other.get("/").status_code == 303
    assert client.get("/login").headers["location"] == "/", "who is logged in already is sent on"


def test_other_devices_are_logged_out(world: World) -> None:
    here, elsewhere, other = world.client("demo"), world.client("demo"), world.client("ann", Role.VIEWER)
    post(here, "/account", "/account/sessions")
    assert texts.DONE_ENDED.format(count=1) in here.get("/account").text
    assert [client.get("/status").status_code for client in (here, elsewhere, other)] == [200, 303, 200]


@pytest.mark.parametrize(("clicks", "status"), [(0, 303), (1, 200)])
def test_a_session_ends_when_nobody_does_anything(world: World, clicks: int, status: int) -> None:
    client, settings = world.client("demo"), world.app.state.hub.settings
    world.session_clock.at += timedelta(seconds=settings.idle_seconds - 1)
    for _ in range(clicks):
        client.get("/status")
    world.session_clock.at += timedelta(seconds=2)
    assert client.get("/status").status_code == status


def test_a_session_does_not_last_for_ever(world: World) -> None:
    client, settings = world.client("demo"), world.app.state.hub.settings
    end = world.session_clock.at + timedelta(seconds=settings.session_seconds)
    while world.session_clock.at + timedelta(seconds=settings.idle_seconds / 2) < end:
        world.session_clock.at += timedelta(seconds=settings.idle_seconds / 2)
        assert client.get("/status").status_code == 200
    world.session_clock.at = end
    assert client.get("/status").status_code == 303


def test_a_copy_of_the_database_opens_nothing(world: World) -> None:
    client = world.client("demo")
    content = (world.root / "var/hub.db").read_bytes()
    cookie = client.cookies[COOKIE]
    assert cookie.encode() not in content
    assert PASSWORD.encode() not in content


def test_a_form_after_the_end_of_a_session_leads_back(world: World) -> None:
    client = world.client("demo")
    own = {"referer": "http://hub.test/status?a=1&b=2"}
    client.cookies.clear()
    answer = client.post("/logout", data={"csrf": "x"}, headers=own)
    assert "/login?next=/status%3Fa%3D1%26b%3D2" in answer.text
    for foreign in (
        "https://evil.example/",
        "http://hub.test.evil.example/x",
        "http://hub.test//evil.example",
        "x",
        "",
    ):
        page = client.post("/logout", data={"csrf": "x"}, headers={"referer": foreign}).text
        assert "evil" not in page


def test_the_command_line_notes_who_made_an_account(world: World) -> None:
    runner = CliRunner()
    arguments = ["--project", str(world.root), "account", "ann", "--role", "agent"]
    done = runner.invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert world.accounts.known("ann").role is Role.AGENT
    assert rows(world) == [("account-add", "ann", "", "agent")]
    password = re.search(r"password (\S+) ", done.output)
    assert password is not None
    assert world.accounts.verify("ann", password.group(1))


def test_no_password_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log_in(world.client(None), "demo", "a wrong password that somebody typed")
        log_in(world.client(None), "demo", PASSWORD)
    assert "a wrong password" not in caplog.text
    assert PASSWORD not in caplog.text


def setting(client: TestClient, key: str, value: str) -> Any:
    return post(client, "/settings", f"/settings/{key}/set", {"value": value})


def test_a_setting_holds_at_once_and_for_every_process(world: World, admin: TestClient) -> None:
    before = bootstrap.build(world.root).settings
    assert setting(admin, "gaps.min_people", "7").status_code == 303
    assert texts.DONE_SET.format(label=texts.LABELS["gaps.min_people"][0], value="7") in admin.get("/settings").text
    assert before.gaps.min_people == 3
    assert world.app.state.hub.loop.settings.gaps.min_people == 7
    assert bootstrap.build(world.root).settings.gaps.min_people == 7
    assert rows(world) == [("setting", "gaps.min_people", "3", "7")]
    assert post(admin, "/settings", "/settings/gaps.min_people/reset").status_code == 303
    assert bootstrap.build(world.root).settings.gaps.min_people == 3
    assert rows(world)[-1] == ("setting", "gaps.min_people", "7", "3")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("autonomy.level", "moderate", "moderate"),
        ("autonomy.excluded", "pricing, legal,legal", ("pricing", "legal")),
        ("autonomy.excluded_words", "", ()),
        ("rollout.steps", "5, 25 ,100", (5, 25, 100)),
        ("signals.low_confidence", " 0.6 ", 0.6),
        ("schedule.retrain_cron", "30 2 * * mon", "30 2 * * mon"),
        ("desk.hours", "Mon-Fri 08:00-18:00, Sun 10:00-12:00", ("Mon-Fri 08:00-18:00", "Sun 10:00-12:00")),
        ("desk.closed_days", "2026-12-25", ("2026-12-25",)),
        ("desk.time_zone", "Europe/Berlin", "Europe/Berlin"),
    ],
)
def test_each_kind_of_setting_can_be_set(
    world: World, admin: TestClient, key: str, value: str, expected: object
) -> None:
    assert setting(admin, key, value).status_code == 303
    section, _, name = key.partition(".")
    assert getattr(getattr(bootstrap.build(world.root).settings, section), name) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("autonomy.level", "reckless"),
        ("desk.hours", "Mon-Fri 8-18"),
        ("desk.hours", ","),
        ("desk.closed_days", "Christmas"),
        ("desk.time_zone", "Mars/Olympus"),
        ("autonomy.excluded", "pricing, weather"),
        ("autonomy.daily_limit", "ten"),
        ("autonomy.daily_limit", "2.5"),
        ("autonomy.daily_limit", "-1"),
        ("autonomy.daily_limit", "9" * 400),
        ("autonomy.daily_limit", "9" * 5000),
        ("rollout.steps", "50, 25"),
        ("rollout.steps", "0"),
        ("rollout.hours", "nan"),
        ("rollout.hours", "inf"),
        ("signals.low_confidence", "1.01"),
        ("schedule.retrain_cron", "every sunday"),
        ("metrics.currency", ""),
        ("autonomy.excluded_words", "x" * 300),
    ],
)
def test_what_a_setting_cannot_be_is_said_beside_it(world: World, admin: TestClient, key: str, value: str) -> None:
    answer = setting(admin, key, value)
    assert answer.status_code == 422
    assert 'id="problem"' in answer.text
    if not key.endswith("level"):
        assert f'value="{value}"' in answer.text
    assert world.store.setting_overrides() == {}
    assert rows(world) == []


def test_two_admins_do_not_overwrite_each_other(world: World, admin: TestClient) -> None:
    page = admin.get("/settings").text
    other = world.client("demo")
    setting(other, "gaps.min_people", "5")

    fields = dict(Page(page).forms["/settings/gaps.min_people/set"])
    answer = admin.post("/settings/gaps.min_people/set", data={**fields, "value": "9"})
    assert (answer.status_code, texts.SET_MEANWHILE in answer.text) == (409, True)
    assert world.app.state.hub.loop.settings.gaps.min_people == 5


def test_a_second_click_is_no_conflict(world: World, admin: TestClient) -> None:
    fields = dict(Page(admin.get("/settings").text).forms["/settings/gaps.min_people/set"])
    for _ in range(2):
        assert admin.post("/settings/gaps.min_people/set", data={**fields, "value": "4"}).status_code == 303
    fields = dict(Page(admin.get("/settings").text).forms["/settings/gaps.min_people/reset"])
    for _ in range(2):
        assert admin.post("/settings/gaps.min_people/reset", data=fields).status_code == 303
    assert [row.after for row in world.store.audit_rows()] == ["4", "3"]


def test_the_environment_locks_a_setting(world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    setting(admin, "autonomy.level", "advanced")
    monkeypatch.setenv("EVERGREEN_SET_AUTONOMY__LEVEL", "conservative")
    page = admin.get("/settings").text
    assert texts.LOCKED.format(variable="EVERGREEN_SET_AUTONOMY__LEVEL") in page
    assert 'action="/settings/autonomy.level/set"' not in page
    assert bootstrap.build(world.root).settings.autonomy.level == "conservative"
    data = {"csrf": dict_of(admin)["csrf"], "value": "moderate", "seen": '"advanced"'}
    assert admin.post("/settings/autonomy.level/set", data=data).status_code == 422
    assert world.store.setting_overrides() == {"autonomy.level": '"advanced"'}


def test_settings_that_nobody_knows_any_more_keep_nothing_from_starting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.store.set_override("gaps.gone", "1", None, "ann", NOW, ("", "1"))
    world.store.set_override("gaps.min_people", '"many"', None, "ann", NOW, ("3", "many"))
    assert bootstrap.build(world.root).settings.gaps.min_people == 3
    assert "gaps.gone" in caplog.text
    assert "gaps.min_people" in caplog.text


def test_a_long_value_is_whole_in_the_audit_log(world: World, admin: TestClient) -> None:
    words = ", ".join(f"word{number}" for number in range(12))
    setting(admin, "autonomy.excluded_words", words)
    row = world.store.audit_rows()[-1]
    assert (len(row.after), row.reason) == (32, f"from nothing to {words}")
    assert world.store.verify_audit() == []


@pytest.mark.parametrize("key", ["bot.url", "store.url", "gaps.nothing", "x"])
def test_nothing_else_can_be_set(admin: TestClient, key: str) -> None:
    data = {"csrf": dict_of(admin)["csrf"], "value": "1"}
    assert admin.post(f"/settings/{key}/set", data=data).status_code == 404
    assert admin.post(f"/settings/{key}/reset", data=data).status_code == 404


def test_every_setting_has_a_name_and_a_section() -> None:

    assert {one.key for one in SETTABLE} == set(texts.LABELS)
    assert {one.section for one in SETTABLE} <= set(texts.SECTIONS)


def test_an_account_error_says_what_to_do(world: World) -> None:
    with pytest.raises(AccountError, match="12 to 200"):
        world.accounts.change_password("ann", "x", "short")
