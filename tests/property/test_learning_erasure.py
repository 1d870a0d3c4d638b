"""Forgetting a person leaves what mining would have found without that person."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters import schema
from learning.adapters.store import Store
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.forget import forget
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import Action, Decision, ProposalKind, sender_key
from learning.pipeline import mine, review
from learning.searchable import make_searchable
from tests.learning_builders import LOYALTY, NLU, NOISE, START, TrackerFile, fresh_database, make_loop, make_project

PEOPLE = 6
TEXTS = (*LOYALTY, *NOISE, *NLU["greet"])
INTENTS = (("nlu_fallback", 0.3), ("track_order", 0.4), ("track_order", 0.95), ("greet", 0.9))
TALKS = st.lists(
    st.tuples(
        st.integers(0, PEOPLE - 1),
        st.sampled_from(TEXTS),
        st.booleans(),  # whether a word is added that only this person uses
        st.sampled_from(INTENTS),
        st.sampled_from([None, "up", "down"]),
    ),
    min_size=8,
    max_size=40,
)
# Where a turn stands among the gaps depends on who else asks.
COMPARED = (
    (schema.conversations, ()),
    (schema.conversation_texts, ()),
    (schema.failed_turns, ("stage", "gap_id", "vector")),
    (schema.signals, ()),
    (schema.ratings, ()),
    (schema.good_turns, ()),
)


def token(person: int) -> str:
    return "zyx" + "abcdefgh"[person] * 3


def write(tracker: TrackerFile, talks: Sequence[tuple[int, str, bool, tuple[str, float], str | None]]) -> None:
    for person, text, is_personal, (intent, confidence), thumb in talks:
        said = f"{text} {token(person)}" if is_personal else text
        tracker.say(f"person{person}", said, intent, confidence)
        if thumb:
            stamp = tracker.add(f"person{person}", {"event": "bot", "text": "?", "data": {}, "metadata": {}})
            value = {"message_id": str(stamp), "value": thumb}
            tracker.add(f"person{person}", {"event": "slot", "name": "last_feedback", "value": value})


def rows(loop: Loop) -> dict[str, list[tuple[Any, ...]]]:
    store = loop.store
    assert isinstance(store, Store)
    with store._database.read() as connection:
        return {
            table.name: [
                tuple(connection_row)
                for connection_row in connection.execute(
                    sa.select([column for column in table.columns if column.name not in left_out]).order_by(
                        *table.primary_key
                    )
                )
            ]
            for table, left_out in COMPARED
        }


def everything(store: Store) -> str:
    with store._database.read() as connection:
        tables = schema.metadata.tables.values()
        return repr([tuple(row) for table in tables for row in connection.execute(sa.select(table))])


@given(TALKS, st.integers(0, PEOPLE - 1), st.booleans())
@settings(max_examples=15, deadline=None)
def test_what_is_left_is_what_mining_without_the_person_finds(
    talks: Sequence[tuple[int, str, bool, tuple[str, float], str | None]], person: int, from_tracker: bool
) -> None:
    sender = f"person{person}"
    with tempfile.TemporaryDirectory() as folder:
        root = make_project(Path(folder))
        tracker = TrackerFile(root / "var" / "tracker.db")
        write(tracker, talks)
        loop = make_loop(root)
        store = loop.store
        assert isinstance(store, Store)
        mine(loop)
        for number, waiting in enumerate(store.proposals()):
            edited = {"answer": "Yes.", "label": f"learned/question_{number}"}
            is_new = waiting.kind is ProposalKind.ANSWER
            decision = Decision(waiting.proposal_id, Action.EDIT if is_new else Action.APPROVE, "ann", START)
            review(loop, replace(decision, **edited) if is_new else decision)

        eraser = SqlTrackerEraser(f"sqlite:///{root / 'var' / 'tracker.db'}")
        forget(loop, lambda: eraser, "ann", sender, from_tracker=from_tracker)
        assert token(person) not in everything(store)
        mine(loop)

        tracker.execute("DELETE FROM events WHERE sender_id = ?", (sender,))
        without = make_loop(root, fresh_database(root / "var" / "without.db"))
        read_conversations(without, lambda reading: None)
        make_searchable(without)
        assert rows(loop) == rows(without)
        assert store.verify_audit() == []
        assert everything(store).count(sender_key(sender)) <= 2  # it is remembered, and who erased it
        assert token(person) not in everything(store)
        version = store.overlay_version()
        again = forget(loop, lambda: eraser, "ann", sender)
        assert not again.erased.found_anything
        assert store.overlay_version() == version
