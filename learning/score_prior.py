"""The weights of a score before anything was decided in a project, from streams whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learning.calibration import CURVES, KINDS, fit_logistic
from learning.model import ProposalKind
from learning.scoring import DECISIVE, WEIGHTS, Features, Weights

PRIOR_DEVIATION = 1.0  # logits by which a weight may lie off its start when the prior is fitted
LEAST_KEPT = 0.25  # share of its start that a weight keeps then


@dataclass(frozen=True)
class Prior:
    """Constants for `scoring.WEIGHTS` and `calibration.CURVES`: the slope, and the raw score that is worth one half."""

    weights: Mapping[ProposalKind, Weights]
    curves: Mapping[ProposalKind, tuple[float, float]]


def fit_prior(pairs: Sequence[tuple[ProposalKind, Features, bool]]) -> Prior:
    """Return the weights and curves that explain best what was accepted: a logistic regression for each kind.

    Weights are drawn toward those that are in use, so that few pairs change little, and none falls to nothing: what a
    stream cannot show may still matter. Kinds without pairs are left out. What a decisive feature rules out is no
    matter of weights, and is left out, too.

    Args:
        pairs: kind, features and whether a reviewer accepted, from streams that nothing is reported on.

    """
    weights: dict[ProposalKind, Weights] = {}
    curves: dict[ProposalKind, tuple[float, float]] = {}
    for kind in KINDS:
        kept = [(item.values, good) for of, item, good in pairs if of is kind and not _ruled_out(item)]
        if not kept or kind not in WEIGHTS:
            continue
        names = list(WEIGHTS[kind])
        columns = np.array([[values.get(name, np.nan) for name in names] + [1.0] for values, _ in kept])
        measured = np.maximum((~np.isnan(columns)).sum(axis=0), 1)
        columns = np.where(np.isnan(columns), np.nansum(columns, axis=0) / measured, columns)
        slope, half = CURVES[kind]
        start = slope * np.array([*WEIGHTS[kind].values(), -half])
        least = np.array([*(LEAST_KEPT * start[:-1]), -np.inf])
        deviations = np.full(len(start), PRIOR_DEVIATION)
        found = fit_logistic(columns, np.array([good for _, good in kept], dtype=float), start, deviations, least)
        steep = float(found[:-1].sum())
        weights[kind] = {name: round(float(part) / steep, 3) for name, part in zip(names, found[:-1], strict=True)}
        curves[kind] = round(steep, 2), round(-float(found[-1]) / steep, 3)
    return Prior(weights, curves)


def _ruled_out(features: Features) -> bool:
    return any(features.values.get(name) == 0 for name in DECISIVE)
