"""The gated retraining: train on all that is published, compare on the hold-out, swap, absorb."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from learning.branch import for_everybody
from learning.errors import BotServerError
from learning.evaluate import Comparison, compare, evaluate, understood
from learning.labels import LabelChanges, renamed
from learning.loop import Loop
from learning.model import (
    FALLBACK_INTENT,
    LIVE,
    TEACHING,
    DeployedModel,
    Entry,
    Example,
    Prediction,
    ProposalKind,
    ProposalState,
)
from learning.ports import BotServer, NluRunner
from learning.publish import render_files
from learning.running_model import forget_old_models, reconcile, settle

WORK = Path("var/training")
WHO = "retrain"  # in the audit log
CHECKED = 500  # newest messages of a gap that the new model must understand


@dataclass(frozen=True)
class RetrainReport:
    """What a retraining did: the comparison, the model now running, and the absorbed entries."""

    comparison: Comparison
    model: Path | None
    absorbed: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()


def retrain(
    loop: Loop, nlu: NluRunner, server: BotServer, say: Callable[[str], None] = lambda step: None
) -> RetrainReport:
    """Train a challenger, and make it the running model if it is not worse on the hold-out.

    A model that fails the gate is kept for inspection under `var/training/` and never deployed.

    Before anything else the overlay is brought in line with the model that runs. New texts of responses are not
    trained: the overlay says them, so that they can be taken back at once.

    Raises:
        TrainingError: training failed or a model cannot be loaded.
        BotServerError: the server is down or refuses the new model; the old one goes on running.
        ProjectError: there is no hold-out.

    """
    loop.project.check()
    started = loop.now()
    champion = server.running_model()
    reconcile(loop, server)
    live = for_everybody(loop.store.entries(*LIVE))
    taught = [entry for entry in live if entry.kind is not ProposalKind.REWORD]
    entries = [entry for entry in live if entry.state is ProposalState.PUBLISHED]
    # Both models are measured by what the bot answers everybody today: the hold-out was labelled before labels were
    # merged. What is retired for some is answered for the others, and must be understood.
    changes = LabelChanges.of(live)
    holdout = renamed(loop.project.holdout(), changes)
    work = loop.settings.path(str(WORK)) / _stamp(started)
    say(f"training with {len(entries)} published entries")
    data = loop.project.assemble(work / "data", render_files(taught))
    challenger = work / f"evergreen-{_stamp(started)}.tar.gz"
    nlu.train(data, challenger)
    say(f"comparing with {champion.name} on {len(holdout)} held-out messages")
    texts = [example.text for example in holdout]
    comparison = compare(
        evaluate(holdout, _today(nlu.predict(champion, texts), changes)),
        evaluate(holdout, _today(nlu.predict(challenger, texts), changes)),
        loop.settings.retrain.max_accuracy_drop,
    )
    if not comparison.passed:
        summary = {"gate": comparison.reason}
        loop.store.record_run("retrain", started, loop.now(), "blocked", summary)
        return RetrainReport(comparison, None)
    say("swapping the running model")
    model = _deploy(loop, challenger, champion.name, [entry.entry_id for entry in taught], server)
    say("checking what the new model answers by itself")
    absorbed, kept = absorb(loop, nlu, model, entries)
    forget_old_models(loop)
    shutil.rmtree(work)
    done: dict[str, object] = {"gate": comparison.reason, "model": model.name, "absorbed": len(absorbed)}
    loop.store.record_run("retrain", started, loop.now(), "ok", done)
    return RetrainReport(comparison, model, tuple(absorbed), tuple(kept))


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


def _today(predictions: Sequence[Prediction], changes: LabelChanges) -> list[Prediction]:
    """Return predictions as the bot answers them, with what became of their labels."""
    return [replace(item, label=changes.now(item.label) or FALLBACK_INTENT) for item in predictions]


def _deploy(loop: Loop, challenger: Path, champion: str, taught: Sequence[str], server: BotServer) -> Path:
    """Put the model where a restarted server finds it, make the running one load it, and note that it runs.

    What it was trained with is written down before it runs: whatever is interrupted after that, `reconcile` knows it.
    """
    models = loop.settings.path(loop.settings.project.models)
    models.mkdir(parents=True, exist_ok=True)
    model = models / challenger.name
    at = loop.now()
    loop.store.save_deployed_model(DeployedModel(model.name, at, champion, rolled_back_at=at, taught=tuple(taught)))
    shutil.copy2(challenger, model.with_suffix(".part"))
    model.with_suffix(".part").replace(model)
    try:
        server.load_model(model)
    except BotServerError:
        # A server that restarts takes the newest model in the folder: it must not be one that was refused.
        model.unlink(missing_ok=True)
        raise
    settle(loop, model.name, WHO, "passed the gate")
    return model


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%d-%H%M%S")
