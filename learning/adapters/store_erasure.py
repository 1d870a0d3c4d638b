"""Erasure in the learning database: a person's rows go, and so does what was derived from them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import WATERMARK, Database, chunks, get_meta, set_meta, upsert
from learning.adapters.derived_answers import sentences
from learning.adapters.derived_texts import SUPERSEDED, WAITING, GapLeft, drop_texts, folded
from learning.adapters.store_evaluation import delete_cases
from learning.model import Erased, GapKind
from learning.texts import words_of

DESCRIBED = 200  # newest messages that name a gap
# Rows that name a conversation, and neither a turn that failed nor its sender.
OF_CONVERSATIONS = (schema.service_calls, schema.conversation_texts, schema.tags, schema.turn_annotations)
PERSONAL = (
    *(schema.conversations, schema.failed_turns, schema.signals, schema.ratings, schema.good_turns),
    *(schema.agent_answers, schema.exposures, schema.vectors, *OF_CONVERSATIONS),
    *(schema.gaps, schema.proposals, schema.decisions, schema.entries, schema.regression_cases),
)
Describe = Callable[[Sequence[str]], str]  # messages of a gap -> its name


class ErasureStore:
    """The part of the store that forgets a person."""

    _database: Database

    def erase(
        self,
        sender: str,
        said: Collection[str],
        describe: Describe,
        until: datetime,
        who: str,
        at: datetime,
        newest_other: int | None = None,
        dry_run: bool = False,
    ) -> Erased:
        """Remove a sender from every table in one transaction, with one row in the audit log; return what went.

        Args:
            sender: the sender's pseudonym.
            said: what the sender is known to have said besides what is stored here.
            describe: names a gap by what is left of it.
            until: mining reads nothing of this sender again that is not newer.
            who: who asked for it.
            at: the time now.
            newest_other: the last row of the tracker store that will be left, where the sender's are deleted there:
                what was read must not end behind it, or new rows would be taken for old ones.
            dry_run: change nothing, and only say what would go.

        """
        with self._database.write() as connection:
            attempt = connection.begin_nested()
            erased = _erase(connection, sender, {folded(text) for text in said}, describe, who, at)
            if erased.found_anything:
                # By its hash nobody can tell whose text a vector belongs to. Mining makes what it needs anew.
                connection.execute(sa.delete(schema.vectors))
            is_new = _remember(connection, sender, until)
            if newest_other is not None and int(get_meta(connection, WATERMARK) or 0) > newest_other:
                set_meta(connection, WATERMARK, str(newest_other))
            if is_new or erased.found_anything:
                append_row(connection, at, who, "forget", sender, "", "", _counts(erased), "")
            if dry_run:
                attempt.rollback()
            else:
                attempt.commit()
        return erased

    def compact(self) -> bool:
        """Take the bytes of what was erased out of the database's files; whether nobody else was in the way."""
        return self._database.compact([table.name for table in PERSONAL])


def _remember(connection: Connection, sender: str, until: datetime) -> bool:
    """Note until when nothing of a sender is read again; whether nothing was noted before."""
    table = schema.forgotten
    before = connection.execute(sa.select(table.c.until).where(table.c.sender == sender)).scalar()
    if before is None or before < until:
        upsert(connection, table, "sender", {"sender": sender, "until": until})
    return before is None


def _counts(erased: Erased) -> str:
    counts = {**erased.rows, "texts": len(erased.texts), "entries": len(erased.entries), "gaps": erased.gaps}
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count) or "nothing was stored"


def _erase(
    connection: Connection, sender: str, said: Collection[str], describe: Describe, who: str, at: datetime
) -> Erased:
    turns, good, talks = schema.failed_turns, schema.good_turns, schema.conversations
    spoken: dict[str, list[str]] = {}  # by gap; what is in none stands under an empty id
    for row in connection.execute(sa.select(turns.c.gap_id, turns.c.text).where(turns.c.sender == sender)):
        spoken.setdefault(row.gap_id or "", []).append(row.text)
    own_talks = sa.select(talks.c.conversation_id).where(talks.c.sender == sender)
    went_well = connection.execute(sa.select(good.c.text).where(good.c.conversation_id.in_(own_talks))).scalars().all()
    texts = {*said, *map(folded, went_well), *(folded(text) for group in spoken.values() for text in group)} - {""}
    agents = schema.agent_answers
    told = sentences(connection.execute(sa.select(agents.c.text).where(agents.c.sender == sender)).scalars())
    rows = _delete_rows(connection, sender)
    rows["regression_cases"] = delete_cases(connection, sender, texts)
    gaps = [_left_of(connection, gap_id, group, describe) for gap_id, group in sorted(spoken.items()) if gap_id]
    gaps += _left_behind(connection, texts, set(spoken), describe) if texts else []
    derived = drop_texts(connection, texts, told, {gap.gap_id: gap for gap in gaps}, who, at)
    removed = [_update_gap(connection, gap, at) for gap in gaps]
    return Erased(sender=sender, rows=rows, gaps=len(gaps), gaps_removed=sum(removed), **derived)


