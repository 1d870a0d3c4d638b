"""Tracker stores of every kind, written by Rasa's own classes, for the tests that read them."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import mongomock
import pymysql
import pytest
import redis
from rasa.core.tracker_store import MongoTrackerStore, RedisTrackerStore, SQLTrackerStore, TrackerStore
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, BotUttered, Event, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

from learning.adapters.tracker_documents import DocumentTrackerEraser, DocumentTrackerEvents
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.adapters.tracker_mongo import MongoDialogues
from learning.adapters.tracker_redis import open_redis
from learning.adapters.tracker_sql import SqlTrackerEvents

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)
MARIADB_SECONDS = 60
DOMAIN = Domain.from_dict({"slots": {"last_feedback": {"type": "any", "mappings": [{"type": "custom"}]}}})


@dataclass
class World:
    """One empty store: Rasa's class to write it, and the loop's to read and erase."""

    store: TrackerStore
    events: Callable[[], Any]
    eraser: Callable[[], Any]
    has_rows: bool  # numbered by the database, and not by the time

    def talk(self, sender: str, *texts: str, at: datetime = NOON, intent: str = "nlu_fallback") -> None:
        """Let Rasa save a session in which a customer says these texts, a second between two events."""
        # As the server does, which only ever holds the last session.
        tracker = asyncio.run(self.store.get_or_create_tracker(sender, append_action_listen=False))
        self.save(tracker, session(texts, at, intent))

    def save(self, tracker: DialogueStateTracker, events: Sequence[Event]) -> None:
        """Append events to a tracker and let Rasa save it."""
        for event in events:
            tracker.update(event)
        asyncio.run(self.store.save(tracker))


def session(texts: Sequence[str], at: datetime, intent: str) -> list[Event]:
    """Return the events of a session, in the order in which Rasa makes them."""
    start = at.timestamp()
    found: list[Event] = [
        ActionExecuted("action_session_start", timestamp=start),
        SessionStarted(timestamp=start + 0.1),
        ActionExecuted("action_listen", timestamp=start + 0.2),
    ]
    for number, text in enumerate(texts):
        then = start + 1 + 4 * number
        parsed = {
            "intent": {"name": intent, "confidence": 0.4},
            "intent_ranking": [{"name": "greet", "confidence": 0.3}],
        }
        said = UserUttered(text, parsed["intent"], parse_data=parsed, input_channel="rest", timestamp=then)
        answer = BotUttered("Sorry?", timestamp=then + 2)
        found += [said, ActionExecuted("utter_default", timestamp=then + 1), answer]
        found += [
            SlotSet("last_feedback", {"message_id": repr(then + 2), "value": "down"}, timestamp=then + 2.5),
            ActionExecuted("action_listen", timestamp=then + 3),
        ]
    return found


# --- SQL ------------------------------------------------------------------------------------------


def sql_world(url: str) -> World:
    """A world on a database that is there and empty."""
    if url.startswith("sqlite:///"):
        store = SQLTrackerStore(DOMAIN, db=url.removeprefix("sqlite:///"))
    else:
        store = SQLTrackerStore(DOMAIN, host=url)
    return World(store, lambda: SqlTrackerEvents(url), lambda: SqlTrackerEraser(url), True)


@contextmanager
def mariadb_server(folder: Path) -> Iterator[str]:
    """Start a MariaDB of the tests' own; give its URL without a database, and stop it."""
    server, install = shutil.which("mariadbd") or "/usr/sbin/mariadbd", shutil.which("mariadb-install-db")
    if install is None or not Path(server).exists():
        pytest.skip("MariaDB is not installed")
    # As root it refuses to run unless it is told to.
    user = ["--user=root"] if os.getuid() == 0 else []
    data = folder / "mariadb"
    make = [install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", *user]
    subprocess.run([*make, "--skip-test-db"], check=True, capture_output=True, timeout=MARIADB_SECONDS)
    port = _free_port()
    place = [f"--datadir={data}", f"--socket={folder}/s", f"--pid-file={folder}/pid", f"--port={port}"]
    lean = ["--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]
    with (folder / "mariadb.log").open("wb") as log:
        process = subprocess.Popen([server, "--no-defaults", *place, *lean, *user], stdout=log, stderr=log)
    try:
        _wait_for_mariadb(process, port, folder / "mariadb.log")
        yield f"mysql+pymysql://root@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(MARIADB_SECONDS)


def _wait_for_mariadb(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + MARIADB_SECONDS
    while True:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root").close()
            return
        except pymysql.Error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"MariaDB does not start:\n{log.read_text('utf-8', 'replace')}") from None
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mariadb_database(server: str) -> Iterator[str]:
    """Give the URL of an empty database on that server, and drop it."""
    name, port = f"t{uuid.uuid4().hex[:12]}", int(server.rsplit(":", 1)[1])
    with pymysql.connect(host="127.0.0.1", port=port, user="root") as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        yield f"{server}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


# --- MongoDB: mongomock, which Rasa's own tests use too, stands in for the server -------------------


class MockedMongoTrackerStore(MongoTrackerStore):
    """Rasa's class on a database in memory, made as in Rasa's own tests."""

    def __init__(self, domain: Domain) -> None:
        self.db = mongomock.MongoClient().rasa
        self.collection = "conversations"
        super(MongoTrackerStore, self).__init__(domain, None)


def mongo_world() -> World:
    """A world in memory."""
    store = MockedMongoTrackerStore(DOMAIN)
    dialogues = MongoDialogues(store.conversations, "tracker store mongodb://test")
    return World(
        store, lambda: DocumentTrackerEvents(dialogues, tomorrow), lambda: DocumentTrackerEraser(dialogues), False
    )


# --- Redis ----------------------------------------------------------------------------------------


@contextmanager
def redis_world() -> Iterator[World]:
    """A world on the Redis of this machine, under a prefix of its own."""
    prefix = f"t{uuid.uuid4().hex[:12]}"
    client = redis.Redis(socket_connect_timeout=2)
    try:
        client.ping()
    except redis.RedisError:
        pytest.skip("Redis is not there")
    store = RedisTrackerStore(DOMAIN, key_prefix=prefix)
    dialogues = open_redis({"url": "127.0.0.1", "key_prefix": prefix})
    yield World(
        store, lambda: DocumentTrackerEvents(dialogues, tomorrow), lambda: DocumentTrackerEraser(dialogues), False
    )
    for key in client.scan_iter(f"{prefix}:*"):
        client.delete(key)


def tomorrow() -> datetime:
    """Return a time behind all that these tests write."""
    return NOON + timedelta(days=1)
