"""Forgetting a person: nothing of theirs is left, nothing of anybody else's is gone."""

from __future__ import annotations

import io
import itertools
import json
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from learning import __main__ as command_line
from learning.adapters import schema
from learning.adapters.database import WATERMARK, set_meta
from learning.adapters.store import Store
from learning.adapters.store_erasure import PERSONAL
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.errors import NotFound, ProjectError, StoreError, TrackerStoreError
from learning.forget import Forgotten, forget
from learning.loop import Loop
from learning.model import (
    Action,
    AgentAnswer,
    Change,
    Decision,
    Erased,
    Gap,
    GapKind,
    GoodTurn,
    MinedSender,
    Proposal,
    ProposalKind,
    ProposalState,
    Rating,
    ReleaseKind,
    Replay,
    Source,
    content_id,
    sender_key,
)
from learning.overlay import OverlayReader
from learning.pipeline import merge, mine, review
from learning.privacy import PatternRedactor
from learning.publish import entry_id
from learning.retrain import retrain
from learning.review import decide, move
from tests.integration.test_learning_git_branch import files_on, git
from tests.learning_builders import (
    LOYALTY,
    START,
    Clock,
    FakeEncoder,
    FakeHost,
    FakeNlu,
    FakeServer,
    TrackerFile,
    fresh_database,
    gap,
    make_loop,
    make_project,
    mined,
    proposal,
    save_members,
    talk,
)

ZOE = "zoe@telegram"
KEPT_WORDS = {"failed_turns", "conversations", "conversation_texts"}  # tables that hold what somebody said
SECRET = ("zyzzyva", "quokka", "axolotl")  # words that nobody else uses, and no placeholder stands for


def zoe_talks(tracker: TrackerFile) -> None:
    tracker.say(ZOE, "do you have zyzzyva loyalty points")
    tracker.say(ZOE, "where is my quokka parcel", "track_order", 0.97, "It comes tomorrow.")
    tracker.say(ZOE, "hello there friend", "greet", 0.97, "Hello.")
    stamp = tracker.add(ZOE, {"event": "bot", "text": "Was that right?", "data": {}, "metadata": {}})
    feedback = {"message_id": str(stamp), "value": "down", "comment": "axolotl"}
    tracker.add(ZOE, {"event": "slot", "name": "last_feedback", "value": feedback})
    tracker.say(ZOE, "axolotl", "nlu_fallback", 0.1)
    tracker.say(ZOE, LOYALTY[0].upper())  # somebody else says this, too


def later(tracker: TrackerFile, clock: Clock) -> None:
    """Go on two days from when everything was mined."""
    tracker._ticks = itertools.count(int((clock.now - START).total_seconds()) + 86_400)
    clock.now += timedelta(days=2)


class Shop:
    """A project in which several people have talked, Zoe among them."""

    def __init__(self, root: Path) -> None:
        self.root = make_project(root)
        self.clock = Clock()
        self.tracker = TrackerFile(root / "var" / "tracker.db")
        talk(self.tracker)
        zoe_talks(self.tracker)
        self.tracker.say("last", "loyalty points for friends")
        self.host = FakeHost()
        self.loop = self.open()

    def open(self, **more: Any) -> Loop:
        url = f"sqlite:///{self.root / 'var' / 'learning.db'}"
        if not (self.root / "var" / "learning.db").exists():
            fresh_database(self.root / "var" / "learning.db")
        loop = make_loop(self.root, url, **{"now": self.clock, "host": self.host, **more})
        assert isinstance(loop.store, Store)
        # As most builds of SQLite are: what is deleted is only marked as free.
        sa.event.listen(loop.store._database._engine, "connect", _careless)
        return loop

    def eraser(self) -> SqlTrackerEraser:
        return SqlTrackerEraser(f"sqlite:///{self.root / 'var' / 'tracker.db'}")

    def approve(self) -> str:
        (waiting,) = self.loop.store.proposals()
        assert any("zyzzyva" in text for text in waiting.examples)
        examples = (*waiting.examples, "typed by staff")
        review(self.loop, Decision(waiting.proposal_id, Action.EDIT, "ann", START, examples=examples))
        (entry,) = self.loop.store.entries(ProposalState.PUBLISHED)
        return entry.label

    def forget(self, sender: str = ZOE, **more: Any) -> Forgotten:
        return forget(self.loop, self.eraser, "ann", sender, **more)

    @property
    def store(self) -> Store:
        assert isinstance(self.loop.store, Store)
        return self.loop.store


def _careless(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA secure_delete = OFF")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    mine(shop.loop)
    return shop


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store._database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for name, table in schema.metadata.tables.items()
        }


def places_of(store: Store, *words: str) -> set[tuple[str, str]]:
    """The tables, with the word, in which a word stands in any column, bytes included."""
    return {
        (name, word)
        for name, rows in contents(store).items()
        for row in rows
        for word in words
        if word.casefold() in repr(row).casefold()
    }


def bytes_of(folder: Path, stem: str) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{stem}.db*"))).lower()


# --- everything goes ------------------------------------------------------------------------------


