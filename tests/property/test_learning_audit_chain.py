"""Whatever is done to a log, a walk along it tells; what was written to a file is read back as it was."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone

from hypothesis import assume, given
from hypothesis import strategies as st

from learning.audit import GENESIS, Anchor, row_hash, sealed, verify
from learning.audit_files import COLUMNS, FORMULA, Format, read_rows, write_rows
from learning.model import AuditRow

START = datetime(2024, 3, 1, 9, tzinfo=timezone.utc)
# What a database may hold: everything but half an emoji, and often what parts fields, cells and lines.
TEXT = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\x1f\x00\r\n\\'\"=+-@,:")), max_size=8
)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc))
CONTENT = st.tuples(TIMES, *[TEXT] * 6, st.sampled_from(["", "a" * 64]))


@dataclass
class ListLog:
    rows: Sequence[AuditRow]
    head: str | None

    def audit_end(self) -> tuple[int, str | None]:
        return max((row.seq for row in self.rows), default=0), self.head

    def read_audit(self, *, before: int | None = None) -> Iterator[AuditRow]:
        return iter(row for row in self.rows if before is None or row.seq < before)


def a_log(contents: Sequence[tuple[object, ...]], after: Anchor | None = None) -> list[AuditRow]:
    newest, rows = after or Anchor(0, GENESIS), []
    for content in contents:
        rows.append(sealed(newest, *content))  # type: ignore[arg-type]
        newest = Anchor(rows[-1].seq, rows[-1].row_hash)
    return rows


LOGS = st.lists(CONTENT, min_size=1, max_size=6).map(a_log)


def is_whole(rows: Sequence[AuditRow], head: str | None, *anchors: Anchor) -> bool:
    return verify(ListLog(rows, head), anchors).is_whole


def anchor_of(row: AuditRow) -> Anchor:
    return Anchor.parse(str(Anchor(row.seq, row.row_hash)))


@given(LOGS)
def test_a_log_that_nobody_touched_is_whole(rows: list[AuditRow]) -> None:
    verdict = verify(ListLog(rows, rows[-1].row_hash), [anchor_of(row) for row in rows])

    assert (verdict.problems, verdict.rows, verdict.newest) == ((), len(rows), anchor_of(rows[-1]))
    assert is_whole([], None)


@given(LOGS, st.data())
def test_every_altered_field_of_every_row_is_found(rows: list[AuditRow], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from([field.name for field in fields(AuditRow)]))
    old = getattr(rows[place], name)
    new = data.draw(st.integers(-3, 9) if name == "seq" else TIMES if name == "at" else TEXT)
    assume(new != old)
    tampered = [*rows[:place], replace(rows[place], **{name: new}), *rows[place + 1 :]]

    assert not is_whole(sorted(tampered, key=lambda row: row.seq), rows[-1].row_hash)


@given(LOGS, st.data())
def test_text_that_moves_from_one_field_to_the_next_is_found(rows: list[AuditRow], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    names = ["who", "what", "item", "before", "after", "reason", "evidence_hash"]
    joined = "\x1f".join(getattr(rows[place], name) for name in names).split("\x1f")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(joined)), min_size=6, max_size=6)))
    parts = ["\x1f".join(joined[a:b]) for a, b in zip([0, *cuts], [*cuts, len(joined)], strict=True)]
    moved = replace(rows[place], **dict(zip(names, parts, strict=True)))
    assume(moved != rows[place])

    assert not is_whole([*rows[:place], moved, *rows[place + 1 :]], rows[-1].row_hash)


@given(LOGS, st.data())
def test_removed_rows_are_found_wherever_they_stood(rows: list[AuditRow], data: st.DataObject) -> None:
    removed = data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1))

    assert not is_whole([row for place, row in enumerate(rows) if place not in removed], rows[-1].row_hash)


@given(LOGS, st.randoms(use_true_random=False), st.booleans())
def test_rows_in_another_order_are_found(rows: list[AuditRow], random: object, renumbered: bool) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assume(shuffled != rows)
    if renumbered:
        shuffled = [replace(row, seq=place) for place, row in enumerate(shuffled, start=1)]

    assert not is_whole(shuffled, rows[-1].row_hash)


@given(LOGS, CONTENT, st.data())
def test_an_inserted_row_is_found_even_when_it_follows_the_one_before_it(
    rows: list[AuditRow], content: tuple[object, ...], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(rows)))
    (forged,) = a_log([content], anchor_of(rows[place - 1]) if place else None)
    later = [replace(row, seq=row.seq + 1) for row in rows[place:]]

    assert not is_whole([*rows[:place], forged, *later], rows[-1].row_hash)


@given(LOGS, st.lists(CONTENT, max_size=6), st.data())
def test_a_log_that_was_written_anew_with_its_head_is_found_by_an_anchor_alone(
    rows: list[AuditRow], contents: list[tuple[object, ...]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(rows) - 1))
    anew = [*rows[:place], *a_log(contents, anchor_of(rows[place - 1]) if place else None)]
    assume(anew[: len(rows)] != rows)
    kept = data.draw(st.integers(place, len(rows) - 1))
    assume(len(anew) <= kept or anew[kept] != rows[kept])
    head = anew[-1].row_hash if anew else None

    assert is_whole(anew, head)  # nothing inside of the database can tell
    assert not is_whole(anew, head, anchor_of(rows[kept]))


@given(LOGS, st.sampled_from(list(Format)))
def test_what_was_exported_is_read_back_as_it_was(rows: list[AuditRow], format: Format) -> None:
    out = io.StringIO(newline="")
    assert write_rows(rows, out, format) == len(rows)
    out.seek(0)

    assert list(read_rows(out, "file")) == rows
    assert all(row.row_hash == row_hash(row) for row in rows)


@given(LOGS)
def test_no_cell_of_the_csv_begins_like_a_formula(rows: list[AuditRow]) -> None:
    out = io.StringIO(newline="")
    write_rows(rows, out, Format.CSV)
    out.seek(0)
    cells = [cell for cells in csv.reader(out) for cell in cells]

    assert len(cells) == len(COLUMNS) * (len(rows) + 1)
    assert not [cell for cell in cells if FORMULA.match(cell) and not cell.startswith("'")]
