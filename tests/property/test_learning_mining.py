"""Mining is idempotent, and killing it anywhere changes nothing of what it finds in the end."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters import schema
from learning.adapters.store import Store
from learning.loop import Loop
from learning.model import Action, Decision, MiningReport
from learning.pipeline import mine, review
from tests.learning_builders import (
    CORRUPT_ROWS,
    LOYALTY,
    NLU,
    NOISE,
    START,
    FakeEncoder,
    TrackerFile,
    fresh_database,
    make_loop,
    make_project,
    nlu_yaml,
    talk,
)

BATCH = 24  # rows, so that a conversation comes in several batches
WRITES = (
    *("save_batch", "replace_overall", "replace_vectors", "save_grouping", "update_gaps"),
    *("save_proposals", "reopen_deferred", "record_run"),
)


class Killed(BaseException):
    """Ends the miner as a signal would: nothing catches it."""


class KilledStore:
    """A store whose process ends before or after its n-th write."""

    def __init__(self, store: Store, writes: int, before: bool) -> None:
        self._store = store
        self._left = writes
        self._before = before

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        def write(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0 and self._before:
                raise Killed
            result = method(*arguments, **named)
            if self._left == 0:
                raise Killed
            return result

        return write


def found(loop: Loop) -> dict[str, Any]:
    """Everything that mining leaves, without what tells of its runs."""
    store = loop.store
    assert isinstance(store, Store)
    with store._database.read() as connection:
        rows = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in (schema.conversations, schema.failed_turns, schema.signals, schema.ratings)
        }
    return {
        **rows,
        "gaps": store.gaps(),
        "proposals": [replace(proposal, created_at=START) for proposal in store.proposals()],
        "good turns": store.good_turns(),
        "counts": store.counts(),
        "watermark": store.watermark(),
        "audit": len(store.audit_rows()),
        "problems": store.verify_audit(),
    }


def mine_killed(loop: Loop, writes: int, before: bool) -> bool:
    """Mine until the n-th write; return whether it came that far."""
    try:
        mine(replace(loop, store=KilledStore(loop.store, writes, before)))  # type: ignore[arg-type]
    except Killed:
        return True
    return False


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.mining.BATCH", BATCH)


def test_mining_twice_creates_nothing_new(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    talk(TrackerFile(root / "var" / "tracker.db"))
    loop = make_loop(root)
    first = mine(loop)
    before = found(loop)

    assert (first.new_gaps, first.new_proposals) == (1, 1)
    assert mine(loop) == MiningReport(total_conversations=14)
    assert found(loop) == before


class PlaneEncoder(FakeEncoder):
    """Puts a text at the angle (in degrees) that it names, and every other text at a right angle to all of them."""

    def encode(self, texts: Sequence[str]) -> Any:
        angles = [re.search(r"at (\d+)", text) for text in texts]
        rows = [
            (np.cos(np.radians(int(angle[1]))), np.sin(np.radians(int(angle[1]))), 0.0) if angle else (0.0, 0.0, 1.0)
            for angle in angles
        ]
        return np.array(rows, dtype=np.float32).reshape(-1, 3)


def test_what_joins_a_gap_joins_in_the_first_run_and_nothing_more_in_the_second(tmp_path: Path) -> None:
    root = make_project(tmp_path, "gaps: {join_distance: 1.1}\n")
    (root / "data" / "nlu" / "nlu.yml").write_text(nlu_yaml({"greet": ("hello",)}))
    tracker = TrackerFile(root / "var" / "tracker.db")
    # 60 and 95 degrees belong together, and on average not to 0; alone, 60 does.
    for number, angle in enumerate((0, 1, 2, 60, 95)):
        tracker.say(f"person{number}", f"message at {angle}")
    loop = make_loop(root, encoder=PlaneEncoder())
    mine(loop)
    before = found(loop)
    (gap,) = before["gaps"].values()

    assert gap.turns == 4
    mine(loop)
    assert found(loop) == before


def test_killed_at_any_write_and_run_again_it_finds_the_same(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    talk(TrackerFile(root / "var" / "tracker.db"))
    expected = None
    for writes in range(40):
        for before in (True, False):
            loop = make_loop(root, fresh_database(tmp_path / "var" / f"learning-{writes}-{before}.db"))
            killed = mine_killed(loop, writes, before)
            if killed:
                mine(loop)
            expected = expected or found(loop)
            assert found(loop) == expected
        if writes and not killed:
            break
    else:
        raise AssertionError("the miner never came to its end")
    assert len(expected["proposals"]) == 1


def test_killed_while_reading_a_batch_it_finds_the_same(tmp_path: Path) -> None:
    def states(stop_at: int) -> dict[str, Any]:
        root = make_project(tmp_path / str(stop_at))
        talk(TrackerFile(root / "var" / "tracker.db"))
        loop = make_loop(root)
        seen: list[object] = []

        def on_batch(batch: object) -> None:
            seen.append(batch)
            if len(seen) == stop_at:
                raise Killed

        with pytest.raises(Killed) if stop_at else tempfile.TemporaryDirectory():
            mine(loop, on_batch)
        mine(loop)
        return found(loop)

    uninterrupted = states(0)
    assert states(1) == states(3) == uninterrupted


TEXTS = [
    *LOYALTY,
    *NOISE,
    *(f"gift wrapping {word}" for word in ("price", "paper", "ribbon", "possible")),
    *NLU["greet"],
]
EXCHANGES = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(TEXTS),
        st.sampled_from([("nlu_fallback", 0.3), ("track_order", 0.4), ("track_order", 0.95), ("greet", 0.9)]),
        st.sampled_from([None, "sorry"]),
    ),
    min_size=5,
    max_size=40,
)


def write(tracker: TrackerFile, exchanges: Iterable[tuple[int, str, tuple[str, float], str | None]]) -> None:
    for number, (sender, text, (intent, confidence), reply) in enumerate(exchanges):
        tracker.say(f"person{sender}", text, intent, confidence, reply)
        if number % 7 == 3:
            tracker.add_row(CORRUPT_ROWS[number % len(CORRUPT_ROWS)])


@given(EXCHANGES, st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=3))
@settings(max_examples=10, deadline=None)
def test_any_talk_and_any_kills_end_in_the_same(
    exchanges: Sequence[tuple[int, str, tuple[str, float], str | None]], kills: Sequence[tuple[int, bool]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = make_project(Path(folder))
        write(TrackerFile(root / "var" / "tracker.db"), exchanges)
        loops = [make_loop(root, fresh_database(root / "var" / f"{name}.db")) for name in ("whole", "killed")]
        mine(loops[0])
        for writes, before in kills:
            mine_killed(loops[1], writes, before)
        mine(loops[1])

        expected = found(loops[0])
        assert found(loops[1]) == expected
        again = mine(loops[0])
        assert (again.new_signals, again.new_gaps, again.new_proposals) == (0, 0, 0)
        assert found(loops[0]) == expected


def test_new_conversations_are_mined_on_top_and_old_decisions_stay(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    tracker = TrackerFile(root / "var" / "tracker.db")
    talk(tracker)
    loop = make_loop(root)
    mine(loop)
    (waiting,) = loop.store.proposals()
    review(loop, Decision(waiting.proposal_id, Action.REJECT, "ann", START, reason="we have none"))
    for number in range(4):
        tracker.say(f"late{number}", f"{LOYALTY[number]} today")
    report = mine(loop)

    # Each was not understood, and left after it.
    assert (report.new_signals, report.new_gaps, report.new_proposals) == (8, 0, 0)
    (gap,) = loop.store.gaps().values()
    assert gap.people > waiting.people
    assert loop.store.proposals()[0].state.value == "rejected"


def test_a_conversation_that_goes_on_is_read_again_as_one(tmp_path: Path) -> None:
    root = make_project(tmp_path)
    tracker = TrackerFile(root / "var" / "tracker.db")
    tracker.say("ann", LOYALTY[0])
    loop = make_loop(root)
    mine(loop)
    tracker.say("ann", LOYALTY[1])
    report = mine(loop)

    # The second fallback is also one in a row, and what is left after; the first is no longer left after.
    assert report.new_signals == 3
    assert loop.store.counts() == {"conversations": 1, "turns": 2, "failed_turns": 2}
