"""Rasa's SQL tracker store, read by row id and never written."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import sqlalchemy as sa
import yaml
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from learning.errors import ProjectError, TrackerStoreError
from learning.model import EventBatch, RawEvent

logger = logging.getLogger(__name__)

COLUMNS = ("id", "sender_id", "type_name", "timestamp", "data")
OVERLAP = 1000  # rows re-read on servers whose ids may be committed out of order
SENDERS_PER_QUERY = 400  # SQLite's parameter limit is 999 in old builds
NEEDED_KINDS = ("user", "bot", "action", "slot")


def tracker_url(endpoints: Path, root: Path) -> str:
    """Return the SQLAlchemy URL of the tracker store that `endpoints.yml` names.

    Raises:
        ProjectError: the file or its `tracker_store` is missing, or the store is not an SQL one.

    """
    try:
        content = yaml.safe_load(endpoints.read_text("utf-8")) or {}
    except FileNotFoundError as error:
        raise ProjectError("does not exist", str(endpoints), "run this in the Rasa project's folder") from error
    except OSError as error:
        raise ProjectError(f"cannot be read ({error.strerror})", str(endpoints), "check the file's rights") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectError("is not valid YAML", str(endpoints), "correct it") from error
    store = content.get("tracker_store") if isinstance(content, dict) else None
    if not isinstance(store, dict):
        raise ProjectError(
            "names no tracker_store, so that Rasa forgets conversations when it stops",
            str(endpoints),
            "add `tracker_store: {type: SQL, dialect: sqlite, db: var/tracker.db}`",
        )
    store = {key: _from_environment(value, endpoints) for key, value in store.items()}
    if str(store.get("type", "")).lower() != "sql":
        raise ProjectError(
            f"has a tracker_store of type {store.get('type')!r}",
            str(endpoints),
            "use `type: SQL`: mining reads SQL only",
        )
    host = str(store.get("url") or store.get("host") or "")
    if "://" in host:
        return host
    dialect = str(store.get("dialect", "sqlite"))
    database = str(store.get("db", "rasa.db"))
    if dialect.startswith("sqlite"):
        return f"sqlite:///{(root / database).resolve()}"
    name, _, port = host.partition(":")  # Rasa takes a port from either place
    port = port or str(store.get("port") or "")
    if port and not port.isdecimal():
        raise ProjectError(f"is {port!r}, not a number", f"{endpoints}: tracker_store: port", "correct it")
    url = sa.engine.URL.create(
        dialect,
        username=store.get("username"),
        password=store.get("password"),
        host=name or None,
        port=int(port) if port else None,
        database=database,
        query=store.get("query") or {},
    )
    return url.render_as_string(hide_password=False)


def _from_environment(value: Any, endpoints: Path) -> Any:
    """Fill in `${NAME}` as Rasa does; a name that is not set is an error, not an empty password."""
    if isinstance(value, dict):
        return {key: _from_environment(item, endpoints) for key, item in value.items()}
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise ProjectError("is not set", f"{endpoints}: ${{{name}}}", "set the environment variable")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", lookup, value)


class SqlTrackerEvents:
    """Reads events in row order; a row that cannot be read is reported and skipped.

    Raises:
        TrackerStoreError: the store is missing, or its `events` table is not Rasa's.

    """

    def __init__(self, url: str) -> None:
        self._item = _without_password(url)
        try:
            parsed = sa.engine.make_url(url)
            self._is_sqlite = parsed.get_backend_name() == "sqlite"
            self._engine = self._open(parsed)
        except (ArgumentError, ImportError) as error:
            raise TrackerStoreError(
                f"is no database that can be opened ({_cause(error)})",
                f"tracker store {self._item}",
                "correct tracker_store in endpoints.yml",
            ) from error
        self._check_schema()

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
        return sa.create_engine(url, future=True, pool_pre_ping=True)

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        """Yield what lies behind `after_id`, with which senders have news and which rows are corrupt."""
        after_id = self._known_position(after_id)
        position = after_id if self._is_sqlite else max(0, after_id - OVERLAP)
        query = sa.text(
            "SELECT id, sender_id, type_name, timestamp, data FROM events WHERE id > :after ORDER BY id LIMIT :size"
        )
        while True:
            rows = self._rows(query, {"after": position, "size": size})
            if not rows:
                return
            decoded = [_decode(row) for row in rows]
            senders = dict.fromkeys(event.sender_id for event in decoded if event)
            corrupt = tuple(
                row.id for row, event in zip(rows, decoded, strict=True) if row.id > after_id and event is None
            )
            for row_id in corrupt:
                logger.warning("tracker store: event row %d is corrupt and is skipped", row_id)
            position = rows[-1].id
            fresh = sum(row.id > after_id for row in rows)
            yield EventBatch(max(position, after_id), tuple(senders), fresh, corrupt)

    def events_of(self, senders: Sequence[str]) -> Iterator[tuple[str, list[RawEvent]]]:
        """Yield each sender with its readable events in row order."""
        query = sa.text(
            "SELECT id, sender_id, type_name, timestamp, data FROM events"
            " WHERE sender_id IN :senders AND type_name IN :kinds ORDER BY sender_id, id"
        ).bindparams(sa.bindparam("senders", expanding=True), sa.bindparam("kinds", expanding=True))
        for start in range(0, len(senders), SENDERS_PER_QUERY):
            chunk = senders[start : start + SENDERS_PER_QUERY]
            found: dict[str, list[RawEvent]] = {}
            for row in self._rows(query, {"senders": list(chunk), "kinds": list(NEEDED_KINDS)}):
                event = _decode(row)
                if event is not None:
                    found.setdefault(event.sender_id, []).append(event)
            yield from found.items()

    def _known_position(self, after_id: int) -> int:
        """Return `after_id`, or 0 where the store ends before it: then it was emptied or made anew."""
        newest = self._rows(sa.text("SELECT max(id) AS id FROM events"), {})[0].id or 0
        if newest >= after_id:
            return after_id
        logger.warning("tracker store: ends at row %d although %d was mined; reading from its start", newest, after_id)
        return 0

    def intent_last_seen(self) -> dict[str, tuple[int, datetime]]:
        """Return for each intent how many messages had it, and when the last came; one pass over the table."""
        query = sa.text(
            "SELECT intent_name, COUNT(*) AS messages, MAX(CAST(timestamp AS FLOAT)) AS last_at FROM events"
            " WHERE type_name = 'user' AND intent_name IS NOT NULL GROUP BY intent_name"
        )
        found: dict[str, tuple[int, datetime]] = {}
        for row in self._rows(query, {}):
            try:
                found[row.intent_name] = (row.messages, datetime.fromtimestamp(row.last_at, tz=timezone.utc))
            except (ValueError, TypeError, OverflowError, OSError):
                logger.warning("tracker store: an event of intent %s has no usable time", row.intent_name)
        return found

    def _rows(self, query: Any, parameters: dict[str, Any]) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query, parameters))
        except SQLAlchemyError as error:
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


def _decode(row: Any) -> RawEvent | None:
    """Return the event, or None where the row is not what Rasa writes."""
    try:
        data = _parse(row.data)
        at = datetime.fromtimestamp(float(row.timestamp), tz=timezone.utc)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    named = all(isinstance(name, str) and name for name in (row.sender_id, row.type_name))
    if not isinstance(data, dict) or not named:
        return None
    return RawEvent(row.id, row.sender_id, row.type_name, at, data)


def _parse(data: Any) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        # Rasa writes what Python's own encoder does: half an emoji, and NaN, are no corrupt rows.
        return json.loads(data)


def _keep_undecodable(connection: Any, _record: Any) -> None:
    """Make a text that is not UTF-8 come as bytes, so that it spoils its own row and not the whole query."""

    def text(raw: bytes) -> str | bytes:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw

    connection.text_factory = text


def _without_password(url: str) -> str:
    return re.sub(r"//([^:/@]+):[^@]*@", r"//\1:***@", url)


def _cause(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return str(cause).strip().splitlines()[0]
