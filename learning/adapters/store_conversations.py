"""What was read, in the learning database: conversations, failed turns, ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.conversation_index import (
    corrected_again,
    insert_conversations,
    read_kept,
    refresh,
    turns_with,
    with_kept,
)
from learning.adapters.database import WATERMARK, Database, chunks, get_meta, insert, set_meta
from learning.adapters.rows import (
    agent_answer_rows,
    conversation_row,
    exposure_rows,
    failed_turn_row,
    label_uses,
    rating_rows,
    service_call_rows,
)
from learning.errors import StoreError
from learning.model import (
    CORRECTED,
    OFF,
    AgentAnswer,
    GoodTurn,
    LabelRatings,
    LabelUse,
    Mined,
    MinedSender,
    Outcome,
    Signal,
)

GOOD_TURNS_KEPT = 500  # enough to see one broken message in 500; replay must stay a matter of seconds
NOT_STORED = "no longer in the tracker store"
RESTARTED = "tracker_restarted"  # set once row ids have begun anew
GONE = -1  # row of a conversation that the tracker store no longer has
# Kinds that are found by looking over all conversations: reading one of them again does not take them back.
OVERALL_KINDS = ("low_satisfaction", CORRECTED)
TOLD = ("turn_id", "text", "recommended")  # of an agent's answer: what a draft is made from
Told = tuple[Any, ...]  # values of these


class ConversationTables:
    """What reading conversations writes; each writing method is one transaction."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._forgotten: dict[str, float] | None = None

    def watermark(self) -> int:
        """Return the last row id of the tracker store that was mined."""
        with self._database.read() as connection:
            return int(get_meta(connection, WATERMARK) or 0)

    def last_sessions(self, rows: Mapping[str, int]) -> dict[str, int]:
        """Return for each sender the first row of the last conversation that began at its row in `rows` or before."""
        table = schema.conversations
        found: dict[str, int] = {}
        with self._database.read() as connection:
            for chunk in chunks(sorted(rows)):
                query = sa.select(table.c.sender, table.c.first_row).where(
                    table.c.sender.in_(chunk), table.c.first_row > GONE
                )
                for row in connection.execute(query):
                    if row.first_row <= rows[row.sender]:
                        found[row.sender] = max(row.first_row, found.get(row.sender, 0))
        return found

    def idle_conversations(self, before: datetime) -> list[int]:
        """Return the first rows of the conversations that were open and have had no event since `before`."""
        table = schema.conversations
        query = (
            sa.select(table.c.first_row)
            .where(table.c.outcome == Outcome.OPEN.value, table.c.last_at <= before, table.c.first_row > GONE)
            .order_by(table.c.first_row)
        )
        with self._database.read() as connection:
            return [row.first_row for row in connection.execute(query)]

    def give_up(self, before: datetime) -> None:
        """Close the conversations that were open at `before` and that judging did not find in the tracker store."""
        table = schema.conversations
        with self._database.write() as connection:
            connection.execute(
                sa.update(table)
                .where(table.c.outcome == Outcome.OPEN.value, table.c.last_at <= before)
                .values(outcome=Outcome.RESOLVED.value, reason=NOT_STORED)
            )

    def forgotten_until(self) -> dict[str, float]:
        """Return up to when (seconds since 1970) what erased senders did must not be read again.

        From now on this store refuses to write what was mined if somebody is erased in the meantime: it could bring
        back what has just gone.
        """
        with self._database.read() as connection:
            self._forgotten = _forgotten_until(connection)
        return dict(self._forgotten)

    def _check_forgotten(self, connection: Connection) -> None:
        if self._forgotten is not None and _forgotten_until(connection) != self._forgotten:
            raise StoreError(
                "has forgotten somebody while this was mined", "learning database", "mine again; nothing was lost"
            )

    def save_batch(
        self,
        senders: Sequence[MinedSender],
        good_turns: Sequence[GoodTurn],
        watermark: int | None,
        restarted: bool = False,
    ) -> tuple[int, int]:
        """Replace what is kept of each sender from its row on, and advance the watermark; return (signals, new ones).

        A turn that had failed before keeps its gap. Of the turns that went well only the `GOOD_TURNS_KEPT` with the
        smallest ids stay: ids are hashes, so that this is a uniform sample which does not depend on how the store
        was read. Where the tracker store was `restarted` its row ids mean something else: what is stored stays.
        """
        mined = [item for sender in senders for item in sender.conversations]
        failed = [turn for item in mined for turn in item.failed]
        found = [(turn.turn_id, signal) for turn in failed for signal in turn.signals]
        with self._database.write() as connection:
            self._check_forgotten(connection)
            if restarted:
                connection.execute(sa.update(schema.conversations).values(first_row=GONE, last_row=GONE))
                set_meta(connection, RESTARTED, "yes")
            talks = [conversation_row(item.conversation, item.failed) for item in mined]
            kept_of_talks = read_kept(connection, [talk["conversation_id"] for talk in talks])
            before, known, overall, outcomes, told = _delete_from(connection, senders)
            withheld = {one.turn_id for item in mined for one in item.exposures if one.arm == OFF}
            turns = [failed_turn_row(turn, before.get(turn.turn_id), turn.turn_id in withheld) for turn in failed]
            insert(connection, schema.failed_turns, turns)
            _mark_changed(connection, before, outcomes, told, mined)
            corrected = corrected_again(mined, before, overall)
            insert(connection, schema.failed_turns, corrected)
            turn_ids = {*(turn.turn_id for turn in failed), *(row["turn_id"] for row in corrected)}
            kept = [row for row in overall if row["turn_id"] in turn_ids]
            insert_conversations(connection, with_kept(talks, turns, corrected, kept), kept_of_talks)
            rows = [{"turn_id": turn_id, **asdict(signal)} for turn_id, signal in found]
            insert(connection, schema.signals, [*rows, *kept])
            insert(connection, schema.ratings, [row for item in mined for row in rating_rows(item)])
            answers = [row for item in mined for row in agent_answer_rows(item)]
            insert(connection, schema.agent_answers, answers)
            insert(connection, schema.exposures, [row for item in mined for row in exposure_rows(item)])
            insert(connection, schema.service_calls, [row for item in mined for row in service_call_rows(item)])
            _note_use(connection, label_uses(mined))
            if good_turns:
                _keep_sample(connection, good_turns)
            if watermark is not None:
                set_meta(connection, WATERMARK, str(watermark))
        return len(found), sum((turn_id, signal.kind) not in known for turn_id, signal in found)

    def good_turns(self) -> list[GoodTurn]:
        """Return the sample of turns that went well."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(schema.good_turns).order_by(schema.good_turns.c.turn_id))
            return [GoodTurn(**dict(row._mapping)) for row in rows]

    def agent_answers(self, gap_id: str) -> list[AgentAnswer]:
        """Return what human agents wrote about the failed turns of a gap, the oldest first."""
        answers, turns = schema.agent_answers, schema.failed_turns
        query = (
            sa.select(*(column for column in answers.c if column.key != "number"))
            .join(turns, turns.c.turn_id == answers.c.turn_id)
            .where(turns.c.gap_id == gap_id)
            .order_by(answers.c.at, answers.c.turn_id, answers.c.number)
        )
        with self._database.read() as connection:
            return [AgentAnswer(**dict(row._mapping)) for row in connection.execute(query)]

    def conversation_rows(self, conversation_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return the first and the last row of those conversations that are in the tracker store as it is now."""
        table = schema.conversations
        found: dict[str, tuple[int, int]] = {}
        with self._database.read() as connection:
            for chunk in chunks(conversation_ids):
                query = sa.select(table.c.conversation_id, table.c.first_row, table.c.last_row).where(
                    table.c.conversation_id.in_(chunk), table.c.first_row > GONE
                )
                found.update((row.conversation_id, (row.first_row, row.last_row)) for row in connection.execute(query))
        return found

    def label_use(self) -> dict[str, LabelUse]:
        """Return when each label was understood first and last; what is erased later counts on."""
        with self._database.read() as connection:
            rows = connection.execute(sa.select(schema.label_use)).all()
            return {row.label: LabelUse(row.label, row.first_at, row.last_at) for row in rows}

    def good_turn_limit(self) -> str:
        """Return the id from which a turn that went well would not be kept, so that it need not be redacted."""
        table = schema.good_turns
        query = sa.select(table.c.turn_id).order_by(table.c.turn_id).offset(GOOD_TURNS_KEPT - 1).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or "~"  # behind every hexadecimal id

    def counts(self) -> dict[str, int]:
        """Return how many conversations, turns and failed turns have been mined."""
        table = schema.conversations
        query = sa.select(
            sa.func.count().label("conversations"),
            sa.func.coalesce(sa.func.sum(table.c.turns), 0).label("turns"),
            sa.func.coalesce(sa.func.sum(table.c.failed_turns), 0).label("failed_turns"),
        )
        with self._database.read() as connection:
            return {key: int(value) for key, value in dict(connection.execute(query).one()._mapping).items()}

    def conversations_since(self, at: datetime) -> int:
        """Return how many conversations began at this time or later."""
        table = schema.conversations
        query = sa.select(sa.func.count()).where(table.c.started >= at)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar() or 0)

    def outcome_counts(self) -> dict[str, int]:
        """Return how many conversations ended how."""
        table = schema.conversations
        query = sa.select(table.c.outcome, sa.func.count().label("n")).group_by(table.c.outcome)
        with self._database.read() as connection:
            return {row.outcome: row.n for row in connection.execute(query)}

    def signal_counts(self) -> dict[str, int]:
        """Return the number of signals of each kind."""
        query = sa.select(schema.signals.c.kind, sa.func.count().label("n")).group_by(schema.signals.c.kind)
        with self._database.read() as connection:
            return {row.kind: row.n for row in connection.execute(query)}

    def label_ratings(self) -> list[LabelRatings]:
        """Return what the ratings of each label's answer add up to."""
        table = schema.ratings
        query = sa.select(
            table.c.label,
            sa.func.avg(table.c.score).label("share"),
            sa.func.count().label("ratings"),
            sa.func.count(sa.distinct(table.c.sender)).label("people"),
        )
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(table.c.label).order_by(table.c.label))
            return [LabelRatings(row.label, float(row.share), row.ratings, row.people) for row in rows]

    def replace_overall(self, kind: str, found: Mapping[str, Signal]) -> int:
        """Make `found` (label -> signal) the signals of a kind for the turns that were rated down; return new ones."""
        signals, ratings = schema.signals, schema.ratings
        bad = (
            sa.select(ratings.c.turn_id)
            .join(schema.failed_turns, schema.failed_turns.c.turn_id == ratings.c.turn_id)
            .where(ratings.c.score == 0)
        )
        new = 0
        with self._database.write() as connection:
            had = turns_with(connection, kind)
            wanted = bad.where(ratings.c.label.in_(sorted(found)))
            stale = sa.delete(signals).where(signals.c.kind == kind, signals.c.turn_id.notin_(wanted))
            connection.execute(stale)
            there = sa.exists().where(sa.and_(signals.c.turn_id == ratings.c.turn_id, signals.c.kind == kind))
            for label, signal in sorted(found.items()):
                values = (sa.literal(kind), sa.literal(signal.weight), sa.literal(signal.evidence))
                rows = bad.where(ratings.c.label == label, sa.not_(there)).add_columns(*values)
                added = sa.insert(signals).from_select(["turn_id", "kind", "weight", "evidence"], rows)
                new += connection.execute(added).rowcount
            have = turns_with(connection, kind)
            refresh(connection, {talk for turn_id, talk in (had | have) - (had & have)})
        return new