def _delete_rows(connection: Connection, sender: str) -> dict[str, int]:
    """Delete a sender's rows; return how many of each table."""
    turns, talks, good = schema.failed_turns, schema.conversations, schema.good_turns
    turn_ids = connection.execute(sa.select(turns.c.turn_id).where(turns.c.sender == sender)).scalars().all()
    found = 0
    for chunk in chunks(turn_ids):
        found += connection.execute(sa.delete(schema.signals).where(schema.signals.c.turn_id.in_(chunk))).rowcount
    own_talks = sa.select(talks.c.conversation_id).where(talks.c.sender == sender)
    counts = {"signals": found}
    for table, condition in (
        (schema.ratings, schema.ratings.c.sender == sender),
        (schema.agent_answers, schema.agent_answers.c.sender == sender),
        (schema.exposures, schema.exposures.c.sender == sender),
        (good, good.c.conversation_id.in_(own_talks)),
        *((table, table.c.conversation_id.in_(own_talks)) for table in OF_CONVERSATIONS),
        (turns, turns.c.sender == sender),
        (talks, talks.c.sender == sender),
    ):
        counts[table.name] = connection.execute(sa.delete(table).where(condition)).rowcount
    order = ("conversations", "failed_turns", "signals", "ratings", "good_turns", "agent_answers", "exposures")
    return {name: counts[name] for name in (*order, *(table.name for table in OF_CONVERSATIONS))}


def _left_of(connection: Connection, gap_id: str, spoken: Sequence[str], describe: Describe) -> GapLeft:
    """Return a gap without the sender, who said `spoken` in it."""
    turns = schema.failed_turns
    mine = turns.c.gap_id == gap_id
    gap = connection.execute(sa.select(schema.gaps).where(schema.gaps.c.gap_id == gap_id)).first()
    figures = connection.execute(
        sa.select(
            sa.func.count().label("turns"),
            sa.func.count(sa.distinct(turns.c.sender)).label("people"),
            sa.func.min(turns.c.at).label("first_seen"),
            sa.func.max(turns.c.at).label("last_seen"),
        ).where(mine)
    ).one()
    old_name = new_name = str(gap.name) if gap is not None else ""
    lost: set[str] = set()
    # The other kinds are named by the intent that they belong to.
    if gap is not None and gap.kind == GapKind.NEW_NEED.value:
        newest = sa.select(turns.c.text).where(mine).order_by(turns.c.at.desc(), turns.c.turn_id.desc())
        new_name = describe(connection.execute(newest.limit(DESCRIBED)).scalars().all()[::-1])
        lost = _name_words(spoken)
        for text in connection.execute(sa.select(turns.c.text).where(mine)).scalars():
            lost -= _name_words([text])
    return GapLeft(gap_id, old_name, new_name, **dict(figures._mapping), lost_words=frozenset(lost))


def _left_behind(
    connection: Connection, texts: Collection[str], known: Collection[str], describe: Describe
) -> list[GapLeft]:
    """Return the gaps besides `known` that staff have emptied and whose names hold a word that only the sender used.

    When gaps are merged the turns leave, and the names stay.
    """
    gaps, turns, proposals = schema.gaps, schema.failed_turns, schema.proposals
    has_turns = sa.exists().where(turns.c.gap_id == gaps.c.gap_id)
    waits = sa.exists().where(sa.and_(proposals.c.gap_id == gaps.c.gap_id, proposals.c.state.in_(WAITING)))
    empty = sa.select(gaps.c.gap_id, gaps.c.name).where(gaps.c.kind == GapKind.NEW_NEED.value, ~has_turns, ~waits)
    names = {row.gap_id: [str(row.name)] for row in connection.execute(empty) if row.gap_id not in known}
    labels = sa.select(proposals.c.gap_id, proposals.c.label).where(proposals.c.state == SUPERSEDED)
    for row in connection.execute(labels):
        if row.gap_id in names:
            names[row.gap_id].append(row.label.partition("/")[2].replace("_", " "))
    said = _name_words(texts)
    used = set().union(*map(_name_words, names.values())) & said
    lost = frozenset(word for word in used if not _is_said(connection, word))
    return [
        GapLeft(gap_id, found[0], describe([]), 0, 0, None, None, lost)
        for gap_id, found in sorted(names.items())
        if not lost.isdisjoint(_name_words(found))
    ]


def _is_said(connection: Connection, word: str) -> bool:
    """Whether a word of a name is in a turn that failed."""
    text = schema.failed_turns.c.text
    query = sa.select(text).where(sa.func.lower(text).contains(word, autoescape=True))
    return any(word in _name_words([said]) for said in connection.execute(query).scalars())


def _name_words(texts: Collection[str]) -> set[str]:
    return {word.replace("'", "") for text in texts for word in words_of(text)}


def _update_gap(connection: Connection, gap: GapLeft, at: datetime) -> bool:
    """Bring a gap up to what is left of it; whether it was removed.

    One that nobody is left in stays, empty, as long as a proposal belongs to it.
    """
    table, proposals = schema.gaps, schema.proposals
    mine = table.c.gap_id == gap.gap_id
    if not gap.turns:
        query = sa.select(proposals.c.proposal_id).where(proposals.c.gap_id == gap.gap_id).limit(1)
        if connection.execute(query).first() is None:
            connection.execute(sa.delete(table).where(mine))
            return True
    values: dict[str, Any] = {
        "name": gap.new_name,
        "turns": gap.turns,
        "people": gap.people,
        "week": sa.case((table.c.week > gap.people, gap.people), else_=table.c.week),
        "first_seen": gap.first_seen or at,
        "last_seen": gap.last_seen or at,
        # Without a metric the next mining makes the mean anew from the vectors of the members that are left.
        "mean": None,
        "mean_of": 0,
        "metric": "",
        "changed": True,
    }
    connection.execute(sa.update(table).where(mine).values(**values))
    return False
