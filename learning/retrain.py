"""The gated retraining: train on all that is published, compare on the hold-out, swap, absorb."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from learning.errors import BotServerError
from learning.evaluate import Comparison, compare, evaluate, understood
from learning.loop import Loop
from learning.model import Entry, ProposalState
from learning.pipeline import learned_files
from learning.ports import BotServer, NluRunner

WORK = Path("var/training")
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

    Raises:
        TrainingError: training failed or a model cannot be loaded.
        BotServerError: the server is down or refuses the new model; the old one goes on running.
        ProjectError: there is no hold-out.

    """
    loop.project.check()
    started = loop.now()
    holdout = loop.project.holdout()
    champion = server.running_model()
    entries = loop.store.entries(ProposalState.PUBLISHED)
    work = loop.settings.path(str(WORK)) / _stamp(started)
    say(f"training with {len(entries)} published entries")
    data = loop.project.assemble(work / "data", learned_files(loop))
    challenger = work / f"evergreen-{_stamp(started)}.tar.gz"
    nlu.train(data, challenger)
    say(f"comparing with {champion.name} on {len(holdout)} held-out messages")
    texts = [example.text for example in holdout]
    comparison = compare(
        evaluate(holdout, nlu.predict(champion, texts)),
        evaluate(holdout, nlu.predict(challenger, texts)),
        loop.settings.retrain.max_accuracy_drop,
    )
    if not comparison.passed:
        summary = {"gate": comparison.reason}
        loop.store.record_run("retrain", started, loop.now(), "blocked", summary)
        return RetrainReport(comparison, None)
    say("swapping the running model")
    model = _deploy(challenger, loop.settings.path(loop.settings.project.models), server)
    say("checking what the new model answers by itself")
    absorbed, kept = absorb(loop, nlu, model, entries)
    shutil.rmtree(work)
    done: dict[str, object] = {"gate": comparison.reason, "model": model.name, "absorbed": len(absorbed)}
    loop.store.record_run("retrain", started, loop.now(), "ok", done)
    return RetrainReport(comparison, model, tuple(absorbed), tuple(kept))


def absorb(loop: Loop, nlu: NluRunner, model: Path, entries: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Retire the overlay entries that `model` understands by itself; return (absorbed, kept)."""
    # Training takes minutes: what was withdrawn meanwhile is no longer there to be absorbed.
    live = {entry.entry_id for entry in loop.store.entries(ProposalState.PUBLISHED)}
    entries = [entry for entry in entries if entry.entry_id in live]
    gap_of = {proposal.proposal_id: proposal.gap_id for proposal in loop.store.proposals()}
    texts_of = {
        entry.entry_id: sorted(
            {
                *entry.examples,
                *(turn.text for turn in loop.store.turns_of_gap(gap_of.get(entry.proposal_id, ""), newest=CHECKED)),
            }
        )
        for entry in entries
    }
    flat = [text for entry in entries for text in texts_of[entry.entry_id]]
    predictions = iter(nlu.predict(model, flat) if flat else ())
    absorbed: list[Entry] = []
    kept: list[Entry] = []
    for entry in entries:
        share = understood([next(predictions) for _ in texts_of[entry.entry_id]], entry.label)
        if share < loop.settings.retrain.absorb_share:
            kept.append(entry)
            continue
        reason = f"{model.name} understands {100 * share:.0f} % of its messages"
        loop.store.move_entry(entry, ProposalState.ABSORBED, "retrain", "absorb", reason, loop.now())
        absorbed.append(entry)
    return absorbed, kept


def _deploy(challenger: Path, models: Path, server: BotServer) -> Path:
    """Put the model where a restarted server finds it, and make the running one load it."""
    models.mkdir(parents=True, exist_ok=True)
    model = models / challenger.name
    shutil.copy2(challenger, model.with_suffix(".part"))
    model.with_suffix(".part").replace(model)
    try:
        server.load_model(model)
    except BotServerError:
        # A server that restarts takes the newest model in the folder: it must not be one that was refused.
        model.unlink(missing_ok=True)
        raise
    return model


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%d-%H%M%S")
