"""How a running bot reads the published entries: only what is new, and nothing that can keep it waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from learning.wordings import LiveExperiment, read_experiments

MARK = sa.text("SELECT key, value FROM meta WHERE key IN ('overlay_version', 'overlay_epochs')")
PUBLISHED = sa.text("SELECT count(*) FROM entries WHERE state = 'published'")
BLOCK = 500  # rows fetched at a time
LONGEST_WAIT = 2  # seconds until a server that does not answer counts as away
LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Mark:
    """Where a database is: the number of its version, and the random names of the newest versions, the newest first.

    A database that was restored from a backup comes to the same numbers again, but not to the same names. One that
    older code writes has none.
    """

    version: int = 0
    epochs: tuple[str, ...] = ()

    def is_at(self, other: Mark) -> bool:
        """Whether `other` is the same version of the same history."""
        return (self.version, self.epochs[:1]) == (other.version, other.epochs[:1])

    def follows(self, other: Mark) -> bool:
        """Whether this is `other`, or what became of it; where too much has happened since, nobody can tell."""
        is_known = other.epochs[0] in self.epochs if other.epochs else not self.epochs
        return is_known and self.version >= other.version


@dataclass(frozen=True)
class Reading:
    """What one look found: `rows` are those newer than the version that was asked about, all if `is_complete`.

    Rows lack columns that the database does not have yet. `published` is how many entries are published in it.
    `refused` are experiments that cannot run, with the reason.
    """

    mark: Mark
    is_complete: bool
    published: int
    experiments: tuple[LiveExperiment, ...]
    refused: Mapping[str, str]
    rows: Iterator[Mapping[str, Any]]


class OverlayDatabase:
    """The learning database as the bot sees it; made anew in each process.

    Every method raises `SQLAlchemyError` while the database is away.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)

    def mark(self) -> Mark:
        """Return where the database is; at version 0 nothing was ever published."""
        with self._engine.connect() as connection:
            return _mark(connection)

    @contextmanager
    def reading(self, since: int | None) -> Iterator[Reading]:
        """Read what is newer than version `since`; all where that is None, or the database cannot tell."""
        with self._engine.connect() as connection:
            mark = _mark(connection)
            columns = list(connection.execute(sa.text("SELECT * FROM entries LIMIT 0")).keys())
            if "changed" not in columns:
                since = None
            refused: dict[str, str] = {}
            experiments = read_experiments(connection, refused.__setitem__)
            published = int(connection.execute(PUBLISHED).scalar() or 0)
            rows = _rows(connection, _queries(columns, since), since)
            yield Reading(mark, since is None, published, experiments, refused, rows)

    def report(self, broken: Mapping[str, str], known: Mapping[str, str] | None) -> None:
        """Bring the table `quarantine` to what is `broken` (reasons by entry id); `known` is what was written last."""
        gone = sa.text("DELETE FROM quarantine WHERE entry_id = :entry_id")
        new = sa.text("INSERT INTO quarantine (entry_id, reason, at) VALUES (:entry_id, :reason, :at)")
        table = sa.table("quarantine", sa.column("entry_id"), sa.column("reason"))
        with self._engine.begin() as connection:
            if known is None:
                known = {row.entry_id: row.reason for row in connection.execute(sa.select(table))}
            for entry_id in known.keys() - broken.keys():
                connection.execute(gone, {"entry_id": entry_id})
            now = datetime.now(timezone.utc).replace(tzinfo=None)
            for entry_id, reason in broken.items():
                if known.get(entry_id) != reason:
                    connection.execute(gone, {"entry_id": entry_id})
                    connection.execute(new, {"entry_id": entry_id, "reason": reason[:LONGEST_REASON], "at": now})

    def close(self) -> None:
        """Close what is open."""
        self._engine.dispose()

    def leave_to_parent(self) -> None:
        """Forget the connections after a fork: they are the parent's."""
        self._engine.dispose(close=False)  # type: ignore[call-arg]  # the stubs are older


def _mark(connection: Connection) -> Mark:
    found = {row.key: row.value for row in connection.execute(MARK)}
    return Mark(int(found.get("overlay_version") or 0), tuple(str(found.get("overlay_epochs") or "").split()))


def _queries(columns: Sequence[str], since: int | None) -> list[str]:
    if since is not None:
        return ["SELECT * FROM entries WHERE changed > :since"]
    # All columns: a bot that is newer than its database must still read what was published before.
    queries = ["SELECT * FROM entries WHERE state = 'published'"]
    if "held_by" in columns:
        names = "entry_id, kind, label, state, held_by"
        withdrawn = "state = 'withdrawn' AND held_by IS NOT NULL"
        queries.append(f"SELECT {names} FROM entries WHERE state = 'absorbed' OR ({withdrawn})")
    return queries


def _rows(connection: Connection, queries: Sequence[str], since: int | None) -> Iterator[Mapping[str, Any]]:
    streaming = connection.execution_options(stream_results=True)
    for query in queries:
        parameters = {} if since is None else {"since": since}
        for row in streaming.execute(sa.text(query), parameters).yield_per(BLOCK):
            yield dict(row._mapping)


def _engine(url: str) -> Engine:
    """Return an engine that gives up soon: what is live goes on meanwhile."""
    parsed = sa.engine.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and ":memory:" not in parsed.database and not parsed.database.startswith("file:"):
            # A database that is away must not be made anew, empty.
            parsed = parsed.set(database=f"file:{quote(parsed.database)}").update_query_dict(
                {"mode": "rw", "uri": "true"}
            )
        engine = sa.create_engine(parsed, future=True, connect_args={"timeout": LONGEST_WAIT})
        sa.event.listen(engine, "connect", _read_any_text)
        return engine
    waiting = {
        "connect_timeout": str(LONGEST_WAIT),
        "keepalives_idle": "5",  # seconds; a server that has gone without a word is noticed
        "keepalives_interval": "2",
        "keepalives_count": "2",
    }
    if parsed.get_driver_name() == "psycopg2":
        parsed = parsed.update_query_dict({name: value for name, value in waiting.items() if name not in parsed.query})
    return sa.create_engine(parsed, future=True, pool_pre_ping=True, pool_size=1, max_overflow=1)


def _read_any_text(connection: Any, _record: Any) -> None:
    """Let a broken text be one broken entry, not the end of the reading."""
    connection.text_factory = lambda stored: stored.decode(errors="surrogateescape")
