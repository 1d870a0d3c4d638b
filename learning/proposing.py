"""The third step of mining: gaps that have changed get proposals, tried before anybody sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from learning.gaps import Known
from learning.kept_vectors import KeptVectors, Remembered
from learning.loop import Loop
from learning.model import (
    LEARNED_INTENT,
    FailedTurn,
    Gap,
    GapKind,
    Proposal,
    ProposalKind,
    ProposalState,
    content_id,
)
from learning.proposals import propose, read_article
from learning.replay import Messages, replay
from learning.review import move
from learning.texts import plain_text
from learning.vectors import Vectors

PROPOSED_FROM = 300  # newest messages that a proposal is made from and tried on


def write_proposals(loop: Loop, known: Known, encoder: KeptVectors) -> int:
    """Propose for every gap that has changed and nobody has decided about; return how many proposals are new."""
    store, settings = loop.store, loop.settings
    reopen_due(loop)
    articles = [read_article(name, text, encoder) for name, text in loop.project.articles()]
    encoder.save()
    changed = store.gaps(changed=True)
    live = store.entries(ProposalState.PUBLISHED, ProposalState.ABSORBED)
    published = {example.casefold() for entry in live for example in entry.examples}
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
        since = gap.handled_at if gap.is_reopened else None
        most = settings.gaps.max_per_sender
        turns = store.turns_of_gap(gap_id, newest=PROPOSED_FROM, after=since, per_sender=most)
        turns = [turn for turn in turns if plain_text(turn.text).casefold() not in published]
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
    if gap.handled_at is None:  # nothing ever went live: what was withdrawn before has settled nothing
        return all(item.state is ProposalState.WITHDRAWN for item in decided)
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
