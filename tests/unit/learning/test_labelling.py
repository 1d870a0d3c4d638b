"""Labels that people give come back as proposals: whole files or nothing, and never live without a review."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from learning import labelling_cli
from learning.adapters import schema
from learning.adapters.store import Store
from learning.adapters.store_gaps import NOISE
from learning.bootstrap import App
from learning.errors import StoreError
from learning.forget import forget
from learning.label_files import (
    NOTHING,
    LabelFileError,
    Task,
    labeling_config,
    write_csv,
    write_label_studio,
)
from learning.label_reading import read_rows
from learning.label_tasks import What, labels_to_choose, tasks_to_label
from learning.labelling import Imported, import_labels
from learning.loop import Loop
from learning.model import Action, Decision, Proposal, ProposalKind, ProposalState
from learning.pipeline import mine, review
from tests.learning_builders import LOYALTY, NLU, TrackerFile, make_loop, make_project, talk


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has mined: ten people ask for loyalty points."""
    root = tmp_path_factory.mktemp("mined")
    talk(TrackerFile(make_project(root) / "var" / "tracker.db"))
    mine(make_loop(root))
    return root


@pytest.fixture
def loop(mined: Path, tmp_path: Path) -> Loop:
    """The loop of a copy of it."""
    root = tmp_path / "project"
    shutil.copytree(mined, root)
    return make_loop(root, f"sqlite:///{root / 'var' / 'learning.db'}")


@pytest.fixture
def twins(tmp_path: Path) -> Loop:
    """The same, where somebody else says what one of them says."""
    tracker = TrackerFile(make_project(tmp_path) / "var" / "tracker.db")
    talk(tracker)
    tracker.say("twin", LOYALTY[0].upper())
    made = make_loop(tmp_path)
    mine(made)
    return made


def points(loop: Loop) -> Proposal:
    """The proposal for loyalty points."""
    (found,) = [item for item in loop.store.proposals() if item.kind is ProposalKind.ANSWER and "points" in item.label]
    return found


def members(loop: Loop) -> list[str]:
    """The messages that grouping has put together; it may leave one out."""
    texts = [turn.text for turn in loop.store.turns_of_gap(points(loop).gap_id)]
    assert len(texts) >= len(LOYALTY) - 1
    return texts


def pending(loop: Loop) -> dict[str, Proposal]:
    """What waits, by label."""
    return {item.label: item for item in loop.store.proposals() if item.state is ProposalState.PENDING}


def tasks(loop: Loop, what: What = What.GAPS) -> list[Task]:
    return list(tasks_to_label(loop, what))


def exported(loop: Loop, what: What = What.GAPS) -> list[dict[str, Any]]:
    out = io.StringIO()
    write_label_studio(tasks_to_label(loop, what), out)
    return list(json.loads(out.getvalue()))


def annotate(
    task: dict[str, Any], *labels: str, who: object = 3, control: str = "intent", **more: Any
) -> dict[str, Any]:
    """A task as Label Studio exports it, with one annotation for each label."""
    key = "choices" if control == "intent" else "text"
    kind = "choices" if control == "intent" else "textarea"
    result = {"id": "x1", "from_name": control, "to_name": "text", "type": kind, "origin": "manual"}
    annotations = [
        {
            "id": number,
            "completed_by": who,
            "result": [{**result, "value": {key: [label]}}],
            "was_cancelled": False,
            **more,
        }
        for number, label in enumerate(labels)
    ]
    return {**task, "id": 1, "project": 5, "annotations": [*task["annotations"], *annotations]}


def bring(loop: Loop, content: object, **more: Any) -> Imported:
    """Import tasks, or the text of a file."""
    path = loop.settings.root / "labels.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_bytes(text.encode("utf-8"))
    return import_labels(loop, path, "kim", loop.now(), **more)


def saying(found: Sequence[dict[str, Any]], text: str) -> dict[str, Any]:
    return next(task for task in found if task["data"]["text"] == text)


def state(loop: Loop) -> Any:
    """Everything that an import could change."""
    turns = {gap_id: [turn.turn_id for turn in loop.store.turns_of_gap(gap_id)] for gap_id in loop.store.gaps()}
    return loop.store.proposals(), loop.store.gaps(), turns, len(loop.store.audit_rows())  # type: ignore[attr-defined]


# --- out -------------------------------------------------------------------------------------------------


