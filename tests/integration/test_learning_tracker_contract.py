"""The same promises of every tracker store, each written by Rasa's own class."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rasa.shared.core.events import ActionExecuted, BotUttered, UserUttered

from learning.model import ActionEvent, BotEvent, Event, SlotEvent, UserEvent, sender_key
from learning.reading import Reader
from learning.settings import Settings
from tests.tracker_world import (
    NOON,
    World,
    mariadb_database,
    mariadb_server,
    mongo_world,
    redis_world,
    sql_world,
    tomorrow,
)

SERVICE = [pytest.mark.service]


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as url:
        yield url


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=SERVICE),
        pytest.param("mariadb", marks=SERVICE),
        "mongodb",
        pytest.param("redis", marks=SERVICE),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":
        yield sql_world(f"sqlite:///{tmp_path}/tracker.db")
    elif request.param == "postgresql":
        yield sql_world(request.getfixturevalue("postgres_url"))
    elif request.param == "mariadb":
        with mariadb_database(request.getfixturevalue("mariadb")) as url:
            yield sql_world(url)
    elif request.param == "mongodb":
        yield mongo_world()
    else:
        with redis_world() as found:
            yield found


def read(world: World, after_id: int = 0, size: int = 100) -> tuple[int, int, dict[str, list[Event]]]:
    """The position, the new events and all that is read of each sender behind a position."""
    last, fresh, rows = after_id, 0, {}
    for batch in world.events().batches(after_id, size):
        last, fresh = batch.last_id, fresh + batch.events
        for sender, events in batch.rows.items():
            known = {event.row_id for event in rows.get(sender, [])}
            rows.setdefault(sender, []).extend(event for event in events if event.row_id not in known)
    return last, fresh, rows


def said(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, UserEvent)]


def test_what_rasa_wrote_is_read_as_it_happened(world: World) -> None:
    world.talk("ann", "do you have loyalty points 🎁", "hello?")
    last, fresh, rows = read(world)

    assert fresh == 3 + 2 * 5
    assert last > 0
    events = rows["ann"]
    assert said(events) == ["do you have loyalty points 🎁", "hello?"]
    assert [type(event) for event in events] == [ActionEvent, *[UserEvent, ActionEvent, BotEvent, SlotEvent] * 2]
    # To the millisecond, where a database might keep less.
    times = [event.at - NOON.timestamp() for event in events]
    assert times == pytest.approx([0, 1, 2, 3, 3.5, 5, 6, 7, 7.5], abs=1e-3)
    (talk,) = Reader(world.events(), lambda rows: {}, Settings(), NOON + timedelta(days=1)).read(0)
    (one,) = talk.conversations
    assert [(turn.intent, turn.reply, turn.thumbs) for turn in one.turns] == [("nlu_fallback", ("Sorry?",), -1)] * 2


def test_reading_goes_on_behind_what_was_read(world: World) -> None:
    world.talk("ann", "one")
    last, _, _ = read(world)
    world.talk("bob", "two", at=NOON + timedelta(hours=1))
    world.talk("ann", "three", at=NOON + timedelta(hours=2))
    end, fresh, rows = read(world, last)

    assert fresh == 16
    assert said(rows["bob"]) == ["two"]
    assert said(rows["ann"])[-1] == "three"
    assert read(world, end)[:2] == (end, 0)


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_batches_of_any_size_bring_the_same(world: World, size: int) -> None:
    for number, sender in enumerate(("ann", "bob", "cid")):
        world.talk(sender, f"{sender} one", f"{sender} two", at=NOON + timedelta(seconds=number))
    whole, part = read(world), read(world, size=size)

    assert part == whole
    assert {sender: said(events) for sender, events in part[2].items()} == {
        sender: [f"{sender} one", f"{sender} two"] for sender in ("ann", "bob", "cid")
    }
    batches = list(world.events().batches(0, size))
    assert [batch.last_id for batch in batches] == sorted({batch.last_id for batch in batches})
    assert all(batch.events <= size for batch in batches)


def test_rows_of_a_sender_grow_and_are_the_same_each_time(world: World) -> None:
    world.talk("ann", *(f"message {number}" for number in range(5)))
    before = [event.row_id for event in read(world)[2]["ann"]]
    world.talk("ann", "later", at=NOON + timedelta(hours=3))
    after = [event.row_id for event in read(world)[2]["ann"]]

    assert after[: len(before)] == before
    assert after == sorted(set(after))


def test_events_of_one_moment_are_kept_apart(world: World) -> None:
    at = NOON.timestamp()
    world.talk("ann", "first", at=NOON - timedelta(minutes=1))
    tracker = asyncio.run(world.store.retrieve("ann"))
    world.save(tracker, [BotUttered("a", timestamp=at), BotUttered("b", timestamp=at), BotUttered("c", timestamp=at)])
    bot = [event for event in read(world)[2]["ann"] if isinstance(event, BotEvent)]

    assert [event.text for event in bot] == ["Sorry?", "a", "b", "c"]
    assert len({event.row_id for event in bot}) == 4


def test_the_last_session_is_read_again_from_its_row(world: World) -> None:
    world.talk("ann", "one", "two")
    world.talk("bob", "other")
    events = read(world)[2]["ann"]
    second = next(event for event in events if isinstance(event, UserEvent) and event.text == "two")
    source = world.events()

    assert source.tails({"ann": second.row_id, "nobody": 1}, 2**62, 100) == {"ann": events[events.index(second) :]}
    assert source.tails({"ann": second.row_id}, 2**62, 1) == {"ann": [second]}
    assert said(source.tails({"ann": 0}, second.row_id, 100)["ann"]) == ["one"]


def test_who_a_row_belongs_to_is_found(world: World) -> None:
    for sender in ("ann", "bob", "Ann", "größe 👍"):
        world.talk(sender, f"I am {sender}")
    rows = {event.row_id: sender for sender, events in read(world)[2].items() for event in events}

    assert world.events().senders_at([*rows, 5_000_000]) == rows
    assert world.events().senders_at([]) == {}


def test_raw_events_are_what_rasa_wrote(world: World) -> None:
    world.talk("ann", "one", "two")
    rows = [event.row_id for event in read(world)[2]["ann"]]
    raw = world.events().raw_events("ann", rows[0], rows[-1], 100)

    kinds = [kind for _, kind, _ in raw]
    assert kinds[:4] == ["action", "session_started", "action", "user"]
    (first, *_) = [content for _, kind, content in raw if kind == "user"]
    assert (first["text"], first["parse_data"]["intent"]["name"]) == ("one", "nlu_fallback")
    assert world.events().raw_events("ann", rows[0], rows[-1], 2) == raw[:2]
    assert world.events().raw_events("nobody", 0, 2**62, 10) == []


def test_a_late_turn_is_read_by_the_next_run(world: World) -> None:
    """A slow action ends after somebody else's turn was mined: its events are older than what was read."""
    world.talk("bob", "quick", at=NOON + timedelta(minutes=5))
    last, _, _ = read(world)
    world.talk("ann", "slow", at=NOON)
    rows = read(world, last)[2]

    assert said(rows["ann"]) == ["slow"]


