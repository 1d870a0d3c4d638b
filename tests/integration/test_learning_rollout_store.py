"""Rollouts and what answers led to in the learning database, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.store import Store
from learning.adapters.store_rollout import free_withheld, reopen_gap
from learning.errors import StoreError
from learning.exposures import exposures
from learning.model import (
    AnswerCounts,
    Change,
    DayOfSender,
    Exposure,
    Mined,
    MinedSender,
    ProposalState,
    ReleaseKind,
    Rollout,
)
from tests.learning_builders import (
    START,
    FakeEncoder,
    fresh_database,
    gap,
    mined,
    proposal,
    save_members,
    session,
    turn,
)

ENTRY, OTHER = "e" * 16, "f" * 16
S = ProposalState


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return Store(fresh_database(tmp_path / "learning.db"))
    return Store(str(request.getfixturevalue("postgres_url")))


def publish(store: Store, rollout: Rollout | None = None) -> None:
    one = proposal(1)
    store.save_proposals([one], START)
    approved, live = replace(one, state=S.APPROVED), replace(one, state=S.PUBLISHED)
    with store._database.write() as connection:
        connection.execute(sa.update(schema.proposals).values(state=S.APPROVED.value))
    vectors = FakeEncoder().encode(live.examples)
    store.publish(approved, live, ENTRY, vectors, "fake-1", "ann", START, rollout=rollout)


def talk(sender: str, *texts: str, arm: str = "on", subject: str = ENTRY, day: int = 0) -> MinedSender:
    turns = tuple(
        replace(
            turn(text, second=day * 86_400 + number, exposed=((subject, arm),), reply=("yes",)),
            turn_id=f"{sender}-{day}-{number}",
        )
        for number, text in enumerate(texts)
    )
    one = session(*turns, sender=sender, conversation_id=f"{sender}-{day}", first_row=1 + day, last_row=1 + day)
    return MinedSender(sender, 1 + day, (Mined(one, (), exposures=tuple(exposures(one))),))


def test_a_rollout_goes_live_with_its_entry(store: Store) -> None:
    slowly = Rollout(ENTRY, (5, 25, 100), 0, 24.0, START)
    publish(store, slowly)

    assert store.rollouts() == [slowly]
    assert [one.share for one in store.entries()] == [5]
    assert store.releases()[0].changes == (Change(ENTRY, 0, 5),)


def test_a_step_and_its_release_are_one(store: Store) -> None:
    slowly = Rollout(ENTRY, (5, 25, 100), 0, 24.0, START)
    publish(store, slowly)
    later = replace(slowly, at_step=1, since=START + timedelta(days=1))
    store.release(ReleaseKind.ROLLOUT, [Change(ENTRY, 5, 25)], "rollout", START, rollouts=[later])
    gone = replace(later, at_step=2)
    with pytest.raises(StoreError):
        store.release(ReleaseKind.ROLLOUT, [Change(ENTRY, 5, 100)], "rollout", START, rollouts=[gone])

    assert (store.rollouts(), store.entries()[0].share) == ([later], 25)


def test_a_schedule_that_changes_is_in_the_audit_log(store: Store) -> None:
    slowly = Rollout(ENTRY, (5, 25), 0, 24.0, START)
    publish(store, slowly)
    paused = replace(slowly, stopped="paused by bob")
    store.save_rollout(paused, "pause", "bob", "why not", START)

    assert store.rollouts() == [paused]
    row = store.audit_rows()[-1]
    assert (row.what, row.who, row.item, row.after, row.reason) == ("pause", "bob", ENTRY, "5 %", "why not")
    assert store.verify_audit() == []


def test_a_schedule_for_another_share_or_for_nothing_is_refused(store: Store) -> None:
    publish(store, Rollout(ENTRY, (5, 25), 0, 24.0, START))

    for wrong in (Rollout(ENTRY, (25,), 0, 24.0, START), Rollout(OTHER, (5,), 0, 24.0, START)):
        with pytest.raises(StoreError, match="somebody else"):
            store.save_rollout(wrong, "pause", "bob", "", START)


def test_exposures_come_in_order_by_subject_and_time(store: Store) -> None:
    store.save_batch([talk("ann", "one", "two"), talk("bob", "three", day=2, subject=OTHER)], [], 1)
    store.save_batch([talk("eve", "four", arm="off", day=1)], [], 2)

    found = store.exposures(ENTRY)
    assert [(one.sender, one.arm) for one in found] == [("ann", "on"), ("ann", "on"), ("eve", "off")]
    assert found[0] == Exposure("ann-0-0", "ann-0", "ann", ENTRY, "on", START, False, False, False)
    assert store.exposures(ENTRY, START + timedelta(days=1)) == found[2:]
    assert store.exposures("none") == []


def test_a_conversation_that_is_read_again_replaces_its_exposures(store: Store) -> None:
    store.save_batch([talk("ann", "one", "two")], [], 1)
    store.save_batch([talk("ann", "one")], [], 1)

    assert [one.turn_id for one in store.exposures(ENTRY)] == ["ann-0-0"]


def test_answers_are_summed_for_a_sender_and_day(store: Store) -> None:
    store.save_batch([talk("ann", "one", "two"), talk("bob", "three")], [], 1)
    store.save_batch([talk("eve", "four", day=3), mined("odd", "not understood")], [], 2)

    assert sorted(store.answers_since(START), key=lambda one: one.sender) == [
        DayOfSender("ann", START, AnswerCounts(2)),
        DayOfSender("bob", START, AnswerCounts(1)),
        DayOfSender("eve", START + timedelta(days=3), AnswerCounts(1)),
    ]
    assert [one.sender for one in store.answers_since(START + timedelta(days=1))] == ["eve"]


def withheld(store: Store) -> MinedSender:
    """Somebody whom the entry's share has not reached and who was not understood."""
    one = mined("ann", "points?")
    (item,) = one.conversations
    told = replace(item.conversation.turns[0], exposed=((ENTRY, "off"),))
    talk = replace(item.conversation, turns=(told,))
    return replace(one, conversations=(replace(item, conversation=talk, exposures=tuple(exposures(talk))),))


def test_what_was_withheld_is_not_grouped_until_it_is_freed(store: Store) -> None:
    store.save_batch([withheld(store)], [], 1)

    assert store.fresh_turns(10) == []
    assert store.counts()["failed_turns"] == 1
    with store._database.write() as connection:
        free_withheld(connection, OTHER)
        free_withheld(connection, ENTRY)
    assert [one.text for one in store.fresh_turns(10)] == ["points?"]
    store.save_batch([withheld(store)], [], 1)
    assert [one.text for one in store.fresh_turns(10)] == ["points?"]


def test_a_gap_is_reopened_by_its_entry(store: Store) -> None:
    publish(store)
    store.save_batch([mined("ann", "points?")], [], 1)
    (failed,) = store.fresh_turns(10)
    save_members(store, [gap(proposal(1).gap_id, turns=[failed])], {failed.turn_id: proposal(1).gap_id})
    later = START + timedelta(days=1)
    with store._database.write() as connection:
        reopen_gap(connection, ENTRY, later)

    (found,) = store.gaps(changed=True).values()
    assert (found.reopened_at, found.is_reopened) == (later, True)