def test_no_model_that_waits_was_trained_on_the_persons_words(shop: Shop) -> None:
    shop.approve()
    models = shop.loop.settings.path("models")
    models.mkdir()
    (models / "old.tar.gz").write_bytes(b"old")
    nlu = FakeNlu(lambda model, text: "greet")
    retrain(shop.loop, nlu, FakeServer(models / "old.tar.gz"), deploy=False)
    work = shop.loop.settings.path("var/training")
    assert "zyzzyva" in "".join(nlu.trained_on.values())
    assert not [path for path in work.rglob("*.yml") if "zyzzyva" in path.read_text("utf-8")]
    killed = work / "20300101-000000" / "data" / "learned"
    killed.mkdir(parents=True)
    (killed / "entry.yml").write_text("- zyzzyva\n", "utf-8")
    shop.forget(dry_run=True)
    assert len(list(work.iterdir())) == 2
    shop.forget()

    assert list(work.iterdir()) == []


def test_nothing_of_the_person_is_left_in_any_table_nor_in_the_files_bytes(shop: Shop) -> None:
    shop.approve()
    tables = {table for table, _ in places_of(shop.store, *SECRET)}
    assert {"failed_turns", "good_turns", "proposals", "entries", "decisions"} <= tables
    report = shop.forget()

    assert places_of(shop.store, *SECRET, ZOE) == set()
    assert {table for table, _ in places_of(shop.store, sender_key(ZOE))} == {"forgotten", "audit"}
    assert report.compacted
    stored = bytes_of(shop.root / "var", "learning")
    assert not [word for word in (*SECRET, ZOE) if word.encode() in stored]
    assert b"loyalty" in stored


def test_the_report_counts_what_went(shop: Shop) -> None:
    label = shop.approve()
    turns = [turn for turn in shop.store._turns(sa.true()) if turn.sender == sender_key(ZOE)]
    erased = shop.forget().erased

    assert erased.rows["conversations"] == 1
    assert erased.rows["failed_turns"] == len(turns)
    assert erased.rows["signals"] == sum(len(turn.signals) for turn in turns)
    assert erased.rows["ratings"] == 1
    assert erased.texts == ("do you have zyzzyva loyalty points",)
    assert erased.shared == 1
    assert (erased.entries, erased.withdrawn) == ((label,), ())
    assert (erased.proposals, erased.decisions) == (1, 1)


def test_running_bots_drop_the_text_at_once_and_keep_the_rest(shop: Shop) -> None:
    label = shop.approve()
    encoder = FakeEncoder()
    reader = OverlayReader(f"sqlite:///{shop.root / 'var' / 'learning.db'}", encoder.encode, encoder.identity)
    before = reader.snapshot()
    shop.forget()
    after = reader.snapshot()

    assert after.version == before.version + 1
    kept = [text for text in before.entries[0].examples if "zyzzyva" not in text]
    assert list(after.entries[0].examples) == kept
    assert "typed by staff" in kept
    assert after.entries[0].label == label
    found = after.nearest(encoder.encode(kept)[0])
    assert found is not None
    assert found.similarity == pytest.approx(1)


def test_a_text_that_somebody_else_said_stays(shop: Shop) -> None:
    shop.approve()
    shop.forget()
    (entry,) = shop.store.entries(ProposalState.PUBLISHED)

    assert LOYALTY[0] in entry.examples


def new_need(shop: Shop) -> Gap:
    (found,) = [one for one in shop.store.gaps().values() if one.kind is GapKind.NEW_NEED]
    return found


def test_the_gap_is_counted_anew_and_mined_on(shop: Shop) -> None:
    before = new_need(shop)
    report = shop.forget()
    after = new_need(shop)

    assert (after.people, after.turns) == (before.people - 1, before.turns - 2)
    assert after.gap_id == before.gap_id
    assert report.erased.gaps_removed == report.erased.gaps - 1
    assert after.last_seen == max(turn.at for turn in shop.store.turns_of_gap(after.gap_id))
    assert shop.store.gap_means("") == {}
    mine(shop.loop)
    mined_on = new_need(shop)
    assert (mined_on.people, mined_on.turns) == (after.people, after.turns)
    (waiting,) = shop.store.proposals()
    assert waiting.people == after.people
    assert not any("zyzzyva" in text for text in waiting.examples)


def test_the_audit_log_tells_of_it_and_stays_whole(shop: Shop) -> None:
    shop.approve()
    shop.forget()
    row = shop.store.audit_rows()[-1]

    assert (row.what, row.who, row.item) == ("forget", "ann", sender_key(ZOE))
    assert row.reason.startswith("conversations 1, failed_turns ")
    assert shop.store.verify_audit() == []


def test_the_review_branch_follows(shop: Shop) -> None:
    shop.approve()
    shop.loop.host.propose({}, "")
    from learning.pipeline import write_branch

    write_branch(shop.loop)
    assert any("zyzzyva" in text for text in shop.host.files.values())
    report = shop.forget()

    assert report.commit is not None
    assert not any(word in text for text in shop.host.files.values() for word in SECRET)
    assert any("Earlier commits of evergreen/learned" in sentence for sentence in report.out_of_reach)
    assert any("retrain" in sentence for sentence in report.out_of_reach)


