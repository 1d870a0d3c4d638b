"""Which model runs: what entries the overlay can leave to it, and the way back to a former one."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from learning.errors import BotServerError, NotFound, TrainingError
from learning.loop import Loop
from learning.model import DeployedModel, Entry
from learning.names import check_name
from learning.ports import BotServer

logger = logging.getLogger(__name__)

KEPT_MODELS = 5  # files of models that went live; an older one is deleted, never the one that runs or that it replaced
OWN = "evergreen-"  # begins the names of the models that retraining makes: no other file is ever deleted
WATCH = "watch"  # who found out which model runs


@dataclass(frozen=True)
class Settled:
    """What followed from another model's running: entries that came back to the overlay, and those that left it."""

    model: str
    before: str
    back: tuple[Entry, ...] = ()
    left: tuple[Entry, ...] = ()


def reconcile(loop: Loop, server: BotServer) -> Settled | None:
    """Bring the overlay in line with the model that runs; return what changed, None without another model.

    It repairs what a crash left between the swap and the database, and follows an operator who starts a model by hand.
    While the server is away nothing is known, and nothing changes.
    """
    try:
        running = server.running_model().name
    except BotServerError as error:
        logger.info("which model runs is not known: %s", error)
        return None
    if running == loop.store.running_model():
        return None
    _make_newest(loop.settings.path(loop.settings.project.models) / running)
    return settle(loop, running, WATCH, "found it running")


def settle(loop: Loop, running: str, who: str, reason: str = "") -> Settled:
    """Note which model runs: what it does not know comes back to the overlay, what it knows by itself leaves it."""
    before = loop.store.running_model()
    back, left = loop.store.settle_model(running, who, loop.now(), reason)
    entries = {entry.entry_id: entry for entry in loop.store.entries()} if back or left else {}
    return Settled(running, before, tuple(entries[one] for one in back), tuple(entries[one] for one in left))


def roll_back_model(loop: Loop, server: BotServer, name: str | None, who: str, reason: str = "") -> Settled:
    """Make the bot run a former model again, by default the one before this.

    Raises:
        NotFound: no such model went live, or there is none before this one.
        TrainingError: its file is gone.
        BotServerError: the server is down or refuses it; the model that ran goes on running.

    """
    check_name(who)
    reconcile(loop, server)
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


def forget_old_models(loop: Loop) -> list[Path]:
    """Delete the files of models that went live long ago; return them."""
    models = loop.store.deployed_models()
    running = loop.store.running_model()
    kept = {running, *(model.replaced for model in models if model.name == running)}
    kept |= {model.name for model in models[:KEPT_MODELS]}
    folder = loop.settings.path(loop.settings.project.models)
    gone = [folder / model.name for model in models if model.name not in kept and model.name.startswith(OWN)]
    gone = [path for path in gone if path.is_file() and path.parent == folder]
    for path in gone:
        path.unlink()
    return gone
