"""The desk's database on a real PostgreSQL: what its tests on SQLite cannot show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from desk import service
from desk.errors import Taken
from desk.model import MARKS, Kind
from desk.store import Store
from desk.worker import Worker
from tests.desk_world import DeskWorld, make_desk_world

pytestmark = pytest.mark.service
AGENTS = tuple(f"agent{number}" for number in range(8))


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> DeskWorld:
    made = make_desk_world(tmp_path)
    desk = replace(made.desk, store=Store(postgres_url))
    return replace(made, desk=desk, worker=Worker(desk, made.bot))


def test_a_chat_goes_its_way_and_is_forgotten(world: DeskWorld) -> None:
    world.ask("ann")
    world.worker.step()
    handover_id = world.only()
    service.take(world.desk, handover_id, "anna", "j1")
    for _ in range(2):
        service.reply(world.desk, handover_id, "anna", "Points never expire.", "r1")
        service.teach(world.desk, handover_id, "anna", "r1", True)
    world.worker.step()
    assert [one.kind for one in world.bot.stored] == [Kind.JOINED, Kind.REPLY, Kind.RECOMMENDED]
    assert sum(one.kind in MARKS for one in world.desk.store.messages(handover_id)) == 1
    service.close(world.desk, handover_id, "anna", False, "done", 99, "c1")
    world.worker.step()
    world.clock.wait(1)
    assert world.desk.store.forget("ann", world.clock()) == 1
    assert world.desk.store.senders() == []
    world.worker.step()
    assert world.desk.store.open_handovers() == []


def test_of_many_who_take_at_once_one_gets_it(world: DeskWorld) -> None:
    world.ask("ann")
    world.worker.step()
    handover_id = world.only()

    def take(who: str) -> bool:
        try:
            return service.take(world.desk, handover_id, who, f"j-{who}").agent == who
        except Taken:
            return False

    with ThreadPoolExecutor(len(AGENTS)) as pool:
        assert sum(pool.map(take, AGENTS)) == 1
    assert [one.kind for one in world.desk.store.messages(handover_id)] == [Kind.JOINED]


def test_a_mark_that_is_set_by_many_at_once_is_sent_once(world: DeskWorld) -> None:
    world.ask("ann")
    world.worker.step()
    handover_id = world.only()
    service.take(world.desk, handover_id, "anna", "j1")
    service.reply(world.desk, handover_id, "anna", "Points never expire.", "r1")
    with ThreadPoolExecutor(len(AGENTS)) as pool:
        new = pool.map(lambda who: service.teach(world.desk, handover_id, who, "r1", True), AGENTS)
    assert sum(new) == 1
    assert sum(one.kind is Kind.RECOMMENDED for one in world.desk.store.messages(handover_id)) == 1
