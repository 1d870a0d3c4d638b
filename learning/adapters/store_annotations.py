"""What people say of conversations, in the learning database: marks, tags, annotations, saved filters and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row, content_hash
from learning.adapters.conversation_index import refresh
from learning.adapters.database import chunks, insert, upsert
from learning.adapters.store_browsing import BrowsingTables
from learning.browsing_records import Annotation, Draw, Filter, ReviewMark, SavedFilter, Verdict
from learning.errors import NotFound
from learning.model import CORRECTED, FailedTurn


class AnnotationTables(BrowsingTables):
    """Marks, tags and annotations, each audited; each writing method is one transaction."""

    # --- whole conversations ---------------------------------------------------------------------

    def set_review_marks(self, conversation_ids: Sequence[str], mark: ReviewMark, who: str, at: datetime) -> list[str]:
        """Set how far the review of conversations is; return those that changed."""
        table = schema.conversations
        with self._database.write() as connection:
            before: dict[str, str] = {}
            for chunk in chunks(list(dict.fromkeys(conversation_ids))):
                query = sa.select(table.c.conversation_id, table.c.review).where(table.c.conversation_id.in_(chunk))
                before.update((row.conversation_id, row.review) for row in connection.execute(query))
            changed = [key for key in sorted(before) if before[key] != mark.value]
            for chunk in chunks(changed):
                mine = table.c.conversation_id.in_(chunk)
                connection.execute(sa.update(table).where(mine).values(review=mark.value))
            for key in changed:
                append_row(connection, at, who, "review-mark", key, before[key], mark.value, "", "")
            refresh(connection, changed)
        return changed

    def add_tags(self, conversation_ids: Sequence[str], tag: str, who: str, at: datetime) -> list[str]:
        """Put a tag on conversations that are stored; return those that did not have it."""
        table = schema.tags
        with self._database.write() as connection:
            lacking = sorted(_stored(connection, conversation_ids) - _tagged(connection, conversation_ids, tag))
            insert(connection, table, [{"conversation_id": key, "tag": tag, "who": who, "at": at} for key in lacking])
            for key in lacking:
                append_row(connection, at, who, "tag", key, "", "", tag, "")
            refresh(connection, lacking)
        return lacking

    def remove_tags(self, conversation_ids: Sequence[str], tag: str, who: str, at: datetime) -> list[str]:
        """Take a tag off conversations; return those that had it."""
        table = schema.tags
        with self._database.write() as connection:
            having = sorted(_tagged(connection, conversation_ids, tag))
            for chunk in chunks(having):
                mine = sa.and_(table.c.tag == tag, table.c.conversation_id.in_(chunk))
                connection.execute(sa.delete(table).where(mine))
            for key in having:
                append_row(connection, at, who, "untag", key, "", "", tag, "")
            refresh(connection, having)
        return having

    # --- turns -----------------------------------------------------------------------------------

    def annotations_of(self, conversation_id: str) -> list[Annotation]:
        """Return what people have said of a conversation's turns and not taken back, the oldest first."""
        table = schema.turn_annotations
        mine = sa.and_(table.c.conversation_id == conversation_id, table.c.undone_at.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).where(mine).order_by(table.c.at, table.c.annotation_id))
            return [_to_annotation(row) for row in rows]

    def annotation(self, annotation_id: str) -> Annotation:
        """Return what somebody has said of a turn; raise `NotFound` where it is not, or was taken back."""
        with self._database.read() as connection:
            return _annotation(connection, annotation_id)

    def annotations_between(self, since: datetime, until: datetime) -> list[Annotation]:
        """Return the annotations of turns from `since` to before `until`, by the turn's time, then their own."""
        table = schema.turn_annotations
        wanted = (table.c.turn_at >= since, table.c.turn_at < until, table.c.undone_at.is_(None))
        order = (table.c.turn_at, table.c.turn_id, table.c.at, table.c.annotation_id)
        with self._database.read() as connection:
            return [_to_annotation(row) for row in connection.execute(sa.select(table).where(*wanted).order_by(*order))]

    def save_annotation(self, annotation: Annotation, seen: Sequence[str] | None) -> bool:
        """Save what somebody has said of a turn; whether the turn's annotations are those that they had `seen`.

        Where they are not, nothing is saved. Its note is in no audit row: it may tell of the customer, who can be
        forgotten.

        Raises:
            NotFound: the conversation is not stored (any more).

        """
        table = schema.turn_annotations
        with self._database.write() as connection:
            if not _stored(connection, [annotation.conversation_id]):
                raise NotFound(
                    "is not stored any more", f"conversation {annotation.conversation_id}", "reload the list"
                )
            mine = sa.and_(table.c.turn_id == annotation.turn_id, table.c.undone_at.is_(None))
            there = sorted(connection.execute(sa.select(table.c.annotation_id).where(mine)).scalars())
            if seen is not None and sorted(seen) != there:
                return False
            if annotation.annotation_id in there:
                return True
            connection.execute(sa.insert(table), {**asdict(annotation), "verdict": annotation.verdict.value})
            said = f"{annotation.said or 'nothing'} -> {annotation.right}" if annotation.right else annotation.said
            evidence = content_hash(annotation.verdict.value, annotation.said, annotation.right, annotation.note)
            append_row(
                connection,
                annotation.at,
                annotation.who,
                "annotate",
                annotation.turn_id,
                "",
                annotation.verdict.value,
                said,
                evidence,
            )
        return True

    def undo_annotation(self, annotation_id: str, who: str, at: datetime) -> Annotation:
        """Take back what somebody has said of a turn; raise `NotFound` where that is done already."""
        table = schema.turn_annotations
        with self._database.write() as connection:
            annotation = _annotation(connection, annotation_id)
            mine = table.c.annotation_id == annotation_id
            connection.execute(sa.update(table).where(mine).values(undone_at=at))
            verdict = annotation.verdict.value
            append_row(connection, at, who, "annotate-undo", annotation.turn_id, verdict, "", annotation.right, "")
        return annotation

    def save_correction(self, turn: FailedTurn) -> None:
        """Let a turn count as failed because a person says so; one that had failed before keeps what is known of it."""
        turns, signals = schema.failed_turns, schema.signals
        (signal,) = turn.signals
        with self._database.write() as connection:
            there = connection.execute(sa.select(turns.c.turn_id).where(turns.c.turn_id == turn.turn_id)).first()
            if there is None:
                row = {key: value for key, value in asdict(turn).items() if key != "signals"}
                connection.execute(sa.insert(turns), {**row, "stage": "noise", "gap_id": None, "vector": None})
            mine = sa.and_(signals.c.turn_id == turn.turn_id, signals.c.kind == CORRECTED)
            connection.execute(sa.delete(signals).where(mine))
            connection.execute(sa.insert(signals), {"turn_id": turn.turn_id, **asdict(signal)})
            refresh(connection, [turn.conversation_id])

    def drop_correction(self, turn_id: str) -> None:
        """Let a turn count as failed no more for the reason that a person has said so."""
        turns, signals = schema.failed_turns, schema.signals
        with self._database.write() as connection:
            mine = sa.and_(signals.c.turn_id == turn_id, signals.c.kind == CORRECTED)
            talks = connection.execute(sa.select(turns.c.conversation_id).where(turns.c.turn_id == turn_id)).scalars()
            conversation_ids = list(talks)
            connection.execute(sa.delete(signals).where(mine))
            others = sa.exists().where(signals.c.turn_id == turns.c.turn_id)
            alone = sa.and_(turns.c.turn_id == turn_id, turns.c.gap_id.is_(None), ~others)
            connection.execute(sa.delete(turns).where(alone))
            refresh(connection, conversation_ids)

    # --- saved filters and draws -----------------------------------------------------------------

    def saved_filters(self, who: str) -> list[SavedFilter]:
        """Return a person's own filters and the shared ones, by name."""
        table = schema.saved_filters
        mine = sa.or_(table.c.who == who, table.c.shared)
        with self._database.read() as connection:
            rows = connection.execute(sa.select(table).where(mine).order_by(sa.func.lower(table.c.name), table.c.who))
            return [_to_filter(row) for row in rows]

    def save_filter(self, saved: SavedFilter) -> None:
        """Keep a filter in place of the one with its id, if there is one."""
        row = {**asdict(saved), "filter": [list(pair) for pair in saved.filter.to_params()]}
        with self._database.write() as connection:
            upsert(connection, schema.saved_filters, "filter_id", row)

    def delete_filter(self, filter_id: str, who: str | None) -> bool:
        """Delete a filter, where `who` is told only their own; whether there was one."""
        table = schema.saved_filters
        mine = [table.c.filter_id == filter_id, *([table.c.who == who] if who is not None else [])]
        with self._database.write() as connection:
            return connection.execute(sa.delete(table).where(*mine)).rowcount > 0

    def save_draw(self, draw: Draw) -> None:
        """Keep a draw; the same one again changes nothing."""
        row: dict[str, Any] = {**asdict(draw), "filter": [list(pair) for pair in draw.filter.to_params()]}
        del row["done"]
        with self._database.write() as connection:
            upsert(connection, schema.draws, "draw_id", row)

    def draw(self, draw_id: str) -> Draw:
        """Return a draw, without what was forgotten since; raise `NotFound` without it."""
        table = schema.draws
        with self._database.read() as connection:
            row = connection.execute(sa.select(table).where(table.c.draw_id == draw_id)).first()
            if row is None:
                raise NotFound("is not there", f"draw {draw_id[:16]}", "draw a new set")
            return _to_draw(connection, row)

    def draws(self, who: str, limit: int) -> list[Draw]:
        """Return the newest draws of a person."""
        table = schema.draws
        query = sa.select(table).where(table.c.who == who).order_by(table.c.at.desc(), table.c.draw_id).limit(limit)
        with self._database.read() as connection:
            return [_to_draw(connection, row) for row in connection.execute(query).all()]


