"""When an experiment has a winner: the rule that the verdict and the benchmark's simulation both ask.

Outcomes are put into blocks by the day (UTC) of a person's first exposure, finished days only. Each pair of variants is
compared by the evidence of `learning.sequential`, which holds however often it is looked at; with k pairs each needs k
times as much (Bonferroni), so that with equal wordings any two are ever told apart with a probability of at most
`experiments.false_winners`. A winner is named only from `min_people` in each variant and `min_days` on, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

from learning.sequential import Counted, evidence_path, threshold
from learning.settings import ExperimentSettings

UNEVEN = 0.001  # chance at most of calling parts uneven that are not


def decided(counts: Counted, settings: ExperimentSettings) -> tuple[dict[tuple[int, int], Counted], float]:
    """Return the log evidence of each pair of variants after each day, and its threshold: many experiments at once.

    Args:
        counts: shape (..., days, variants, 2), good outcomes and all.
        settings: the level.

    """
    pairs = list(combinations(range(counts.shape[-2]), 2))
    paths = {pair: evidence_path(counts[..., list(pair), :]) for pair in pairs}
    return paths, threshold(settings.false_winners, len(pairs))


def winners(counts: Counted, settings: ExperimentSettings) -> NDArray[np.int64]:
    """Return the place of the winner after each day, -1 for none: (..., days) for counts (..., days, variants, 2).

    This is the rule itself; `judge` and the benchmark's simulation both ask it.
    """
    paths, needed = decided(counts, settings)
    total = np.cumsum(counts, axis=-3)
    share = total[..., 0] / np.maximum(total[..., 1], 1)
    variants = counts.shape[-2]
    beats = np.zeros((*share.shape, variants), dtype=bool)  # (..., days, one, other)
    for (first, second), path in paths.items():
        crossed = np.maximum.accumulate(path, axis=-1) >= needed
        better = first_better(share[..., first] - share[..., second], path >= needed)
        beats[..., first, second] = crossed & (better > 0) & (share[..., first] > share[..., second])
        beats[..., second, first] = crossed & (better < 0) & (share[..., second] > share[..., first])
    beaten = beats.any(axis=-2)
    # The control wins where it beats all others; another one where it beats the control, and none beats it.
    best = ~beaten & beats[..., :, 0]
    best[..., 0] = beats[..., 0, 1:].all(axis=-1)
    days = np.arange(1, counts.shape[-3] + 1)
    ripe = (total[..., 1].min(axis=-1) >= settings.min_people) & (days >= settings.min_days)
    winner = np.where(best, share, -1.0).argmax(axis=-1)
    return np.asarray(np.where(ripe & best.any(axis=-1), winner, -1))


def first_better(difference: Counted, crossing: NDArray[np.bool_]) -> Counted:
    """Return who was ahead when the evidence first sufficed (1 or -1, 0 before): what turns later is no result."""
    first = crossing & (np.cumsum(crossing, axis=-1) == 1)
    return np.asarray(np.cumsum(np.where(first, np.sign(difference), 0), axis=-1))


def is_uneven(people: Sequence[int], parts: Sequence[float]) -> bool:
    """Return whether people came into the variants otherwise than by chance, however often it is asked.

    The evidence is the likelihood under parts of any size against that under the right ones: Lindon and Malek,
    "Anytime-valid inference for multinomial count data" (2022), with a prior of one each.

    Args:
        people: how many came into each.
        parts: the share of all (0..1) that each should have.

    """
    count, total = len(people), sum(people)
    evidence = lgamma(count) - lgamma(total + count) + sum(lgamma(one + 1) for one in people)
    evidence -= sum(one * log(part) for one, part in zip(people, parts, strict=True))
    return evidence >= log(1 / UNEVEN)
