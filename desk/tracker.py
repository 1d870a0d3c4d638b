"""Rasa's SQL tracker store as the desk reads it: by row id, never written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from desk.model import Line, Mark, TrackerRow, Transcript, content_id
from learning.errors import TrackerStoreError
from learning.events import clean_text

HANDOVER_SLOT = "handover"
VERIFIED_SLOT = "verified_customer"  # set by the web chat alone, from a token that the host page has signed
SHOWN_TEXT = "shown_text"  # metadata of the web chat: what the customer saw where a button sent a command
OVERLAP = 1_000  # rows read again on servers whose ids may be committed out of order
MOST_LINES = 1_000  # events of a conversation that are shown
LONGEST_SLOT = 300  # characters
# How the dialogue stands, which says nothing of the customer.
HIDDEN_SLOTS = frozenset(
    {
        HANDOVER_SLOT,
        "task",
        "requested_slot",
        "session_started_metadata",
        "last_feedback",
        "offer",
        "desk_pushed",
        "check",
        "recommended_answer",
    }
)
TOLD = {"pause": "paused", "resume": "resumed", "session_started": "session", "restart": "session"}

NEW_ROWS = sa.text(f"""
    SELECT id, sender_id, type_name, timestamp, CASE WHEN type_name IN ('slot', 'pause') THEN data END AS data
    FROM events
    WHERE id > :after AND id <= :last
    AND (type_name IN ('user', 'pause', 'resume', 'restart', 'session_started')
        OR type_name = 'slot' AND action_name = '{HANDOVER_SLOT}')
    ORDER BY id
""")
EXTENT = sa.text(
    "SELECT max(id) AS last FROM (SELECT id FROM events WHERE id > :after ORDER BY id LIMIT :limit) AS chunk"
)
CONVERSATION = sa.text("""
    SELECT id, type_name, timestamp, data FROM events
    WHERE sender_id = :sender
    AND type_name IN ('user', 'bot', 'slot', 'pause', 'resume', 'restart', 'session_started')
    ORDER BY id DESC LIMIT :limit
""")
ROWS = sa.text("SELECT id, sender_id, timestamp FROM events WHERE id IN :ids").bindparams(
    sa.bindparam("ids", expanding=True)
)
OLDER = sa.text("SELECT max(id) AS id FROM events WHERE id <= :row AND timestamp < :at")
LAST_MESSAGE = sa.text("SELECT max(id) AS id FROM events WHERE sender_id = :sender AND type_name = 'user'")


class SqlTracker:
    """Reads what the desk needs of a tracker store; a row that is not what Rasa writes is left out."""

    def __init__(self, find: Callable[[], str]) -> None:
        self._find = find
        self._opened: tuple[sa.engine.Engine, Path | None] | None = None

    def _open(self) -> tuple[sa.engine.Engine, Path | None]:
        """Return the database, and its file if it is one."""
        if self._opened is None:
            try:
                url = sa.engine.make_url(self._find())
                file = Path(url.database or "") if url.get_backend_name() == "sqlite" else None
                if file is not None:
                    read_only = {"mode": "ro", "uri": "true"}
                    url = sa.engine.URL.create("sqlite", database=f"file:{quote(str(file))}", query=read_only)
                self._opened = sa.create_engine(url, future=True, pool_pre_ping=file is None), file
            except (ArgumentError, ImportError) as error:
                raise _unreadable(error) from error
        return self._opened

    def exists(self) -> bool:
        """Whether anybody has talked to the assistant yet."""
        file = self._open()[1]
        return file is None or file.is_file()

    def new_rows(self, after: int, limit: int) -> tuple[Sequence[TrackerRow], int]:
        """Return what lies behind a row and concerns the desk, and up to which row was read."""
        if not self.exists():
            return (), after
        begin = after if self._open()[1] else max(0, after - OVERLAP)
        # On other servers the overlap comes on top, or it would be all that is ever read.
        last = self._rows(EXTENT, {"after": begin, "limit": limit + (after - begin)})[0].last
        if last is None:
            return (), after
        rows = self._rows(NEW_ROWS, {"after": begin, "last": last})
        return [found for row in rows if (found := _tracker_row(row))], max(after, last)

    def mark(self, row_id: int) -> Mark | None:
        """Return what tells a row from another one that is given its id later, None if there is no such row."""
        for row in self._rows(ROWS, {"ids": [row_id]}):
            return Mark(row.id, float(row.timestamp or 0), content_id(row.sender_id, row.timestamp))
        return None

    def senders(self, row_ids: Sequence[int], until: float | None) -> Mapping[int, str]:
        """Return whose these rows are, without those that are gone or younger than a time."""
        rows = self._rows(ROWS, {"ids": list(row_ids)})
        return {
            row.id: clean_text(row.sender_id) for row in rows if until is None or float(row.timestamp or 0) <= until
        }

    def newest_before(self, row_id: int, at: float) -> int:
        """Return the newest row up to this one whose event is older than a time, 0 if there is none."""
        return int(self._rows(OLDER, {"row": row_id, "at": at})[0].id or 0)

    def transcript(self, sender_id: str) -> Transcript:
        """Return a conversation as the desk shows it."""
        if not self.exists():
            return Transcript()
        rows = self._rows(CONVERSATION, {"sender": sender_id, "limit": MOST_LINES + 1})
        lines: list[Line] = []
        slots: dict[str, str] = {}
        verified: tuple[tuple[str, str], ...] = ()
        channel = ""
        for row in reversed(rows[:MOST_LINES]):
            data, at = _data(row.data), _time(row.timestamp)
            if data is None or at is None:
                continue
            if row.type_name == "slot":
                if data.get("name") == VERIFIED_SLOT:
                    verified = tuple(_texts(_part(data, "value")))
                _set_slot(slots, data)
                continue
            if row.type_name in ("session_started", "restart"):
                slots.clear()
                verified = ()
            if row.type_name == "user":
                channel = clean_text(data.get("input_channel")) or channel
            lines += _lines(row.id, row.type_name, at, data)
        return Transcript(tuple(lines), tuple(sorted(slots.items())), verified, channel, len(rows) > MOST_LINES)

    def last_customer_row(self, sender_id: str) -> int:
        """Return the row of the customer's last message, 0 if there is none."""
        if not self.exists():
            return 0
        return int(self._rows(LAST_MESSAGE, {"sender": sender_id})[0].id or 0)

    def _rows(self, query: Any, parameters: Mapping[str, Any]) -> list[Any]:
        try:
            with self._open()[0].connect() as connection:
                return list(connection.execute(query, parameters))
        except SQLAlchemyError as error:
            raise _unreadable(error) from error


