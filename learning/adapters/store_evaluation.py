"""What models are measured by beside the project's files, and how those that ran did, in the learning database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import Database, chunks
from learning.adapters.derived_texts import folded
from learning.errors import NotFound
from learning.exams import EvaluationRow, RegressionCase, count_from_plain


class EvaluationTables:
    """The regression set and the evaluations; each writing method is one transaction."""

    _database: Database

    def regression_cases(self) -> list[RegressionCase]:
        """Return the regression set, the oldest case first."""
        table = schema.regression_cases
        query = sa.select(table).where(table.c.dropped_at.is_(None)).order_by(table.c.added_at, table.c.case_id)
        with self._database.read() as connection:
            return [_case(row) for row in connection.execute(query)]

    def dropped_cases(self) -> set[str]:
        """Return the ids of cases that were dropped, which do not come back."""
        table = schema.regression_cases
        query = sa.select(table.c.case_id).where(table.c.dropped_at.is_not(None))
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def add_regression_cases(self, cases: Sequence[RegressionCase]) -> int:
        """Add cases to the regression set; return how many have changed it.

        One that is there already is confirmed by its new item from now on; one that was dropped stays so.
        """
        table = schema.regression_cases
        unique = {case.case_id: case for case in cases}
        with self._database.write() as connection:
            known: dict[str, Any] = {}
            for chunk in chunks(list(unique)):
                known.update((row.case_id, row) for row in connection.execute(_those(chunk)))
            new = [asdict(case) for case_id, case in unique.items() if case_id not in known]
            if new:
                connection.execute(sa.insert(table), new)
            moved = [
                case for case_id, case in unique.items() if case_id in known and _is_elsewhere(case, known[case_id])
            ]
            for case in moved:
                values = {name: value for name, value in asdict(case).items() if name != "case_id"}
                connection.execute(sa.update(table).where(table.c.case_id == case.case_id).values(**values))
        return len(new) + len(moved)

    def drop_regression_case(self, prefix: str, who: str, at: datetime, reason: str) -> RegressionCase:
        """Take a case out for good, with its words and a row in the audit log; return what it was.

        Args:
            prefix: its id, or the first characters of it.
            who: who wants that.
            at: when.
            reason: why.

        Raises:
            NotFound: no case has this id, or several.

        """
        table = schema.regression_cases
        with self._database.write() as connection:
            fits = sa.and_(table.c.case_id.startswith(prefix, autoescape=True), table.c.dropped_at.is_(None))
            rows = connection.execute(sa.select(table).where(fits).limit(2)).all() if prefix else []
            if len(rows) != 1:
                what = "fits more than one" if rows else "is none of them"
                raise NotFound(what, f"regression case {prefix}", "see `python -m learning evaluate regression list`")
            (row,) = rows
            mine = table.c.case_id == row.case_id
            connection.execute(sa.update(table).where(mine).values(text="", sender="", dropped_at=at))
            append_row(
                connection, at, who, "drop case", row.case_id, row.source, "dropped", reason, content_hash(row.label)
            )
        return _case(row)

    def evaluations(self, limit: int = 30) -> list[EvaluationRow]:
        """Return how the models that ran did when they were measured last, the newest first."""
        table = schema.evaluations
        query = sa.select(table).order_by(table.c.number.desc()).limit(limit)
        with self._database.read() as connection:
            return [_evaluation(row) for row in connection.execute(query)]

    def save_evaluation(self, row: EvaluationRow) -> EvaluationRow:
        """Keep a measurement; return it with its number."""
        values = {name: value for name, value in asdict(row).items() if name != "number"}
        with self._database.write() as connection:
            made = connection.execute(sa.insert(schema.evaluations), values)
            return replace(row, number=int(made.inserted_primary_key[0]))

    def prune_evaluations(self, before: datetime) -> int:
        """Delete measurements from before a time, the newest of all excepted; return how many."""
        table = schema.evaluations
        with self._database.write() as connection:
            newest = connection.execute(sa.select(sa.func.max(table.c.number))).scalar()
            if newest is None:
                return 0
            old = sa.and_(table.c.at < before, table.c.number != newest)
            return int(connection.execute(sa.delete(table).where(old)).rowcount)


def delete_cases(connection: Connection, sender: str, texts: Collection[str]) -> int:
    """Delete the cases of a sender, and those that say what the sender has said (`texts`, folded); return how many.

    What others said, too, comes back with them when the set grows next.
    """
    table = schema.regression_cases
    rows = connection.execute(sa.select(table.c.case_id, table.c.text, table.c.sender)).all()
    gone = [row.case_id for row in rows if row.sender == sender or (row.text and folded(row.text) in texts)]
    for chunk in chunks(gone):
        connection.execute(sa.delete(table).where(table.c.case_id.in_(chunk)))
    return len(gone)


def _those(case_ids: Sequence[str]) -> Any:
    table = schema.regression_cases
    return sa.select(table).where(table.c.case_id.in_(case_ids))


def _is_elsewhere(case: RegressionCase, row: Any) -> bool:
    return row.dropped_at is None and (row.item, row.label) != (case.item, case.label)


def _case(row: Any) -> RegressionCase:
    return RegressionCase(**{name: value for name, value in row._mapping.items() if name != "dropped_at"})


def _evaluation(row: Any) -> EvaluationRow:
    suites = tuple(count_from_plain(one) for one in row.suites)
    return EvaluationRow(**{**row._mapping, "suites": suites})
