"""Gaps, and the turns in them, in the learning database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import chunks, get_meta, insert, set_meta
from learning.adapters.rows import gap_row, to_failed_turns, to_gap
from learning.adapters.store_conversations import ConversationTables
from learning.model import FailedTurn, Gap, GapFigures, Signal
from learning.vectors import Vectors

GROUPING_STATE = "grouping_state"
ENCODER = "encoder"  # whose vectors the turns and the gaps have
WEEK = timedelta(days=7)
PRIOR_WEEKS = 4
FRESH, POOL, NOISE, GROUPED = "fresh", "pool", "noise", "gap"  # stages of a failed turn; services that failed are none


class GapTables(ConversationTables):
    """What grouping writes; each writing method is one transaction."""

    def known_vectors(self, keys: Sequence[str]) -> dict[str, Vectors]:
        """Return the kept vectors (d,) of those keys that have one."""
        table = schema.vectors
        found: dict[str, Vectors] = {}
        with self._database.read() as connection:
            for chunk in chunks(keys):
                for row in connection.execute(sa.select(table).where(table.c.key.in_(chunk))):
                    found[row.key] = unpack_half(row.vector)
        return found

    def replace_vectors(self, vectors: Mapping[str, Vectors]) -> None:
        """Keep these vectors and no others."""
        table = schema.vectors
        with self._database.write() as connection:
            known = {row.key for row in connection.execute(sa.select(table.c.key))}
            for chunk in chunks(sorted(known - set(vectors))):
                connection.execute(sa.delete(table).where(table.c.key.in_(chunk)))
            fresh = sorted(set(vectors) - known)
            insert(connection, table, [{"key": key, "vector": pack_half(vectors[key])} for key in fresh])

    def fresh_turns(self, limit: int) -> list[FailedTurn]:
        """Return the oldest failed turns that grouping has not seen yet."""
        return self._turns(schema.failed_turns.c.stage == FRESH, limit=limit)

    def pooled_turns(self) -> tuple[list[FailedTurn], dict[str, Vectors]]:
        """Return the failed turns that grouping left without a gap and may still found one, with their vectors."""
        table = schema.failed_turns
        turns = self._turns(table.c.stage == POOL)
        query = sa.select(table.c.turn_id, table.c.vector).where(table.c.stage == POOL, table.c.vector.isnot(None))
        with self._database.read() as connection:
            return turns, {row.turn_id: unpack_half(row.vector) for row in connection.execute(query)}

    def turns_of_gap(
        self, gap_id: str, newest: int | None = None, after: datetime | None = None, per_sender: int | None = None
    ) -> list[FailedTurn]:
        """Return the failed turns of a gap in order of time.

        Args:
            gap_id: the gap.
            newest: so many at most.
            after: only those after this time.
            per_sender: of each sender only so many, so that nobody's flood hides what others said.

        """
        table = schema.failed_turns
        condition = table.c.gap_id == gap_id
        if after is not None:
            condition = sa.and_(condition, table.c.at > after)
        if per_sender is not None:
            order = (table.c.at.desc(), table.c.turn_id.desc())
            place = sa.func.row_number().over(partition_by=table.c.sender, order_by=order)
            ranked = sa.select(table.c.turn_id, place.label("place")).where(condition).subquery()
            condition = table.c.turn_id.in_(sa.select(ranked.c.turn_id).where(ranked.c.place <= per_sender))
        return self._turns(condition, limit=newest, newest_first=newest is not None)

    def turns_by_id(self, turn_ids: Collection[str]) -> dict[str, tuple[str | None, FailedTurn]]:
        """Return those of these failed turns that are known, each with the id of its gap, None for none."""
        table = schema.failed_turns
        found: dict[str, FailedTurn] = {}
        gap_of: dict[str, str | None] = {}
        for chunk in chunks(sorted(turn_ids)):
            found.update((turn.turn_id, turn) for turn in self._turns(table.c.turn_id.in_(chunk)))
            with self._database.read() as connection:
                query = sa.select(table.c.turn_id, table.c.gap_id).where(table.c.turn_id.in_(chunk))
                gap_of.update((row.turn_id, row.gap_id) for row in connection.execute(query))
        return {turn_id: (gap_of.get(turn_id), turn) for turn_id, turn in found.items()}

    def turns_by_sender(self, gap_ids: Collection[str]) -> dict[tuple[str, str], int]:
        """Return for each of these gaps and each sender in it the number of turns."""
        table = schema.failed_turns
        query = sa.select(table.c.gap_id, table.c.sender, sa.func.count().label("n"))
        found: dict[tuple[str, str], int] = {}
        with self._database.read() as connection:
            for chunk in chunks(sorted(gap_ids)):
                grouped = query.where(table.c.gap_id.in_(chunk)).group_by(table.c.gap_id, table.c.sender)
                found.update(((row.gap_id, row.sender), row.n) for row in connection.execute(grouped))
        return found

    def use_encoder(self, identity: str) -> None:
        """Drop the vectors of turns and the means of gaps if they are another encoder's; the texts make them anew."""
        with self._database.write() as connection:
            before = get_meta(connection, ENCODER)
            if before == identity:
                return
            if before is not None:
                connection.execute(sa.update(schema.failed_turns).values(vector=None))
                connection.execute(sa.update(schema.gaps).values(mean=None, metric=""))
            set_meta(connection, ENCODER, identity)

    def gaps(self, changed: bool = False) -> dict[str, Gap]:
        """Return every gap by id, or only those that changed since they were last proposed for."""
        query = sa.select(schema.gaps)
        if changed:
            query = query.where(schema.gaps.c.changed)
        with self._database.read() as connection:
            return {row.gap_id: to_gap(row) for row in connection.execute(query)}

    def gap(self, gap_id: str) -> Gap:
        """Return one gap.

        Raises:
            KeyError: there is none with this id.

        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(schema.gaps).where(schema.gaps.c.gap_id == gap_id)).first()
        if row is None:
            raise KeyError(gap_id)
        return to_gap(row)

    def gap_means(self, metric: str) -> dict[str, tuple[int, Vectors]]:
        """Return how many members a gap's mean was made of, and the mean (d,), for gaps measured by `metric`."""
        table = schema.gaps
        query = sa.select(table.c.gap_id, table.c.mean_of, table.c.mean).where(
            table.c.metric == metric, table.c.mean.isnot(None)
        )
        with self._database.read() as connection:
            return {
                row.gap_id: (row.mean_of, np.frombuffer(row.mean, dtype="<f4").astype(float))
                for row in connection.execute(query)
            }

    def gap_vectors(self, gap_id: str, newest: int) -> list[Vectors]:
        """Return the vectors of a gap's newest members."""
        table = schema.failed_turns
        query = (
            sa.select(table.c.vector)
            .where(table.c.gap_id == gap_id, table.c.vector.isnot(None))
            .order_by(table.c.at.desc(), table.c.turn_id)
            .limit(newest)
        )
        with self._database.read() as connection:
            return [unpack_half(row.vector) for row in connection.execute(query)]

    def turn_vectors(self, turn_ids: Sequence[str]) -> dict[str, Vectors]:
        """Return the vectors of those turns that have one."""
        table = schema.failed_turns
        found: dict[str, Vectors] = {}
        with self._database.read() as connection:
            for chunk in chunks(turn_ids):
                query = sa.select(table.c.turn_id, table.c.vector).where(
                    table.c.turn_id.in_(chunk), table.c.vector.isnot(None)
                )
                found.update((row.turn_id, unpack_half(row.vector)) for row in connection.execute(query))
        return found

    def gap_figures(self, gap_ids: Sequence[str], costs: Mapping[str, float]) -> dict[str, GapFigures]:
        """Return what the members of each gap add up to; `costs` go by the outcome of their conversations."""
        turns, talks, gaps = schema.failed_turns, schema.conversations, schema.gaps
        people = sa.func.count(sa.distinct(turns.c.sender)).label("people")
        totals = sa.select(
            turns.c.gap_id,
            sa.func.count().label("turns"),
            people,
            sa.func.min(turns.c.at).label("first_seen"),
            sa.func.max(turns.c.at).label("last_seen"),
        ).group_by(turns.c.gap_id)
        priced = [(talks.c.outcome == outcome, sa.literal(float(cost))) for outcome, cost in sorted(costs.items())]
        price = sa.case(*priced, else_=sa.literal(1.0)) if priced else sa.literal(1.0)
        # Every person counts once, however often they came.
        own = (
            sa.select(turns.c.gap_id, turns.c.sender, sa.func.avg(price).label("price"))
            .select_from(turns.join(talks, talks.c.conversation_id == turns.c.conversation_id))
            .group_by(turns.c.gap_id, turns.c.sender)
        )
        later = (
            sa.select(turns.c.gap_id, people)
            .select_from(turns.join(gaps, gaps.c.gap_id == turns.c.gap_id))
            .where(turns.c.at > gaps.c.handled_at)
            .group_by(turns.c.gap_id)
        )
        found: dict[str, GapFigures] = {}
        with self._database.read() as connection:
            for chunk in chunks(gap_ids):
                mine = turns.c.gap_id.in_(chunk)
                each = own.where(mine).subquery()
                cost = sa.select(each.c.gap_id, sa.func.avg(each.c.price).label("cost")).group_by(each.c.gap_id)
                cost_of = {row.gap_id: float(row.cost) for row in connection.execute(cost)}
                since = {row.gap_id: row.people for row in connection.execute(later.where(mine))}
                for row in connection.execute(totals.where(mine)):
                    found[row.gap_id] = GapFigures(
                        turns=row.turns,
                        people=row.people,
                        first_seen=row.first_seen,
                        last_seen=row.last_seen,
                        cost=cost_of.get(row.gap_id, 1.0),
                        since_handled=since.get(row.gap_id, 0),
                    )
        return found

    def recent_people(self, newest: datetime) -> dict[str, tuple[int, float]]:
        """Return for each gap the people of the week up to `newest`, and the mean of the four weeks before."""
        turns = schema.failed_turns
        people = sa.func.count(sa.distinct(turns.c.sender)).label("people")
        query = sa.select(turns.c.gap_id, people).where(turns.c.gap_id.isnot(None)).group_by(turns.c.gap_id)
        week: dict[str, int] = {}
        prior: dict[str, int] = {}
        with self._database.read() as connection:
            for number in range(PRIOR_WEEKS + 1):
                end = newest - number * WEEK
                for row in connection.execute(query.where(turns.c.at > end - WEEK, turns.c.at <= end)):
                    counts = prior if number else week
                    counts[row.gap_id] = counts.get(row.gap_id, 0) + row.people
        return {key: (week.get(key, 0), prior.get(key, 0) / PRIOR_WEEKS) for key in {*week, *prior}}

    def satisfaction(self) -> dict[str, tuple[float, int]]:
        """Return for each answer the share of its raters who like it, and how many they are."""
        table = schema.ratings
        own = sa.select(table.c.label, sa.func.avg(table.c.score).label("score")).group_by(
            table.c.label, table.c.sender
        )
        each = own.subquery()
        query = sa.select(each.c.label, sa.func.avg(each.c.score).label("share"), sa.func.count().label("n"))
        with self._database.read() as connection:
            return {row.label: (float(row.share), row.n) for row in connection.execute(query.group_by(each.c.label))}

    def newest_turn(self) -> datetime | None:
        """Return when the newest conversation had its last event, None in an empty store."""
        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(schema.conversations.c.last_at))).scalar()

    def grouping_state(self) -> str:
        """Return what the last grouping left, as it was told to `save_grouping`."""
        with self._database.read() as connection:
            return get_meta(connection, GROUPING_STATE) or ""

    def save_grouping(
        self,
        gaps: Sequence[Gap],
        means: Mapping[str, tuple[int, Vectors]],
        metric: str,
        members: Mapping[str, str],
        pool: Mapping[str, Vectors],
        vectors: Mapping[str, Vectors],
        noise: Sequence[str],
        state: str,
    ) -> int:
        """Write one step of grouping; return how many gaps are new.

        Args:
            gaps: the gaps that members need; those that exist already stay as they are, but for what follows.
            means: what is kept of their members, with the number of members it was made of.
            metric: names what the means were measured by.
            members: turn id -> gap id; a turn that has a gap keeps it.
            pool: the turns that stay without a gap, with their vectors.
            vectors: the vectors of those new members that means may be made of again.
            noise: turns that are too old to be looked at again.
            state: digest of what was left, told again by `grouping_state`.

        """
        table = schema.failed_turns
        with self._database.write() as connection:
            self._check_forgotten(connection)
            known = {row.gap_id for row in connection.execute(sa.select(schema.gaps.c.gap_id))}
            fresh = [gap for gap in gaps if gap.gap_id not in known]
            insert(connection, schema.gaps, [{**gap_row(gap), "changed": True} for gap in fresh])
            for gap_id in sorted({*members.values(), *means}):
                values: dict[str, Any] = {"changed": True}
                if gap_id in means:
                    count, mean = means[gap_id]
                    packed = np.ascontiguousarray(mean, dtype="<f4").tobytes()
                    values.update(mean=packed, mean_of=count, metric=metric)
                connection.execute(sa.update(schema.gaps).where(schema.gaps.c.gap_id == gap_id).values(**values))
            placed = [
                {"b_turn": turn_id, "b_stage": GROUPED, "b_gap": gap_id, "b_vector": _packed(vectors, turn_id)}
                for turn_id, gap_id in members.items()
            ]
            placed += [
                {"b_turn": turn_id, "b_stage": POOL, "b_gap": None, "b_vector": pack_half(vector)}
                for turn_id, vector in pool.items()
            ]
            placed += [{"b_turn": turn_id, "b_stage": NOISE, "b_gap": None, "b_vector": None} for turn_id in noise]
            if placed:
                statement = (
                    sa.update(table)
                    .where(table.c.turn_id == sa.bindparam("b_turn"), table.c.gap_id.is_(None))
                    .values(
                        stage=sa.bindparam("b_stage"), gap_id=sa.bindparam("b_gap"), vector=sa.bindparam("b_vector")
                    )
                )
                connection.execute(statement, placed)
            set_meta(connection, GROUPING_STATE, state)
        return len(fresh)

    def save_upkeep(self, gaps: Sequence[Gap]) -> None:
        """Write the gaps that no failed turns make: new ones, and the figures of those that are known."""
        table = schema.gaps
        with self._database.write() as connection:
            known = {row.gap_id for row in connection.execute(sa.select(table.c.gap_id))}
            fresh = [gap for gap in gaps if gap.gap_id not in known]
            insert(connection, table, [{**gap_row(gap), "changed": False} for gap in fresh])
            for gap in gaps:
                if gap.gap_id in known:
                    connection.execute(sa.update(table).where(table.c.gap_id == gap.gap_id).values(**gap_row(gap)))

    def update_gaps(self, gaps: Sequence[Gap]) -> None:
        """Write names, figures and priorities of gaps that exist; a gap that came back is noted in the audit log."""
        with self._database.write() as connection:
            self._check_forgotten(connection)
            table = schema.gaps
            for gap in gaps:
                before = connection.execute(sa.select(table.c.reopened_at).where(table.c.gap_id == gap.gap_id)).scalar()
                connection.execute(sa.update(table).where(table.c.gap_id == gap.gap_id).values(**gap_row(gap)))
                if gap.reopened_at is not None and gap.reopened_at != before:
                    reason = f"{gap.people} people in all, the last on {gap.last_seen:%Y-%m-%d}"
                    at, item = gap.reopened_at, gap.gap_id
                    append_row(connection, at, "miner", "reopen", item, "handled", "open", reason, "")

    def _turns(self, condition: Any, limit: int | None = None, newest_first: bool = False) -> list[FailedTurn]:
        table = schema.failed_turns
        order = (table.c.at.desc(), table.c.turn_id.desc()) if newest_first else (table.c.at, table.c.turn_id)
        query = sa.select(table).where(condition).order_by(*order)
        if limit is not None:
            query = query.limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            signals: dict[str, list[Signal]] = {}
            for chunk in chunks([row.turn_id for row in rows]):
                found = sa.select(schema.signals).where(schema.signals.c.turn_id.in_(chunk))
                for row in connection.execute(found.order_by(schema.signals.c.turn_id, schema.signals.c.kind)):
                    signals.setdefault(row.turn_id, []).append(Signal(row.kind, row.weight, row.evidence))
        turns = to_failed_turns(rows, signals)
        return turns[::-1] if newest_first else turns


def pack_half(vector: Vectors) -> bytes:
    """Return a unit vector as half-precision bytes: cosines change by less than 0.001."""
    return np.ascontiguousarray(vector, dtype="<f2").tobytes()


def unpack_half(raw: bytes) -> Vectors:
    """Return the vector of `pack_half`."""
    return np.frombuffer(raw, dtype="<f2").astype(np.float32)


def _packed(vectors: Mapping[str, Vectors], turn_id: str) -> bytes | None:
    return pack_half(vectors[turn_id]) if turn_id in vectors else None
