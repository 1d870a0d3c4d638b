"""Keeping what conversations are found by in step with the conversations, inside a writer's transaction."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.database import chunks, insert
from learning.adapters.facets import facets_of, place_of
from learning.browsing_records import ReviewMark
from learning.model import CORRECTED, Mined

AGAIN_DAYS = 7  # within which somebody came back


@dataclass(frozen=True)
class Kept:
    """What outlives reading a conversation again: a person's mark, and what was redacted until it is redacted anew."""

    review: str = ReviewMark.NEW.value
    opening: str = ""
    text: str = ""


def read_kept(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, Kept]:
    """Return what is kept of those conversations that are stored."""
    talks, texts = schema.conversations, schema.conversation_texts
    joined = talks.outerjoin(texts, texts.c.conversation_id == talks.c.conversation_id)
    query = sa.select(talks.c.conversation_id, talks.c.review, talks.c.opening, texts.c.text).select_from(joined)
    found: dict[str, Kept] = {}
    for chunk in chunks(conversation_ids):
        for row in connection.execute(query.where(talks.c.conversation_id.in_(chunk))):
            found[row.conversation_id] = Kept(row.review, row.opening, row.text or "")
    return found


def insert_conversations(connection: Connection, rows: Sequence[dict[str, Any]], kept: Mapping[str, Kept]) -> None:
    """Insert conversations with their places and what they are found by; none of them is stored any more."""
    if not rows:
        return
    ids = [row["conversation_id"] for row in rows]
    places = _free_places(connection, rows)
    tagged = tags_of(connection, ids)
    nothing = Kept()
    talks, texts = [], []
    for row in rows:
        conversation_id = row["conversation_id"]
        old = kept.get(conversation_id, nothing)
        place = places[conversation_id]
        marks = {"review": old.review, "opening": old.opening, "indexed": False, "again": False}
        talk = {**row, "place": place, **marks}
        facets = facets_of(talk, tagged.get(conversation_id, ()))
        talks.append(talk)
        texts.append({"place": place, "conversation_id": conversation_id, "text": old.text, "facets": facets})
    insert(connection, schema.conversations, talks)
    insert(connection, schema.conversation_texts, texts)
    note_returns(connection, {row["sender"] for row in rows}, min(row["started"] for row in rows))


def note_returns(connection: Connection, senders: Collection[str], since: datetime) -> None:
    """Note of which conversations the sender was back soon, where something has come or gone since that time."""
    talks = schema.conversations
    soon = timedelta(days=AGAIN_DAYS)
    columns = (talks.c.conversation_id, talks.c.sender, talks.c.started, talks.c.last_at, talks.c.again)
    changed: dict[bool, list[str]] = {True: [], False: []}
    for chunk in chunks(sorted(senders)):
        query = sa.select(*columns).where(talks.c.sender.in_(chunk), talks.c.last_at >= since - soon)
        starts: dict[str, list[datetime]] = {}
        rows = [row for row in connection.execute(query) if row.started is not None]
        for row in rows:
            starts.setdefault(row.sender, []).append(row.started)
        for found in starts.values():
            found.sort()
        for row in rows:
            own = starts[row.sender]
            place = bisect_right(own, row.last_at)
            again = place < len(own) and own[place] <= row.last_at + soon
            if again != row.again:
                changed[again].append(row.conversation_id)
    for again, conversation_ids in changed.items():
        for chunk in chunks(conversation_ids):
            connection.execute(sa.update(talks).where(talks.c.conversation_id.in_(chunk)).values(again=again))
        refresh(connection, conversation_ids)


