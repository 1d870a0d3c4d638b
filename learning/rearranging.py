"""A person knows better what belongs together: a gap is split, gaps are merged, an example goes to another label.

Grouping keeps what a person has put somewhere: a turn that has a gap stays in it, and the means that new turns are
measured by are made anew from the members.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from learning.errors import ReviewError
from learning.fitting import read_labels
from learning.gaps import existing_gap_id
from learning.grouping import judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.model import (
    MOVED,
    SPLIT,
    TEACHING,
    FailedTurn,
    Gap,
    GapKind,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Regrouping,
    RegroupNote,
    content_id,
)
from learning.names import check_name
from learning.proposing import write_proposals
from learning.regroup import divide, divide_in_two, folded, people, rows_saying, without
from learning.review import move, round_id
from learning.vectors import Vectors

PENDING, SUPERSEDED = ProposalState.PENDING, ProposalState.SUPERSEDED
BY_HAND = "Put together by hand: it has not been tried on past messages yet."


def split(loop: Loop, prefix: str, texts: Sequence[str], who: str, at: datetime) -> tuple[Proposal, Proposal | None]:
    """Divide the turns of a proposal in two; return it with what stays, and that of what left, if it makes one.

    Args:
        loop: the loop.
        prefix: the proposal's id, or its first characters.
        texts: messages that belong to another need; those nearest to them go with them. Without any the turns are
            divided where they differ most.
        who: who says so.
        at: the time now.

    Raises:
        ReviewError: the proposal is decided, one of `texts` is none of its messages, or nothing would stay.

    """
    check_name(who)
    proposal = loop.store.proposal(prefix)
    gap = _gap_of(loop, proposal)
    turns = _turns_of(loop, gap)
    vectors = vectors_of(loop, turns)
    rows = np.stack([vectors[turn.turn_id][: loop.encoder.dimension] for turn in turns]) if turns else np.empty((0, 0))
    named = rows_saying(turns, texts)
    missing = [text for text in texts if not rows_saying(turns, [text])]
    if missing:
        raise ReviewError("is none of its messages", f"{missing[0]!r}", "copy it from `review show`")
    moved = [turns[row] for row in (divide(rows, named) if named else divide_in_two(rows) if len(turns) > 1 else ())]
    # The same words go together, whoever said them.
    moved = [turns[row] for row in rows_saying(turns, [turn.text for turn in moved])]
    stay = [turn for turn in turns if turn not in moved]
    if not moved or not stay:
        raise ReviewError(
            "cannot be split: its messages would all stay together",
            f"proposal {proposal.proposal_id}",
            "name fewer of them with --example",
        )
    other = _new_gap(gap, moved)
    after = replace(proposal, examples=without(proposal, moved), people=people(stay), turns=len(stay))
    reason = f"{len(moved)} of {len(turns)} messages are another need"
    regrouping = Regrouping(
        what=SPLIT,
        who=who,
        at=at,
        members={other.gap_id: [turn.turn_id for turn in moved]},
        touched=frozenset({gap.gap_id, other.gap_id}),
        notes=[RegroupNote(proposal.proposal_id, gap.gap_id, other.gap_id, reason)],
        gaps=[other],
        changed=[(proposal, after)],
    )
    loop.store.regroup(regrouping, vectors)
    propose_again(loop, regrouping.touched)
    return loop.store.proposal(proposal.proposal_id), _open_proposal(loop, other.gap_id)


def merge(loop: Loop, prefixes: Sequence[str], who: str, at: datetime) -> Proposal:
    """Unite the turns of several proposals under the first one, which is returned; the others are superseded.

    Raises:
        ReviewError: there are fewer than two, or one of them is decided.

    """
    check_name(who)
    proposals = list({item.proposal_id: item for item in map(loop.store.proposal, prefixes)}.values())
    if len(proposals) < 2:
        raise ReviewError("is only one proposal", ", ".join(prefixes), "name at least two different ones")
    kept, others = proposals[0], proposals[1:]
    home = _gap_of(loop, kept)
    turns = _turns_of(loop, home)
    moved: list[FailedTurn] = []
    for other in others:
        moved += _turns_of(loop, _gap_of(loop, other))
    if home.handled_at is not None and any(turn.at <= home.handled_at for turn in moved):
        raise ReviewError(
            f"was answered on {home.handled_at:%Y-%m-%d}, and older messages cannot join it",
            f"proposal {kept.proposal_id}",
            "name another proposal first",
        )
    everyone = [*turns, *moved]
    after = replace(kept, people=people(everyone), turns=len(everyone))
    regrouping = Regrouping(
        what="merge",
        who=who,
        at=at,
        members={home.gap_id: [turn.turn_id for turn in moved]},
        touched=frozenset({home.gap_id, *(other.gap_id for other in others)}),
        notes=[
            RegroupNote(other.proposal_id, other.state.value, SUPERSEDED.value, f"into {kept.proposal_id}")
            for other in others
        ],
        changed=[(kept, after), *((other, move(other, SUPERSEDED)) for other in others)],
    )
    loop.store.regroup(regrouping, vectors_of(loop, everyone))
    propose_again(loop, regrouping.touched)
    return loop.store.proposal(kept.proposal_id)


def move_example(loop: Loop, prefix: str, text: str, label: str, who: str, at: datetime) -> Proposal:
    """Take an example out of a proposal and propose it for `label`; return the proposal that has it now.

    The turns that say it go to the gap of unrecognized variations of that label.

    Raises:
        ReviewError: the proposal is decided, the text is none of its examples, or the bot does not know the label.

    """
    check_name(who)
    source = loop.store.proposal(prefix)
    gap = _gap_of(loop, source)
    if folded(text) not in map(folded, source.examples):
        raise ReviewError("is none of its examples", f"{text!r}", "copy it from `review show`")
    if label not in read_labels(loop).known:
        raise ReviewError("is no label that the bot knows", f"{label!r}", "take one from the project's domain")
    home = _gap_for(label, gap)
    if home.gap_id == gap.gap_id:
        raise ReviewError(f"adds examples to {label} already", f"proposal {source.proposal_id}", "leave it there")
    turns = _turns_of(loop, gap)
    moved = [turns[row] for row in rows_saying(turns, [text])]
    stay = [turn for turn in turns if turn not in moved]
    left = replace(source, examples=without_text(source, text), people=people(stay), turns=len(stay))
    if not stay:
        left = move(left, SUPERSEDED)
    target = _open_proposal(loop, home.gap_id, PENDING, SUPERSEDED)
    joined = _joined(loop, home, target, text, moved, at)
    notes = [
        RegroupNote(source.proposal_id, gap.gap_id, home.gap_id, f"to {label}"),
        RegroupNote(joined.proposal_id, gap.gap_id, home.gap_id, f"from {source.proposal_id}", text),
    ]
    regrouping = Regrouping(
        what=MOVED,
        who=who,
        at=at,
        members={home.gap_id: [turn.turn_id for turn in moved]},
        touched=frozenset({gap.gap_id, home.gap_id}),
        notes=notes,
        gaps=[home],
        changed=[(source, left), *([(target, joined)] if target else [])],
        made=[] if target else [joined],
    )
    loop.store.regroup(regrouping, vectors_of(loop, moved))
    propose_again(loop, regrouping.touched)
    return loop.store.proposal(joined.proposal_id)


def without_text(proposal: Proposal, text: str) -> tuple[str, ...]:
    """Return the examples without one, however it is written."""
    return tuple(example for example in proposal.examples if folded(example) != folded(text))


# --- gaps and their turns -------------------------------------------------------------------------


def _gap_of(loop: Loop, proposal: Proposal) -> Gap:
    """Return the gap of a proposal whose turns may be moved."""
    item = f"proposal {proposal.proposal_id}"
    if proposal.state is not PENDING:
        raise ReviewError(
            f"is {proposal.state.value}: only what waits can be rearranged", item, "take it back with `review undo`"
        )
    if proposal.kind not in TEACHING:
        raise ReviewError("is about labels, not about messages", item, "approve it, or reject it with a reason")
    return loop.store.gap(proposal.gap_id)


def _turns_of(loop: Loop, gap: Gap) -> list[FailedTurn]:
    """Return the turns that a gap's proposal is made of: where it came back, those since then."""
    return loop.store.turns_of_gap(gap.gap_id, after=gap.handled_at if gap.is_reopened else None)


