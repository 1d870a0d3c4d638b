"""Looking through conversations, in the learning database: lists, random draws, and making messages searchable."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.conversation_index import note_returns, refresh, tags_of
from learning.adapters.database import chunks
from learning.adapters.facets import (
    Search,
    as_fts5,
    day_places,
    facets_as_tsquery,
    failure_kinds,
    search_of,
    terms_as_tsquery,
    words_in,
)
from learning.adapters.rows import described
from learning.adapters.store_conversations import GONE, ConversationTables
from learning.browsing_records import Choices, ConversationItem, Filter, ReviewMark
from learning.model import Conversation

OPENING = 200  # characters of the first message that lists show
LOOKED_AT = 2_000  # newest conversations that choices are taken from
PRIME = 2**31 - 1  # of the hash that draws are ordered by


@dataclass(frozen=True)
class _Query:
    """What a filter comes to: where rows are taken from, the place that orders them, and the conditions."""

    source: Any
    place: Any
    where: tuple[Any, ...]


class BrowsingTables(ConversationTables):
    """What lists of conversations read; each writing method is one transaction."""

    # --- lists -----------------------------------------------------------------------------------

    def find_conversations(
        self, wanted: Filter, frustrated_from: float, beyond: int | None, limit: int, newer: bool = False
    ) -> list[ConversationItem]:
        """Return up to `limit` conversations that fit, the newest first.

        Args:
            wanted: the filter.
            frustrated_from: the frustration from which somebody is frustrated.
            beyond: the place that the list goes on from, without it; None at its beginning.
            limit: how many at most.
            newer: go on to the newer ones, those next to `beyond`; else to the older ones.

        """
        with self._database.read() as connection:
            query = self._query(connection, wanted, frustrated_from, with_rows=True)
            if query is None:
                return []
            bounds = () if beyond is None else (query.place > beyond if newer else query.place < beyond,)
            found = _page(query, bounds, limit, newer, is_scattered=bool(wanted.gap))
            rows = connection.execute(found).all()
            return _to_items(connection, rows[::-1] if newer else rows)

    def count_conversations(
        self, wanted: Filter, frustrated_from: float, most: int, newer_than: int | None = None
    ) -> int:
        """Return how many conversations fit, counted up to `most`."""
        with self._database.read() as connection:
            query = self._query(connection, wanted, frustrated_from)
            if query is None:
                return 0
            bounds = () if newer_than is None else (query.place > newer_than,)
            found = sa.select(sa.literal(1)).select_from(query.source).where(*query.where, *bounds).limit(most)
            return int(connection.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar() or 0)

    def draw_conversations(self, wanted: Filter, frustrated_from: float, n: int, seed: int) -> list[ConversationItem]:
        """Return `n` of the conversations that fit, each with the same chance, in random order.

        They are those with the smallest values of a hash that the seed chooses from a universal family (Carter and
        Wegman 1979): the same seed draws the same, and what is added elsewhere changes nothing.
        """
        dice = random.Random(seed)
        factor, shift = dice.randrange(1, PRIME), dice.randrange(PRIME)
        with self._database.read() as connection:
            query = self._query(connection, wanted, frustrated_from)
            if query is None:
                return []
            rank = (query.place % PRIME * factor + shift) % PRIME
            chosen = (
                sa.select(query.place.label("place"))
                .select_from(query.source)
                .where(*query.where)
                .order_by(rank, query.place)
                .limit(n)
            )
            places = list(connection.execute(chosen).scalars())
            table = schema.conversations
            rows = connection.execute(sa.select(table).where(table.c.place.in_(places))).all()
            by_place = {row.place: row for row in rows}
            return _to_items(connection, [by_place[place] for place in places if place in by_place])

    def conversation_items(self, conversation_ids: Sequence[str]) -> list[ConversationItem]:
        """Return those of the conversations that are stored, in the order of their ids' list."""
        table = schema.conversations
        found: dict[str, Any] = {}
        with self._database.read() as connection:
            for chunk in chunks(conversation_ids):
                for row in connection.execute(sa.select(table).where(table.c.conversation_id.in_(chunk))):
                    found[row.conversation_id] = row
            return _to_items(connection, [found[key] for key in conversation_ids if key in found])

    def filter_choices(self) -> Choices:
        """Return what occurs in the newest conversations, the most frequent first, and all tags."""
        table = schema.conversations
        columns = (table.c.channel, table.c.model, table.c.reason, table.c.intents, table.c.signals)
        counted = (*columns, table.c.fallbacks, table.c.service_failures)
        counts: dict[str, Counter[str]] = {name: Counter() for name in ("channel", "model", "reason", "intent", "kind")}
        with self._database.read() as connection:
            query = sa.select(*counted).order_by(table.c.place.desc()).limit(LOOKED_AT)
            for row in connection.execute(query):
                for name in ("channel", "model", "reason"):
                    counts[name][row._mapping[name]] += 1
                counts["intent"].update(row.intents)
                counts["kind"].update(failure_kinds(dict(row._mapping)))
            labels = connection.execute(
                sa.select(schema.label_use.c.label).order_by(schema.label_use.c.label)
            ).scalars()
            counts["intent"].update(dict.fromkeys(labels, 0))
            tagged = sa.select(schema.tags.c.tag, sa.func.count().label("n")).group_by(schema.tags.c.tag)
            tags = Counter({row.tag: row.n for row in connection.execute(tagged)})
        ranked = {name: _ranked(found) for name, found in (*counts.items(), ("tag", tags))}
        return Choices(
            channels=ranked["channel"],
            intents=ranked["intent"],
            models=ranked["model"],
            reasons=ranked["reason"],
            signals=ranked["kind"],
            tags=ranked["tag"],
        )

    def _query(
        self, connection: Connection, wanted: Filter, frustrated_from: float, with_rows: bool = False
    ) -> _Query | None:
        """Return the query for a filter, None where nothing can fit; `with_rows` if conversations are selected."""
        entries = None if wanted.release is None else _answering_entries(connection, wanted.release)
        is_looked_at = self._database.is_sqlite and bool(wanted.person or wanted.gap)
        search = search_of(wanted, frustrated_from, entries, with_steps=not is_looked_at)
        if search.is_hopeless:
            return None
        talks = schema.conversations
        source: Any
        place: Any
        where = _row_conditions(wanted, frustrated_from)
        if is_looked_at:
            # Few conversations fit already: looking at each is quicker than walking the index.
            source = talks
            if wanted.gap and not wanted.person:
                source = _members(wanted.gap)
                where = _step_conditions(wanted, frustrated_from, source)
            place = source.c.place
            where += _looked_at(search, place)
            if search.groups:
                source = source.join(schema.conversation_texts, schema.conversation_texts.c.place == place)
        elif search.is_empty:
            source, place = talks, talks.c.place
        elif self._database.is_sqlite:
            index = sa.table("conversation_search", sa.column("rowid", sa.BigInteger))
            place = index.c.rowid
            source = index.join(talks, talks.c.place == place) if with_rows or where else index
            where.append(_matches(as_fts5(search)))
        else:
            texts = schema.conversation_texts
            place = texts.c.place
            source = texts.join(talks, talks.c.place == place) if with_rows or where else texts
            where += _postgresql_conditions(search)
        first, behind = day_places(wanted.since, wanted.until)
        where += [place >= first] if first is not None else []
        where += [place < behind] if behind is not None else []
        return _Query(source, place, tuple(where))

    # --- making messages searchable --------------------------------------------------------------

    def unsearchable(self, limit: int) -> list[tuple[str, str, int, int]]:
        """Return the newest conversations whose messages cannot be searched: id, sender, first and last row."""
        table = schema.conversations
        columns = (table.c.conversation_id, table.c.sender, table.c.first_row, table.c.last_row)
        query = sa.select(*columns).where(table.c.indexed == sa.false(), table.c.first_row > GONE)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.place.desc()).limit(limit))
            return [(row.conversation_id, row.sender, row.first_row, row.last_row) for row in rows]

    def save_texts(self, read: Sequence[tuple[Conversation, Sequence[str]]], lost: Collection[tuple[str, int]]) -> int:
        """Make conversations searchable by their redacted messages; return how many are that were not.

        Args:
            read: conversations as they are in the tracker store, with each turn's text, redacted.
            lost: (id, last row) of those that the tracker store does not have any more: they stay without texts.

        What was read again, or forgotten, meanwhile is left as it is.

        """
        talks, texts = schema.conversations, schema.conversation_texts
        saved = 0
        with self._database.write() as connection:
            self._check_forgotten(connection)
            for conversation_id, last_row in lost:
                mine = sa.and_(talks.c.conversation_id == conversation_id, talks.c.last_row == last_row)
                connection.execute(sa.update(talks).where(mine).values(indexed=True))
            for conversation, said in read:
                mine = sa.and_(
                    talks.c.conversation_id == conversation.conversation_id,
                    talks.c.last_row == conversation.last_row,
                    talks.c.indexed == sa.false(),
                )
                opening = " ".join(said[0].split())[:OPENING] if said else ""
                values = {**described(conversation), "opening": opening, "indexed": True}
                if connection.execute(sa.update(talks).where(mine).values(**values)).rowcount:
                    own = texts.c.conversation_id == conversation.conversation_id
                    connection.execute(sa.update(texts).where(own).values(text=words_in(said)))
                    saved += 1
            if read:
                # What an earlier version has stored does not know yet who was back.
                since = min(conversation.started for conversation, _ in read)
                note_returns(connection, {conversation.sender for conversation, _ in read}, since)
            refresh(connection, [conversation.conversation_id for conversation, _ in read])
        return saved