def test_failed_messages_go_out_with_what_the_machine_makes_of_them(loop: Loop) -> None:
    found = exported(loop)
    assert {task["data"]["text"] for task in found} == set(members(loop))
    task = saying(found, LOYALTY[0])
    proposal = points(loop)
    assert task["data"]["task"].startswith("turn-")
    assert task["data"]["origin"] == f"gap-{proposal.gap_id}"
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "proposal"
    assert prediction["score"] == proposal.score / 100
    (result,) = prediction["result"]
    assert (result["from_name"], result["to_name"], result["type"]) == ("intent", "text", "choices")
    assert result["value"] == {"choices": [proposal.label]}
    assert task["annotations"] == []


def test_what_the_bot_took_a_message_for_is_a_prediction_of_its_own(tmp_path: Path) -> None:
    tracker = TrackerFile(make_project(tmp_path) / "var" / "tracker.db")
    for number in range(4):
        tracker.say(f"p{number}", f"where is my parcel gone {number}", "track_order", 0.4)
    made = make_loop(tmp_path)
    mine(made)
    found = exported(made)
    assert found
    for task in found:
        versions = {one["model_version"]: one for one in task["predictions"]}
        assert versions["nlu"]["result"][0]["value"] == {"choices": ["track_order"]}
        assert versions["nlu"]["score"] == 0.4


def test_every_prediction_is_a_choice_of_the_interface(loop: Loop) -> None:
    view = ElementTree.fromstring(labeling_config(labels_to_choose(loop)))
    choices = {choice.get("value") for choice in view.findall(".//Choice")}
    assert {*NLU, points(loop).label, NOTHING} <= choices
    for task in (*exported(loop), *exported(loop, What.PROPOSALS), *exported(loop, What.EXAMPLES)):
        for one in (*task["predictions"], *task["annotations"]):
            assert set(one["result"][0]["value"]["choices"]) <= choices
    (shown,) = view.findall("Text")
    assert (shown.get("name"), shown.get("value")) == ("text", "$text")
    assert {control.get("toName") for control in view.findall("Choices") + view.findall("TextArea")} == {"text"}


def test_trained_examples_go_out_with_their_labels(loop: Loop) -> None:
    found = exported(loop, What.EXAMPLES)
    labelled = {(task["data"]["text"], task["annotations"][0]["result"][0]["value"]["choices"][0]) for task in found}
    assert labelled == {(text, label) for label, texts in NLU.items() for text in texts}


def test_what_is_answered_already_is_not_put_to_people_again(loop: Loop) -> None:
    review(loop, Decision(points(loop).proposal_id, Action.APPROVE, "kim", loop.now()))
    assert exported(loop) == []
    live = [task for task in exported(loop, What.EXAMPLES) if "loyalty" in task["data"]["text"]]
    assert live


def test_exports_are_the_same_every_time(loop: Loop) -> None:
    for what in What:
        assert exported(loop, what) == exported(loop, what)


@pytest.mark.parametrize("what", list(What))
@pytest.mark.parametrize("write", [write_csv, write_label_studio])
def test_export_import_export_changes_nothing(loop: Loop, what: What, write: Callable[..., int]) -> None:
    def content() -> str:
        out = io.StringIO(newline="")
        write(tasks_to_label(loop, what), out)
        return out.getvalue()

    first, before = content(), state(loop)
    assert "\n" in first
    imported = bring(loop, first)
    assert imported.rows > 0
    assert imported.proposals == ()
    assert state(loop) == before
    assert content() == first


# --- in --------------------------------------------------------------------------------------------------


def test_a_known_label_becomes_an_example_that_waits(loop: Loop) -> None:
    task = saying(exported(loop), LOYALTY[0])
    before, size = points(loop), len(members(loop))
    imported = bring(loop, [annotate(task, "track_order", who={"id": 3, "email": "ann@example.com"})])
    assert (imported.moved, imported.confirmed, imported.dropped) == (1, 0, 0)
    assert loop.store.releases() == []
    new = pending(loop)["track_order"]
    assert new.kind is ProposalKind.EXAMPLES
    assert new.examples == (LOYALTY[0],)
    assert (new.people, new.turns) == (1, 1)
    after = points(loop)
    assert LOYALTY[0] in before.examples
    assert LOYALTY[0] not in after.examples
    assert loop.store.gap(after.gap_id).turns == size - 1
    assert {new.proposal_id, after.proposal_id} == set(imported.proposals)


