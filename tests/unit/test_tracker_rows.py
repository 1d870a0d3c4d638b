"""The benchmark's tracker store against Rasa: what Rasa reads of a row, it would write as that row."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.tracker_rows import Row
from benchmarks.tracker_store import add_sqlite, make_sqlite, new_talk
from benchmarks.tracker_talk import Talk, Vocabulary
from tests.learning_builders import EVENTS_TABLE

VOCABULARY = Vocabulary(
    known={
        "greet": ("hello", "good morning"),
        "faq/hours": ("when do you open", "öffnungszeiten?"),
        "talk_to_person": ("a human",),
        "track_order": ('where is "my" order', "track it"),
    },
    unknown={"loyalty": ("do you have points", "what are points worth"), "jobs": ("do you hire",)},
    noise=("the moon is cheese",),
    answers={"faq/hours": "From nine to six.", "faq/shipping": "€4.90 an order."},
)


def rows(count: int, seed: int = 0) -> list[Row]:
    talk = Talk(VOCABULARY, seed, 1_700_000_000.0, concurrent=5)
    return list(itertools.islice(itertools.chain.from_iterable(talk.rows()), count))


def test_rasa_would_write_every_row_as_it_is() -> None:
    from rasa.shared.core.events import Event

    kinds: Counter[str] = Counter()
    for _, kind, timestamp, intent, name, data in rows(3000):
        event = Event.from_parameters(json.loads(data))
        written = event.as_dict()
        assert json.dumps(written) == data
        assert (event.type_name, event.timestamp, written.get("name")) == (kind, timestamp, name)
        assert written.get("parse_data", {}).get("intent", {}).get("name") == intent
        kinds[kind] += 1

    assert set(kinds) == {"action", "active_loop", "bot", "session_started", "slot", "user", "user_featurization"}


def test_the_same_seed_says_the_same() -> None:
    assert rows(500) == rows(500) != rows(500, seed=1)


def test_every_conversation_begins_as_rasa_begins_it_and_several_go_on_at_once() -> None:
    seen: set[str] = set()
    senders = []
    for sender, kind, _, _, name, _ in rows(2000):
        if sender not in seen:
            assert (kind, name) == ("action", "action_session_start")
        seen.add(sender)
        senders.append(sender)

    changes = sum(one != other for one, other in itertools.pairwise(senders))
    assert changes > 2 * len(seen)


def test_a_store_has_rasas_table_and_grows(tmp_path: Path) -> None:
    try:
        talk = new_talk(seed=3)
    except SystemExit as error:
        pytest.skip(str(error))
    path = tmp_path / "tracker.db"
    make_sqlite(path, talk, 1500)
    add_sqlite(path, 100, seed=4)

    with sqlite3.connect(path) as connection, sqlite3.connect(":memory:") as rasas:
        rasas.executescript(EVENTS_TABLE)
        columns = [one.execute("PRAGMA table_info(events)").fetchall() for one in (connection, rasas)]
        times = [
            at for (at,) in connection.execute("SELECT timestamp FROM events WHERE type_name = 'user' ORDER BY id")
        ]
        count = connection.execute("SELECT count(*), max(id) FROM events").fetchone()
    assert columns[0] == columns[1]
    assert times == sorted(times)
    assert count == (1600, 1600)
