"""What goes out to be labelled comes back as it was, whatever customers have written."""

from __future__ import annotations

import atexit
import csv
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from learning.adapters import schema
from learning.adapters.store import Store
from learning.label_files import (
    FORMULA,
    NOTHING,
    Given,
    LabelFileError,
    Task,
    labeling_config,
    write_csv,
    write_label_studio,
)
from learning.label_reading import read_rows
from learning.label_tasks import What, tasks_to_label
from learning.labelling import import_labels
from learning.loop import Loop
from learning.model import ProposalState
from learning.pipeline import mine
from tests.learning_builders import TrackerFile, make_loop, make_project, talk

Write = Callable[[Iterable[Task], TextIO], int]

# Everything that a file of text can hold: no surrogates, and no NUL, which CSV cannot hold.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=60)
NASTY = st.sampled_from(
    [
        "=1+1",
        "'=1+1",
        "''",
        "'",
        "@SUM(A1)",
        "+49 30",
        "-",
        "\t=cmd|' /C calc'!A0",
        "\r\n",
        "\n- x",
        'say "hi", please',
        '"',
        ",,",
        "\ufeff",
        "👩‍👩‍👧 ok",
        "＝1",
        "[1]",
        '{"choices": ["a", "b"]}',
        "a\u2028b",
        "\x1b[31m",
        " lead and trail ",
        "",
        "0123",
        "1e5",
    ]
)
LABELS = st.sampled_from(["faq/opening_hours", "refund", "learned/points", "-odd", "=label"])
TASKS = st.builds(
    Task,
    task_id=st.uuids().map(lambda value: f"turn-{value.hex[:16]}"),
    origin=st.sampled_from(["gap-1", "", "label-=x"]),
    text=TEXTS | NASTY,
    understood_as=st.sampled_from(["", "refund"]),
    confidence=st.floats(0, 1),
    suggested=st.sampled_from(["", "learned/points"]),
    score=st.integers(0, 100),
    labels=st.lists(st.builds(Given, who=NASTY | TEXTS, label=LABELS), max_size=2).map(tuple),
)
FILES = st.lists(TASKS, max_size=5, unique_by=lambda task: task.task_id)


def file_of(tasks: Sequence[Task], write: Write) -> str:
    out = io.StringIO(newline="")
    assert write(tasks, out) == len(tasks)
    return out.getvalue()


def read(content: str) -> list[Task]:
    """Return the tasks of a file, the rows of one task together."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels"
        path.write_bytes(content.encode("utf-8"))
        found: dict[str, Task] = {}
        for row in read_rows(path):
            task = row.task
            before = found.get(task.task_id)
            labels = (*before.labels, *task.labels) if before else task.labels
            found[task.task_id] = Task(**{**vars(task), "labels": labels})
        return list(found.values())


@pytest.mark.parametrize("write", [write_csv, write_label_studio])
@given(tasks=FILES)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_as_it_was_and_written_the_same_again(write: Write, tasks: list[Task]) -> None:
    content = file_of(tasks, write)
    again = read(content)
    assert again == tasks
    assert file_of(again, write) == content


@given(tasks=FILES)
@settings(max_examples=100, deadline=None)
def test_no_cell_of_the_csv_is_a_formula(tasks: list[Task]) -> None:
    rows = list(csv.reader(io.StringIO(file_of(tasks, write_csv), newline="")))
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if FORMULA.match(cell) and not cell.startswith("'")]
    assert len({len(row) for row in rows}) == 1


def json_min(tasks: Sequence[Task]) -> str:
    """What Label Studio's JSON-MIN makes of tasks: one flat record for each annotation."""
    return json.dumps(
        [
            {**task["data"], "id": number, "intent": one["result"][0]["value"]["choices"][0], **_who(one)}
            for number, task in enumerate(json.loads(file_of(tasks, write_label_studio)))
            for one in task["annotations"]
        ]
    )


