"""What a decision sets off: it is checked against what is live, recorded, published at once, and can be undone."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from learning.answer_checks import check as check_answer
from learning.current_answers import answers_over, current_answers
from learning.errors import EvergreenError, NotFound, ReviewError, StoreError
from learning.labels import LabelChanges
from learning.loop import Loop
from learning.model import (
    POLICY,
    TEACHING,
    Action,
    Answer,
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
    HasChanged,
    already_decided,
    as_decided,
    content_mark,
    decide,
    effective,
    move,
)
from learning.texts import PLACEHOLDER
from learning.vectors import Vectors

logger = logging.getLogger(__name__)

LIVE = (ProposalState.PUBLISHED, ProposalState.ABSORBED)
UNPUBLISHED = (ProposalState.APPROVED, ProposalState.EDITED)


def review(loop: Loop, decision: Decision, judged: Proposal | None = None) -> Release | None:
    """Record a decision and, if it approves, publish at once; return the release.

    Args:
        loop: the loop.
        decision: the decision.
        judged: the proposal as a policy judged it: it must not have changed since, in any way. People decide without.

    Raises:
        AlreadyDecided: somebody else decided first; the message says who, what and when.
        HasChanged: the proposal is not what was seen, or judged, any more.
        ReviewError: what would be published is incomplete, or does not fit what is live.

    """
    if judged is None:
        check_name(decision.who)
    before = judged or loop.store.proposal(decision.proposal_id)
    _check_seen(before, decision)
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
    check_name(decision.who)
    before = loop.store.proposal(decision.proposal_id)
    _check_seen(before, decision)
    decision = adding_to_known(loop, before, decision)
    after = decide(before, decision)
    if decision.action in APPROVING:
        check_fits(loop, after)


def check_name(who: str) -> None:
    """Raise `ReviewError` if a person goes by a policy's name: a sweep would take back what they approved."""
    if who.startswith(POLICY):
        raise ReviewError(
            f"begins with {POLICY}, as only automatic decisions do", f"name {who!r}", "give your own name"
        )


def _check_seen(proposal: Proposal, decision: Decision) -> None:
    if decision.seen is not None and decision.seen != content_mark(proposal) and proposal.state in OPEN_STATES:
        raise HasChanged(proposal.proposal_id)


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
        StoreError: it was decided about at the same moment.

    """
    check_name(who)
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
    if decision.action in APPROVING:
        if decision.examples is not None:
            decision = replace(decision, examples=after.examples)
        return publish(loop, after, decision.who, (before, decision))
    loop.store.save_decision(before, after, decision)
    return None


def publish(loop: Loop, approved: Proposal, who: str, decided: tuple[Proposal, Decision] | None = None) -> Release:
    """Make an approved proposal live, as it was decided: running bots answer it with their next message.

    With `decided`, the suggestion and the decision, the decision is recorded with the release: both are, or neither.
    Encoding and reading the project come first; whether it fits what is live is asked again in the transaction, when
    nobody else can change that any more.

    Raises:
        ReviewError: it does not fit what is live.
        StoreError: somebody else decided first, or it has changed.

    """
    live = move(approved, ProposalState.PUBLISHED)
    project = _Project.read(loop, live.kind)
    _check_fits(live, project, loop.store.entries(*LIVE))
    vectors = _taught(loop, live)  # takes seconds in a cold process
    return loop.store.publish(
        approved,
        live,
        entry_id(live),
        vectors,
        loop.encoder.identity,
        who,
        loop.now(),
        decided,
        lambda entries: _check_fits(live, project, entries),
    )


def _taught(loop: Loop, proposal: Proposal) -> Vectors:
    """Return the vectors of what the proposal teaches; kinds that teach nothing have no row."""
    vectors: Vectors = loop.encoder.encode(proposal.examples if proposal.kind in TEACHING else ())
    return vectors


def publish_waiting(loop: Loop) -> list[Release]:
    """Publish what was approved and never released, as an earlier version may have left it after a crash.

    What does not fit any more stays as it is and is logged; the others go on.
    """
    waiting = [item for item in loop.store.proposals() if item.state in UNPUBLISHED]
    decisions = effective(loop.store.decisions()) if waiting else {}
    releases = []
    for item in waiting:
        try:
            releases.append(publish(loop, as_decided(item, decisions.get(item.proposal_id)), "recovery"))
        except EvergreenError:
            logger.warning(
                "proposal %s is approved and cannot go live: approve it again after `review undo` to see why",
                item.proposal_id,
            )
    return releases


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
    check_name(who)
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
    return _labels(_trained(loop), loop.store.entries(*LIVE))


def _labels(trained: Collection[str], entries: Sequence[Entry]) -> Labels:
    taught = {entry.label for entry in entries if entry.kind is ProposalKind.ANSWER}
    return Labels(frozenset(trained) | taught, frozenset(LabelChanges.of(entries).decided_by))


@dataclass(frozen=True)
class _Project:
    """What the project itself knows, read before a transaction begins: its labels, and for a REWORD its answers."""

    trained: frozenset[str]
    answers: tuple[Answer, ...]

    @classmethod
    def read(cls, loop: Loop, kind: ProposalKind) -> _Project:
        answers = loop.project.answers() if kind is ProposalKind.REWORD else ()
        return cls(frozenset(_trained(loop)), tuple(answers))


def check_fits(loop: Loop, proposal: Proposal) -> None:
    """Raise `ReviewError` if an approved proposal contradicts what is live or trained."""
    _check_fits(proposal, _Project.read(loop, proposal.kind), loop.store.entries(*LIVE))


def _check_fits(proposal: Proposal, project: _Project, entries: Sequence[Entry]) -> None:
    labels = _labels(project.trained, entries)
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
        _check_rewords(proposal, answers_over(project.answers, entries).get(proposal.label), item)


def _check_rewords(proposal: Proposal, now: Answer | None, item: str) -> None:
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
