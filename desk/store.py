"""Hand-overs, outgoing messages and who is there, in one database; every change is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from desk.database import Database, get_meta, row_of, set_meta
from desk.errors import Taken
from desk.model import (
    OPEN_STATES,
    Delivery,
    Handover,
    Outgoing,
    Reason,
    State,
    Step,
)
from desk.schema import TABLES, handovers, messages, meta, steps
from desk.store_messages import MessageTable, queue_message
from desk.store_notes import MIRRORED, TYPING, NoteTables
from learning.errors import NotFound
from learning.model import sender_key

ANNOUNCED = "announced:"  # and the pseudonym of a person, until when the place they were told is kept
FORGOTTEN = "forgotten:"  # and the pseudonym of a person, until when nothing of them is taken in again
OPEN = handovers.c.state.in_([state.value for state in OPEN_STATES])
# Not by time, which may be set back: an open one comes after all closed ones, and row ids only grow.
NEWEST: tuple[Any, ...] = (sa.case((OPEN, 0), else_=1), handovers.c.row_id.desc(), handovers.c.asked_at.desc())
MOST_CLOSED = 50  # closed hand-overs that a page shows


class Store(MessageTable, NoteTables):
    """What the desk remembers."""

    def __init__(self, url: str) -> None:
        self._db = Database(url)

    def handover(self, handover_id: str) -> Handover:
        """Return a hand-over.

        Raises:
            NotFound: there is none of that id.

        """
        with self._db.read() as connection:
            return _get(connection, handover_id)

    def open_handovers(self) -> list[Handover]:
        """Return what waits and what is being answered, the longest waiting first."""
        query = sa.select(handovers).where(OPEN).order_by(handovers.c.asked_at, handovers.c.handover_id)
        return self._handovers(query)

    def closed_handovers(self) -> list[Handover]:
        """Return those that were closed last."""
        return self._handovers(
            sa.select(handovers).where(~OPEN).order_by(handovers.c.closed_at.desc()).limit(MOST_CLOSED)
        )

    def of_sender(self, sender_id: str) -> list[Handover]:
        """Return all hand-overs of a conversation, the newest first."""
        query = sa.select(handovers).where(handovers.c.sender_id == sender_id)
        return self._handovers(query.order_by(*NEWEST))

    def newest_of(self, sender_id: str) -> Handover | None:
        """Return the newest hand-over of a conversation, None if it never had one."""
        with self._db.read() as connection:
            return _newest_of(connection, sender_id)

    def add(self, handover: Handover, step: Step, key: str) -> bool:
        """Add a hand-over unless its event `key` was read before; whether it was added.

        A conversation has one open hand-over: asking again while one is open only moves it on.
        """
        with self._db.write() as connection:
            if connection.execute(sa.select(steps.c.step_id).where(steps.c.key == key)).first():
                return False
            forgotten = get_meta(connection, FORGOTTEN + sender_key(handover.sender_id))
            if forgotten and step.at < datetime.fromisoformat(forgotten):
                return False
            connection.execute(sa.delete(meta).where(meta.c.key == ANNOUNCED + sender_key(handover.sender_id)))
            present = _open_of(connection, handover.sender_id)
            if present is None:
                connection.execute(sa.insert(handovers), row_of(handover))
            else:
                changed = replace(
                    present,
                    reason=handover.reason,
                    mood=max(present.mood, handover.mood),
                    live=handover.live or (present.live and present.state is State.TAKEN),
                    reference=handover.reference or present.reference,
                    due_at=present.due_at if present.is_overdue(handover.asked_at) else handover.due_at,
                    waiting_since=handover.waiting_since if present.state is State.WAITING else present.waiting_since,
                )
                _put(connection, present, changed)
                connection.execute(
                    sa.update(handovers)
                    .where(handovers.c.handover_id == present.handover_id)
                    .values(read_row=handover.read_row)
                )
            target = present.handover_id if present else handover.handover_id
            connection.execute(sa.insert(steps), {**asdict(step), "handover_id": target, "key": key})
            return True

    def announce(self, sender_id: str, now: datetime, until: datetime) -> int:
        """Keep a place for somebody whose hand-over is still to be read; return how many are before them.

        Of two who ask at the same moment one is first: the place is kept until the hand-over is there.
        """
        own = ANNOUNCED + sender_key(sender_id)
        with self._db.write() as connection:
            kept = connection.execute(sa.select(meta).where(meta.c.key.startswith(ANNOUNCED))).all()
            ended = [row.key for row in kept if datetime.fromisoformat(row.value) <= now]
            connection.execute(sa.delete(meta).where(meta.c.key.in_(ended)))
            waiting = sa.select(sa.func.count()).where(
                handovers.c.state == State.WAITING.value, handovers.c.live, handovers.c.sender_id != sender_id
            )
            ahead = connection.execute(waiting).scalar_one()
            set_meta(connection, own, until.isoformat())
            return int(ahead) + sum(row.key not in (*ended, own) for row in kept)

    def change(self, before: Handover, after: Handover, step: Step | None, *outgoing: Outgoing) -> Handover:
        """Replace a hand-over as it was seen, and queue messages with it.

        Raises:
            Taken: somebody has changed it meanwhile.

        """
        with self._db.write() as connection:
            changed = _put(connection, before, after)
            if step:
                connection.execute(sa.insert(steps), {**asdict(step), "handover_id": after.handover_id, "key": None})
            for message in outgoing:
                queue_message(connection, message)
            return changed

    def took_in(self, sender_id: str, row_id: int, paused: bool | None = None) -> None:
        """Note that an event of a conversation was read, and whether the assistant fell silent or answers again."""
        with self._db.write() as connection:
            newest = _newest_of(connection, sender_id)
            if newest is not None:
                values = {"read_row": row_id} if paused is None else {"read_row": row_id, "paused": paused}
                connection.execute(
                    sa.update(handovers).where(handovers.c.handover_id == newest.handover_id).values(**values)
                )

    def customer_wrote(self, handover_id: str, row_id: int, at: datetime) -> None:
        """Note the customer's newest message in an open hand-over."""
        with self._db.write() as connection:
            connection.execute(
                sa.update(handovers)
                .where(handovers.c.handover_id == handover_id, OPEN)
                .values(customer_row=row_id, customer_at=at, read_row=row_id)
            )

    def read_rows(self) -> dict[str, int]:
        """Return of each conversation that had a hand-over up to which row it was read."""
        query = sa.select(handovers.c.sender_id, sa.func.max(handovers.c.read_row).label("read_row")).group_by(
            handovers.c.sender_id
        )
        with self._db.read() as connection:
            return {row.sender_id: row.read_row for row in connection.execute(query)}

    def restarted(self, senders: Sequence[str]) -> None:
        """Forget the row ids of conversations that are no longer in the tracker store."""
        with self._db.write() as connection:
            connection.execute(
                sa.update(handovers)
                .where(handovers.c.sender_id.in_(senders))
                .values(row_id=0, customer_row=0, seen_row=0, read_row=0, paused=False)
            )

    def saw(self, handover_id: str, row_id: int) -> None:
        """Note up to where the agent has read; this is no change that could get in anybody's way."""
        with self._db.write() as connection:
            connection.execute(
                sa.update(handovers)
                .where(handovers.c.handover_id == handover_id, handovers.c.seen_row < row_id)
                .values(seen_row=row_id)
            )

    def steps(self, handover_id: str) -> list[Step]:
        """Return what happened to a hand-over, the oldest first."""
        query = sa.select(steps).where(steps.c.handover_id == handover_id).order_by(steps.c.step_id)
        with self._db.read() as connection:
            return [Step(row.at, row.who, row.what, row.detail) for row in connection.execute(query)]

    def mark(self) -> str:
        """Return a short text that changes whenever a page of the desk would."""
        with self._db.read() as connection:
            counts = connection.execute(
                sa.select(
                    sa.func.count(),
                    sa.func.coalesce(sa.func.sum(handovers.c.version), 0),
                    sa.func.coalesce(sa.func.sum(sa.case((handovers.c.paused, 1), else_=0)), 0),
                    sa.func.coalesce(sa.func.sum(handovers.c.customer_row), 0),
                )
            ).one()
            sent = connection.execute(
                sa.select(sa.func.coalesce(sa.func.max(messages.c.position), 0), sa.func.count()).where(
                    messages.c.state != Delivery.QUEUED.value
                )
            ).one()
            queued = connection.execute(sa.select(sa.func.coalesce(sa.func.max(messages.c.position), 0))).scalar()
        return "-".join(str(number) for number in (*counts, *sent, queued))

    def senders(self) -> list[str]:
        """Return who had a hand-over."""
        with self._db.read() as connection:
            return list(connection.execute(sa.select(handovers.c.sender_id).distinct()).scalars())

    def forget(self, sender_id: str, at: datetime) -> int:
        """Delete all about a conversation; return how many hand-overs it had.

        What happened in it up to `at` makes no hand-over again, however often its events are read.
        """
        with self._db.write() as connection:
            found = sa.select(handovers.c.handover_id).where(handovers.c.sender_id == sender_id)
            ids = list(connection.execute(found).scalars())
            for table in TABLES:
                connection.execute(sa.delete(table).where(table.c.handover_id.in_(ids)))
            connection.execute(
                sa.delete(meta).where(meta.c.key.in_([kind + one for one in ids for kind in (MIRRORED, TYPING)]))
            )
            if ids:
                set_meta(connection, FORGOTTEN + sender_key(sender_id), at.isoformat())
            connection.execute(sa.delete(meta).where(meta.c.key == ANNOUNCED + sender_key(sender_id)))
        self._db.compact()
        return len(ids)

    def _handovers(self, query: Any) -> list[Handover]:
        with self._db.read() as connection:
            return [_handover(row) for row in connection.execute(query)]


