"""Trained models that do not run (yet), with what is known of them: each in a folder of its own under `var/training/`.

Beside the model lies a small file of its state, so that a training which was interrupted after the model was made goes
on with it, and so that people can deploy by name what a retraining has left to them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from learning.errors import NotFound, TrainingError
from learning.loop import Loop
from learning.model_card import ModelCard, from_plain, to_plain

logger = logging.getLogger(__name__)

WORK = Path("var/training")
STATE = "state.json"
DATA = "data"  # what a model is trained on, while it is trained
OURS = re.compile(r"\d{8}-\d{6}")  # the folder of a training: no other is ever deleted
KEPT_CANDIDATES = 3  # newest trainings whose models did not go live; one has about 30 MB
ENDING = ".tar.gz"
LATEST_USE = timedelta(days=1)  # after which an interrupted training begins anew: packages change under it

TRAINED, PASSED, BLOCKED, FAILED = "trained", "passed", "blocked", "failed"


@dataclass(frozen=True)
class Candidate:
    """A trained model: where it is, what it was made of, and how far its retraining came.

    `state` is `trained` until it was compared, then `passed` or `blocked`, or `failed` where it could not be loaded.
    `data`, `commit` and `begun` are as in its card, `digest` is the SHA-256 of the file.
    """

    path: Path
    state: str
    data: str
    commit: str
    digest: str
    trained_at: datetime
    taught: tuple[str, ...] = ()
    card: ModelCard | None = None
    begun: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @property
    def is_intact(self) -> bool:
        """Whether the file is the one that was trained: a full disk or a broken one leaves half of it."""
        try:
            return digest_of(self.path) == self.digest
        except OSError:
            return False


def note_trained(
    loop: Loop, path: Path, data: str, commit: str, taught: Sequence[str], begun: datetime | None = None
) -> Candidate:
    """Write down that a model was trained, so that it need not be trained again; return it.

    Args:
        loop: the loop.
        path: the model.
        data: the fingerprint of what it was trained on.
        commit: the project's commit.
        taught: the ids of the entries among it.
        begun: when these were chosen.

    Raises:
        TrainingError: the disk does not take it.

    """
    try:
        _to_disk(path)
        since = begun.isoformat() if begun else ""
        made = Candidate(path, TRAINED, data, commit, digest_of(path), loop.now(), tuple(taught), begun=since)
        _write(made)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TrainingError(f"cannot be kept ({reason})", f"model {path.name}", f"look at {path.parent}") from error
    return made


def note_compared(candidate: Candidate, card: ModelCard) -> None:
    """Write down what the gate said of a model."""
    _note(replace(candidate, state=PASSED if card.passed else BLOCKED, card=card))


def note_failed(candidate: Candidate) -> None:
    """Write down that a model could not be compared: the next training makes another one."""
    _note(replace(candidate, state=FAILED))


def _note(candidate: Candidate) -> None:
    """Write down how far a training came; without that the model is compared once more."""
    try:
        _write(candidate)
    except OSError as error:
        logger.warning("the state of model %s cannot be kept: %s", candidate.name, error)


def interrupted(loop: Loop, data: str, commit: str, running: str) -> Candidate | None:
    """Return the model of a training of the same data and code that never came to its end, None without one.

    Args:
        loop: the loop.
        data: the fingerprint of what is to be trained on.
        commit: that of the project.
        running: the name of the model that runs: that one is no challenger any more.

    """
    latest = loop.now() - LATEST_USE
    for one in candidates(loop):
        same = (one.state, one.data, one.commit) == (TRAINED, data, commit)
        if same and one.name != running and one.trained_at >= latest and one.is_intact:
            return one
    return None


def candidates(loop: Loop) -> list[Candidate]:
    """Return the trained models that did not go live, the newest first."""
    folder = loop.settings.path(str(WORK))
    found = [_read(path) for path in sorted(folder.glob(f"*/{STATE}"), reverse=True)]
    return [one for one in found if one is not None and one.path.is_file()]


def find_candidate(loop: Loop, name: str) -> Candidate:
    """Return the candidate with a name, or with the only one that begins so.

    Raises:
        NotFound: there is none, or several.

    """
    known = {one.name: one for one in candidates(loop)}
    names = [one for one in known if name in (one, one.removesuffix(ENDING))]
    names = names or [one for one in known if name and one.startswith(name)]
    if len(names) != 1:
        raise NotFound(f"fits {len(names)} candidates", f"model {name}", "see `python -m learning models list`")
    return known[names[0]]


def check_intact(loop: Loop, path: Path) -> None:
    """Raise `TrainingError` if a candidate's file is not the one that was trained."""
    known = next((one for one in candidates(loop) if one.path == path), None)
    if known is not None and not known.is_intact:
        raise TrainingError("is damaged", f"model {path.name}", "train again")


def forget_candidate(candidate: Candidate) -> None:
    """Delete a candidate with all that was made for it."""
    shutil.rmtree(candidate.path.parent, ignore_errors=True)


def forget_old_candidates(loop: Loop, keep: int = KEPT_CANDIDATES, dry_run: bool = False) -> list[Path]:
    """Delete all but the newest trainings whose models did not go live; return their folders.

    The caller holds `RETRAINING` (`alone`), or wants one at work to fail.
    """
    folders = _trainings(loop)
    gone = folders[: max(len(folders) - keep, 0)]
    if not dry_run:
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
    return gone


def forget_training_data(loop: Loop) -> None:
    """Delete what models were trained on; the caller holds `RETRAINING` (`alone`): of a killed training it is left."""
    for folder in _trainings(loop):
        shutil.rmtree(folder / DATA, ignore_errors=True)


def _trainings(loop: Loop) -> list[Path]:
    """Return the folders of trainings, the oldest first."""
    work = loop.settings.path(str(WORK))
    if not work.is_dir():
        return []
    ours = (path for path in work.iterdir() if OURS.fullmatch(path.name) and path.is_dir() and not path.is_symlink())
    return sorted(ours, key=lambda path: path.name)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            total.update(part)
    return total.hexdigest()


def _write(candidate: Candidate) -> None:
    """Write the state at once and whole: what is read later is the former state or this one."""
    plain = {
        "model": candidate.name,
        "state": candidate.state,
        "data": candidate.data,
        "commit": candidate.commit,
        "digest": candidate.digest,
        "trained_at": candidate.trained_at,
        "taught": candidate.taught,
        "begun": candidate.begun,
        "card": to_plain(candidate.card) if candidate.card else {},
    }
    path = candidate.path.parent / STATE
    part = path.with_suffix(".part")
    part.write_bytes(orjson.dumps(plain, option=orjson.OPT_INDENT_2))
    _to_disk(part)
    part.replace(path)


def _read(path: Path) -> Candidate | None:
    """Return what a state file says; None where it is none, or of a version that wrote something else."""
    try:
        plain = orjson.loads(path.read_bytes())
        return _candidate(path.parent, plain)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _candidate(folder: Path, plain: Mapping[str, Any]) -> Candidate:
    return Candidate(
        path=folder / Path(plain["model"]).name,
        state=str(plain["state"]),
        data=str(plain["data"]),
        commit=str(plain["commit"]),
        digest=str(plain["digest"]),
        trained_at=datetime.fromisoformat(plain["trained_at"]),
        taught=tuple(str(one) for one in plain["taught"]),
        card=from_plain(plain["card"]),
        begun=str(plain.get("begun", "")),
    )


def _to_disk(path: Path) -> None:
    """Have the disk write a file: after a power cut its name must not be all that is left of it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
