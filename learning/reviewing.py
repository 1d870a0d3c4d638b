"""What a decision sets off: it is checked against what is live, recorded, published at once, and can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from learning.answer_checks import check as check_answer
from learning.current_answers import current_answers
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.labels import LabelChanges
from learning.loop import Loop
from learning.model import (
    TEACHING,
    Action,
    Decision,
    Entry,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
)
from learning.publish import entry_id, render_files
from learning.review import (
    APPROVING,
    MOVES,
    OPEN_STATES,
    STATE_AFTER,
    already_decided,
    as_decided,
    decide,
    effective,
    move,
)
from learning.texts import PLACEHOLDER
from learning.vectors import Vectors

LIVE = (ProposalState.PUBLISHED, ProposalState.ABSORBED)
UNPUBLISHED = (ProposalState.APPROVED, ProposalState.EDITED)


def review(loop: Loop, decision: Decision) -> Release | None:
    """Record a decision and, if it approves, publish at once; return the release.

    Raises:
        AlreadyDecided: somebody else decided first; the message says who, what and when.
        ReviewError: what would be published is incomplete, or does not fit what is live.

    """
    before = loop.store.proposal(decision.proposal_id)
    decision = adding_to_known(loop, before, replace(decision, proposal_id=before.proposal_id))
    try:
        return _carry_out(loop, before, decision)
    except (ReviewError, StoreError) as error:
        present = loop.store.proposal(before.proposal_id)
        if STATE_AFTER[decision.action] not in MOVES[present.state] and decision.action is not Action.UNDO:
            last = loop.store.decisions_about(before.proposal_id)
            raise already_decided(present, last[-1] if last else None, decision.action) from error
        raise


def would_do(loop: Loop, decision: Decision) -> None:
    """Raise what `review` would raise, and change nothing."""
    before = loop.store.proposal(decision.proposal_id)
    decision = adding_to_known(loop, before, decision)
    after = decide(before, decision)
    if decision.action in APPROVING:
        check_fits(loop, after)


def adding_to_known(loop: Loop, before: Proposal, decision: Decision) -> Decision:
    """Return the decision about a new question that a person named like an answered one: it adds examples to that.

    Where an answer was typed as well it stays as it is, and is refused: one of the two answers would be lost.
    """
    renamed = decision.action is Action.EDIT and decision.label not in (None, before.label)
    if before.kind is not ProposalKind.ANSWER or not renamed or decision.answer is not None:
        return decision
    return replace(decision, kind=ProposalKind.EXAMPLES) if decision.label in read_labels(loop).known else decision


def assign(loop: Loop, prefix: str, assignee: str | None, who: str) -> Proposal:
    """Note who is to decide about a proposal, None for anybody; return it.

    Raises:
        ReviewError: it is decided already.

    """
    proposal = loop.store.proposal(prefix)
    if proposal.state not in OPEN_STATES:
        raise ReviewError(
            f"is {proposal.state.value}: there is nothing left to decide",
            f"proposal {proposal.proposal_id}",
            "take the decision back with `review undo` first",
        )
    loop.store.assign(proposal, assignee, who, loop.now())
    return loop.store.proposal(proposal.proposal_id)


def _carry_out(loop: Loop, before: Proposal, decision: Decision) -> Release | None:
    after = decide(before, decision)
    if decision.action is Action.UNDO:
        _undo(loop, before, after, decision)
        return None
    vectors = None
    if decision.action in APPROVING:
        check_fits(loop, after)
        # Encoding may take seconds in a cold process: it must not come between decision and release.
        vectors = _taught(loop, after)
        if decision.examples is not None:
            decision = replace(decision, examples=after.examples)
    loop.store.save_decision(before, after, decision)
    return publish(loop, after, decision.who, vectors) if decision.action in APPROVING else None


def publish(loop: Loop, decided: Proposal, who: str, vectors: Vectors | None = None) -> Release:
    """Make an approved proposal live, as it was decided: running bots answer it with their next message."""
    live = move(decided, ProposalState.PUBLISHED)
    vectors = _taught(loop, live) if vectors is None else vectors
    return loop.store.publish(decided, live, entry_id(live), vectors, loop.encoder.identity, who, loop.now())


def _taught(loop: Loop, proposal: Proposal) -> Vectors:
    """Return the vectors of what the proposal teaches; kinds that teach nothing have no row."""
    vectors: Vectors = loop.encoder.encode(proposal.examples if proposal.kind in TEACHING else ())
    return vectors


def publish_waiting(loop: Loop) -> list[Release]:
    """Publish what was approved when a crash came between the decision and its release."""
    waiting = [item for item in loop.store.proposals() if item.state in UNPUBLISHED]
    decisions = effective(loop.store.decisions()) if waiting else {}
    return [publish(loop, as_decided(item, decisions.get(item.proposal_id)), "recovery") for item in waiting]


# --- taking back ----------------------------------------------------------------------------------


def _undo(loop: Loop, before: Proposal, after: Proposal, decision: Decision) -> None:
    """Let a proposal wait again; what it made live is withdrawn, and so is what hangs on that."""
    for other in loop.store.proposals():
        if other.gap_id == before.gap_id and other.state in OPEN_STATES and other.proposal_id != before.proposal_id:
            raise ReviewError(
                f"cannot wait again: {other.proposal_id} waits for the same gap",
                f"proposal {before.proposal_id}",
                "decide about that one first",
            )
    live = loop.store.entries(*LIVE)
    own = [entry for entry in live if entry.proposal_id == before.proposal_id]
    hanging = [other for entry in own for other in hanging_on(loop, entry, live)]
    loop.store.save_undo(before, after, decision, [*hanging, *own])


def withdraw(loop: Loop, prefix: str, who: str, reason: str) -> str:
    """Take an entry back: its examples, its answer and its file; return its label."""
    live = loop.store.entries(*LIVE)
    entries = [entry for entry in live if prefix and entry.entry_id.startswith(prefix)]
    if len(entries) != 1:
        raise NotFound(
            f"fits {len(entries)} published entries", f"id {prefix!r}", "take an id from `python -m learning status`"
        )
    chosen = entries[0]
    for entry in (*hanging_on(loop, chosen, live), chosen):
        loop.store.move_entry(entry, ProposalState.WITHDRAWN, who, "withdraw", reason, loop.now())
    return chosen.label


def hanging_on(loop: Loop, entry: Entry, live: Sequence[Entry]) -> list[Entry]:
    """Return what is live about a label and goes with its answer: more words for it would answer nothing."""
    if entry.kind is not ProposalKind.ANSWER or entry.label in _trained(loop):
        return []
    others = [other for other in live if other.entry_id != entry.entry_id]
    return [
        other
        for other in others
        if entry.label == other.label or (other.kind is ProposalKind.MERGE and entry.label == other.target)
    ]


# --- the review branch ----------------------------------------------------------------------------


def write_branch(loop: Loop) -> str | None:
    """Bring the review branch to what is published; return the new commit, None if it was up to date."""
    waiting = [release for release in loop.store.releases() if release.commit is None]
    numbers = ", ".join(str(release.number) for release in reversed(waiting))
    message = f"Learn from conversations: release {numbers}" if waiting else "Bring learned answers up to date"
    commit = loop.host.propose(learned_files(loop), message)
    if commit:
        loop.store.mark_committed(commit)
    return commit


def try_branch(loop: Loop) -> tuple[str | None, EvergreenError | None]:
    """Write the branch and return (commit, problem); what is live stays so if git fails, and `publish` tries again."""
    try:
        return write_branch(loop), None
    except EvergreenError as error:
        return None, error


def learned_files(loop: Loop) -> dict[str, str]:
    """Return what `data/learned/` should hold: one file for each entry that is live or absorbed."""
    return dict(render_files(loop.store.entries(*LIVE)))


# --- what fits what is live -----------------------------------------------------------------------


@dataclass(frozen=True)
class Labels:
    """The labels that the bot has an answer for, and those among them that were retired or merged away."""

    answered: frozenset[str]
    gone: frozenset[str]

    @property
    def known(self) -> frozenset[str]:
        """The labels that the bot gives its messages now."""
        return self.answered - self.gone


def read_labels(loop: Loop) -> Labels:
    """Return the labels as they are now: what is trained, and what went live over it."""
    entries = loop.store.entries(*LIVE)
    taught = {entry.label for entry in entries if entry.kind is ProposalKind.ANSWER}
    return Labels(frozenset(_trained(loop) | taught), frozenset(LabelChanges.of(entries).decided_by))


def check_fits(loop: Loop, proposal: Proposal) -> None:
    """Raise `ReviewError` if an approved proposal contradicts what is live or trained."""
    labels = read_labels(loop)
    item = f"proposal {proposal.proposal_id}"
    if proposal.kind is ProposalKind.ANSWER:
        # The bot would give one of the two answers to both questions.
        if proposal.label in labels.answered:
            raise ReviewError(
                f"has the name {proposal.label}, which another answer has",
                item,
                "give it another one with --name, or add its examples to that one by naming it without an answer",
            )
        return
    for label in (proposal.label, proposal.target if proposal.kind is ProposalKind.MERGE else None):
        if label is not None and label not in labels.known:
            raise ReviewError(
                f"is about {label}, which the bot does not know any more", item, "reject it, or bring the intent back"
            )
    if proposal.kind is ProposalKind.REWORD:
        _check_rewords(loop, proposal, item)


def _check_rewords(loop: Loop, proposal: Proposal, item: str) -> None:
    now = current_answers(loop).get(proposal.label)
    if now is None or now.response != proposal.target:
        raise ReviewError(
            f"rewords {proposal.target}, which does not answer {proposal.label} any more",
            item,
            "reject it; the next mining looks at the answer as it is now",
        )
    if now.text.split() == (proposal.answer or "").split():
        raise ReviewError("says what is said already", item, "change the answer with --answer, or reject it")


def _trained(loop: Loop) -> set[str]:
    return {example.label for example in loop.project.examples()}


# --- what a reviewer should know ------------------------------------------------------------------


def notes_on(loop: Loop, decision: Decision) -> tuple[str, ...]:
    """Return what somebody who has decided should know.

    That is whose it was to decide, personal data in what they typed, and what speaks against the answer they wrote.
    """
    proposal = loop.store.proposal(decision.proposal_id)
    found = []
    if proposal.assignee and proposal.assignee != decision.who:
        found.append(f"It was assigned to {proposal.assignee}.")
    made = loop.store.decisions_about(proposal.proposal_id)
    if made and made[-1].kind is ProposalKind.EXAMPLES and decision.action is Action.EDIT:
        found.append(f"{decision.label} has an answer already: the examples were added to it, and no answer was made.")
    typed = [("Your answer", decision.answer)] if decision.answer else []
    typed += [("An example", text) for text in decision.examples or () if text not in proposal.examples]
    for what, text in typed:
        if kinds := personal_data(loop, text):
            found.append(f"{what} holds what looks like personal data ({kinds}): undo it if that is a customer's.")
    if decision.answer:
        answers = list(current_answers(loop).values())
        found += check_answer(decision.answer, decision.label or proposal.label, answers, loop.encoder)
    return tuple(found)


def personal_data(loop: Loop, text: str) -> str:
    """Return the kinds of personal data that the redactor finds in what somebody typed, empty without any."""
    marks = {mark for mark in PLACEHOLDER.findall(loop.redactor.redact(text)) if mark not in text}
    # Links belong into answers; a customer's own hardly ever come there by hand.
    kinds = {mark.strip("<>").rpartition("_")[0] for mark in marks} - {"URL"}
    return " and ".join(sorted(kind.lower() for kind in kinds))
