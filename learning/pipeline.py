"""The whole flow in order: mine -> signals -> gaps -> proposals -> review -> publish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from learning.conversations import build_conversation
from learning.errors import NotFound, ReviewError
from learning.gaps import Known, cap_senders, describe, existing_gap_id, group_turns
from learning.model import (
    Action,
    Conversation,
    Decision,
    EventBatch,
    FailedTurn,
    Gap,
    GapKind,
    GoodTurn,
    MiningReport,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
    Signal,
    content_id,
)
from learning.ports import Encoder, LearningStore, ProjectFiles, Redactor, ReviewHost, TrackerEvents
from learning.proposals import propose, read_article
from learning.publish import entry_id, render_files
from learning.replay import replay
from learning.review import decide, move
from learning.settings import Settings
from learning.signals import Context, find_signals
from learning.vectors import Vectors

BATCH = 20_000  # rows; larger batches gain no speed, smaller ones read long conversations again
GOOD_PER_BATCH = 500  # turns that went well, kept for replay
LIVE = (ProposalState.PUBLISHED, ProposalState.ABSORBED)


@dataclass(frozen=True)
class Loop:
    """What the flow works with; built by `bootstrap`."""

    settings: Settings
    store: LearningStore
    open_tracker: Callable[[], TrackerEvents]
    encoder: Encoder
    redactor: Redactor
    project: ProjectFiles
    host: ReviewHost
    now: Callable[[], datetime]


def mine(loop: Loop, on_batch: Callable[[EventBatch], None] = lambda batch: None) -> MiningReport:
    """Find what failed since the last run, group it, and write proposals; a second run changes nothing.

    Every batch is saved with its watermark, and each later step starts from what is saved: killed anywhere,
    the next run goes on to the same result.
    """
    loop.project.check()
    started = loop.now()
    report = read_conversations(loop, on_batch)
    known = Known.from_examples(loop.project.examples(), loop.encoder)
    report = replace(report, new_gaps=find_gaps(loop, known))
    report = replace(report, new_proposals=write_proposals(loop, known))
    summary = {"events": report.events, "signals": report.new_signals, "proposals": report.new_proposals}
    loop.store.record_run("mine", started, loop.now(), "ok", summary)
    return report


def read_conversations(loop: Loop, on_batch: Callable[[EventBatch], None]) -> MiningReport:
    """Read new events batch by batch and save the signals of the conversations that they belong to."""
    tracker = loop.open_tracker()
    context = Context(loop.settings.signals, loop.encoder)
    events = conversations = signals = new = 0
    corrupt: list[int] = []
    for batch in tracker.batches(loop.store.watermark(), BATCH):
        found: list[tuple[Conversation, Sequence[Signal]]] = []
        for sender_id, rows in tracker.events_of(batch.senders):
            conversation = build_conversation(sender_id, rows)
            found.append((conversation, find_signals(conversation, context, loop.redactor)))
        total, fresh = loop.store.save_batch(found, _good_turns(found, loop.redactor), batch.last_id)
        events, conversations = events + batch.events, conversations + len(found)
        signals, new = signals + total, new + fresh
        corrupt += batch.corrupt
        on_batch(batch)
    return MiningReport(
        events=events,
        conversations=conversations,
        signals=signals,
        new_signals=new,
        corrupt_rows=tuple(corrupt),
        total_conversations=loop.store.counts()["conversations"],
    )


def find_gaps(loop: Loop, known: Known) -> int:
    """Group failed turns that belong to no gap yet; return how many gaps were founded."""
    store, settings = loop.store, loop.settings.gaps
    fresh = store.ungrouped_turns()
    # What was noise last time is noise now unless something came in: a second look at the same would let
    # messages drift into gaps one by one.
    known_ids = content_id(*zip(known.labels, known.texts, strict=True))
    if store.grouping_state() == grouping_state(fresh, known_ids):
        return 0
    standing, gaps = store.turns_of_gaps(), store.gaps()
    new_needs = {gap_id: turns for gap_id, turns in standing.items() if gaps[gap_id].kind is GapKind.NEW_NEED}
    grouping = group_turns(fresh, new_needs, known, loop.encoder, settings)
    turns_of: dict[str, list[FailedTurn]] = {gap_id: list(turns) for gap_id, turns in standing.items()}
    for turn in fresh:
        if turn.turn_id in grouping.members:
            turns_of.setdefault(grouping.members[turn.turn_id], []).append(turn)
    intents = {existing_gap_id(label): label for label in set(known.labels)}
    changed = [
        describe(gap_id, _kind(gap_id, gaps, intents), intents.get(gap_id), turns_of[gap_id], known, settings)
        for gap_id in sorted(set(grouping.members.values()))
    ]
    left = [turn for turn in fresh if turn.turn_id not in grouping.members]
    return store.save_gaps(changed, grouping.members, grouping_state(left, known_ids))


def grouping_state(ungrouped: Sequence[FailedTurn], known_ids: str) -> str:
    """Return a digest of what grouping has to work on: the turns without a gap, and what is trained."""
    return content_id(
        known_ids, *sorted(f"{turn.turn_id} {turn.weight:.3f} {turn.clarified or ''}" for turn in ungrouped)
    )


def write_proposals(loop: Loop, known: Known) -> int:
    """Propose for every gap that nobody has decided about; return how many proposals are new."""
    store, settings = loop.store, loop.settings
    _reopen_due(loop)
    decided = {item.gap_id for item in store.proposals() if item.state is not ProposalState.PENDING}
    articles = [read_article(name, text, loop.encoder) for name, text in loop.project.articles()]
    good = store.good_turns()
    turns_of = store.turns_of_gaps()
    made: list[Proposal] = []
    for gap_id, gap in sorted(store.gaps().items()):
        turns = cap_senders(turns_of.get(gap_id, []), settings.gaps.max_per_sender)
        if gap_id in decided or gap.people < settings.gaps.min_people:
            continue
        proposal = propose(gap, turns, articles, loop.encoder, settings.proposals, loop.now())
        if proposal:
            safe = [turn.text for turn in good if turn.label != proposal.label]
            result = replay(proposal, [turn.text for turn in turns], safe, known, loop.encoder)
            made.append(replace(proposal, replay=result))
    return store.save_proposals(made, loop.now())


def review(loop: Loop, decision: Decision) -> Release | None:
    """Record a decision and, if it approves, publish at once; return the release."""
    before = loop.store.proposal(decision.proposal_id)
    decision = replace(decision, proposal_id=before.proposal_id)
    after = decide(before, decision)
    vectors = None
    if decision.action in (Action.APPROVE, Action.EDIT):
        _check_name_is_free(loop, after)
        # Encoding may take seconds in a cold process: it must not come between decision and release.
        vectors = loop.encoder.encode(after.examples)
    loop.store.save_decision(before, after, decision)
    return None if vectors is None else publish(loop, after, decision.who, vectors)


def publish(loop: Loop, proposal: Proposal, who: str, vectors: Vectors | None = None) -> Release:
    """Make an approved proposal live: running bots answer it with their next message."""
    live = move(proposal, ProposalState.PUBLISHED)
    vectors = loop.encoder.encode(live.examples) if vectors is None else vectors
    return loop.store.publish(proposal, live, entry_id(live), vectors, loop.encoder.identity, who, loop.now())


def publish_waiting(loop: Loop) -> list[Release]:
    """Publish what was approved when a crash came between the decision and its release."""
    waiting = [item for item in loop.store.proposals() if item.state in (ProposalState.APPROVED, ProposalState.EDITED)]
    return [publish(loop, proposal, "recovery") for proposal in waiting]


def write_branch(loop: Loop) -> str | None:
    """Bring the review branch to what is published; return the new commit, None if it was up to date."""
    waiting = [release for release in loop.store.releases() if release.commit is None]
    numbers = ", ".join(str(release.number) for release in reversed(waiting))
    message = f"Learn from conversations: release {numbers}" if waiting else "Bring learned answers up to date"
    commit = loop.host.propose(learned_files(loop), message)
    if commit:
        loop.store.mark_committed(commit)
    return commit


def learned_files(loop: Loop) -> dict[str, str]:
    """Return what `data/learned/` should hold: one file for each entry that is live or absorbed."""
    return dict(render_files(loop.store.entries(*LIVE)))


def withdraw(loop: Loop, prefix: str, who: str, reason: str) -> str:
    """Take an entry back: its examples, its answer and its file; return its label."""
    entries = [entry for entry in loop.store.entries(*LIVE) if prefix and entry.entry_id.startswith(prefix)]
    if len(entries) != 1:
        raise NotFound(
            f"fits {len(entries)} published entries", f"id {prefix!r}", "take an id from `python -m learning status`"
        )
    loop.store.move_entry(entries[0], ProposalState.WITHDRAWN, who, "withdraw", reason, loop.now())
    return entries[0].label


def _check_name_is_free(loop: Loop, proposal: Proposal) -> None:
    """Refuse a name that another answer has: the bot would give one of the two to both questions."""
    if proposal.kind is not ProposalKind.ANSWER:
        return
    taken = {entry.label for entry in loop.store.entries(*LIVE) if entry.kind is ProposalKind.ANSWER}
    if proposal.label in taken | {example.label for example in loop.project.examples()}:
        raise ReviewError(
            f"has the name {proposal.label}, which another answer has",
            f"proposal {proposal.proposal_id}",
            "give it another one with --name",
        )


def _good_turns(found: Sequence[tuple[Conversation, Sequence[Signal]]], redactor: Redactor) -> list[GoodTurn]:
    failed = {signal.turn_id for _, signals in found for signal in signals}
    good = [
        (turn, conversation.sender)
        for conversation, _ in found
        for turn in conversation.turns
        if turn.turn_id not in failed and turn.reply and turn.intent
    ]
    good.sort(key=lambda item: item[0].turn_id)
    return [
        GoodTurn(turn.turn_id, sender, redactor.redact(turn.text), turn.intent)
        for turn, sender in good[:GOOD_PER_BATCH]
    ]


def _kind(gap_id: str, gaps: dict[str, Gap], intents: dict[str, str]) -> GapKind:
    if gap_id in gaps:
        return gaps[gap_id].kind
    return GapKind.EXISTING_INTENT if gap_id in intents else GapKind.NEW_NEED


def _reopen_due(loop: Loop) -> None:
    """Put deferred proposals back whose date has come or whose gap has grown as asked."""
    gaps = loop.store.gaps()
    for proposal in loop.store.proposals():
        if proposal.state is not ProposalState.DEFERRED:
            continue
        due = proposal.deferred_until is not None and loop.now() >= proposal.deferred_until
        gap = gaps.get(proposal.gap_id)
        grown = proposal.deferred_turns is not None and gap is not None and len(gap.turn_ids) >= proposal.deferred_turns
        if due or grown:
            loop.store.reopen_deferred(proposal, move(proposal, ProposalState.PENDING), loop.now())
