"""The audit log in a real database: what it refuses, how it is read, shown, exported and checked."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from learning import __main__ as command_line
from learning.adapters import store_audit
from learning.adapters.audit_log import HEAD, append_row
from learning.adapters.store import Store
from learning.audit import Anchor, verify
from learning.privacy import PatternRedactor
from tests.learning_builders import START, FakeEncoder, fresh_database, make_project, unguard_audit, upgrade_to


class Result(NamedTuple):
    code: int
    out: str
    error: str


Run = Callable[..., Result]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return fresh_database(tmp_path / "learning.db")
    return str(request.getfixturevalue("postgres_url"))


def fill(store: Store, count: int) -> None:
    """Write rows of ann and a policy about items `item-1`, `item-2`..., a minute after each other."""
    with store._database.write() as connection:
        for number in range(1, count + 1):
            at = START + timedelta(minutes=number)
            who, what = ("ann", "approve") if number % 2 else ("policy:moderate", "publish")
            append_row(connection, at, who, what, f"item-{number}", "pending", "approved", f"because {number}", "")


def attack(url: str, *statements: str, guarded: bool = False) -> None:
    engine = sa.create_engine(url, future=True)
    try:
        with engine.begin() as connection:
            if not guarded:
                unguard_audit(connection)
            for statement in statements:
                connection.execute(sa.text(statement))
    finally:
        engine.dispose()


COPY = "SELECT {seq}, at, who, what, item, before, after, reason, evidence_hash, {previous}, row_hash FROM audit"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'eve' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 3",
        "DELETE FROM audit",
        f"INSERT INTO audit {COPY.format(seq=9, previous='row_hash')} WHERE seq = 3",
        f"INSERT INTO audit {COPY.format(seq=4, previous='previous_hash')} WHERE seq = 3",
    ],
)
def test_the_database_itself_refuses_to_change_the_log(url: str, statement: str) -> None:
    store = Store(url)
    fill(store, 3)
    with pytest.raises(sa.exc.DBAPIError, match="the audit log is append-only"):
        attack(url, statement, guarded=True)

    fill(store, 1)
    assert (len(store.audit_rows()), store.verify_audit()) == (4, [])


def test_no_row_is_replaced_on_sqlite(tmp_path: Path) -> None:
    url = fresh_database(tmp_path / "learning.db")
    store = Store(url)
    fill(store, 3)
    with pytest.raises(sa.exc.DBAPIError, match="the audit log is append-only"):
        attack(url, f"REPLACE INTO audit {COPY.format(seq=2, previous='previous_hash')} WHERE seq = 3", guarded=True)

    assert store.verify_audit() == []


def test_a_row_of_another_hand_stops_no_writing_and_stays_reported(url: str) -> None:
    store = Store(url)
    fill(store, 3)
    made_up = COPY.format(seq=4, previous="row_hash").removesuffix("row_hash FROM audit") + f"'{'e' * 64}' FROM audit"
    attack(url, f"INSERT INTO audit {made_up} WHERE seq = 3", guarded=True)
    fill(store, 2)

    assert len(store.audit_rows()) == 6
    assert store.verify_audit() == [
        "row 4 was altered",
        "rows are missing at the end, or were added there by another hand",
    ]


@pytest.mark.service
def test_a_temporary_table_does_not_stand_in_for_the_log(postgres_url: str) -> None:
    store = Store(postgres_url)
    fill(store, 3)
    engine = sa.create_engine(postgres_url, future=True)
    try:
        with engine.begin() as connection:
            schema = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
            real = f'FROM "{schema}".audit'
            connection.execute(sa.text(f"CREATE TEMP TABLE audit AS SELECT * {real}"))
            connection.execute(sa.text(f"UPDATE pg_temp.audit SET row_hash = '{'e' * 64}'"))
            copied = COPY.format(seq=4, previous=f"'{'e' * 64}'").replace("FROM audit", real)
            with pytest.raises(sa.exc.DBAPIError, match="the audit log is append-only"):
                connection.execute(sa.text(f'INSERT INTO "{schema}".audit {copied} WHERE seq = 3'))
    finally:
        engine.dispose()

    assert store.verify_audit() == []


@pytest.mark.service
def test_the_log_is_not_truncated_on_postgresql(postgres_url: str) -> None:
    store = Store(postgres_url)
    fill(store, 3)
    with pytest.raises(sa.exc.DBAPIError, match="the audit log is append-only"):
        attack(postgres_url, "TRUNCATE audit", guarded=True)

    assert store.verify_audit() == []


def test_a_log_from_before_the_guard_goes_on(tmp_path: Path) -> None:
    newer, url = fresh_database(tmp_path / "newer.db"), f"sqlite:///{tmp_path / 'learning.db'}"
    fill(Store(newer), 3)
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        upgrade_to(connection, "0005")
        connection.execute(sa.text(f"ATTACH DATABASE '{tmp_path / 'newer.db'}' AS newer"))
        connection.execute(sa.text("INSERT INTO audit SELECT * FROM newer.audit"))
        connection.execute(
            sa.text("INSERT OR REPLACE INTO meta SELECT * FROM newer.meta WHERE key = :key"), {"key": HEAD}
        )
    engine.dispose()
    store = Store(url)
    fill(store, 1)

    assert (len(store.audit_rows()), store.verify_audit()) == (4, [])
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        attack(url, "DELETE FROM audit", guarded=True)


def test_a_log_is_read_in_chunks_and_by_what_is_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_audit, "CHUNK", 4)
    store = Store(url)
    fill(store, 13)
    asked: list[tuple[dict[str, Any], list[int]]] = [
        ({}, list(range(1, 14))),
        ({"newest_first": True}, list(range(13, 0, -1))),
        ({"newest_first": True, "limit": 5}, [13, 12, 11, 10, 9]),
        ({"limit": 4}, [1, 2, 3, 4]),
        ({"before": 6, "newest_first": True}, [5, 4, 3, 2, 1]),
        ({"item": "item-1"}, [1, 10, 11, 12, 13]),
        ({"item": "item_"}, []),
        ({"who": "ann", "newest_first": True}, [13, 11, 9, 7, 5, 3, 1]),
        ({"what": "publish", "item": "item-1"}, [10, 12]),
        ({"since": START + timedelta(minutes=5), "until": START + timedelta(minutes=7)}, [5, 6]),
        ({"who": "nobody"}, []),
    ]

    assert [[row.seq for row in store.read_audit(**how)] for how, _ in asked] == [numbers for _, numbers in asked]
    assert verify(store).rows == 13


def test_rows_that_come_in_while_the_log_is_checked_are_no_alarm(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_audit, "CHUNK", 2)
    store, other = Store(url), Store(url)
    fill(store, 5)

    class Busy(Store):
        def read_audit(self, **how: Any) -> Any:
            for row in super().read_audit(**how):
                fill(other, 1)
                yield row

    assert verify(Busy(url)).problems == ()
    assert verify(store).rows == 10


@pytest.mark.parametrize("value", ["'yesterday'", "NULL", "x'ff00'", "12"])
@pytest.mark.parametrize("column", ["at", "who", "reason", "row_hash"])
def test_what_belongs_into_no_column_is_told_and_does_not_end_the_walk(tmp_path: Path, column: str, value: str) -> None:
    url = fresh_database(tmp_path / "learning.db")
    store = Store(url)
    fill(store, 3)
    # SQLite takes anything, if only the table is made anew without its constraints.
    attack(
        url,
        "CREATE TABLE loose AS SELECT * FROM audit",
        "DROP TABLE audit",
        "ALTER TABLE loose RENAME TO audit",
        f"UPDATE audit SET {column} = {value} WHERE seq = 2",
    )

    assert "row 2 was altered" in store.verify_audit()
    assert not [problem for problem in store.verify_audit() if problem.startswith("row 1 ")]


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_project(tmp_path)
    fresh_database(tmp_path / "var" / "learning.db")
    return tmp_path


@pytest.fixture
def store(root: Path) -> Store:
    return Store(f"sqlite:///{root / 'var' / 'learning.db'}")


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `python -m learning --project root audit ...` in this process."""
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("EVERGREEN_STORE_URL", raising=False)

    def call(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["learning", "--project", str(root), "audit", *arguments])
        with pytest.raises(SystemExit) as caught:
            command_line.run()
        captured = capsys.readouterr()
        code = caught.value.code
        return Result(code if isinstance(code, int) else (0 if code is None else 1), captured.out, captured.err)

    return call


