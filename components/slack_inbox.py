"""What Slack was told has arrived: kept on disk until it is handled, because Slack does not send it again."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "EVERGREEN_SLACK_INBOX"
DEFAULT = Path("var/slack_inbox.db")
KEPT_S = 24 * 60 * 60  # for which a message is known again; Slack gives up repeating after an hour
BUSY_S = 5.0
SCHEMA = """CREATE TABLE IF NOT EXISTS inbox (
    key TEXT PRIMARY KEY, at REAL NOT NULL, done INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL)"""


@dataclass(frozen=True)
class Received:
    """A message or a pressed button, as the bot will handle it."""

    key: str
    conversation: str
    text: str
    shown: str = ""
    is_choice: bool = False


class Inbox:
    """A small table beside the bot; several processes on one machine may share it.

    A write takes about a millisecond, and comes before the answer to Slack.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Open it, and drop what is too old to matter."""
        self._path = path
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made here, not by SQLite, so that it is never readable by other users.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with self._connect() as connection:
            connection.execute(SCHEMA)
            connection.execute("DELETE FROM inbox WHERE at < ?", (clock() - KEPT_S,))

    def put(self, message: Received) -> bool:
        """Keep a message; false if it has been here before."""
        with self._connect() as connection:
            row = (message.key, self._clock(), json.dumps(asdict(message)))
            made = connection.execute("INSERT OR IGNORE INTO inbox (key, at, message) VALUES (?, ?, ?)", row)
            return made.rowcount == 1

    def done(self, key: str) -> None:
        """Note that a message was handled; its text goes, its key stays for a day."""
        with self._connect() as connection:
            connection.execute("UPDATE inbox SET done = 1, message = '' WHERE key = ?", (key,))

    def left(self) -> list[Received]:
        """Return what was received and never handled, the oldest first."""
        with self._connect() as connection:
            rows = connection.execute(
                "SELECT message FROM inbox WHERE done = 0 AND at >= ? ORDER BY at", (self._clock() - KEPT_S,)
            ).fetchall()
        return [Received(**json.loads(row[0])) for row in rows]

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=BUSY_S)) as connection, connection:
            yield connection