def _stored(connection: Connection, conversation_ids: Sequence[str]) -> set[str]:
    table = schema.conversations
    found: set[str] = set()
    for chunk in chunks(list(dict.fromkeys(conversation_ids))):
        query = sa.select(table.c.conversation_id).where(table.c.conversation_id.in_(chunk))
        found.update(connection.execute(query).scalars())
    return found


def _tagged(connection: Connection, conversation_ids: Sequence[str], tag: str) -> set[str]:
    table = schema.tags
    found: set[str] = set()
    for chunk in chunks(list(dict.fromkeys(conversation_ids))):
        query = sa.select(table.c.conversation_id).where(table.c.tag == tag, table.c.conversation_id.in_(chunk))
        found.update(connection.execute(query).scalars())
    return found


def _annotation(connection: Connection, annotation_id: str) -> Annotation:
    table = schema.turn_annotations
    mine = sa.and_(table.c.annotation_id == annotation_id, table.c.undone_at.is_(None))
    row = connection.execute(sa.select(table).where(mine)).first()
    if row is None:
        raise NotFound("is not there any more", f"annotation {annotation_id[:16]}", "reload the conversation")
    return _to_annotation(row)


def _to_annotation(row: Any) -> Annotation:
    values = dict(row._mapping)
    del values["undone_at"]
    return Annotation(**{**values, "verdict": Verdict(row.verdict)})


def _to_filter(row: Any) -> SavedFilter:
    return SavedFilter(**{**dict(row._mapping), "filter": _filter_of(row.filter)})


def _filter_of(pairs: Sequence[Sequence[str]]) -> Filter:
    return Filter.from_params((name, value) for name, value in pairs)


def _to_draw(connection: Connection, row: Any) -> Draw:
    table = schema.conversations
    marks: dict[str, str] = {}
    for chunk in chunks(row.conversation_ids):
        query = sa.select(table.c.conversation_id, table.c.review).where(table.c.conversation_id.in_(chunk))
        marks.update((found.conversation_id, found.review) for found in connection.execute(query))
    there = tuple(key for key in row.conversation_ids if key in marks)
    done = frozenset(key for key in there if marks[key] == ReviewMark.DONE.value)
    return Draw(
        draw_id=row.draw_id,
        who=row.who,
        at=row.at,
        filter=_filter_of(row.filter),
        seed=row.seed,
        conversation_ids=there,
        done=done,
    )
