"""What speaks for a proposal: who asked, since when, where, what came before and after, and what people answered.

Figures come from what was mined. The turns around a failed one are read from the tracker store whenever somebody
looks, redacted, and kept nowhere: whoever is forgotten there is gone from here, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from learning.conversations import LONGEST_SESSION, build
from learning.current_answers import current_answers
from learning.errors import EvergreenError
from learning.loop import Loop
from learning.model import (
    UPKEEP_GAPS,
    Answer,
    FailedTurn,
    Gap,
    LabelUse,
    Proposal,
    ProposalKind,
    Turn,
    sender_key,
)
from learning.ports import TrackerEvents

SAMPLES = 5  # conversations that are shown
BEFORE = AFTER = 2  # turns around the failed one
COUNTED = 2_000  # newest failed turns that figures are made of; a gap with more tells its own
AGENT_REPLIES = 5  # different ones that are shown


class Speaker(str, Enum):
    """Who said a line."""

    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"


@dataclass(frozen=True)
class Line:
    """One line of a conversation, redacted; `failed` marks the one that the proposal is about."""

    speaker: Speaker
    text: str
    at: datetime  # of the customer's turn that it belongs to
    failed: bool = False


@dataclass(frozen=True)
class Sample:
    """A failed turn among the turns around it, and what went wrong with it."""

    turn_id: str
    at: datetime
    channel: str
    signals: tuple[str, ...]
    lines: tuple[Line, ...]
    conversation_id: str = ""


@dataclass(frozen=True)
class AgentReply:
    """What human agents answered to the same need: the text, how many times, and when last.

    `recommended`: an agent said of it that the assistant should have said this.
    """

    text: str
    times: int
    last_at: datetime
    recommended: bool = False


@dataclass(frozen=True)
class Evidence:
    """What a reviewer should know of a proposal.

    `counted` is the number of turns that `channels`, `signals` and `understood_as` are counted over: the newest ones.
    `answers` is what the bot says now to the labels that the proposal is about, `uses` when those were last
    understood. `missing` counts samples whose conversation is no longer in the tracker store; `note` says why there is
    nothing to show where that is so.
    """

    proposal_id: str
    gap_id: str
    people: int
    turns: int
    since: datetime
    until: datetime
    counted: int
    channels: Mapping[str, int]
    signals: Mapping[str, int]
    understood_as: Mapping[str, int]
    answers: tuple[Answer, ...]
    uses: tuple[LabelUse, ...]
    agent_replies: tuple[AgentReply, ...]
    samples: tuple[Sample, ...]
    missing: int = 0
    note: str = ""


def read_evidence(loop: Loop, proposal: Proposal, shown: int = SAMPLES) -> Evidence:
    """Return the evidence for a proposal; a tracker store that cannot be read is told, never raised.

    Args:
        loop: the store, the tracker store, the project and the redactor.
        proposal: in any state.
        shown: conversations that are read at most.

    Raises:
        StoreError: the learning database cannot be read.
        ProjectError: the project's files cannot be read.

    """
    return _of_gap(loop, loop.store.gap(proposal.gap_id), proposal.proposal_id, _labels_of(proposal), shown)


def read_gap_evidence(loop: Loop, gap: Gap, shown: int = SAMPLES) -> Evidence:
    """Return the evidence of a gap that nothing is proposed for; see `read_evidence`."""
    return _of_gap(loop, gap, "", (gap.intent,) if gap.intent else (), shown)


def _of_gap(loop: Loop, gap: Gap, proposal_id: str, labels: Sequence[str], shown: int) -> Evidence:
    evidence = _figures(loop, gap, proposal_id, labels)
    if gap.kind in UPKEEP_GAPS:
        note = "It is about labels, not about messages that failed: there are no conversations to show."
        return replace(evidence, note=note)
    turns = _turns(loop, gap)
    evidence = replace(_counted(evidence, turns), agent_replies=tuple(_agent_replies(loop, gap.gap_id)))
    try:
        samples, missing = _samples(loop, turns, shown)
    except EvergreenError as error:
        return replace(evidence, note=f"The conversations cannot be shown: {error}.")
    note = "None of the conversations is in the tracker store any more." if missing and not samples else ""
    return replace(evidence, samples=tuple(samples), missing=missing, note=note)


def _figures(loop: Loop, gap: Gap, proposal_id: str, labels: Sequence[str]) -> Evidence:
    """Return the evidence as far as the gap itself and the labels tell it."""
    answers = current_answers(loop)
    uses = loop.store.label_use()
    return Evidence(
        proposal_id=proposal_id,
        gap_id=gap.gap_id,
        people=gap.people,
        turns=gap.turns,
        since=gap.first_seen,
        until=gap.last_seen,
        counted=0,
        channels={},
        signals={},
        understood_as={},
        answers=tuple(answers[label] for label in labels if label in answers),
        uses=tuple(uses[label] for label in labels if label in uses),
        agent_replies=(),
        samples=(),
    )


def _labels_of(proposal: Proposal) -> tuple[str, ...]:
    """Return the labels that exist and that the proposal touches."""
    if proposal.kind is ProposalKind.ANSWER:
        return ()  # its label is only proposed
    if proposal.kind is ProposalKind.MERGE and proposal.target:
        return proposal.target, proposal.label
    return (proposal.label,)


def _turns(loop: Loop, gap: Gap) -> list[FailedTurn]:
    """Return the newest failed turns of a gap; what a release has answered since is history."""
    since = gap.handled_at if gap.is_reopened else None
    return loop.store.turns_of_gap(gap.gap_id, newest=COUNTED, after=since)


def _counted(evidence: Evidence, turns: Sequence[FailedTurn]) -> Evidence:
    evidence = replace(
        evidence,
        counted=len(turns),
        channels=_counts(turn.channel or "unknown" for turn in turns),
        signals=_counts(signal.kind for turn in turns for signal in turn.signals),
        understood_as=_counts(turn.intent or "nothing" for turn in turns),
    )
    if not turns or len(turns) == COUNTED:
        return evidence
    people = len({turn.sender for turn in turns})
    return replace(evidence, people=people, turns=len(turns), since=turns[0].at, until=turns[-1].at)


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _agent_replies(loop: Loop, gap_id: str) -> list[AgentReply]:
    """Return what agents wrote: what they recommended first, then what was said most often, then the newest."""
    found: dict[str, AgentReply] = {}
    for answer in loop.store.agent_answers(gap_id):  # the oldest first
        key = " ".join(answer.text.split()).casefold()
        before = found.get(key)
        marked = answer.recommended or (before is not None and before.recommended)
        found[key] = AgentReply(answer.text, (before.times if before else 0) + 1, answer.at, marked)

    def rank(reply: AgentReply) -> tuple[bool, int, float, str]:
        return not reply.recommended, -reply.times, -reply.last_at.timestamp(), reply.text

    return sorted(found.values(), key=rank)[:AGENT_REPLIES]


def _samples(loop: Loop, turns: Sequence[FailedTurn], shown: int) -> tuple[list[Sample], int]:
    """Return the newest failed turns of different people among their neighbors, and how many were not found."""
    chosen = _newest_of_each(turns)[: max(shown, 0)]
    if not chosen:
        return [], 0
    extents = loop.store.conversation_rows([turn.conversation_id for turn in chosen])
    tracker = loop.open_tracker()
    senders = tracker.senders_at(sorted({first for first, _ in extents.values()}))
    found: list[tuple[FailedTurn, tuple[Turn, ...]]] = []
    for turn in chosen:
        first, last = extents.get(turn.conversation_id, (0, 0))
        sender_id = senders.get(first)
        # A store that was made anew has other people in the same rows.
        if sender_id is None or sender_key(sender_id) != turn.sender:
            continue
        talk = _read_conversation(loop, tracker, sender_id, first, last)
        if any(other.turn_id == turn.turn_id for other in talk):
            found.append((turn, talk))
    redacted = _redacted(loop, [talk for _, talk in found])
    samples = [_sample(turn, talk) for (turn, _), talk in zip(found, redacted, strict=True)]
    return samples, len(chosen) - len(samples)


def _newest_of_each(turns: Sequence[FailedTurn]) -> list[FailedTurn]:
    """Return one turn of each person, the newest first."""
    by_sender: dict[str, FailedTurn] = {}
    for turn in reversed(turns):
        by_sender.setdefault(turn.sender, turn)
    return list(by_sender.values())


def _read_conversation(loop: Loop, tracker: TrackerEvents, sender_id: str, first: int, last: int) -> tuple[Turn, ...]:
    """Return the turns of the conversation in rows `first` to `last`, empty where the rows are gone."""
    events = tracker.tails({sender_id: first}, last + 1, LONGEST_SESSION).get(sender_id, [])
    if not events or events[0].row_id != first:
        return ()
    return build(sender_key(sender_id), events, loop.now(), loop.settings).turns


def _redacted(loop: Loop, talks: Sequence[Sequence[Turn]]) -> list[tuple[Turn, ...]]:
    """Return whole conversations redacted, since who somebody is may be said far from the failed turn.

    What people wrote goes first: so the placeholders have the numbers that they had when it was mined.
    """
    groups = [[*_people_lines(talk), *(text for turn in talk for text in turn.reply)] for talk in talks]
    clean: list[tuple[Turn, ...]] = []
    for talk, texts in zip(talks, loop.redactor.redact_conversations(groups), strict=True):
        said = iter(texts)
        people = [
            replace(turn, text=next(said), agent_reply=tuple(next(said) for _ in turn.agent_reply)) for turn in talk
        ]
        clean.append(tuple(replace(turn, reply=tuple(next(said) for _ in turn.reply)) for turn in people))
    return clean


def _people_lines(talk: Sequence[Turn]) -> Iterator[str]:
    for turn in talk:
        yield turn.text
        yield from turn.agent_reply


def _sample(failed: FailedTurn, talk: Sequence[Turn]) -> Sample:
    place = next(number for number, turn in enumerate(talk) if turn.turn_id == failed.turn_id)
    near = talk[max(0, place - BEFORE) : place + AFTER + 1]
    return Sample(
        turn_id=failed.turn_id,
        at=failed.at,
        channel=failed.channel,
        signals=tuple(signal.kind for signal in failed.signals),
        lines=tuple(line for turn in near for line in _lines(turn, turn.turn_id == failed.turn_id)),
        conversation_id=failed.conversation_id,
    )


def _lines(turn: Turn, failed: bool) -> Iterator[Line]:
    yield Line(Speaker.CUSTOMER, turn.text, turn.at, failed)
    for text in turn.reply:
        yield Line(Speaker.BOT, text, turn.at)
    for text in turn.agent_reply:
        yield Line(Speaker.AGENT, text, turn.at)
