"""The desk's pages over its real database and a real tracker store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from desk import service
from desk.bootstrap import build_desk, read_settings
from desk.desk import Desk
from desk.model import State
from desk.worker import Worker
from hub import texts
from hub.texts import desk as desk_texts
from learning.model import sender_key
from learning.overrides import set_override
from tests.desk_world import ClockedTracker, FakeBot
from tests.hub_world import HOSTILE, NOW, Page, TestClient, World, post
from tests.hub_world import project as project
from tests.hub_world import world as world
from tests.learning_builders import user_data

ENDPOINTS = "tracker_store: {type: SQL, dialect: sqlite, db: var/tracker.db}\n"


class Talks:
    """Customers who were handed over in the hub's project."""

    def __init__(self, world: World) -> None:
        (world.root / "endpoints.yml").write_text(ENDPOINTS)
        self.tracker = ClockedTracker(world.root / "var" / "tracker.db", world.clock)
        self.desk: Desk = build_desk(world.loop.settings, world.clock)
        self.bot = FakeBot(self.tracker)
        self.worker = Worker(self.desk, self.bot)

    def ask(self, sender: str, text: str = "a person please") -> str:
        self.tracker.add(sender, user_data(text, "talk_to_person"))
        value = {"id": sender, "reason": "asked", "live": True, "topic": HOSTILE}
        self.tracker.add(sender, {"event": "slot", "name": "handover", "value": value})
        self.tracker.add(sender, {"event": "pause"})
        self.worker.step()
        found = self.desk.store.newest_of(sender)
        assert found is not None
        return found.handover_id


@pytest.fixture
def talks(world: World) -> Talks:
    return Talks(world)


@pytest.fixture
def agent(world: World) -> Iterator[TestClient]:
    with world.client("demo") as client:
        yield client


def test_an_agent_takes_answers_and_gives_it_back(world: World, talks: Talks, agent: TestClient) -> None:
    handover_id = talks.ask("ann")
    page = f"/desk/{handover_id}"
    assert page in agent.get("/desk").text

    assert post(agent, page, f"{page}/take").status_code == 303
    assert post(agent, page, f"{page}/reply", {"text": "Here I am."}).status_code == 303
    assert desk_texts.PENDING in agent.get(page).text
    talks.worker.step()
    shown = agent.get(page).text
    assert "Here I am." in shown
    assert desk_texts.PENDING not in shown
    assert post(agent, page, f"{page}/finish", {"how": "return", "note": "label sent"}).headers["location"] == "/desk"
    found = talks.desk.store.handover(handover_id)
    assert (found.state, found.note, found.closed_by) == (State.RETURNED, "label sent", "demo")


def test_what_customers_write_stays_text(talks: Talks, agent: TestClient) -> None:
    page = f"/desk/{talks.ask('ann', HOSTILE)}"
    for address in ("/desk", page):
        shown = Page(agent.get(address).text)
        assert "script" not in shown.tags
        assert "onerror" not in shown.attributes


def test_the_second_who_takes_is_told(talks: Talks, agent: TestClient) -> None:
    handover_id = talks.ask("ann")
    page = f"/desk/{handover_id}"
    fields = dict(Page(agent.get(page).text).forms[f"{page}/take"])
    found = talks.desk.store.handover(handover_id)
    service.take(talks.desk, handover_id, "anna", "j1")
    answer = agent.post(f"{page}/take", data=fields)
    assert answer.status_code == 409
    assert "is with anna" in answer.text
    assert found.agent is None


def test_a_chat_whose_agent_has_left_is_offered_to_others(world: World, talks: Talks, agent: TestClient) -> None:
    handover_id = talks.ask("ann")
    page = f"/desk/{handover_id}"
    service.take(talks.desk, handover_id, "anna", "j1")
    left = desk_texts.LEFT_BY.format(who="anna")
    shown = agent.get(page).text
    assert left not in shown
    assert f"{page}/take" not in Page(shown).forms
    world.clock.at += timedelta(seconds=301)
    assert left in agent.get(page).text
    post(agent, page, f"{page}/take")
    assert talks.desk.store.handover(handover_id).agent == "demo"


