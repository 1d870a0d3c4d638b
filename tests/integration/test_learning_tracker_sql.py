"""The tracker store as the loop reads it, on files that Rasa wrote or would write."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from learning.adapters.tracker_sql import SqlTrackerEvents, tracker_url
from learning.conversations import build_conversation
from learning.errors import ProjectError, TrackerStoreError
from learning.model import EventBatch
from tests.learning_builders import CORRUPT_ROWS, EVENTS_TABLE, TrackerFile, user_data


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(tmp_path / "var" / "tracker.db")


def events(tracker: TrackerFile) -> SqlTrackerEvents:
    return SqlTrackerEvents(f"sqlite:///{tracker.path}")


def texts(source: SqlTrackerEvents, *senders: str) -> dict[str, list[str]]:
    return {
        sender: [turn.text for turn in build_conversation(sender, rows).turns]
        for sender, rows in source.events_of(senders)
    }


def endpoints(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "endpoints.yml"
    path.write_text(text, "utf-8")
    return path


# --- what Rasa itself writes ----------------------------------------------------------------------


def test_a_store_that_rasa_wrote_is_read(tmp_path: Path) -> None:
    from rasa.core.tracker_store import SQLTrackerStore
    from rasa.shared.core.domain import Domain
    from rasa.shared.core.events import ActionExecuted, BotUttered, SlotSet, UserUttered
    from rasa.shared.core.trackers import DialogueStateTracker

    path = tmp_path / "rasa.db"
    store = SQLTrackerStore(Domain.empty(), db=str(path))
    answer = BotUttered("Sorry?")
    said = UserUttered(
        "do you have loyalty points",
        {"name": "nlu_fallback", "confidence": 0.4},
        parse_data={
            "intent": {"name": "nlu_fallback", "confidence": 0.4},
            "intent_ranking": [{"name": "greet", "confidence": 0.3}],
        },
        input_channel="rest",
        message_id="m1",
    )
    thumb = SlotSet("last_feedback", {"message_id": repr(answer.timestamp), "value": "down", "comment": ""})
    conversation = [ActionExecuted("action_listen"), said, ActionExecuted("action_fallback"), answer, thumb]
    asyncio.run(store.save(DialogueStateTracker.from_events("ann", conversation)))
    store.engine.dispose()

    source = SqlTrackerEvents(f"sqlite:///{path}")
    assert list(source.batches(0, 100)) == [EventBatch(5, ("ann",), 5, ())]
    ((_, rows),) = source.events_of(["ann"])
    (turn,) = build_conversation("ann", rows).turns
    assert (turn.text, turn.intent, turn.reply, turn.thumbs) == (said.text, "nlu_fallback", ("Sorry?",), -1)
    assert turn.ranking == (("greet", 0.3),)
    with sqlite3.connect(path) as theirs, sqlite3.connect(":memory:") as ours:
        ours.executescript(EVENTS_TABLE)
        columns = [connection.execute("PRAGMA table_info(events)").fetchall() for connection in (theirs, ours)]
    assert columns[0] == columns[1]


# --- reading in batches ---------------------------------------------------------------------------


def test_batches_go_on_from_a_row_and_name_who_has_news(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")
    tracker.say("bob", "two")
    source = events(tracker)

    assert list(source.batches(0, 3)) == [
        EventBatch(3, ("ann",), 3, ()),
        EventBatch(6, ("ann", "bob"), 3, ()),
        EventBatch(8, ("bob",), 2, ()),
    ]
    assert list(source.batches(8, 3)) == []
    tracker.say("ann", "three")
    assert list(source.batches(8, 100)) == [EventBatch(12, ("ann",), 4, ())]
    assert texts(source, "ann", "bob", "nobody") == {"ann": ["one", "three"], "bob": ["two"]}


def test_many_senders_are_read_in_several_queries(tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.adapters.tracker_sql.SENDERS_PER_QUERY", 2)
    senders = [f"s{number}" for number in range(5)]
    for sender in senders:
        tracker.say(sender, f"hello from {sender}")

    assert texts(events(tracker), *senders) == {sender: [f"hello from {sender}"] for sender in senders}


def test_the_store_is_never_written(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")
    before = tracker.path.read_bytes()
    source = events(tracker)
    list(source.batches(0, 10))
    with source._engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM events")

    assert tracker.path.read_bytes() == before


def test_corrupt_rows_are_counted_and_skipped_and_the_rest_is_read(
    tracker: TrackerFile, caplog: pytest.LogCaptureFixture
) -> None:
    tracker.say("ann", "before", reply=None)
    for row in CORRUPT_ROWS:
        tracker.add_row(row)
    tracker.execute("UPDATE events SET data = CAST(X'7B2274657874223A22FF227D' AS TEXT) WHERE id = 4")
    tracker.execute("INSERT INTO events VALUES (99, CAST(X'FF' AS TEXT), 'user', 1.0, NULL, NULL, '{}')")
    tracker.say("ann", "after", reply=None)
    source = events(tracker)
    with caplog.at_level(logging.WARNING):
        batches = list(source.batches(0, 4))

    corrupt = [row for batch in batches for row in batch.corrupt]
    assert corrupt == [*range(4, 4 + len(CORRUPT_ROWS)), 99]
    assert sum(batch.events for batch in batches) == 3 + len(CORRUPT_ROWS) + 1 + 3
    assert texts(source, "ann") == {"ann": ["before", "after"]}
    assert "event row 4 is corrupt and is skipped" in caplog.text
    assert "no time" not in caplog.text


def test_corrupt_rows_are_reported_once(tracker: TrackerFile) -> None:
    tracker.add_row(CORRUPT_ROWS[0])
    tracker.say("ann", "one", reply=None)

    assert [batch.corrupt for batch in events(tracker).batches(1, 10)] == [()]


def test_what_pythons_json_writes_is_not_corrupt(tracker: TrackerFile) -> None:
    tracker.add("ann", user_data("half an emoji \ud83d", "greet", float("nan")))
    source = events(tracker)

    assert [batch.corrupt for batch in source.batches(0, 10)] == [()]
    assert texts(source, "ann") == {"ann": ["half an emoji ?"]}


def test_a_store_that_was_emptied_is_read_from_its_start(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")

    assert [batch.last_id for batch in events(tracker).batches(5000, 10)] == [4]


# --- stores that cannot be mined ------------------------------------------------------------------


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "var" / "tracker.db"
    with pytest.raises(TrackerStoreError, match=r"tracker\.db: does not exist; talk to the bot once") as caught:
        SqlTrackerEvents(f"sqlite:///{path}")

    assert str(path) in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("ddl", "problem"),
    [
        ("CREATE TABLE other (id INTEGER)", "has no table `events`"),
        ("CREATE TABLE events (id INTEGER, sender_id TEXT, data TEXT)", "has no type_name, timestamp in its table"),
        ("CREATE TABLE events (name TEXT)", "has no id, sender_id, type_name, timestamp, data in its table"),
    ],
)
def test_a_foreign_database_is_told_apart(tmp_path: Path, ddl: str, problem: str) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute(ddl)

    with pytest.raises(TrackerStoreError, match=problem):
        SqlTrackerEvents(f"sqlite:///{path}")


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("these are my notes " * 100)

    with pytest.raises(TrackerStoreError, match="cannot be opened \\(file is not a database\\)"):
        SqlTrackerEvents(f"sqlite:///{path}")


def test_a_store_that_goes_away_while_reading_is_an_error(tracker: TrackerFile) -> None:
    source = events(tracker)
    tracker.execute("ALTER TABLE events RENAME TO gone")

    with pytest.raises(TrackerStoreError, match="cannot be read"):
        list(source.batches(0, 10))


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "foo://x/y",
        "postgres://me:secret@127.0.0.1/x",
        "postgresql://me:secret@127.0.0.1:1/x",
        "mysql://x/y",
    ],
)
def test_a_store_that_cannot_be_opened_is_named_without_its_password(url: str) -> None:
    with pytest.raises(TrackerStoreError, match=r"^tracker store ") as caught:
        SqlTrackerEvents(url)

    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("folder", ["my shop #1", "50% off", "größe", "a&b=c"])
def test_the_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    tracker = TrackerFile(tmp_path / folder / "tracker.db")
    tracker.say("ann", "one")
    path = endpoints(tmp_path, "tracker_store:\n  type: SQL\n  db: tracker.db\n")

    source = SqlTrackerEvents(tracker_url(path, tmp_path / folder))
    assert texts(source, "ann") == {"ann": ["one"]}


# --- endpoints.yml --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        ("{type: SQL, dialect: sqlite, db: var/t.db}", "sqlite:///{root}/var/t.db"),
        ("{type: sql}", "sqlite:///{root}/rasa.db"),
        ("{type: SQL, dialect: sqlite+pysqlite, db: /srv/t.db}", "sqlite:////srv/t.db"),
        (
            "{type: SQL, dialect: postgresql, url: db.example, db: rasa, username: me, password: 'p@ss/word'}",
            "postgresql://me:p%40ss%2Fword@db.example/rasa",
        ),
        ("{type: SQL, dialect: postgresql, url: 'db:5433', db: rasa}", "postgresql://db:5433/rasa"),
        ("{type: SQL, dialect: postgresql, host: db, port: 5433, db: rasa}", "postgresql://db:5433/rasa"),
        ("{type: SQL, url: 'postgresql://me@db/rasa'}", "postgresql://me@db/rasa"),
        (
            "{type: SQL, dialect: postgresql, url: db, db: rasa, query: {sslmode: '${TEST_SSL}'}}",
            "postgresql://db/rasa?sslmode=require",
        ),
        ("{type: SQL, dialect: postgresql, url: db, db: 'rasa_${TEST_STAGE}'}", "postgresql://db/rasa_prod"),
    ],
)
def test_the_store_is_found_as_rasa_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str, expected: str
) -> None:
    monkeypatch.setenv("TEST_SSL", "require")
    monkeypatch.setenv("TEST_STAGE", "prod")

    url = tracker_url(endpoints(tmp_path, f"tracker_store: {store}\n"), tmp_path)
    assert url == expected.format(root=tmp_path)


def test_a_missing_variable_is_an_error_and_no_empty_password(tmp_path: Path) -> None:
    path = endpoints(tmp_path, "tracker_store: {type: SQL, dialect: postgresql, password: '${NOT_SET_ANYWHERE}'}\n")

    with pytest.raises(ProjectError, match=r"endpoints\.yml: \$\{NOT_SET_ANYWHERE\}: is not set"):
        tracker_url(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("action_endpoint:\n  url: http://x\n", "names no tracker_store"),
        ("", "names no tracker_store"),
        ("- tracker_store\n", "names no tracker_store"),
        ("tracker_store: SQL\n", "names no tracker_store"),
        ("tracker_store: {db: x}\n", "has a tracker_store of type None"),
        ("tracker_store: {type: mongod, url: x}\n", "has a tracker_store of type 'mongod'"),
        ("tracker_store: {type: SQL, dialect: postgresql, url: x, port: many}\n", "port: is 'many'"),
        ("tracker_store: {", "is not valid YAML"),
    ],
)
def test_endpoints_without_a_usable_store_say_what_to_add(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ProjectError, match=problem) as caught:
        tracker_url(endpoints(tmp_path, text), tmp_path)

    assert "endpoints.yml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_bytes(b"\xff")])
def test_endpoints_that_cannot_be_read_are_an_error(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "endpoints.yml")

    with pytest.raises(ProjectError, match=r"endpoints\.yml"):
        tracker_url(tmp_path / "endpoints.yml", tmp_path)