def test_what_the_training_data_holds_too_is_named(shop: Shop) -> None:
    shop.approve()
    file = shop.root / "data" / "nlu" / "more.yml"
    file.write_text('version: "3.1"\nnlu:\n- intent: bonus\n  examples: |\n    - Do you have zyzzyva loyalty points?\n')
    file.write_text(file.read_text().replace("?", ""))
    report = shop.forget()

    assert report.in_files == ("bonus",)
    assert any("under bonus" in sentence for sentence in report.out_of_reach)


# --- nothing else goes, nothing comes back ------------------------------------------------------------


def test_a_dry_run_tells_the_same_and_changes_nothing(shop: Shop) -> None:
    shop.approve()
    before = contents(shop.store)
    told = shop.forget(dry_run=True, from_tracker=True)

    assert contents(shop.store) == before
    assert shop.eraser().count(ZOE) == told.tracker_events > 0
    done = shop.forget(from_tracker=True)
    assert (done.erased, done.tracker_events) == (told.erased, told.tracker_events)


def test_a_second_time_changes_nothing_more(shop: Shop) -> None:
    shop.approve()
    shop.forget()
    before = contents(shop.store)
    report = shop.forget()

    assert not report.erased.found_anything
    assert contents(shop.store) == before


def test_an_unknown_sender_is_only_remembered(shop: Shop) -> None:
    before = contents(shop.store)
    report = shop.forget("nobody")
    after = contents(shop.store)

    assert not report.erased.found_anything
    assert {name for name in before if before[name] != after[name]} == {"forgotten", "audit", "meta"}
    assert shop.store.audit_rows()[-1].reason == "nothing was stored"


def test_the_same_rows_are_never_mined_again_but_new_ones_are(shop: Shop) -> None:
    shop.forget()
    with shop.store._database.write() as connection:
        set_meta(connection, WATERMARK, "0")  # everything is read anew
    assert mine(shop.loop).events > 70
    assert places_of(shop.store, *SECRET) == set()

    later(shop.tracker, shop.clock)
    shop.tracker.say(ZOE, "new words about wombats")
    mine(shop.loop)
    (turn,) = [turn for turn in shop.store._turns(sa.true()) if turn.sender == sender_key(ZOE)]
    assert turn.text == "new words about wombats"
    assert shop.forget().erased.rows["failed_turns"] == 1
    assert places_of(shop.store, "wombats") == set()


