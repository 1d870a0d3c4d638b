"""The steps of mining, each from what is saved to what is saved: read, group, judge, propose.

Killed anywhere, the next run goes on from what the last one saved and comes to the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from learning.gaps import Known, Standing, answer_gap_id, existing_gap_id, group_turns
from learning.kept_vectors import KeptVectors, Remembered
from learning.loop import Loop
from learning.model import (
    LEARNED_INTENT,
    Conversation,
    FailedTurn,
    Finding,
    Gap,
    GapFigures,
    GapKind,
    GoodTurn,
    Mined,
    MinedSender,
    MiningReport,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    Signal,
    content_id,
    joint_weight,
)
from learning.priority import cap_senders, judge
from learning.proposals import propose, read_article
from learning.reading import BATCH, Reader, Reading, SenderReading
from learning.replay import Messages, replay
from learning.review import move
from learning.signals import Context, detect, low_satisfaction, ratings
from learning.texts import key_phrase
from learning.vectors import Vectors

GOOD_PER_BATCH = 500  # turns that went well, kept for replay
GROUPED_AT_ONCE = 1_000  # fresh failed turns; with the pool this bounds the memory of grouping
POOL = 2_000  # failed turns without a gap that may still found one; older ones are noise
DESCRIBED = 200  # newest messages that name a gap
PROPOSED_FROM = 300  # newest messages that a proposal is made from and tried on
REBUILT_FROM = 200  # newest members that a gap's mean is made from when the metric has changed


# --- read ---------------------------------------------------------------------------------------------


def read_conversations(loop: Loop, on_batch: Callable[[Reading], None]) -> MiningReport:
    """Read new events batch by batch, and save what failed in the conversations that they belong to."""
    store = loop.store
    forgotten = store.forgotten_until()
    reader = Reader(loop.open_tracker(), store.last_sessions, loop.settings, loop.now(), forgotten)
    context = Context(loop.settings.signals, loop.encoder)
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
    rows = loop.store.idle_conversations(loop.now() - idle)
    new = 0
    for reading in reader.reread(rows, loop.store.watermark()):
        mined, _ = _examine(loop, context, reading.senders, "")
        new += loop.store.save_batch(mined, (), None)[1]
    return new


def _find_overall(loop: Loop) -> int:
    """Find the signals that need a look over all conversations; return how many are new."""
    found = dict(low_satisfaction.detect_all(loop.store.ratings(), loop.settings.priority))
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
        texts.append({turn.turn_id: turn.text for turn in talk.turns if turn.turn_id in wanted})
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


def _sample_good(
    talks: Sequence[Conversation], findings: Sequence[Sequence[tuple[str, Finding]]], limit: str
) -> set[str]:
    good: list[str] = []
    for talk, found in zip(talks, findings, strict=True):
        failed = {finding.turn.turn_id for _, finding in found}
        good += [
            turn.turn_id
            for turn in talk.turns
            if turn.turn_id < limit and turn.reply and turn.intent and turn.turn_id not in failed
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
    return Mined(talk, failed, tuple(ratings(talk)))


# --- group --------------------------------------------------------------------------------------------


def read_known(loop: Loop, encoder: KeptVectors) -> Known:
    """Return what the assistant is trained on, in vectors."""
    examples = loop.project.examples()
    texts = [example.text for example in examples]
    vectors = encoder.encode_deep(texts)
    known = Known.from_examples([example.label for example in examples], texts, vectors, dimension=encoder.dimension)
    encoder.save()
    return known


def find_gaps(loop: Loop, known: Known) -> int:
    """Group failed turns that belong to no gap yet; return how many gaps were founded.

    Turns come oldest first, `GROUPED_AT_ONCE` at a time, each time with the pool of those that had found no gap.
    """
    store = loop.store
    standing = _standing(loop, known)
    pool, vectors = store.pooled_turns()
    founded = 0
    while True:
        fresh = store.fresh_turns(GROUPED_AT_ONCE)
        # What was noise last time is noise now unless something came in: a second look at the same would let
        # messages drift into gaps one by one.
        if not fresh and (not pool or store.grouping_state() == grouping_state(pool, known)):
            return founded
        vectors.update(_encode(loop, [turn for turn in (*pool, *fresh) if turn.turn_id not in vectors]))
        turns = [*pool, *fresh]
        grouping = group_turns(
            turns, np.stack([vectors[turn.turn_id] for turn in turns]), standing, known, loop.settings.gaps
        )
        left = sorted(
            (turn for turn in turns if turn.turn_id not in grouping.members), key=lambda turn: (turn.at, turn.turn_id)
        )
        noise, kept = left[: max(0, len(left) - POOL)], left[max(0, len(left) - POOL) :]
        grown = _grow(turns, vectors, grouping.members, standing, known)
        fresh_ids = {turn.turn_id for turn in fresh}
        founded += store.save_grouping(
            gaps=_first_look(turns, grouping.members, grouping.founded, known),
            means={gap_id: (mean.count, mean.mean) for gap_id, mean in grown.items()},
            metric=known.identity,
            members=grouping.members,
            pool={turn.turn_id: vectors[turn.turn_id] for turn in kept if turn.turn_id in fresh_ids},
            vectors={turn_id: vectors[turn_id] for turn_id, gap_id in grouping.members.items() if gap_id in grown},
            noise=[turn.turn_id for turn in noise],
            state=grouping_state(kept, known),
        )
        standing.update(grown)
        pool, vectors = kept, {turn.turn_id: vectors[turn.turn_id] for turn in kept}


def grouping_state(pool: Sequence[FailedTurn], known: Known) -> str:
    """Return a digest of what grouping has to work on: the turns without a gap, and what is trained."""
    return content_id(known.identity, *sorted(f"{turn.turn_id} {turn.weight:.3f}" for turn in pool))


def _encode(loop: Loop, turns: Sequence[FailedTurn]) -> dict[str, Vectors]:
    """Return the vector of each turn, rounded as the store keeps it."""
    texts = list(dict.fromkeys(turn.text for turn in turns))
    if not texts:
        return {}
    rows = np.asarray(loop.encoder.encode_deep(texts)).astype("<f2").astype(np.float32)
    by_text = dict(zip(texts, rows, strict=True))
    return {turn.turn_id: by_text[turn.text] for turn in turns}


def _standing(loop: Loop, known: Known) -> dict[str, Standing]:
    """Return what new turns may join: the new needs, measured anew where the metric has changed."""
    kept = loop.store.gap_means(known.identity)
    found: dict[str, Standing] = {}
    for gap_id, gap in sorted(loop.store.gaps().items()):
        if gap.kind is not GapKind.NEW_NEED:
            continue
        if gap_id in kept:
            found[gap_id] = Standing(*kept[gap_id])
        elif members := loop.store.gap_vectors(gap_id, REBUILT_FROM):
            found[gap_id] = Standing.of(np.stack(members), known.metric)
    return found


def _grow(
    turns: Sequence[FailedTurn],
    vectors: Mapping[str, Vectors],
    members: Mapping[str, str],
    standing: Mapping[str, Standing],
    known: Known,
) -> dict[str, Standing]:
    """Return the new means of the gaps that turns joined or founded."""
    of_intents = {gap_id for gap_id, _ in gap_intents(known)}
    rows: dict[str, list[Vectors]] = {}
    for turn in turns:
        gap_id = members.get(turn.turn_id)
        if gap_id is not None and gap_id not in of_intents:
            rows.setdefault(gap_id, []).append(vectors[turn.turn_id])
    grown = {gap_id: Standing.of(np.stack(found), known.metric) for gap_id, found in rows.items()}
    return {gap_id: mean.joined(standing[gap_id]) if gap_id in standing else mean for gap_id, mean in grown.items()}


def _first_look(
    turns: Sequence[FailedTurn], members: Mapping[str, str], founded: Mapping[str, GapKind], known: Known
) -> list[Gap]:
    """Return the gaps that were founded, still without their figures."""
    first: dict[str, FailedTurn] = {}
    for turn in turns:
        if turn.turn_id in members:
            first.setdefault(members[turn.turn_id], turn)
    intents = dict(gap_intents(known))
    return [
        Gap(
            gap_id=gap_id,
            kind=kind,
            name="",
            intent=intents.get(gap_id),
            priority=Priority.LOW,
            turns=0,
            people=0,
            first_seen=first[gap_id].at,
            last_seen=first[gap_id].at,
        )
        for gap_id, kind in sorted(founded.items())
    ]


def gap_intents(known: Known) -> Iterable[tuple[str, str]]:
    """Yield the ids of the gaps that belong to a known intent, with that intent."""
    for label in sorted(set(known.labels)):
        yield existing_gap_id(label), label
        yield answer_gap_id(label), label


# --- judge --------------------------------------------------------------------------------------------


def judge_gaps(loop: Loop, known: Known) -> None:
    """Bring names, figures and priorities of the gaps up to date; reopen those that came back."""
    store, settings = loop.store, loop.settings
    newest = store.newest_turn()
    if newest is None:
        return
    recent, liked = store.recent_people(newest), store.satisfaction()
    costs = {
        "resolved": settings.priority.cost_resolved,
        "abandoned": settings.priority.cost_abandoned,
        "escalated": settings.priority.cost_escalated,
    }
    gaps = store.gaps()
    fresh = store.gap_figures(sorted(store.gaps(changed=True)), costs)
    updated: list[Gap] = []
    for gap_id, gap in sorted(gaps.items()):
        figures = fresh.get(gap_id) or _figures_of(gap)
        named = replace(gap, name=_name_of(loop, gap, known)) if gap_id in fresh else gap
        judged = judge(
            named,
            figures,
            recent.get(gap_id, (0, 0.0)),
            liked.get(gap.intent or ""),
            settings.priority,
            settings.gaps.min_people,
        )
        if judged != gap:
            updated.append(judged)
    store.update_gaps(updated)


def _figures_of(gap: Gap) -> GapFigures:
    return GapFigures(gap.turns, gap.people, gap.first_seen, gap.last_seen, gap.cost, 0)


def _name_of(loop: Loop, gap: Gap, known: Known) -> str:
    if gap.kind is GapKind.EXISTING_INTENT:
        return f"variations of {gap.intent}"
    if gap.kind is GapKind.WEAK_ANSWER:
        return f"answer to {gap.intent}"
    turns = loop.store.turns_of_gap(gap.gap_id, newest=DESCRIBED)
    return key_phrase([turn.text for turn in turns], known.texts)


# --- propose ------------------------------------------------------------------------------------------


def write_proposals(loop: Loop, known: Known, encoder: KeptVectors) -> int:
    """Propose for every gap that has changed and nobody has decided about; return how many proposals are new."""
    store, settings = loop.store, loop.settings
    reopen_due(loop)
    articles = [read_article(name, text, encoder) for name, text in loop.project.articles()]
    encoder.save()
    changed = store.gaps(changed=True)
    good = store.good_turns() if changed else []
    successes = Messages.of([turn.text for turn in good], known, loop.encoder)
    earlier: dict[str, list[Proposal]] = {}
    for item in store.proposals():
        earlier.setdefault(item.gap_id, []).append(item)
    made: list[Proposal] = []
    for gap_id, gap in sorted(changed.items()):
        before = earlier.get(gap_id, [])
        decided = [item for item in before if item.state is not ProposalState.PENDING]
        if gap.people < settings.gaps.min_people or gap.kind is GapKind.WEAK_ANSWER or not _may_propose(gap, decided):
            continue
        turns = store.turns_of_gap(gap_id, newest=PROPOSED_FROM, after=gap.handled_at if gap.is_reopened else None)
        turns = cap_senders(turns, settings.gaps.max_per_sender)
        told = Remembered(loop.encoder, _told(loop, turns))
        proposal = propose(gap, turns, articles, told, settings.proposals, loop.now())
        if proposal:
            proposal = _next_round(proposal, decided)
            others = [row for row, turn in enumerate(good) if turn.label != proposal.label]
            failures = Messages.of([turn.text for turn in turns], known, told)
            result = replay(proposal, failures, successes.take(others), told)
            made.append(replace(proposal, replay=result))
    new = store.save_proposals(made, loop.now())
    store.settle_gaps(sorted(changed))
    return new


def _told(loop: Loop, turns: Sequence[FailedTurn]) -> dict[str, Vectors]:
    """Return the vectors that grouping has kept of turns, by text."""
    kept = loop.store.turn_vectors([turn.turn_id for turn in turns])
    return {turn.text: kept[turn.turn_id] for turn in turns if turn.turn_id in kept}


def _may_propose(gap: Gap, decided: Sequence[Proposal]) -> bool:
    """Whether nobody has decided about the gap, or it came back after all that was decided went live."""
    live = {ProposalState.PUBLISHED, ProposalState.ABSORBED, ProposalState.WITHDRAWN}
    return not decided or (gap.is_reopened and all(item.state in live for item in decided))


def _next_round(proposal: Proposal, decided: Sequence[Proposal]) -> Proposal:
    """Return the proposal as a new one where its gap was handled before: what was learned then gets more examples."""
    if not decided:
        return proposal
    proposal = replace(proposal, proposal_id=content_id("proposal", proposal.gap_id, len(decided)))
    answered = [item for item in decided if item.state is not ProposalState.WITHDRAWN]
    if answered and answered[0].label.startswith(f"{LEARNED_INTENT}/"):
        label = answered[0].label
        return replace(proposal, kind=ProposalKind.EXAMPLES, label=label, answer=None, sources=())
    return proposal


def reopen_due(loop: Loop) -> None:
    """Put deferred proposals back whose date has come or whose gap has grown as asked."""
    deferred = [item for item in loop.store.proposals() if item.state is ProposalState.DEFERRED]
    gaps = loop.store.gaps() if deferred else {}
    for proposal in deferred:
        due = proposal.deferred_until is not None and loop.now() >= proposal.deferred_until
        gap = gaps.get(proposal.gap_id)
        grown = proposal.deferred_turns is not None and gap is not None and gap.turns >= proposal.deferred_turns
        if due or grown:
            loop.store.reopen_deferred(proposal, move(proposal, ProposalState.PENDING), loop.now())
