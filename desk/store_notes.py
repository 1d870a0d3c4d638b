"""Short notes of the desk: up to where it has read, who leads, and who is there."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

import sqlalchemy as sa

from desk.database import Database, get_meta, set_meta
from desk.model import Agent, Mark
from desk.schema import agents, meta

WATERMARK = "watermark"
MIRRORED = "mirrored:"  # and the id of a hand-over
BELL = "help_desk_bell"  # when another help desk has last said that there is something new
TYPING = "typing:"  # and the id of a hand-over, since when its agent writes
LEADER, LEADER_UNTIL = "leader", "leader_until"


class NoteTables:
    """Notes and agents; each writing method is one transaction."""

    _db: Database

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

    def note_typing(self, handover_id: str, at: datetime) -> None:
        """Note that an agent writes in a hand-over."""
        with self._db.write() as connection:
            set_meta(connection, TYPING + handover_id, at.isoformat())

    def take_typing(self, since: datetime) -> list[str]:
        """Return in which hand-overs agents have written since a time, and take the notes of it away."""
        found = sa.select(meta).where(meta.c.key.startswith(TYPING))
        with self._db.read() as connection:
            if connection.execute(found).first() is None:
                return []
        with self._db.write() as connection:
            rows = connection.execute(found).all()
            connection.execute(sa.delete(meta).where(meta.c.key.in_([row.key for row in rows])))
        return [row.key.removeprefix(TYPING) for row in rows if datetime.fromisoformat(row.value) >= since]

    def mirrored(self, handover_id: str) -> tuple[int, str]:
        """Return up to which row and which answer another help desk is in step."""
        with self._db.read() as connection:
            row, _, answer = (get_meta(connection, MIRRORED + handover_id) or "0 ").partition(" ")
        return int(row), answer

    def set_mirrored(self, handover_id: str, row_id: int, answer: str) -> None:
        """Note up to which row and which answer another help desk is in step."""
        with self._db.write() as connection:
            set_meta(connection, MIRRORED + handover_id, f"{row_id} {answer}")

    def ring(self, at: datetime) -> None:
        """Note that another help desk has said that there is something new."""
        with self._db.write() as connection:
            set_meta(connection, BELL, at.isoformat())

    def rung(self) -> str:
        """Return what changes each time that another help desk says so."""
        with self._db.read() as connection:
            return get_meta(connection, BELL) or ""

    def watermark(self) -> Mark:
        """Return up to which row the tracker store was read."""
        with self._db.read() as connection:
            row_id, _, rest = (get_meta(connection, WATERMARK) or "0").partition(" ")
        at, _, key = rest.partition(" ")
        return Mark(int(row_id), float(at or 0), key)

    def set_watermark(self, mark: Mark) -> None:
        """Note up to which row the tracker store was read."""
        with self._db.write() as connection:
            set_meta(connection, WATERMARK, f"{mark.row_id} {mark.at!r} {mark.key}")

    def lead(self, who: str, now: datetime, seconds: float) -> bool:
        """Become or stay the one worker; whether `who` is it. A lease that nobody renews ends by itself."""
        with self._db.write() as connection:
            leader, until = get_meta(connection, LEADER), get_meta(connection, LEADER_UNTIL)
            if leader not in (None, who) and until and datetime.fromisoformat(until) > now:
                return False
            set_meta(connection, LEADER, who)
            set_meta(connection, LEADER_UNTIL, (now + timedelta(seconds=seconds)).isoformat())
            return True

    def has_worker(self, now: datetime) -> bool:
        """Whether somebody reads new events and delivers messages."""
        with self._db.read() as connection:
            until = get_meta(connection, LEADER_UNTIL)
        return until is not None and datetime.fromisoformat(until) > now
