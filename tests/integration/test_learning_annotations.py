"""One conversation is read, annotated, made a test story and a file; whoever is forgotten is in none of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from learning import browsing, test_stories
from learning.adapters import schema
from learning.adapters.store import Store
from learning.adapters.tracker_erasure import SqlTrackerEraser
from learning.annotations import AnnotationChanged, annotate, annotate_rest, checked_turns, undo_annotation
from learning.browsing_records import HIDDEN, Filter, StepKind, Transcript, Verdict
from learning.conversation_files import export
from learning.errors import NotFound, ReviewError, StoreError
from learning.forget import forget
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import CORRECTED, ProposalKind, ProposalState, sender_key
from learning.searchable import make_searchable
from learning.transcripts import GONE, read
from tests.learning_builders import START, TrackerFile, make_loop, make_project

END = START.replace(year=START.year + 1)
MAIL = "ann.miller@example.com"


class Shop:
    """A project in which two people have talked."""

    def __init__(self, root: Path) -> None:
        self.root = make_project(root)
        self.tracker = TrackerFile(root / "var" / "tracker.db")
        entities = [
            {"entity": "email", "value": MAIL, "confidence_entity": 0.9},
            {"entity": "product", "value": "lamp", "role": "bought"},
            "nonsense",
        ]
        parsed = {"entities": entities, "sentiment": {"frustration": 0.7}}
        self.tracker.say("ann", f"my lamp is broken, write to {MAIL}", "greet", 0.41, parsed=parsed, metadata=MODEL)
        for name, value in (("email", MAIL), ("task", "greet"), ("product", "lamp"), ("verified", True), ("n", None)):
            self.tracker.add("ann", {"event": "slot", "name": name, "value": value})
        self.tracker.add("ann", {"event": "active_loop", "name": "support_form"})
        self.tracker.add("ann", {"event": "user", "text": '/affirm{"email": "x"}', "parse_data": {}})
        self.tracker.say("ann", "where is my parcel", "track_order", 0.97, "It comes tomorrow.")
        self.tracker.add("ann", {"event": "bot", "text": "I can help.", "metadata": {"agent": "bo"}, "data": {}})
        self.tracker.say("bob", "good morning zyzzyva", "greet", 0.99, "Hello.")
        self.loop = make_loop(self.root)
        read_conversations(self.loop, lambda batch: None)
        make_searchable(self.loop)

    def of(self, sender: str) -> Transcript:
        (item,) = browsing.each(self.loop, Filter(person=sender_key(sender)))
        return read(self.loop, item.conversation_id)


MODEL = {"model_id": "m" * 32}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# --- reading --------------------------------------------------------------------------------------


def test_a_transcript_tells_everything_and_nothing_personal(shop: Shop) -> None:
    transcript = shop.of("ann")
    first, second = transcript.turns

    assert first.text == "my lamp is broken, write to <EMAIL_1>"
    assert [(one.name, one.value, one.role) for one in first.entities] == [
        ("email", HIDDEN, ""),
        ("product", "lamp", "bought"),
    ]
    values = {one.name: one.value for one in first.slots}
    assert values == {"email": HIDDEN, "task": "greet", "product": "lamp", "verified": "True", "n": ""}
    assert (first.intent, first.confidence, first.frustration, first.model) == ("greet", 0.41, 0.7, "m" * 32)
    assert [step.name for step in first.steps if step.kind is StepKind.LOOP] == ["support_form"]
    assert [step.name for step in first.steps if step.kind is StepKind.PRESSED] == ["affirm"]
    assert [one.kind for one in first.signals]
    assert (second.text, second.reply, second.agent_reply) == (
        "where is my parcel",
        ("It comes tomorrow.",),
        ("I can help.",),
    )
    assert MAIL not in repr(transcript)
    item = transcript.item
    assert (item.model, item.frustration, item.agent_at is not None) == ("m" * 32, 0.7, True)
    assert item.opening == "my lamp is broken, write to <EMAIL_1>"


@pytest.mark.parametrize(
    "parse_data",
    [
        None,
        [],
        {"intent": {}, "entities": {"a": 1}, "intent_ranking": "no"},
        {"intent": {"name": "greet"}, "entities": [None, {"entity": 5, "value": [[1]]}], "intent_ranking": [None, {}]},
    ],
)
def test_events_of_other_versions_are_read_as_far_as_they_go(shop: Shop, parse_data: Any) -> None:
    shop.tracker.add("eve", {"event": "user", "text": "odd one", "parse_data": parse_data, "metadata": "none"})
    shop.tracker.add("eve", {"event": "slot", "name": "deep", "value": {"a": [1, {"b": None}]}})
    shop.tracker.add("eve", {"event": "from_the_future", "what": 1})
    read_conversations(shop.loop, lambda batch: None)
    make_searchable(shop.loop)

    (turn,) = shop.of("eve").turns
    assert turn.text == "odd one"
    assert {one.name: one.value for one in turn.slots} == {"deep": HIDDEN}


def test_what_the_tracker_store_has_lost_is_said_plainly(shop: Shop) -> None:
    item = shop.of("ann").item
    shop.tracker.execute("DELETE FROM events WHERE sender_id = 'ann'")
    lost = read(shop.loop, item.conversation_id)

    assert (lost.turns, lost.note) == ((), GONE)
    with pytest.raises(NotFound, match="no longer in the tracker store"):
        test_stories.test_story(lost)
    (shop.root / "var" / "tracker.db").unlink()
    assert "cannot be shown" in read(shop.loop, item.conversation_id).note
    with pytest.raises(NotFound):
        read(shop.loop, "0" * 16)


# --- making messages searchable -------------------------------------------------------------------


def contents(loop: Loop) -> dict[str, list[Any]]:
    assert isinstance(loop.store, Store)
    with loop.store._database.read() as connection:
        tables = (schema.conversations, schema.conversation_texts)
        return {
            table.name: [tuple(row) for row in connection.execute(table.select().order_by(table.c.place))]
            for table in tables
        }


def test_a_second_time_changes_nothing(shop: Shop) -> None:
    before = contents(shop.loop)

    assert make_searchable(shop.loop) == 0
    assert contents(shop.loop) == before
    assert browsing.count(shop.loop, Filter(text="broken lamp")) == (1, False)
    assert browsing.count(shop.loop, Filter(text="miller")) == (0, False)
    assert MAIL not in str(before)


def test_killed_in_between_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.searchable.AT_ONCE", 2)
    whole, killed = make_project(tmp_path / "whole"), make_project(tmp_path / "killed")
    loops = []
    for root in (whole, killed):
        tracker = TrackerFile(root / "var" / "tracker.db")
        for number in range(7):
            tracker.say(f"p{number}", f"hello number{number} friend")
        loops.append(make_loop(root))
        read_conversations(loops[-1], lambda batch: None)

    def die(done: int) -> None:
        raise KeyboardInterrupt

    make_searchable(loops[0])
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            make_searchable(loops[1], die)
    make_searchable(loops[1])
    assert contents(loops[1]) == contents(loops[0])
    assert browsing.count(loops[1], Filter(text="hello friend")) == (7, False)


def test_who_is_forgotten_meanwhile_does_not_come_back(shop: Shop) -> None:
    shop.tracker.say("cal", "quokka news")
    read_conversations(shop.loop, lambda batch: None)
    shop.loop.store.forgotten_until()
    (waiting,) = shop.loop.store.unsearchable(10)
    other = make_loop(shop.root, f"sqlite:///{shop.root / 'var' / 'learning.db'}")
    forget(other, lambda: SqlTrackerEraser(f"sqlite:///{shop.root / 'var' / 'tracker.db'}"), "dpo", "cal")

    with pytest.raises(StoreError, match="has forgotten somebody"):
        shop.loop.store.save_texts([], [(waiting[0], waiting[3])])
    assert browsing.count(other, Filter(text="quokka")) == (0, False)


def test_forgetting_leaves_no_word_and_no_byte(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn = transcript.turns[0]
    conversation_id = transcript.item.conversation_id
    annotate(shop.loop, conversation_id, turn.turn_id, "ann", Verdict.WRONG, "track_order", "zyzzyva is a word")
    browsing.add_tag(shop.loop, [conversation_id], "odd", "ann")
    drawn = browsing.draw(shop.loop, Filter(), "ann", 5, 1)
    report = forget(shop.loop, lambda: SqlTrackerEraser(f"sqlite:///{shop.root / 'var' / 'tracker.db'}"), "dpo", "bob")

    rows = report.erased.rows
    assert (rows["conversations"], rows["conversation_texts"], rows["tags"], rows["annotations"]) == (1, 1, 1, 1)
    assert browsing.count(shop.loop, Filter(text="zyzzyva")) == (0, False)
    assert conversation_id not in browsing.read_draw(shop.loop, drawn.draw_id).conversation_ids
    assert report.compacted
    for file in (shop.root / "var").glob("learning.db*"):
        assert b"zyzzyva" not in file.read_bytes()
    make_searchable(shop.loop)
    assert b"zyzzyva" not in (shop.root / "var" / "learning.db").read_bytes()


# --- annotating -----------------------------------------------------------------------------------


def waiting(loop: Loop) -> list[tuple[ProposalKind, str, Sequence[str]]]:
    states = (ProposalState.PENDING,)
    return [(one.kind, one.label, one.examples) for one in loop.store.proposals() if one.state in states]


def test_a_correction_waits_for_review_as_an_example(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn = transcript.turns[0]
    conversation_id = transcript.item.conversation_id
    done = annotate(
        shop.loop, conversation_id, turn.turn_id, "ann", Verdict.WRONG, "track_order", "he said so", turn.mark
    )

    assert waiting(shop.loop) == [(ProposalKind.EXAMPLES, "track_order", ("good morning zyzzyva",))]
    assert done.proposal_id == shop.loop.store.proposals()[0].proposal_id
    (seen,) = shop.of("bob").turns
    assert [(one.who, one.right, one.note) for one in seen.annotations] == [("ann", "track_order", "he said so")]
    assert [one.kind for one in seen.signals] == [CORRECTED]
    assert seen.gap_id in (shop.of("bob").proposals or {})
    assert test_stories.right_intent(seen) == "track_order"
    assert browsing.item(shop.loop, conversation_id).signals == (CORRECTED,)
    (checked,) = checked_turns(shop.loop, START, END)
    assert (checked.said, checked.right, checked.verdict) == ("greet", "track_order", Verdict.WRONG)
    audit = shop.loop.store.audit_rows()
    assert [row.who for row in audit if row.what == "annotate"] == ["ann"]
    assert not any("he said so" in repr(row) for row in audit)
    assert shop.loop.store.verify_audit() == []


def test_a_correction_outlives_reading_again_and_can_be_undone(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn = transcript.turns[0]
    done = annotate(shop.loop, transcript.item.conversation_id, turn.turn_id, "ann", Verdict.WRONG, "track_order")
    shop.tracker.say("bob", "thanks, hello there", "greet", 0.99, "Hello.")
    read_conversations(shop.loop, lambda batch: None)
    make_searchable(shop.loop)
    again = shop.of("bob")
    assert len(again.turns) == 2
    assert [one.kind for one in again.turns[0].signals] == [CORRECTED]
    assert again.item.signals == (CORRECTED,)
    assert len(again.turns[0].annotations) == 1

    undo_annotation(shop.loop, done.annotation.annotation_id, "bob")
    assert waiting(shop.loop) == []
    after = shop.of("bob")
    assert (after.turns[0].signals, after.turns[0].annotations, after.item.signals) == ((), (), ())
    with pytest.raises(NotFound):
        undo_annotation(shop.loop, done.annotation.annotation_id, "bob")


def test_saying_otherwise_moves_the_example(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn, talk = transcript.turns[0], transcript.item.conversation_id
    annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.WRONG, "track_order")
    annotate(shop.loop, talk, turn.turn_id, "bob", Verdict.WRONG, "reset_password")
    assert [label for _, label, _ in waiting(shop.loop)] == ["reset_password"]
    annotate(shop.loop, talk, turn.turn_id, "bob", Verdict.RIGHT)
    assert waiting(shop.loop) == []
    assert [one.verdict for one in checked_turns(shop.loop, START, END)] == [Verdict.RIGHT]


def test_the_second_of_two_people_is_told(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn, talk = transcript.turns[0], transcript.item.conversation_id
    annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.RIGHT, seen=turn.mark)

    with pytest.raises(AnnotationChanged, match="by ann"):
        annotate(shop.loop, talk, turn.turn_id, "bob", Verdict.WRONG, "track_order", seen=turn.mark)
    with pytest.raises(AnnotationChanged):
        annotate_rest(shop.loop, talk, "bob", {turn.turn_id: turn.mark})
    assert waiting(shop.loop) == []


def test_a_text_of_the_hold_out_never_becomes_an_example(shop: Shop) -> None:
    shop.tracker.say("kim", "My parcel?", "greet", 0.6, "Hello.")
    read_conversations(shop.loop, lambda batch: None)
    transcript = shop.of("kim")
    done = annotate(
        shop.loop, transcript.item.conversation_id, transcript.turns[0].turn_id, "ann", Verdict.WRONG, "track_order"
    )

    assert "hold-out" in done.note
    assert waiting(shop.loop) == []
    assert len(checked_turns(shop.loop, START, END)) == 1


def test_what_makes_no_sense_is_refused(shop: Shop) -> None:
    transcript = shop.of("bob")
    turn, talk = transcript.turns[0], transcript.item.conversation_id
    with pytest.raises(ReviewError, match="is not known here"):
        annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.WRONG, "no_such_intent")
    with pytest.raises(ReviewError, match="understood as"):
        annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.WRONG, "greet")
    with pytest.raises(ReviewError, match="says nothing"):
        annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.NOTE, note="  ")
    with pytest.raises(ReviewError, match="cannot be kept"):
        annotate(shop.loop, talk, turn.turn_id, "ann", Verdict.NOTE, note="x" * 1_001)
    with pytest.raises(NotFound):
        annotate(shop.loop, talk, "0" * 16, "ann", Verdict.RIGHT)
    assert shop.loop.store.annotations_of(talk) == []


def test_the_rest_is_right(shop: Shop) -> None:
    transcript = shop.of("ann")
    talk = transcript.item.conversation_id
    annotate(shop.loop, talk, transcript.turns[0].turn_id, "ann", Verdict.WRONG)
    made = annotate_rest(shop.loop, talk, "bob", {turn.turn_id: turn.mark for turn in shop.of("ann").turns})

    assert [(one.turn_id, one.verdict) for one in made] == [(transcript.turns[1].turn_id, Verdict.RIGHT)]
    assert annotate_rest(shop.loop, talk, "bob") == ()


# --- files ----------------------------------------------------------------------------------------


def test_a_conversation_becomes_a_test_story(shop: Shop) -> None:
    path = test_stories.write_story(shop.root, shop.of("ann"))
    (story,) = yaml.safe_load(path.read_text("utf-8"))["stories"]

    assert story["steps"] == [
        {"user": "my [lamp](product) is broken, write to [person1@example.com](email)", "intent": "greet"},
        {"action": "utter_something"},
        {"slot_was_set": [{"email": "filled"}]},
        {"slot_was_set": [{"task": "greet"}]},
        {"slot_was_set": [{"product": "lamp"}]},
        {"slot_was_set": [{"verified": True}]},
        {"slot_was_set": [{"n": None}]},
        {"active_loop": "support_form"},
        {"user": "/affirm", "intent": "affirm"},
        {"user": "where is my parcel", "intent": "track_order"},
        {"action": "utter_something"},
    ]
    assert test_stories.write_story(shop.root, shop.of("ann")) == path


def test_a_story_of_a_question_checks_which_of_its_answers_is_given(shared: Transcript) -> None:
    asked = replace(shared.turns[0], text="what does delivery cost?", intent="faq/shipping_cost", entities=())
    (story,) = yaml.safe_load(test_stories.test_story(replace(shared, turns=(asked,))))["stories"]
    assert story["steps"][0] == {"user": "what does delivery cost?", "intent": "faq/shipping_cost"}


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80), intent=st.text(max_size=20), value=st.text(max_size=10))
def test_a_story_is_valid_whatever_was_said(shared: Transcript, text: str, intent: str, value: str) -> None:
    turn = shared.turns[0]
    entities = (replace(turn.entities[1], value=value), *turn.entities)
    odd = replace(turn, text=text, intent=intent, entities=entities)
    (story,) = yaml.safe_load(test_stories.test_story(replace(shared, turns=(odd,))))["stories"]

    assert all(len(step) in (1, 2) for step in story["steps"])
    said = [step["user"] for step in story["steps"] if "user" in step and step["user"] != "/affirm"]
    assert all(not one.startswith("/") and "{" not in one for one in said)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    return Shop(tmp_path_factory.mktemp("stories")).of("ann")


def test_a_filter_becomes_files(shop: Shop) -> None:
    shop.tracker.say("eve", "=cmd|' /C calc'!A0", "nlu_fallback", 0.2)
    read_conversations(shop.loop, lambda batch: None)
    make_searchable(shop.loop)
    bob = shop.of("bob")
    annotate(shop.loop, bob.item.conversation_id, bob.turns[0].turn_id, "ann", Verdict.WRONG, "track_order")

    table = list(csv.DictReader(io.StringIO("".join(export(shop.loop, Filter(), "csv")))))
    assert len(table) == 3
    assert next(row for row in table if "cmd" in row["opening"])["opening"].startswith("'=cmd")
    lines = [json.loads(line) for line in "".join(export(shop.loop, Filter(text="lamp"), "jsonl")).splitlines()]
    assert [len(line["turns"]) for line in lines] == [2]
    assert MAIL not in json.dumps(lines)
    data = yaml.safe_load("".join(export(shop.loop, Filter(), "yaml")))
    assert data["nlu"] == [{"intent": "track_order", "examples": [{"text": "good morning zyzzyva"}]}]
    assert len(data["stories"]) == 3
    with pytest.raises(ReviewError):
        export(shop.loop, Filter(), "exe")
    assert list(export(shop.loop, Filter(text="nothing there"), "jsonl")) == []
    assert "".join(export(shop.loop, Filter(text="nothing there"), "csv")).startswith("conversation_id,")
