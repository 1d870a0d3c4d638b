from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learning.adapters.store import Store
from learning.model import (
    Change,
    ProposalKind,
    ProposalState,
    ReleaseKind,
)
from learning.overlay import RETRY_SECONDS, OverlayReader, open_reader
from tests.learning_builders import LOYALTY, START, FakeEncoder, fresh_database, proposal

PUBLISHED = ProposalState.PUBLISHED


class Ticks:
    """Monotonic seconds that tests move."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fresh_database(tmp_path / "learning.db")


def publish(store: Store, number: int = 1, encoder: FakeEncoder | None = None, **more: Any) -> None:
    encoder = encoder or FakeEncoder()
    approved = proposal(number, state=ProposalState.APPROVED, **more)
    store.save_proposals([approved], START)
    live = proposal(number, state=PUBLISHED, **more)
    vectors = encoder.encode(live.examples)
    store.publish(approved, live, f"entry{number}", vectors, encoder.identity, "ann", START)


def reader(url: str, encoder: FakeEncoder | None = None, clock: Ticks | None = None) -> OverlayReader:
    encoder = encoder or FakeEncoder()
    return OverlayReader(url, encoder.encode, encoder.identity, clock or Ticks())


def execute(url: str, statement: str, *parameters: object) -> None:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute(statement, parameters)


def test_nothing_is_live_at_first(url: str) -> None:
    Store(url)
    snapshot = reader(url).snapshot()

    assert (snapshot.version, snapshot.entries) == (0, ())
    assert snapshot.nearest(np.zeros(64)) is None
    assert snapshot.answer_for("utter_learned/x") is None


def test_a_publication_is_seen_at_the_next_look(url: str) -> None:
    store, encoder = Store(url), FakeEncoder()
    watching = reader(url, encoder)
    watching.snapshot()
    publish(store)
    publish(store, 2, kind=ProposalKind.EXAMPLES, label="track_order", examples=("parcel tracking",), answer="ignored")

    snapshot = watching.snapshot()
    match = snapshot.nearest(encoder.encode(["loyalty points"])[0])
    assert match is not None
    assert (match.entry.label, match.similarity > 0.6) == ("learned/question_1", True)
    assert snapshot.answer_for("utter_learned/question_1") == "You collect points with every order."
    assert snapshot.answer_for("utter_track_order") is None
    assert snapshot.rows.vectors.shape == (4, 64)
    assert snapshot.rows.owners.tolist() == [0, 0, 0, 1]


def test_an_unchanged_version_is_answered_from_memory(url: str) -> None:
    publish(Store(url))
    watching = reader(url)

    assert watching.snapshot() is watching.snapshot()


def test_a_snapshot_in_use_does_not_change_under_a_message(url: str) -> None:
    store, watching = Store(url), reader(url)
    publish(store)
    before = watching.snapshot()
    store.release(ReleaseKind.WITHDRAW, [Change(store.entries()[0].entry_id, 100, 0)], "ann", START)

    assert watching.snapshot().entries == ()
    assert len(before.entries) == 1


def test_what_is_absorbed_is_no_longer_live(url: str) -> None:
    store = Store(url)
    publish(store)
    store.absorb([(store.entries()[0], "known")], "m", "retrain", START)

    assert reader(url).snapshot().entries == ()


BREAKAGES = [
    "UPDATE entries SET examples = 'not json' WHERE entry_id = 'entry1'",
    "UPDATE entries SET examples = '[]' WHERE entry_id = 'entry1'",
    "UPDATE entries SET examples = '[1]' WHERE entry_id = 'entry1'",
    "UPDATE entries SET examples = 'null' WHERE entry_id = 'entry1'",
    "UPDATE entries SET kind = 'poem' WHERE entry_id = 'entry1'",
    "UPDATE entries SET answer = NULL WHERE entry_id = 'entry1'",
]


@pytest.mark.parametrize("statement", BREAKAGES)
def test_a_broken_entry_costs_its_own_answer_only(url: str, statement: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(url)
    publish(store, 1)
    publish(store, 2)
    execute(url, statement)
    with caplog.at_level(logging.ERROR):
        snapshot = reader(url).snapshot()

    assert [entry.entry_id for entry in snapshot.entries] == ["entry2"]
    assert "entry1 is broken" in caplog.text
    assert not any(text in caplog.text for text in LOYALTY)


DAMAGED = {
    "empty": b"",
    "cut": b"abc",
    "too short": b"\0" * 4 * 3 * 32,
    "not numbers": b"\xff" * 4 * 3 * 64,
    "none": None,
}


@pytest.mark.parametrize("blob", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_vectors_are_made_again(url: str, blob: bytes | None) -> None:
    store, encoder = Store(url), FakeEncoder()
    publish(store, 1)
    publish(store, 2)
    execute(url, "UPDATE entries SET vectors = ? WHERE entry_id = 'entry1'", blob)
    snapshot = reader(url, encoder).snapshot()

    assert len(snapshot.entries) == 2
    assert np.allclose(snapshot.rows.vectors[:3], encoder.encode(LOYALTY[:3]))


def test_another_encoders_vectors_are_made_again(url: str) -> None:
    publish(Store(url), 1, FakeEncoder("old", dimensions=32))
    encoder = FakeEncoder("new", dimensions=64)
    snapshot = reader(url, encoder).snapshot()

    assert np.allclose(snapshot.rows.vectors, encoder.encode(LOYALTY[:3]))


def test_the_last_snapshot_stays_while_the_database_is_away(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store, clock = Store(url), Ticks()
    watching = reader(url, clock=clock)
    publish(store)
    before = watching.snapshot()
    execute(url, "ALTER TABLE meta RENAME TO away")
    with caplog.at_level(logging.WARNING):
        assert watching.snapshot() is before
        assert watching.snapshot() is before
    assert caplog.text.count("version 1 stays live") == 1  # it is not asked again at once

    execute(url, "ALTER TABLE away RENAME TO meta")
    publish(store, 2)
    assert watching.snapshot() is before
    clock.seconds += RETRY_SECONDS
    assert len(watching.snapshot().entries) == 2


def test_a_database_that_was_never_made_is_no_reason_to_fail(tmp_path: Path) -> None:
    assert reader(f"sqlite:///{tmp_path}/nowhere/learning.db").snapshot().version == 0
    assert reader("postgresql://postgres@127.0.0.1:1/none").snapshot().version == 0


def test_the_bot_opens_the_database_that_the_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(Store(fresh_database(tmp_path / "var" / "learning.db")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVERGREEN_STORE_URL", raising=False)
    encoder = FakeEncoder()

    assert len(open_reader(encoder.encode, encoder.identity).snapshot().entries) == 1


CHANGES = ProposalKind.MERGE, ProposalKind.RETIRE, ProposalKind.REWORD


def test_changes_need_no_vectors(url: str) -> None:
    store = Store(url)
    publish(store, 1, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)
    publish(store, 2, kind=ProposalKind.RETIRE, label="faq/c", answer=None)
    publish(store, 3, kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", answer="Better.")
    snapshot = reader(url).snapshot()

    assert [entry.kind for entry in snapshot.entries] == [*CHANGES]
    assert (dict(snapshot.renamed), snapshot.retired) == ({"faq/b": "faq/a"}, frozenset({"faq/c"}))
    assert dict(snapshot.changes.decided_by) == {"faq/b": "entry1", "faq/c": "entry2"}
    assert snapshot.answer_for("utter_faq/a") == "Better."
    assert len(snapshot.rows.owners) == 0
    assert snapshot.nearest(FakeEncoder().encode(["loyalty points"])[0]) is None


def test_rows_belong_to_the_entries_that_teach(url: str) -> None:
    store = Store(url)
    publish(store, 1, kind=ProposalKind.RETIRE, label="faq/c", answer=None)
    publish(store, 2)
    publish(store, 3, kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", answer="Better.")
    publish(store, 4, examples=("parcel tracking",))
    snapshot = reader(url).snapshot()

    assert [snapshot.slots[owner].entry_id for owner in snapshot.rows.owners] == ["entry2"] * 3 + ["entry4"]
    assert snapshot.rows.vectors.shape == (4, 64)


@pytest.mark.parametrize("newest_is_reworded", [True, False])
def test_the_newest_release_of_an_answer_wins(url: str, newest_is_reworded: bool) -> None:
    store = Store(url)
    reword: dict[str, Any] = {"kind": ProposalKind.REWORD, "label": "learned/x", "answer": "Reworded."}
    steps: list[dict[str, Any]] = [
        {"label": "learned/x", "answer": "Answered."},
        {**reword, "target": "utter_learned/x"},
    ]
    for number, step in enumerate(steps if newest_is_reworded else reversed(steps)):
        publish(store, number, **step)

    expected = "Reworded." if newest_is_reworded else "Answered."
    assert reader(url).snapshot().answer_for("utter_learned/x") == expected


BROKEN_CHANGES = [
    (1, "UPDATE entries SET target = NULL WHERE entry_id = 'entry1'"),
    (1, "UPDATE entries SET label = '' WHERE entry_id = 'entry1'"),
    (3, "UPDATE entries SET answer = NULL WHERE entry_id = 'entry3'"),
    (3, "UPDATE entries SET target = NULL WHERE entry_id = 'entry3'"),
]


@pytest.mark.parametrize(("broken", "statement"), BROKEN_CHANGES)
def test_a_broken_change_is_left_out(url: str, broken: int, statement: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(url)
    publish(store, 1, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)
    publish(store, 2)
    publish(store, 3, kind=ProposalKind.REWORD, label="faq/a", target="utter_faq/a", answer="Better.")
    execute(url, statement)
    with caplog.at_level(logging.ERROR):
        snapshot = reader(url).snapshot()

    assert {entry.entry_id for entry in snapshot.entries} == {"entry1", "entry2", "entry3"} - {f"entry{broken}"}
    assert f"entry{broken} is broken" in caplog.text


def test_a_merge_in_a_circle_is_left_out(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(url)
    publish(store, 1, kind=ProposalKind.MERGE, label="faq/a", target="faq/b", answer=None)
    publish(store, 2, kind=ProposalKind.MERGE, label="faq/b", target="faq/a", answer=None)
    with caplog.at_level(logging.ERROR):
        snapshot = reader(url).snapshot()

    assert dict(snapshot.renamed) == {"faq/b": "faq/a"}
    assert "entry2 merges labels in a circle" in caplog.text


def test_a_database_without_targets_is_still_read(url: str) -> None:
    # The bot may start with new code before anything has migrated the database.
    publish(Store(url))
    execute(url, "ALTER TABLE entries DROP COLUMN target")

    assert [entry.target for entry in reader(url).snapshot().entries] == [None]
