"""Which model runs: what entries the overlay can leave to it, and the way back to a former one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from learning.alone import RETRAINING, alone
from learning.candidates import forget_old_candidates
from learning.errors import BotServerError, NotFound, ReviewError, TrainingError
from learning.loop import Loop
from learning.model import DeployedModel, Entry, ServerState
from learning.names import check_name
from learning.ports import BotServer

logger = logging.getLogger(__name__)

OWN = "evergreen-"  # begins the names of the models that retraining makes: no other file is ever deleted
WATCH = "watch"  # who found out which model runs, or that one must go
# What becomes of a watched model: see `WatchedModel`.
WATCHING, GOING_BACK, ROLLED_BACK, KEPT, ENDED = "watching", "going_back", "rolled_back", "kept", "ended"
OPEN = (WATCHING, GOING_BACK)


@dataclass(frozen=True)
class Settled:
    """What followed from another model's running: entries that came back to the overlay, and those that left it."""

    model: str
    before: str
    back: tuple[Entry, ...] = ()
    left: tuple[Entry, ...] = ()


def reconcile(loop: Loop, server: BotServer, is_alone: bool = False) -> Settled | None:
    """Bring the overlay in line with the model that runs; return what changed, None without another model.

    It repairs what a crash left between the swap and the database, and follows an operator who starts a model by hand.
    Where there are several servers, those that run something else than the model that was known to run are made to
    load that one: they were away when it was swapped. Only if none runs it, all follow the first that answers. While
    every server is away nothing is known, and nothing changes.

    Args:
        loop: the loop.
        server: the running bot.
        is_alone: whether the caller holds the job `RETRAINING`; who does not waits for a swap to end.

    """
    states = server.states()
    running = _should_run(loop, states)
    if running is None:
        return None
    model = loop.settings.path(loop.settings.project.models) / running
    if any(one.model not in ("", running) for one in states):
        if is_alone:
            _align(server, model)
        else:
            try:
                with alone(loop, RETRAINING):
                    # Meanwhile a swap may have ended.
                    running = _should_run(loop, server.states()) or running
                    model = model.with_name(running)
                    _align(server, model)
            except ReviewError as error:
                logger.info("the servers are brought in line later: %s", error)
                return None
    if running == loop.store.running_model():
        return None
    _make_newest(model)
    return settle(loop, running, WATCH, "found it running")


def _should_run(loop: Loop, states: Sequence[ServerState]) -> str | None:
    """Return the name of the model that all servers should run, None while that is not known."""
    for one in states:
        if one.problem:
            logger.info("which model runs at %s is not known: %s", one.address, one.problem)
    models = [one.model for one in states if one.model]
    known = loop.store.running_model()
    return known if known in models else next(iter(models), None)


def _align(server: BotServer, model: Path) -> None:
    """Have servers load the model that the others run; one that refuses it is left, and asked again the next time."""
    _make_newest(model)
    try:
        for address in server.align(model):
            logger.warning("%s ran another model and was made to run %s", address, model.name)
    except BotServerError as error:
        logger.error("a server runs another model than %s: %s", model.name, error)


def settle(loop: Loop, running: str, who: str, reason: str = "") -> Settled:
    """Note which model runs: what it does not know comes back to the overlay, what it knows by itself leaves it."""
    before = loop.store.running_model()
    back, left = loop.store.settle_model(running, who, loop.now(), reason)
    entries = {entry.entry_id: entry for entry in loop.store.entries()} if back or left else {}
    return Settled(running, before, tuple(entries[one] for one in back), tuple(entries[one] for one in left))


def roll_back_model(loop: Loop, server: BotServer, name: str | None, who: str, reason: str = "") -> Settled:
    """Make the bot run a former model again, by default the one before this; the caller holds `RETRAINING` (`alone`).

    Raises:
        NotFound: no such model went live, or there is none before this one.
        TrainingError: its file is gone.
        BotServerError: a server refuses it, or all are down; the model that ran goes on running.

    """
    check_name(who)
    reconcile(loop, server, is_alone=True)
    running = loop.store.running_model() or server.running_model().name
    target = _target(loop.store.deployed_models(), running, name)
    path = loop.settings.path(loop.settings.project.models) / target
    if not path.is_file():
        raise TrainingError("has no file any more", f"model {target}", f"put it back into {path.parent}")
    server.load_model(path)
    _make_newest(path)
    return settle(loop, target, who, reason)


def _make_newest(path: Path) -> None:
    """Let a server that restarts take this model: it takes the newest file of the folder."""
    try:
        os.utime(path)
    except OSError as error:  # it may run from elsewhere
        logger.info("model %s could not be made the newest file: %s", path.name, error)


def _target(models: list[DeployedModel], running: str, name: str | None) -> str:
    if name is None:
        own = next((model for model in models if model.name == running), None)
        if own is None or not own.replaced:
            raise NotFound("came after none that is known", f"model {running}", "name one of `models list`")
        return own.replaced
    names = {model.name for model in models} | {model.replaced for model in models} - {""}
    found = [one for one in sorted(names) if one == name] or [one for one in sorted(names) if one.startswith(name)]
    if len(found) != 1 or not name or found[0] == running:
        what = "runs already" if found == [running] else f"fits {len(found)} models"
        raise NotFound(what, f"model {name}", "take another one from `python -m learning models list`")
    return found[0]


def prune_models(loop: Loop, dry_run: bool = False) -> tuple[str, ...]:
    """Delete the files of models that went live long ago; return their names.

    The one that runs, the one before it, one that is watched and the newest `retrain.keep_models` stay. So does
    whatever retraining has not made. Of trainings whose models did not go live the newest three stay.

    Args:
        loop: the loop.
        dry_run: only tell what would be deleted.

    """
    models = loop.store.deployed_models()
    running = loop.store.running_model()
    kept = {running, *(model.replaced for model in models if model.name == running)}
    kept |= {name for one in loop.store.watched_models() if one.state in OPEN for name in (one.name, one.replaced)}
    kept |= {model.name for model in models[: max(loop.settings.retrain.keep_models, 1)]}
    folder = loop.settings.path(loop.settings.project.models)
    own = {model.name for model in models if model.name.startswith(OWN)}
    gone = [folder / name for name in sorted(own - kept)]
    gone = [path for path in gone if path.is_file() and not path.is_symlink() and path.parent == folder]
    if not dry_run:
        for path in gone:
            path.unlink(missing_ok=True)
    folders = forget_old_candidates(loop, dry_run=dry_run)
    return tuple(path.name for path in (*gone, *folders))


def held_back(loop: Loop, data: str) -> str:
    """Return why a model of this data does not go live by itself, empty if nothing is known against it.

    Args:
        loop: the loop.
        data: the fingerprint of its training data.

    """
    for one in loop.store.watched_models():
        if one.state == ROLLED_BACK and data and one.data == data:
            return (
                f"but {one.name}, which was trained on the same data, went back by itself ({one.said}):"
                " a person has to deploy it"
            )
    return ""
