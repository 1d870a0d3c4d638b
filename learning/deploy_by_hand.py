"""A model that a person names goes live: one that a retraining has left, or a file in the folder of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from learning.branch import for_everybody
from learning.candidates import ENDING, WORK, Candidate, candidates, check_intact
from learning.deployment import deploy_candidate
from learning.errors import NotFound, ReviewError
from learning.evaluation import compare_models
from learning.jobs import COMPARE
from learning.loop import Loop
from learning.model import LIVE
from learning.model_card import ModelCard
from learning.names import check_name
from learning.ports import BotServer, NluRunner
from learning.running_model import held_back, reconcile

Say = Callable[[str, str], None]


@dataclass(frozen=True)
class Chosen:
    """A model file, with what its training has left, if it was one of ours."""

    path: Path
    candidate: Candidate | None = None


def deploy_by_hand(
    loop: Loop,
    nlu: NluRunner,
    server: BotServer,
    name: str,
    who: str,
    reason: str = "",
    override: bool = False,
    say: Say = lambda step, words: None,
) -> Path:
    """Make the model with a name or path the running one; the caller holds `RETRAINING` (`alone`).

    What was not compared with the model that runs is compared first. One that does not pass the gate, or was made of
    the same data as a model that went back by itself, goes live only against the gate: with `override` and a reason.

    Raises:
        NotFound: there is no such model.
        ReviewError: it runs already or ran before, or the gate is against it.
        TrainingError: its file is damaged, or cannot be loaded.
        BotServerError: a server refuses it, or all are down; the model that ran goes on running.

    """
    check_name(who)
    chosen = find_chosen(loop, name)
    item, candidate = f"model {chosen.path.name}", chosen.candidate
    reconcile(loop, server, is_alone=True)
    running = server.running_model()
    if running.name == chosen.path.name:
        raise ReviewError("runs already", item, "take another one from `python -m learning models list`")
    if candidate is None and any(one.name == chosen.path.name for one in loop.store.deployed_models()):
        raise ReviewError("went live before", item, "use `python -m learning models rollback`")
    check_intact(loop, chosen.path)
    card = _card(loop, nlu, running, chosen, say)
    against = held_back(loop, card.data) if card.passed else card.reason
    if against and not (override and reason):
        step = "use --override with a --reason if it shall go live all the same"
        raise ReviewError(f"did not pass the gate: {against}", item, step)
    said = f"against the gate ({against}): {reason}" if against else reason or "passed the gate"
    taught = candidate.taught if candidate else ()
    return deploy_candidate(loop, nlu, server, chosen.path, card, taught, who, said, say)


def find_chosen(loop: Loop, name: str) -> Chosen:
    """Return the model that a name, its beginning, or a path means: below `var/training/`, or in the folder of models.

    Raises:
        NotFound: there is none, or several.

    """
    models, work = loop.settings.path(loop.settings.project.models), loop.settings.path(str(WORK))
    found = [Chosen(one.path, one) for one in candidates(loop)]
    known = {one.path.name for one in found}
    found += [Chosen(path) for path in sorted(models.glob(f"*{ENDING}")) if path.is_file() and path.name not in known]
    if Path(name).name != name:
        path = next((base / name for base in (Path(), loop.settings.root) if (base / name).is_file()), Path(name))
        same = [one for one in found if one.path.resolve() == path.resolve()]
    else:
        same = [one for one in found if name in (one.path.name, one.path.name.removesuffix(ENDING))]
        same = same or [one for one in found if name and one.path.name.startswith(name)]
    if len(same) != 1:
        step = f"name one of `python -m learning models list`, or put the file into {models}"
        raise NotFound(f"fits {len(same)} models in {models} and {work}", f"model {name}", step)
    return same[0]


def _card(loop: Loop, nlu: NluRunner, running: Path, chosen: Chosen, say: Say) -> ModelCard:
    """Return how a model compares with the one that runs: what its retraining found, or what is found now."""
    candidate = chosen.candidate
    if candidate is not None and candidate.card is not None and candidate.card.champion == running.name:
        return candidate.card
    say(COMPARE, f"comparing with {running.name}")
    compared = compare_models(loop, nlu, running, chosen.path, for_everybody(loop.store.entries(*LIVE)), say)
    data, commit = (candidate.data, candidate.commit) if candidate else ("", "")
    taught = len(candidate.taught) if candidate else 0
    begun = candidate.begun if candidate else ""
    return compared.card(running.name, chosen.path.name, data=data, commit=commit, taught=taught, begun=begun)
