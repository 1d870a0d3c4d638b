"""One contract for the learning database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.database import Database
from learning.adapters.store import Store
from learning.adapters.store_conversations import GOOD_TURNS_KEPT
from learning.errors import NotFound, ReviewError, StoreError
from learning.model import (
    Action,
    Change,
    Decision,
    GapKind,
    GoodTurn,
    LabelRatings,
    MinedSender,
    Outcome,
    Proposal,
    ProposalKind,
    ProposalState,
    Rating,
    ReleaseKind,
    Replay,
    ScorePart,
    Signal,
    Source,
    content_id,
)
from learning.overlay import OverlayReader
from learning.review import decide, move
from tests.learning_builders import (
    START,
    FakeEncoder,
    fresh_database,
    gap,
    mined,
    proposal,
    save_members,
    unguard_audit,
)

S = ProposalState
ENDED_OTHERWISE = "rows are missing at the end, or were added there by another hand"


@pytest.fixture(scope="module")
def migrated_postgres_url(shared_postgres_url: str) -> tuple[str, str]:
    """The URL of a schema with the tables in it, and the version that they have."""
    Store(shared_postgres_url)
    engine = sa.create_engine(shared_postgres_url, future=True)
    with engine.connect() as connection:
        version = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    engine.dispose()
    return shared_postgres_url, version


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return fresh_database(tmp_path / "learning.db")
    url, version = request.getfixturevalue("migrated_postgres_url")
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :version"), {"version": version})
        unguard_audit(connection)
        connection.execute(sa.text(f"TRUNCATE {', '.join(schema.metadata.tables)} RESTART IDENTITY"))
    engine.dispose()
    return url


@pytest.fixture
def store(url: str) -> Store:
    return Store(url)


def decision(one: Proposal, action: Action = Action.APPROVE, who: str = "ann", at: datetime = START) -> Decision:
    return Decision(one.proposal_id, action, who, at, reason="because", defer_until=START)


def approve(store: Store, number: int = 1) -> Proposal:
    one = proposal(number)
    store.save_proposals([one], START)
    after = decide(one, decision(one))
    store.save_decision(one, after, decision(one))
    return after


def publish(store: Store, number: int = 1) -> Proposal:
    approved = approve(store, number)
    live = move(approved, S.PUBLISHED)
    vectors = FakeEncoder().encode(live.examples)
    store.publish(approved, live, content_id("entry", number), vectors, "fake-1", "ann", START)
    return live


# --- conversations --------------------------------------------------------------------------------


def test_a_new_database_is_empty(store: Store) -> None:
    assert store.watermark() == 0
    assert store.counts() == {"conversations": 0, "turns": 0, "failed_turns": 0}
    assert (store.proposals(), store.gaps(), store.entries(), store.releases()) == ([], {}, [], [])
    assert (store.overlay_version(), store.last_run("mine"), store.verify_audit()) == (0, None, [])


def test_opening_it_again_keeps_everything(store: Store, url: str) -> None:
    store.save_batch([mined("ann", "one", "two")], [], 17)

    assert Store(url).watermark() == 17


def test_a_batch_is_saved_once_however_often_it_comes(store: Store) -> None:
    batch = [mined("ann", "one", "two"), mined("bob", "three")]

    assert store.save_batch(batch, [], 10) == (3, 3)
    assert store.save_batch(batch, [], 10) == (3, 0)
    assert store.counts() == {"conversations": 2, "turns": 3, "failed_turns": 3}
    assert store.signal_counts() == {"fallback": 3}


def test_a_longer_conversation_replaces_what_was_known_of_it(store: Store) -> None:
    store.save_batch([mined("ann", "one")], [], 10)

    assert store.save_batch([mined("ann", "one", "two")], [], 20) == (2, 1)
    assert store.counts()["turns"] == 2
    assert store.watermark() == 20


def test_several_signals_of_a_turn_count_together_and_services_not_at_all(store: Store) -> None:
    doubts = (Signal("low_confidence", 0.5, "a"), Signal("rephrase", 0.5, "b"))
    store.save_batch([mined("ann", "one", signals=doubts)], [], 1)
    store.save_batch([mined("bob", "two", signals=[Signal("backend_failure", 1.0, "c")])], [], 2)

    (failed,) = store.fresh_turns(10)
    assert (failed.text, failed.weight, failed.at, failed.signals) == ("one", 0.75, START, doubts)
    assert store.signal_counts() == {"low_confidence": 1, "rephrase": 1, "backend_failure": 1}


def test_only_a_sample_of_good_turns_stays_and_it_does_not_depend_on_the_order(store: Store, url: str) -> None:
    turns = [GoodTurn(content_id(number), f"s{number % 7}", f"text {number}", "greet") for number in range(600)]
    store.save_batch([], turns[:300], 1)
    store.save_batch([], turns[300:], 2)

    expected = sorted(turns, key=lambda one: one.turn_id)[:GOOD_TURNS_KEPT]
    assert store.good_turns() == expected


def test_a_batch_that_fails_leaves_nothing_behind(store: Store) -> None:
    store.save_batch([mined("ann", "one")], [], 10)
    bob = mined("bob", "two")
    with pytest.raises(StoreError, match="nothing was half-written"):
        store.save_batch([bob, bob], [], 20)

    assert store.watermark() == 10
    assert store.counts()["conversations"] == 1


# --- gaps -----------------------------------------------------------------------------------------


def test_gaps_keep_their_members_and_take_no_turn_from_another(store: Store) -> None:
    store.save_batch([mined("ann", "one", "two"), mined("bob", "three")], [], 1)
    one, two, three = (failed.turn_id for failed in sorted(store.fresh_turns(10), key=lambda turn: turn.text))
    first, second = gap("1" * 16), gap("2" * 16, kind=GapKind.EXISTING_INTENT, intent="greet")

    assert save_members(store, [first, second], {one: first.gap_id, two: second.gap_id}, "s1") == 2
    assert save_members(store, [first], {one: second.gap_id}, "s2") == 0
    assert [turn.turn_id for turn in store.turns_of_gap(first.gap_id)] == [one]
    assert [turn.turn_id for turn in store.turns_of_gap(second.gap_id)] == [two]
    assert [turn.turn_id for turn in store.fresh_turns(10)] == [three]
    assert store.gaps() == {first.gap_id: first, second.gap_id: second}
    assert store.gap(first.gap_id) == first
    assert store.grouping_state() == "s2"


def test_a_conversation_that_is_read_again_keeps_its_turns_in_their_gaps(store: Store) -> None:
    store.save_batch([mined("ann", "one", "two")], [], 1)
    one = store.fresh_turns(10)[0].turn_id
    save_members(store, [gap()], {one: gap().gap_id})
    store.save_batch([mined("ann", "one", "two", "three")], [], 2)

    assert [turn.turn_id for turn in store.turns_of_gap(gap().gap_id)] == [one]
    assert [turn.text for turn in store.fresh_turns(10)] == ["two", "three"]
    assert len(store.gap_vectors(gap().gap_id, 5)) == 1


def test_what_a_sender_said_before_the_row_stays(store: Store) -> None:
    early = mined("ann", "one", conversation_id="c1", first_row=1, last_row=5)
    late = mined("ann", "two", conversation_id="c2", first_row=6, last_row=9)
    store.save_batch([replace(early, conversations=(*early.conversations, *late.conversations))], [], 9)
    longer = mined("ann", "two", "three", conversation_id="c2", first_row=6, last_row=12)
    store.save_batch([longer], [], 12)

    assert store.counts() == {"conversations": 2, "turns": 3, "failed_turns": 3}
    assert store.last_sessions({"ann": 12, "bob": 12}) == {"ann": 6}
    assert store.last_sessions({"ann": 5}) == {"ann": 1}


def test_open_conversations_are_told_once_they_are_idle(store: Store) -> None:
    store.save_batch([mined("ann", "one", outcome=Outcome.OPEN, first_row=3, last_row=4)], [], 4)
    store.save_batch([mined("bob", "two", first_row=5, last_row=6)], [], 6)

    assert store.idle_conversations(START) == []
    assert store.idle_conversations(START + timedelta(hours=1)) == [3]
    assert store.outcome_counts() == {"open": 1, "resolved": 1}


def test_turns_without_a_gap_wait_in_the_pool_until_they_are_noise(store: Store) -> None:
    store.save_batch([mined("ann", "one", "two")], [], 1)
    one, two = (turn.turn_id for turn in store.fresh_turns(10))
    vector = np.array([0.6, 0.8], dtype=np.float32)

    def save(**changes: Any) -> None:
        empty: dict[str, Any] = {"gaps": (), "means": {}, "metric": "m", "members": {}, "pool": {}, "vectors": {}}
        store.save_grouping(**{**empty, "noise": (), "state": "s", **changes})

    save(pool={one: vector, two: vector})
    turns, vectors = store.pooled_turns()
    assert [turn.turn_id for turn in turns] == [one, two]
    assert np.allclose(vectors[one], vector, atol=0.001)
    assert store.fresh_turns(10) == []
    save(noise=[one])
    assert [turn.turn_id for turn in store.pooled_turns()[0]] == [two]


def test_a_gap_keeps_the_mean_of_its_members_for_one_metric(store: Store) -> None:
    store.save_grouping([gap()], {gap().gap_id: (3, np.array([0.5, 0.25]))}, "m1", {}, {}, {}, (), "s")

    (count, mean) = store.gap_means("m1")[gap().gap_id]
    assert (count, mean.tolist()) == (3, [0.5, 0.25])
    assert store.gap_means("m2") == {}


def test_figures_count_people_and_what_their_conversations_cost(store: Store) -> None:
    later = START + timedelta(seconds=60)
    store.save_batch([mined("ann", "one", "two", outcome=Outcome.ESCALATED), mined("bob", "three")], [], 1)
    save_members(store, [gap()], {turn.turn_id: gap().gap_id for turn in store.fresh_turns(10)})

    figures = store.gap_figures([gap().gap_id], {"escalated": 4.0, "resolved": 1.0})[gap().gap_id]
    assert (figures.turns, figures.people, figures.cost, figures.since_handled) == (
        3,
        2,
        2.5,
        0,
    )  # each person counts once
    assert (figures.first_seen, figures.last_seen) == (START, START + timedelta(seconds=1))
    assert store.recent_people(later) == {gap().gap_id: (2, 0.0)}
    assert store.recent_people(later + timedelta(days=8)) == {gap().gap_id: (0, 0.5)}
    assert store.newest_turn() == START + timedelta(seconds=2)


def test_a_release_handles_its_gap_and_what_comes_after_counts_anew(store: Store) -> None:
    store.save_batch([mined("ann", "one", "two"), mined("bob", "three")], [], 1)
    gap_id = proposal().gap_id
    save_members(store, [gap(gap_id)], {turn.turn_id: gap_id for turn in store.fresh_turns(10)})
    publish(store)

    handled = store.gap(gap_id)
    assert handled.handled_at == START
    assert store.gap_figures([gap_id], {})[gap_id].since_handled == 1  # "two" came a second later
    store.update_gaps([replace(handled, reopened_at=START + timedelta(days=1))])
    store.update_gaps([replace(handled, reopened_at=START + timedelta(days=1), name="other")])
    assert [row.what for row in store.audit_rows()][-1:] == ["reopen"]
    assert store.gap(gap_id).is_reopened
    assert store.verify_audit() == []


def test_only_gaps_that_changed_are_proposed_for_again(store: Store) -> None:
    save_members(store, [gap("1" * 16), gap("2" * 16)], {})
    store.save_proposals([], START, settled=["1" * 16])

    assert list(store.gaps(changed=True)) == ["2" * 16]


def test_overall_signals_outlive_a_second_reading(store: Store) -> None:
    store.save_batch([mined("ann", "one")], [], 1)
    (one,) = store.fresh_turns(10)
    found = {"faq/returns": Signal("low_satisfaction", 0.3, "few like it")}
    assert store.replace_overall("low_satisfaction", found) == 0  # nobody has rated it

    ratings = (Rating(one.turn_id, "ann", "faq/returns", False), Rating("other", "ann", "faq/returns", False))
    rated = mined("ann", "one")
    rated = replace(rated, conversations=(replace(rated.conversations[0], ratings=ratings),))
    store.save_batch([rated], [], 1)
    assert store.replace_overall("low_satisfaction", found) == 1
    assert store.replace_overall("low_satisfaction", found) == 0
    store.save_batch([rated], [], 2)
    assert store.signal_counts() == {"fallback": 1, "low_satisfaction": 1}
    assert store.replace_overall("low_satisfaction", {}) == 0
    assert store.signal_counts() == {"fallback": 1}


def test_vectors_of_examples_are_kept_until_they_are_replaced(store: Store) -> None:
    store.replace_vectors({"a": np.array([0.5, 0.5]), "b": np.array([1.0, 0.0])})
    store.replace_vectors({"b": np.array([1.0, 0.0]), "c": np.array([0.0, 1.0])})

    assert {key: vector.tolist() for key, vector in store.known_vectors(["a", "b", "c"]).items()} == {
        "b": [1.0, 0.0],
        "c": [0.0, 1.0],
    }


def test_ratings_add_up_to_the_satisfaction_with_an_answer(store: Store) -> None:
    one = mined("ann", "one").conversations[0]
    good = [Rating(f"t{number}", "ann", "faq/returns", number < 3) for number in range(4)]
    store.save_batch([MinedSender("ann", 1, (replace(one, ratings=tuple(good)),))], [], 1)

    assert store.label_ratings() == [LabelRatings("faq/returns", 0.75, 4, 1)]
    assert store.satisfaction() == {"faq/returns": (0.75, 1)}  # one person, however often


# --- proposals and decisions ----------------------------------------------------------------------


def test_a_proposal_comes_back_as_it_was_saved(store: Store) -> None:
    full = proposal(
        sources=(Source("a.md", "A sentence.", 0.5),),
        score_parts=(ScorePart("people", 0.5, 1.0),),
        replay=Replay(4, 3, 10, 1, ("broken",)),
        deferred_until=START + timedelta(days=1),
        deferred_turns=8,
        state=S.DEFERRED,
        examples=("größe 👍", 'quote " and \\'),
    )
    assert store.save_proposals([full], START) == 1

    assert store.proposals() == [full]
    assert store.proposal(full.proposal_id[:6]) == full


def test_the_best_proposal_comes_first(store: Store) -> None:
    store.save_proposals([proposal(1, score=10), proposal(2, score=90), proposal(3, score=50)], START)

    assert [one.score for one in store.proposals()] == [90, 50, 10]


def test_a_waiting_proposal_is_refreshed_and_a_decided_one_is_not(store: Store) -> None:
    store.save_proposals([proposal(1), proposal(2)], START)
    store.save_decision(proposal(2), replace(proposal(2), state=S.REJECTED), decision(proposal(2), Action.REJECT))
    later = START + timedelta(days=1)
    again = [replace(proposal(number), score=99, created_at=later) for number in (1, 2)]

    assert store.save_proposals(again, later) == 0
    first, second = (store.proposal(proposal(number).proposal_id) for number in (1, 2))
    assert (first.score, first.created_at) == (99, START)
    assert (second.score, second.state) == (80, S.REJECTED)


@pytest.mark.parametrize("prefix", ["", "zzzz", "%", "_"])
def test_an_id_that_fits_nothing_is_not_found(store: Store, prefix: str) -> None:
    store.save_proposals([proposal()], START)

    with pytest.raises(NotFound, match="review list"):
        store.proposal(prefix)


def test_a_prefix_that_fits_several_is_not_found(store: Store) -> None:
    store.save_proposals([proposal(number) for number in range(1, 40)], START)
    shared = next(
        one.proposal_id[0]
        for one in store.proposals()
        for two in store.proposals()
        if one is not two and one.proposal_id[0] == two.proposal_id[0] and one != two
    )

    with pytest.raises(NotFound, match=r"fits \d+ proposals"):
        store.proposal(shared)


def test_of_two_reviewers_at_once_the_second_is_told(store: Store, url: str) -> None:
    store.save_proposals([proposal()], START)
    other = Store(url)
    mine, theirs = store.proposal(proposal().proposal_id), other.proposal(proposal().proposal_id)
    store.save_decision(mine, decide(mine, decision(mine)), decision(mine))
    rejection = decision(theirs, Action.REJECT, "bob")
    with pytest.raises(StoreError, match="somebody else decided first"):
        other.save_decision(theirs, decide(theirs, rejection), rejection)

    assert other.proposal(proposal().proposal_id).state is S.APPROVED
    assert [row.who for row in store.audit_rows()] == ["miner", "ann"]
    with pytest.raises(ReviewError):
        decide(other.proposal(proposal().proposal_id), rejection)


def test_deferred_proposals_come_back(store: Store) -> None:
    deferred = proposal(state=S.DEFERRED)
    store.save_proposals([deferred], START)
    store.reopen_deferred(deferred, move(deferred, S.PENDING), START)

    assert store.proposals()[0].state is S.PENDING
    with pytest.raises(StoreError, match="is no longer deferred"):
        store.reopen_deferred(deferred, move(deferred, S.PENDING), START)


# --- releases -------------------------------------------------------------------------------------


def test_publishing_makes_entry_release_version_and_audit_in_one(store: Store, url: str) -> None:
    publish(store, 1)
    publish(store, 2)

    assert [entry.release for entry in store.entries(S.PUBLISHED)] == [1, 2]
    assert [release.number for release in store.releases()] == [2, 1]
    assert store.overlay_version() == 2
    assert [row.what for row in store.audit_rows()] == ["propose", "approve", "publish"] * 2
    assert store.verify_audit() == []
    encoder = FakeEncoder()
    snapshot = OverlayReader(url, encoder.encode, "fake-1").snapshot()
    assert snapshot.version == 2
    assert np.allclose(snapshot.rows.vectors[:3], encoder.encode(snapshot.entries[0].examples))


def test_what_is_not_approved_cannot_be_published(store: Store) -> None:
    one = proposal()
    store.save_proposals([one], START)
    approved = replace(one, state=S.APPROVED)
    with pytest.raises(StoreError, match="is no longer approved"):
        store.publish(approved, move(approved, S.PUBLISHED), "e", np.zeros((3, 4)), "fake-1", "eve", START)

    assert (store.entries(), store.releases(), store.overlay_version()) == ([], [], 0)


def test_nothing_is_published_twice(store: Store) -> None:
    approved = approve(store)
    live = move(approved, S.PUBLISHED)
    store.publish(approved, live, "e1", np.zeros((3, 4)), "fake-1", "ann", START)
    with pytest.raises(StoreError, match="is no longer approved"):
        store.publish(approved, live, "e1", np.zeros((3, 4)), "fake-1", "bob", START)

    assert len(store.releases()) == 1


def test_an_examples_entry_keeps_no_answer(store: Store) -> None:
    one = proposal(kind=ProposalKind.EXAMPLES, label="greet", answer="left over", state=S.APPROVED)
    store.save_proposals([one], START)
    store.publish(one, move(one, S.PUBLISHED), "e1", np.zeros((3, 4)), "fake-1", "ann", START)

    assert store.entries()[0].answer is None


def test_an_entry_moves_with_its_proposal(store: Store) -> None:
    publish(store)
    (live,) = store.entries()
    store.release(ReleaseKind.WITHDRAW, [Change(live.entry_id, 100, 0)], "ann", START, "wrong")

    assert store.entries(S.PUBLISHED) == []
    assert store.proposals()[0].state is S.WITHDRAWN
    assert store.overlay_version() == 2
    assert store.absorb([(live, "understood")], "m", "retrain", START) == []
    assert store.entries()[0].state is S.WITHDRAWN
    with pytest.raises(StoreError, match="is withdrawn by now and cannot go from 100 to 0 %"):
        store.release(ReleaseKind.WITHDRAW, [Change(live.entry_id, 100, 0)], "bob", START)


def test_a_commit_is_noted_on_releases_that_have_none(store: Store) -> None:
    publish(store, 1)
    store.mark_committed("c1")
    publish(store, 2)
    store.mark_committed("c2")

    assert [release.commit for release in store.releases()] == ["c2", "c1"]


def test_the_last_run_of_a_job_is_told(store: Store) -> None:
    for number in (1, 2):
        store.record_run("mine", START, START + timedelta(seconds=number), "ok", {"events": number})
    store.record_run("retrain", START, START, "blocked", {})

    last = store.last_run("mine")
    assert last is not None
    assert (last["summary"], last["finished"], last["outcome"]) == ({"events": 2}, START + timedelta(seconds=2), "ok")


def test_a_time_without_a_zone_is_a_mistake(store: Store) -> None:
    with pytest.raises(StoreError, match="has no time zone"):
        store.record_run("mine", START.replace(tzinfo=None), START, "ok", {})


# --- the audit log --------------------------------------------------------------------------------


def tamper(url: str, *statements: str) -> None:
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        unguard_audit(connection)
        for statement in statements:
            connection.execute(sa.text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE audit SET who = 'eve' WHERE seq = 2"], "row 2 was altered"),
        (["UPDATE audit SET reason = 'other' WHERE seq = 1"], "row 1 was altered"),
        (["DELETE FROM audit WHERE seq = 2"], "row 3 stands where row 2 should"),
        (["DELETE FROM audit WHERE seq = 1"], "row 2 does not follow the row before it"),
        (["DELETE FROM audit WHERE seq = 6"], ENDED_OTHERWISE),
        (["DELETE FROM audit"], ENDED_OTHERWISE),
        (
            [
                "UPDATE audit SET seq = 99 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 99",
            ],
            "row 2 was altered",
        ),
    ],
)
def test_rows_that_were_altered_removed_or_reordered_are_found(
    store: Store, url: str, statements: list[str], problem: str
) -> None:
    publish(store, 1)
    publish(store, 2)
    tamper(url, *statements)

    assert problem in store.verify_audit()


def test_many_writers_at_once_keep_the_chain_whole(store: Store, url: str) -> None:
    store.save_proposals([proposal(number) for number in range(1, 13)], START)
    failures: list[Exception] = []

    def review(numbers: range) -> None:
        try:
            own = Store(url)
            for number in numbers:
                one = proposal(number)
                after = decide(one, decision(one))
                own.save_decision(one, after, decision(one))
                own.publish(after, move(after, S.PUBLISHED), f"e{number}", np.zeros((3, 4)), "f", "ann", START)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=review, args=(range(start, 13, 4),)) for start in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert store.verify_audit() == []
    assert sorted(release.number for release in store.releases()) == list(range(1, 13))
    assert store.overlay_version() == 12


# --- opening --------------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_of_the_schema(store: Store, url: str) -> None:
    # Columns, and what may be empty; lengths and indexes are not compared.
    inspector = sa.inspect(sa.create_engine(url, future=True))
    made = {
        name: {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
        for name in inspector.get_table_names()
        # FTS5 keeps its index in tables of its own, whose shape is its own business.
        if name != "alembic_version" and not name.startswith("conversation_search")
    }

    assert made == {
        table.name: {column.name: bool(column.nullable) for column in table.columns}
        for table in schema.metadata.sorted_tables
    }


def test_a_database_of_a_newer_version_is_left_alone(store: Store, url: str) -> None:
    tamper(url, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="was made by another version of Evergreen"):
        Store(url)


@pytest.mark.parametrize(
    "bad",
    ["nonsense", "foo://host/name", "mysql+nodriver://me:secret@host/name", "postgresql://me:secret@127.0.0.1:1/none"],
)
def test_a_url_that_cannot_be_opened_is_one_clear_error_without_its_password(bad: str) -> None:
    with pytest.raises(StoreError) as caught:
        Store(bad)

    assert str(caught.value).startswith("learning database ")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "learning.db"
    file.write_text("not a database, but long enough to be looked at " * 50)
    before = file.read_bytes()
    with pytest.raises(StoreError, match="file is not a database"):
        Store(f"sqlite:///{file}")

    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file")

    with pytest.raises(StoreError, match="cannot be made"):
        Store(f"sqlite:///{tmp_path}/var/learning.db")


WRITES: dict[str, Callable[[Store], object]] = {
    "batch": lambda store: store.save_batch([mined("bob", "x")], [], 99),
    "gaps": lambda store: save_members(store, [gap()], {}),
    "figures": lambda store: store.update_gaps([gap()]),
    "vectors": lambda store: store.replace_vectors({"a": np.zeros(2)}),
    "proposals": lambda store: store.save_proposals([proposal(2)], START),
    "run": lambda store: store.record_run("mine", START, START, "ok", {}),
    "commit": lambda store: store.mark_committed("c"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_read_only_database_can_be_read_and_says_that_it_cannot_be_written(
    tmp_path: Path, write: Callable[[Store], object]
) -> None:
    file = tmp_path / "learning.db"
    Store(fresh_database(file)).save_proposals([proposal()], START)
    store = Store(f"sqlite:///file:{file}?mode=ro&uri=true")

    assert store.proposals() == [proposal()]
    with pytest.raises(StoreError, match="is read-only; give this user the right to write it; nothing was changed"):
        write(store)
    assert Store(f"sqlite:///{file}").watermark() == 0
    assert not Path("file:").exists()


def test_a_writer_that_waits_does_not_fail(tmp_path: Path) -> None:
    database = Database(fresh_database(tmp_path / "learning.db"))
    with database.write() as connection:
        connection.execute(sa.insert(schema.meta), {"key": "a", "value": "1"})
        with database.read() as reading:  # readers go on while one writes
            assert reading.execute(sa.select(schema.meta)).all() == []


def test_an_error_in_the_middle_rolls_back(tmp_path: Path) -> None:
    database = Database(fresh_database(tmp_path / "learning.db"))

    def write_and_fail() -> None:
        with database.write() as connection:
            connection.execute(sa.insert(schema.meta), {"key": "a", "value": "1"})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with database.read() as connection:
        assert connection.execute(sa.select(schema.meta)).all() == []


def test_turns_carry_unusual_text_unchanged(store: Store) -> None:
    odd = "größe 👍 '; DROP TABLE signals; -- \\ % _ \u2028"
    store.save_batch([mined("ann", odd)], [], 1)

    assert [failed.text for failed in store.fresh_turns(10)] == [odd]