def vectors_of(loop: Loop, turns: Sequence[FailedTurn]) -> dict[str, Vectors]:
    """Return the encoder's deep vector of each turn, as grouping keeps it."""
    found: dict[str, Vectors] = dict(loop.store.turn_vectors([turn.turn_id for turn in turns]))
    missing = [turn for turn in turns if turn.turn_id not in found]
    if missing:
        rows = np.asarray(loop.encoder.encode_deep([turn.text for turn in missing])).astype(np.float32)
        found.update((turn.turn_id, row) for turn, row in zip(missing, rows, strict=True))
    return found


def _new_gap(gap: Gap, turns: Sequence[FailedTurn]) -> Gap:
    """Return the gap of the turns that leave another; the next step describes it."""
    first = min(turns, key=lambda turn: (turn.at, turn.turn_id))
    return Gap(
        gap_id=content_id("gap", "split", gap.gap_id, min(turn.turn_id for turn in turns)),
        kind=GapKind.NEW_NEED,
        name=gap.name,
        intent=None,
        priority=Priority.LOW,
        turns=len(turns),
        people=people(turns),
        first_seen=first.at,
        last_seen=max(turn.at for turn in turns),
    )


def _gap_for(label: str, source: Gap) -> Gap:
    """Return the gap of unrecognized variations of a label, as it is founded where there is none."""
    return Gap(
        gap_id=existing_gap_id(label),
        kind=GapKind.EXISTING_INTENT,
        name=f"variations of {label}",
        intent=label,
        priority=Priority.LOW,
        turns=0,
        people=0,
        first_seen=source.first_seen,
        last_seen=source.last_seen,
    )


