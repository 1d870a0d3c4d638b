"""What goes wrong in stores of whole dialogues, and what their addresses may look like."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import mongomock
import pytest
from bson.errors import InvalidBSON

from learning.adapters import tracker_documents, tracker_mongo, tracker_redis
from learning.adapters.endpoints import TrackerConfig, read_tracker_store
from learning.adapters.tracker_documents import OVERLAP, DocumentTrackerEraser, DocumentTrackerEvents
from learning.adapters.tracker_mongo import MongoDialogues
from learning.adapters.tracker_open import open_eraser, open_events
from learning.adapters.tracker_redis import RedisDialogues
from learning.errors import ProjectError, TrackerStoreError
from learning.model import UserEvent
from tests.learning_builders import user_data
from tests.tracker_world import NOON, World, mongo_world, redis_world, tomorrow


def said(text: object, at: object) -> dict[str, Any]:
    return {**user_data(str(text), "greet"), "timestamp": at}


class Kept:
    """A store in memory, which says what it was asked for."""

    def __init__(self, **dialogues: list[Any]) -> None:
        self.dialogues = dialogues
        self.loaded: list[str] = []

    def changed(self, since: float) -> Iterator[str]:
        yield from self.dialogues

    def load(self, senders: Any) -> Iterator[tuple[str, list[Any]]]:
        self.loaded += senders
        yield from ((sender, self.dialogues[sender]) for sender in senders if sender in self.dialogues)

    def delete(self, sender: str) -> None:
        self.dialogues.pop(sender, None)


def texts(source: DocumentTrackerEvents, after_id: int = 0, size: int = 100) -> list[str]:
    return [
        row.text
        for batch in source.batches(after_id, size)
        for rows in batch.rows.values()
        for row in rows
        if isinstance(row, UserEvent)
    ]


AT = NOON.timestamp()


@pytest.mark.parametrize(
    "broken",
    [
        "no event",
        None,
        7,
        {"timestamp": AT},
        {"event": "user", "text": "no time"},
        {"event": "user", "timestamp": True, "text": "odd time"},
        {"event": "user", "timestamp": "soon", "text": "odd time"},
        {"event": "user", "timestamp": float("nan"), "text": "no number"},
        {"event": "user", "timestamp": -5.0, "text": "before time"},
        {"event": "user", "timestamp": AT + 4 * 86_400, "text": "from the future"},
    ],
)
def test_a_corrupt_event_is_told_once_and_the_rest_is_read(broken: Any, caplog: pytest.LogCaptureFixture) -> None:
    source = DocumentTrackerEvents(Kept(ann=[said("before", AT), broken, said("after", AT + 9)]), tomorrow)
    with caplog.at_level(logging.WARNING):
        (batch,) = source.batches(0, 100)

    assert (batch.events, len(batch.corrupt)) == (3, 1)
    assert texts(source) == ["before", "after"]
    assert f"event {batch.corrupt[0]} is corrupt" in caplog.text
    assert "time" not in caplog.text.replace("NOON", "")
    assert [one.corrupt for one in source.batches(batch.last_id, 100)] == [()]


def test_a_clock_that_was_ahead_hides_nothing() -> None:
    kept = Kept(ann=[said("ahead", AT + 30 * 86_400)], bob=[said("now", AT)])
    source = DocumentTrackerEvents(kept, tomorrow)
    last = max(batch.last_id for batch in source.batches(0, 100))
    kept.dialogues["bob"].append(said("later", AT + 60))

    assert "later" in texts(source, last)


def test_a_worker_whose_clock_is_hours_ahead_hides_nothing() -> None:
    store = Kept(ahead=[said("from a clock that is ahead", AT + 7200)])
    now = NOON
    source = DocumentTrackerEvents(store, lambda: now)
    (first,) = source.batches(0, 100)
    store.dialogues["ann"] = [said("an hour later", AT + 3600)]
    now = NOON + timedelta(hours=1)

    assert "an hour later" in texts(source, first.last_id)


def test_a_clock_that_went_back_keeps_the_order() -> None:
    source = DocumentTrackerEvents(Kept(ann=[said("one", AT + 5), said("two", AT), said("three", AT + 1)]), tomorrow)

    assert texts(source) == texts(source, size=1) == ["one", "two", "three"]


def test_half_an_emoji_and_huge_numbers_are_read() -> None:
    event = {**said("half \ud83d", AT), "metadata": {"n": 2**70}}
    source = DocumentTrackerEvents(Kept(ann=[event]), tomorrow)

    assert texts(source) == ["half ?"]


def test_two_people_of_one_moment_have_rows_of_their_own() -> None:
    source = DocumentTrackerEvents(Kept(**{f"s{number}": [said(number, AT)] for number in range(50)}), tomorrow)
    rows = [row.row_id for batch in source.batches(0, 100) for found in batch.rows.values() for row in found]

    # Ten bits of the sender: 50 people may share one, but a row tells one of those who have it.
    assert len(set(rows)) >= 45
    found = source.senders_at(rows)
    assert set(found) == set(rows)


def test_only_those_whose_bits_fit_are_loaded_to_find_a_sender() -> None:
    kept = Kept(**{f"s{number}": [said(number, AT + number)] for number in range(300)})
    source = DocumentTrackerEvents(kept, tomorrow)
    (row, *_) = (row.row_id for batch in source.batches(0, 1000) for found in batch.rows.values() for row in found)
    kept.loaded.clear()

    assert source.senders_at([row]) == {row: "s0"}
    assert len(kept.loaded) < 10


def test_a_big_store_is_loaded_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_documents, "DOCUMENTS", 2)
    kept = Kept(**{f"s{number}": [said(number, AT + number)] for number in range(5)})

    assert texts(DocumentTrackerEvents(kept, tomorrow), size=2) == ["0", "1", "2", "3", "4"]


def test_what_comes_in_later_than_the_overlap_is_not_read() -> None:
    """The limit that the docs tell: imported conversations of the past."""
    kept = Kept(bob=[said("new", AT)])
    source = DocumentTrackerEvents(kept, tomorrow)
    (batch,) = source.batches(0, 100)
    kept.dialogues["old"] = [said("imported", AT - OVERLAP - 1)]
    kept.dialogues["late"] = [said("slow", AT - OVERLAP + 1)]

    assert texts(source, batch.last_id) == ["new", "slow"] or texts(source, batch.last_id) == ["slow", "new"]


# --- MongoDB --------------------------------------------------------------------------------------


@pytest.fixture
def mongo() -> Any:
    return mongomock.MongoClient().rasa.conversations


def test_senders_that_are_numbers_are_found(mongo: Any) -> None:
    """Old versions of Rasa kept them so."""
    mongo.insert_one({"sender_id": 4711, "events": [said("hello", AT)]})
    dialogues = MongoDialogues(mongo, "store")

    assert texts(DocumentTrackerEvents(dialogues, tomorrow)) == ["hello"]
    eraser = DocumentTrackerEraser(dialogues)
    assert (eraser.count("4711"), eraser.erase("4711"), eraser.count("4711")) == (1, 1, 0)


def test_two_documents_of_a_sender_are_one_dialogue(mongo: Any) -> None:
    """There is no unique index: two workers that see somebody for the first time make two."""
    mongo.insert_one({"sender_id": "ann", "latest_event_time": AT, "events": [said("one", AT)]})
    mongo.insert_one({"sender_id": "ann", "latest_event_time": AT + 1, "events": [said("two", AT + 1)]})
    dialogues = MongoDialogues(mongo, "store")

    assert texts(DocumentTrackerEvents(dialogues, tomorrow)) == ["one", "two"]
    assert DocumentTrackerEraser(dialogues).erase("ann") == 2
    assert list(mongo.find()) == []


@pytest.mark.parametrize("document", [{}, {"events": None}, {"events": "x"}, {"sender_id": None, "events": []}])
def test_a_foreign_document_is_no_trouble(mongo: Any, document: dict[str, Any]) -> None:
    mongo.insert_one(document)
    mongo.insert_one({"sender_id": "ann", "latest_event_time": AT, "events": [said("one", AT)]})

    assert texts(DocumentTrackerEvents(MongoDialogues(mongo, "store"), tomorrow)) == ["one"]


def test_only_who_was_there_lately_is_loaded() -> None:
    world = mongo_world()
    world.talk("old", "long ago", at=NOON - timedelta(days=9))
    world.talk("new", "now")
    dialogues = MongoDialogues(world.store.conversations, "store")

    assert list(dialogues.changed(AT - OVERLAP)) == ["new"]
    assert sorted(dialogues.changed(0.0)) == ["new", "old"]


def test_a_document_that_cannot_be_decoded_is_an_error_of_the_store() -> None:
    class Damaged:
        def find(self, *_: Any) -> Any:
            raise InvalidBSON("'utf-8' codec can't decode byte 0xff")

    with pytest.raises(TrackerStoreError, match="cannot be asked"):
        list(MongoDialogues(Damaged(), "tracker store x").changed(0.0))


def test_a_mongodb_that_is_away_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_mongo, "CONNECT_MS", 200)
    options = {"type": "mongod", "url": "mongodb://me:secret@127.0.0.1:1", "db": "bot"}
    with pytest.raises(TrackerStoreError, match=r"127\.0\.0\.1:1/bot/conversations: cannot be asked") as caught:
        open_events(TrackerConfig("mongod", options), tomorrow)

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["mongodb://", "mongodb://me:secret@:x", "postgresql://x"])
def test_what_is_no_address_of_a_mongodb_is_an_error(url: str) -> None:
    with pytest.raises(TrackerStoreError, match="is no address of a MongoDB") as caught:
        open_eraser(TrackerConfig("mongod", {"type": "mongod", "url": url}))

    assert "secret" not in str(caught.value)


def test_a_database_without_rasas_collection_is_told(mongo: Any) -> None:
    with pytest.raises(TrackerStoreError, match="has no collection 'conversations'; talk to the bot once"):
        MongoDialogues(mongo, "store").check()


# --- Redis ----------------------------------------------------------------------------------------


@pytest.fixture
def world() -> Iterator[World]:
    with redis_world() as found:
        yield found


def dialogues_of(world: World) -> RedisDialogues:
    found = world.eraser()._dialogues
    assert isinstance(found, RedisDialogues)
    return found


@pytest.mark.service
def test_of_who_was_not_there_lately_only_the_end_is_fetched(world: World) -> None:
    world.talk("old", "long ago", at=NOON - timedelta(days=9))
    world.talk("new", "now")

    assert list(dialogues_of(world).changed(AT - OVERLAP)) == ["new"]


@pytest.mark.service
def test_a_last_event_that_is_longer_than_the_end_hides_nothing(world: World) -> None:
    world.talk("ann", "now")
    tracker = dialogues_of(world)
    key = tracker._key("ann")
    dialogue = json.loads(tracker._client.get(key))
    long = {"event": "bot", "timestamp": AT + 60, "text": "x" * 9000, "data": {}, "metadata": {}}
    tracker._client.set(key, json.dumps({**dialogue, "events": [*dialogue["events"], long]}))

    assert list(tracker.changed(AT + 50)) == ["ann"]


@pytest.mark.service
def test_a_message_that_looks_like_an_event_is_none(world: World) -> None:
    """It stands escaped in the text, so that nobody can hide what comes after, or make it look new."""
    world.talk("eve", '{"event": "user", "timestamp": 9999999999.0')

    assert list(dialogues_of(world).changed(AT + 86_400)) == []


@pytest.mark.service
def test_what_is_no_json_is_left_out_and_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.talk("ann", "hello")
    client, prefix = dialogues_of(world)._client, dialogues_of(world)._prefix
    client.set(f"{prefix}pickled", pickle.dumps({"events": []}))
    client.set(f"{prefix}half", '{"events": [')
    client.set(f"{prefix}other", '{"events": 7}')
    client.lpush(f"{prefix}list", "x")
    with caplog.at_level(logging.WARNING):
        found = texts(world.events())

    assert found == ["hello"]
    assert caplog.text.count("is no JSON and is skipped") >= 3
    assert "pickled" not in caplog.text


@pytest.mark.service
def test_who_has_expired_meanwhile_is_gone(world: World) -> None:
    world.talk("ann", "hello")
    world.talk("bob", "hi")
    dialogues_of(world)._client.delete(dialogues_of(world)._key("ann"))

    assert [sender for sender, _ in dialogues_of(world).load(["ann", "bob"])] == ["bob"]


@pytest.mark.service
def test_other_peoples_keys_are_left_alone(world: World) -> None:
    world.talk("ann", "hello")
    other = dialogues_of(world)._client
    other.set(f"{dialogues_of(world)._prefix.split(':')[0]}:lock:ann", "{}")

    assert sorted(dialogues_of(world).changed(0.0)) == ["ann"]


@pytest.mark.service
@pytest.mark.parametrize("prefix", [None, "", "with:colon", "sterne*", 7])
def test_a_prefix_that_rasa_would_leave_out_is_left_out(prefix: Any) -> None:
    options = {"type": "redis", "url": "127.0.0.1", "key_prefix": prefix}

    assert tracker_redis.open_redis(options)._prefix == "tracker:"


def test_a_redis_that_is_away_is_an_error() -> None:
    options = {"type": "redis", "url": "127.0.0.1", "port": 1, "password": "secret"}
    with pytest.raises(TrackerStoreError, match=r"redis://127\.0\.0\.1:1/0: cannot be asked") as caught:
        open_events(TrackerConfig("redis", options), tomorrow)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"port": "many"}, {"db": "x"}])
def test_what_is_no_address_of_a_redis_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(TrackerStoreError, match="is no address of a Redis"):
        open_eraser(TrackerConfig("redis", {"type": "redis", **options}))


# --- endpoints.yml --------------------------------------------------------------------------------


def store_of(tmp_path: Path, text: str) -> TrackerConfig:
    path = tmp_path / "endpoints.yml"
    path.write_text(text, "utf-8")
    return read_tracker_store(path, tmp_path)


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        ("{type: mongod, url: 'mongodb://db'}", "mongod"),
        ("{type: Redis, url: db}", "redis"),
        ("{type: rasa.core.tracker_store.RedisTrackerStore, url: db}", "redis"),
        ("{type: rasa.core.tracker_store.SQLTrackerStore, db: t.db}", "sql"),
    ],
)
def test_each_kind_is_found_as_rasa_names_it(tmp_path: Path, store: str, kind: str) -> None:
    assert store_of(tmp_path, f"tracker_store: {store}\n").kind == kind


def test_variables_are_filled_in_for_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_HOST", "db")
    monkeypatch.setenv("MONGO_PORT", "27018")
    found = store_of(tmp_path, "tracker_store: {type: mongod, url: 'mongodb://${MONGO_HOST}:${MONGO_PORT}'}\n")

    assert found.options["url"] == "mongodb://db:27018"


@pytest.mark.parametrize(
    ("store", "advice"),
    [
        ("{type: dynamo, tablename: t}", "DynamoDB cannot be read here"),
        ("{type: my.own.Store}", "a class of your own"),
        ("{db: x}", "in memory, and forgets them"),
    ],
)
def test_a_store_that_nothing_here_reads_says_what_to_do(tmp_path: Path, store: str, advice: str) -> None:
    with pytest.raises(ProjectError, match=advice):
        store_of(tmp_path, f"tracker_store: {store}\n")


def test_a_postgresql_schema_is_found_as_rasa_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRESQL_SCHEMA", "bot")
    found = store_of(tmp_path, "tracker_store: {type: SQL, dialect: postgresql, url: db, db: rasa}\n")

    assert found.url == "postgresql://db/rasa?options=-csearch_path%3Dbot"