def _forgotten_until(connection: Connection) -> dict[str, float]:
    return {row.sender: row.until.timestamp() for row in connection.execute(sa.select(schema.forgotten))}


def _delete_from(
    connection: Connection, senders: Sequence[MinedSender]
) -> tuple[dict[str, Any], set[tuple[str, str]], list[dict[str, Any]], dict[str, str], set[Told]]:
    """Delete what is known of each sender from its row on.

    Returns the rows of its failed turns by id, the (turn id, kind) of their signals, their overall signals, the
    outcomes of its conversations, and what agents answered in them.
    """
    talks, turns, signals = schema.conversations, schema.failed_turns, schema.signals
    since = {sender.sender: sender.since_row for sender in senders}
    outcomes: dict[str, str] = {}
    for chunk in chunks(list(since)):
        query = sa.select(talks.c.conversation_id, talks.c.sender, talks.c.last_row, talks.c.outcome)
        for row in connection.execute(query.where(talks.c.sender.in_(chunk))):
            if row.last_row >= since[row.sender]:
                outcomes[row.conversation_id] = row.outcome
    stale = list(dict.fromkeys([*outcomes, *_under_old_rows(connection, senders)]))
    before: dict[str, Any] = {}
    known: set[tuple[str, str]] = set()
    overall: list[dict[str, Any]] = []
    told: set[Told] = set()
    for chunk in chunks(stale):
        answers = sa.select(*(schema.agent_answers.c[name] for name in TOLD))
        answers = answers.where(schema.agent_answers.c.conversation_id.in_(chunk))
        told |= {tuple(row) for row in connection.execute(answers)}
        query = sa.select(turns)
        rows = {row.turn_id: row for row in connection.execute(query.where(turns.c.conversation_id.in_(chunk)))}
        before.update(rows)
        for part in chunks(list(rows)):
            for row in connection.execute(sa.select(signals).where(signals.c.turn_id.in_(part))):
                known.add((row.turn_id, row.kind))
                if row.kind in OVERALL_KINDS:
                    overall.append(dict(row._mapping))
            connection.execute(sa.delete(signals).where(signals.c.turn_id.in_(part)))
        of_turns = (turns, schema.ratings, schema.good_turns, schema.agent_answers, schema.exposures)
        for table in (talks, schema.service_calls, schema.conversation_texts, *of_turns):
            connection.execute(sa.delete(table).where(table.c.conversation_id.in_(chunk)))
    return before, known, overall, outcomes, told


