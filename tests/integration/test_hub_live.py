"""Live updates over a real connection: what moves is told, to those who may see it, for as long as they may."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hub import app, live
from hub.live import Live, Topic
from hub.staff.roles import Right, Role
from tests.hub_world import Page, World, serving
from tests.hub_world import project as project
from tests.hub_world import world as world

SECONDS = 10


class Marks:
    """A thing that moves when a test says so."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, right: Right = Right.LOOK) -> None:
        self.mark, self.reads, self.broken = "1", 0, False
        topics = (Topic("thing", self.read, right), Topic("still", lambda hub: "same", Right.LOOK))
        world.app.state.live = Live(world.app.state.hub, topics)
        monkeypatch.setattr(live, "PAUSE", 0.02)

    def read(self, hub: Any) -> str:
        self.reads += 1
        if self.broken:
            raise RuntimeError("a mistake in an area")
        return self.mark


@contextmanager
def listening(world: World, address: str, role: Role, *topics: str) -> Iterator[Iterator[tuple[str, Any]]]:
    with httpx.Client(base_url=address, timeout=SECONDS) as client:
        name, password = world.somebody(role)
        fields = dict(Page(client.get("/login").text).forms["/login"])
        client.post("/login", data={**fields, "name": name, "password": password})
        with client.stream("GET", "/live", params=[("topic", topic) for topic in topics]) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            yield events(answer)


def events(answer: httpx.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if kind == "event":
            name = value
        elif kind in ("data", "data:"):
            yield name, json.loads(value) if value else None


def test_what_moves_is_told_and_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks(world, monkeypatch)
    with serving(world.app) as address, listening(world, address, Role.VIEWER, "thing", "still", "unknown") as told:
        assert next(told) == ("marks", {"thing": "1", "still": "same"})
        marks.mark = "2"
        assert next(told) == ("marks", {"thing": "2"})


def test_a_stream_that_comes_back_is_told_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks(world, monkeypatch)
    with serving(world.app) as address:
        with listening(world, address, Role.VIEWER, "thing") as told:
            next(told)
        marks.mark = "2"
        with listening(world, address, Role.VIEWER, "thing") as told:
            assert next(told) == ("marks", {"thing": "2"})


def test_nobody_is_told_of_what_they_may_not_see(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    Marks(world, monkeypatch, Right.DESK)
    with serving(world.app) as address:
        with listening(world, address, Role.REVIEWER, "thing") as told:
            assert next(told) == ("marks", {})
        with listening(world, address, Role.AGENT, "thing", "still") as told:
            assert next(told) == ("marks", {"thing": "1"})


@pytest.mark.parametrize("how", ["logged out", "idle", "too long", "closed", "other role"])
def test_a_stream_ends_with_its_session(world: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    Marks(world, monkeypatch)
    with serving(world.app) as address, listening(world, address, Role.VIEWER, "thing") as told:
        next(told)
        name = next(one.name for one in world.accounts.all() if one.role is Role.VIEWER)
        if how == "logged out":
            world.app.state.hub.sessions.end_others(name, "")
        elif how in ("idle", "too long"):
            settings = world.app.state.hub.settings
            world.session_clock.at += timedelta(
                seconds=getattr(settings, f"{'idle' if how == 'idle' else 'session'}_seconds")
            )
        elif how == "closed":
            world.accounts.set_disabled(name, True)
        else:
            world.accounts.set_role(name, Role.REVIEWER)
        assert next(told) == ("ended", None)
        assert next(told, None) is None


@pytest.mark.parametrize(("headers", "status"), [({"X-Live": "1"}, 303), ({}, 200)])
def test_what_a_script_fetches_does_not_keep_a_session_awake(
    world: World, headers: dict[str, str], status: int
) -> None:
    client = world.client(role=Role.VIEWER)
    half = timedelta(seconds=world.app.state.hub.settings.idle_seconds / 2)
    world.session_clock.at += half
    assert client.get("/status", headers=headers).status_code == 200
    world.session_clock.at += half
    assert client.get("/status", headers=headers).status_code == status


def test_many_streams_share_one_reading(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks(world, monkeypatch)
    shared = world.app.state.live
    monkeypatch.setattr(live, "PAUSE", 3600.0)
    threads = [threading.Thread(target=shared.read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert marks.reads == 1


def test_one_areas_mistake_does_not_silence_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    marks = Marks(world, monkeypatch)
    marks.broken = True
    with serving(world.app) as address, listening(world, address, Role.VIEWER, "thing", "still") as told:
        with caplog.at_level(logging.ERROR, "hub.live"):
            assert next(told) == ("marks", {"still": "same"})
        marks.broken = False
        assert next(told) == ("marks", {"thing": "1"})
    assert len([record for record in caplog.records if "thing" in record.getMessage()]) == 1


def test_a_page_carries_the_marks_from_before_it_was_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = Marks(world, monkeypatch, Right.LOOK)
    client = world.client(role=Role.VIEWER)
    assert 'data-marks="{}"' in client.get("/status").text, "nobody has looked yet: the first stream brings them"
    world.app.state.live.read()
    marks.mark = "2"
    assert "{&#34;still&#34;:&#34;same&#34;,&#34;thing&#34;:&#34;1&#34;}" in client.get("/status").text
    agent = world.client(role=Role.AGENT)
    assert 'data-marks="{}"' in agent.get("/account").text


def test_a_page_that_is_shown_anew_by_a_script_leaves_the_notice(world: World) -> None:
    client = world.client("demo")
    sessions = world.app.state.hub.sessions
    with sessions._database.write() as connection:
        connection.execute("UPDATE sessions SET notice = ?", (json.dumps({"text": "It is done.", "warning": ""}),))
    assert "It is done." not in client.get("/status", headers={"X-Live": "1"}).text
    assert "It is done." in client.get("/status").text
    assert "It is done." not in client.get("/status").text


def test_topics_have_names_of_their_own() -> None:
    names = [topic.name for topic in app.TOPICS]
    assert len(names) == len(set(names))
    assert all(name.isidentifier() or "-" in name for name in names)