def label_studio_csv(tasks: Sequence[Task]) -> str:
    """What Label Studio's CSV makes of tasks: sorted columns, everything quoted but numbers."""
    records = json.loads(json_min(tasks))
    out = io.StringIO(newline="")
    names = sorted({name for record in records for name in record} | {"annotation_id", "intent", "task", "text"})
    writer = csv.DictWriter(out, fieldnames=names, quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def _who(annotation: dict[str, dict[str, str]]) -> dict[str, object]:
    return {"annotator": annotation.get("completed_by", {}).get("email"), "annotation_id": 7, "lead_time": 1.5}


@pytest.mark.parametrize("through", [json_min, label_studio_csv])
@given(tasks=FILES)
@settings(max_examples=100, deadline=None)
def test_a_passage_through_label_studio_changes_nothing(
    through: Callable[[Sequence[Task]], str], tasks: list[Task]
) -> None:
    assert read(through(tasks)) == [task for task in tasks if task.labels]


@pytest.mark.parametrize("write", [write_csv, write_label_studio])
@given(bad=st.sampled_from(["\x00", "\ud800", "\udfff"]), before=TEXTS, after=TEXTS)
@settings(max_examples=20, deadline=None)
def test_what_no_file_can_hold_is_refused(write: Write, bad: str, before: str, after: str) -> None:
    with pytest.raises(LabelFileError) as raised:
        file_of([Task("turn-7", "gap-1", before + bad + after)], write)
    assert f"U+{ord(bad):04X}" in str(raised.value)
    assert "turn-7" in str(raised.value)


@given(tasks=st.lists(TASKS, min_size=1, max_size=3, unique_by=lambda task: task.task_id), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_json_file_that_was_cut_off_is_never_taken_for_a_whole_one(tasks: list[Task], data: st.DataObject) -> None:
    content = file_of(tasks, write_label_studio).rstrip()
    cut = content[: data.draw(st.integers(1, len(content) - 1))]
    with pytest.raises(LabelFileError):
        read(cut)


@given(junk=st.binary(max_size=80) | st.text(max_size=80).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b'[{"data": 1}]')
@example(b"[" * 5000)
@example(b'[{"data": {"task": "t", "text": "\\ud800"}}]')
@example(b'[{"data": {"task": "t", "text": "x", "score": NaN}}]')
@example(b'task,text,label\n"a","b"')
@example(b'task,text,label\n"a","b')
@example(b"task,text,label\na,b,\x00")
@settings(max_examples=200, deadline=None)
def test_junk_is_refused_with_an_error_that_says_what_to_do(junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "junk"
        path.write_bytes(junk)
        if junk.strip(b" \t\r\n") in (b"[]",):
            assert list(read_rows(path)) == []
            return
        with pytest.raises(LabelFileError) as raised:
            list(read_rows(path))
        assert str(path) in str(raised.value)


@given(labels=st.lists(TEXTS.filter(lambda text: text.isprintable()), max_size=5))
@settings(max_examples=50, deadline=None)
def test_the_interface_is_xml_whatever_labels_are_called(labels: list[str]) -> None:
    choices = ElementTree.fromstring(labeling_config(labels)).findall(".//Choice")
    assert [choice.get("value") for choice in choices][:-1] == sorted(labels)


# --- what labels do ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def mined() -> Path:
    """A project that has mined once; every example of the test below works on a copy."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    root = make_project(Path(folder.name) / "project")
    talk(TrackerFile(root / "var" / "tracker.db"))
    mine(make_loop(root))
    return root


def homes(loop: Loop) -> dict[str, str | None]:
    """Where each failed turn is: its text -> its gap."""
    assert isinstance(loop.store, Store)
    with loop.store._database.read() as connection:
        rows = connection.execute(sa.select(schema.failed_turns.c.text, schema.failed_turns.c.gap_id)).all()
    assert len({row.text for row in rows}) == len(rows)
    return {row.text: row.gap_id for row in rows}


@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_labels_lose_no_message_and_come_true_once(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        shutil.copytree(mined(), root)
        loop = make_loop(root, f"sqlite:///{root / 'var' / 'learning.db'}")
        before = homes(loop)
        tasks = list(tasks_to_label(loop, What.GAPS))
        suggested = tasks[0].suggested
        choice = st.sampled_from(["", suggested, "track_order", "faq/opening_hours", "learned/odd_name", NOTHING])
        wanted = {task.text: data.draw(choice) for task in tasks}
        file = root / "labels.csv"
        with file.open("w", encoding="utf-8", newline="") as out:
            write_csv((replace(task, labels=(Given("ann", wanted[task.text]),)) for task in tasks), out)

        imported = import_labels(loop, file, "kim", loop.now())
        waiting = {item.label: item.examples for item in loop.store.proposals() if item.state is ProposalState.PENDING}
        for text, label in wanted.items():
            having = {name for name, examples in waiting.items() if text in examples}
            assert having <= ({label} if label else {suggested})
            assert label in ("", NOTHING) or having == {label}
        after = homes(loop)
        assert after.keys() == before.keys()
        assert {text for text, label in wanted.items() if label == NOTHING} == {
            text for text in wanted if after[text] is None
        }
        assert imported.waiting + imported.confirmed + imported.moved + imported.dropped == len(tasks)
        assert loop.store.verify_audit() == []
        assert loop.store.releases() == []

        again = import_labels(loop, file, "kim", loop.now())
        assert (again.moved, again.dropped, again.proposals) == (0, 0, ())
        assert homes(loop) == after
