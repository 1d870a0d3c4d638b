"""However people split, merge and move, every message stays in one gap, and mining leaves it where they put it."""

from __future__ import annotations

import contextlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters import schema
from learning.adapters.store import Store
from learning.errors import EvergreenError
from learning.loop import Loop
from learning.model import Action, Decision, ProposalState
from learning.pipeline import merge, mine, move_example, review, split
from learning.regroup import folded
from tests.learning_builders import LOYALTY, START, TrackerFile, make_loop, make_project

S = ProposalState
SAID = (
    *LOYALTY[:6],
    *("do you sell gift cards", "buy gift cards", "gift cards balance", "are gift cards refundable"),
    *("price match guarantee", "does the price match guarantee hold", "price match guarantee claim"),
)
STEPS = st.tuples(
    st.sampled_from(["split", "auto", "merge", "move", "approve", "reject", "undo", "say"]),
    st.integers(0, 9),
    st.integers(0, 9),
)


def act(loop: Loop, tracker: TrackerFile, step: str, first: int, second: int, turn: int) -> None:
    everything = sorted(loop.store.proposals(), key=lambda item: item.proposal_id)
    waiting = [item for item in everything if item.state is S.PENDING] or everything
    one, other = waiting[first % len(waiting)], waiting[second % len(waiting)]
    text = one.examples[second % len(one.examples)] if one.examples else ""
    if step == "split":
        split(loop, one.proposal_id, [text], "ann", START)
    elif step == "auto":
        split(loop, one.proposal_id, [], "ann", START)
    elif step == "merge":
        merge(loop, [one.proposal_id, other.proposal_id], "ann", START)
    elif step == "move":
        move_example(loop, one.proposal_id, text, ("track_order", "greet")[second % 2], "ann", START)
    elif step == "say":
        tracker.say(f"late{turn}", f"{SAID[first]} again")
        mine(loop)
    else:
        item = everything[first % len(everything)] if step == "undo" else one
        review(loop, Decision(item.proposal_id, Action(step), "ann", START, reason="because"))


def places(store: Store) -> dict[str, str | None]:
    """The gap of each turn that grouping has placed."""
    table = schema.failed_turns
    query = sa.select(table.c.turn_id, table.c.gap_id).where(table.c.gap_id.isnot(None))
    with store._database.read() as connection:
        return {row.turn_id: row.gap_id for row in connection.execute(query)}


@given(st.lists(STEPS, min_size=1, max_size=6))
@settings(max_examples=15, deadline=None)
def test_every_message_stays_where_people_put_it(steps: Sequence[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracker = TrackerFile(make_project(Path(folder)) / "var" / "tracker.db")
        for number, text in enumerate(SAID):
            tracker.say(f"person{number}", text)
        loop = make_loop(Path(folder))
        store = loop.store
        assert isinstance(store, Store)
        mine(loop)
        for turn, (step, first, second) in enumerate(steps):
            before = places(store)
            with contextlib.suppress(EvergreenError):
                act(loop, tracker, step, first, second, turn)
            check(store, before, moves=step in ("split", "auto", "merge", "move"))
        put = places(store)
        mine(loop)
        assert places(store) == put
        check(store, put, moves=False)


def check(store: Store, before: dict[str, str | None], moves: bool) -> None:
    """No message is lost, and only a person moves one; what waits is about its own gap and alone in it."""
    now = places(store)
    assert set(before) <= set(now)
    if not moves:
        assert {turn_id: now[turn_id] for turn_id in before} == before
    waiting = [item for item in store.proposals() if item.state is S.PENDING]
    assert max(Counter(item.gap_id for item in waiting).values(), default=1) == 1
    for item in waiting:
        said = {folded(turn.text) for turn in store.turns_of_gap(item.gap_id)}
        assert {folded(text) for text in item.examples} <= said
    gaps = store.gaps()
    held = Counter(now.values())
    assert all(gaps[gap_id].turns == held.get(gap_id, 0) for gap_id in gaps)
    assert store.verify_audit() == []
