"""Hand-overs, outgoing messages and who is there, in one database; every change is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from desk.database import Database
from desk.errors import NotSaid, Taken
from desk.model import (
    MARKS,
    OPEN_STATES,
    Agent,
    Delivery,
    Handover,
    Kind,
    Mark,
    Outgoing,
    Reason,
    State,
    Step,
    content_id,
)
from desk.schema import TABLES, agents, handovers, messages, meta, steps
from learning.errors import NotFound
from learning.model import sender_key

WATERMARK = "watermark"
MIRRORED = "mirrored:"  # and the id of a hand-over
ANNOUNCED = "announced:"  # and the pseudonym of a person, until when the place they were told is kept
FORGOTTEN = "forgotten:"  # and the pseudonym of a person, until when nothing of them is taken in again
LEADER, LEADER_UNTIL = "leader", "leader_until"
OPEN = handovers.c.state.in_([state.value for state in OPEN_STATES])
# Not by time, which may be set back: an open one comes after all closed ones, and row ids only grow.
NEWEST: tuple[Any, ...] = (sa.case((OPEN, 0), else_=1), handovers.c.row_id.desc(), handovers.c.asked_at.desc())
MOST_CLOSED = 50  # closed hand-overs that a page shows


class Store:
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
            forgotten = _meta(connection, FORGOTTEN + sender_key(handover.sender_id))
            if forgotten and step.at < datetime.fromisoformat(forgotten):
                return False
            connection.execute(sa.delete(meta).where(meta.c.key == ANNOUNCED + sender_key(handover.sender_id)))
            present = _open_of(connection, handover.sender_id)
            if present is None:
                connection.execute(sa.insert(handovers), _row(handover))
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
            _set_meta(connection, own, until.isoformat())
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
                _queue(connection, message)
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

    def messages(self, handover_id: str) -> list[Outgoing]:
        """Return what the desk has sent in a hand-over, the oldest first."""
        query = sa.select(messages).where(messages.c.handover_id == handover_id).order_by(messages.c.position)
        with self._db.read() as connection:
            return [_message(row) for row in connection.execute(query)]

    def message(self, message_id: str) -> Outgoing | None:
        """Return a message, None if there is none of that id."""
        with self._db.read() as connection:
            row = connection.execute(sa.select(messages).where(messages.c.message_id == message_id)).first()
        return _message(row) if row else None

    def last_reply_at(self, handover_id: str) -> datetime | None:
        """Return when a person has last answered in a hand-over, None if nobody has."""
        query = sa.select(sa.func.max(messages.c.at)).where(
            messages.c.handover_id == handover_id, messages.c.kind == Kind.REPLY.value
        )
        with self._db.read() as connection:
            found: datetime | None = connection.execute(query).scalar()
        return found

    def due_messages(self, now: datetime) -> list[Outgoing]:
        """Return of each conversation its oldest message that is not there yet, if it is time to try it."""
        first = (
            sa.select(sa.func.min(messages.c.position))
            .where(messages.c.state == Delivery.QUEUED.value)
            .group_by(messages.c.sender_id)
        )
        query = (
            sa.select(messages)
            .where(messages.c.position.in_(first), sa.or_(messages.c.next_at.is_(None), messages.c.next_at <= now))
            .order_by(messages.c.position)
        )
        with self._db.read() as connection:
            return [_message(row) for row in connection.execute(query)]

    def tried(self, message: Outgoing) -> None:
        """Note how a delivery went; what was delivered stays delivered."""
        values = {
            "state": message.state.value,
            "attempts": message.attempts,
            "next_at": message.next_at,
            "problem": message.problem,
        }
        with self._db.write() as connection:
            connection.execute(
                sa.update(messages)
                .where(messages.c.message_id == message.message_id, messages.c.state == Delivery.QUEUED.value)
                .values(**values)
            )

    def teach(self, message: Outgoing, taught: bool, who: str, at: datetime) -> bool:
        """Mark a message as what the assistant should have said, or take the mark back, and queue the word of it.

        Returns whether it was otherwise before: a second click queues nothing.
        """
        kind, message_id = Kind.RECOMMENDED if taught else Kind.UNRECOMMENDED, message.message_id
        with self._db.write() as connection:
            change = sa.update(messages).where(messages.c.message_id == message_id, messages.c.taught.is_(not taught))
            if connection.execute(change.values(taught=taught)).rowcount == 0:
                return False
            own = (messages.c.handover_id == message.handover_id, messages.c.note == message_id)
            kinds = messages.c.kind.in_([one.value for one in MARKS])
            before = connection.execute(sa.select(sa.func.count()).where(*own, kinds)).scalar()
            # Marked, taken back and marked again are three marks; each of them comes once.
            mark_id = content_id(kind.value, message_id, before)
            mark = Outgoing(mark_id, message.handover_id, message.sender_id, kind, who, "", at, message_id)
            _queue(connection, mark)
            return True

    def taught(self) -> list[Outgoing]:
        """Return all messages that the assistant should have said."""
        query = sa.select(messages).where(messages.c.taught).order_by(messages.c.position)
        with self._db.read() as connection:
            return [_message(row) for row in connection.execute(query)]

    def touch(self, name: str, at: datetime, on_duty: bool | None = None) -> Agent:
        """Note that an agent looks at the desk, and whether they are on duty if that was said."""
        with self._db.write() as connection:
            row = connection.execute(sa.select(agents).where(agents.c.name == name)).first()
            agent = Agent(name, at, on_duty if on_duty is not None else bool(row and row.on_duty))
            if row:
                connection.execute(sa.update(agents).where(agents.c.name == name).values(**asdict(agent)))
            else:
                connection.execute(sa.insert(agents), asdict(agent))
            return agent

    def agents(self, since: datetime) -> list[Agent]:
        """Return who is on duty and was seen since a time, by name."""
        query = sa.select(agents).where(agents.c.on_duty, agents.c.seen_at >= since).order_by(agents.c.name)
        with self._db.read() as connection:
            return [Agent(row.name, row.seen_at, row.on_duty) for row in connection.execute(query)]

    def seen(self, since: datetime) -> frozenset[str]:
        """Return who was at the desk since a time, on duty or not."""
        query = sa.select(agents.c.name).where(agents.c.seen_at >= since)
        with self._db.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def mirrored(self, handover_id: str) -> tuple[int, str]:
        """Return up to which row and which answer another help desk is in step."""
        with self._db.read() as connection:
            row, _, answer = (_meta(connection, MIRRORED + handover_id) or "0 ").partition(" ")
        return int(row), answer

    def set_mirrored(self, handover_id: str, row_id: int, answer: str) -> None:
        """Note up to which row and which answer another help desk is in step."""
        with self._db.write() as connection:
            _set_meta(connection, MIRRORED + handover_id, f"{row_id} {answer}")

    def watermark(self) -> Mark:
        """Return up to which row the tracker store was read."""
        with self._db.read() as connection:
            row_id, _, rest = (_meta(connection, WATERMARK) or "0").partition(" ")
        at, _, key = rest.partition(" ")
        return Mark(int(row_id), float(at or 0), key)

    def set_watermark(self, mark: Mark) -> None:
        """Note up to which row the tracker store was read."""
        with self._db.write() as connection:
            _set_meta(connection, WATERMARK, f"{mark.row_id} {mark.at!r} {mark.key}")

    def lead(self, who: str, now: datetime, seconds: float) -> bool:
        """Become or stay the one worker; whether `who` is it. A lease that nobody renews ends by itself."""
        with self._db.write() as connection:
            leader, until = _meta(connection, LEADER), _meta(connection, LEADER_UNTIL)
            if leader not in (None, who) and until and datetime.fromisoformat(until) > now:
                return False
            _set_meta(connection, LEADER, who)
            _set_meta(connection, LEADER_UNTIL, (now + timedelta(seconds=seconds)).isoformat())
            return True

    def has_worker(self, now: datetime) -> bool:
        """Whether somebody reads new events and delivers messages."""
        with self._db.read() as connection:
            until = _meta(connection, LEADER_UNTIL)
        return until is not None and datetime.fromisoformat(until) > now

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
            connection.execute(sa.delete(meta).where(meta.c.key.in_([MIRRORED + one for one in ids])))
            if ids:
                _set_meta(connection, FORGOTTEN + sender_key(sender_id), at.isoformat())
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
        for name, value in _row(changed).items()
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


def _queue(connection: Connection, message: Outgoing) -> None:
    sent = connection.execute(sa.select(messages).where(messages.c.message_id == message.message_id)).first()
    if sent is not None:
        if (sent.handover_id, sent.kind, sent.text) == (message.handover_id, message.kind.value, message.text):
            return
        raise NotSaid("was sent before with other words", "message", "read the conversation and send it again")
    connection.execute(sa.insert(messages), _row(message, leave=("position",)))


def _meta(connection: Connection, key: str) -> str | None:
    value = connection.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()
    return None if value is None else str(value)


def _set_meta(connection: Connection, key: str, value: str) -> None:
    if connection.execute(sa.update(meta).where(meta.c.key == key).values(value=value)).rowcount == 0:
        connection.execute(sa.insert(meta), {"key": key, "value": value})


def _row(record: Handover | Outgoing, leave: Sequence[str] = ()) -> dict[str, Any]:
    found = {name: value for name, value in asdict(record).items() if name not in leave}
    return {name: value.value if isinstance(value, Enum) else value for name, value in found.items()}


def _handover(row: Any) -> Handover:
    values = dict(row._mapping)
    return Handover(**{**values, "reason": Reason.of(values["reason"]), "state": State(values["state"])})


def _message(row: Any) -> Outgoing:
    values = dict(row._mapping)
    return Outgoing(**{**values, "kind": Kind(values["kind"]), "state": Delivery(values["state"])})