def _get(connection: Connection, handover_id: str) -> Handover:
    row = connection.execute(sa.select(handovers).where(handovers.c.handover_id == handover_id)).first()
    if row is None:
        raise NotFound("is not there", f"hand-over {handover_id[:32]}", "look at the queue of the desk")
    return _handover(row)


def _open_of(connection: Connection, sender_id: str) -> Handover | None:
    row = connection.execute(sa.select(handovers).where(handovers.c.sender_id == sender_id, OPEN)).first()
    return _handover(row) if row else None


def _newest_of(connection: Connection, sender_id: str) -> Handover | None:
    query = sa.select(handovers).where(handovers.c.sender_id == sender_id)
    row = connection.execute(query.order_by(*NEWEST)).first()
    return _handover(row) if row else None


def _put(connection: Connection, before: Handover, after: Handover) -> Handover:
    changed = replace(after, version=before.version + 1)
    # What the worker notes beside the versions must not be set back by what a page has seen earlier.
    values = {
        name: value
        for name, value in row_of(changed).items()
        if name not in ("handover_id", "customer_row", "customer_at", "seen_row", "read_row", "paused")
    }
    done = connection.execute(
        sa.update(handovers)
        .where(handovers.c.handover_id == before.handover_id, handovers.c.version == before.version)
        .values(**values)
    )
    if done.rowcount == 0:
        raise Taken("was changed by somebody else", f"hand-over {before.handover_id}", "look at it again")
    return changed


def _handover(row: Any) -> Handover:
    values = dict(row._mapping)
    return Handover(**{**values, "reason": Reason.of(values["reason"]), "state": State(values["state"])})
