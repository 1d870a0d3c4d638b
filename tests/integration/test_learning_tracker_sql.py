"""The tracker store as the loop reads it, on files that Rasa wrote or would write."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from learning.adapters import tracker_sql
from learning.adapters.tracker_sql import SqlTrackerEvents, tracker_url
from learning.conversations import build, split
from learning.errors import ProjectError, TrackerStoreError
from learning.model import ActionEvent, BotEvent, Event, FormEvent, SlotEvent, UserEvent
from learning.reading import Reader
from learning.settings import Settings
from tests.learning_builders import CORRUPT_ROWS, EVENTS_TABLE, START, TrackerFile, user_data


@pytest.fixture
def tracker(tmp_path: Path) -> TrackerFile:
    return TrackerFile(tmp_path / "var" / "tracker.db")


def events(tracker: TrackerFile) -> SqlTrackerEvents:
    return SqlTrackerEvents(f"sqlite:///{tracker.path}")


def texts(source: SqlTrackerEvents, after_id: int = 0, size: int = 100) -> dict[str, list[str]]:
    """What each sender said behind a row."""
    said: dict[str, list[str]] = {}
    for batch in source.batches(after_id, size):
        for sender, rows in batch.rows.items():
            said.setdefault(sender, []).extend(row.text for row in rows if isinstance(row, UserEvent))
    return said


def rows_of(source: SqlTrackerEvents) -> list[Event]:
    """All events that are read, of all senders."""
    return [row for batch in source.batches(0, 100) for rows in batch.rows.values() for row in rows]


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
    (batch,) = source.batches(0, 100)
    assert (batch.last_id, batch.events, batch.corrupt) == (5, 5, ())
    (session,) = split(batch.rows["ann"], Settings().conversations)
    (turn,) = build("ann", session, START, Settings()).turns
    assert (turn.text, turn.intent, turn.reply, turn.thumbs) == (said.text, "nlu_fallback", ("Sorry?",), -1)
    assert turn.ranking == (("greet", 0.3),)
    with sqlite3.connect(path) as theirs, sqlite3.connect(":memory:") as ours:
        ours.executescript(EVENTS_TABLE)
        columns = [connection.execute("PRAGMA table_info(events)").fetchall() for connection in (theirs, ours)]
    assert columns[0] == columns[1]


# --- reading in batches ---------------------------------------------------------------------------


def test_batches_go_on_from_a_row_and_sort_by_sender(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")
    tracker.say("bob", "two")
    source = events(tracker)

    batches = [(batch.last_id, batch.events, list(batch.rows)) for batch in source.batches(0, 3)]
    assert batches == [(3, 3, ["ann"]), (6, 3, ["bob"]), (8, 2, ["bob"])]
    assert list(source.batches(8, 3)) == []
    tracker.say("ann", "three")
    assert [(batch.last_id, batch.events) for batch in source.batches(8, 100)] == [(12, 4)]
    assert texts(source) == {"ann": ["one", "three"], "bob": ["two"]}


@pytest.mark.parametrize("chunk", [1, 2, 5, 8, 100])
def test_a_batch_may_take_several_queries(tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(tracker_sql, "CHUNK", chunk)
    tracker.say("ann", "one")
    tracker.say("bob", "two")

    assert [(batch.last_id, batch.events) for batch in events(tracker).batches(0, 5)] == [(5, 5), (8, 3)]
    assert texts(events(tracker), size=5) == {"ann": ["one"], "bob": ["two"]}


def test_only_what_the_loop_reads_is_fetched(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")
    for name in ("order_number", "csat", "requested_slot"):
        tracker.add("ann", {"event": "slot", "name": name, "value": 4})
    tracker.add("ann", {"event": "active_loop", "name": "support_form"})
    tracker.add("ann", {"event": "active_loop", "name": None})
    tracker.add("ann", {"event": "user_featurization"})
    found = rows_of(events(tracker))

    assert [type(row) for row in found] == [UserEvent, ActionEvent, BotEvent, SlotEvent, FormEvent, FormEvent]
    assert [row.name for row in found if isinstance(row, FormEvent)] == ["support_form", ""]
    (batch,) = events(tracker).batches(0, 100)
    assert (batch.events, batch.last_id) == (10, 10)


def test_rows_that_are_not_read_are_counted_all_the_same(tracker: TrackerFile) -> None:
    for _ in range(3):
        tracker.add("ann", {"event": "user_featurization"})

    assert [(batch.last_id, batch.events, dict(batch.rows)) for batch in events(tracker).batches(0, 2)] == [
        (2, 2, {}),
        (3, 1, {}),
    ]


def test_the_last_session_of_a_sender_is_read_again_from_its_row(tracker: TrackerFile) -> None:
    for text in ("one", "two", "three"):
        tracker.say("ann", text)
        tracker.say("bob", text)
    source = events(tracker)

    tails = source.tails({"ann": 9, "bob": 5, "nobody": 1}, before_row=21, limit=100)
    assert {sender: [row.row_id for row in rows] for sender, rows in tails.items()} == {
        "ann": [9, 10, 11, 17, 18, 19],
        "bob": [5, 6, 7, 13, 14, 15],
    }
    assert [row.row_id for row in source.tails({"ann": 1}, 21, limit=2)["ann"]] == [1, 2]
    assert source.senders_at([1, 5, 999]) == {1: "ann", 5: "bob"}


def test_many_senders_are_looked_up_in_several_queries(tracker: TrackerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_sql, "ROWS_PER_QUERY", 2)
    for number in range(5):
        tracker.add(f"s{number}", {"event": "user_featurization"})

    assert events(tracker).senders_at(range(1, 6)) == {number + 1: f"s{number}" for number in range(5)}


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
    assert texts(source)["ann"] == ["before", "after"]
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
    assert texts(source) == {"ann": ["half an emoji ?"]}


def test_a_store_that_was_emptied_is_read_from_its_start(tracker: TrackerFile) -> None:
    tracker.say("ann", "one")

    assert [(batch.last_id, batch.events, batch.restarted) for batch in events(tracker).batches(5000, 3)] == [
        (3, 3, True),
        (4, 1, False),
    ]


# --- PostgreSQL -----------------------------------------------------------------------------------


class PostgresTracker:
    """A tracker store on PostgreSQL, whose rows may be committed out of order."""

    def __init__(self, engine: sa.engine.Engine, url: str) -> None:
        self.url = url
        self._engine = engine
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "CREATE TABLE events (id SERIAL PRIMARY KEY, sender_id VARCHAR(255) NOT NULL,"
                    " type_name VARCHAR(255) NOT NULL, timestamp FLOAT, intent_name VARCHAR(255),"
                    " action_name VARCHAR(255), data TEXT)"
                )
            )

    def say(self, row_id: int, sender: str, text: str) -> None:
        at = START.timestamp() + row_id
        values = {"id": row_id, "sender": sender, "at": at, "data": json.dumps(user_data(text, "greet"))}
        with self._engine.begin() as connection:
            connection.execute(
                sa.text("INSERT INTO events VALUES (:id, :sender, 'user', :at, 'greet', NULL, :data)"), values
            )

    def spoil(self, row_id: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.text("UPDATE events SET data = '{' WHERE id = :id"), {"id": row_id})


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[PostgresTracker]:
    engine = sa.create_engine(postgres_url, future=True)
    yield PostgresTracker(engine, postgres_url)
    engine.dispose()


@pytest.mark.service
def test_rows_that_are_committed_late_are_read_by_the_next_run(postgres: PostgresTracker) -> None:
    for row_id, sender, text in ((1, "ann", "one"), (2, "bob", "hello"), (5, "ann", "three")):
        postgres.say(row_id, sender, text)
    source = SqlTrackerEvents(postgres.url)
    assert [(batch.last_id, batch.events) for batch in source.batches(0, 2)] == [(2, 2), (5, 1)]

    postgres.say(3, "ann", "two")
    postgres.say(6, "ann", "four")
    (batch,) = source.batches(5, 100)
    assert (batch.last_id, batch.events) == (6, 1)
    assert [row.row_id for row in batch.rows["ann"]] == [1, 3, 5, 6]
    assert [row.row_id for row in source.tails({"ann": 3}, 6, 100)["ann"]] == [3, 5]
    assert source.senders_at([2, 4]) == {2: "bob"}


@pytest.mark.service
def test_rows_that_are_read_again_are_neither_counted_nor_reported_again(postgres: PostgresTracker) -> None:
    for row_id in (1, 2, 3):
        postgres.say(row_id, "ann", "hello")
    postgres.spoil(2)
    source = SqlTrackerEvents(postgres.url)

    assert [(batch.last_id, batch.events, batch.corrupt) for batch in source.batches(0, 100)] == [(3, 3, (2,))]
    assert [(batch.last_id, batch.events, batch.corrupt) for batch in source.batches(3, 1)] == [(3, 0, ())] * 3


@pytest.mark.service
def test_a_late_row_comes_into_its_conversation(postgres: PostgresTracker) -> None:
    postgres.say(1, "ann", "one")
    postgres.say(1500, "ann", "three")
    source = SqlTrackerEvents(postgres.url)
    settings, now = Settings(), START.replace(year=2030)
    postgres.say(1400, "ann", "two")
    asked: list[dict[str, int]] = []

    def first_rows(rows: Mapping[str, int]) -> dict[str, int]:
        asked.append(dict(rows))
        return dict.fromkeys(rows, 1)

    (found,) = Reader(source, first_rows, settings, now).read(1500)
    ((one,),) = [sender.conversations for sender in found.senders]
    assert [turn.text for turn in one.turns] == ["one", "two", "three"]
    assert (found.events, list(asked[0].values()), found.senders[0].since_row) == (0, [1400], 1)


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
        (
            "CREATE TABLE events (id INTEGER, sender_id TEXT, data TEXT)",
            "has no type_name, timestamp, action_name in",
        ),
        (
            "CREATE TABLE events (name TEXT)",
            "has no id, sender_id, type_name, timestamp, action_name, data in",
        ),
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
    assert texts(source) == {"ann": ["one"]}


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
