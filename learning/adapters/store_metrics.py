"""Daily figures in the learning database: counted anew for the days on which conversations have changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import chunks, get_meta, insert, set_meta
from learning.adapters.facets import day_places, failure_kinds
from learning.adapters.store_conversations import ConversationTables
from learning.adapters.totals import JOB, add_totals
from learning.metrics_days import AGAIN_DAYS, VERSION, Call, Figures, Talk, add_up
from learning.model import ON, Outcome

COUNTED_AS = "metrics_version"
TOLD = tuple(name for name in Talk._fields if name != "kinds")
AT_ONCE = 31  # days that are counted in one transaction, so that mining never waits long


class MetricTables(ConversationTables):
    """Daily figures, and what they are counted from."""

    def count_days(self, most: int | None = None) -> int:
        """Bring the daily figures up to date, the newest days first; return how many days still wait.

        Counting is idempotent, and a crash in between leaves days marked.

        Args:
            most: so many days that have changed at most, None for all.

        """
        counted = 0
        while most is None or counted < most:
            with self._database.read() as connection:
                is_old = get_meta(connection, COUNTED_AS) != VERSION
                waiting = _newest(connection, 1)
            if not is_old and not waiting:
                return 0
            with self._database.write() as connection:
                if get_meta(connection, COUNTED_AS) != VERSION:
                    _begin_totals(connection)
                    _mark_all(connection)
                    set_meta(connection, COUNTED_AS, VERSION)
                marked = _newest(connection, AT_ONCE if most is None else min(AT_ONCE, most - counted))
                _count(connection, marked)
            counted += len(marked)
        with self._database.read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(schema.metric_dirty)).scalar() or 0)

    def metric_days(self, since: date, until: date, channel: str | None = None) -> list[tuple[date, str, Figures]]:
        """Return the figures of each day from `since` to `until`, both included, by channel, in the order of days."""
        table = schema.metric_days
        query = sa.select(table).where(table.c.day.between(since.isoformat(), until.isoformat()))
        if channel is not None:
            query = query.where(table.c.channel == channel)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.day, table.c.channel)).all()
        return [(date.fromisoformat(row.day), row.channel, Figures.from_json(row.figures)) for row in rows]

    def metric_extent(self) -> tuple[date | None, date | None, tuple[str, ...]]:
        """Return the first and the last day that has conversations, and all channels."""
        table = schema.metric_days
        query = sa.select(sa.func.min(table.c.day).label("first"), sa.func.max(table.c.day).label("last"))
        with self._database.read() as connection:
            row = connection.execute(query).one()
            channels = connection.execute(sa.select(table.c.channel).distinct().order_by(table.c.channel)).scalars()
            first, last = (date.fromisoformat(day) if day else None for day in row)
            return first, last, tuple(channels.all())

    def daily_conversations(self) -> dict[date, int]:
        """Return how many conversations every day has; those that are not counted anew yet are counted here."""
        table, talks = schema.metric_days, schema.conversations
        totals: dict[date, int] = {}
        with self._database.read() as connection:
            waiting = [
                date.fromisoformat(day) for day in connection.execute(sa.select(schema.metric_dirty.c.day)).scalars()
            ]
            for row in connection.execute(sa.select(table.c.day, table.c.figures)):
                day = date.fromisoformat(row.day)
                totals[day] = totals.get(day, 0) + row.figures["counts"].get("conversations", 0)
            for day in waiting:
                first, beyond = day_places(day, day)
                query = sa.select(sa.func.count()).where(talks.c.place >= first, talks.c.place < beyond)
                totals[day] = int(connection.execute(query).scalar() or 0)
        return {day: count for day, count in totals.items() if count}

    def need_counts(self, gap_id: str, entry_id: str, since: date, until: date) -> tuple[int, int, int]:
        """Return how many conversations of these days fail at a gap's need, and of all about it: ended, resolved.

        Those that an entry answered are about it, too.
        """
        turns, told, talks = schema.failed_turns, schema.exposures, schema.conversations
        failed = sa.select(turns.c.conversation_id).where(turns.c.gap_id == gap_id)
        answered = sa.select(told.c.conversation_id).where(told.c.subject == entry_id, told.c.arm == ON)
        first, beyond = day_places(since, until)
        outcome = sa.select(talks.c.conversation_id, talks.c.outcome).where(
            talks.c.place >= first, talks.c.place < beyond
        )
        with self._database.read() as connection:
            failing = connection.execute(outcome.where(talks.c.conversation_id.in_(failed))).all()
            others = connection.execute(outcome.where(talks.c.conversation_id.in_(answered))).all()
        about = {row.conversation_id: row.outcome for row in (*failing, *others)}
        ended = [one for one in about.values() if one != Outcome.OPEN.value]
        return len(failing), len(ended), sum(one == Outcome.RESOLVED.value for one in ended)


def _begin_totals(connection: Connection) -> None:
    """Let the totals begin with what an earlier version has counted."""
    name = schema.metric_totals.c.name
    if connection.execute(sa.select(name).where(~name.startswith(JOB, autoescape=True))).first():
        return
    begun: dict[str, Counter[str]] = {}
    for row in connection.execute(sa.select(schema.metric_days)):
        begun.setdefault(row.channel, Counter()).update(row.figures["counts"])
    for channel, counts in sorted(begun.items()):
        add_totals(connection, channel, counts)


def _newest(connection: Connection, count: int) -> list[date]:
    table = schema.metric_dirty
    query = sa.select(table.c.day).order_by(table.c.day.desc()).limit(count)
    return [date.fromisoformat(day) for day in connection.execute(query).scalars()]


def _mark_all(connection: Connection) -> None:
    table, days = schema.conversations, set[str]()
    for at in connection.execute(sa.select(table.c.last_at).where(table.c.last_at.isnot(None))).scalars():
        days.add(at.date().isoformat())
    days.update(connection.execute(sa.select(schema.metric_days.c.day)).scalars())
    days -= set(connection.execute(sa.select(schema.metric_dirty.c.day)).scalars())
    insert(connection, schema.metric_dirty, [{"day": day} for day in sorted(days)])


def _count(connection: Connection, marked: Sequence[date]) -> None:
    """Count days anew, and those before on which somebody may have left who came back."""
    days = frozenset(day - timedelta(days=back) for day in marked for back in range(AGAIN_DAYS + 1))
    names = [day.isoformat() for day in sorted(days)]
    rows = []
    # Over all these days together: a conversation that goes on after midnight leaves one day and joins another.
    grown: dict[str, Counter[str]] = {}
    for run in _runs(sorted(days)):
        found = add_up(_talks(connection, run), _begins(connection, run), _calls(connection, run))
        for (day, channel), figures in sorted(found.items()):
            rows.append({"day": day.isoformat(), "channel": channel, "figures": figures.to_json()})
            grown.setdefault(channel, Counter()).update(figures.counts)
    table = schema.metric_days
    for chunk in chunks(names):
        for row in connection.execute(sa.select(table).where(table.c.day.in_(chunk))):
            grown.setdefault(row.channel, Counter()).subtract(row.figures["counts"])
        connection.execute(sa.delete(table).where(table.c.day.in_(chunk)))
    insert(connection, table, rows)
    for channel, counts in sorted(grown.items()):
        add_totals(connection, channel, counts)
    for chunk in chunks([day.isoformat() for day in marked]):
        connection.execute(sa.delete(schema.metric_dirty).where(schema.metric_dirty.c.day.in_(chunk)))


def _runs(days: Sequence[date]) -> Iterator[list[date]]:
    """Yield days that follow each other together: what they are counted from is read once."""
    run: list[date] = []
    for day in days:
        if run and day - run[-1] > timedelta(days=1):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def _talks(connection: Connection, days: Sequence[date]) -> list[Talk]:
    table = schema.conversations
    query = sa.select(*(table.c[name] for name in TOLD), table.c.signals).where(*_ended(days))
    return [Talk(*(*row[:-1], tuple(failure_kinds(row._asdict())))) for row in connection.execute(query)]


def _begins(connection: Connection, days: Sequence[date]) -> list[tuple[str, datetime]]:
    """Return sender and start of the conversations that began on those days, or soon enough after them."""
    table = schema.conversations
    begin, end = _midnight(days[0]), _midnight(days[-1] + timedelta(days=AGAIN_DAYS + 1))
    query = sa.select(table.c.sender, table.c.started).where(table.c.started >= begin, table.c.started <= end)
    return [(row.sender, row.started) for row in connection.execute(query)]


def _calls(connection: Connection, days: Sequence[date]) -> list[Call]:
    calls, talks = schema.service_calls, schema.conversations
    query = sa.select(*(calls.c[name] for name in Call._fields))
    joined = query.join(talks, talks.c.conversation_id == calls.c.conversation_id).where(*_ended(days))
    return [Call(*row) for row in connection.execute(joined.order_by(talks.c.place, calls.c.number))]


def _ended(days: Sequence[date]) -> tuple[Any, ...]:
    """Return what holds of the conversations whose last message is on one of these days, which follow each other."""
    table = schema.conversations
    first, beyond = day_places(days[0], days[-1])
    return table.c.place >= first, table.c.place < beyond, table.c.last_at.isnot(None), table.c.started.isnot(None)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=timezone.utc)
