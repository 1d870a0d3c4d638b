"""The gated retraining: train on all that is published, compare by every rule of the gate, swap, absorb."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from learning.absorbing import WHO, absorb
from learning.branch import for_everybody
from learning.candidates import (
    DATA,
    ENDING,
    WORK,
    Candidate,
    forget_candidate,
    forget_old_candidates,
    forget_training_data,
    interrupted,
    note_compared,
    note_failed,
    note_trained,
)
from learning.deployment import make_live
from learning.errors import ReviewError, Stopped, TrainingError
from learning.evaluate import Comparison
from learning.evaluation import compare_models, read_exam
from learning.jobs import ABSORB, PREPARE, SWAP, TRAIN
from learning.loop import Loop
from learning.model import LIVE, DeployedModel, Entry, ProposalKind, ProposalState
from learning.model_card import ModelCard, to_plain
from learning.ports import BotServer, NluRunner
from learning.publish import render_files
from learning.regression import grow, valid_cases, without_cases
from learning.running_model import OWN, held_back, prune_models, reconcile


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
    """Train a challenger, and make it the running model if no rule of the gate blocks it.

    A model that fails the gate is kept under `var/training/`; only a person can deploy it, with `deploy_candidate`.
    Whoever raises from `say`, or makes the training stop, leaves everything as it was. What was trained before that is
    kept, and compared by the next retraining of the same data.

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
        ReviewError: meanwhile somebody has made another model run.
        BotServerError: a server refuses the new model, or all are down; the old one goes on running.
        ProjectError: there is no hold-out.

    """
    loop.project.check()
    started = loop.now()
    forget_training_data(loop)  # of trainings that were killed
    say(PREPARE, "preparing")
    reconcile(loop, server, is_alone=True)
    champion = server.running_model()
    live = for_everybody(loop.store.entries(*LIVE))
    taught = [entry for entry in live if entry.kind is not ProposalKind.REWORD]
    entries = [entry for entry in live if entry.state is ProposalState.PUBLISHED]
    # What the exam lacks is told before a training of minutes, not after it.
    grow(loop, live)
    read_exam(loop, live)
    begun = loop.now()  # what is confirmed from now on may be among what is trained
    candidate = _train(loop, nlu, without_cases(taught, valid_cases(loop, live)), champion, say, started, begun)
    try:
        compared = compare_models(loop, nlu, champion, candidate.path, live, say)
    except TrainingError:
        note_failed(candidate)
        raise
    comparison = compared.comparison
    taught_count = len(candidate.taught)
    card = compared.card(champion.name, candidate.name, candidate.data, candidate.commit, taught_count, candidate.begun)
    held = held_back(loop, card.data) if comparison.passed and deploy else ""
    if held:
        comparison = replace(comparison, reason=f"{comparison.reason}; {held}")
    if held or not (comparison.passed and deploy):
        return _leave_to_people(loop, candidate, comparison, card, started)
    if server.running_model().name != champion.name:
        raise ReviewError(f"was compared with {champion.name}, which runs no more", candidate.name, "train again")
    say(SWAP, "swapping the running model")
    replaced = DeployedModel(candidate.name, loop.now(), champion.name, taught=candidate.taught, card=to_plain(card))
    model = make_live(loop, candidate.path, replaced, server, WHO, "passed the gate")
    say(ABSORB, "checking what the new model answers by itself")
    absorbed, kept = absorb(loop, nlu, model, entries)
    prune_models(loop)
    forget_candidate(candidate)
    done: dict[str, object] = {"gate": comparison.reason, "model": model.name, "absorbed": len(absorbed)}
    loop.store.record_run("retrain", started, loop.now(), "ok", done)
    return RetrainReport(comparison, model, tuple(absorbed), tuple(kept), card, taught=candidate.taught)


def _leave_to_people(
    loop: Loop, candidate: Candidate, comparison: Comparison, card: ModelCard, started: datetime
) -> RetrainReport:
    """Keep a model that does not go live by itself, with what the gate said of it."""
    outcome = "compared" if comparison.passed else "blocked"
    loop.store.record_run("retrain", started, loop.now(), outcome, {"gate": comparison.reason})
    note_compared(candidate, card)
    forget_old_candidates(loop)
    return RetrainReport(comparison, None, card=card, candidate=candidate.path, taught=candidate.taught)


def _train(
    loop: Loop,
    nlu: NluRunner,
    taught: Sequence[Entry],
    champion: Path,
    say: Callable[[str, str], None],
    started: datetime,
    begun: datetime,
) -> Candidate:
    """Return the challenger: trained now, or by a training of the same data that was interrupted after that."""
    folder = loop.settings.path(str(WORK)) / _stamp(started)
    try:
        data = loop.project.assemble(folder / DATA, render_files(taught))
        fingerprint, commit = loop.project.fingerprint(data), loop.project.commit()
        found = interrupted(loop, fingerprint, commit, champion.name)
        if found is not None:
            if found.path.parent != folder:
                shutil.rmtree(folder, ignore_errors=True)
            say(TRAIN, f"{found.name} was trained with the same data before an interruption")
            return found
        challenger = folder / f"{OWN}{_stamp(started)}{ENDING}"
        say(TRAIN, f"training with {len(taught)} published entries")
        nlu.train(data, challenger)
        return note_trained(loop, challenger, fingerprint, commit, [entry.entry_id for entry in taught], begun)
    except Stopped:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        # Customers' words stay where erasure finds them.
        shutil.rmtree(folder / DATA, ignore_errors=True)


def _stamp(at: datetime) -> str:
    return at.strftime("%Y%m%d-%H%M%S")