def _page(query: _Query, bounds: Sequence[Any], limit: int, newer: bool, is_scattered: bool) -> Any:
    """Return the query of one page.

    What is scattered over the whole table is put into order by its places alone, which an index holds: then only the
    rows of the page are read.
    """
    talks = schema.conversations
    wanted = sa.select(query.place.label("place") if is_scattered else talks).select_from(query.source)
    page = wanted.where(*query.where, *bounds).order_by(query.place if newer else query.place.desc()).limit(limit)
    if not is_scattered:
        return page
    places = page.subquery()
    found = sa.select(talks).where(talks.c.place.in_(sa.select(places.c.place)))
    return found.order_by(talks.c.place if newer else talks.c.place.desc())


def _answering_entries(connection: Connection, release: int) -> list[str]:
    """Return the entries that a release brought to more users than before."""
    table = schema.release_changes
    query = sa.select(table.c.item_id).where(table.c.number == release, table.c.after > table.c.before)
    return list(connection.execute(query.order_by(table.c.item_id)).scalars())


def _members(gap_id: str) -> Any:
    """Return the conversations of a gap on SQLite, with what an index knows of them.

    They are scattered over the whole table. By itself SQLite looks each up by its id and then reads its row: the id is
    unique, which it takes for the better index.
    """
    found = sa.text(
        "SELECT place, frustration, lowest_confidence FROM conversations INDEXED BY ix_conversations_of_gap"
        " WHERE conversation_id IN (SELECT conversation_id FROM failed_turns WHERE gap_id = :gap_id)"
    )
    columns = (schema.conversations.c[name] for name in ("place", "frustration", "lowest_confidence"))
    return found.bindparams(gap_id=gap_id).columns(*columns).subquery("members")


