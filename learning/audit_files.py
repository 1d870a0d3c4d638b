"""The audit log as a file: JSON lines for programs, CSV for spreadsheets; both can be read back without a loss."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any, TextIO

from learning.audit import Anchor, AuditError, Chain, Verdict
from learning.model import AuditRow

COLUMNS = tuple(field.name for field in fields(AuditRow))
# What a spreadsheet may run as a formula (OWASP, CSV injection), also behind blanks, and the sign that defuses it.
FORMULA = re.compile(r"\s*[=+\-@|%＝＋－＠]|[\s']")
SAFE_FOR_PROGRAMS = frozenset({"seq", "at", "evidence_hash", "previous_hash", "row_hash"})  # digits and hex


class Format(str, Enum):
    """How the log is written."""

    JSONL = "jsonl"
    CSV = "csv"


def write_rows(rows: Iterable[AuditRow], out: TextIO, format: Format, with_header: bool = True) -> int:
    r"""Write rows one at a time; return how many there were.

    In CSV a text that a spreadsheet might run gets an apostrophe in front, and so does one that begins with an
    apostrophe; NUL, which CSV cannot hold, is `\0` and a backslash two. Reading takes all of it away again.

    Args:
        rows: what is written.
        out: a file opened with `newline=""`.
        format: how.
        with_header: whether CSV begins with the names of its columns; a further piece of a file does not.

    """
    count = 0
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    if format is Format.CSV and with_header:
        writer.writerow(COLUMNS)
    for row in rows:
        if format is Format.CSV:
            writer.writerow([_cell(name, value) for name, value in _plain(row).items()])
        else:
            out.write(json.dumps(_plain(row), ensure_ascii=False) + "\n")
        count += 1
    return count


def read_rows(file: TextIO, name: str) -> Iterator[AuditRow]:
    """Yield the rows of a file that `write_rows` wrote; which of the two formats it has shows in its first character.

    Args:
        file: opened with `newline=""`.
        name: what to call it in an error.

    Raises:
        AuditError: it is no such file, or a line in it is none of its lines.

    """
    first = file.read(1)
    file.seek(0)
    lines = _csv_records(file, name) if first == '"' or first == "s" else _json_records(file, name)
    for number, record in lines:
        try:
            yield _to_row(record)
        except (TypeError, ValueError) as error:
            raise _unusable(name, number, str(error)) from error


def verify_file(path: Path, anchors: Sequence[Anchor] = ()) -> Verdict:
    """Walk along an exported log; what is missing at its end, only an anchor can tell.

    Raises:
        AuditError: it cannot be read.

    """
    chain = Chain(anchors)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in read_rows(file, str(path)):
                chain.add(row)
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise AuditError(f"cannot be read ({cause})", str(path), "name a file that `audit export` wrote") from error
    return chain.end()


def write_file(path: Path, write: Callable[[TextIO], int]) -> int:
    """Write a file whole or not at all: half a log would look like one that was cut off.

    Raises:
        AuditError: it cannot be written.

    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as out:
            count = write(out)
        part.replace(path)
    except OSError as error:
        raise AuditError(f"cannot be written ({error.strerror})", str(path), "name another file") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _plain(row: AuditRow) -> dict[str, Any]:
    return {**vars(row), "at": row.at.astimezone(timezone.utc).isoformat()}


def _cell(name: str, value: Any) -> str:
    if name in SAFE_FOR_PROGRAMS:
        return str(value)
    text = str(value)
    if "\\" in text or "\0" in text:
        text = text.replace("\\", "\\\\").replace("\0", "\\0")
    return f"'{text}" if FORMULA.match(text) else text


def _text_of(cell: str) -> str:
    text = cell[1:] if cell.startswith("'") else cell
    return re.sub(r"\\(.)", lambda found: {"0": "\0"}.get(found[1], found[1]), text)


def _csv_records(file: TextIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(sys.maxsize)  # a reason may be long
    reader = csv.reader(file, strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise _unusable(name, 1, f"its columns are not {', '.join(COLUMNS)}")
        for cells in reader:
            if len(cells) != len(COLUMNS):
                raise _unusable(name, reader.line_num, f"it has {len(cells)} cells")
            record: dict[str, Any] = dict(zip(COLUMNS, cells, strict=True))
            for column in COLUMNS:
                if column not in SAFE_FOR_PROGRAMS:
                    record[column] = _text_of(record[column])
            if not (record["seq"].isascii() and record["seq"].isdigit()):
                raise _unusable(name, reader.line_num, "its number is none")
            yield reader.line_num, {**record, "seq": int(record["seq"])}
    except csv.Error as error:
        raise _unusable(name, reader.line_num, str(error)) from error


def _json_records(file: TextIO, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(file, start=1):
        try:
            record = json.loads(line, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise _unusable(name, number, str(error)) from error
        if not isinstance(record, dict) or set(record) != set(COLUMNS):
            raise _unusable(name, number, f"it does not have the fields {', '.join(COLUMNS)}")
        yield number, record


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that stands there twice: people would read the one, and the other would be checked."""
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a field stands there twice")
    return dict(pairs)


def _to_row(record: Mapping[str, Any]) -> AuditRow:
    values = dict(record)
    if type(values["seq"]) is not int or not all(isinstance(values[name], str) for name in COLUMNS[1:]):
        raise TypeError("a field has the wrong type")
    at = datetime.fromisoformat(values["at"])
    if at.tzinfo is None:
        raise ValueError("its time has no zone")
    return AuditRow(**{**values, "at": at})


def _unusable(name: str, number: int, cause: str) -> AuditError:
    return AuditError(f"is no line of an audit log ({cause[:120]})", f"{name}, line {number}", "export it again")
