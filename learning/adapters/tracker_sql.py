"""Rasa's SQL tracker store, read once by row id and never written."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from learning.adapters.endpoints import readable_url
from learning.adapters.endpoints import tracker_url as tracker_url  # found where the store is
from learning.errors import TrackerStoreError
from learning.events import LISTEN, SLOTS, read_event, read_object
from learning.model import Event, EventBatch

logger = logging.getLogger(__name__)

COLUMNS = ("id", "sender_id", "type_name", "timestamp", "action_name", "data")
OVERLAP = 1000  # rows re-read on servers whose ids may be committed out of order
CHUNK = 20_000  # rows asked for at a time, about 20 MB
ROWS_PER_QUERY = 400  # SQLite's parameter limit is 999 in old builds

# Rows that nobody reads never leave the database; one without a type is corrupt, and is said to be.
# `action_name` holds the name of an action, a slot or a form. JSON is fetched only where it is read.
ROW = """
    SELECT id, sender_id, type_name, {time}, action_name, CASE WHEN type_name <> 'action' THEN data END FROM events
"""
RAW = """
    SELECT id, type_name, data FROM events WHERE {sender} AND id >= :first AND id <= :last
    ORDER BY id LIMIT :limit
"""
WANTED = f"""
    (type_name IN ('user', 'bot', 'active_loop', '') OR type_name = 'action' AND action_name <> '{LISTEN}'
    OR type_name = 'slot' AND action_name IN ('{"', '".join(SLOTS)}'))
"""
EXTENT = sa.text("""
    SELECT max(id) AS last_id, count(*) AS found, sum(CASE WHEN id > :known THEN 1 ELSE 0 END) AS fresh
    FROM (SELECT id FROM events WHERE id > :after ORDER BY id LIMIT :size) AS chunk
""")
BETWEEN = f"{ROW} WHERE id > :after AND id <= :last AND {WANTED} ORDER BY id"
TAIL = f"{ROW} WHERE {{sender}} AND id >= :first AND id < :before AND {WANTED} ORDER BY id LIMIT :limit"
LAST_SEEN = """
    SELECT intent_name, COUNT(*) AS messages, MAX({time}) AS last_at FROM events
    WHERE type_name = 'user' AND intent_name IS NOT NULL GROUP BY intent_name
"""


@dataclass(frozen=True)
class Dialect:
    """What differs from database to database: how a row's time is read, and that a sender is exactly that one."""

    time: str = "timestamp"
    number: str = "CAST(timestamp AS FLOAT)"  # in SQLite a column may hold a text
    sender: str = "sender_id = :sender"
    exact_sender: str = "sender_id"  # as something of which two are equal only where they are the same

    def query(self, template: str) -> Any:
        """Return a query with these parts in it."""
        parts = {"time": self.time, "sender": self.sender, "exact_sender": self.exact_sender}
        return sa.text(template.format(**parts))


# MySQL's FLOAT has four bytes: a time of today comes back within two minutes of what it was. The event itself knows
# it to the microsecond. And to MySQL, unless told otherwise, Ann and ann are the same.
_MYSQL_TIME = "COALESCE(CASE WHEN JSON_VALID(data) THEN JSON_EXTRACT(data, '$.timestamp') END, timestamp) + 0.0"
_MYSQL_SENDER = "CAST(CONVERT(sender_id USING utf8mb4) AS BINARY)"
MYSQL = Dialect(
    time=_MYSQL_TIME,
    number=_MYSQL_TIME,
    sender=f"sender_id = :sender AND {_MYSQL_SENDER} = CAST(:sender AS BINARY)",
    exact_sender=_MYSQL_SENDER,
)
DIALECTS = {"sqlite": Dialect(), "postgresql": Dialect(), "mysql": MYSQL, "mariadb": MYSQL}
CONNECT_SECONDS = 10  # that a server is waited for


