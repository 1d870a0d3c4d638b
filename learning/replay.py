"""Counterfactual replay: what a proposal would fix and what it would break, before anybody approves it.

A message counts as answered by the proposal when one of its examples is nearer than every training example
and near enough, as the live overlay decides it. The gap's own messages are replayed leave-one-out: a
message never counts as fixed because it is itself among the examples.
"""

from __future__ import annotations

from collections.abc import Sequence

from learning.gaps import Known
from learning.model import Proposal, Replay
from learning.ports import Encoder
from learning.texts import plain_text
from learning.vectors import Vectors

MIN_SIMILARITY = 0.6  # the live overlay's own default
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
    nearest = to_examples.max(axis=1)
    rivals = (vectors @ known.vectors.T).max(axis=1)
    return [
        text
        for text, near, rival in zip(texts, nearest, rivals, strict=True)
        if near >= MIN_SIMILARITY and near > rival
    ]
