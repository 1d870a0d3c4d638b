"""Settings that people have set in the hub, and notes in the audit log of what else they changed there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import Database, get_meta, set_meta

SETTING = "setting:"  # begins the key of a setting in the table `meta`
PATIENCE = 5  # seconds until a server that does not answer counts as away
LONGEST = 32  # characters of the audit log's columns `before` and `after`; the reason has the whole


class SettingTables:
    """What is set in the hub; each writing method is one transaction with its row in the audit log."""

    _database: Database

    def setting_overrides(self) -> dict[str, str]:
        """Return what was set in the hub by the name of the setting, as JSON."""
        with self._database.read() as connection:
            return _overrides(connection)

    def set_override(
        self, key: str, value: str | None, seen: str | None, who: str, at: datetime, told: tuple[str, str]
    ) -> bool:
        """Set a setting, or take back what was set (None); return whether it was as the person had `seen` it.

        `told` is how the audit log tells of the value before and after.
        """
        with self._database.write() as connection:
            if (get_meta(connection, f"{SETTING}{key}") or None) != seen:
                return False
            if value is None:
                connection.execute(sa.delete(schema.meta).where(schema.meta.c.key == f"{SETTING}{key}"))
            else:
                set_meta(connection, f"{SETTING}{key}", value)
            _note(connection, at, who, "setting", key, *told)
        return True

    def note(self, at: datetime, who: str, what: str, item: str, before: str, after: str) -> None:
        """Note in the audit log what a person changed that the learning database does not hold."""
        with self._database.write() as connection:
            _note(connection, at, who, what, item, before, after)


def read_overrides(url: str) -> Mapping[str, str]:
    """Return what was set in the hub, from a database that may not be there yet or be of an older version.

    Nothing is made or migrated: that is for whoever works with the database.
    """
    try:
        parsed = sa.engine.make_url(url)
        is_file = parsed.get_backend_name() == "sqlite" and parsed.database
        if is_file and not _exists(str(parsed.database)):
            return {}
        patience = {} if parsed.get_backend_name() == "sqlite" else {"connect_timeout": PATIENCE}
        engine = sa.create_engine(parsed, future=True, connect_args=patience)
        try:
            with engine.connect() as connection:
                return _overrides(connection) if sa.inspect(connection).has_table("meta") else {}
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError):
        return {}  # the store says what is wrong with it once it is used


def _overrides(connection: sa.engine.Connection) -> dict[str, str]:
    columns = schema.meta.c.key, schema.meta.c.value
    rows = connection.execute(sa.select(*columns).where(schema.meta.c.key.startswith(SETTING, autoescape=True)))
    return {key.removeprefix(SETTING): value for key, value in rows}


def _note(
    connection: sa.engine.Connection, at: datetime, who: str, what: str, item: str, before: str, after: str
) -> None:
    is_long = len(before) > LONGEST or len(after) > LONGEST
    reason = f"from {before or 'nothing'} to {after or 'nothing'}" if is_long else ""
    evidence = content_hash(what, item, before, after)
    append_row(connection, at, who, what, item, _short(before), _short(after), reason, evidence)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _exists(path: str) -> bool:
    return path.startswith("file:") or Path(path).exists()
