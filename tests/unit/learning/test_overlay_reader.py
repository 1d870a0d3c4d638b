"""How a running bot follows the learning database: incrementally, in the background, and whatever happens to it."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from learning import overlay_database
from learning.adapters.store import Store
from learning.model import ProposalKind
from learning.overlay import POLL_SECONDS, POLL_VARIABLE, OverlayReader, _poll_seconds
from learning.overlay_intake import ENCODE_AT_ONCE
from learning.overlay_table import OverlayTable
from tests.learning_builders import FakeEncoder, fresh_database
from tests.unit.learning.test_learning_overlay import execute, publish, reader

DEADLINE = 20.0  # seconds, for a machine that is busy with other things


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fresh_database(tmp_path / "learning.db")


@pytest.fixture
def polling(url: str) -> Iterator[OverlayReader]:
    encoder = FakeEncoder()
    watching = OverlayReader(url, encoder.encode, encoder.identity, poll=0.02)
    yield watching
    watching.close()


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not check():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def change(url: str, statement: str, *parameters: object) -> None:
    """Change rows of `entries` as a new version, in one transaction."""
    version = "(SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'overlay_version')"
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'overlay_version'")
        connection.execute(statement.replace("SET ", f"SET changed = {version}, "), parameters)


# --- reading what is new ------------------------------------------------------------------------


def test_only_what_has_changed_is_read(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    watching.snapshot()
    # What nobody told of is not looked at again: the row would be broken now.
    execute(url, "UPDATE entries SET examples = 'not json' WHERE entry_id = 'entry1'")
    publish(store, 2)

    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry1", "entry2"]


def test_what_is_withdrawn_goes_and_what_is_restored_comes_back(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    publish(store, 2)
    vector = FakeEncoder().encode(["loyalty points"])[0]
    before = watching.snapshot()
    change(url, "UPDATE entries SET state = 'withdrawn' WHERE entry_id = 'entry1'")
    without = watching.snapshot()
    change(url, "UPDATE entries SET state = 'published' WHERE entry_id = 'entry1'")
    after = watching.snapshot()

    assert [entry.entry_id for entry in without.entries] == ["entry2"]
    assert without.answer_for("utter_learned/question_1") is None
    assert after.entries == before.entries
    assert after.nearest(vector) == before.nearest(vector)
    assert after.answer_for("utter_learned/question_1") == before.answer_for("utter_learned/question_1")


def test_rows_that_older_code_has_written_are_read(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    watching.snapshot()
    publish(store, 2)
    execute(url, "UPDATE entries SET changed = 0")

    assert len(watching.snapshot().entries) == 2
    execute(url, "DELETE FROM entries WHERE entry_id = 'entry1'")
    execute(url, "UPDATE meta SET value = value + 1 WHERE key = 'overlay_version'")
    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry2"]


def test_a_restored_backup_is_read_from_the_beginning(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    path = Path(url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = path.read_bytes()
    publish(store, 2)
    change(url, "UPDATE entries SET state = 'withdrawn' WHERE entry_id = 'entry1'")
    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry2"]

    for leftover in path.parent.glob("learning.db*"):
        leftover.unlink()
    path.write_bytes(backup)
    snapshot = watching.snapshot()
    assert (snapshot.version, [entry.entry_id for entry in snapshot.entries]) == (1, ["entry1"])


def test_a_reading_that_ends_half_way_shows_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(url)
    for number in (1, 2):
        publish(store, number)
    encoder, ticks = FakeEncoder(), iter(range(0, 1000, 10))
    watching = OverlayReader(
        url, encoder.encode, encoder.identity, lambda: float(next(ticks)), table=lambda: OverlayTable(1, 1)
    )
    vector = encoder.encode(["question number 1"])[0]
    before = watching.snapshot()
    found = before.nearest(vector)
    # What is half read waits for vectors, which are made after a look whether it failed or not.
    change(url, "UPDATE entries SET encoder = 'another', share = 25 WHERE entry_id = 'entry1'")
    change(url, "UPDATE entries SET state = 'withdrawn' WHERE entry_id = 'entry2'")
    dies = True

    def rows(*arguments: Any) -> Iterator[Mapping[str, Any]]:
        for number, row in enumerate(real(*arguments)):
            if dies and number:
                raise sqlite3.OperationalError("the connection was closed")
            yield row

    real = overlay_database._rows
    monkeypatch.setattr(overlay_database, "_rows", rows)
    during = watching.snapshot()
    assert (during.version, during.entries) == (before.version, before.entries)
    assert during.nearest(vector) == found

    # The version that was shown comes back, and what was half read has to go.
    change(url, "UPDATE entries SET state = 'published', share = 100")
    execute(url, f"UPDATE meta SET value = {before.version} WHERE key = 'overlay_version'")
    dies = False
    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry1", "entry2"]


@pytest.mark.parametrize("more", [1, 2])
def test_a_restored_backup_that_came_to_the_same_version_again_is_noticed(url: str, more: int) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    with store._database.read() as connection:
        before = connection.execute(sa.text("SELECT key, value FROM meta WHERE key LIKE 'overlay%'")).all()
    publish(store, 2)
    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry1", "entry2"]

    execute(url, "DELETE FROM entries WHERE entry_id = 'entry2'")
    for key, value in before:
        execute(url, f"UPDATE meta SET value = '{value}' WHERE key = '{key}'")
    execute(url, "UPDATE entries SET share = 25")  # as it was in the backup: no row is newer than what the bot has
    for number in range(3, 3 + more):
        publish(store, number)
    entries = watching.snapshot().entries
    assert [entry.entry_id for entry in entries] == ["entry1", *(f"entry{number}" for number in range(3, 3 + more))]
    assert entries[0].share == 25


def test_vectors_are_made_anew_in_small_parts(url: str) -> None:
    store = Store(url)
    for number in range(1, 31):
        publish(store, number)
    for number in range(1, 31):
        texts = [f"question {number} {part}" for part in range(40 if number == 5 else 3)]
        execute(url, f"UPDATE entries SET examples = '{json.dumps(texts)}' WHERE entry_id = 'entry{number}'")
    encoder, calls = FakeEncoder("new"), list[int]()

    def encode(texts: list[str]) -> np.ndarray:
        calls.append(len(texts))
        return encoder.encode(texts)

    watching = OverlayReader(url, encode, "new")
    snapshot = watching.snapshot()
    total = sum(len(entry.examples) for entry in snapshot.entries)
    assert (len(snapshot.entries), max(calls)) == (30, ENCODE_AT_ONCE)
    assert len(calls) <= total // ENCODE_AT_ONCE + 2  # entries share a call
    for entry_id, place in snapshot.places.items():
        vectors = snapshot.rows.vectors[snapshot.rows.owners == place]
        assert np.array_equal(vectors, encoder.encode(list(snapshot.slots[place].examples))), entry_id


def test_a_process_that_makes_vectors_ends_in_order(url: str) -> None:
    publish(Store(url), 1)
    script = (
        "import sys, threading, numpy as np\n"
        "from learning.overlay import OverlayReader\n"
        "busy = threading.Event()\n"
        "def encode(texts):\n"
        "    busy.set()\n"
        "    for _ in range(20): np.linalg.svd(np.random.rand(120, 120))\n"
        "    print('made', flush=True)\n"
        "    return np.eye(8, dtype='float32')[[0] * len(texts)]\n"
        "reader = OverlayReader(sys.argv[1], encode, 'new', poll=0.02)\n"
        "threading.Thread(target=reader.snapshot, daemon=True).start()\n"
        "assert busy.wait(30)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("made")  # the end has waited for what was begun


def test_a_database_without_the_newest_columns_is_read(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    for name in ("ix_entries_changed",):
        execute(url, f"DROP INDEX {name}")
    for name in ("changed", "share", "held_by", "absorbed_by"):
        execute(url, f"ALTER TABLE entries DROP COLUMN {name}")
    execute(url, "DROP TABLE experiments")
    execute(url, "DROP TABLE quarantine")

    assert [entry.share for entry in watching.snapshot().entries] == [100]
    execute(url, "UPDATE entries SET state = 'withdrawn'")
    execute(url, "UPDATE meta SET value = 2 WHERE key = 'overlay_version'")
    assert watching.snapshot().entries == ()


def test_shares_are_read_and_followed(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    change(url, "UPDATE entries SET share = 25 WHERE entry_id = 'entry1'")
    snapshot = watching.snapshot()
    [entry] = snapshot.entries

    assert (entry.share, snapshot.reach(entry), snapshot.partial) == (25, 25, True)
    admitted = [snapshot.admits(entry, f"sender {number}") for number in range(400)]
    assert 60 < sum(admitted) < 140
    assert snapshot.admits(entry, None) is False

    change(url, "UPDATE entries SET share = 100")
    assert watching.snapshot().partial is False


# --- answers that were withdrawn from the model -------------------------------------------------


def test_a_withdrawn_answer_that_the_model_knows_is_retired(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    watching.snapshot()
    change(url, "UPDATE entries SET state = 'withdrawn', held_by = 'model.tar.gz'")
    snapshot = watching.snapshot()
    assert snapshot.retired == {"learned/question_1"}
    assert snapshot.changes.decided_by == {"learned/question_1": "entry1"}
    assert reader(url).snapshot().retired == snapshot.retired

    change(url, "UPDATE entries SET held_by = NULL")  # another model runs
    assert watching.snapshot().retired == frozenset()


def test_a_label_that_is_answered_again_is_not_retired(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1, label="learned/x")
    change(url, "UPDATE entries SET state = 'withdrawn', held_by = 'model.tar.gz'")
    publish(store, 2, label="learned/x")
    assert watching.snapshot().retired == frozenset()

    change(url, "UPDATE entries SET share = 50 WHERE entry_id = 'entry2'")
    snapshot = watching.snapshot()
    [entry] = snapshot.entries
    for number in range(50):
        sender = f"sender {number}"
        retired = "learned/x" in snapshot.changes_for(sender).retired
        assert retired is not snapshot.admits(entry, sender)

    change(url, "UPDATE entries SET state = 'absorbed', share = 100 WHERE entry_id = 'entry2'")
    assert watching.snapshot().retired == frozenset()
    assert reader(url).snapshot().retired == frozenset()


# --- quarantine ---------------------------------------------------------------------------------


def test_broken_entries_are_reported_until_they_are_good_again(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store, 1)
    publish(store, 2)
    change(url, "UPDATE entries SET answer = NULL WHERE entry_id = 'entry1'")
    watching.snapshot()

    [broken] = store.quarantined()
    assert (broken.entry_id, broken.reason) == ("entry1", "it has no answer")
    assert abs((datetime.now(timezone.utc) - broken.at).total_seconds()) < 60
    reader(url).snapshot()  # another worker reports the same
    assert len(store.quarantined()) == 1

    change(url, "UPDATE entries SET answer = 'Again.' WHERE entry_id = 'entry1'")
    watching.snapshot()
    assert store.quarantined() == []


def test_reports_of_entries_that_are_gone_are_cleared(url: str) -> None:
    store = Store(url)
    publish(store, 1, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)
    publish(store, 2, kind=ProposalKind.MERGE, label="faq/b", target="faq/a", answer=None)
    reader(url).snapshot()
    assert [(one.entry_id, one.reason) for one in store.quarantined()] == [("entry2", "it merges labels in a circle")]

    change(url, "UPDATE entries SET state = 'withdrawn' WHERE entry_id = 'entry2'")
    reader(url).snapshot()
    assert store.quarantined() == []


def test_what_cannot_be_encoded_is_left_out_alone(url: str) -> None:
    publish(Store(url), 1, FakeEncoder("old"))
    publish(Store(url), 2, FakeEncoder("old"), examples=("unlucky words",))
    encoder = FakeEncoder("new")

    def encode(texts: list[str]) -> np.ndarray:
        if "unlucky words" in texts:
            raise RuntimeError("no idea")
        return encoder.encode(texts)

    watching = OverlayReader(url, encode, "new")
    assert [entry.entry_id for entry in watching.snapshot().entries] == ["entry1"]
    assert [one.entry_id for one in Store(url).quarantined()] == ["entry2"]


# --- in the background --------------------------------------------------------------------------


def test_a_release_is_seen_without_a_question_to_the_database(url: str, polling: OverlayReader) -> None:
    store = Store(url)
    publish(store, 1)
    assert len(polling.snapshot().entries) == 1  # the first call waits for the first reading
    publish(store, 2)
    eventually(lambda: len(polling.snapshot().entries) == 2)
    change(url, "UPDATE entries SET state = 'withdrawn'")
    eventually(lambda: polling.snapshot().entries == ())


def test_a_database_that_goes_away_comes_back(
    url: str, polling: OverlayReader, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learning.overlay.RETRY_SECONDS", 0.02)
    store = Store(url)
    publish(store, 1)
    polling.snapshot()
    with caplog.at_level(logging.WARNING):
        execute(url, "ALTER TABLE meta RENAME TO away")
        eventually(lambda: "version 1 stays live" in caplog.text)
        assert len(polling.snapshot().entries) == 1
        execute(url, "ALTER TABLE away RENAME TO meta")
        publish(store, 2)
        eventually(lambda: len(polling.snapshot().entries) == 2)
    assert caplog.text.count("cannot read the learning database") == 1
    assert caplog.text.count("is back") == 1


def test_a_database_that_is_away_at_first_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.overlay.RETRY_SECONDS", 0.02)
    encoder, url = FakeEncoder(), f"sqlite:///{tmp_path}/later.db"
    watching = OverlayReader(url, encoder.encode, encoder.identity, poll=0.02)
    try:
        assert watching.snapshot().entries == ()
        assert not (tmp_path / "later.db").exists()
        publish(Store(fresh_database(tmp_path / "later.db")))
        eventually(lambda: len(watching.snapshot().entries) == 1)
    finally:
        watching.close()


def test_an_index_is_made_behind_the_messages_back(url: str) -> None:
    publish(Store(url), 1, examples=tuple(f"question number {number}" for number in range(40)))
    encoder = FakeEncoder()
    watching = OverlayReader(url, encoder.encode, encoder.identity, poll=0.02, table=lambda: OverlayTable(1, 1))
    try:
        first = watching.snapshot()
        eventually(lambda: watching.snapshot().rows.indexed == 40)
        later = watching.snapshot()
        assert later.entries == first.entries
        assert later.wordings is first.wordings  # nothing is worked out again
        vector = encoder.encode(["question number 7"])[0]
        assert later.nearest(vector) == first.nearest(vector)
    finally:
        watching.close()


def test_a_child_process_reads_for_itself(url: str, polling: OverlayReader) -> None:
    store = Store(url)
    publish(store, 1)
    polling.snapshot()
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover  # another process
        seen = b"nothing"
        try:
            inherited = len(polling.snapshot().entries)
            os.write(sending, b"ready")
            deadline = time.monotonic() + DEADLINE
            while len(polling.snapshot().entries) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            seen = f"{inherited} then {len(polling.snapshot().entries)}".encode()
        finally:
            os.write(sending, seen)
            os._exit(0)
    assert os.read(receiving, 5) == b"ready"
    publish(store, 2)
    assert os.read(receiving, 20) == b"1 then 2"
    os.waitpid(child, 0)
    os.close(receiving)
    os.close(sending)
    eventually(lambda: len(polling.snapshot().entries) == 2)


def test_after_closing_the_last_snapshot_stays(url: str, polling: OverlayReader) -> None:
    store = Store(url)
    publish(store, 1)
    polling.snapshot()
    polling.close()
    publish(store, 2)

    assert len(polling.snapshot().entries) == 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("1.5", 1.5), ("often", POLL_SECONDS), ("-1", POLL_SECONDS), ("nan", POLL_SECONDS)],
)
def test_how_often_it_looks_can_be_set(value: str, seconds: float) -> None:
    assert _poll_seconds({POLL_VARIABLE: value}) == seconds
    assert _poll_seconds({}) == POLL_SECONDS
