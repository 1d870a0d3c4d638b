"""What the page of one proposal shows: its evidence, what was decided about it, and what can still be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from hub.forms import fingerprint
from hub.views import Item
from learning.evidence import Evidence, read_evidence
from learning.history import Tried, tried_for
from learning.loop import Loop
from learning.model import FALLBACK_INTENT, Decision, FailedTurn, Proposal, ProposalState
from learning.review import MOVES, NOT_UNDONE, OPEN_STATES, as_decided, effective
from learning.reviewing import notes_on
from learning.second_reading import blind

MESSAGES_READ = 1000  # newest messages of a gap, so that people keep their numbers while it grows a little
MESSAGES_SHOWN = 50  # more are not read before a decision


@dataclass(frozen=True)
class Message:
    """One redacted message of a gap; people are numbered in the order of their first message."""

    text: str
    at: datetime
    person: int
    intent: str | None


@dataclass(frozen=True)
class Broken:
    """A message that went well and would lose its answer, with the label that it has now if that is known."""

    text: str
    label: str


@dataclass(frozen=True)
class Detail:
    """One proposal with its evidence; `seen` goes back with the decision.

    `decided` is the proposal as the decision that counts left it, None where none does. `notes` is what the person who
    decided should know of what they typed.
    """

    item: Item
    seen: str
    messages: tuple[Message, ...]
    total_messages: int
    broken: tuple[Broken, ...]
    evidence: Evidence
    tried: tuple[Tried, ...] = ()
    history: tuple[Decision, ...] = ()
    decided: Proposal | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether somebody may still decide."""
        return self.item.proposal.state in OPEN_STATES

    @property
    def can_undo(self) -> bool:
        """Whether the last decision can be taken back."""
        state = self.item.proposal.state
        return state not in NOT_UNDONE and ProposalState.PENDING in MOVES[state]


def read_detail(loop: Loop, proposal: Proposal) -> Detail:
    """Return a proposal with the newest messages of its gap, the talk around them, and its history."""
    gap = loop.store.gap(proposal.gap_id)
    history = loop.store.decisions_about(proposal.proposal_id)
    decision = effective(history).get(proposal.proposal_id)
    tried = tuple(one for one in tried_for(loop, [gap])[gap.gap_id] if one.proposal_id != proposal.proposal_id)
    decided = None if proposal.state in OPEN_STATES else as_decided(proposal, decision)
    return replace(
        _undecided(loop, proposal),
        tried=tried,
        history=tuple(history),
        decided=decided,
        notes=notes_on(loop, decision) if decided and decision else (),
    )


def read_blind(loop: Loop, proposal: Proposal) -> Detail:
    """Return a proposal as the first reader met it: nothing on it says what became of it.

    What is answered now might tell that it went live, so that the project's own answers stand in its place.
    """
    detail = _undecided(loop, blind(proposal))
    labels = {answer.label for answer in detail.evidence.answers} | {proposal.label, proposal.target}
    own = tuple(answer for answer in loop.project.answers() if answer.label in labels)
    gap = replace(detail.item.gap, handled_at=None, reopened_at=None)
    return replace(detail, item=replace(detail.item, gap=gap), evidence=replace(detail.evidence, answers=own, uses=()))


def _undecided(loop: Loop, proposal: Proposal) -> Detail:
    gap = loop.store.gap(proposal.gap_id)
    messages = _messages(loop.store.turns_of_gap(gap.gap_id, newest=MESSAGES_READ))
    return Detail(
        item=Item(proposal, gap),
        seen=fingerprint(proposal),
        messages=messages[:MESSAGES_SHOWN],
        total_messages=gap.turns,
        broken=_broken(proposal),
        evidence=read_evidence(loop, proposal),
    )


def _messages(turns: Sequence[FailedTurn]) -> tuple[Message, ...]:
    person: dict[str, int] = {}
    for turn in turns:
        person.setdefault(turn.sender, len(person) + 1)
    return tuple(
        Message(turn.text, turn.at, person[turn.sender], None if turn.intent in ("", FALLBACK_INTENT) else turn.intent)
        for turn in reversed(turns)
    )


def _broken(proposal: Proposal) -> tuple[Broken, ...]:
    if proposal.replay is None:
        return ()
    pairs = zip_longest(proposal.replay.broken_texts, proposal.replay.broken_labels, fillvalue="")
    return tuple(Broken(text, label) for text, label in pairs if text)