def test_what_was_labelled_can_be_approved_like_anything_else(loop: Loop) -> None:
    bring(loop, [annotate(saying(exported(loop), LOYALTY[0]), "track_order")])
    new = pending(loop)["track_order"]
    release = review(loop, Decision(new.proposal_id, Action.APPROVE, "kim", loop.now()))
    assert release is not None
    assert [entry.label for entry in loop.store.entries(ProposalState.PUBLISHED)] == ["track_order"]


def test_the_audit_log_names_who_labelled_and_no_text(loop: Loop) -> None:
    bring(loop, [annotate(saying(exported(loop), LOYALTY[0]), "track_order", who={"email": "ann@example.com"})])
    rows = [row for row in loop.store.audit_rows() if row.what == "move-example"]  # type: ignore[attr-defined]
    assert [row.who for row in rows] == ["kim"]
    assert "labelled track_order by ann@example.com" in rows[0].reason
    assert LOYALTY[0] not in str(rows)
    assert loop.store.verify_audit() == []


def test_the_next_mining_keeps_what_people_labelled(loop: Loop) -> None:
    found = exported(loop)
    bring(loop, [annotate(saying(found, text), "track_order") for text in LOYALTY[:2]])
    mine(loop)
    assert set(pending(loop)["track_order"].examples) >= set(LOYALTY[:2])
    assert not {*LOYALTY[:2]} & {*points(loop).examples}


def test_a_new_question_waits_without_an_answer(loop: Loop) -> None:
    found, named = exported(loop), members(loop)[7:9]
    wanted = [annotate(saying(found, text), "Points that expire!", control="new_intent") for text in named]
    imported = bring(loop, wanted)
    assert imported.moved == 2
    new = pending(loop)["learned/points_that_expire"]
    assert new.kind is ProposalKind.ANSWER
    assert new.answer is None
    assert set(new.examples) == set(named)
    assert loop.store.gap(new.gap_id).name == "points that expire"


def test_a_new_question_keeps_its_name_when_it_grows(loop: Loop) -> None:
    found, texts = exported(loop), members(loop)
    others = texts[:2]
    bring(loop, [annotate(saying(found, text), "Odd name", control="new_intent") for text in texts[4:]])
    mine(loop)
    assert "learned/odd_name" in pending(loop)
    assert bring(loop, [annotate(saying(found, text), "learned/odd_name") for text in others]).moved == 2
    assert set(pending(loop)["learned/odd_name"].examples) >= set(others)


def test_agreeing_with_the_suggestion_changes_nothing(loop: Loop) -> None:
    before, label, size = state(loop), points(loop).label, len(members(loop))
    imported = bring(loop, [annotate(task, label) for task in exported(loop)])
    assert (imported.confirmed, imported.moved, imported.proposals) == (size, 0, ())
    assert state(loop) == before


def test_what_teaches_nothing_leaves_its_proposal_for_good(loop: Loop) -> None:
    imported = bring(loop, [annotate(saying(exported(loop), LOYALTY[0]), NOTHING)])
    assert (imported.dropped, imported.moved) == (1, 0)
    mine(loop)
    assert LOYALTY[0] not in points(loop).examples
    assert LOYALTY[0] not in {task.text for task in tasks(loop)}
    assert isinstance(loop.store, Store)
    with loop.store._database.read() as connection:
        table = schema.failed_turns
        (row,) = connection.execute(sa.select(table).where(table.c.text == LOYALTY[0])).all()
    assert (row.gap_id, row.stage) == (None, NOISE)


def test_a_proposal_that_loses_all_its_messages_is_superseded(loop: Loop) -> None:
    before, size = points(loop), len(members(loop))
    imported = bring(loop, [annotate(task, "track_order") for task in exported(loop)])
    assert imported.moved == size
    assert loop.store.proposal(before.proposal_id).state is ProposalState.SUPERSEDED
    assert set(pending(loop)) == {"track_order"}


def test_labels_of_proposed_examples_move_them(loop: Loop) -> None:
    task = saying(exported(loop, What.PROPOSALS), LOYALTY[1])
    assert task["data"]["origin"] == f"proposal-{points(loop).proposal_id}"
    assert {task["data"]["text"] for task in exported(loop, What.PROPOSALS)} == set(points(loop).examples)
    assert bring(loop, [annotate(task, "reset_password")]).moved == 1
    assert pending(loop)["reset_password"].examples == (LOYALTY[1],)
    assert LOYALTY[1] not in points(loop).examples


