"""Counterfactual replay: what a proposal would fix and what it would break, before anybody approves it.

A message counts as answered by the proposal when the live overlay's own rule gives it to the proposal. The gap's
messages are replayed leave-one-out: a message never counts as fixed because it is itself among the examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learning.gaps import Known
from learning.model import Proposal, Replay
from learning.overlay import CaptureRule
from learning.ports import Encoder
from learning.texts import plain_text
from learning.vectors import Vectors

RULE = CaptureRule()
SHOWN = 5


@dataclass(frozen=True)
class Messages:
    """Messages that proposals are tried on: texts, (n, d) vectors, and how near (n,) each is to what is trained."""

    texts: tuple[str, ...]
    vectors: Vectors
    training: Vectors

    @classmethod
    def of(cls, texts: Sequence[str], known: Known, encoder: Encoder) -> Messages:
        """Encode texts and measure them against the training examples."""
        vectors = encoder.encode(texts)
        training = _nearness(vectors @ known.vectors.T, RULE.training_neighbors) if len(texts) else np.zeros(0)
        return cls(tuple(texts), vectors, training)

    def take(self, rows: Sequence[int]) -> Messages:
        """Return some of them."""
        chosen = list(rows)
        return Messages(tuple(self.texts[row] for row in chosen), self.vectors[chosen], self.training[chosen])


def replay(proposal: Proposal, failures: Messages, successes: Messages, encoder: Encoder) -> Replay:
    """Replay a gap's failed messages and a sample of messages that went well against a proposal."""
    examples = encoder.encode(proposal.examples)
    fixed = _captured(failures, proposal.examples, examples)
    broken = _captured(successes, proposal.examples, examples)
    return Replay(len(failures.texts), len(fixed), len(successes.texts), len(broken), tuple(broken[:SHOWN]))


def _captured(messages: Messages, example_texts: Sequence[str], examples: Vectors) -> list[str]:
    if not messages.texts:
        return []
    to_examples = messages.vectors @ examples.T
    folded: dict[str, list[int]] = {}
    for column, example in enumerate(example_texts):
        folded.setdefault(example.casefold(), []).append(column)
    for row, text in enumerate(messages.texts):
        to_examples[row, folded.get(plain_text(text).casefold(), [])] = -1.0
    entry = _nearness(to_examples, RULE.entry_neighbors)
    closest = to_examples.max(axis=1)
    return [
        text
        for row, text in enumerate(messages.texts)
        if RULE.captures(entry[row], closest[row], messages.training[row])
    ]


def _nearness(similarities: Vectors, count: int) -> Vectors:
    """Return the mean of the `count` largest similarities of each row."""
    count = min(count, similarities.shape[1])
    return np.asarray(np.partition(similarities, -count, axis=1)[:, -count:].mean(axis=1))
