"""Labels that people gave, read from what Label Studio exports (JSON, JSON-MIN, CSV, TSV) or from a filled-in CSV.

Files are read one task at a time; one that cannot be understood raises, naming the row.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from learning.label_files import (
    ANNOTATOR,
    CONTROL,
    ESCAPED,
    LABEL,
    NEW_CONTROL,
    TASK,
    TEXT,
    UNWRITABLE,
    Given,
    LabelFileError,
    Task,
)
from learning.model import LEARNED_INTENT
from learning.texts import name_of

ANNOTATION_ID = "annotation_id"  # a column that only Label Studio writes
DELIMITERS = (",", ";", "\t")
CHUNK = 1 << 16  # characters of JSON that are read at a time
LONGEST_TASK = 1 << 22  # characters of one JSON task; a failed message has some hundred
UNREADABLE_NEXT = "export it anew from Label Studio, or with `python -m learning labels export`"


@dataclass(frozen=True)
class Row:
    """A task as it stands in a file; `place` names the row for people."""

    place: str
    task: Task


def read_rows(path: Path) -> Iterator[Row]:
    """Yield what a file of labels holds, whichever of the formats it has.

    Raises:
        LabelFileError: the file cannot be read, is cut off, or has a row that makes no sense.

    """
    try:
        # An editor or a spreadsheet may have put a byte order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            start = file.read(CHUNK).lstrip()[:1]
            file.seek(0)
            yield from _read_json(file, path) if start in ("[", "{") else _read_csv(file, path)
    except UnicodeDecodeError as error:
        next_step = "save it as UTF-8"
        raise LabelFileError(f"is not UTF-8 text (byte {error.start})", str(path), next_step) from error
    except OSError as error:
        raise LabelFileError(f"cannot be read ({error.strerror})", str(path), "name a file that exists") from error


def _read_json(file: TextIO, path: Path) -> Iterator[Row]:
    for number, item in enumerate(_json_items(file, path), start=1):
        place = f"{path}: task {number}"
        if isinstance(item.get("data"), dict):
            yield Row(place, _task(item["data"], tuple(_annotated(item, place)), place))
        else:  # JSON-MIN: one flat record for each annotation
            given = _given(item, CONTROL, NEW_CONTROL, place)
            yield Row(place, _task(item, given, place))


def _json_items(file: TextIO, path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON array, never holding more than one of them."""
    decoder = json.JSONDecoder(parse_constant=_no_number)
    buffer, number = file.read(CHUNK).lstrip(), 0
    if not buffer.startswith("["):
        raise LabelFileError("is no list of tasks", str(path), UNREADABLE_NEXT)
    buffer, separator = buffer[1:], ""
    while True:
        buffer = _more(file, buffer.lstrip())
        place = f"{path}: task {number + 1}"
        if buffer.startswith("]"):
            if buffer[1:].strip() or file.read(CHUNK).strip():
                raise LabelFileError("goes on behind its end", str(path), UNREADABLE_NEXT)
            return
        if separator:
            if not buffer.startswith(separator):
                raise LabelFileError("does not end properly: the file is cut off or damaged", place, UNREADABLE_NEXT)
            buffer = _more(file, buffer[1:].lstrip())
        if not buffer.startswith("{"):
            raise LabelFileError("is no task", place, UNREADABLE_NEXT)
        item, buffer = _decode(decoder, file, buffer, place)
        separator, number = ",", number + 1
        yield item


def _more(file: TextIO, buffer: str) -> str:
    """Return the buffer, with more of the file where it is used up."""
    while not buffer:
        chunk = file.read(CHUNK)
        if not chunk:
            return ""
        buffer = chunk.lstrip()
    return buffer


def _decode(decoder: json.JSONDecoder, file: TextIO, buffer: str, place: str) -> tuple[dict[str, Any], str]:
    """Return the object at the start of the buffer and what follows it, reading on until it is whole."""
    while True:
        try:
            item, end = decoder.raw_decode(buffer)
        except (ValueError, RecursionError) as error:
            # As much again as there is: a large object is not tried at every chunk.
            chunk = file.read(max(CHUNK, len(buffer))) if len(buffer) < LONGEST_TASK else ""
            if not chunk:
                cause = str(error).partition(":")[0]
                raise LabelFileError(
                    f"is no JSON ({cause}), is cut off, or is far too long", place, UNREADABLE_NEXT
                ) from error
            buffer += chunk
        else:
            return cast("dict[str, Any]", item), buffer[end:]


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _annotated(item: Mapping[str, Any], place: str) -> Iterator[Given]:
    """Yield the labels of a task's annotations; skipped ones say nothing."""
    annotations = item.get("annotations", [])
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise LabelFileError("has annotations that are none", place, UNREADABLE_NEXT)
    for annotation in annotations:
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            continue
        found: dict[str, Any] = {}
        results = annotation.get("result") or ()
        if not isinstance(results, (list, tuple)):
            raise LabelFileError("has an annotation whose result is no list", place, UNREADABLE_NEXT)
        for result in results:
            name = result.get("from_name") if isinstance(result, dict) else None
            if name in (CONTROL, NEW_CONTROL) and isinstance(result.get("value"), dict):
                found[name] = result["value"]
            elif name not in (CONTROL, NEW_CONTROL, None):
                # Passing over it would count work that somebody has done as a message without a label.
                raise LabelFileError(
                    f"has an annotation of the control {str(name)[:60]!r}, which is none of {CONTROL}, {NEW_CONTROL}",
                    place,
                    "use the interface that `python -m learning labels config` prints, or take the annotation out",
                )
        yield from _given({**found, ANNOTATOR: annotation.get("completed_by")}, CONTROL, NEW_CONTROL, place)