def test_the_same_words_of_two_people_go_together(twins: Loop) -> None:
    imported = bring(twins, [annotate(saying(exported(twins), LOYALTY[0]), "track_order")])
    assert imported.moved == 1
    new = pending(twins)["track_order"]
    assert (new.turns, new.people, len(new.examples)) == (2, 2, 1)


def test_labelling_twice_is_labelling_once(loop: Loop) -> None:
    labelled = [annotate(saying(exported(loop), LOYALTY[0]), "track_order")]
    bring(loop, labelled)
    before = state(loop)
    again = bring(loop, labelled)
    assert (again.confirmed, again.moved, again.proposals) == (1, 0, ())
    assert state(loop) == before


def test_what_was_rejected_meanwhile_does_not_come_back(loop: Loop) -> None:
    proposal, task = points(loop), saying(exported(loop), LOYALTY[1])
    review(loop, Decision(proposal.proposal_id, Action.REJECT, "kim", loop.now(), reason="no"))
    before = state(loop)
    imported = bring(loop, [annotate(task, proposal.label)])
    assert (imported.decided, imported.moved, imported.confirmed) == (1, 0, 0)
    assert state(loop) == before


def test_a_file_that_holds_what_was_imported_and_decided_before_changes_nothing(loop: Loop) -> None:
    """Label Studio exports a project as a whole, however often."""
    found, texts, label = exported(loop), members(loop), points(loop).label
    labels = [NOTHING, "track_order", *[label] * (len(texts) - 2)]
    labelled = [annotate(saying(found, text), given) for text, given in zip(texts, labels, strict=True)]
    assert bring(loop, labelled).dropped == 1
    review(loop, Decision(points(loop).proposal_id, Action.APPROVE, "kim", loop.now()))
    review(loop, Decision(pending(loop)["track_order"].proposal_id, Action.APPROVE, "kim", loop.now()))
    mine(loop)
    before = state(loop)
    imported = bring(loop, labelled)
    assert (imported.moved, imported.dropped, imported.proposals) == (0, 0, ())
    assert state(loop) == before


def test_who_was_forgotten_can_be_left_out(loop: Loop) -> None:
    found = exported(loop)
    gone = annotate(found[0], "track_order")
    kept = annotate(found[1], "track_order")
    forget(loop, _no_eraser, "kim", sender_id=sender_of(gone))
    assert "--skip-unknown" in refused(loop, [gone, kept])
    imported = bring(loop, [gone, kept], skip_unknown=True)
    assert (imported.unknown, imported.moved) == (1, 1)
    assert pending(loop)["track_order"].examples == (kept["data"]["text"],)


def sender_of(task: dict[str, Any]) -> str:
    return f"person{LOYALTY.index(task['data']['text'])}"


def _no_eraser() -> Any:
    raise AssertionError("the tracker store stays as it is")


def test_what_was_labelled_is_forgotten_with_its_sender(loop: Loop) -> None:
    one, other = exported(loop)[:2]
    bring(loop, [annotate(one, "track_order"), annotate(other, "odd name", control="new_intent")])
    for task in (one, other):
        forget(loop, _no_eraser, "kim", sender_id=sender_of(task))
    shown = {text for proposal in loop.store.proposals() for text in proposal.examples}
    assert not shown & {one["data"]["text"], other["data"]["text"]}
    assert not {"track_order", "learned/odd_name"} & set(pending(loop))


def test_a_file_without_anything_that_is_known_is_refused_whatever_may_be_skipped(loop: Loop) -> None:
    foreign = annotate({"data": {"task": "turn-ffff", "text": "hi"}, "annotations": []}, "track_order")
    assert "not known here" in refused(loop, [foreign], skip_unknown=True)


def test_what_is_in_no_gap_can_be_labelled(loop: Loop) -> None:
    task = saying(exported(loop), LOYALTY[0])
    bring(loop, [annotate(task, NOTHING)])
    assert bring(loop, [annotate(task, "track_order")]).moved == 1
    assert pending(loop)["track_order"].examples == (LOYALTY[0],)


