"""Counterfactual replay: what a proposal would fix and what it would break, before anybody approves it.

A message counts as answered by the proposal when the live overlay's own rule gives it to the proposal. The gap's
messages are replayed leave-one-out: a message never counts as fixed because it is itself among the examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from learning.gaps import Known
from learning.model import Proposal, Replay
from learning.overlay import CaptureRule
from learning.ports import Encoder
from learning.texts import plain_text
from learning.vectors import Vectors

RULE = CaptureRule()
SHOWN = 5


def replay(
    proposal: Proposal, failures: Sequence[str], successes: Sequence[str], known: Known, encoder: Encoder
) -> Replay:
    """Replay a gap's failed messages and a sample of messages that went well against a proposal."""
    examples = encoder.encode(proposal.examples)
    fixed = _captured(failures, proposal.examples, examples, known, encoder)
    broken = _captured(successes, proposal.examples, examples, known, encoder)
    return Replay(len(failures), len(fixed), len(successes), len(broken), tuple(broken[:SHOWN]))


def _captured(
    texts: Sequence[str], example_texts: Sequence[str], examples: Vectors, known: Known, encoder: Encoder
) -> list[str]:
    if not texts:
        return []
    vectors = encoder.encode(texts)
    to_examples = vectors @ examples.T
    folded = [example.casefold() for example in example_texts]
    for row, text in enumerate(texts):
        own = plain_text(text).casefold()
        for column, example in enumerate(folded):
            if example == own:
                to_examples[row, column] = -1.0
    entry = _nearness(to_examples, RULE.entry_neighbors)
    closest = to_examples.max(axis=1)
    training = _nearness(vectors @ known.vectors.T, RULE.training_neighbors)
    return [text for row, text in enumerate(texts) if RULE.captures(entry[row], closest[row], training[row])]


def _nearness(similarities: Vectors, count: int) -> Vectors:
    """Return the mean of the `count` largest similarities of each row."""
    count = min(count, similarities.shape[1])
    return np.asarray(np.partition(similarities, -count, axis=1)[:, -count:].mean(axis=1))
