"""Makes a tracker store as Rasa 3.6 writes it, of any size, in SQLite or PostgreSQL.

What is not understood is drawn from CLINC150 and BANKING77, what is understood from this project's own examples. The
same events come out for the same seed.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa
import yaml

from benchmarks import nlu_data, results
from benchmarks.tracker_rows import Row
from benchmarks.tracker_talk import Talk, Vocabulary
from learning.adapters.project import Project
from learning.settings import load_settings

START = 1_767_600_000.0  # 2026-01-05 08:00 UTC
CHUNK = 20_000  # rows written at a time
ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "datasets"
POSTGRES = "postgresql://postgres@127.0.0.1:5432/test"
PLENTY = 1_000_000  # first new sender of what is added later: no store has so many people

# As Rasa's own SQLTrackerStore makes it.
SQLITE_TABLE = """
CREATE TABLE events (
    id INTEGER NOT NULL, sender_id VARCHAR(255) NOT NULL, type_name VARCHAR(255) NOT NULL, timestamp FLOAT,
    intent_name VARCHAR(255), action_name VARCHAR(255), data TEXT, PRIMARY KEY (id)
)
"""
INDEX = "CREATE INDEX ix_events_sender_id ON events (sender_id)"
NULL = "\\N"  # in what PostgreSQL copies
COLUMNS = "sender_id, type_name, timestamp, intent_name, action_name, data"


def vocabulary(data: Path = DATA) -> Vocabulary:
    """Return what customers say: this project's examples, and other people's questions."""
    known: dict[str, list[str]] = defaultdict(list)
    for example in Project(load_settings(ROOT, {})).examples():
        known[example.label].append(example.text)
    unknown: dict[str, list[str]] = defaultdict(list)
    noise: tuple[str, ...] = ()
    for name in ("clinc150", "banking77"):
        dataset = nlu_data.load(name, data)
        noise += dataset.outside
        for text, intent in dataset.train:
            unknown[f"{name}/{intent}"].append(text)
    domain = yaml.safe_load((ROOT / "domain.yml").read_text("utf-8"))
    answers = {
        name.removeprefix("utter_"): str(texts[0]["text"])
        for name, texts in domain["responses"].items()
        if name.startswith("utter_faq/")
    }
    return Vocabulary(known, unknown, noise, answers)


def events(talk: Talk, count: int) -> Iterator[list[Row]]:
    """Yield `count` rows in chunks."""
    left = itertools.islice(itertools.chain.from_iterable(talk.rows()), count)
    while chunk := list(itertools.islice(left, CHUNK)):
        yield chunk


def make_sqlite(path: Path, talk: Talk, count: int) -> None:
    """Write a new store of `count` rows to `path`."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(SQLITE_TABLE)
        _add_sqlite(connection, talk, count)
        connection.execute(INDEX)
    connection.close()


def add_sqlite(path: Path, count: int, seed: int) -> None:
    """Add `count` rows: new customers, and some of those that have been here before."""
    with sqlite3.connect(path, isolation_level=None) as connection:
        (latest,) = connection.execute("SELECT timestamp FROM events ORDER BY id DESC LIMIT 1").fetchone()
        _add_sqlite(connection, _later(latest, seed), count)
    connection.close()


def _add_sqlite(connection: sqlite3.Connection, talk: Talk, count: int) -> None:
    for chunk in events(talk, count):
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO events ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", chunk)
        connection.execute("COMMIT")


def make_postgresql(url: str, talk: Talk, count: int) -> None:
    """Write a new store of `count` rows to the database of `url`, in the schema that it names."""
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS events"))
        connection.execute(sa.text(SQLITE_TABLE.replace("id INTEGER", "id SERIAL")))
        _add_postgresql(connection, talk, count)
        connection.execute(sa.text(INDEX))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE events"))
    engine.dispose()


def add_postgresql(url: str, count: int, seed: int) -> None:
    """Add `count` rows: new customers, and some of those that have been here before."""
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        latest = connection.execute(sa.text("SELECT timestamp FROM events ORDER BY id DESC LIMIT 1")).scalar_one()
        _add_postgresql(connection, _later(latest, seed), count)
    engine.dispose()


def _add_postgresql(connection: sa.engine.Connection, talk: Talk, count: int) -> None:
    raw = connection.connection.cursor()
    for chunk in events(talk, count):
        text = io.StringIO("".join(map(_copied, chunk)))
        raw.copy_expert(f"COPY events ({COLUMNS}) FROM STDIN", text)


def _copied(row: Row) -> str:
    sender, kind, at, intent, action, data = row
    escaped = data.replace("\\", "\\\\")
    return f"{sender}\t{kind}\t{at!r}\t{intent or NULL}\t{action or NULL}\t{escaped}\n"


def _later(latest: float, seed: int) -> Talk:
    return Talk(vocabulary(), seed, latest + 1.0, concurrent=5, first_sender=PLENTY)


def new_talk(seed: int = 0, concurrent: int = 50, data: Path = DATA) -> Talk:
    """Return what is said in a new store."""
    return Talk(vocabulary(data), seed, START, concurrent)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make one store and say how fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000, help="rows to write (100000)")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="where the SQLite file goes (/tmp)")
    parser.add_argument("--postgresql", metavar="URL", help="write to this database instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--concurrent", type=int, default=50, help="people who talk at the same time (50)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of clinc150 and banking77")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    talk = new_talk(options.seed, options.concurrent, options.data)
    if options.postgresql:
        make_postgresql(options.postgresql, talk, options.events)
        where = options.postgresql
    else:
        where = options.folder / f"tracker-{options.events}.db"
        make_sqlite(where, talk, options.events)
    seconds = time.perf_counter() - began
    results.say(f"{options.events:,} events in {where} after {seconds:.1f} s ({options.events / seconds:,.0f}/s)")


if __name__ == "__main__":
    main()
