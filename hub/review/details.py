"""What the page of one proposal shows: its evidence, what was decided about it, and what can still be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from hub.review.forms import fingerprint
from hub.review.score_words import ScoreView, explain
from hub.review.trends import Trend, read_trends
from hub.review.views import Item, item_order
from learning.evidence import Evidence, read_evidence, read_gap_evidence
from learning.gap_history import Step, read_history, turning_points
from learning.loop import Loop
from learning.model import FALLBACK_INTENT, UPKEEP_GAPS, Decision, FailedTurn, Gap, Proposal, ProposalState
from learning.review import MOVES, NOT_UNDONE, OPEN_STATES, as_decided, effective
from learning.reviewing import notes_on
from learning.second_reading import blind

MESSAGES_READ = 1000  # newest messages of a gap, so that people keep their numbers while it grows a little
TURNS_SAID = 4  # turning points in the sentence that sums the past up
MESSAGES_SHOWN = 50  # more are not read before a decision


@dataclass(frozen=True)
class Message:
    """One redacted message of a gap; people are numbered in the order of their first message."""

    text: str
    at: datetime
    person: int
    intent: str | None
    turn_id: str
    conversation_id: str


@dataclass(frozen=True)
class Broken:
    """A message that went well and would lose its answer, with the label that it has now if that is known."""

    text: str
    label: str


@dataclass(frozen=True)
class Detail:
    """One proposal with its evidence; `seen` goes back with the decision.

    `decided` is the proposal as the decision that counts left it, None where none does. `notes` is what the person who
    decided should know of what they typed. `steps` is the history of the gap, `siblings` are all proposals for it,
    the newest first. `before` and `after` are its neighbors in the queue. `is_blind` where a second reader must not
    see what came of it.
    """

    item: Item
    seen: str
    messages: tuple[Message, ...]
    total_messages: int
    broken: tuple[Broken, ...]
    evidence: Evidence
    score: ScoreView
    trend: Trend | None = None
    steps: tuple[Step, ...] = ()
    siblings: tuple[Proposal, ...] = ()
    before: str | None = None
    after: str | None = None
    history: tuple[Decision, ...] = ()
    decided: Proposal | None = None
    notes: tuple[str, ...] = ()
    is_blind: bool = False

    @property
    def is_open(self) -> bool:
        """Whether somebody may still decide."""
        return self.item.proposal.state in OPEN_STATES

    @property
    def is_upkeep(self) -> bool:
        """Whether it is about labels themselves and has no failed messages behind it."""
        return self.item.is_upkeep

    @property
    def turning_points(self) -> tuple[Step, ...]:
        """The steps that sum the past of the gap up."""
        return turning_points(self.steps)[-TURNS_SAID:]

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
    decided = None if proposal.state in OPEN_STATES else as_decided(proposal, decision)
    proposals = loop.store.proposals()
    siblings = sorted((item for item in proposals if item.gap_id == gap.gap_id), key=_newest_first)
    before, after = _neighbors(loop, proposal, proposals)
    return replace(
        _undecided(loop, proposal),
        trend=read_trends(loop, [gap.gap_id])[gap.gap_id],
        steps=read_history(loop, gap),
        siblings=tuple(siblings),
        before=before,
        after=after,
        history=tuple(history),
        decided=decided,
        notes=notes_on(loop, decision) if decided and decision else (),
    )


@dataclass(frozen=True)
class GapDetail:
    """A gap that nothing is proposed for, with its evidence; `missing` people would bring a proposal about."""

    gap: Gap
    trend: Trend
    messages: tuple[Message, ...]
    total_messages: int
    evidence: Evidence
    steps: tuple[Step, ...]
    missing: int
    is_blind = False

    @property
    def is_upkeep(self) -> bool:
        """Whether it is about labels themselves and has no failed messages behind it."""
        return self.gap.kind in UPKEEP_GAPS


def read_gap(loop: Loop, gap: Gap) -> GapDetail:
    """Return a gap that nothing is proposed for."""
    return GapDetail(
        gap=gap,
        trend=read_trends(loop, [gap.gap_id])[gap.gap_id],
        messages=_messages(loop.store.turns_of_gap(gap.gap_id, newest=MESSAGES_READ))[:MESSAGES_SHOWN],
        total_messages=gap.turns,
        evidence=read_gap_evidence(loop, gap),
        steps=read_history(loop, gap),
        missing=max(0, loop.settings.gaps.min_people - gap.people),
    )


def proposal_of(loop: Loop, gap: Gap) -> Proposal | None:
    """Return the proposal for a gap that waits, or else the newest one, None if there was never any."""
    found = [item for item in loop.store.proposals() if item.gap_id == gap.gap_id]
    return min(found, key=lambda item: (item.state not in OPEN_STATES, *_newest_first(item)), default=None)


def _newest_first(item: Proposal) -> tuple[float, str]:
    return (-item.created_at.timestamp(), item.proposal_id)


def _neighbors(loop: Loop, proposal: Proposal, proposals: Sequence[Proposal]) -> tuple[str | None, str | None]:
    """Return the ids of what stands before and behind a proposal in the inbox; decided, it has no place there."""
    gaps = loop.store.gaps()
    queue = sorted(
        (Item(item, gaps[item.gap_id]) for item in proposals if item.state is ProposalState.PENDING), key=item_order
    )
    ids = [item.proposal.proposal_id for item in queue]
    if proposal.proposal_id not in ids:
        return None, ids[0] if ids else None
    place = ids.index(proposal.proposal_id)
    return ids[place - 1] if place else None, ids[place + 1] if place + 1 < len(ids) else None


def read_blind(loop: Loop, proposal: Proposal) -> Detail:
    """Return a proposal as the first reader met it: nothing on it says what became of it.

    What is answered now might tell that it went live, so that the project's own answers stand in its place.
    """
    detail = _undecided(loop, blind(proposal))
    labels = {answer.label for answer in detail.evidence.answers} | {proposal.label, proposal.target}
    own = tuple(answer for answer in loop.project.answers() if answer.label in labels)
    gap = replace(detail.item.gap, handled_at=None, reopened_at=None)
    evidence = replace(detail.evidence, answers=own, uses=())
    return replace(detail, item=replace(detail.item, gap=gap), evidence=evidence, is_blind=True)


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
        score=explain(proposal.score_parts),
    )


def _messages(turns: Sequence[FailedTurn]) -> tuple[Message, ...]:
    person: dict[str, int] = {}
    for turn in turns:
        person.setdefault(turn.sender, len(person) + 1)
    return tuple(
        Message(
            text=turn.text,
            at=turn.at,
            person=person[turn.sender],
            intent=None if turn.intent in ("", FALLBACK_INTENT) else turn.intent,
            turn_id=turn.turn_id,
            conversation_id=turn.conversation_id,
        )
        for turn in reversed(turns)
    )


def _broken(proposal: Proposal) -> tuple[Broken, ...]:
    if proposal.replay is None:
        return ()
    pairs = zip_longest(proposal.replay.broken_texts, proposal.replay.broken_labels, fillvalue="")
    return tuple(Broken(text, label) for text, label in pairs if text)
