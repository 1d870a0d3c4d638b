"""What was made of many people's words, in the learning database: proposals, decisions and published entries.

They hold words, not people. A text is dropped wherever it stands once nobody else's turn in the same gap, or in the
sample of turns that went well, says the same; texts are compared as examples are made: plain, and without regard to
case. What agents told a person goes in the same manner, see `derived_answers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.adapters.audit_log import append_row
from learning.adapters.database import bump_overlay, chunks
from learning.adapters.derived_answers import drafted_answers, is_drafted, lost_sentences, without
from learning.adapters.live_set import LIVE_VALUES, WITHDRAWN, change_live_set, read_entries
from learning.fitting import hanging
from learning.model import LIVE, TEACHING, Change, ProposalKind, ProposalState, ReleaseKind
from learning.overlay import pack_vectors
from learning.proposals import learned_label
from learning.texts import plain_text

WAITING = (ProposalState.PENDING.value, ProposalState.DEFERRED.value)
SUPERSEDED = ProposalState.SUPERSEDED.value
NEVER_LIVE = (*WAITING, ProposalState.REJECTED.value, SUPERSEDED)
UNPUBLISHED = (ProposalState.APPROVED.value, ProposalState.EDITED.value)


@dataclass(frozen=True)
class GapLeft:
    """A gap without one person: its name before and after, its figures, and the words that nobody else used."""

    gap_id: str
    old_name: str
    new_name: str
    turns: int
    people: int
    first_seen: datetime | None
    last_seen: datetime | None
    lost_words: frozenset[str]


@dataclass(frozen=True)
class _Erasure:
    """What goes: texts of the person, folded, and sentences of agents; `went_well` is what others said."""

    dropped: frozenset[str]
    lost: frozenset[str]
    went_well: frozenset[str]
    who: str
    at: datetime


def folded(text: str) -> str:
    """Return what two texts are compared by: the example that they would make, without regard to case."""
    return plain_text(text).casefold()


def drop_texts(
    connection: Connection,
    texts: Collection[str],
    told: Collection[str],
    gaps: Mapping[str, GapLeft],
    who: str,
    at: datetime,
) -> dict[str, Any]:
    """Drop what only one person said, of `texts`, or was told; return the counts of `model.Erased` about it.

    Args:
        connection: in the erasure's transaction; the person's own rows are gone already.
        texts: everything that the person said, folded.
        told: the sentences that agents told the person, see `derived_answers.sentences`.
        gaps: those that the person was in, as they are now.
        who: who asked for it.
        at: the time now.

    """
    proposals, entries, decisions = (
        connection.execute(sa.select(table)).all() for table in (schema.proposals, schema.entries, schema.decisions)
    )
    went_well = frozenset(folded(text) for text in connection.execute(sa.select(schema.good_turns.c.text)).scalars())
    hits = _find(texts, proposals, entries, decisions)
    found = set().union(*hits.values()) if hits else set()
    shared = (found & went_well) | _said_in(connection, hits, found)
    dropped = frozenset(found - shared)
    lost = lost_sentences(connection, told, proposals)
    decided = [_clean_decision(connection, row, dropped) for row in decisions]
    cleaned = [row for row in entries if _clean_entry(connection, row, dropped)]
    withdrawn = [row for row in cleaned if row.state in LIVE_VALUES and _teaches_nothing(row, row.examples, dropped)]
    if cleaned:
        _tell_overlay(connection, cleaned)
    if withdrawn:
        changes = _taken_back(connection, {row.entry_id for row in withdrawn})
        change_live_set(connection, ReleaseKind.WITHDRAW, changes, who, at, "no example is left")
    over_with = {row.proposal_id for row in withdrawn} | _emptied(proposals, decisions, dropped)
    erasure = _Erasure(dropped, lost, went_well, who, at)
    outcomes = [
        _clean_proposal(connection, row, erasure, gaps.get(row.gap_id), row.proposal_id in over_with)
        for row in proposals
    ]
    named = {row.label for row in proposals if _names_lost_word(row, gaps.get(row.gap_id))}
    named |= _clean_answers(connection, proposals, decisions, over_with, lost)
    return {
        "texts": tuple(sorted(dropped)),
        "shared": len(shared),
        "proposals": outcomes.count("changed"),
        "proposals_removed": outcomes.count("removed"),
        "decisions": sum(decided),
        "entries": tuple(row.label for row in cleaned),
        "withdrawn": tuple(row.label for row in withdrawn),
        "named": tuple(sorted(named)),
    }


# --- what is only this person's ---------------------------------------------------------------------


def _find(
    texts: Collection[str], proposals: Sequence[Any], entries: Sequence[Any], decisions: Sequence[Any]
) -> dict[str, set[str]]:
    """Return which of `texts` are among examples, by the gap that the examples belong to."""
    gap_of = {row.proposal_id: row.gap_id for row in proposals}
    places: list[tuple[str, Iterable[str]]] = [(row.proposal_id, row.examples) for row in (*proposals, *entries)]
    places += [(row.proposal_id, row.content.get("examples") or ()) for row in decisions]
    wanted = set(texts)
    hits: dict[str, set[str]] = {}
    for proposal_id, examples in places:
        if found := {folded(text) for text in examples} & wanted:
            hits.setdefault(gap_of.get(proposal_id, ""), set()).update(found)
    return hits


def _said_in(connection: Connection, gap_ids: Iterable[str], texts: Collection[str]) -> set[str]:
    """Return those of `texts` that somebody says in one of the gaps."""
    table = schema.failed_turns
    said: set[str] = set()
    for gap_id in gap_ids:
        query = sa.select(table.c.text).where(table.c.gap_id == gap_id).distinct()
        said |= {folded(text) for text in connection.execute(query).scalars()} & set(texts)
    return said


def _kept(texts: Iterable[str], dropped: Collection[str]) -> list[str]:
    return [text for text in texts if folded(text) not in dropped]


def _names_lost_word(proposal: Any, gap: GapLeft | None) -> bool:
    """Whether the name of something that staff approved holds a word that only the erased person used."""
    if gap is None or proposal.state in NEVER_LIVE or proposal.kind != ProposalKind.ANSWER.value:
        return False
    return _holds_lost_word(proposal.label, gap)


def _holds_lost_word(label: str, gap: GapLeft) -> bool:
    return not gap.lost_words.isdisjoint(label.partition("/")[2].split("_"))


# --- dropping it --------------------------------------------------------------------------------------


def _clean_decision(connection: Connection, row: Any, dropped: Collection[str]) -> bool:
    examples = row.content.get("examples") or []
    kept = _kept(examples, dropped)
    if len(kept) == len(examples):
        return False
    table = schema.decisions
    content = {**row.content, "examples": kept}
    connection.execute(sa.update(table).where(table.c.number == row.number).values(content=content))
    return True


def _tell_overlay(connection: Connection, rows: Sequence[Any]) -> None:
    """Make running bots read entries anew."""
    table, version = schema.entries, bump_overlay(connection)
    for chunk in chunks([row.entry_id for row in rows]):
        connection.execute(sa.update(table).where(table.c.entry_id.in_(chunk)).values(changed=version))


def _taken_back(connection: Connection, empty: Collection[str]) -> list[Change]:
    """Return the changes that take back entries without examples, and what hangs on the answers among them."""
    live = read_entries(connection, LIVE)
    gone = {entry.entry_id: entry for entry in live if entry.entry_id in empty}
    gone.update({other.entry_id: other for entry in list(gone.values()) for other in hanging(entry, live, ())})
    return [Change(entry_id, entry.live_share, 0) for entry_id, entry in gone.items()]


def _clean_entry(connection: Connection, row: Any, dropped: Collection[str]) -> bool:
    """Take examples with their vectors out of an entry."""
    places = [place for place, text in enumerate(row.examples) if folded(text) not in dropped]
    if len(places) == len(row.examples):
        return False
    values: dict[str, Any] = {
        "examples": [row.examples[place] for place in places],
        "vectors": _rows_of(row.vectors, len(row.examples), places),
    }
    table = schema.entries
    connection.execute(sa.update(table).where(table.c.entry_id == row.entry_id).values(**values))
    return True


def _teaches_nothing(row: Any, examples: Sequence[str], dropped: Collection[str]) -> bool:
    """Whether none of the examples is left that a proposal or an entry teaches; what is mere evidence may go."""
    return ProposalKind(row.kind) in TEACHING and not _kept(examples, dropped)


def _emptied(proposals: Sequence[Any], decisions: Sequence[Any], dropped: Collection[str]) -> set[str]:
    """Return the proposals that were approved, are not live yet, and of whose examples as decided none is left."""
    in_order = sorted(decisions, key=lambda row: int(row.number))  # the last one counts
    edited = {row.proposal_id: row.content.get("examples") for row in in_order}
    return {
        row.proposal_id
        for row in proposals
        if row.state in UNPUBLISHED
        and _teaches_nothing(
            row, row.examples if edited.get(row.proposal_id) is None else edited[row.proposal_id], dropped
        )
    }


def _rows_of(raw: bytes | None, count: int, places: Sequence[int]) -> bytes | None:
    """Return some of `count` packed vectors; None where they are damaged, so that they are made anew."""
    item = np.dtype("<f4").itemsize
    if not raw or len(raw) % (count * item):
        return None
    return pack_vectors(np.frombuffer(raw, dtype="<f4").reshape(count, -1)[list(places)])


def _clean_answers(
    connection: Connection,
    proposals: Sequence[Any],
    decisions: Sequence[Any],
    over_with: Collection[str],
    lost: Collection[str],
) -> set[str]:
    """Take answers that repeat lost sentences out of withdrawn entries; return the labels that still give one."""
    drafted = drafted_answers(proposals, lost)
    in_order = sorted(decisions, key=lambda row: int(row.number))  # the last one counts
    edited = {row.proposal_id: row.content["answer"] for row in in_order if row.content.get("answer") is not None}
    table = schema.entries
    still: set[str] = set()
    for row in connection.execute(sa.select(table)).all():
        if not is_drafted(row.proposal_id, row.answer, lost, drafted):
            continue
        if row.state == WITHDRAWN:
            connection.execute(sa.update(table).where(table.c.entry_id == row.entry_id).values(answer=None))
        else:
            still.add(row.label)
    for row in proposals:
        answer = edited.get(row.proposal_id, row.answer)
        if row.state in UNPUBLISHED and row.proposal_id not in over_with:
            still |= {row.label} if is_drafted(row.proposal_id, answer, lost, drafted) else set()
    return still


def _clean_proposal(connection: Connection, row: Any, erasure: _Erasure, gap: GapLeft | None, is_over: bool) -> str:
    """Take texts out of a proposal and bring its figures up to date; return what became of it.

    It `is_over` where nothing is left of what somebody approved.
    """
    table = schema.proposals
    mine = table.c.proposal_id == row.proposal_id
    kept = _kept(row.examples, erasure.dropped)
    state = WITHDRAWN if is_over else row.state
    values = without(row, erasure.lost, keeps_answer=state in (*UNPUBLISHED, *LIVE_VALUES))
    nobody_asks = gap is not None and not gap.turns and row.state in (ProposalState.PENDING.value, SUPERSEDED)
    nothing_left = row.state in (*WAITING, SUPERSEDED) and row.examples and not kept
    # Without its answer a new question may still get one from a reviewer; to word one anew there is nothing to say.
    no_answer = row.state in WAITING and row.kind == ProposalKind.REWORD.value and "answer" in values
    if nobody_asks or nothing_left or no_answer:
        connection.execute(sa.delete(table).where(mine))
        return "removed"
    if len(kept) < len(row.examples):
        values["examples"] = kept
    if row.replay is not None:
        # The sample that these came from changes: what nobody is known to have said may be this person's.
        broken = row.replay["broken_texts"]
        labels = row.replay.get("broken_labels", [])  # older rows have none
        places = [place for place, text in enumerate(broken) if folded(text) in erasure.went_well]
        if len(places) < len(broken):
            left = {"broken_texts": [broken[place] for place in places]}
            if labels:
                left["broken_labels"] = [labels[place] for place in places]
            values["replay"] = {**row.replay, **left}
    if gap is not None and row.state in WAITING:
        values.update(people=min(row.people, gap.people), turns=min(row.turns, gap.turns))
    is_answer = row.kind == ProposalKind.ANSWER.value
    # What waits longer than its gap had this name may have an older one.
    is_named = gap is not None and (row.label == learned_label(gap.old_name) or _holds_lost_word(row.label, gap))
    if gap is not None and row.state in NEVER_LIVE and is_answer and is_named:
        values["label"] = learned_label(gap.new_name)
    if is_over:
        values["state"] = WITHDRAWN
        if row.state in UNPUBLISHED:  # of what is live, its entry says so
            why = "no example is left"
            append_row(connection, erasure.at, erasure.who, "withdraw", row.proposal_id, row.state, WITHDRAWN, why, "")
    if all(row._mapping[name] == value for name, value in values.items()):
        return ""
    connection.execute(sa.update(table).where(mine).values(**values))
    return "changed"
