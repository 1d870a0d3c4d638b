"""What a new model answers by itself leaves the overlay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from learning.branch import for_everybody
from learning.evaluate import understood
from learning.loop import Loop
from learning.model import LIVE, TEACHING, Entry, Example, Prediction, ProposalKind, ProposalState
from learning.ports import NluRunner

WHO = "retrain"  # in the audit log
CHECKED = 500  # newest messages of a gap that the new model must understand


def absorb(loop: Loop, nlu: NluRunner, model: Path, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Take entries out of the overlay that `model` makes needless; return (absorbed, kept).

    A model that was trained on a handful of examples understands just these, and little else that means the same: the
    label's entries stay until there are enough.
    """
    gap_of = {proposal.proposal_id: proposal.gap_id for proposal in loop.store.proposals()}
    taught = [item for item in for_everybody(loop.store.entries(*LIVE)) if item.kind in TEACHING]
    learned = [Example(text, item.label) for item in taught for text in item.examples]
    trained = [*loop.project.examples(), *learned]
    texts = {(example.label, example.text.casefold()) for example in trained}
    examples = Counter(label for label, _ in texts)
    texts_of = {entry.entry_id: _messages(loop, entry, gap_of.get(entry.proposal_id, ""), trained) for entry in entries}
    flat = [text for entry in entries for text in texts_of[entry.entry_id]]
    predictions = iter(nlu.predict(model, flat) if flat else ())
    found_out: list[tuple[Entry, str]] = []
    for entry in entries:
        found = [next(predictions) for _ in texts_of[entry.entry_id]]
        few = entry.kind in TEACHING and examples[entry.label] < loop.settings.retrain.absorb_examples
        reason = None if few else _absorbed_because(entry, found, loop.settings.retrain.absorb_share)
        if reason is not None:
            found_out.append((entry, reason))
    taken = set(loop.store.absorb(found_out, model.name, WHO, loop.now()))
    # What was withdrawn while it was trained is neither.
    live = {entry.entry_id for entry in loop.store.entries(ProposalState.PUBLISHED)}
    absorbed = [entry for entry, _ in found_out if entry.entry_id in taken]
    return absorbed, [entry for entry in entries if entry.entry_id in live]


def _messages(loop: Loop, entry: Entry, gap_id: str, trained: Sequence[Example]) -> list[str]:
    """Return the messages that show whether a model needs an entry no more."""
    if entry.kind is ProposalKind.REWORD:
        return []
    if entry.kind in TEACHING:
        turns = loop.store.turns_of_gap(gap_id, newest=CHECKED)
        return sorted({*entry.examples, *(turn.text for turn in turns)})
    gone = entry.target if entry.kind is ProposalKind.MERGE else entry.label
    return sorted({*entry.examples, *(example.text for example in trained if example.label == gone)})[:CHECKED]


def _absorbed_because(entry: Entry, predictions: Sequence[Prediction], least: float) -> str | None:
    """Return why the model makes the entry needless, None if it does not.

    A new text of a response is never absorbed: what a model would answer is not asked here, and the text stays right.
    """
    if entry.kind is ProposalKind.REWORD or not predictions:
        return None
    gone = {ProposalKind.MERGE: entry.target, ProposalKind.RETIRE: entry.label}.get(entry.kind)
    if gone is not None and understood(predictions, gone):
        return None  # one message is enough: this label must not be answered
    if entry.kind is ProposalKind.RETIRE:
        return f"does not know {gone} any more"
    share = understood(predictions, entry.label)
    return f"understands {100 * share:.0f} % of its messages" if share >= least else None