def test_a_trained_example_that_people_label_otherwise_is_named_and_left(loop: Loop) -> None:
    task = saying(exported(loop, What.EXAMPLES), "new password please")
    before = state(loop)
    imported = bring(loop, [annotate(task, "track_order", who="ann")])
    (mistaken,) = imported.mistaken
    assert (mistaken.text, mistaken.label) == ("new password please", "reset_password")
    assert (mistaken.should_be, mistaken.who) == ("track_order", ("ann",))
    assert state(loop) == before


def test_skipped_annotations_and_empty_ones_say_nothing(loop: Loop) -> None:
    task = saying(exported(loop), LOYALTY[0])
    skipped = annotate(task, "track_order", was_cancelled=True)
    empty = {**saying(exported(loop), LOYALTY[1]), "annotations": [{"result": [], "completed_by": 1}]}
    imported = bring(loop, [skipped, empty])
    assert (imported.rows, imported.waiting, imported.proposals) == (2, 2, ())


# --- Label Studio's other formats, and spreadsheets ---------------------------------------------------------


def minimal(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A record of JSON-MIN."""
    times = {"created_at": "2024-03-01T10:00:00Z", "updated_at": "2024-03-01T10:00:00Z", "lead_time": 2.5}
    return {**task["data"], "id": 4, "annotator": 3, "annotation_id": 9, **times, **more}


def as_csv(records: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    """A CSV as Label Studio writes it: sorted columns, numbers bare."""
    out = io.StringIO(newline="")
    names = sorted({name for record in records for name in record})
    writer = csv.DictWriter(out, fieldnames=names, quoting=csv.QUOTE_NONNUMERIC, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def test_json_min_and_csv_of_label_studio_are_read(loop: Loop) -> None:
    found = exported(loop)
    bring(loop, [minimal(saying(found, LOYALTY[0]), intent="track_order")])
    bring(loop, as_csv([minimal(saying(found, LOYALTY[1]), intent="track_order", annotator="ann@example.com")]))
    bring(loop, as_csv([minimal(saying(found, LOYALTY[2]), intent="", new_intent="odd name")]))
    bring(loop, "\ufeff" + as_csv([minimal(saying(found, LOYALTY[3]), new_intent="odd name")]) + "\r\n")
    assert set(pending(loop)["track_order"].examples) == set(LOYALTY[:2])
    assert set(pending(loop)["learned/odd_name"].examples) == set(LOYALTY[2:4])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_filled_in_spreadsheet_is_read(loop: Loop, delimiter: str) -> None:
    out = io.StringIO(newline="")
    write_csv(tasks_to_label(loop, What.GAPS), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    for row in rows:
        if row["text"] in LOYALTY[:2]:
            row.update(label="learned/odd name", annotator="ann")
    imported = bring(loop, as_csv(rows, delimiter))
    assert (imported.rows, imported.moved, imported.waiting) == (len(rows), 2, len(rows) - 2)
    assert set(pending(loop)["learned/odd_name"].examples) == set(LOYALTY[:2])


def test_a_spreadsheet_that_went_through_label_studio_is_read(tmp_path: Path) -> None:
    task = Task("turn-1", "gap-1", "=1+1 'x'")
    out = io.StringIO(newline="")
    write_csv([task], out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue(), newline=""))
    assert row["text"] == "'=1+1 'x'"
    # Label Studio keeps every column as the task's data, and adds its own.
    path = tmp_path / "labels.csv"
    path.write_bytes(as_csv([{**row, "annotation_id": 3, "annotator": "ann", "intent": "refund"}]).encode())
    (found,) = read_rows(path)
    assert found.task.text == task.text
    assert [(given.who, given.label) for given in found.task.labels] == [("ann", "refund")]


def test_a_large_file_is_read_one_task_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    many = (Task(f"turn-{number}", "gap-1", f"message {number} " + "x" * 2000) for number in range(3000))
    with path.open("w", encoding="utf-8") as out:
        assert write_label_studio(many, out) == 3000
    rows = read_rows(path)
    first = next(rows)
    assert first.task.task_id == "turn-0"
    assert sum(1 for _ in rows) == 2999


# --- what is refused ----------------------------------------------------------------------------------------


def refused(loop: Loop, content: object, **more: Any) -> str:
    """Import what is wrong; return the error, and make sure that nothing of it was imported."""
    before = state(loop)
    with pytest.raises(LabelFileError) as raised:
        bring(loop, content, **more)
    assert state(loop) == before
    return str(raised.value)


def good(loop: Loop) -> dict[str, Any]:
    """A task that could be imported."""
    return annotate(saying(exported(loop), LOYALTY[0]), "track_order")


def test_an_unknown_message_refuses_the_whole_file(loop: Loop) -> None:
    foreign = annotate({"data": {"task": "turn-ffff", "text": "hi"}, "annotations": []}, "track_order")
    error = refused(loop, [good(loop), foreign])
    assert "task 2" in error
    assert "turn-ffff" in error


def test_another_projects_file_is_refused(loop: Loop) -> None:
    assert "task 1" in refused(loop, [{"data": {"image": "cat.png"}, "annotations": []}])
    assert "has no column task" in refused(loop, "image,choice\ncat.png,cat\n")
    assert "has no column label" in refused(loop, as_csv([good(loop)["data"]]))


def test_a_label_that_nobody_knows_is_refused(loop: Loop) -> None:
    error = refused(loop, [good(loop), annotate(saying(exported(loop), LOYALTY[1]), "trak_order")])
    assert "task 2" in error
    assert "'trak_order'" in error


@pytest.mark.parametrize("label", ["learned/", "learned/!!", "learned", "other/thing"])
def test_names_of_new_questions_need_words(loop: Loop, label: str) -> None:
    assert "task 1" in refused(loop, [annotate(saying(exported(loop), LOYALTY[0]), label)])


def test_a_changed_text_is_refused(loop: Loop) -> None:
    task = good(loop)
    changed = {**task, "data": {**task["data"], "text": "something else"}}
    assert "has another text" in refused(loop, [changed])
    assert "has another text" in refused(loop, [task, changed])


def test_two_labels_in_one_annotation_are_refused(loop: Loop) -> None:
    record = minimal(saying(exported(loop), LOYALTY[0]))
    assert "more than one label" in refused(loop, [{**record, "intent": {"choices": ["greet", "track_order"]}}])
    both = '{"choices": ["greet", "track_order"]}'
    assert "row 1 (ends in line 2)" in refused(loop, as_csv([{**record, "intent": both}]))
    assert "more than one label" in refused(loop, [{**record, "intent": "greet", "new_intent": "odd name"}])


def test_people_who_disagree_are_named_and_nothing_is_guessed(loop: Loop) -> None:
    task = saying(exported(loop), LOYALTY[0])
    split = annotate(annotate(task, "track_order", who={"email": "ann@x"}), "greet", who={"email": "ben@x"})
    error = refused(loop, [split])
    assert "greet (ben@x), track_order (ann@x)" in error
    assert "--skip-conflicts" in error
    other = annotate(saying(exported(loop), LOYALTY[1]), "track_order")
    imported = bring(loop, [split, other], skip_conflicts=True)
    assert imported.moved == 1
    assert len(imported.conflicts) == 1
    assert pending(loop)["track_order"].examples == (LOYALTY[1],)


def test_two_people_who_agree_are_one_label(loop: Loop) -> None:
    task = saying(exported(loop), LOYALTY[0])
    twice = annotate(annotate(task, "track_order", who="ann"), "track_order", who="ben")
    assert bring(loop, [twice]).moved == 1


def test_the_same_words_cannot_have_two_labels(twins: Loop) -> None:
    found = exported(twins)
    two = [annotate(saying(found, LOYALTY[0]), "greet"), annotate(saying(found, LOYALTY[0].upper()), "track_order")]
    assert "the same words" in refused(twins, two)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "has no column"),
        ("{}", "is no list of tasks"),
        ('[{"data": {"task": "t", "text": "x"}}', "cut off"),
        ("[1]", "is no task"),
        ("[{]", "is no JSON"),
        ('[{"data": {}}] trailing', "task 1"),
        ('task,text,label\na,"b', "is no CSV"),
        ("task,text,label\na,b\n", "row 1 (ends in line 2): has 2 cells"),
        ("task,task,text,label\n", "names a column twice"),
        ('[{"data": {"task": "t", "text": "\\ud800"}}]', "U+D800"),
        ('[{"data": {"task": "t", "text": "a\\u0000"}}]', "U+0000"),
        ('[{"data": {"task": "t", "text": "x", "score": "high"}}]', "'high' where a number belongs"),
        ('[{"data": {"task": "t", "text": "x"}, "annotations": 7}]', "annotations"),
        ('[{"task": "t", "text": "x", "intent": 7}]', "label that is no text"),
        (
            '[{"data": {"task": "t", "text": "x"}, "annotations": [{"result": 5}]}]',
            "annotation whose result is no list",
        ),
        ('[{"data": {"task": "t", "text": "x"}, "annotations": [{"result": true}]}]', "result is no list"),
        ('[{"data": {"task": "t", "text": "x"}, "annotations": [{"result": "intent"}]}]', "result is no list"),
        (
            '[{"data": {"task": "t", "text": "x"}, "annotations": [{"result": [{"from_name": "other"}]}]}]',
            "of the control 'other', which is none of",
        ),
        ("task,text,intent,annotation_id\nt,x,{broken,1\n", "has the label '{broken'"),
    ],
)
def test_files_that_make_no_sense_are_refused(loop: Loop, content: str, what: str) -> None:
    assert what in refused(loop, content)


def test_huge_numbers_and_deep_nesting_are_refused(loop: Loop) -> None:
    deep = "[" * 900 + "7" + "]" * 900
    assert "task 1: has 1000" in refused(loop, f'[{{"data": {{"task": "t", "text": "x", "score": {10**400}}}}}]')
    assert "label that is no text" in refused(loop, f'[{{"task": "t", "text": "x", "intent": {deep}}}]')
    assert "has the label '[[[" in refused(loop, f"task,text,intent,annotation_id\nt,x,{'[' * 2000},1\n")


def test_files_that_cannot_be_read_are_named(loop: Loop) -> None:
    missing = loop.settings.root / "nowhere.csv"
    with pytest.raises(LabelFileError) as raised:
        import_labels(loop, missing, "kim", loop.now())
    assert "nowhere.csv" in str(raised.value)
    missing.write_bytes(b"task,text,label\nt,\xff,x\n")
    with pytest.raises(LabelFileError) as raised:
        import_labels(loop, missing, "kim", loop.now())
    assert "is not UTF-8" in str(raised.value)


def test_what_is_decided_during_the_import_refuses_it(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    content, store = [good(loop)], loop.store
    carry_out = store.regroup

    def somebody_is_first(*arguments: Any) -> None:
        review(loop, Decision(points(loop).proposal_id, Action.REJECT, "ben", loop.now(), reason="no"))
        carry_out(*arguments)

    monkeypatch.setattr(store, "regroup", somebody_is_first)
    with pytest.raises(StoreError) as raised:
        bring(loop, content)
    assert "somebody else decided first" in str(raised.value)
    assert "track_order" not in pending(loop)
    members = [gap for gap in loop.store.gaps().values() if gap.intent == "track_order"]
    assert members == []


# --- the command line -----------------------------------------------------------------------------------------


def run(loop: Loop, *arguments: str) -> Any:
    app = App(loop.settings)
    vars(app)["loop"] = loop  # a cached property: what it would have built
    return CliRunner().invoke(labelling_cli.labels_cli, list(arguments), obj=app)


def test_the_command_line_exports_and_imports(loop: Loop, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    result = run(loop, "export", str(file))
    assert result.exit_code == 0
    assert f"{len(members(loop))} messages" in result.output
    found = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps([annotate(saying(found, LOYALTY[0]), "track_order")]), "utf-8")
    result = run(loop, "import", str(file))
    assert result.exit_code == 0
    assert "1 rows: 1 messages go to another label" in result.output
    assert f"review show {pending(loop)['track_order'].proposal_id[:8]}" in result.output


def test_the_command_line_tells_programs(loop: Loop, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    assert run(loop, "export", str(file), "--format", "csv", "--what", "examples").exit_code == 0
    told = json.loads(run(loop, "import", str(file), "--json").output)
    assert told["rows"] == sum(len(texts) for texts in NLU.values())
    assert told["mistaken"] == []


def test_the_command_line_prints_the_interface(loop: Loop) -> None:
    result = run(loop, "config")
    assert result.exit_code == 0
    assert ElementTree.fromstring(result.output).tag == "View"


def test_an_export_that_fails_leaves_no_file(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling_cli, "tasks_to_label", lambda *_: iter([Task("turn-1", "gap-1", "a\x00")]))
    file = tmp_path / "new.json"
    result = run(loop, "export", str(file))
    assert isinstance(result.exception, LabelFileError)
    assert list(tmp_path.glob("new.json*")) == []
