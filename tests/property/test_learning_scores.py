"""Scores keep their promises whatever was decided, and what was rejected does not come back in other words."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.calibration import ISOTONIC_FROM, Calibration, Decided, raw_of
from learning.calibration_report import calibration_error
from learning.intervals import wilson
from learning.model import LOW_SCORE, Decision, LabelUse, Proposal, ProposalKind, ProposalState
from learning.rejections import Rejected
from learning.score_prior import fit_prior
from learning.scoring import FIXES, WEIGHTS, Features, score
from learning.settings import ProposalSettings
from tests.learning_builders import FakeEncoder, proposal

SCORED = st.sampled_from(sorted(WEIGHTS))
SHARE = st.floats(0, 1)
DECIDED = st.builds(
    Decided, st.just("p"), st.sampled_from(list(ProposalKind)), SHARE, st.booleans(), st.integers(1, 99)
)
# Few decisions, and enough for the whole curve: drawn as a few that repeat.
HISTORY = st.lists(DECIDED, max_size=40) | st.lists(DECIDED, min_size=5, max_size=12).map(
    lambda items: items * (ISOTONIC_FROM // 5)
)


@st.composite
def features(draw: st.DrawFn, kind: ProposalKind) -> Features:
    names = sorted(WEIGHTS[kind])
    left_out = draw(st.sets(st.sampled_from(names), max_size=3))
    return Features({name: draw(SHARE) for name in names if name not in left_out})


def weighed(pairs: list[tuple[ProposalKind, Features, bool]]) -> None:
    prior = fit_prior(pairs)
    for kind, weights in prior.weights.items():
        assert sum(weights.values()) == pytest.approx(1, abs=0.01)
        assert min(weights.values()) > 0
        assert prior.curves[kind][0] > 0


@given(HISTORY, SHARE, SHARE, st.sampled_from(list(ProposalKind)))
@settings(max_examples=60, deadline=None)
def test_a_better_raw_score_is_never_worth_less(
    history: list[Decided], one: float, other: float, kind: ProposalKind
) -> None:
    calibration = Calibration.fit(history)
    low, high = sorted((one, other))

    assert 0 < calibration.probability(low, kind) <= calibration.probability(high, kind) < 1


@given(HISTORY, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_decisions_does_not_matter(history: list[Decided], rng: random.Random) -> None:
    shuffled = rng.sample(history, len(history))
    one, other = Calibration.fit(history), Calibration.fit(shuffled)

    for raw in (0.0, 0.3, 0.6, 1.0):
        assert one.probability(raw, ProposalKind.ANSWER) == pytest.approx(
            other.probability(raw, ProposalKind.ANSWER), abs=1e-3
        )


@given(st.lists(DECIDED, max_size=40), DECIDED)
@settings(max_examples=60, deadline=None)
def test_an_acceptance_raises_a_score_a_rejection_lowers_it_and_neither_swings_it(
    history: list[Decided], last: Decided
) -> None:
    yes, no = (Calibration.fit([*history, replace(last, accepted=said)]) for said in (True, False))
    before = Calibration.fit(history).probability(last.raw, last.kind)
    up, down = (fitted.probability(last.raw, last.kind) for fitted in (yes, no))

    assert down - 1e-3 <= before <= up + 1e-3
    assert up - down < 0.25


@given(st.data(), SCORED, HISTORY)
@settings(max_examples=60, deadline=None)
def test_a_score_is_explained_by_its_parts(data: st.DataObject, kind: ProposalKind, history: list[Decided]) -> None:
    found = data.draw(features(kind))
    value, parts = score(found, kind, Calibration.fit(history))

    assert 1 <= value <= 99
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert {part.name: part.value for part in parts} == found.values
    assert 0 <= raw_of(parts) <= 1 + 1e-9
    if found.values.get(FIXES) == 0:
        assert value < LOW_SCORE


@given(st.data(), SCORED)
@settings(max_examples=60, deadline=None)
def test_no_feature_makes_a_score_worse_by_being_better(data: st.DataObject, kind: ProposalKind) -> None:
    found = data.draw(features(kind))
    name = data.draw(st.sampled_from(sorted(found.values)))
    better = Features({**found.values, name: data.draw(st.floats(found.values[name], 1))})

    assert score(better, kind, Calibration())[0] >= score(found, kind, Calibration())[0]


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_whatever_was_accepted_makes_a_prior(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(SCORED, max_size=8))
    weighed([(kind, data.draw(features(kind)), data.draw(st.booleans())) for kind in kinds])


@given(st.integers(0, 500), st.integers(0, 500), st.lists(DECIDED, max_size=30))
def test_figures_are_shares(hits: int, misses: int, history: list[Decided]) -> None:
    low, high = wilson(hits, hits + misses)

    assert 0 <= low <= high <= 1
    if hits + misses:
        assert low - 1e-9 <= hits / (hits + misses) <= high + 1e-9
    assert 0 <= calibration_error(history) <= 1


# --- rejection ------------------------------------------------------------------------------------

NEEDS = {
    "loyalty": ("loyalty", "points", "bonus"),
    "parcel": ("parcel", "tracking", "courier"),
    "lamp": ("lamp", "bulb", "socket"),
    "refund": ("refund", "money", "account"),
}
FILLERS = ("green", "today", "quickly", "blue", "really", "weekend", "store", "online", "phone", "card")


@st.composite
def asked(draw: st.DrawFn, need: str) -> tuple[str, ...]:
    """Messages about one need: most of its words, in any order, and a word or none that has nothing to do with it."""

    def message() -> str:
        words = draw(st.permutations(NEEDS[need]))[: draw(st.integers(2, 3))]
        return " ".join([*words, *draw(st.lists(st.sampled_from(FILLERS), max_size=1))])

    return tuple(dict.fromkeys(message() for _ in range(draw(st.integers(4, 12)))))


class FakeStore:
    def __init__(self, items: list[Proposal]) -> None:
        self.items = items

    def proposals(self) -> list[Proposal]:
        return self.items

    def decisions(self) -> list[Decision]:
        return []

    def label_use(self) -> dict[str, LabelUse]:
        return {}


@given(st.data(), st.sampled_from(sorted(NEEDS)))
@settings(max_examples=60, deadline=None)
def test_what_was_rejected_does_not_come_back_in_other_words(data: st.DataObject, need: str) -> None:
    said = {name: data.draw(asked(name)) for name in NEEDS}
    rejected = proposal(1, examples=said[need], state=ProposalState.REJECTED)
    accepted = [
        proposal(2 + row, examples=said[name], state=ProposalState.PUBLISHED)
        for row, name in enumerate(sorted(set(NEEDS) - {need}))
    ]
    found = Rejected.of(FakeStore([rejected, *accepted]), FakeEncoder(), ProposalSettings(rejected_similarity=0.75))

    assert found.nearest(proposal(9, examples=said[need])) == rejected
    assert found.nearest(proposal(9, examples=data.draw(asked(need)))) == rejected
    for name in set(NEEDS) - {need}:
        assert found.nearest(proposal(9, examples=data.draw(asked(name)))) is None


@given(st.lists(st.lists(st.sampled_from(FILLERS), min_size=1, max_size=6), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_the_same_again_is_always_known(words: list[list[str]]) -> None:
    texts = tuple(dict.fromkeys(" ".join(message) for message in words))
    rejected = proposal(1, examples=texts, state=ProposalState.REJECTED)
    found = Rejected.of(FakeStore([rejected]), FakeEncoder(), ProposalSettings(rejected_similarity=1.0))

    assert found.nearest(proposal(2, examples=texts[::-1])) == rejected
    assert np.isfinite(FakeEncoder().encode(texts)).all()