def _free_places(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return a place for each row that nobody else has: of the same second and hash, the next one."""
    table = schema.conversation_texts
    places: dict[str, int] = {}
    taken: set[int] = set()
    waiting = {row["conversation_id"]: place_of(row["last_at"], row["conversation_id"]) for row in rows}
    while waiting:
        for conversation_id, place in waiting.items():
            while place in taken:
                place += 1
            taken.add(place)
            places[conversation_id] = place
        stored: set[int] = set()
        wanted = [places[conversation_id] for conversation_id in waiting]
        for start in range(0, len(wanted), 400):
            part = wanted[start : start + 400]
            stored.update(connection.execute(sa.select(table.c.place).where(table.c.place.in_(part))).scalars())
        waiting = {key: places[key] for key in waiting if places[key] in stored}
    return places


def tags_of(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the tags of each conversation that has any, by name."""
    table = schema.tags
    found: dict[str, list[str]] = {}
    for chunk in chunks(conversation_ids):
        query = sa.select(table.c.conversation_id, table.c.tag).where(table.c.conversation_id.in_(chunk))
        for row in connection.execute(query.order_by(table.c.tag)):
            found.setdefault(row.conversation_id, []).append(row.tag)
    return found


def refresh(connection: Connection, conversation_ids: Collection[str]) -> None:
    """Bring the signals and facets of conversations up to what is stored about them."""
    talks, texts = schema.conversations, schema.conversation_texts
    for chunk in chunks(sorted(set(conversation_ids))):
        tagged = tags_of(connection, chunk)
        signals = _signals_of(connection, chunk)
        for row in connection.execute(sa.select(talks).where(talks.c.conversation_id.in_(chunk))).all():
            values = dict(row._mapping)
            found = signals.get(row.conversation_id, [])
            if found != row.signals:
                mine = talks.c.conversation_id == row.conversation_id
                connection.execute(sa.update(talks).where(mine).values(signals=found))
            facets = facets_of({**values, "signals": found}, tagged.get(row.conversation_id, ()))
            place = sa.and_(texts.c.place == row.place, texts.c.facets != facets)
            connection.execute(sa.update(texts).where(place).values(facets=facets))


def _signals_of(connection: Connection, conversation_ids: Sequence[str]) -> dict[str, list[str]]:
    turns, signals = schema.failed_turns, schema.signals
    query = (
        sa.select(turns.c.conversation_id, signals.c.kind)
        .join(signals, signals.c.turn_id == turns.c.turn_id)
        .where(turns.c.conversation_id.in_(conversation_ids))
        .distinct()
        .order_by(signals.c.kind)
    )
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.conversation_id, []).append(row.kind)
    return found


def corrected_again(
    mined: Sequence[Mined], before: Mapping[str, Any], overall: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of turns that went well by every detector, and that a person has corrected: they stay."""
    by_people = {row["turn_id"] for row in overall if row["kind"] == CORRECTED}
    failed = {turn.turn_id for item in mined for turn in item.failed}
    there = {turn.turn_id for item in mined for turn in item.conversation.turns}
    return [dict(before[turn_id]._mapping) for turn_id in sorted((by_people & there) - failed)]


def with_kept(
    talks: Sequence[dict[str, Any]],
    turns: Sequence[Mapping[str, Any]],
    corrected: Sequence[Mapping[str, Any]],
    kept: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return the rows of conversations with the signals in them that reading them again does not take back."""
    talk_of = {row["turn_id"]: row["conversation_id"] for row in (*turns, *corrected)}
    more: dict[str, set[str]] = {}
    for row in kept:
        more.setdefault(talk_of[row["turn_id"]], set()).add(row["kind"])
    return [{**talk, "signals": sorted({*talk["signals"], *more.get(talk["conversation_id"], ())})} for talk in talks]


def turns_with(connection: Connection, kind: str) -> set[tuple[str, str]]:
    """Return the turns with a signal of this kind, each with its conversation."""
    signals, turns = schema.signals, schema.failed_turns
    query = sa.select(signals.c.turn_id, turns.c.conversation_id).join(turns, turns.c.turn_id == signals.c.turn_id)
    return {(row.turn_id, row.conversation_id) for row in connection.execute(query.where(signals.c.kind == kind))}