def _read_csv(file: TextIO, path: Path) -> Iterator[Row]:
    first_line = file.readline()
    file.seek(0)
    # Spreadsheets of some languages write semicolons, and Label Studio's TSV is the same with tabs.
    delimiter = max(DELIMITERS, key=first_line.count)
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        from_label_studio = ANNOTATION_ID in header
        _check_header(header, CONTROL if from_label_studio else LABEL, path)
        for number, cells in enumerate(reader, start=1):
            if not cells:
                continue  # an empty line, such as some editors leave at the end
            place = f"{path}: row {number} (ends in line {reader.line_num})"
            if len(cells) != len(header):
                raise LabelFileError(
                    f"has {len(cells)} cells, and the first row names {len(header)} columns", place, UNREADABLE_NEXT
                )
            record: dict[str, Any] = dict(zip(header, cells, strict=True))
            yield Row(place, _csv_task(record, from_label_studio, place))
    except csv.Error as error:
        place = f"{path}: line {reader.line_num}"
        raise LabelFileError(f"is no CSV ({error})", place, UNREADABLE_NEXT) from error


def _check_header(header: Sequence[str], label: str, path: Path) -> None:
    # Label Studio has no column for a control that nobody has used.
    needed = (TASK, TEXT) if NEW_CONTROL in header else (TASK, TEXT, label)
    missing = [name for name in needed if name not in header]
    if len(set(header)) != len(header):
        raise LabelFileError("names a column twice", f"{path}: the first row", UNREADABLE_NEXT)
    if missing:
        raise LabelFileError(
            f"has no column {', '.join(missing)}",
            f"{path}: the first row",
            "import a file that was exported here or from Label Studio",
        )


def _csv_task(record: dict[str, Any], from_label_studio: bool, place: str) -> Task:
    if record.get(ESCAPED):
        # What Label Studio itself wrote was never defused.
        own = {CONTROL, NEW_CONTROL, ANNOTATOR} if from_label_studio else set()
        record = {
            name: value[1:] if value.startswith("'") and name not in own else value for name, value in record.items()
        }
    if from_label_studio:
        for name in (CONTROL, NEW_CONTROL):
            record[name] = _nested(record.get(name, ""), place)
        return _task(record, _given(record, CONTROL, NEW_CONTROL, place), place)
    return _task(record, _given(record, LABEL, "", place), place)


def _nested(cell: str, place: str) -> object:
    """Return a cell's value; where a control has several, Label Studio writes JSON in it."""
    if not cell.startswith(("{", "[")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise LabelFileError(f"has the label {cell[:60]!r}", place, UNREADABLE_NEXT) from error


# --- what a record says ---------------------------------------------------------------------------------


def _task(data: Mapping[str, Any], labels: tuple[Given, ...], place: str) -> Task:
    task_id, text = data.get(TASK), data.get(TEXT)
    if not isinstance(task_id, str) or not task_id or not isinstance(text, str):
        raise LabelFileError(
            f"has no `{TASK}` and `{TEXT}`: it was not exported here",
            place,
            "label what `python -m learning labels export` writes",
        )
    for value in (task_id, text, *(given.label for given in labels), *(given.who for given in labels)):
        if found := UNWRITABLE.search(value):
            raise LabelFileError(
                f"holds the character U+{ord(found.group()):04X}, which no text can hold", place, UNREADABLE_NEXT
            )
    return Task(
        task_id=task_id,
        origin=_string(data.get("origin")),
        text=text,
        understood_as=_string(data.get("understood_as")),
        confidence=_number(data.get("confidence"), place),
        suggested=_string(data.get("suggested")),
        score=int(_number(data.get("score"), place)),
        labels=labels,
    )


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object, place: str) -> float:
    try:
        number = float(value or 0)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise LabelFileError(f"has {value!r:.60} where a number belongs", place, UNREADABLE_NEXT)
    return number


def _given(record: Mapping[str, Any], control: str, new_control: str, place: str) -> tuple[Given, ...]:
    """Return the label that a record tells, none where nobody gave one."""
    chosen = _values(record.get(control), place)
    named = _values(record.get(new_control), place)
    if len(chosen) + len(named) > 1:
        both = ", ".join((*chosen, *named))
        raise LabelFileError(f"has more than one label ({both})", place, "leave one of them")
    if not chosen and not named:
        return ()
    label = chosen[0] if chosen else _new_label(named[0], place)
    return (Given(_who(record.get(ANNOTATOR)), label),)


def _values(value: object, place: str) -> list[str]:
    """Return the values of a control in any of the forms that Label Studio gives them."""
    found: list[str] = []
    waiting = [value]  # no recursion: a file may nest them deeper than Python can follow
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            one = one.get("choices", one.get("text"))
        if isinstance(one, list):
            waiting.extend(reversed(one))
        elif isinstance(one, str):
            found += [one] if one else []
        elif one is not None:
            raise LabelFileError("has a label that is no text", place, UNREADABLE_NEXT)
    return found


def _new_label(name: str, place: str) -> str:
    """Return the full key of a new question that somebody has named."""
    words = name_of(name.removeprefix(f"{LEARNED_INTENT}/").replace("_", " "))
    if not words:
        raise LabelFileError(f"names a new question {name!r}, without a word in it", place, "give it a name of words")
    return f"{LEARNED_INTENT}/{words}"


def _who(value: object) -> str:
    """Return who gave a label: an e-mail address, or the number of a user."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return str(value) if value is not None and not isinstance(value, (list, dict)) else ""
