"""The place in the queue that customers are told, and chats whose agent has left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from desk import service
from desk.api import create_api
from desk.errors import Taken
from desk.model import Kind, State
from tests.desk_world import DeskWorld, make_desk_world

TOKEN = {"Authorization": f"Bearer {'t' * 32}"}


@pytest.fixture
def world(tmp_path: Path) -> DeskWorld:
    made = make_desk_world(tmp_path)
    service.set_duty(made.desk, "anna", True)
    made.worker.step()
    return made


def ahead(world: DeskWorld, sender: str) -> int:
    return service.announce(world.desk, sender).ahead


def test_of_those_who_ask_at_the_same_moment_one_is_next(world: DeskWorld) -> None:
    senders = [f"c{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda sender: ahead(world, sender), senders))
    assert sorted(told) == [0, 1, 2, 3, 4, 5]


def test_a_place_counts_once_before_and_after_its_hand_over_is_read(world: DeskWorld) -> None:
    assert ahead(world, "ann") == 0
    assert ahead(world, "ann") == 0  # the same message, handled again
    assert ahead(world, "bea") == 1
    world.ask("ann")
    assert ahead(world, "carl") == 2  # ann's is in the tracker store, and not read yet
    world.worker.step()
    assert ahead(world, "dora") == 3


def test_a_place_nobody_came_for_is_free_again(world: DeskWorld) -> None:
    ahead(world, "ann")
    world.clock.wait(31)
    assert ahead(world, "bea") == 0
    ahead(world, "ann")
    world.desk.store.forget("ann", world.clock())
    assert ahead(world, "carl") == 1  # bea alone


def test_where_nobody_comes_now_no_place_is_kept(world: DeskWorld) -> None:
    service.set_duty(world.desk, "anna", False)
    ahead(world, "ann")
    service.set_duty(world.desk, "anna", True)
    assert ahead(world, "bea") == 0


def test_looking_keeps_no_place_and_being_handed_over_does(world: DeskWorld) -> None:
    def said(answer: Any) -> int:
        assert answer.status_code == 200
        return int(answer.json()["ahead"])

    with TestClient(create_api(world.desk), headers=TOKEN) as client:
        assert [said(client.get("/outlook")) for _ in range(2)] == [0, 0]
        assert [said(client.post(f"/outlook/{sender}")) for sender in ("a%2Fb", "a", "%C3%A9%3F")] == [0, 1, 2]
        assert client.post("/outlook/b", headers={"Authorization": "Bearer no"}).status_code == 401
        assert said(client.get("/outlook")) == 0
    assert ahead(world, "a/b") == 2


def taken(world: DeskWorld) -> str:
    world.ask("ann")
    world.worker.step()
    handover_id = world.only()
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "one moment", "r1")
    world.worker.step()
    return handover_id


def test_a_chat_whose_agent_has_left_can_be_taken_over(world: DeskWorld) -> None:
    handover_id = taken(world)
    world.clock.wait(290)
    assert not service.chat(world.desk, handover_id, "bert").is_left
    with pytest.raises(Taken, match="is with anna"):
        service.take(world.desk, handover_id, "bert", "j2")
    world.clock.wait(20)
    assert service.chat(world.desk, handover_id, "bert").is_left
    service.take(world.desk, handover_id, "bert", "j2")
    world.worker.step()
    assert [one.kind for one in world.bot.stored] == [Kind.JOINED, Kind.REPLY, Kind.JOINED]
    with pytest.raises(Taken, match="is with bert"):
        service.reply(world.desk, handover_id, "anna", "back again", "r2")


def test_who_is_off_duty_and_still_there_keeps_their_chats(world: DeskWorld) -> None:
    handover_id = taken(world)
    service.set_duty(world.desk, "anna", False)
    world.clock.wait(60)
    world.say("ann", "and now?")
    world.worker.step()
    world.worker.step()
    found = world.desk.store.handover(handover_id)
    assert (found.state, found.agent) == (State.TAKEN, "anna")
