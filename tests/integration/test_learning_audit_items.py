"""The audit log read by what its rows are about: by an index, and exactly what begins so."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from learning.adapters.store import Store
from tests.learning_builders import START, fresh_database

ITEMS = ("ab12", "AB12", "ab%2", "ab_2", "ab", "abc", "b", "a", "ab12/x", "äb", "ab\U0010fffe")


def check(store: Store) -> None:
    for item in ITEMS:
        store.note(START, "ann", "set", item, "", "")
    for begin in (*ITEMS, "", "z", "%", "_"):
        found = [row.item for row in store.read_audit(item=begin)]
        assert found == [item for item in ITEMS if item.startswith(begin)], begin
    assert [row.item for row in store.read_audit(item="ab", newest_first=True, limit=2)] == [ITEMS[-1], "ab12/x"]


def test_what_begins_so_is_found_and_nothing_else(tmp_path: Path) -> None:
    check(Store(fresh_database(tmp_path / "learning.db")))


@pytest.mark.service
def test_what_begins_so_is_found_on_postgresql(postgres_url: str) -> None:
    check(Store(postgres_url))


def test_it_is_read_by_the_index(tmp_path: Path) -> None:
    store = Store(fresh_database(tmp_path / "learning.db"))
    asked: list[tuple[str, tuple[object, ...]]] = []

    def note(_c: object, _u: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        asked.append((statement, parameters))

    sa.event.listen(store._database._engine, "before_cursor_execute", note)
    list(store.read_audit(item="ab12"))
    statement, parameters = next(one for one in asked if "FROM audit" in one[0])
    with store._database.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    assert any("ix_audit_item" in row[3] for row in plan), plan
