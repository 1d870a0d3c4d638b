"""How good the language understanding is, what is wrong with its data, and what to fix first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from learning.errors import ProjectError, TrackerStoreError
from learning.model import Example
from learning.nlu_report.actions import Action, first_actions
from learning.nlu_report.data import DataChecks, by_similarity, check_data
from learning.nlu_report.scores import Scores, score
from learning.nlu_report.usage import STALE_DAYS, IntentLog, Usage, find_unused
from learning.ports import Encoder, NluRunner
from learning.vectors import Vectors

STEP = 500  # examples between two lines of progress, about a second

__all__ = ["STALE_DAYS", "Material", "NluReport", "build_report"]


@dataclass(frozen=True)
class Material:
    """What a report is made from; `domain` are the intents that the domain lists."""

    examples: Sequence[Example]
    holdout: Sequence[Example]
    domain: Sequence[str]


@dataclass(frozen=True)
class NluReport:
    """The whole report; without a model there are no `scores`, without a tracker store no `usage` but its reason."""

    made_at: datetime
    model: str | None
    actions: tuple[Action, ...]
    scores: Scores | None
    data: DataChecks
    usage: Usage | None
    usage_missing: str | None
    order: tuple[str, ...]


def build_report(
    material: Material,
    encoder: Encoder,
    nlu: NluRunner,
    model: Path | None,
    open_log: Callable[[], IntentLog],
    now: datetime,
    stale_days: int = STALE_DAYS,
    say: Callable[[str], None] = lambda step: None,
) -> NluReport:
    """Measure `model` on the hold-out (None leaves it out), check the training data, and say what to fix first.

    Raises:
        TrainingError: the model cannot be loaded.
        ProjectError: there are no training examples.

    """
    if not material.examples:
        raise ProjectError("holds no training examples", "the data folder", "set project.data in learning.yml")
    vectors = _encode(material.examples, encoder, say)
    data = check_data(material.examples, material.holdout, vectors, material.domain, say)
    usage, missing = _usage(open_log, material.domain, now, stale_days)
    scores = None
    if model is not None:
        say(f"asking {model.name} about {len(material.holdout)} held-out messages (loading it takes a while)")
        texts = [example.text for example in material.holdout]
        scores = score(material.holdout, nlu.predict(model, texts))
    return NluReport(
        made_at=now,
        model=model.name if model else None,
        actions=first_actions(scores, data, usage),
        scores=scores,
        data=data,
        usage=usage,
        usage_missing=missing,
        order=by_similarity(material.examples, vectors),
    )


def _encode(examples: Sequence[Example], encoder: Encoder, say: Callable[[str], None]) -> Vectors:
    parts = []
    for start in range(0, len(examples), STEP):
        say(f"encoding training examples: {start} of {len(examples)}")
        parts.append(encoder.encode([example.text for example in examples[start : start + STEP]]))
    return np.concatenate(parts)


def _usage(
    open_log: Callable[[], IntentLog], domain: Sequence[str], now: datetime, stale_days: int
) -> tuple[Usage | None, str | None]:
    """Return the use of intents, or why it is unknown: a project that has talked to nobody has no tracker store."""
    try:
        return find_unused(open_log(), domain, now, stale_days), None
    except (TrackerStoreError, ProjectError) as error:
        return None, str(error)
