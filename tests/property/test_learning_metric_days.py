"""Daily figures: however conversations came, changed and went, counting what has changed is counting everything."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.adapters import schema
from learning.adapters.store import Store
from learning.adapters.totals import NOT_TOTALLED
from learning.metrics_days import Figures
from learning.model import Outcome, ServiceCall, Signal
from tests.learning_builders import fresh_database, mined, turn

BEGIN = datetime(2025, 3, 1, tzinfo=timezone.utc)
HOURS = 24 * 12
SENDERS = ("ann", "bob", "eve")
CALLS = (ServiceCall("shop", "balance", "ok", 20.0), ServiceCall("shop", "refund", "unavailable", 5000.0))

talks = st.fixed_dictionaries(
    {
        "do": st.just("talk"),
        "sender": st.sampled_from(SENDERS),
        "number": st.integers(0, 4),
        "hour": st.integers(0, HOURS),
        "lasts": st.integers(0, 60),
        "outcome": st.sampled_from(list(Outcome)),
        "channel": st.sampled_from(["web", "slack"]),
        "calls": st.integers(0, 2),
        "csat": st.sampled_from([None, 1, 5]),
        "thumbs": st.sampled_from([-1, 0, 1]),
        "failed": st.sampled_from([(), ("rephrase",), ("fallback", "handoff")]),
    }
)
others = st.one_of(
    st.fixed_dictionaries({"do": st.just("erase"), "sender": st.sampled_from(SENDERS)}),
    st.fixed_dictionaries({"do": st.just("give up"), "hour": st.integers(0, HOURS)}),
    st.fixed_dictionaries({"do": st.just("count"), "most": st.sampled_from([None, 1, 2])}),
)


def apply(store: Store, step: dict) -> None:
    if step["do"] == "erase":
        store.erase(step["sender"], (), lambda texts: "", BEGIN, "me", BEGIN)
    elif step["do"] == "give up":
        store.give_up(BEGIN + timedelta(hours=step["hour"]))
    elif step["do"] == "count":
        store.count_days(step["most"])
    else:
        started = BEGIN + timedelta(hours=step["hour"])
        text = f"{step['sender']} {step['number']}"
        said = turn(text, channel=step["channel"], csat=step["csat"], thumbs=step["thumbs"])
        talk = mined(
            step["sender"],
            text,
            turns=(said,),
            conversation_id=f"{text:<16}",
            started=started,
            last_at=started + timedelta(hours=step["lasts"]),
            first_row=10 * step["number"] + 1,
            last_row=10 * step["number"] + 2,
            outcome=step["outcome"],
            reason="asked" if step["outcome"] is Outcome.ESCALATED else "",
            calls=CALLS[: step["calls"]],
            signals=tuple(Signal(kind, 1.0, "") for kind in step["failed"]),
        )
        store.save_batch([talk], [], None)


def totals(store: Store) -> dict[tuple[str, str], int]:
    return dict(store.loop_numbers(BEGIN).totals)


def summed(store: Store) -> Counter[tuple[str, str]]:
    """Return what the days add up to, without what may still be taken back."""
    found: Counter[tuple[str, str]] = Counter()
    for _, channel, one in store.metric_days((BEGIN - timedelta(days=40)).date(), (BEGIN + timedelta(days=80)).date()):
        found.update({(channel, name): n for name, n in one.counts.items() if name not in NOT_TOTALLED})
    return found


def figures(store: Store) -> list[tuple[str, str, dict]]:
    found = store.metric_days((BEGIN - timedelta(days=40)).date(), (BEGIN + timedelta(days=80)).date())
    return [(day.isoformat(), channel, one.to_json()) for day, channel, one in found]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(talks, talks, others), max_size=25))
def test_counting_what_changed_is_counting_everything(steps):
    with TemporaryDirectory() as folder:
        store = Store(fresh_database(Path(folder) / "learning.db"))
        for step in steps:
            apply(store, step)
        assert store.count_days() == 0
        found = figures(store)
        assert store.count_days() == 0
        assert figures(store) == found
        with store._database.write() as connection:
            connection.execute(sa.delete(schema.metric_days))
            connection.execute(sa.delete(schema.meta).where(schema.meta.c.key == "metrics_version"))
        store.count_days()
        assert figures(store) == found
        with store._database.read() as connection:
            stored = connection.execute(sa.select(schema.conversations)).all()
        total = Figures()
        for _, _, one in store.metric_days(BEGIN.date(), (BEGIN + timedelta(days=80)).date()):
            total.add(one)
        assert total.counts["conversations"] == len(stored)
        assert total.counts["again"] == sum(
            any(
                other.sender == row.sender and row.last_at < other.started <= row.last_at + timedelta(days=7)
                for other in stored
            )
            for row in stored
        )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(talks, talks, others), max_size=25))
def test_totals_never_fall_and_hold_at_least_what_there_is(steps):
    with TemporaryDirectory() as folder:
        store = Store(fresh_database(Path(folder) / "learning.db"))
        before: dict[tuple[str, str], int] = {}
        for step in (*steps, {"do": "count", "most": None}):
            apply(store, step)
            now = totals(store)
            assert all(now.get(key, 0) >= count for key, count in before.items())
            before = now
        assert all(before.get(key, 0) >= count for key, count in summed(store).items())


@settings(max_examples=30, deadline=None)
@given(st.lists(talks, max_size=10))
def test_where_nothing_is_taken_back_totals_are_what_the_days_add_up_to(steps):
    with TemporaryDirectory() as folder:
        store = Store(fresh_database(Path(folder) / "learning.db"))
        for number, step in enumerate(steps):
            apply(store, {**step, "sender": f"person{number}", "number": number})  # nothing is read again
            store.count_days()
        assert totals(store) == summed(store)


@given(st.dictionaries(st.text(max_size=8), st.integers(1, 9)), st.lists(st.floats(0, 1e6)))
def test_figures_survive_being_stored(counts, values):
    figures = Figures()
    figures.counts.update(counts)
    for value in values:
        figures.note("resolution", value)
    again = Figures.from_json(figures.to_json())
    assert (again.counts, again.spreads) == (figures.counts, figures.spreads)