# --- proposals that change with them --------------------------------------------------------------


def _open_proposal(loop: Loop, gap_id: str, *states: ProposalState) -> Proposal | None:
    """Return the proposal of a gap that waits, or is in one of the other states."""
    wanted = states or (PENDING,)
    return next((item for item in loop.store.proposals() if item.gap_id == gap_id and item.state in wanted), None)


def _joined(
    loop: Loop, home: Gap, target: Proposal | None, text: str, moved: Sequence[FailedTurn], at: datetime
) -> Proposal:
    """Return the proposal for a label with one example more, a new one where none waits."""
    if target is not None:
        everyone = [*loop.store.turns_of_gap(home.gap_id), *moved]
        before_it = without_text(target, text) if target.state is PENDING else ()
        waiting = target if target.state is PENDING else move(target, PENDING)
        return replace(waiting, examples=(*before_it, text), people=people(everyone), turns=len(everyone))
    before = [item for item in loop.store.proposals() if item.gap_id == home.gap_id]
    return Proposal(
        proposal_id=round_id(home.gap_id, before),
        gap_id=home.gap_id,
        kind=ProposalKind.EXAMPLES,
        label=str(home.intent),
        examples=(text,),
        answer=None,
        sources=(),
        score=0,
        score_parts=(),
        people=people(moved),
        turns=len(moved),
        state=PENDING,
        created_at=at,
        warnings=(BY_HAND,),
    )


def propose_again(loop: Loop, touched: Collection[str]) -> None:
    """Describe the gaps as they are now, and try and score their proposals anew, as mining does."""
    # Who was forgotten before this is no reason to stop: nothing that was read earlier is written here.
    loop.store.forgotten_until()
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    judge_gaps(loop, known)
    write_proposals(loop, known, encoder, only=touched)
