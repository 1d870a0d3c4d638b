"""What the pages about experiments show, read from the loop as frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log

from hub.texts import experiments as experiment_texts
from learning.current_answers import current_answers
from learning.errors import EvergreenError
from learning.experiments import show
from learning.loop import Loop
from learning.model import Answer, Experiment, ExperimentState
from learning.verdict_words import sentence
from learning.verdicts import Comparison, VariantFigures, Verdict

ORDER = (ExperimentState.RUNNING, ExperimentState.DRAFT, ExperimentState.STOPPED)
LARGEST_RATIO = 1_000_000  # likelihood ratios beyond it are no news
STEP = 5  # percent between two places where the drawing's scale may begin or end


@dataclass(frozen=True)
class Bar:
    """An interval as it is drawn, in percent of the drawing's width."""

    name: str
    start: float
    width: float
    at: float
    figures: VariantFigures


@dataclass(frozen=True)
class Drawing:
    """The intervals on one scale, which goes from `low` to `high` percent."""

    bars: tuple[Bar, ...]
    low: int
    high: int


@dataclass(frozen=True)
class Weight:
    """How far the evidence about two wordings has come: `share` of the way (0..1), on a logarithmic scale."""

    comparison: Comparison
    share: float
    ratio: str
    needed: str


@dataclass(frozen=True)
class ExperimentView:
    """An experiment with its verdict so far; `problem` says why there is none."""

    experiment: Experiment
    metric: str
    verdict: Verdict | None = None
    sentence: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""
    drawing: Drawing | None = None
    weights: tuple[Weight, ...] = ()

    @property
    def harms(self) -> bool:
        """Whether a wording does worse than the present one."""
        return self.verdict is not None and bool(self.verdict.harmful)


def read_experiments(loop: Loop) -> tuple[ExperimentView, ...]:
    """Return the experiments, those that run first, then the newest."""
    newest = sorted(loop.store.experiments(), key=lambda one: (one.created_at, one.experiment_id), reverse=True)
    return tuple(view_of(loop, one) for one in sorted(newest, key=lambda one: ORDER.index(one.state)))


def view_of(loop: Loop, experiment: Experiment) -> ExperimentView:
    """Return one experiment; what is wrong with it keeps no other from being shown."""
    metric = experiment_texts.METRIC_SHORT.get(experiment.metric, experiment.metric)
    if experiment.started_at is None:
        return ExperimentView(experiment, metric)
    try:
        shown = show(loop, experiment.experiment_id)
    except EvergreenError as error:
        return ExperimentView(experiment, metric, problem=f"{error.item} {error.what}")
    verdict = shown.verdict
    weights = tuple(_weight(one) for one in verdict.comparisons)
    return ExperimentView(
        experiment, metric, verdict, sentence(verdict), shown.notes, "", _drawing(verdict.variants), weights
    )


def answers_to_try(loop: Loop) -> tuple[Answer, ...]:
    """Return the answers that an experiment may be about, by label; an answer that several labels share once."""
    found: dict[str, Answer] = {}
    for answer in sorted(current_answers(loop).values(), key=lambda one: one.label):
        found.setdefault(answer.response, answer)
    return tuple(found.values())


def _drawing(variants: Sequence[VariantFigures]) -> Drawing | None:
    """Return the intervals on a scale that just holds them; None as long as nobody was counted."""
    if not any(one.people for one in variants):
        return None
    low = STEP * floor(100 * min(one.low for one in variants) / STEP)
    high = max(STEP * ceil(100 * max(one.high for one in variants) / STEP), low + STEP)

    def place(share: float) -> float:
        return round(100 * (100 * share - low) / (high - low), 2)

    bars = tuple(
        Bar(one.name, place(one.low), round(place(one.high) - place(one.low), 2), place(one.share), one)
        for one in variants
    )
    return Drawing(bars, low, high)


def _weight(one: Comparison) -> Weight:
    share = 1.0 if one.better else min(max(log(max(one.evidence, 1.0)) / log(one.needed), 0.0), 0.99)
    ratio = f"{one.evidence:,.1f}" if one.evidence < 10 else f"{one.evidence:,.0f}"
    if one.evidence >= LARGEST_RATIO:
        ratio = experiment_texts.MORE_THAN.format(ratio=f"{LARGEST_RATIO:,}")
    return Weight(one, share, ratio, f"{one.needed:,.0f}")