def test_the_newest_rows_are_shown_on_eighty_columns(store: Store, run: Run) -> None:
    assert run("show").out == "No row fits.\n"
    fill(store, 3)
    with store._database.write() as connection:
        long = "[red]a reason[/red] \x1b[31mthat\n" + "goes on " * 30
        append_row(connection, START, "bob", "second reading", "0123456789abcdef", "published", "withdrawn", long, "")
    shown = run("show").out
    lines = shown.splitlines()

    assert lines[0] == "    4  2024-03-01 09:00  second reading 0123456789abcdef  published -> withdrawn"
    assert lines[1].startswith("       bob: [red]a reason[/red] [31mthat goes on")
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line[:5].strip()] == ["4", "3", "2", "1"]
    assert "\x1b" not in shown


def test_rows_are_filtered(store: Store, run: Run) -> None:
    fill(store, 12)

    def numbers(*how: str) -> list[int]:
        return [row["seq"] for row in json.loads(run("show", "--json", *how).out)]

    assert numbers("--limit", "2") == [12, 11]
    assert numbers("--item", "item-1", "--what", "publish") == [12, 10]
    assert numbers("--who", "policy:moderate", "--since", "2024-03-01T09:05", "--until", "2024-03-01T09:09") == [8, 6]
    assert numbers("--since", "2024-03-02") == []
    assert "--limit 4 shows more" in run("show", "--limit", "2").out


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_exported_log_is_checked_by_itself_and_against_the_log(
    root: Path, store: Store, run: Run, format: str
) -> None:
    fill(store, 3)
    file = root / f"log.{format}"
    assert "3 rows are in" in run("export", "--format", format, "--output", str(file)).out
    assert run("export", "--format", format, "--output", "-").out.encode() == file.read_bytes()
    fill(store, 2)
    whole = run("verify", "--file", str(file))
    assert (whole.code, "is whole.\n3 rows, the newest 3:" in whole.out) == (0, True)

    attack(f"sqlite:///{root / 'var' / 'learning.db'}", "DELETE FROM audit WHERE seq > 2")
    broken = run("verify", "--file", str(file))
    assert (broken.code, "the log here: row 3 of the anchor is not there" in broken.out) == (1, True)
    assert run("verify", "--file", str(file), "--alone").code == 0

    file.write_bytes(file.read_bytes().replace(b"because 2", b"because 7"))
    altered = run("verify", "--file", str(file), "--alone")
    assert (altered.code, "row 2 was altered" in altered.out) == (1, True)
    assert not list(root.glob("*.part"))


