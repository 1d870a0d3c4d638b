"""The gated retraining: train on all that is published, compare on the hold-out, swap, absorb."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from learning.branch import for_everybody
from learning.errors import BotServerError, ReviewError, Stopped, TrainingError
from learning.evaluate import Comparison, compare, evaluate, understood
from learning.jobs import ABSORB, COMPARE, PREPARE, SWAP, TRAIN
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
from learning.model_card import ModelCard, compare_on, to_plain
from learning.ports import BotServer, NluRunner
from learning.publish import render_files
from learning.running_model import forget_old_models, reconcile, settle

WORK = Path("var/training")
WHO = "retrain"  # in the audit log
CHECKED = 500  # newest messages of a gap that the new model must understand


KEPT_CANDIDATES = 3  # newest trainings whose models did not go live; one has about 30 MB


@dataclass(frozen=True)
class RetrainReport:
    """What a retraining did: the comparison, the model now running, and the absorbed entries.

    `candidate` is where the new model is if it did not go live, and `taught` the ids of the entries that it knows.
    """

    comparison: Comparison
    model: Path | None
    absorbed: tuple[Entry, ...] = ()
    kept: tuple[Entry, ...] = ()
    card: ModelCard | None = None
    candidate: Path | None = None
    taught: tuple[str, ...] = ()


def retrain(
    loop: Loop,
    nlu: NluRunner,
    server: BotServer,
    say: Callable[[str, str], None] = lambda step, words: None,
    deploy: bool = True,
) -> RetrainReport:
    """Train a challenger, and make it the running model if it is not worse on the hold-out.

    A model that fails the gate is kept under `var/training/`; only a person can deploy it, with `deploy_candidate`.
    Whoever raises from `say`, or makes the training stop, leaves everything as it was.

    Before anything else the overlay is brought in line with the model that runs. New texts of responses are not
    trained: the overlay says them, so that they can be taken back at once.

    Args:
        loop: the loop.
        nlu: trains and asks models.
        server: the running bot.
        say: told each step by its name, and in words.
        deploy: whether a model that passes goes live at once; without it a person decides.

    Raises:
        Stopped: somebody wanted it to stop, before the swap.
        TrainingError: training failed or a model cannot be loaded.
        BotServerError: the server is down or refuses the new model; the old one goes on running.
        ProjectError: there is no hold-out.

    """
    loop.project.check()
    started = loop.now()
    say(PREPARE, "preparing")
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
    try:
        data = loop.project.assemble(work / "data", render_files(taught))
        challenger = work / f"evergreen-{_stamp(started)}.tar.gz"
        say(TRAIN, f"training with {len(entries)} published entries")
        nlu.train(data, challenger)
        say(COMPARE, f"comparing with {champion.name} on {len(holdout)} held-out messages")
        texts = [example.text for example in holdout]
        before = _today(nlu.predict(champion, texts), changes)
        after = _today(nlu.predict(challenger, texts), changes)
    except Stopped:
        shutil.rmtree(work, ignore_errors=True)
        raise
    comparison = compare(evaluate(holdout, before), evaluate(holdout, after), loop.settings.retrain.max_accuracy_drop)
    card = ModelCard(
        champion=champion.name,
        challenger=challenger.name,
        data=loop.project.fingerprint(data),
        commit=loop.project.commit(),
        taught=len(taught),
        passed=comparison.passed,
        reason=comparison.reason,
        **compare_on(holdout, before, after),
    )
    ids = tuple(entry.entry_id for entry in taught)
    if not (comparison.passed and deploy):
        outcome = "compared" if comparison.passed else "blocked"
        loop.store.record_run("retrain", started, loop.now(), outcome, {"gate": comparison.reason})
        _forget_old_candidates(work)
        return RetrainReport(comparison, None, card=card, candidate=challenger, taught=ids)
    try:
        say(SWAP, "swapping the running model")
    except Stopped:
        shutil.rmtree(work, ignore_errors=True)
        raise
    replaced = DeployedModel(challenger.name, loop.now(), champion.name, taught=ids, card=to_plain(card))
    model = _deploy(loop, challenger, replaced, server, WHO, "passed the gate")
    say(ABSORB, "checking what the new model answers by itself")
    absorbed, kept = absorb(loop, nlu, model, entries)
    forget_old_models(loop)
    shutil.rmtree(work)
    done: dict[str, object] = {"gate": comparison.reason, "model": model.name, "absorbed": len(absorbed)}
    loop.store.record_run("retrain", started, loop.now(), "ok", done)
    return RetrainReport(comparison, model, tuple(absorbed), tuple(kept), card, taught=ids)


def deploy_candidate(
    loop: Loop,
    nlu: NluRunner,
    server: BotServer,
    candidate: Path,
    card: ModelCard,
    taught: Sequence[str],
    who: str,
    reason: str,
    say: Callable[[str, str], None] = lambda step, words: None,
) -> Path:
    """Make a model live that a retraining has left to people: it passed and nobody had decided, or it did not pass.

    Raises:
        TrainingError: its file is gone.
        ReviewError: another model runs than the one that it was compared with.
        BotServerError: the server is down or refuses it; the model that ran goes on running.

    """
    item = f"model {candidate.name}"
    if not candidate.is_file():
        raise TrainingError("has no file any more", item, "train again")
    reconcile(loop, server)
    running = server.running_model().name
    if running != card.champion:
        raise ReviewError(f"was compared with {card.champion}, and {running} runs now", item, "train again")
    say(SWAP, "swapping the running model")
    deployed = DeployedModel(candidate.name, loop.now(), running, taught=tuple(taught), card=to_plain(card))
    model = _deploy(loop, candidate, deployed, server, who, reason)
    say(ABSORB, "checking what the new model answers by itself")
    entries = [one for one in for_everybody(loop.store.entries(ProposalState.PUBLISHED)) if one.entry_id in taught]
    absorb(loop, nlu, model, entries)
    forget_old_models(loop)
    shutil.rmtree(candidate.parent, ignore_errors=True)
    return model


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


def _deploy(loop: Loop, challenger: Path, deployed: DeployedModel, server: BotServer, who: str, reason: str) -> Path:
    """Put the model where a restarted server finds it, make the running one load it, and note that it runs.

    What it was trained with is written down before it runs: whatever is interrupted after that, `reconcile` knows it.
    """
    models = loop.settings.path(loop.settings.project.models)
    models.mkdir(parents=True, exist_ok=True)
    model = models / challenger.name
    loop.store.save_deployed_model(replace(deployed, rolled_back_at=deployed.at))
    shutil.copy2(challenger, model.with_suffix(".part"))
    model.with_suffix(".part").replace(model)
    try:
        server.load_model(model)
    except BotServerError:
        # A server that restarts takes the newest model in the folder: it must not be one that was refused.
        model.unlink(missing_ok=True)
        raise
    settle(loop, model.name, who, reason)
    return model


def _forget_old_candidates(newest: Path) -> None:
    """Delete all but the newest trainings whose models did not go live."""
    folders = sorted((path for path in newest.parent.iterdir() if path.is_dir()), key=lambda path: path.name)
    for folder in folders[:-KEPT_CANDIDATES]:
        shutil.rmtree(folder, ignore_errors=True)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%d-%H%M%S")
