"""How far two readers agree beyond chance: Cohen's kappa with an interval, and how often they differ.

Literature: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
(1960); J. L. Fleiss, J. Cohen and B. S. Everitt, "Large sample standard errors of kappa and weighted kappa",
Psychological Bulletin 72 (1969); E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
Journal of the American Statistical Association 22 (1927).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from learning.intervals import Z95, wilson


@dataclass(frozen=True)
class Agreement:
    """What two readers made of the same proposals; `counts` has them by the pair of verdicts.

    `kappa` in -1..1 is None where it is not defined: without readings, or where both readers gave everything the same
    one verdict, so that agreement by chance is certain. Intervals are of 95 %.
    """

    readings: int
    counts: Mapping[tuple[str, str], int]
    disagreement: float
    disagreement_interval: tuple[float, float]
    kappa: float | None
    kappa_interval: tuple[float, float] | None

    def is_flagged(self, most: float) -> bool:
        """Whether readers differ about more than this share of the proposals."""
        return self.readings > 0 and self.disagreement > most


def agreement(pairs: Sequence[tuple[str, str]]) -> Agreement:
    """Measure the agreement of pairs (first verdict, second verdict)."""
    total = len(pairs)
    counts = Counter(pairs)
    differing = sum(count for (first, second), count in counts.items() if first != second)
    kappa = cohens_kappa(pairs)
    return Agreement(
        readings=total,
        counts=dict(counts),
        disagreement=differing / total if total else 0.0,
        disagreement_interval=wilson(differing, total),
        kappa=kappa,
        kappa_interval=None if kappa is None else _interval(kappa, _standard_error(pairs)),
    )


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return (observed - expected) / (1 - expected) agreement (Cohen 1960), None where expected agreement is 1."""
    if not pairs:
        return None
    observed, expected = _shares(pairs)
    return None if expected >= 1 else (observed - expected) / (1 - expected)


def _shares(pairs: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Return the observed agreement, and that expected of two readers who decide by their habits alone."""
    total = len(pairs)
    first, second = (Counter(pair[place] for pair in pairs) for place in (0, 1))
    observed = sum(one == other for one, other in pairs) / total
    expected = sum(first[verdict] * second[verdict] for verdict in first) / total**2
    return observed, expected


def _standard_error(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the large-sample standard error of kappa (Fleiss, Cohen and Everitt 1969, equation 13)."""
    total = len(pairs)
    observed, expected = _shares(pairs)
    first, second = (Counter(pair[place] for pair in pairs) for place in (0, 1))
    agreed = differed = 0.0
    for (one, other), count in Counter(pairs).items():
        if one == other:
            habit = (first[one] + second[one]) / total
            agreed += count / total * ((1 - expected) - habit * (1 - observed)) ** 2
        else:
            habit = (second[one] + first[other]) / total
            differed += count / total * habit**2
    chance = (observed * expected - 2 * expected + observed) ** 2
    variance = (agreed + (1 - observed) ** 2 * differed - chance) / (total * (1 - expected) ** 4)
    return sqrt(max(variance, 0.0))


def _interval(kappa: float, error: float) -> tuple[float, float]:
    return (max(-1.0, kappa - Z95 * error), min(1.0, kappa + Z95 * error))
