"""Alerts in the learning database, who was told, and what the rules look at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.database import get_meta, insert, set_meta, upsert
from learning.adapters.facets import SPREAD
from learning.adapters.store_conversations import ConversationTables
from learning.alert_records import Alert, AlertKind, Hour, Opening, Severity
from learning.errors import NotFound, StoreError

SEEN = "alerts:"  # begins the key of what the rules have looked at last
HOUR = 3_600  # seconds
LIST_AGAIN = "look at it again with `python -m learning alerts list`"


class AlertTables(ConversationTables):
    """What is wrong and who knows; each writing method is one transaction."""

    def alerts(self, closed_since: datetime | None = None) -> list[Alert]:
        """Return the open alerts, and those that were closed since a time, the newest first."""
        with self._database.read() as connection:
            return _read(connection, closed_since)

    def alert(self, prefix: str) -> Alert:
        """Return the alert whose id starts with `prefix`.

        Raises:
            NotFound: none does, or more than one.

        """
        table = schema.alerts
        with self._database.read() as connection:
            begins = sa.func.substr(table.c.alert_id, 1, len(prefix)) == prefix
            rows = connection.execute(sa.select(table).where(begins)).all() if prefix else []
        if len(rows) != 1:
            what = f"fits {len(rows)} alerts" if rows else "is no alert"
            raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning alerts list`")
        return _to_alert(rows[0])

    def update_alerts(
        self, decide: Callable[[Sequence[Alert]], Sequence[Alert]], closed_since: datetime, seen: Mapping[str, str]
    ) -> list[Alert]:
        """Write what `decide` makes of the alerts, with what the rules have looked at; return the open ones.

        Args:
            decide: gets the open alerts and those closed since a time; returns those that are new or have changed.
            closed_since: that time.
            seen: what was looked at last, by name.

        """
        with self._database.write() as connection:
            for alert in decide(_read(connection, closed_since)):
                upsert(connection, schema.alerts, "alert_id", _row(alert))
            for name, value in seen.items():
                set_meta(connection, f"{SEEN}{name}", value)
            return _read(connection, None)

    def change_alert(self, before: Alert, after: Alert, what: str, who: str, at: datetime) -> None:
        """Write what a person wants of an alert, with its row in the audit log.

        Raises:
            StoreError: the alert is not as the person saw it.

        """
        table = schema.alerts
        with self._database.write() as connection:
            row = connection.execute(sa.select(table).where(table.c.alert_id == after.alert_id)).first()
            present = _to_alert(row) if row is not None else None
            # That it was looked at again meanwhile changes nothing for the person.
            if present is None or (present.is_open, present.snoozed_until) != (before.is_open, before.snoozed_until):
                raise StoreError("is not as it was seen", f"alert {before.alert_id}", LIST_AGAIN)
            asked = ("closed_at", "closed_by", "armed", "snoozed_until", "snoozed_by", "reason", "closing_told")
            changed = replace(present, **{name: getattr(after, name) for name in asked})
            upsert(connection, table, "alert_id", _row(changed))
            until = after.snoozed_until.isoformat(timespec="minutes") if after.snoozed_until else ""
            evidence = content_hash(after.kind.value, after.subject, until)
            state = "closed" if after.closed_at else f"until {until[:16]}"
            append_row(connection, at, who, what, after.alert_id, "open", state, after.reason, evidence)

    def alerts_seen(self, name: str) -> str:
        """Return what the rules have looked at last, empty if nothing."""
        with self._database.read() as connection:
            return get_meta(connection, f"{SEEN}{name}") or ""

    def told(self, key: str) -> set[str]:
        """Return the keys of the targets that got a notice."""
        table = schema.notices
        with self._database.read() as connection:
            return set(connection.execute(sa.select(table.c.target).where(table.c.key == key)).scalars())

    def note_told(self, key: str, targets: Sequence[str], at: datetime) -> None:
        """Note which targets got a notice."""
        table = schema.notices
        with self._database.write() as connection:
            known = set(connection.execute(sa.select(table.c.target).where(table.c.key == key)).scalars())
            rows = [
                {"key": key, "target": target, "at": at} for target in dict.fromkeys(targets) if target not in known
            ]
            insert(connection, table, rows)

    def notices_between(self, prefix: str, since: datetime, until: datetime) -> int:
        """Return how many notices whose key begins so went out from `since` until just before `until`."""
        table = schema.notices
        within = (table.c.at >= since, table.c.at < until, table.c.key.startswith(prefix, autoescape=True))
        query = sa.select(sa.func.count(sa.distinct(table.c.key))).where(*within)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def hours(self, since: datetime, until: datetime) -> list[Hour]:
        """Return what the conversations of each hour add up to, those with any, in order; `until` is excluded."""
        table = schema.conversations
        # A place begins with the second of the last message: its hour is a division.
        hour: Any = (table.c.place / (HOUR << SPREAD)).label("hour")
        sure = table.c.lowest_confidence
        query = (
            sa.select(
                hour,
                sa.func.count().label("conversations"),
                _count(table.c.fallbacks > 0).label("fallbacks"),
                _count(table.c.service_failures > 0).label("failures"),
                sa.func.coalesce(sa.func.sum(sure), 0.0).label("sure"),
                sa.func.count(sure).label("sure_of"),
                sa.func.coalesce(sa.func.sum(sure * sure), 0.0).label("sure_squares"),
            )
            .where(table.c.place >= _place(since), table.c.place < _place(until))
            .group_by(sa.text("hour"))
            .order_by(sa.text("hour"))
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [Hour(datetime.fromtimestamp(row.hour * HOUR, timezone.utc), *row[1:]) for row in rows]

    def openings(self, since: datetime, until: datetime, per_day: int) -> list[Opening]:
        """Return first messages of conversations, redacted, with their day (UTC): each person's first one of a day.

        Of a day with more than `per_day` those with the smallest hashes of the person and the day are taken: a sample
        that does not depend on who wrote first.
        """
        table = schema.conversations
        query = (
            sa.select(table.c.sender, table.c.started, table.c.opening)
            .where(table.c.started >= since, table.c.started < until, table.c.opening != "")
            .order_by(table.c.started, table.c.conversation_id)
        )
        days: dict[date, dict[str, str]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                days.setdefault(row.started.date(), {}).setdefault(row.sender, row.opening)
        found = []
        for day, said in days.items():
            drawn = sorted(said, key=lambda sender: hashlib.sha256(f"{day} {sender}".encode()).digest())
            found += [Opening(day, sender, said[sender]) for sender in drawn[:per_day]]
        return found


def _read(connection: Connection, closed_since: datetime | None) -> list[Alert]:
    table = schema.alerts
    wanted: Any = table.c.closed_at.is_(None)
    if closed_since is not None:
        wanted = sa.or_(wanted, table.c.closed_at >= closed_since, table.c.armed.is_(False))
    query = sa.select(table).where(wanted).order_by(table.c.opened_at.desc(), table.c.alert_id)
    return [_to_alert(row) for row in connection.execute(query)]


def _row(alert: Alert) -> dict[str, Any]:
    return {**asdict(alert), "kind": alert.kind.value, "severity": alert.severity.value}


def _to_alert(row: Any) -> Alert:
    return Alert(**{**row._mapping, "kind": AlertKind(row.kind), "severity": Severity(row.severity)})


def _count(condition: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _place(at: datetime) -> int:
    return int(at.timestamp()) << SPREAD
