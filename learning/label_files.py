"""Messages to label as files: Label Studio's JSON, and a CSV for spreadsheets; `label_reading` reads them back.

What a message is stands in the task's `data`, since that is all that Label Studio's JSON-MIN and CSV keep of a task.
Files are written one task at a time.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TextIO
from xml.etree import ElementTree

from learning.errors import EvergreenError

NOTHING = "(nothing to learn)"  # the label of a message that should teach nothing
CONTROL, NEW_CONTROL, SHOWN = "intent", "new_intent", "text"  # names in the labeling interface
TASK, TEXT, LABEL, ANNOTATOR, ESCAPED = "task", "text", "label", "annotator", "escaped"
COLUMNS = (
    *(TASK, "origin", TEXT, "understood_as", "confidence"),
    *("suggested", "score", LABEL, ANNOTATOR, ESCAPED),
)
UNWRITABLE = re.compile("[\x00\ud800-\udfff]")  # NUL, which CSV cannot hold, and half an emoji, which UTF-8 cannot
# What a spreadsheet would run as a formula (OWASP, CSV injection), and the sign itself that defuses it.
FORMULA = re.compile(r"[=+\-@\t\r\n'＝＋－＠]")


class LabelFileError(EvergreenError):
    """A file of labels cannot be read, or does not fit what is known; nothing of it was imported."""


@dataclass(frozen=True)
class Given:
    """A label that somebody gave; `who` is empty for what the project's own files say."""

    who: str
    label: str


@dataclass(frozen=True)
class Task:
    """One message to label.

    `task_id` and `origin` name the message and the gap, proposal or label that it comes from; both begin with a
    letter, so that no spreadsheet takes them for numbers. `suggested` is the label that the machine proposes, `score`
    (0 to 100) how surely; `understood_as` is what the bot took it for, `confidence` (0..1) how surely.
    """

    task_id: str
    origin: str
    text: str
    understood_as: str = ""
    confidence: float = 0.0
    suggested: str = ""
    score: int = 0
    labels: tuple[Given, ...] = field(default=())


def write_label_studio(tasks: Iterable[Task], out: TextIO) -> int:
    """Write tasks in Label Studio's JSON format; return how many there were.

    Raises:
        LabelFileError: a text has a character that no file can hold.

    """
    count = 0
    out.write("[")
    for task in tasks:
        out.write(",\n" if count else "\n")
        out.write(json.dumps(_label_studio_task(task), ensure_ascii=False))
        count += 1
    out.write("\n]\n")
    return count


def write_csv(tasks: Iterable[Task], out: TextIO) -> int:
    """Write tasks as CSV (RFC 4180), one row for each label of each; return how many tasks there were.

    A cell that a spreadsheet would run gets an apostrophe in front, and so does one that begins with an apostrophe:
    reading takes it away again.

    Args:
        tasks: what is written.
        out: a file opened with `newline=""`.

    Raises:
        LabelFileError: a text has a character that no file can hold.

    """
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    count = 0
    for task in tasks:
        _check_writable(task)
        what = (task.task_id, task.origin, task.text, task.understood_as, repr(task.confidence))
        for given in task.labels or (Given("", ""),):
            cells = (*what, task.suggested, str(task.score), given.label, given.who)
            writer.writerow([*map(_defused, cells), "yes"])
        count += 1
    return count


def labeling_config(labels: Iterable[str]) -> str:
    """Return the XML of Label Studio's labeling interface for these labels."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Text", name=SHOWN, value=f"${TEXT}")
    ElementTree.SubElement(view, "Filter", toName=CONTROL, placeholder="Find an intent")
    choices = ElementTree.SubElement(view, "Choices", name=CONTROL, toName=SHOWN, choice="single")
    for label in (*sorted(labels), NOTHING):
        ElementTree.SubElement(choices, "Choice", value=label)
    ElementTree.SubElement(
        view,
        "TextArea",
        name=NEW_CONTROL,
        toName=SHOWN,
        rows="1",
        maxSubmissions="1",
        placeholder="Or the name of a new question",
    )
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _label_studio_task(task: Task) -> dict[str, Any]:
    _check_writable(task)
    predictions = []
    if task.suggested:
        prediction = {"model_version": "proposal", "score": task.score / 100}
        predictions.append({**prediction, "result": [_choice(task, task.suggested)]})
    if task.understood_as:
        prediction = {"model_version": "nlu", "score": task.confidence}
        predictions.append({**prediction, "result": [_choice(task, task.understood_as)]})
    annotations = [
        {"result": [_choice(task, given.label)], **({"completed_by": {"email": given.who}} if given.who else {})}
        for given in task.labels
    ]
    data = {
        TASK: task.task_id,
        "origin": task.origin,
        TEXT: task.text,
        "understood_as": task.understood_as,
        "confidence": task.confidence,
        "suggested": task.suggested,
        "score": task.score,
    }
    return {"data": data, "predictions": predictions, "annotations": annotations}


def _choice(task: Task, label: str) -> dict[str, Any]:
    return {
        "id": task.task_id[-10:],
        "from_name": CONTROL,
        "to_name": SHOWN,
        "type": "choices",
        "value": {"choices": [label]},
    }


def _check_writable(task: Task) -> None:
    for text in (task.text, *(given.label for given in task.labels), *(given.who for given in task.labels)):
        if found := UNWRITABLE.search(text):
            raise LabelFileError(
                f"holds the character U+{ord(found.group()):04X}, which no file of text can hold",
                f"message {task.task_id}",
                "take it out of the message, or leave it out of what is labelled",
            )


def _defused(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell
