"""How good a proposal is: what can be measured of it, and what that adds up to.

Each feature is 0 (bad) to 1 (good) and has a plain name that reviewers see. Their weighted sum is the raw score; what
a raw score is worth, `calibration` knows. A new kind of evidence is a new feature here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from learning.calibration import Calibration, raw_of
from learning.known import Known, Nearness
from learning.model import AGENTS, ANSWERING, LOW_SCORE, Draft, FailedTurn, Gap, ProposalKind, Replay, ScorePart
from learning.vectors import Vectors

AGREE = "messages agree"
PEOPLE = "different people"
FAILURE = "surely a failure"
OWN = "a need of its own"
UNKNOWN = "unlike what is known"
LABEL = "clearly this intent"
ONE = "one need"
FIXES = "replay fixes"
SPARES = "replay breaks nothing"
ANSWERED = "has an answer"
SUPPORTED = "answer is supported"
DISLIKED = "the present answer is disliked"

Weights = Mapping[str, float]

# Where a measure is worth 0 and where 1: on development streams of CLINC150 and BANKING77 nine in ten gaps lie between.
COHESION = (0.4, 0.85)  # mean cosine of two messages
FEW_PEOPLE, MANY_PEOPLE = 2, 16  # on a logarithmic scale
REPEATED = 0.7  # of these cosines, from which half of all repeats are found, and 9 in 100 that are none
SAME_NEED, OTHER_NEED = 0.85, 0.3  # cosine of two needs' centers, freed of what chance takes from small groups
KNOWN_NEAR, KNOWN_FAR = 0.7, 0.3  # mean cosine to the nearest examples of the nearest intent
CLEAR_LEAD = 0.2  # of that over the second intent
SUPPORT = (0.2, 0.7)  # cosine of the answer's best sentence to the questions
AGENT_SUPPORT = 0.8  # of an answer that agents gave to just this question, however it is worded
WARNED = 0.7  # what one warning leaves of an answer's support
BREAKS = 0.02  # share of messages that went well from which breaking them is worth 0
UNTRIED = (0.25, 50)  # messages taken as broken, of so many, before any was tried: an empty sample proves little
LEAST_COHESION = 0.2  # a heap of noise has less, and would be like every need
PAIR = 0.5  # cohesion of one message alone, which has none

# Weights by kind; each row sums to 1. Those of ANSWER come from `score_prior.fit_prior` (docs/scores.md says on what),
# the others are set by hand.
WEIGHTS: Mapping[ProposalKind, Weights] = MappingProxyType(
    {
        ProposalKind.ANSWER: {
            AGREE: 0.024,
            PEOPLE: 0.475,
            FAILURE: 0.012,
            OWN: 0.291,
            UNKNOWN: 0.012,
            ONE: 0.024,
            FIXES: 0.126,
            SPARES: 0.012,
            ANSWERED: 0.012,
            SUPPORTED: 0.012,
        },
        ProposalKind.EXAMPLES: {
            AGREE: 0.1,
            PEOPLE: 0.15,
            FAILURE: 0.1,
            LABEL: 0.35,
            ONE: 0.1,
            FIXES: 0.1,
            SPARES: 0.1,
        },
        ProposalKind.REWORD: {
            PEOPLE: 0.15,
            FAILURE: 0.05,
            LABEL: 0.35,
            DISLIKED: 0.2,
            ANSWERED: 0.1,
            SUPPORTED: 0.15,
        },
    }
)
# A proposal that is worthless in one of these is worth little, however good it is otherwise: the part weighs this much.
DECISIVE = frozenset({FIXES})
DECISIVE_SHARE = 0.6
DECISIVE_MOST = LOW_SCORE - 20  # score that such a proposal has at most, whatever reviewers accepted before


@dataclass(frozen=True)
class Features:
    """What was measured of a proposal: values in 0..1 by the names above; what does not apply is absent."""

    values: Mapping[str, float]


@dataclass(frozen=True)
class Needs:
    """The new needs that a gap may repeat: their ids, and for (n,) needs the mean (n, d), cohesion and people.

    A need that was handled counts for more than any number of people: what is answered is there first.
    """

    gap_ids: tuple[str, ...] = ()
    means: Vectors = field(default_factory=lambda: np.zeros((0, 1)), repr=False)
    cohesions: Vectors = field(default_factory=lambda: np.zeros(0), repr=False)
    ranks: tuple[tuple[bool, int, str], ...] = ()

    @classmethod
    def of(cls, gaps: Mapping[str, Gap], standing: Mapping[str, tuple[int, Vectors]]) -> Needs:
        """Collect needs.

        Args:
            gaps: all gaps by id.
            standing: for each new need how many members its mean has, and the mean (d,) in the metric's space.

        """
        gap_ids = tuple(sorted(gap_id for gap_id in standing if gap_id in gaps))
        if not gap_ids:
            return cls()
        means = np.stack([standing[gap_id][1] for gap_id in gap_ids])
        counts = np.array([standing[gap_id][0] for gap_id in gap_ids])
        return cls(gap_ids, means, _cohesions(means, counts), tuple(rank(gaps[gap_id]) for gap_id in gap_ids))


def rank(gap: Gap) -> tuple[bool, int, str]:
    """Return what orders needs: of two that are alike, the lower one repeats the higher."""
    return gap.handled_at is not None, gap.people, gap.gap_id


def measure(
    gap: Gap,
    turns: Sequence[FailedTurn],
    vectors: Vectors,
    kind: ProposalKind,
    known: Known,
    needs: Needs,
    draft: Draft = Draft(),
    replay: Replay | None = None,
) -> Features:
    """Measure a proposal for a gap that has turns.

    Args:
        gap: what it is for; its `intent` is the label of EXAMPLES and REWORD.
        turns: its failed turns, at least one.
        vectors: the encoder's deep vectors (n, d) of their texts, row for row.
        kind: EXAMPLES, ANSWER or REWORD.
        known: what is trained.
        needs: all new needs; the gap's own is left out.
        draft: the answer, for kinds that bring one.
        replay: how it was tried; None where it was not.

    """
    placed = known.metric(vectors)
    near = known.nearness(placed)
    mean = placed.mean(axis=0, dtype=float)
    cohesion = float(_cohesions(mean[None], np.array([len(placed)]))[0])
    is_new, is_trained = kind is ProposalKind.ANSWER, gap.intent in known.labels
    own = near.similarity if is_trained and not is_new else _to_others(placed, mean)
    values = {
        AGREE: _scaled(cohesion, *COHESION),
        PEOPLE: _scaled(np.log(max(gap.people, 1)), np.log(FEW_PEOPLE), np.log(MANY_PEOPLE)),
        FAILURE: float(np.mean([min(turn.weight, 1.0) for turn in turns])),
        OWN: _of_its_own(gap, mean, cohesion, needs),
        UNKNOWN: _scaled(float(near.similarity.mean()), KNOWN_NEAR, KNOWN_FAR),
        ONE: _undisputed(gap, placed, own, near, needs, is_new),
        ANSWERED: float(bool(draft.answer)),
        SUPPORTED: _support(draft),
    }
    if is_trained:  # what was learned after the last training has no examples there to be near to
        values[LABEL] = _clearness(turns, near, gap.intent)
    if gap.satisfaction is not None:
        values[DISLIKED] = 1.0 - gap.satisfaction
    if replay is not None:
        # What failed anew is not fixed by an answer that exists: nothing to replay is nothing fixed.
        values[FIXES] = replay.fixed / replay.failures if replay.failures else 0.0
        broken, of = UNTRIED
        values[SPARES] = _scaled((replay.broken + broken) / (replay.successes + of), BREAKS, 0.0)
    names = set(WEIGHTS[kind]) - ({ANSWERED, SUPPORTED} if kind not in ANSWERING else set())
    return Features({name: round(value, 3) for name, value in values.items() if name in names})


def score(features: Features, kind: ProposalKind, calibration: Calibration) -> tuple[int, tuple[ScorePart, ...]]:
    """Return the score (1..99), the chance in percent that a reviewer accepts at first sight, and what it is made of.

    The shares of the parts sum to 1. A feature that was not measured leaves its share to the others.
    """
    weights = {name: weight for name, weight in WEIGHTS[kind].items() if name in features.values}
    total = sum(weights.values())
    shares = {name: weight / total for name, weight in weights.items()}
    worst = {name for name in DECISIVE & set(shares) if features.values[name] == 0}
    if worst:
        shares = _with_share(shares, worst, DECISIVE_SHARE)
    parts = tuple(ScorePart(name, features.values[name], share) for name, share in shares.items())
    return calibrated(parts, kind, calibration), parts


def calibrated(parts: Iterable[ScorePart], kind: ProposalKind, calibration: Calibration) -> int:
    """Return the score (1..99) of parts that were measured elsewhere; their shares sum to 1."""
    parts = tuple(parts)
    most = DECISIVE_MOST if any(part.name in DECISIVE and part.value == 0 for part in parts) else 99
    return int(np.clip(round(100 * calibration.probability(raw_of(parts), kind)), 1, most))


# --- features -------------------------------------------------------------------------------------


def _scaled(value: float, worst: float, best: float) -> float:
    """Return where a value lies between the worst and the best, 0..1."""
    return float(np.clip((value - worst) / (best - worst), 0.0, 1.0))


def _cohesions(means: Vectors, counts: Vectors) -> Vectors:
    """Return the mean cosine of two different members of groups (n,), from their means (n, d) and sizes (n,)."""
    together = np.einsum("nd,nd->n", means, means)
    pairs = (counts * together - 1) / np.maximum(counts - 1, 1)
    return np.where(counts > 1, np.clip(pairs, LEAST_COHESION, 1.0), PAIR)


def repeats(gap: Gap, needs: Needs) -> str | None:
    """Return the gap whose need a new need repeats, None if it is one of its own or not known to `needs`."""
    if gap.gap_id not in needs.gap_ids:
        return None
    row = needs.gap_ids.index(gap.gap_id)
    other, alike = _likest(gap, needs.means[row], float(needs.cohesions[row]), needs)
    return needs.gap_ids[other] if other is not None and alike >= REPEATED else None


def _of_its_own(gap: Gap, mean: Vectors, cohesion: float, needs: Needs) -> float:
    """Return how far (0..1) a need is from the nearest that it may repeat: handled, or of more people."""
    return _scaled(_likest(gap, mean, cohesion, needs)[1], SAME_NEED, OTHER_NEED)


def _likest(gap: Gap, mean: Vectors, cohesion: float, needs: Needs) -> tuple[int | None, float]:
    """Return the row of the need of higher rank that is most like one with this mean (d,), and how alike they are."""
    own = rank(gap)
    rows = [row for row, other in enumerate(needs.ranks) if other > own and needs.gap_ids[row] != gap.gap_id]
    if not rows:
        return None, -1.0
    # Two small groups of one need have centers far apart by chance; dividing by the cohesions corrects for that
    # (attenuation, Spearman 1904).
    alike = needs.means[rows] @ mean / np.sqrt(needs.cohesions[rows] * cohesion)
    best = int(alike.argmax())
    return rows[best], float(alike[best])


def _undisputed(gap: Gap, placed: Vectors, own: Vectors, near: Nearness, needs: Needs, is_new: bool) -> float:
    """Return the share of messages that are nearer to their own need than to any other and, if new, any intent."""
    rows = [row for row, gap_id in enumerate(needs.gap_ids) if gap_id != gap.gap_id]
    best = (placed @ needs.means[rows].T).max(axis=1) if rows else np.full(len(placed), -1.0)
    return float(np.mean(own > (np.maximum(best, near.similarity) if is_new else best)))


def _to_others(placed: Vectors, mean: Vectors) -> Vectors:
    """Return the mean cosine (n,) of each message to the others; of one alone, as if it had company."""
    count = len(placed)
    return np.asarray((count * (placed @ mean) - 1) / (count - 1) if count > 1 else np.full(1, PAIR))


def _clearness(turns: Sequence[FailedTurn], near: Nearness, label: str | None) -> float:
    """Return how clearly (0..1) messages mean the label: by its lead where it is nearest, or by the customer's word."""
    leads = np.clip(near.lead / CLEAR_LEAD, 0.0, 1.0)
    said = [turn.clarified == label for turn in turns]
    nearest = [intent == label for intent in near.intents]
    return float(np.mean(np.where(said, 1.0, np.where(nearest, leads, 0.0))))


def _support(draft: Draft) -> float:
    """Return how well (0..1) an answer is supported by its sources; every warning takes some of it."""
    if not draft.answer:
        return 0.0
    found = [_scaled(source.similarity, *SUPPORT) for source in draft.sources]
    told = [AGENT_SUPPORT for source in draft.sources if source.document == AGENTS]
    return max([*found, *told], default=0.0) * WARNED ** len(draft.warnings)


# --- weights --------------------------------------------------------------------------------------


def _with_share(shares: Weights, names: set[str], least: float) -> dict[str, float]:
    """Return shares of which `names` together have at least so much; the others keep their proportions."""
    have = sum(shares[name] for name in names)
    if have >= least:
        return dict(shares)
    return {
        name: share * (least / have if name in names else (1 - least) / (1 - have)) for name, share in shares.items()
    }
