"""What an experiment has shown so far: the figures of its variants, the evidence, and a verdict to look at daily.

Who wins is decided in `learning.winner_rule`. That a variant does harm is said by the same evidence, and at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from math import ceil, exp

import numpy as np

from learning.model import HIGH_CSAT, Experiment, ExperimentOutcome, Outcome
from learning.sequential import Counted, growth
from learning.settings import ExperimentSettings
from learning.winner_rule import decided, first_better, is_uneven, winners
from learning.wordings import parts_of

METRICS = {
    "resolved": "conversations that ended well",
    "thumbs": "thumbs up among the thumbs given",
    "csat": f"marks of {HIGH_CSAT} or 5 among the marks given",
    "escalated": "conversations that needed no person",
}
WORTH_WHILE = 0.05  # a difference of five points: what "how many people would it take" is told for
LEARNING = 1.5  # of the evidence (natural log) that learning the rates costs; see benchmarks/experiments.py
MOST_MISSING = 1_000_000  # people; beyond it there is no difference to speak of


@dataclass(frozen=True)
class VariantFigures:
    """How a variant fares: `good` of `people`; `low` to `high` holds its rate with a probability of 95 %.

    The interval is the equal-tailed one of a Beta(1, 1) prior. It is for the eye: the verdict doesn't follow from it.
    """

    name: str
    people: int
    good: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share of good outcomes (0..1), 0 without any."""
        return self.good / self.people if self.people else 0.0


@dataclass(frozen=True)
class Comparison:
    """Two variants: the largest evidence so far that they differ, as a likelihood ratio, and what it must reach.

    `better` names the better one once it has. `missing` says how many more people in each variant it takes if today's
    difference is the true one, None if there is none to speak of; `missing_worth_while` if it is one of five points.
    """

    first: str
    second: str
    evidence: float
    needed: float
    better: str | None
    missing: int | None
    missing_worth_while: int


@dataclass(frozen=True)
class Verdict:
    """What may be said of an experiment: `winner` is None until one is shown, `harmful` are worse than the control.

    `days` are finished days; `missing_people` and `missing_days` are what the rule's minimum still lacks. `per_day` is
    how many people a day come into the smallest variant. `uneven` is set where the variants don't get equal parts of
    the people: then something else than chance decides who is told what, and nothing is concluded.
    """

    variants: tuple[VariantFigures, ...]
    comparisons: tuple[Comparison, ...]
    winner: str | None
    harmful: tuple[str, ...]
    uneven: bool
    days: int
    missing_people: int
    missing_days: int
    per_day: float


def is_good(metric: str, outcome: ExperimentOutcome) -> bool | None:
    """Return whether a person's conversation counts as good by a metric; None where it does not count at all."""
    if outcome.outcome is Outcome.OPEN:
        return None
    if metric == "thumbs":
        return outcome.thumb > 0 if outcome.thumb else None
    if metric == "csat":
        return None if outcome.csat is None else outcome.csat >= HIGH_CSAT
    if metric == "escalated":
        return outcome.outcome is not Outcome.ESCALATED
    return outcome.outcome is Outcome.RESOLVED


def judge(
    experiment: Experiment,
    outcomes: Sequence[ExperimentOutcome],
    settings: ExperimentSettings,
    now: datetime,
    idle: timedelta,
) -> Verdict:
    """Return what an experiment shows.

    Args:
        experiment: started, or a draft (which shows nothing yet).
        outcomes: one a person.
        settings: the rule's level and minimum.
        now: the time; of a stopped experiment everything before its end counts.
        idle: silence after which a conversation has ended: a day is finished that long after midnight.

    """
    names = tuple(variant.name for variant in experiment.variants)
    if experiment.started_at is None:
        return _verdict(names, np.zeros((1, len(names), 2)), np.zeros(len(names)), 0, settings)
    until = min(now - idle, experiment.ended_at or now)
    first = experiment.started_at.astimezone(timezone.utc).date()
    days = max((until.astimezone(timezone.utc).date() - first).days, 0)
    end = datetime.combine(first, time(), timezone.utc) + timedelta(days=days)
    counts = np.zeros((max(days, 1), len(names), 2))
    ended = np.zeros(len(names))
    places = {name: place for place, name in enumerate(names)}
    for outcome in outcomes:
        place = places.get(outcome.variant)
        if place is None or not experiment.started_at <= outcome.at < end:
            continue
        ended[place] += outcome.outcome is not Outcome.OPEN
        good = is_good(experiment.metric, outcome)
        if good is not None:
            day = (outcome.at.astimezone(timezone.utc).date() - first).days
            counts[day, place] += (good, 1)
    return _verdict(names, counts, ended, days, settings)


def _verdict(
    names: tuple[str, ...], counts: Counted, ended: Counted, days: int, settings: ExperimentSettings
) -> Verdict:
    total = counts.sum(axis=0)
    variants = tuple(_figures(name, int(good), int(people)) for name, (good, people) in zip(names, total, strict=True))
    comparisons = _comparisons(names, counts, settings)
    place = int(winners(counts[None], settings)[0, -1])
    control = names[0]
    harmful = tuple(one.second for one in comparisons if one.first == control and one.better == control)
    uneven = is_uneven([int(one) for one in ended], parts_of(len(names)))
    fewest = min(one.people for one in variants)
    return Verdict(
        variants=variants,
        comparisons=comparisons,
        winner=None if uneven or place < 0 else names[place],
        harmful=() if uneven else harmful,
        uneven=uneven,
        days=days,
        missing_people=max(settings.min_people - fewest, 0),
        missing_days=max(settings.min_days - days, 0),
        per_day=fewest / days if days else 0.0,
    )


def _figures(name: str, good: int, people: int) -> VariantFigures:
    from scipy.stats import beta  # a second to load, which no other command should wait for

    low, high = beta.ppf([0.025, 0.975], good + 1, people - good + 1)
    return VariantFigures(name, people, good, float(low), float(high))


def _comparisons(names: tuple[str, ...], counts: Counted, settings: ExperimentSettings) -> tuple[Comparison, ...]:
    paths, needed = decided(counts, settings)
    total = counts.sum(axis=0)
    share = (total[:, 0] + 1) / (total[:, 1] + 2)
    running = np.cumsum(counts, axis=0)
    daily = running[..., 0] / np.maximum(running[..., 1], 1)
    found = []
    for (first, second), path in paths.items():
        better = None
        if path.max() >= needed:
            ahead = int(first_better(daily[:, first] - daily[:, second], path >= needed)[-1])
            same = ahead == int(np.sign(daily[-1, first] - daily[-1, second]))
            better = names[first if ahead > 0 else second] if ahead and same else None
        learned = LEARNING * min(1.0, min(total[first, 1], total[second, 1]) / max(settings.min_people, 1))
        lacking = max(needed - float(path[-1]) + LEARNING - learned, 0.0)
        away = min(share[first] + WORTH_WHILE, 1.0) if share[first] < 0.5 else share[first] - WORTH_WHILE
        found.append(
            Comparison(
                first=names[first],
                second=names[second],
                evidence=exp(min(float(path.max()), 700.0)),
                needed=exp(needed),
                better=better,
                missing=_people(lacking, share[first], share[second]) if better is None else 0,
                missing_worth_while=_people(lacking, share[first], away) or 0,
            )
        )
    return tuple(found)


def _people(lacking: float, first: float, second: float) -> int | None:
    gained = growth(float(first), float(second))
    people = lacking / gained if gained else float(MOST_MISSING)
    return ceil(people) if people < MOST_MISSING else None