def test_when_intents_were_last_seen(world: World) -> None:
    world.talk("ann", "one", "two", intent="greet")
    world.talk("bob", "three", at=NOON + timedelta(days=0, hours=2), intent="greet")
    count, last = world.events().intent_last_seen()["greet"]

    assert count == 3
    assert abs((last - NOON).total_seconds() - 2 * 3600 - 1) < 0.1


def test_a_store_that_was_emptied_is_read_anew(world: World) -> None:
    world.talk("ann", *(f"message {number}" for number in range(9)))
    last, _, _ = read(world)
    world.eraser().erase("ann")
    world.talk("bob", "hello", at=NOON + timedelta(hours=1))

    assert said(read(world, last)[2]["bob"]) == ["hello"]


def test_a_person_is_erased_and_nobody_else(world: World) -> None:
    # To some databases, unless they are told otherwise, these are the same.
    for sender in ("ann", "Ann", "ann ", "bob"):
        world.talk(sender, f"I am {sender!r}")
    eraser = world.eraser()

    assert eraser.sender_of(sender_key("Ann")) == "Ann"
    assert eraser.sender_of("0" * 16) is None
    assert (eraser.count("ann"), eraser.count("nobody")) == (8, 0)
    assert eraser.erase("ann") == 8
    assert eraser.erase("ann") == 0
    assert eraser.sender_of(sender_key("ann")) is None
    assert sorted(read(world)[2]) == ["Ann", "ann ", "bob"]
    assert eraser.newest_other("ann") >= max(event.row_id for events in read(world)[2].values() for event in events)


def test_nothing_is_written_by_reading(world: World) -> None:
    world.talk("ann", "one")
    before = asyncio.run(world.store.retrieve_full_tracker("ann"))
    read(world)
    world.events().senders_at([1])
    after = asyncio.run(world.store.retrieve_full_tracker("ann"))

    assert [event.as_dict() for event in after.events] == [event.as_dict() for event in before.events]
    assert list(asyncio.run(world.store.keys())) != []


def test_what_is_no_conversation_is_no_trouble(world: World) -> None:
    tracker = asyncio.run(world.store.get_or_create_tracker("ann", append_action_listen=False))
    at = NOON.timestamp()
    world.save(tracker, [ActionExecuted("action_listen", timestamp=at), UserUttered(None, timestamp=at + 1)])
    (reading,) = Reader(world.events(), lambda rows: {}, Settings(), tomorrow()).read(0)

    assert (reading.events, reading.corrupt) == (2, ())
    assert [turn.text for talk in reading.conversations for turn in talk.turns] in ([], [""])