def test_what_was_not_mined_yet_never_is(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    report = shop.forget()
    assert not report.erased.found_anything
    mine(shop.loop)

    assert places_of(shop.store, *SECRET) == set()
    assert shop.store.counts()["conversations"] == 15


def test_a_conversation_that_goes_on_is_read_from_then_on(shop: Shop) -> None:
    shop.clock.now = START + timedelta(hours=1)
    shop.forget()
    shop.tracker._ticks = itertools.count(3700)
    shop.tracker.say(ZOE, "and what about wombats")
    shop.clock.now = START + timedelta(hours=9)
    mine(shop.loop)

    assert places_of(shop.store, *SECRET) == set()
    assert {table for table, _ in places_of(shop.store, "wombats")} == KEPT_WORDS


def test_an_event_of_a_clock_that_is_ahead_counts_as_old(shop: Shop) -> None:
    shop.clock.now = START
    report = shop.forget()
    mine(shop.loop)

    assert report.until > START
    assert places_of(shop.store, *SECRET) == set()


def test_mining_that_was_under_way_writes_nothing_back(shop: Shop) -> None:
    other = shop.open()
    assert isinstance(other.store, Store)
    other.store.forgotten_until()  # as mining begins
    shop.forget()
    writes: list[Callable[[], object]] = [
        lambda: other.store.save_batch([mined("zoe", "zyzzyva")], [], 1),
        lambda: other.store.save_grouping([gap()], {}, "m", {}, {}, {}, (), "s"),
        lambda: other.store.update_gaps([gap()]),
        lambda: other.store.save_proposals([proposal()], START),
    ]
    for write in writes:
        with pytest.raises(StoreError, match="forgotten somebody"):
            write()
    assert places_of(shop.store, *SECRET) == set()
    mine(other)
    assert places_of(shop.store, *SECRET) == set()


def test_a_decision_about_what_was_erased_meanwhile_is_refused(shop: Shop) -> None:
    (seen,) = shop.store.proposals()
    shop.forget()
    decision = Decision(seen.proposal_id, Action.REJECT, "ann", START, reason="no")

    with pytest.raises(StoreError, match="was forgotten"):
        shop.store.save_decision(seen, decide(seen, decision), decision)
    assert places_of(shop.store, *SECRET) == set()


# --- Rasa's tracker store -------------------------------------------------------------------------------


def test_the_tracker_store_is_left_alone_unless_asked(shop: Shop) -> None:
    path = shop.root / "var" / "tracker.db"
    before = path.read_bytes()
    report = shop.forget()

    assert report.tracker_events is None
    assert path.read_bytes() == before
    assert "add --tracker" in report.out_of_reach[0]


def test_events_go_from_the_tracker_store_with_their_bytes(shop: Shop) -> None:
    rows = shop.eraser().count(ZOE)
    report = shop.forget(from_tracker=True)

    assert report.tracker_events == rows > 0
    assert shop.eraser().count(ZOE) == 0
    assert shop.eraser().count("person1") > 0
    stored = bytes_of(shop.root / "var", "tracker")
    assert not [word for word in SECRET if word.encode() in stored]
    assert not any("--tracker" in sentence for sentence in report.out_of_reach)


def test_row_ids_that_are_given_again_are_read(shop: Shop) -> None:
    shop.clock.now = START + timedelta(days=31)
    later(shop.tracker, shop.clock)
    for number in range(3):
        shop.tracker.say(ZOE, f"zyzzyva {number}")
    mine(shop.loop)
    talks = shop.store.counts()["conversations"]
    shop.forget(from_tracker=True)  # the last rows of the store
    shop.tracker.say("ann", "purple wombats")  # SQLite gives their numbers again
    report = mine(shop.loop)

    assert report.events == 4
    assert shop.store.counts()["conversations"] == talks - 2 + 1
    assert {table for table, _ in places_of(shop.store, "wombats")} == KEPT_WORDS


def test_a_tracker_store_that_is_gone_keeps_nobody_from_being_forgotten(shop: Shop) -> None:
    (shop.root / "var" / "tracker.db").unlink()
    report = shop.forget()

    assert report.erased.rows["conversations"] == 1
    assert "does not exist" in report.problems[0]
    assert places_of(shop.store, *SECRET) == set()


class BrokenRedactor:
    def redact(self, text: str) -> str:
        raise ProjectError("cannot be loaded", "the model", "install it")

    def redact_conversations(self, groups: object) -> list[list[str]]:
        raise ProjectError("cannot be loaded", "the model", "install it")


def test_a_redactor_that_cannot_be_loaded_keeps_nobody_from_being_forgotten(shop: Shop) -> None:
    shop.loop = shop.open(redactor=BrokenRedactor())
    report = shop.forget()

    assert report.problems == ("the model: cannot be loaded; install it",)
    assert places_of(shop.store, *SECRET) == set()


def test_deleting_from_a_tracker_store_that_is_gone_is_an_error(shop: Shop) -> None:
    (shop.root / "var" / "tracker.db").unlink()
    before = contents(shop.store)

    with pytest.raises(TrackerStoreError, match="does not exist"):
        shop.forget(from_tracker=True)
    assert contents(shop.store) == before


def test_a_pseudonym_does_as_well(shop: Shop) -> None:
    report = forget(shop.loop, shop.eraser, "ann", key=sender_key(ZOE), from_tracker=True)

    assert report.erased.rows["conversations"] == 1
    assert shop.eraser().count(ZOE) == 0
    assert places_of(shop.store, *SECRET) == set()
    with pytest.raises(NotFound):
        forget(shop.loop, shop.eraser, "ann", key=sender_key(ZOE)[:8])


# --- the store, on both databases -------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "sqlite":
        return Store(fresh_database(tmp_path / "learning.db"))
    return Store(request.getfixturevalue("postgres_url"))


def erase(store: Store, sender: str, *said: str) -> Erased:
    return store.erase(sender, said, lambda texts: f"{len(texts)} texts", START, "ann", START)


def fill(store: Store, *states: ProposalState) -> None:
    """Zoe alone in the gap of proposal 1, with Ann in that of proposal 2; `states` of the two proposals."""
    store.save_batch([mined("zoe", "zyzzyva one", "zyzzyva two"), mined("ann", "zyzzyva two")], [], 7)
    gap_of = {"zyzzyva one": proposal(1).gap_id, "zyzzyva two": proposal(2).gap_id}
    turns = store.fresh_turns(10)
    gaps = [gap(gap_id, name="zyzzyva") for gap_id in gap_of.values()]
    save_members(store, gaps, {turn.turn_id: gap_of[turn.text] for turn in turns})
    for number, state in enumerate(states, start=1):
        text = list(gap_of)[number - 1]
        one = proposal(number, examples=(text,), kind=ProposalKind.EXAMPLES, label="greet", replay=None)
        store.save_proposals([one], START)
        if state is ProposalState.PENDING:
            continue
        action = Action.REJECT if state is ProposalState.REJECTED else Action.APPROVE
        decision = Decision(one.proposal_id, action, "ann", START, reason="no")
        decided = decide(one, decision)
        store.save_decision(one, decided, decision)
        if state is ProposalState.PUBLISHED:
            live = move(decided, ProposalState.PUBLISHED)
            store.publish(decided, live, entry_id(live), np.ones((1, 4), dtype=np.float32), "e", "ann", START)


def test_a_gap_that_nobody_is_left_in_goes_with_what_waits(store: Store) -> None:
    fill(store, ProposalState.PENDING, ProposalState.PENDING)
    erased = erase(store, "zoe")

    (waiting,) = store.proposals()
    assert (waiting.proposal_id, waiting.people, waiting.turns) == (proposal(2).proposal_id, 1, 1)
    assert list(store.gaps()) == [proposal(2).gap_id]
    assert (erased.gaps, erased.gaps_removed, erased.proposals_removed) == (2, 1, 1)
    assert (erased.texts, erased.shared) == (("zyzzyva one",), 1)
    left = store.gap(proposal(2).gap_id)
    assert (left.people, left.turns, left.name) == (1, 1, "1 texts")


def test_a_gap_that_was_decided_about_stays_empty(store: Store) -> None:
    fill(store, ProposalState.REJECTED)
    erase(store, "zoe")

    (rejected,) = store.proposals()
    assert (rejected.state, rejected.examples) == (ProposalState.REJECTED, ())
    left = store.gap(rejected.gap_id)
    assert (left.people, left.turns, left.name) == (0, 0, "0 texts")


def test_an_entry_without_examples_is_withdrawn(store: Store) -> None:
    fill(store, ProposalState.PUBLISHED, ProposalState.PUBLISHED)
    version = store.overlay_version()
    erased = erase(store, "zoe")

    assert (erased.entries, erased.withdrawn) == (("greet",), ("greet",))
    assert store.overlay_version() > version
    assert store.releases()[0].changes == (Change(store.entries(ProposalState.WITHDRAWN)[0].entry_id, 100, 0),)
    (kept,) = store.entries(ProposalState.PUBLISHED)
    (gone,) = store.entries(ProposalState.WITHDRAWN)
    assert (kept.examples, gone.examples) == (("zyzzyva two",), ())
    assert store.proposal(gone.proposal_id).state is ProposalState.WITHDRAWN
    assert [row.what for row in store.audit_rows()][-2:] == ["withdraw", "forget"]
    assert store.verify_audit() == []


def test_what_was_approved_and_has_no_example_left_is_not_published(store: Store) -> None:
    fill(store, ProposalState.APPROVED)
    erase(store, "zoe")

    (left,) = store.proposals()
    assert (left.state, left.examples) == (ProposalState.WITHDRAWN, ())


def test_words_are_found_by_what_was_said_where_no_row_is_left(store: Store) -> None:
    store.save_proposals([proposal(examples=("Zyzzyva, one?", "other"))], START)
    erased = erase(store, "zoe", "zyzzyva, ONE?")

    assert store.proposals()[0].examples == ("other",)
    assert erased.texts == ("zyzzyva, one?",)


def test_texts_that_would_break_go_unless_somebody_is_known_to_have_said_them(store: Store) -> None:
    store.save_batch([mined("zoe", "zyzzyva"), mined("ann", "one")], [good("zoe", "mine"), good("ann", "theirs")], 1)
    labels = ("one", "two", "three")
    replays = [Replay(1, 1, 3, 3, ("mine", "theirs", "of an older sample"), names) for names in (labels, ())]
    store.save_proposals([proposal(number, replay=replays[number - 1]) for number in (1, 2)], START)
    erased = erase(store, "zoe")

    assert erased.rows["good_turns"] == 1
    assert [turn.text for turn in store.good_turns()] == ["theirs"]
    left = {item.proposal_id: item.replay for item in store.proposals()}
    assert left[proposal(1).proposal_id] == Replay(1, 1, 3, 3, ("theirs",), ("two",))
    assert left[proposal(2).proposal_id] == Replay(1, 1, 3, 3, ("theirs",))


def test_a_new_needs_proposal_gets_its_name_anew(store: Store) -> None:
    store.save_batch([mined("zoe", "zyzzyva"), mined("ann", "one")], [], 1)
    turns = store.fresh_turns(10)
    for number in (1, 2):
        save_members(store, [gap(proposal(number).gap_id, name="zyzzyva points")], {})
    save_members(store, [], {turn.turn_id: proposal(1).gap_id for turn in turns})
    label = "learned/zyzzyva_points"
    store.save_proposals([proposal(1, label=label), proposal(2, label=label)], START)
    erase(store, "zoe")

    assert {item.gap_id: item.label for item in store.proposals()} == {
        proposal(1).gap_id: "learned/texts",
        proposal(2).gap_id: label,
    }


def test_a_name_that_staff_approved_stays_and_is_told(store: Store) -> None:
    store.save_batch([mined("zoe", "zyzzyva points"), mined("ann", "points")], [], 1)
    save_members(store, [gap(proposal().gap_id)], {turn.turn_id: proposal().gap_id for turn in store.fresh_turns(10)})
    one = proposal(label="learned/zyzzyva_points")
    store.save_proposals([one], START)
    decision = Decision(one.proposal_id, Action.APPROVE, "ann", START)
    store.save_decision(one, decide(one, decision), decision)

    assert erase(store, "zoe").named == ("learned/zyzzyva_points",)


def test_what_waits_under_an_older_name_of_its_gap_loses_it_too(store: Store) -> None:
    store.save_batch([mined("zoe", "zyzzyva"), mined("ann", "one")], [], 1)
    save_members(
        store, [gap(proposal().gap_id, name="one")], {t.turn_id: proposal().gap_id for t in store.fresh_turns(9)}
    )
    one = proposal(label="learned/zyzzyva_points")
    store.save_proposals([one], START)
    later = Decision(one.proposal_id, Action.DEFER, "ann", START, defer_turns=9)
    store.save_decision(one, decide(one, later), later)
    erase(store, "zoe")

    assert store.proposals()[0].label == "learned/texts"


# --- what agents told the person ----------------------------------------------------------------------------

TOLD = "Points are worth a zyzzyva in Elm Street."


def told(sender: str, *texts: str) -> MinedSender:
    """A sender whose only message an agent answered with each of `texts`."""
    one = mined(sender, f"points {sender}")
    (talk,) = one.conversations
    (turn,) = talk.failed
    answers = tuple(AgentAnswer(turn.turn_id, turn.conversation_id, sender, text, START) for text in texts)
    return replace(one, conversations=(replace(talk, agent_answers=answers),))


def drafted(number: int = 1, **more: Any) -> Proposal:
    """A proposal with an answer that an agent gave, and a warning that quotes it."""
    values: dict[str, Any] = {
        "answer": TOLD,
        "sources": (Source("agents", TOLD, 0.9), Source("points.md", "Points are nice to have.", 0.8)),
        "warnings": (f'Agents told others differently: "{TOLD}"', "It is long."),
        "drafter": "extractive",
        "examples": ("typed by staff",),
    }
    return proposal(number, **{**values, **more})


def decided(store: Store, one: Proposal, action: Action, **more: Any) -> Proposal:
    decision = Decision(one.proposal_id, action, "ann", START, reason="so", **more)
    after = decide(one, decision)
    store.save_decision(one, after, decision)
    return after


def published(store: Store, one: Proposal, **more: Any) -> Proposal:
    approved = decided(store, one, Action.EDIT if more else Action.APPROVE, **more)
    live = move(approved, ProposalState.PUBLISHED)
    store.publish(approved, live, entry_id(live), np.ones((1, 4), dtype=np.float32), "e", "ann", START)
    return live


def test_what_agents_told_others_too_stays(store: Store) -> None:
    store.save_batch([told("zoe", TOLD), told("ann", f"Hello, {TOLD.lower()} Bye!")], [], 1)
    store.save_proposals([drafted()], START)
    before = store.proposals()

    assert erase(store, "zoe").proposals == 0
    assert store.proposals() == before


@pytest.mark.parametrize("drafter", ["extractive", "machine:m"])
def test_what_agents_told_nobody_else_goes_from_what_waits(store: Store, drafter: str) -> None:
    store.save_batch([told("zoe", TOLD), told("ann", "Points are something else entirely.")], [], 1)
    answer = TOLD if drafter == "extractive" else "You get a zyzzyva."
    store.save_proposals([drafted(answer=answer, drafter=drafter), proposal(2)], START)
    erased = erase(store, "zoe")

    left = {item.proposal_id: item for item in store.proposals()}
    one = left[proposal().proposal_id]
    assert (one.state, one.answer, one.drafter) == (ProposalState.PENDING, None, "")
    assert [source.document for source in one.sources] == ["points.md"]
    assert one.warnings == ("It is long.",)
    assert left[proposal(2).proposal_id] == proposal(2)
    assert (erased.proposals, erased.proposals_removed, erased.named) == (1, 0, ())
    assert places_of(store, "zyzzyva") == set()


def test_a_better_answer_that_agents_told_nobody_else_goes_whole(store: Store) -> None:
    store.save_batch([told("zoe", TOLD)], [], 1)
    store.save_proposals([drafted(kind=ProposalKind.REWORD, label="faq/points", target="utter_faq/points")], START)
    erased = erase(store, "zoe")

    assert (store.proposals(), erased.proposals_removed) == ([], 1)


def test_what_agents_told_nobody_else_goes_from_what_was_rejected(store: Store) -> None:
    store.save_batch([told("zoe", TOLD)], [], 1)
    store.save_proposals([drafted()], START)
    decided(store, drafted(), Action.REJECT)

    assert erase(store, "zoe").named == ()
    assert store.proposals()[0].answer is None
    assert places_of(store, "zyzzyva") == set()


@pytest.mark.parametrize("answer", [None, f"Note: {TOLD}"], ids=["approved", "edited"])
@pytest.mark.parametrize("is_live", [True, False])
def test_an_answer_that_staff_approved_stays_and_is_told(store: Store, answer: str | None, is_live: bool) -> None:
    store.save_batch([told("zoe", TOLD)], [], 1)
    store.save_proposals([drafted()], START)
    more = {"answer": answer} if answer else {}
    if is_live:
        published(store, drafted(), **more)
    else:
        decided(store, drafted(), Action.EDIT if more else Action.APPROVE, **more)
    erased = erase(store, "zoe")

    assert erased.named == (drafted().label,)
    assert store.proposals()[0].answer == TOLD
    assert [source.document for source in store.proposals()[0].sources] == ["points.md"]
    assert [entry.answer for entry in store.entries()] == ([answer or TOLD] if is_live else [])


def test_an_answer_that_staff_wrote_themselves_is_not_told(store: Store) -> None:
    store.save_batch([told("zoe", TOLD)], [], 1)
    store.save_proposals([drafted()], START)
    published(store, drafted(), answer="Ask us.")

    assert erase(store, "zoe").named == ()
    assert store.entries()[0].answer == "Ask us."


def test_what_agents_told_nobody_else_goes_from_what_was_withdrawn(store: Store) -> None:
    store.save_batch([told("zoe", TOLD)], [], 1)
    store.save_proposals([drafted()], START)
    published(store, drafted())
    (entry,) = store.entries()
    store.release(ReleaseKind.WITHDRAW, [Change(entry.entry_id, 100, 0)], "ann", START)

    assert erase(store, "zoe").named == ()
    assert places_of(store, "zyzzyva") == set()


def test_the_report_tells_which_answers_repeat_what_an_agent_said(shop: Shop) -> None:
    later(shop.tracker, shop.clock)
    for sender in ("person1", "person2"):
        shop.tracker.say(sender, "loyalty points")
        said = {"event": "bot", "text": TOLD.replace("Points", "Loyalty points"), "data": {}}
        shop.tracker.add(sender, {**said, "metadata": {"agent": "tom"}})
    mine(shop.loop)
    (waiting,) = shop.store.proposals()
    assert "zyzzyva in Elm Street" in str(waiting.answer)
    review(shop.loop, Decision(waiting.proposal_id, Action.APPROVE, "ann", START))

    assert not any("agents told" in sentence for sentence in shop.forget("person1").out_of_reach)
    (told_of,) = [sentence for sentence in shop.forget("person2").out_of_reach if "agents told" in sentence]
    assert waiting.label in told_of


# --- what else holds their words ----------------------------------------------------------------------------


def test_kept_vectors_go_and_are_made_anew(shop: Shop) -> None:
    def kept() -> set[str]:
        return {key for key, *_ in contents(shop.store)["vectors"]}

    before = kept()
    assert before
    shop.forget("nobody")
    assert kept() == before
    shop.forget(dry_run=True)
    assert kept() == before
    shop.forget()
    assert kept() == set()
    mine(shop.loop)
    assert kept() == before


def test_the_vectors_bytes_are_taken_out_of_the_file_too() -> None:
    assert schema.vectors in PERSONAL


def test_a_gap_that_was_merged_keeps_no_name_of_those_who_left_it(shop: Shop) -> None:
    later(shop.tracker, shop.clock)
    kittens = ("wolverine kittens please", "wolverine kittens now", "wolverine kittens tonight")
    for number, text in enumerate(kittens):
        shop.tracker.say(f"friend{number}", text)
    mine(shop.loop)
    label = "learned/wolverine_kittens"
    loyalty, other = sorted(shop.store.proposals(), key=lambda item: item.label == label)
    assert other.label == label
    merge(shop.loop, [loyalty.proposal_id, other.proposal_id], "ann", shop.clock())
    assert shop.store.proposal(other.proposal_id).state is ProposalState.SUPERSEDED

    shop.forget("friend0")
    shop.forget("friend1")
    assert shop.store.gap(other.gap_id).name == "wolverine kittens"  # the third one says so, too
    report = shop.forget("friend2")

    assert places_of(shop.store, "wolverine", "kittens") == set()
    assert (report.erased.proposals_removed, report.erased.gaps_removed) == (1, 1)
    assert [item.proposal_id for item in shop.store.proposals()] == [loyalty.proposal_id]


def test_a_name_is_only_lost_with_the_whole_word(store: Store) -> None:
    """That of a merged gap, while somebody else says a longer word."""
    store.save_batch([mined("zoe", "art now"), mined("ann", "party now")], [], 1)
    save_members(store, [gap(proposal(number).gap_id, name="art now") for number in (1, 2)], {})
    turns = {turn.turn_id: proposal(1).gap_id for turn in store.fresh_turns(9)}
    save_members(store, [], turns)
    store.save_proposals([proposal(2, label="learned/art_now", examples=("typed by staff",))], START)
    with store._database.write() as connection:
        connection.execute(sa.update(schema.proposals).values(state="superseded"))
    erased = erase(store, "zoe")

    assert (erased.proposals_removed, list(store.gaps())) == (1, [proposal(1).gap_id])


def test_ratings_go(store: Store) -> None:
    (talk,) = mined("zoe", "zyzzyva").conversations
    rated = replace(talk, ratings=(Rating(talk.failed[0].turn_id, "zoe", "greet", False),))
    store.save_batch([replace(mined("zoe", "zyzzyva"), conversations=(rated,)), mined("ann", "one")], [], 1)
    erased = erase(store, "zoe")

    assert {name: count for name, count in erased.rows.items() if count} == {
        "conversations": 1,
        "failed_turns": 1,
        "signals": 1,
        "ratings": 1,
        "conversation_texts": 1,
    }
    assert (store.label_ratings(), store.counts()["conversations"]) == ([], 1)


def test_reading_goes_on_behind_the_last_row_that_is_left(store: Store) -> None:
    store.save_batch([mined("ann", "one")], [], 7)
    for newest, expected in ((9, 7), (5, 5)):
        store.erase("zoe", (), str, START, "ann", START, newest_other=newest)
        assert store.watermark() == expected


def test_it_is_compacted_unless_somebody_reads(store: Store, tmp_path: Path) -> None:
    fill(store)
    erase(store, "zoe")
    assert store.compact()
    if not (tmp_path / "learning.db").exists():
        return
    reader = sqlite3.connect(tmp_path / "learning.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM failed_turns").fetchall()
    with store._database.write() as connection:
        set_meta(connection, "something", "new")
    sa.event.listen(store._database._engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout = 10"))
    assert not store.compact()
    reader.close()
    assert store.compact()


@pytest.mark.service
def test_events_go_from_a_tracker_store_on_postgresql(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url, future=True)
    table = "CREATE TABLE events (id SERIAL PRIMARY KEY, sender_id VARCHAR(255), type_name VARCHAR(255),"
    with engine.begin() as connection:
        connection.execute(sa.text(f"{table} timestamp FLOAT, intent_name VARCHAR, action_name VARCHAR, data TEXT)"))
        for sender in ("ann", ZOE, "ann", ZOE):
            row = {"sender": sender, "data": json.dumps({"text": "zyzzyva"})}
            connection.execute(
                sa.text(
                    "INSERT INTO events (sender_id, type_name, timestamp, data) VALUES (:sender, 'user', 1, :data)"
                ),
                row,
            )
    engine.dispose()
    eraser = SqlTrackerEraser(postgres_url)

    assert eraser.sender_of(sender_key(ZOE)) == ZOE
    assert eraser.newest_other(ZOE) == 3
    assert (eraser.erase(ZOE), eraser.count(ZOE), eraser.count("ann")) == (2, 0, 2)
    eraser._engine.dispose()


def good(sender: str, text: str) -> GoodTurn:
    return GoodTurn(content_id("good", text), content_id("conversation", sender), text, "greet")


# --- the command --------------------------------------------------------------------------------------------

Run = Callable[..., Any]


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `python -m learning ...` on the shop in this process; returns exit code, output and errors."""
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("EVERGREEN_STORE_URL", "EVERGREEN_BOT_URL", "EVERGREEN_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["learning", "--project", str(shop.root), *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(SystemExit) as caught:
            command_line.run()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def test_the_command_tells_of_every_table_that_lost_something(shop: Shop, run: Run) -> None:
    shop.tracker.say(ZOE, LOYALTY[0])
    shop.tracker.add(ZOE, {"event": "bot", "text": "You do.", "data": {}, "metadata": {"agent": "tom"}})
    mine(shop.loop)
    code, out, _ = run("forget", ZOE, "--yes")

    assert code == 0
    assert "answers of agents 1" in out


def test_the_command_asks_first(shop: Shop, run: Run) -> None:
    before = contents(shop.store)
    code, out, _ = run("forget", ZOE, answer="n\n")
    assert (code, contents(shop.store)) == (1, before)
    assert "would remove of sender" in out

    code, out, _ = run("forget", ZOE, "--who", "ann", answer="y\n")
    assert code == 0
    assert f"removed of sender {sender_key(ZOE)}: conversations 1, " in out
    assert "will be read again" in out
    assert "- Rasa's own tracker store still has the conversations" in out
    assert not [word for word in (*SECRET, ZOE) if word in out]
    assert places_of(shop.store, *SECRET) == set()


def test_the_command_for_programs(shop: Shop, run: Run) -> None:
    code, out, _ = run("forget", "--key", sender_key(ZOE), "--tracker", "--yes", "--json")
    told = json.loads(out)

    assert (code, told["erased"]["rows"]["conversations"], told["compacted"]) == (0, 1, True)
    assert told["tracker_events"] > 0
    code, out, _ = run("forget", ZOE, "--yes")
    assert (code, "Nothing is known of sender" in out) == (0, True)


def test_the_command_on_a_repository_cleans_the_branch(shop: Shop, run: Run) -> None:
    (shop.root / ".gitignore").write_text("var/\n")
    git(shop.root, "init", "-q", "-b", "main")
    git(shop.root, "add", ".")
    git(shop.root, "commit", "-q", "-m", "start")
    assert run("review", "approve", shop.store.proposals()[0].proposal_id)[0] == 0
    assert "zyzzyva" in "".join(files_on(shop.root).values())
    code, out, _ = run("forget", ZOE, "--yes")

    assert (code, "branch: " in out, "Earlier commits of evergreen/learned" in out) == (0, True, True)
    assert "zyzzyva" not in "".join(files_on(shop.root).values())


@pytest.mark.parametrize(
    "arguments", [(), (ZOE, "--key", "0" * 16), (ZOE, "--json")], ids=["nobody", "twice", "json that would ask"]
)
def test_a_command_that_cannot_be_meant_is_refused(shop: Shop, run: Run, arguments: tuple[str, ...]) -> None:
    before = contents(shop.store)

    assert run("forget", *arguments)[0] == 2
    assert contents(shop.store) == before
