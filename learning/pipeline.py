"""The whole flow in order: mine -> signals -> gaps -> proposals -> review -> publish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from learning.errors import NotFound, ReviewError
from learning.grouping import find_gaps, judge_gaps, read_known
from learning.kept_vectors import KeptVectors
from learning.loop import Loop
from learning.mining import read_conversations
from learning.model import Action, Decision, MiningReport, Proposal, ProposalKind, ProposalState, Release
from learning.proposing import write_proposals
from learning.publish import entry_id, render_files
from learning.reading import Reading
from learning.review import decide, move
from learning.vectors import Vectors

LIVE = (ProposalState.PUBLISHED, ProposalState.ABSORBED)


def mine(loop: Loop, on_batch: Callable[[Reading], None] = lambda batch: None) -> MiningReport:
    """Find what failed since the last run, group it, and write proposals; a second run changes nothing.

    Every batch is saved with its watermark, and each later step starts from what is saved: killed anywhere,
    the next run goes on to the same result.
    """
    loop.project.check()
    started = loop.now()
    report = read_conversations(loop, on_batch)
    encoder = KeptVectors(loop.encoder, loop.store)
    known = read_known(loop, encoder)
    report = replace(report, new_gaps=find_gaps(loop, known))
    judge_gaps(loop, known)
    report = replace(report, new_proposals=write_proposals(loop, known, encoder))
    summary = {"events": report.events, "signals": report.new_signals, "proposals": report.new_proposals}
    loop.store.record_run("mine", started, loop.now(), "ok", summary)
    return report


def review(loop: Loop, decision: Decision) -> Release | None:
    """Record a decision and, if it approves, publish at once; return the release."""
    before = loop.store.proposal(decision.proposal_id)
    decision = replace(decision, proposal_id=before.proposal_id)
    after = decide(before, decision)
    vectors = None
    if decision.action in (Action.APPROVE, Action.EDIT):
        _check_name_is_free(loop, after)
        _check_label_is_known(loop, after)
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
    live = loop.store.entries(*LIVE)
    entries = [entry for entry in live if prefix and entry.entry_id.startswith(prefix)]
    if len(entries) != 1:
        raise NotFound(
            f"fits {len(entries)} published entries", f"id {prefix!r}", "take an id from `python -m learning status`"
        )
    chosen = entries[0]
    # More words for an answer that is gone would catch messages and answer nothing.
    if chosen.kind is ProposalKind.ANSWER and chosen.label not in _trained(loop):
        for entry in live:
            if entry.label == chosen.label and entry.kind is ProposalKind.EXAMPLES:
                loop.store.move_entry(entry, ProposalState.WITHDRAWN, who, "withdraw", reason, loop.now())
    loop.store.move_entry(chosen, ProposalState.WITHDRAWN, who, "withdraw", reason, loop.now())
    return chosen.label


def _check_name_is_free(loop: Loop, proposal: Proposal) -> None:
    """Refuse a name that another answer has: the bot would give one of the two to both questions."""
    if proposal.kind is not ProposalKind.ANSWER:
        return
    if proposal.label in _answered(loop):
        raise ReviewError(
            f"has the name {proposal.label}, which another answer has",
            f"proposal {proposal.proposal_id}",
            "give it another one with --name",
        )


def _check_label_is_known(loop: Loop, proposal: Proposal) -> None:
    """Refuse more examples of what the bot has no answer for, since its intent or its answer is gone by now."""
    if proposal.kind is not ProposalKind.EXAMPLES:
        return
    if proposal.label not in _answered(loop):
        raise ReviewError(
            f"has examples of {proposal.label}, which the bot does not know any more",
            f"proposal {proposal.proposal_id}",
            "reject it, or bring the intent back",
        )


def _answered(loop: Loop) -> set[str]:
    """Return the labels that the bot has an answer for: what is trained, and what went live."""
    entries = loop.store.entries(*LIVE)
    return _trained(loop) | {entry.label for entry in entries if entry.kind is ProposalKind.ANSWER}


def _trained(loop: Loop) -> set[str]:
    return {example.label for example in loop.project.examples()}