def _step_conditions(wanted: Filter, frustrated_from: float, talks: Any) -> list[Any]:
    """Return the conditions that the inverted index knows in steps only; `talks` has the columns."""
    found: list[Any] = []
    if wanted.min_conf is not None:
        found.append(talks.c.lowest_confidence >= wanted.min_conf)
    if wanted.max_conf is not None:
        found.append(talks.c.lowest_confidence <= wanted.max_conf)
    if wanted.mood:
        found.append(talks.c.frustration >= frustrated_from)
    return found


def _row_conditions(wanted: Filter, frustrated_from: float) -> list[Any]:
    """Return what the inverted index does not tell, or not exactly."""
    talks, turns = schema.conversations, schema.failed_turns
    found = _step_conditions(wanted, frustrated_from, talks)
    if wanted.person:
        found.append(talks.c.sender == wanted.person)
    if wanted.gap:
        members = sa.select(turns.c.conversation_id).where(turns.c.gap_id == wanted.gap)
        found.append(talks.c.conversation_id.in_(members))
    return found


def _matches(asked: str) -> Any:
    return sa.text("conversation_search MATCH :asked").bindparams(asked=asked)


def _looked_at(search: Search, place: Any) -> list[Any]:
    """Return the conditions of a search on single conversations of SQLite: facets as they stand in their row."""
    facets = " " + schema.conversation_texts.c.facets + " "
    found: list[Any] = [
        sa.or_(*(sa.func.instr(facets, f" {one} ") > 0 for one in group)) if group else sa.false()
        for group in search.groups
    ]
    if search.terms or search.without:
        index = sa.table("conversation_search", sa.column("rowid", sa.BigInteger))
        asked = as_fts5(replace(search, groups=()))
        found.append(place.in_(sa.select(index.c.rowid).where(_matches(asked))))
    return found


def _postgresql_conditions(search: Search) -> list[Any]:
    texts = schema.conversation_texts
    found: list[Any] = []
    if search.groups:
        lexemes = sa.func.array_to_tsvector(sa.func.string_to_array(texts.c.facets, sa.text("' '")))
        found.append(lexemes.op("@@")(sa.text("CAST(:facets AS tsquery)").bindparams(facets=facets_as_tsquery(search))))
    if search.terms or search.without:
        words = sa.func.to_tsvector(sa.text("'simple'"), texts.c.text)
        found.append(words.op("@@")(sa.text("CAST(:words AS tsquery)").bindparams(words=terms_as_tsquery(search))))
    return found


def _ranked(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted((value for value in counts if value), key=lambda value: (-counts[value], value)))


def _to_items(connection: Connection, rows: Sequence[Any]) -> list[ConversationItem]:
    tagged = tags_of(connection, [row.conversation_id for row in rows])
    return [
        ConversationItem(
            conversation_id=row.conversation_id,
            cursor=str(row.place),
            sender=row.sender,
            opening=row.opening,
            started=row.started,
            last_at=row.last_at,
            channel=row.channel,
            model=row.model,
            turns=row.turns,
            failed_turns=row.failed_turns,
            intents=tuple(row.intents),
            signals=tuple(failure_kinds(dict(row._mapping))),
            tags=tuple(tagged.get(row.conversation_id, ())),
            lowest_confidence=row.lowest_confidence,
            frustration=row.frustration,
            outcome=row.outcome,
            reason=row.reason,
            thumb=row.thumb,
            thumbs_up=row.thumbs_up,
            thumbs_down=row.thumbs_down,
            csat=row.csat,
            fallbacks=row.fallbacks,
            service_failures=row.service_failures,
            escalated_at=row.escalated_at,
            agent_at=row.agent_at,
            review=ReviewMark(row.review),
        )
        for row in rows
    ]
