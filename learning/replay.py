"""Counterfactual replay: what a proposal would fix and what it would break, before anybody approves it.

It follows the rule by which the live overlay gives messages to entries, on vectors alone: milliseconds a proposal,
without Rasa. `exact_replay` asks the running model itself; how often the two agree stands in `docs/replay.md`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from learning.known import Known, largest_mean
from learning.model import TEACHING, Entry, Proposal, ProposalKind, Replay
from learning.overlay import CaptureRule
from learning.ports import Encoder
from learning.texts import plain_text
from learning.vectors import Vectors

RULE = CaptureRule()
SHOWN = 5
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class Live:
    """What is live besides the proposal: entries with examples, one row of `vectors` (n, d) an example.

    `owners` (n,) is the place in `labels` of the label that a row teaches: its entries count together.
    """

    labels: tuple[str, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32), repr=False)
    owners: Vectors = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)

    @classmethod
    def of(cls, entries: Sequence[Entry], encoder: Encoder) -> Live:
        """Encode the examples of the entries that catch messages."""
        teaching = [entry for entry in entries if entry.kind in TEACHING and entry.examples]
        if not teaching:
            return cls()
        labels = tuple(dict.fromkeys(entry.label for entry in teaching))
        places = [labels.index(entry.label) for entry in teaching]
        owners = np.repeat(np.array(places), [len(entry.examples) for entry in teaching])
        texts = [example for entry in teaching for example in entry.examples]
        return cls(labels, np.asarray(encoder.encode(texts)), owners)

    def of_label(self, label: str) -> Vectors:
        """Return the examples (n, d) that teach a label."""
        if label not in self.labels:
            return self.vectors[:0]
        return np.asarray(self.vectors[self.owners == self.labels.index(label)])


@dataclass(frozen=True)
class Messages:
    """Messages that proposals are tried on, all fields row for row.

    `vectors` is (n, d); `training` (n,) how near each is to what is trained; `labels` what the bot understood, empty
    where nobody knows; `entry` (n,) how near the nearest live entry is and `entry_labels` what that one teaches;
    `closest` (n,) and `closest_labels` the same for the nearest example of any live entry.
    """

    texts: tuple[str, ...]
    vectors: Vectors
    training: Vectors
    labels: tuple[str, ...]
    entry: Vectors
    entry_labels: tuple[str, ...]
    closest: Vectors
    closest_labels: tuple[str, ...]
    live: Live = Live()

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        known: Known,
        encoder: Encoder,
        labels: Sequence[str] = (),
        live: Live | None = None,
    ) -> Messages:
        """Encode texts and measure them against the training examples and what is live.

        Args:
            texts: what customers said, redacted.
            known: what the assistant is trained on.
            encoder: makes the vectors.
            labels: what the bot understood, row for row; none where it is not known.
            live: the published entries.

        """
        vectors = np.asarray(encoder.encode(texts))
        count = len(texts)
        training = largest_mean(vectors @ known.vectors.T, RULE.training_neighbors) if count else np.zeros(0)
        entry, closest = np.full(count, -1.0), np.full(count, -1.0)
        entry_labels = closest_labels = ("",) * count
        if live is not None and live.labels and count:
            similarities = vectors @ live.vectors.T
            means = np.stack(
                [
                    largest_mean(similarities[:, live.owners == owner], RULE.entry_neighbors)
                    for owner in range(len(live.labels))
                ],
                axis=1,
            )
            entry, closest = means.max(axis=1), similarities.max(axis=1)
            entry_labels = tuple(live.labels[owner] for owner in means.argmax(axis=1))
            closest_labels = tuple(live.labels[live.owners[row]] for row in similarities.argmax(axis=1))
        understood = tuple(labels) if labels else ("",) * count
        live = live or Live()
        return cls(tuple(texts), vectors, training, understood, entry, entry_labels, closest, closest_labels, live)

    def take(self, rows: Sequence[int]) -> Messages:
        """Return some of them."""
        chosen = list(rows)

        def some(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[row] for row in chosen)

        return Messages(
            texts=some(self.texts),
            vectors=self.vectors[chosen],
            training=self.training[chosen],
            labels=some(self.labels),
            entry=self.entry[chosen],
            entry_labels=some(self.entry_labels),
            closest=self.closest[chosen],
            closest_labels=some(self.closest_labels),
            live=self.live,
        )


def replay(
    proposal: Proposal,
    failures: Messages,
    successes: Messages,
    encoder: Encoder,
    same_answers: Collection[str] = (),
) -> Replay:
    """Replay a gap's failed messages and a sample of messages that went well against a proposal.

    A failed message is fixed when the proposal's label takes it and nothing else did before: for the kinds with
    examples by the overlay's rule, leave-one-out, so that a message never counts because it is itself an example. A
    rewording reaches the failures of its label; whether they like the new words nobody can know, so that it breaks
    nothing, and the messages that went well with the old ones are `changed`. A merge breaks what went well with the
    label that goes, unless both labels have the same answer; a retirement what went well with its label.

    Args:
        proposal: what would be changed.
        failures: the gap's messages.
        successes: messages that went well, with the labels they had.
        encoder: makes the vectors of the examples.
        same_answers: labels whose answer is word for word that of `proposal.label`.

    """
    fixed, broken, changed = 0, [], 0
    if proposal.kind in TEACHING:
        examples = np.asarray(encoder.encode(proposal.examples))
        own = [example.casefold() for example in proposal.examples]
        fixed = sum(_captures(proposal.label, failures, examples, own))
        taken = _captures(proposal.label, successes, examples, ())
        # What went well with this very label is not broken by getting it back from another entry.
        broken = [row for row, is_taken in enumerate(taken) if is_taken and successes.labels[row] != proposal.label]
    elif proposal.kind is ProposalKind.REWORD:
        fixed = sum(label in ("", proposal.label) for label in failures.labels)
        changed = sum(label == proposal.label for label in successes.labels)
    elif proposal.kind is ProposalKind.MERGE:
        if proposal.target not in same_answers:
            broken = [row for row, label in enumerate(successes.labels) if label == proposal.target]
    else:
        broken = [row for row, label in enumerate(successes.labels) if label == proposal.label]
    return Replay(
        failures=len(failures.texts),
        fixed=fixed,
        successes=len(successes.texts),
        broken=len(broken),
        broken_texts=tuple(successes.texts[row] for row in broken[:SHOWN]),
        broken_labels=tuple(successes.labels[row] for row in broken[:SHOWN]),
        changed=changed,
    )


def can_be_captured(text: str) -> bool:
    """Whether the overlay looks at a redacted message: not without words, nor at personal data and nothing else."""
    return _WORD.search(plain_text(text)) is not None


def own_example(text: str) -> str:
    """Return a failed message as it would stand among the examples, folded."""
    return plain_text(text).casefold()


def _captures(label: str, messages: Messages, examples: Vectors, own: Sequence[str]) -> Iterator[bool]:
    """Tell of each message whether it gets `label` by examples (m, d) and did not have it; those in `own` count not."""
    if not messages.texts or not len(examples):
        return
    similarities = messages.vectors @ examples.T
    there = messages.live.of_label(label)
    if len(there):  # what teaches the label already counts with it
        similarities = np.hstack([similarities, messages.vectors @ there.T])
        own = [*own, *[""] * len(there)] if own else own
    entry, closest = largest_mean(similarities, RULE.entry_neighbors), similarities.max(axis=1)
    for row, text in enumerate(messages.texts):
        near, nearest = float(entry[row]), float(closest[row])
        others = [column for column, example in enumerate(own) if example != own_example(text)]
        if len(others) < len(own):
            rest = similarities[row : row + 1, others]
            near, nearest = float(largest_mean(rest, RULE.entry_neighbors)[0]), float(rest.max(initial=-1.0))
        before, after = _label_by_entries(messages, row), _label_by_entries(messages, row, label, near, nearest)
        yield can_be_captured(text) and after == label != before


def _label_by_entries(messages: Messages, row: int, label: str = "", entry: float = -1.0, closest: float = -1.0) -> str:
    """Return what a message is understood as when an entry for `label` is so near, besides those that are live.

    It is the order of `components.live_overlay`: what nearly is an example of an entry belongs to that one, else the
    nearest entry has it, if it is nearer than what is trained.
    """
    best, best_label = float(messages.entry[row]), messages.entry_labels[row]
    nearest, nearest_label = float(messages.closest[row]), messages.closest_labels[row]
    if entry > best:
        best, best_label = entry, label
    if closest > nearest:
        nearest, nearest_label = closest, label
    if not RULE.captures(best, nearest, float(messages.training[row])):
        return messages.labels[row]
    return nearest_label if nearest >= RULE.same_text else best_label
