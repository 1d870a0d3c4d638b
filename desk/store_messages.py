"""What the desk has to say, in the order in which it was said, and how its delivery goes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from desk.database import Database, row_of
from desk.errors import NotSaid
from desk.model import MARKS, Delivery, Kind, Outgoing, content_id
from desk.schema import messages


class MessageTable:
    """Messages to customers, and marks on them that learning reads; each writing method is one transaction."""

    _db: Database

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
            queue_message(connection, mark)
            return True

    def taught(self) -> list[Outgoing]:
        """Return all messages that the assistant should have said."""
        query = sa.select(messages).where(messages.c.taught).order_by(messages.c.position)
        with self._db.read() as connection:
            return [_message(row) for row in connection.execute(query)]


def queue_message(connection: Connection, message: Outgoing) -> None:
    """Queue a message, once however often this is called.

    Raises:
        NotSaid: another message was queued under its id.

    """
    sent = connection.execute(sa.select(messages).where(messages.c.message_id == message.message_id)).first()
    if sent is not None:
        if (sent.handover_id, sent.kind, sent.text) == (message.handover_id, message.kind.value, message.text):
            return
        raise NotSaid("was sent before with other words", "message", "read the conversation and send it again")
    connection.execute(sa.insert(messages), row_of(message, leave=("position",)))


def _message(row: Any) -> Outgoing:
    values = dict(row._mapping)
    return Outgoing(**{**values, "kind": Kind(values["kind"]), "state": Delivery(values["state"])})