def _under_old_rows(connection: Connection, senders: Sequence[MinedSender]) -> set[str]:
    """Return stored conversations that come again under other rows, as they do where a backup was restored."""
    if get_meta(connection, RESTARTED) is None:
        return set()
    mined = [item for sender in senders for item in sender.conversations]
    talks = schema.conversations.c.conversation_id
    found: set[str] = set()
    for chunk in chunks([item.conversation.conversation_id for item in mined]):
        found |= {row.conversation_id for row in connection.execute(sa.select(talks).where(talks.in_(chunk)))}
    turn_ids = [turn.turn_id for item in mined for turn in item.conversation.turns]
    for table in (schema.failed_turns, schema.ratings, schema.good_turns, schema.agent_answers, schema.exposures):
        for chunk in chunks(turn_ids):
            query = sa.select(table.c.conversation_id).where(table.c.turn_id.in_(chunk))
            found |= {row.conversation_id for row in connection.execute(query)}
    return found


def _mark_changed(
    connection: Connection,
    before: Mapping[str, Any],
    outcomes: Mapping[str, str],
    told: Set[Told],
    mined: Sequence[Mined],
) -> None:
    """Note the gaps that change because a conversation was read again.

    A turn is gone, the conversation ended, or an agent has answered or said that the bot should have.
    """
    now_told = {tuple(getattr(answer, name) for name in TOLD) for item in mined for answer in item.agent_answers}
    answered = {turn_id for turn_id, *_ in told ^ now_told}
    weights = {turn.turn_id: turn.weight for item in mined for turn in item.failed}
    ended = {
        item.conversation.conversation_id
        for item in mined
        if outcomes.get(item.conversation.conversation_id) != item.conversation.outcome.value
    }
    moved = {
        row.gap_id
        for turn_id, row in before.items()
        if row.gap_id and (weights.get(turn_id) != row.weight or row.conversation_id in ended or turn_id in answered)
    }
    for chunk in chunks(sorted(moved)):
        connection.execute(sa.update(schema.gaps).where(schema.gaps.c.gap_id.in_(chunk)).values(changed=True))


def _note_use(connection: Connection, uses: Mapping[str, tuple[datetime, datetime]]) -> None:
    """Widen the time in which each label was understood; reading a conversation again changes nothing."""
    table = schema.label_use
    before = {row.label: row for row in connection.execute(sa.select(table).where(table.c.label.in_(sorted(uses))))}
    fresh = []
    for label, (first, last) in sorted(uses.items()):
        old = before.get(label)
        if old is None:
            fresh.append({"label": label, "first_at": first, "last_at": last})
        elif first < old.first_at or last > old.last_at:
            values = {"first_at": min(first, old.first_at), "last_at": max(last, old.last_at)}
            connection.execute(sa.update(table).where(table.c.label == label).values(**values))
    insert(connection, table, fresh)


def _keep_sample(connection: Connection, good_turns: Sequence[GoodTurn]) -> None:
    good = schema.good_turns
    insert(connection, good, [asdict(turn) for turn in good_turns])
    last = sa.select(good.c.turn_id).order_by(good.c.turn_id).offset(GOOD_TURNS_KEPT - 1).limit(1)
    limit = connection.execute(last).scalar()
    if limit is not None:
        connection.execute(sa.delete(good).where(good.c.turn_id > limit))
