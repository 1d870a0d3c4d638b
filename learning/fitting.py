"""Whether an entry fits what is live and what is trained, and what goes with it when it goes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from learning.branch import for_everybody
from learning.current_answers import answers_over
from learning.errors import ReviewError
from learning.labels import LabelChanges
from learning.loop import Loop
from learning.model import LIVE, Answer, Entry, Proposal, ProposalKind


class Content(Protocol):
    """What a proposal and its entry have in common."""

    @property
    def kind(self) -> ProposalKind:
        """What it changes."""
        ...

    @property
    def label(self) -> str:
        """The label that it is about."""
        ...

    @property
    def target(self) -> str | None:
        """The response that it rewords, or the label that it merges."""
        ...

    @property
    def answer(self) -> str | None:
        """The answer that it brings."""
        ...


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
    return _labels(trained_labels(loop), loop.store.entries(*LIVE))


def _labels(trained: Collection[str], entries: Sequence[Entry]) -> Labels:
    taught = {entry.label for entry in entries if entry.kind is ProposalKind.ANSWER}
    # What is retired or merged for some is a label still: others are answered by it.
    gone = LabelChanges.of(for_everybody(entries)).decided_by
    return Labels(frozenset(trained) | taught, frozenset(gone))


@dataclass(frozen=True)
class Known:
    """What the project itself knows, read before a transaction begins: its labels, and its answers where they count."""

    trained: frozenset[str]
    answers: tuple[Answer, ...]

    @classmethod
    def read(cls, loop: Loop, kinds: Collection[ProposalKind]) -> Known:
        """Read what entries of these kinds are compared with."""
        answers = loop.project.answers() if ProposalKind.REWORD in kinds else ()
        return cls(frozenset(trained_labels(loop)), tuple(answers))


def trained_labels(loop: Loop) -> set[str]:
    """Return the labels of the project's own training data."""
    return {example.label for example in loop.project.examples()}


def check_fits(loop: Loop, proposal: Proposal) -> None:
    """Raise `ReviewError` if an approved proposal contradicts what is live or trained."""
    fits(proposal, f"proposal {proposal.proposal_id}", Known.read(loop, {proposal.kind}), loop.store.entries(*LIVE))


def fits(content: Content, item: str, project: Known, entries: Sequence[Entry]) -> None:
    """Raise `ReviewError` about `item` if what it says contradicts what is trained, or `entries`, which are live."""
    labels = _labels(project.trained, entries)
    if content.kind is ProposalKind.ANSWER:
        # The bot would give one of the two answers to both questions.
        if content.label in labels.answered:
            raise ReviewError(
                f"has the name {content.label}, which another answer has",
                item,
                "give it another one with --name, or add its examples to that one by naming it without an answer",
            )
        return
    # A second decision about a label waits until everybody has the first one.
    changes = content.kind in (ProposalKind.MERGE, ProposalKind.RETIRE)
    known = labels.answered.difference(LabelChanges.of(entries).decided_by) if changes else labels.known
    for label in (content.label, content.target if content.kind is ProposalKind.MERGE else None):
        if label is not None and label not in known:
            raise ReviewError(
                f"is about {label}, which the bot does not know any more", item, "reject it, or bring the intent back"
            )
    if content.kind is ProposalKind.REWORD:
        _check_rewords(content, answers_over(project.answers, entries).get(content.label), item)


def _check_rewords(content: Content, now: Answer | None, item: str) -> None:
    if now is None or now.response != content.target:
        raise ReviewError(
            f"rewords {content.target}, which does not answer {content.label} any more",
            item,
            "reject it; the next mining looks at the answer as it is now",
        )
    if now.text.split() == (content.answer or "").split():
        raise ReviewError("says what is said already", item, "change the answer with --answer, or reject it")


def hanging_on(loop: Loop, entry: Entry, live: Sequence[Entry]) -> list[Entry]:
    """Return what is live about a label and goes with its answer: more words for it would answer nothing."""
    return hanging(entry, live, trained_labels(loop)) if entry.kind is ProposalKind.ANSWER else []


def hanging(entry: Entry, live: Sequence[Entry], trained: Collection[str]) -> list[Entry]:
    """Return what goes with an entry, of those that are live, where the project itself knows `trained`."""
    if entry.kind is not ProposalKind.ANSWER or entry.label in trained:
        return []
    others = [other for other in live if other.entry_id != entry.entry_id]
    return [
        other
        for other in others
        if entry.label == other.label or (other.kind is ProposalKind.MERGE and entry.label == other.target)
    ]
