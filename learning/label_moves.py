"""What follows from labels that people gave: turns go to the gap of their label, and its proposal gets their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from learning.fitting import read_labels
from learning.gaps import existing_gap_id, named_gap_id
from learning.label_files import NOTHING
from learning.label_tasks import taught_examples
from learning.loop import Loop
from learning.model import (
    LEARNED_INTENT,
    LIVE,
    MOVED,
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
)
from learning.names import check_name
from learning.rearranging import BY_HAND, vectors_of
from learning.regroup import folded, people
from learning.review import OPEN_STATES, move, round_id
from learning.texts import plain_text

NO_GAP = ""  # where turns go that teach nothing
SUPERSEDED = ProposalState.SUPERSEDED


@dataclass(frozen=True)
class Labelled:
    """A turn with the label that people gave it, in the gap `gap_id` or in none; `place` names its row."""

    turn: FailedTurn
    gap_id: str
    label: str
    who: tuple[str, ...]
    place: str


class Moves:
    """The one regrouping that follows from all labels of a file; `regrouping` is None where nothing changes.

    `moved` messages go to another gap, `dropped` ones teach nothing, `confirmed` ones stay where they are; `proposals`
    are the ids of those that change or are new, `vectors` what the store wants to know of turns that move.
    """

    def __init__(self, loop: Loop, labelled: Sequence[Labelled], who: str, at: datetime) -> None:
        check_name(who)
        self._loop = loop
        self._at = at
        self._gaps = loop.store.gaps()
        self._proposals = loop.store.proposals()
        self._known = read_labels(loop).known
        self._taught = {(example.label, folded(example.text)) for example in taught_examples(loop)}
        self._turns: dict[str, list[FailedTurn]] = {}
        self._homes: dict[str, Gap] = {}  # by label
        self._label_of: dict[str, str] = {}  # by the gap that collects it
        self._joining: dict[str, dict[str, FailedTurn]] = {}  # by the gap that turns go to, then by their ids
        self._leaving: dict[str, set[str]] = {}  # words that leave a gap, folded
        self._texts: dict[str, dict[str, str]] = {}  # by gap: words that its proposal gets, folded -> as an example
        self._notes: list[RegroupNote] = []
        self.confirmed = self.moved = self.dropped = self.decided = 0
        for item in labelled:
            self._take(item)
        touched = sorted({*self._leaving, *self._joining, *self._texts} - {NO_GAP})
        changes = [change for gap_id in touched if (change := self._change(gap_id)) is not None]
        changed = [(before, after) for before, after in changes if before is not None]
        made = [after for before, after in changes if before is None]
        moving = [turn for turns in self._joining.values() for turn in turns.values()]
        self.proposals = tuple(after.proposal_id for _, after in changes)
        self.vectors = vectors_of(loop, moving)
        self.regrouping: Regrouping | None = None
        if moving or changes:
            self.regrouping = Regrouping(
                what=MOVED,
                who=who,
                at=at,
                members={gap_id: sorted(turns) for gap_id, turns in self._joining.items()},
                touched=frozenset(touched),
                notes=self._notes,
                gaps=[home for home in self._homes.values() if home.gap_id not in self._gaps],
                changed=changed,
                made=made,
            )

    # --- where a message goes ------------------------------------------------------------------------

    def _take(self, item: Labelled) -> None:
        """Sort one label in."""
        source = self._gaps.get(item.gap_id)
        if source is not None and source.kind is GapKind.WEAK_ANSWER and source.intent == item.label:
            self.confirmed += 1  # it was understood: what is wrong is the answer
            return
        if self._was_decided(item):
            self.decided += 1
            return
        words, example = folded(item.turn.text), plain_text(item.turn.text)
        target = NO_GAP if item.label == NOTHING else self._home(item).gap_id
        if target == item.gap_id:
            self.confirmed += 1
        else:
            self.moved += target != NO_GAP
            self.dropped += target == NO_GAP
            # The same words go together, whoever said them.
            said = [turn for turn in self._turns_of(item.gap_id) if folded(turn.text) == words]
            self._joining.setdefault(target, {}).update((turn.turn_id, turn) for turn in (*said, item.turn))
            self._leaving.setdefault(item.gap_id, set()).add(words)
        self._label_of[target] = item.label
        wanted = target != NO_GAP and bool(example) and (item.label, words) not in self._taught
        open_proposal = self._open(target)
        if wanted and words not in map(folded, open_proposal.examples if open_proposal else ()):
            self._texts.setdefault(target, {})[words] = example
        elif target == item.gap_id:
            return
        about = self._proposal_id(target or item.gap_id)
        reason = f"labelled {item.label} by {', '.join(item.who) or 'an import'}"
        self._notes.append(RegroupNote(about, item.gap_id, target, reason, example if wanted else ""))

    def _own(self, item: Labelled) -> set[ProposalState]:
        """Return the states of what the message's own gap was proposed for under this label."""
        about = (item.gap_id, item.label)
        return {one.state for one in self._proposals if item.gap_id and (one.gap_id, one.label) == about}

    def _was_decided(self, item: Labelled) -> bool:
        """Whether somebody has decided about just that, and nothing of it waits or is live."""
        return bool(self._own(item)) and not self._own(item) & {*OPEN_STATES, SUPERSEDED, *LIVE}

    def _home(self, item: Labelled) -> Gap:
        """Return the gap that collects messages of a label, as it is founded where there is none."""
        label = item.label
        if self._own(item) & {*OPEN_STATES, *LIVE}:
            return self._gaps[item.gap_id]
        proposed = [one for one in self._proposals if one.label == label and one.state in OPEN_STATES]
        if label not in self._known and proposed:
            return self._gaps[proposed[0].gap_id]
        if label not in self._homes:
            name = label.removeprefix(f"{LEARNED_INTENT}/").replace("_", " ")
            home = (
                _founded(existing_gap_id(label), GapKind.EXISTING_INTENT, f"variations of {label}", label, self._at)
                if label in self._known
                else _founded(named_gap_id(name), GapKind.NEW_NEED, name, None, self._at)
            )
            self._homes[label] = self._gaps.get(home.gap_id, home)
        return self._homes[label]

    def _turns_of(self, gap_id: str) -> list[FailedTurn]:
        if gap_id not in self._turns:
            self._turns[gap_id] = self._loop.store.turns_of_gap(gap_id) if gap_id else []
        return self._turns[gap_id]

    # --- what becomes of proposals -------------------------------------------------------------------

    def _open(self, gap_id: str) -> Proposal | None:
        """Return the teaching proposal of a gap that waits, or would wait again."""
        states = (*OPEN_STATES, SUPERSEDED)
        own = [item for item in self._proposals if item.gap_id == gap_id and item.kind in TEACHING]
        return next((item for item in own if item.state in states), None)

    def _proposal_id(self, gap_id: str) -> str:
        """Return the id of a gap's waiting proposal, or that of the next one."""
        waiting = self._open(gap_id)
        if waiting is not None:
            return waiting.proposal_id
        return round_id(gap_id, [item for item in self._proposals if item.gap_id == gap_id])

    def _change(self, gap_id: str) -> tuple[Proposal | None, Proposal] | None:
        """Return the proposal of a gap before and after, None where it stays as it is."""
        before, texts = self._open(gap_id), self._texts.get(gap_id, {})
        left = self._leaving.get(gap_id, set())
        members = [turn for turn in self._turns_of(gap_id) if folded(turn.text) not in left]
        members += self._joining.get(gap_id, {}).values()
        if before is None:
            return (None, self._new_proposal(gap_id, texts, members)) if texts else None
        kept = () if before.state is SUPERSEDED else before.examples
        examples = (*(text for text in kept if folded(text) not in left), *texts.values())
        after = replace(before, examples=examples, people=people(members), turns=len(members))
        if before.state is SUPERSEDED:
            return (before, move(after, ProposalState.PENDING)) if texts else None
        if not examples and before.state is ProposalState.PENDING:
            return before, move(after, SUPERSEDED)
        return (before, after) if examples != before.examples else None

    def _new_proposal(self, gap_id: str, texts: Mapping[str, str], members: Sequence[FailedTurn]) -> Proposal:
        label = self._label_of[gap_id]
        return Proposal(
            proposal_id=self._proposal_id(gap_id),
            gap_id=gap_id,
            kind=ProposalKind.EXAMPLES if label in self._known else ProposalKind.ANSWER,
            label=label,
            examples=tuple(texts.values()),
            answer=None,
            sources=(),
            score=0,
            score_parts=(),
            people=people(members),
            turns=len(members),
            state=ProposalState.PENDING,
            created_at=self._at,
            warnings=(BY_HAND,),
        )


def _founded(gap_id: str, kind: GapKind, name: str, intent: str | None, at: datetime) -> Gap:
    """Return a gap without figures: judging gives them."""
    return Gap(
        gap_id=gap_id,
        kind=kind,
        name=name,
        intent=intent,
        priority=Priority.LOW,
        turns=0,
        people=0,
        first_seen=at,
        last_seen=at,
    )
