"""What a score means: the chance that a reviewer accepts the proposal at first sight, learned from past decisions.

A raw score in 0..1 becomes a probability in three stages, by how much has been decided: a prior curve; the same curve
moved by the decisions (Platt 1999, with a prior that weighs as much as some twenty decisions); and from 200 decisions
on an isotonic curve around it (Zadrozny and Elkan 2002). It never falls where the raw score rises.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from learning.loop import Loop
from learning.model import POLICY, Action, Decision, Proposal, ProposalKind, ScorePart
from learning.vectors import Vectors

KEPT_EXAMPLES = 0.8  # share of the examples that an edit must keep for the proposal to count as accepted
ISOTONIC_FROM = 200  # decisions from which the shape of the curve is learned, not only its place and its slope
ISOTONIC_EACH = 20  # of them that must be acceptances, and rejections: one kind alone has no shape
ISOTONIC_STEPS = 20  # of Platt's probability, in which decisions are gathered for it
ISOTONIC_PRIOR = 10.0  # decisions as which Platt's curve counts in each step; they keep it off 0 and 1
PRIOR_DEVIATION = 0.45  # in logits, of the curve's place: 1 / 0.45**2 is what some twenty decisions tell
KIND_DEVIATION = 0.35  # of one kind's place against the others'
SLOPE_DEVIATION = 0.15  # of the curve's slope, relative to the prior's
LEAST_SLOPE = 0.2  # relative to the prior's: a higher raw score is never a worse sign

# The prior: acceptance is a logistic curve of the raw score; the slope, and where it is worth one half. That of ANSWER
# comes from `score_prior.fit_prior` (docs/scores.md says on what), the others are set by hand.
CURVES: Mapping[ProposalKind, tuple[float, float]] = MappingProxyType(
    {
        ProposalKind.ANSWER: (8.31, 0.623),
        ProposalKind.EXAMPLES: (8.0, 0.5),
        # By hand: on a development stream of `benchmarks/loop.py` the first five disliked answers that were put to the
        # reviewer at a raw score around 0.6 were all another need that had been taken for the label.
        ProposalKind.REWORD: (6.0, 0.72),
        ProposalKind.MERGE: (6.0, 0.5),
        ProposalKind.RETIRE: (6.0, 0.4),
    }
)
KINDS = tuple(ProposalKind)
APPROVING = frozenset({Action.APPROVE, Action.EDIT})


@dataclass(frozen=True)
class Decided:
    """A proposal that people have judged: its raw score (0..1), whether they accepted it, and the score they saw."""

    proposal_id: str
    kind: ProposalKind
    raw: float
    accepted: bool
    shown: int


@dataclass(frozen=True)
class Calibration:
    """How raw scores become probabilities; `Calibration()` is the prior.

    `slope` and `offset` move the prior's logit, `of_kind` moves that of one kind further, and `curve` holds the
    corners (logit, probability) of the isotonic curve, if there is one. `method` is `prior`, `platt` or `isotonic`.
    """

    method: str = "prior"
    decided: int = 0
    slope: float = 1.0
    offset: float = 0.0
    of_kind: Mapping[ProposalKind, float] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()

    @classmethod
    def fit(cls, decided: Sequence[Decided]) -> Calibration:
        """Learn from what was decided; the order does not matter, and without any it is the prior."""
        if not decided:
            return cls()
        accepted = np.array([item.accepted for item in decided], dtype=float)
        columns = np.zeros((len(decided), 2 + len(KINDS)))
        columns[:, 0] = [prior_logit(item.raw, item.kind) for item in decided]
        columns[:, 1] = 1.0
        columns[np.arange(len(decided)), [2 + KINDS.index(item.kind) for item in decided]] = 1.0
        deviations = [SLOPE_DEVIATION, PRIOR_DEVIATION, *(KIND_DEVIATION for _ in KINDS)]
        start = np.eye(1, columns.shape[1])[0]
        least = np.full(columns.shape[1], -np.inf)
        least[0] = LEAST_SLOPE
        found = fit_logistic(columns, accepted, start, np.array(deviations), least)
        of_kind = {kind: float(found[2 + place]) for place, kind in enumerate(KINDS)}
        platt = cls("platt", len(decided), float(found[0]), float(found[1]), of_kind)
        few = min(accepted.sum(), len(accepted) - accepted.sum())
        if len(decided) < ISOTONIC_FROM or few < ISOTONIC_EACH:
            return platt
        curve = _isotonic(columns @ found, accepted)
        return cls("isotonic", len(decided), platt.slope, platt.offset, of_kind, curve)

    def probability(self, raw: float, kind: ProposalKind) -> float:
        """Return the chance that a proposal of this kind with this raw score (0..1) is accepted at first sight."""
        logit = self.slope * prior_logit(raw, kind) + self.offset + self.of_kind.get(kind, 0.0)
        if not self.curve:
            return float(_sigmoid(np.array(logit)))
        places, values = zip(*self.curve, strict=True)
        return float(np.interp(logit, places, values))


def raw_of(parts: Iterable[ScorePart]) -> float:
    """Return the raw score (0..1) that the parts of a score add up to."""
    return sum(part.value * part.share for part in parts)


def prior_logit(raw: float, kind: ProposalKind) -> float:
    """Return the logarithm of the odds that a proposal is accepted, before anything was decided."""
    slope, half = CURVES[kind]
    return slope * (raw - half)


def fit_logistic(columns: Vectors, targets: Vectors, start: Vectors, deviations: Vectors, least: Vectors) -> Vectors:
    """Return the weights (d,) of the likeliest logistic regression under a normal prior.

    Args:
        columns: float (n, d).
        targets: float (n,), 0..1.
        start: mean (d,) of the prior.
        deviations: its standard deviations (d,).
        least: what each weight must be at least (d,), -inf where anything goes.

    """
    from scipy.optimize import minimize  # takes a third of a second to load

    def loss(weights: Vectors) -> tuple[float, Vectors]:
        logits = columns @ weights
        apart = (weights - start) / deviations
        value = np.sum(np.logaddexp(0.0, logits) - targets * logits) + 0.5 * apart @ apart
        return float(value), columns.T @ (_sigmoid(logits) - targets) + apart / deviations

    bounds = [(None if np.isneginf(low) else float(low), None) for low in least]
    found: Any = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-12})
    return np.asarray(found.x)


def _isotonic(logits: Vectors, accepted: Vectors) -> tuple[tuple[float, float], ...]:
    """Return the corners of a rising curve through decisions, drawn toward Platt's as far as they are few.

    Decisions are gathered in steps of Platt's probability first: alone at an end of the scale, one of them would be a
    block of its own.
    """
    centers = (np.arange(ISOTONIC_STEPS) + 0.5) / ISOTONIC_STEPS
    step = np.minimum((_sigmoid(logits) * ISOTONIC_STEPS).astype(int), ISOTONIC_STEPS - 1)
    counts = np.bincount(step, minlength=ISOTONIC_STEPS) + ISOTONIC_PRIOR
    sums = np.bincount(step, accepted, ISOTONIC_STEPS) + ISOTONIC_PRIOR * centers
    places = np.bincount(step, logits, ISOTONIC_STEPS) + ISOTONIC_PRIOR * np.log(centers / (1 - centers))
    # Pool adjacent violators: blocks of (sum of acceptances, sum of places, count), joined until they rise.
    blocks: list[tuple[float, float, float]] = []
    for block in zip(sums.tolist(), places.tolist(), counts.tolist(), strict=True):
        while blocks and blocks[-1][0] / blocks[-1][2] >= block[0] / block[2]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    return tuple((place / count, total / count) for total, place, count in blocks)


def _sigmoid(logits: Vectors) -> Vectors:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0))))


# --- what was decided -----------------------------------------------------------------------------


def read_calibration(loop: Loop) -> Calibration:
    """Learn from everything that people have decided in this project."""
    return Calibration.fit(read_decided(loop))


def read_decided(loop: Loop) -> list[Decided]:
    """Return the proposals that people have judged, in the order in which they first did.

    The raw score is that of the parts which the proposal was shown with: a calibration never feeds on itself.
    """
    proposals = {proposal.proposal_id: proposal for proposal in loop.store.proposals()}
    decisions: dict[str, list[Decision]] = {}
    for decision in loop.store.decisions():
        decisions.setdefault(decision.proposal_id, []).append(decision)
    found = []
    for proposal_id, about in decisions.items():
        proposal = proposals.get(proposal_id)
        verdict = judge(proposal, about) if proposal else None
        if proposal and verdict is not None and proposal.score_parts:
            raw = raw_of(proposal.score_parts)
            found.append(Decided(proposal_id, proposal.kind, raw, verdict, proposal.score))
    return found


def judge(proposal: Proposal, decisions: Iterable[Decision]) -> bool | None:
    """Return whether people accepted a proposal at first sight, None where they have not said.

    The last word counts. An approval that was taken back is a rejection; a deferral, or a rejection that was taken
    back, is no word. What a policy decided says nothing of what a person would, nor does taking it back: many are
    swept at once, and then wait for a person's word.

    Args:
        proposal: as the machine suggested it.
        decisions: about it, the oldest first.

    """
    verdict: bool | None = None
    last: Decision | None = None
    for decision in decisions:
        if decision.action is Action.UNDO:
            verdict = _after_undo(verdict, last)
        elif decision.who.startswith(POLICY):
            verdict = None
        elif decision.action is Action.REJECT:
            verdict = False
        elif decision.action in APPROVING:
            verdict = keeps_suggestion(proposal, decision)
        last = decision
    return verdict


def _after_undo(verdict: bool | None, undone: Decision | None) -> bool | None:
    if undone is not None and undone.action in APPROVING:
        return None if undone.who.startswith(POLICY) else False
    return None if undone is not None and undone.action is Action.REJECT else verdict


def keeps_suggestion(proposal: Proposal, decision: Decision) -> bool:
    """Whether an approval left a proposal as good as it was.

    It did if the label stayed, at least four in five examples did, and the answer stayed or was only completed: text
    was added before or behind it, or there was none.
    """
    if decision.label not in (None, proposal.label):
        return False
    if decision.examples is not None and proposal.examples:
        kept = {_folded(text) for text in decision.examples}
        stayed = sum(_folded(text) in kept for text in proposal.examples)
        if stayed < KEPT_EXAMPLES * len(proposal.examples):
            return False
    return decision.answer is None or _folded(proposal.answer or "") in _folded(decision.answer)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