def test_a_double_click_sends_once_and_an_unseen_message_stops_closing(talks: Talks, agent: TestClient) -> None:
    handover_id = talks.ask("ann")
    page = f"/desk/{handover_id}"
    post(agent, page, f"{page}/take")
    forms = Page(agent.get(page).text).forms
    sent = {**dict(forms[f"{page}/reply"]), "text": "Once."}
    for _ in range(2):
        assert agent.post(f"{page}/reply", data=sent).status_code == 303
    talks.worker.step()
    assert [one.text for one in talks.bot.stored].count("Once.") == 1

    talks.tracker.add("ann", user_data("wait!", "inform"))
    answer = agent.post(f"{page}/finish", data={**dict(forms[f"{page}/finish"]), "how": "resolve", "note": "all done"})
    assert answer.status_code == 409
    assert "new message of the customer" in answer.text
    assert "all done" in answer.text  # what was typed stays
    assert "wait!" in answer.text


def test_a_marked_answer_is_kept_as_what_the_assistant_should_have_said(talks: Talks, agent: TestClient) -> None:
    page = f"/desk/{talks.ask('ann')}"
    post(agent, page, f"{page}/take")
    post(agent, page, f"{page}/reply", {"text": "Points never expire."})
    talks.worker.step()
    assert post(agent, page, f"{page}/teach", {"to": "on"}).status_code == 303
    assert [one.text for one in talks.desk.store.taught()] == ["Points never expire."]
    assert desk_texts.TAUGHT in agent.get(page).text


def test_who_talked_to_whom_is_in_the_audit_log_without_a_word(world: World, talks: Talks, agent: TestClient) -> None:
    handover_id = talks.ask("ann")
    page = f"/desk/{handover_id}"
    post(agent, page, f"{page}/take")
    post(agent, page, f"{page}/reply", {"text": "Points never expire."})
    talks.worker.step()
    post(agent, page, f"{page}/teach", {"to": "on"})
    talks.worker.step()
    post(agent, page, f"{page}/finish", {"how": "resolve", "note": "all said"})
    rows = list(world.loop.store.read_audit(item=sender_key("ann")))
    assert [row.what for row in rows] == ["desk-take", "desk-reply", "desk-recommend", "desk-resolve"]
    assert {(row.who, row.before) for row in rows} == {("demo", handover_id)}
    assert rows[1].after == rows[2].after == talks.desk.store.messages(handover_id)[1].message_id
    assert not any("expire" in repr(row) or "all said" in repr(row) for row in rows)


def test_what_is_set_in_the_hub_holds_for_the_desks_own_process(world: World) -> None:
    set_override(world.loop, "desk.promise_hours", 2.0, None, "ann", {})
    set_override(world.loop, "desk.hours", ("Sun 10:00-12:00",), None, "ann", {})
    set_override(world.loop, "desk.time_zone", "UTC", None, "ann", {})
    settings = read_settings(world.root)
    assert settings.desk.promise_hours == 2.0
    sunday = datetime(2025, 11, 23, 11, tzinfo=timezone.utc)
    hours = build_desk(settings).hours
    assert [hours.is_open(sunday + timedelta(hours=after)) for after in (0, 1, 24)] == [True, False, False]


def test_an_empty_answer_and_an_unknown_chat(talks: Talks, agent: TestClient) -> None:
    page = f"/desk/{talks.ask('ann')}"
    post(agent, page, f"{page}/take")
    answer = post(agent, page, f"{page}/reply", {"text": "  "})
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text
    assert agent.get("/desk/nothing").status_code == 404


def test_only_who_works_at_the_desk_sees_it(world: World, talks: Talks) -> None:
    page = f"/desk/{talks.ask('ann')}"
    with world.client(role="viewer") as viewer:
        assert viewer.get("/desk").status_code == 403
        assert viewer.get(page).status_code == 403
        assert texts.DESK not in viewer.get("/").text
    with world.client(role="agent") as agent:
        assert agent.get(page).status_code == 200


def test_a_promise_that_was_not_kept_is_red(world: World, talks: Talks, agent: TestClient) -> None:
    value = {"id": "x", "reason": "asked", "live": False, "due_at": NOW.isoformat()}
    talks.tracker.add("bea", user_data("a person", "talk_to_person"))
    talks.tracker.add("bea", {"event": "slot", "name": "handover", "value": value})
    talks.worker.step()
    assert "desk-item overdue" not in agent.get("/desk").text
    world.clock.at = NOW.replace(hour=13)
    assert "desk-item overdue" in agent.get("/desk").text


def test_ready_answers_come_without_a_script_too(world: World, talks: Talks, agent: TestClient) -> None:
    folder = Path(world.root / "data" / "desk")
    folder.mkdir(parents=True)
    (folder / "canned.yml").write_text('answers:\n- {key: hi, title: Greeting, text: "Hello, {agent} here."}\n')
    page = f"/desk/{talks.ask('ann')}"
    post(agent, page, f"{page}/take")
    assert "Hello, demo here.</textarea>" in agent.get(f"{page}?canned=hi").text
