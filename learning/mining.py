"""The first step of mining: new events become conversations, and what failed in them is saved, redacted.

Killed anywhere, the next run goes on from what the last one saved and comes to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import timedelta

from learning.exposures import exposures
from learning.loop import Loop
from learning.model import (
    AgentAnswer,
    Conversation,
    FailedTurn,
    Finding,
    GoodTurn,
    Mined,
    MinedSender,
    MiningReport,
    Signal,
    Turn,
    joint_weight,
)
from learning.reading import BATCH, Reader, Reading, SenderReading
from learning.signals import Context, detect, low_satisfaction, ratings

GOOD_PER_BATCH = 500  # turns that went well, kept for replay


def read_conversations(loop: Loop, on_batch: Callable[[Reading], None]) -> MiningReport:
    """Read new events batch by batch, and save what failed in the conversations that they belong to."""
    store = loop.store
    forgotten = store.forgotten_until()
    reader = Reader(loop.open_tracker(), store.last_sessions, loop.settings, loop.now(), forgotten)
    said = loop.settings.conversations
    context = Context(loop.settings.signals, loop.encoder, said.person_intents, said.closing_intents)
    report = MiningReport()
    corrupt: list[int] = []
    for batch in reader.read(store.watermark(), BATCH):
        mined, good = _examine(loop, context, batch.senders, store.good_turn_limit())
        total, fresh = store.save_batch(mined, good, batch.last_id, restarted=batch.restarted)
        corrupt += batch.corrupt
        report = replace(
            report,
            events=report.events + batch.events,
            conversations=report.conversations + sum(len(sender.conversations) for sender in mined),
            signals=report.signals + total,
            new_signals=report.new_signals + fresh,
        )
        on_batch(batch)
    closed = _close_idle(loop, context, reader)
    overall = _find_overall(loop)
    return replace(
        report,
        signals=report.signals + overall,
        new_signals=report.new_signals + closed + overall,
        corrupt_rows=tuple(corrupt),
        total_conversations=store.counts()["conversations"],
    )


def _close_idle(loop: Loop, context: Context, reader: Reader) -> int:
    """Judge the conversations that were open and in which nobody has said anything since; return new signals."""
    idle = timedelta(minutes=loop.settings.conversations.idle_minutes)
    before = loop.now() - idle
    new = 0
    for reading in reader.reread(loop.store.idle_conversations(before), loop.store.watermark()):
        mined, good = _examine(loop, context, reading.senders, loop.store.good_turn_limit())
        new += loop.store.save_batch(mined, good, None)[1]
    # What is left is no longer in the tracker store, and can never be judged.
    loop.store.give_up(before)
    return new


def _find_overall(loop: Loop) -> int:
    """Find the signals that need a look over all conversations; return how many are new."""
    found = low_satisfaction.weak_answers(loop.store.label_ratings(), loop.settings.priority)
    return loop.store.replace_overall(low_satisfaction.KIND, found)


def _examine(
    loop: Loop, context: Context, senders: Sequence[SenderReading], good_limit: str
) -> tuple[list[MinedSender], list[GoodTurn]]:
    """Find what failed, and redact it together with a sample of what went well (ids under `good_limit`)."""
    talks = [talk for sender in senders for talk in sender.conversations]
    findings = detect(talks, context)
    chosen = _sample_good(talks, findings, good_limit)
    texts: list[dict[str, str]] = []
    for talk, found in zip(talks, findings, strict=True):
        wanted = {finding.turn.turn_id for _, finding in found} | chosen
        # Who somebody is may be said in another turn than the one that is kept: all of it is redacted, or none.
        kept = any(turn.turn_id in wanted for turn in talk.turns)
        texts.append({key: text for turn in talk.turns for key, text in _said_in(turn)} if kept else {})
    redacted = loop.redactor.redact_conversations([list(group.values()) for group in texts])
    clean = {
        turn_id: text
        for group, after in zip(texts, redacted, strict=True)
        for turn_id, text in zip(group, after, strict=True)
    }
    good = [
        GoodTurn(turn.turn_id, talk.conversation_id, clean[turn.turn_id], turn.intent)
        for talk in talks
        for turn in talk.turns
        if turn.turn_id in chosen
    ]
    mined = iter([_mined(talk, found, clean) for talk, found in zip(talks, findings, strict=True)])
    return [
        MinedSender(sender.sender, sender.since_row, tuple(next(mined) for _ in sender.conversations))
        for sender in senders
    ], good


def _said_in(turn: Turn) -> Iterator[tuple[str, str]]:
    """Return what people said in a turn, each under a key of its own: the customer, then human agents."""
    yield turn.turn_id, turn.text
    for number, text in enumerate(turn.agent_reply):
        yield f"{turn.turn_id} {number}", text


def _sample_good(
    talks: Sequence[Conversation], findings: Sequence[Sequence[tuple[str, Finding]]], limit: str
) -> set[str]:
    good: list[str] = []
    for talk, found in zip(talks, findings, strict=True):
        failed = {finding.turn.turn_id for _, finding in found}
        good += [
            turn.turn_id
            for turn in talk.turns
            # Where a person had to answer, the bot's own answer was not what settled it.
            if turn.turn_id <= limit
            and turn.reply
            and turn.intent
            and turn.turn_id not in failed
            and not turn.agent_reply
        ]
    return set(sorted(good)[:GOOD_PER_BATCH])


def _mined(talk: Conversation, found: Sequence[tuple[str, Finding]], clean: Mapping[str, str]) -> Mined:
    signals: dict[str, list[Signal]] = {}
    for kind, finding in found:
        signals.setdefault(finding.turn.turn_id, []).append(Signal(kind, finding.weight, finding.evidence))
    failed = tuple(
        FailedTurn(
            turn_id=turn.turn_id,
            conversation_id=talk.conversation_id,
            sender=talk.sender,
            text=clean[turn.turn_id],
            intent=turn.intent,
            confidence=turn.confidence,
            at=turn.at,
            channel=turn.channel,
            weight=joint_weight(signals[turn.turn_id]),
            clarified=turn.clarified,
            signals=tuple(sorted(signals[turn.turn_id], key=lambda signal: signal.kind)),
        )
        for turn in talk.turns
        if turn.turn_id in signals
    )
    answers = tuple(_agent_answers(talk, set(signals), clean))
    return Mined(talk, failed, tuple(ratings(talk)), answers, tuple(exposures(talk)))


def _agent_answers(talk: Conversation, failed: Set[str], clean: Mapping[str, str]) -> Iterator[AgentAnswer]:
    """Yield what agents wrote, each about the last turn before it that had failed: there the need was told."""
    about: str | None = None
    for turn in talk.turns:
        if turn.turn_id in failed:
            about = turn.turn_id
        if about is not None:
            for number in range(len(turn.agent_reply)):
                text = clean[f"{turn.turn_id} {number}"]
                is_marked = number in turn.recommended
                yield AgentAnswer(about, talk.conversation_id, talk.sender, text, turn.at, is_marked)
