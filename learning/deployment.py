"""Making a trained model the one that runs."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from learning.absorbing import absorb
from learning.branch import for_everybody
from learning.candidates import WORK
from learning.errors import BotServerError, ReviewError, TrainingError
from learning.jobs import ABSORB, SWAP
from learning.loop import Loop
from learning.model import DeployedModel, ProposalState
from learning.model_card import ModelCard, to_plain
from learning.ports import BotServer, NluRunner
from learning.running_model import prune_models, reconcile, settle

logger = logging.getLogger(__name__)

PART = ".part"  # ends the name of a file that is being written


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
        BotServerError: a server refuses it, or all are down; the model that ran goes on running.

    """
    item = f"model {candidate.name}"
    if not candidate.is_file():
        raise TrainingError("has no file any more", item, "train again")
    reconcile(loop, server, is_alone=True)
    running = server.running_model().name
    if running != card.champion:
        raise ReviewError(f"was compared with {card.champion}, and {running} runs now", item, "train again")
    say(SWAP, "swapping the running model")
    deployed = DeployedModel(candidate.name, loop.now(), running, taught=tuple(taught), card=to_plain(card))
    model = make_live(loop, candidate, deployed, server, who, reason)
    say(ABSORB, "checking what the new model answers by itself")
    entries = [one for one in for_everybody(loop.store.entries(ProposalState.PUBLISHED)) if one.entry_id in taught]
    absorb(loop, nlu, model, entries)
    prune_models(loop)
    if candidate.parent.parent == loop.settings.path(str(WORK)):
        shutil.rmtree(candidate.parent, ignore_errors=True)
    return model


def make_live(loop: Loop, challenger: Path, deployed: DeployedModel, server: BotServer, who: str, reason: str) -> Path:
    """Put the model where a restarted server finds it, make the running ones load it, and note that it runs.

    What it was trained with is written down before it runs: whatever is interrupted after that, `reconcile` knows it.

    Raises:
        TrainingError: the disk does not take the model.
        BotServerError: a server refuses it, or all are down; the model that ran goes on running.

    """
    models = loop.settings.path(loop.settings.project.models)
    model = models / challenger.name
    loop.store.save_deployed_model(replace(deployed, rolled_back_at=deployed.at))
    before = _when_changed(model)
    _put(challenger, model)
    try:
        server.load_model(model)
    except BotServerError:
        # A server that restarts takes the newest model in the folder: it must not be one that was refused.
        if before is None:
            model.unlink(missing_ok=True)
        else:
            os.utime(model, ns=(before, before))
        raise
    settle(loop, model.name, who, reason)
    return model


def _put(challenger: Path, model: Path) -> None:
    """Copy a model to where servers look for it, whole or not at all; one that is there becomes the newest."""
    try:
        model.parent.mkdir(parents=True, exist_ok=True)
        if challenger.resolve() == model.resolve():
            os.utime(model)
            return
        part = model.with_suffix(PART)
        try:
            shutil.copyfile(challenger, part)  # not its time: it becomes the newest
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(model)
        except OSError:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        step = "make room, or correct the folder's rights; nothing was swapped"
        raise TrainingError(f"cannot be put into {model.parent} ({reason})", f"model {model.name}", step) from error


def _when_changed(model: Path) -> int | None:
    """Return when a file was last changed (ns), None where there is none."""
    try:
        return model.stat().st_mtime_ns
    except OSError:
        return None