def test_an_anchor_finds_a_log_that_was_written_anew(root: Path, store: Store, run: Run) -> None:
    assert run("head").out == f"{Anchor(0, '0' * 64)}\n"
    fill(store, 3)
    anchor = run("head").out.strip()
    fill(store, 1)
    assert run("verify", "--anchor", anchor).code == 0
    attack(
        f"sqlite:///{root / 'var' / 'learning.db'}", "DELETE FROM audit", "DELETE FROM meta WHERE key = 'audit_head'"
    )
    with store._database.write() as connection:
        for _ in range(4):
            append_row(connection, START, "eve", "publish", "x", "", "", "", "")

    assert run("verify").code == 0
    found = run("verify", "--anchor", anchor, "--json")
    assert found.code == 1
    assert json.loads(found.out)["problems"] == [
        "row 3 is not the one of the anchor: the log up to it was written anew"
    ]


@pytest.mark.parametrize("anchor", ["", "3", "x:0", "3:abc", f"3:{'g' * 64}", f"²:{'0' * 64}"])
def test_what_is_no_anchor_is_refused(run: Run, anchor: str) -> None:
    refused = run("verify", "--anchor", anchor)
    assert (refused.code, "is no anchor" in refused.error) == (1, True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense\n",
        b'{"seq": 1}\n',
        b"\xff\xfe",
        b'"seq","at"\n"1","x"\n',
        b'{"seq": 1, "seq": 1}\n',
        b"[" * 100_000,
    ],
)
def test_what_is_no_export_is_refused_or_has_no_row(root: Path, run: Run, content: bytes) -> None:
    file = root / "log"
    file.write_bytes(content)
    checked = run("verify", "--file", str(file))
    if content:
        assert checked.code == 1
        assert checked.error.startswith("error: ")
    else:
        assert "It has no row." in checked.out


def test_files_that_cannot_be_reached_are_told(root: Path, run: Run) -> None:
    missing = run("verify", "--file", str(root / "missing"))
    unwritable = run("export", "--output", str(root / "no folder" / "log"))

    assert (missing.code, "cannot be read (No such file or directory)" in missing.error) == (1, True)
    assert (unwritable.code, "cannot be written (No such file or directory)" in unwritable.error) == (1, True)


def test_no_spreadsheet_runs_what_somebody_gave_as_a_reason(root: Path, store: Store, run: Run) -> None:
    with store._database.write() as connection:
        append_row(connection, START, "@bob", "reject", "item", "", "", '=HYPERLINK("http://evil","x")', "")
    run("export", "--format", "csv", "--output", str(root / "log.csv"))
    with (root / "log.csv").open(newline="", encoding="utf-8") as file:
        (row,) = list(csv.DictReader(file))

    assert (row["who"], row["reason"][:8]) == ("'@bob", "'=HYPERL")
    assert run("verify", "--file", str(root / "log.csv")).code == 0
