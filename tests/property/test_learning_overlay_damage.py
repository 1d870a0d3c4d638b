"""Whatever stands in the rows: broken entries are left out and reported, and the others go on."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters.store import Store
from learning.overlay import CaptureRule, OverlayReader
from tests.learning_builders import LOYALTY, FakeEncoder, fresh_database
from tests.unit.learning.test_learning_overlay import publish

TEXT = st.text(max_size=20) | st.sampled_from(["", "/", "a/", "/b", "\x00", "learned/x", "[]", '["a"]', "null", "{}"])
ANYTHING = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), TEXT, st.binary(max_size=64), st.just(b"\xff\xfe"),
    st.just(np.full(64, np.nan, dtype="<f4").tobytes()), st.just(np.full(64, 1e30, dtype="<f4").tobytes()),
)  # fmt: skip
COLUMNS = (
    "kind",
    "label",
    "examples",
    "answer",
    "vectors",
    "encoder",
    "release",
    "target",
    "share",
    "held_by",
    "state",
)
KINDS = st.sampled_from(["answer", "examples", "reword", "merge", "retire"])


@st.composite
def damages(draw: st.DrawFn) -> dict[str, Any]:
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    return {name: draw(KINDS if name == "kind" and draw(st.booleans()) else ANYTHING) for name in columns}


@given(changes=st.lists(damages(), min_size=1, max_size=3), at_once=st.booleans())
@settings(max_examples=20, deadline=None)  # each makes a database; run it with more by hand
def test_a_broken_row_costs_its_own_entry_only(changes: list[dict[str, Any]], at_once: bool) -> None:
    with TemporaryDirectory() as folder:
        url = fresh_database(Path(folder) / "learning.db")
        store, encoder = Store(url), FakeEncoder()
        publish(store, 0)
        watching = OverlayReader(url, encoder.encode, encoder.identity)
        if not at_once:
            watching.snapshot()
        for number in range(1, len(changes) + 1):
            publish(store, number, examples=(f"another matter {number}",), label=f"learned/other_{number}")
        _damage(Path(folder) / "learning.db", changes)
        snapshot = watching.snapshot()

        assert snapshot.entry("entry0") is not None
        vector = encoder.encode([LOYALTY[0]])[0]
        for sender in ("ann", None):
            found = snapshot.find(vector, CaptureRule(), sender)
            assert found is not None
            assert found.closest.similarity <= 1.01
            assert bool(snapshot.changes_for(sender)) in (True, False)
            assert snapshot.wording("utter_learned/question_0", sender) is not None
        left_out = {one.entry_id for one in store.quarantined()}
        assert left_out.isdisjoint({entry.entry_id for entry in snapshot.entries})

        fresh = OverlayReader(url, encoder.encode, encoder.identity).snapshot()
        assert fresh.entries == snapshot.entries
        assert fresh.changes == snapshot.changes


def _damage(path: Path, changes: list[dict[str, Any]]) -> None:
    """Write anything into columns, as only somebody with a database tool could: SQLite takes it, constraints or not."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'overlay_version'")
        version = connection.execute("SELECT value FROM meta WHERE key = 'overlay_version'").fetchone()[0]
        for number, values in enumerate(changes, start=1):
            for name, value in {**values, "changed": int(version)}.items():
                try:
                    statement = f"UPDATE entries SET {name} = ? WHERE entry_id = ?"
                    connection.execute(statement, (value, f"entry{number}"))
                except (sqlite3.IntegrityError, UnicodeEncodeError):
                    continue  # NOT NULL