class SqlTrackerEvents:
    """Reads events in row order; a row that cannot be read is reported and skipped.

    Raises:
        TrackerStoreError: the store is missing, or its `events` table is not Rasa's.

    """

    def __init__(self, url: str) -> None:
        self._item = _without_password(url)
        try:
            parsed = readable_url(sa.engine.make_url(url))
            self._is_sqlite = parsed.get_backend_name() == "sqlite"
            self._dialect = self._known(parsed.get_backend_name())
            self._engine = self._open(parsed)
        except (ArgumentError, ImportError, ValueError) as error:
            # SQLAlchemy repeats an address that it cannot read, with the password.
            raise TrackerStoreError(
                f"is no database that can be opened ({type(error).__name__})",
                f"tracker store {self._item}",
                "correct tracker_store in endpoints.yml",
            ) from error
        dialect: Any = self._engine.dialect
        self._driver_error = dialect.dbapi.Error
        self._between, self._tail = (self._dialect.query(query).compile(dialect=dialect) for query in (BETWEEN, TAIL))
        self._check_schema()

    def _known(self, backend: str) -> Dialect:
        if backend not in DIALECTS:
            raise TrackerStoreError(
                f"is on {backend}, which cannot be read here",
                f"tracker store {self._item}",
                "use SQLite, PostgreSQL, MySQL or MariaDB",
            )
        return DIALECTS[backend]

    def _open(self, url: sa.engine.URL) -> sa.engine.Engine:
        if self._is_sqlite:
            file = Path(url.database or "")
            if not file.is_file():
                # Opening would create an empty file, and hide the mistake.
                raise TrackerStoreError(
                    "does not exist",
                    f"tracker store {file}",
                    "talk to the bot once, or correct tracker_store in endpoints.yml",
                )
            # Quoted, since a folder's name may hold what means something in a URI.
            read_only = {"mode": "ro", "uri": "true"}
            url = sa.engine.URL.create("sqlite", database=f"file:{quote(str(file))}", query=read_only)
            engine = sa.create_engine(url, future=True)
            sa.event.listen(engine, "connect", _keep_undecodable)
            return engine
        waits = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
        return sa.create_engine(url, future=True, pool_pre_ping=True, connect_args=waits)

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        """Yield what lies behind `after_id`, with what is read of each sender and which rows are corrupt.

        The database is asked for `CHUNK` rows at a time and nothing is open in between: a bot that writes to the
        same SQLite file never waits for mining.
        """
        known = self._known_position(after_id)
        restarted = known < after_id
        position = known if self._is_sqlite else max(0, known - OVERLAP)
        while True:
            rows: dict[str, list[Event]] = {}
            corrupt: list[int] = []
            first, fresh = position, 0
            for left in range(size, 0, -CHUNK):
                asked = min(left, CHUNK)
                with self._reading() as connection:
                    extent = connection.execute(EXTENT, {"after": position, "size": asked, "known": known}).one()
                    if extent.last_id:
                        between = {"after": position, "last": extent.last_id}
                        _collect(self._tuples(connection, self._between, between), rows, corrupt)
                position, fresh = extent.last_id or position, fresh + int(extent.fresh or 0)
                if extent.found < asked:
                    break
            if position == first:
                return
            new_corrupt = tuple(row_id for row_id in corrupt if row_id > known)
            for row_id in new_corrupt:
                logger.warning("tracker store: event row %d is corrupt and is skipped", row_id)
            yield EventBatch(max(position, known), fresh, new_corrupt, rows, restarted)
            restarted = False

    def tails(self, starts: Mapping[str, int], before_row: int, limit: int) -> dict[str, list[Event]]:
        """Return up to `limit` events of each sender from its row in `starts` on, those before `before_row`."""
        found: dict[str, list[Event]] = {}
        with self._reading() as connection:
            for sender_id, first in starts.items():
                one = {"sender": sender_id, "first": first, "before": before_row, "limit": limit}
                _collect(self._tuples(connection, self._tail, one), found, [])
        return found

    def senders_at(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the sender of each of `rows` that is still there."""
        query = sa.text("SELECT id, sender_id FROM events WHERE id IN :rows").bindparams(
            sa.bindparam("rows", expanding=True)
        )
        found: dict[int, str] = {}
        for start in range(0, len(rows), ROWS_PER_QUERY):
            found.update(
                (row.id, row.sender_id)
                for row in self._rows(query, {"rows": list(rows[start : start + ROWS_PER_QUERY])})
            )
        return found

    def raw_events(self, sender_id: str, first: int, last: int, limit: int) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Return up to `limit` rows of a sender as they are stored: id, type and content; unreadable ones left out."""
        found: list[tuple[int, str, Mapping[str, Any]]] = []
        for row in self._rows(
            self._dialect.query(RAW), {"sender": sender_id, "first": first, "last": last, "limit": limit}
        ):
            try:
                found.append((row.id, str(row.type_name), read_object(row.data)))
            except (ValueError, RecursionError):
                logger.warning("tracker store: event row %d is corrupt and is skipped", row.id)
        return found

    def _known_position(self, after_id: int) -> int:
        """Return `after_id`, or 0 where the store ends before it: then it was emptied or made anew."""
        newest = self._rows(sa.text("SELECT max(id) AS id FROM events"), {})[0].id or 0
        if newest >= after_id:
            return after_id
        logger.warning("tracker store: ends at row %d although %d was mined; reading from its start", newest, after_id)
        return 0

    def intent_last_seen(self) -> dict[str, tuple[int, datetime]]:
        """Return for each intent how many messages had it, and when the last came; one pass over the table."""
        query = sa.text(LAST_SEEN.format(time=self._dialect.number))
        found: dict[str, tuple[int, datetime]] = {}
        for row in self._rows(query, {}):
            try:
                found[row.intent_name] = (row.messages, datetime.fromtimestamp(float(row.last_at), tz=timezone.utc))
            except (ValueError, TypeError, OverflowError, OSError):
                logger.warning("tracker store: an event of intent %s has no usable time", row.intent_name)
        return found

    def _rows(self, query: Any, parameters: dict[str, Any]) -> list[Any]:
        with self._reading(as_text=True) as connection:
            return list(connection.execute(query, parameters))

    def _tuples(self, connection: sa.engine.Connection, query: Any, parameters: Mapping[str, Any]) -> Iterable[Any]:
        """Return rows as the driver makes them; SQLAlchemy's own take twice as long."""
        order = query.positiontup if query.positional else None
        cursor: Any = connection.connection.cursor()
        cursor.execute(str(query), [parameters[name] for name in order] if order else parameters)
        rows: Iterable[Any] = cursor
        return rows

    @contextmanager
    def _reading(self, as_text: bool = False) -> Iterator[sa.engine.Connection]:
        """Give a connection; unless `as_text`, SQLite's texts come as bytes, which spares decoding what is JSON."""
        try:
            with self._engine.connect() as connection:
                if self._is_sqlite and not as_text:
                    raw: Any = connection.connection.dbapi_connection
                    raw.text_factory = bytes
                yield connection
        except (SQLAlchemyError, self._driver_error) as error:
            raise TrackerStoreError(
                f"cannot be read ({_cause(error)})", f"tracker store {self._item}", "check that the database is up"
            ) from error

    def _check_schema(self) -> None:
        try:
            inspector = sa.inspect(self._engine)
            tables = inspector.get_table_names()
            columns = {column["name"] for column in inspector.get_columns("events")} if "events" in tables else set()
        except SQLAlchemyError as error:
            raise TrackerStoreError(
                f"cannot be opened ({_cause(error)})",
                f"tracker store {self._item}",
                "check that it is the database that Rasa writes, and that it is up",
            ) from error
        missing = [column for column in COLUMNS if column not in columns]
        if missing:
            what = f"has no {', '.join(missing)} in its table `events`" if columns else "has no table `events`"
            raise TrackerStoreError(
                what,
                f"tracker store {self._item}",
                "point tracker_store in endpoints.yml at the store that Rasa writes",
            )


def _collect(result: Iterable[Any], rows: dict[str, list[Event]], corrupt: list[int]) -> None:
    """Sort rows in by their sender; note those that are not what Rasa writes."""
    names = _Names({None: ""})
    for row_id, sender, kind, timestamp, name, data in result:
        try:
            sender_id = names[sender]
            if not sender_id:
                raise ValueError("nobody's row")
            event = read_event(row_id, names[kind], timestamp, names[name], data)
        except (ValueError, ArithmeticError, RecursionError):
            corrupt.append(row_id)
            continue
        if event is None:
            continue
        if sender_id in rows:
            rows[sender_id].append(event)
        else:
            rows[sender_id] = [event]


class _Names(dict["str | bytes | None", str]):
    """Names as text, each decoded once; `ValueError` for one that is not UTF-8."""

    def __missing__(self, value: str | bytes | None) -> str:
        name = value.decode("utf-8") if isinstance(value, bytes) else str(value)
        self[value] = name
        return name


def _keep_undecodable(connection: Any, _record: Any) -> None:
    """Make a text that is not UTF-8 come as bytes, so that it spoils its own row and not the whole query."""

    def text(raw: bytes) -> str | bytes:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    connection.text_factory = text


def _without_password(url: str) -> str:
    hidden = re.sub(r"//([^:/@]*):.*@", r"//\1:***@", url, flags=re.DOTALL)  # to the last @: a password may hold one
    return re.sub(r"(?i)([?&][^=&]*(?:password|passwd|secret)[^=&]*=)[^&]*", r"\1***", hidden)


def _cause(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().splitlines()[0]