def _unreadable(error: Exception) -> TrackerStoreError:
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return TrackerStoreError(
        f"cannot be read ({cause})", "tracker store", "check tracker_store in endpoints.yml and that the database is up"
    )


def _tracker_row(row: Any) -> TrackerRow | None:
    at, sender = _time(row.timestamp), clean_text(row.sender_id)
    if at is None or not sender:
        return None
    if row.type_name == "pause":
        return TrackerRow(row.id, sender, "pause", at, _part(_data(row.data) or {}, "metadata"))
    if row.type_name != "slot":
        return TrackerRow(row.id, sender, row.type_name, at)
    value = (_data(row.data) or {}).get("value")
    # Without a value the slot was only reset.
    return TrackerRow(row.id, sender, HANDOVER_SLOT, at, value) if isinstance(value, dict) else None


def _lines(row_id: int, kind: str, at: datetime, data: Mapping[str, Any]) -> Iterator[Line]:
    metadata = data.get("metadata") if isinstance(data.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    if kind == "user":
        parsed = data.get("parse_data") if isinstance(data.get("parse_data"), dict) else {}
        assert isinstance(parsed, dict)
        text = clean_text(metadata.get(SHOWN_TEXT)) or clean_text(data.get("text"))
        intent = clean_text(_part(parsed, "intent").get("name"))
        mood = _part(parsed, "sentiment").get("frustration")
        frustration = float(mood) if isinstance(mood, (int, float)) else 0.0
        yield Line(row_id, at, "customer", text, intent=intent, frustration=frustration)
    elif kind == "bot":
        agent, desk = clean_text(metadata.get("agent")), clean_text(metadata.get("desk"))
        text = clean_text(data.get("text"))
        buttons = _part(data, "data").get("buttons")
        titles = [clean_text(button.get("title")) for button in buttons or [] if isinstance(button, dict)]
        if titles:
            text = f"{text}\n[{'] ['.join(titles)}]"
        if text:
            who = "agent" if agent else "desk" if desk else "assistant"
            yield Line(row_id, at, who, text, agent, clean_text(metadata.get("desk_id")))
    else:
        yield Line(row_id, at, "event", "", TOLD[kind])


def _set_slot(slots: dict[str, str], data: Mapping[str, Any]) -> None:
    name, value = clean_text(data.get("name")), data.get("value")
    if not name or name in HIDDEN_SLOTS or name.startswith("_"):
        return
    slots.pop(name, None)
    if isinstance(value, (str, int, float, bool)) and value != "":
        slots[name] = clean_text(str(value))[:LONGEST_SLOT]


def _texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, (str, int)) and value != "":
            yield clean_text(name), clean_text(str(value))[:LONGEST_SLOT]


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def _data(raw: str | None) -> Mapping[str, Any] | None:
    try:
        value = json.loads(raw or "")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(str(value)), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
