from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from learning import scoring
from learning.calibration import CURVES, Calibration, Decided, raw_of
from learning.known import Known
from learning.model import (
    LOW_SCORE,
    Draft,
    FailedTurn,
    Gap,
    ProposalKind,
    Replay,
    ScorePart,
    Source,
)
from learning.score_prior import fit_prior
from learning.scoring import WEIGHTS, Features, Needs, calibrated, measure, score
from tests.learning_builders import LOYALTY, NLU, NOISE, FakeEncoder, failed_turn, failed_turns, gap

ANSWER, EXAMPLES, REWORD = ProposalKind.ANSWER, ProposalKind.EXAMPLES, ProposalKind.REWORD
ENCODER = FakeEncoder()
PAIRS = [(label, text) for label, texts in NLU.items() for text in texts]
TEXTS = [text for _, text in PAIRS]
KNOWN = Known.from_examples([label for label, _ in PAIRS], TEXTS, ENCODER.encode(TEXTS))
CLEAN = Replay(failures=10, fixed=9, successes=100, broken=0)
SUPPORTED = Draft("Points never expire.", (Source("loyalty.md", "Points never expire.", 0.7),))
PARCELS = ("where is my parcel now", "track my parcel", "parcel tracking today", "the parcel is where")


def features(
    texts: Sequence[str] = LOYALTY,
    kind: ProposalKind = ANSWER,
    needs: Needs = Needs(),
    draft: Draft = SUPPORTED,
    replay: Replay | None = CLEAN,
    turns: Sequence[FailedTurn] | None = None,
    **more: Any,
) -> dict[str, float]:
    turns = failed_turns(texts) if turns is None else turns
    about: Gap = gap(**{"people": len(turns), "turns": turns, **more})
    vectors = ENCODER.encode([turn.text for turn in turns])
    return dict(measure(about, turns, vectors, kind, KNOWN, needs, draft, replay).values)


def shown(values: dict[str, float], kind: ProposalKind = ANSWER) -> int:
    return score(Features(values), kind, Calibration())[0]


# --- what is measured -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ANSWER, EXAMPLES, REWORD])
def test_every_kind_is_measured_by_its_own_features(kind: ProposalKind) -> None:
    found = features(kind=kind, intent="track_order", satisfaction=0.3)

    assert set(found) == set(WEIGHTS[kind])
    assert all(0 <= value <= 1 for value in found.values())


@pytest.mark.parametrize("kind", list(WEIGHTS))
def test_the_weights_sum_to_one(kind: ProposalKind) -> None:
    assert sum(WEIGHTS[kind].values()) == pytest.approx(1)
    assert set(WEIGHTS) < set(CURVES)


def test_messages_that_have_nothing_in_common_do_not_agree() -> None:
    assert features(LOYALTY)[scoring.AGREE] > 0.4
    assert features(NOISE)[scoring.AGREE] == 0.0
    assert 0 < features(LOYALTY[:1])[scoring.AGREE] < 0.4  # one alone proves neither


def test_people_count_on_a_scale_of_doublings() -> None:
    two, four, eight, sixteen, many = (features(people=people)[scoring.PEOPLE] for people in (2, 4, 8, 16, 300))

    assert (two, four, eight, sixteen, many) == (
        0,
        pytest.approx(1 / 3, abs=1e-3),
        pytest.approx(2 / 3, abs=1e-3),
        1,
        1,
    )
    assert features(people=0)[scoring.PEOPLE] == 0


def test_sure_failures_count_more_than_doubtful_ones() -> None:
    doubtful = [failed_turn(text, f"p{row}", row, weight=0.4) for row, text in enumerate(LOYALTY)]

    assert features(turns=doubtful)[scoring.FAILURE] == pytest.approx(0.4)
    assert features()[scoring.FAILURE] == 1.0


def other_need(texts: Sequence[str], **more: Any) -> Needs:
    about: Gap = gap("b" * 16, **more)
    return Needs.of({about.gap_id: about}, {about.gap_id: (len(texts), ENCODER.encode(texts).mean(axis=0))})


@pytest.mark.parametrize(
    ("more", "repeats"),
    [({"people": 99}, True), ({"people": 2}, False), ({"people": 1, "handled_at": failed_turn("", "").at}, True)],
)
def test_a_need_that_repeats_a_bigger_or_an_answered_one_is_none_of_its_own(more: Any, repeats: bool) -> None:
    own = features(LOYALTY[:5], needs=other_need(LOYALTY[5:], **more))[scoring.OWN]

    assert (own < 0.2) if repeats else (own == 1.0)


def test_another_need_leaves_it_one_of_its_own_and_its_own_gap_does_not_count() -> None:
    assert features(needs=other_need(PARCELS, people=99))[scoring.OWN] > 0.8
    about = gap(people=99)
    own = Needs.of({about.gap_id: about}, {about.gap_id: (10, ENCODER.encode(LOYALTY).mean(axis=0))})
    assert features(needs=own, people=99)[scoring.OWN] == 1.0


def test_messages_that_are_nearer_to_another_need_dispute_that_it_is_one() -> None:
    needs = other_need(LOYALTY, people=2)

    assert features((*LOYALTY[:6], *NOISE), needs=needs)[scoring.ONE] < features(LOYALTY[:6])[scoring.ONE] == 1.0
    assert features(("where is my parcel", "track parcel", *NOISE[:1]))[scoring.ONE] <= 2 / 3


def test_what_is_unlike_all_that_is_known_is_new() -> None:
    assert features(LOYALTY)[scoring.UNKNOWN] > features(PARCELS)[scoring.UNKNOWN]


def test_examples_are_clear_if_the_nearest_intent_is_theirs_or_the_customer_said_so() -> None:
    def clear(turns: Sequence[FailedTurn]) -> float:
        return features(kind=EXAMPLES, turns=turns, intent="track_order")[scoring.LABEL]

    parcels = failed_turns(PARCELS)
    assert clear(parcels) > 0.9
    assert clear(failed_turns(("reset my password", "new password"))) == 0.0
    mixed = failed_turns((*PARCELS, "reset my password", "new password", "password forgotten", "change password"))
    assert clear(mixed) == pytest.approx(clear(parcels) / 2, abs=0.1)
    chosen = [replace(turn, clarified="track_order") for turn in failed_turns(("reset my password", "new password"))]
    assert clear(chosen) == 1.0


def test_what_is_not_trained_yet_has_nothing_to_be_clear_by() -> None:
    found = features(kind=EXAMPLES, intent="learned/loyalty_points")

    assert scoring.LABEL not in found
    assert found[scoring.ONE] == 1.0


def test_support_needs_an_answer_and_falls_with_every_warning() -> None:
    warned = replace(SUPPORTED, warnings=("It contradicts utter_faq/points.",))
    values = [features(draft=draft)[scoring.SUPPORTED] for draft in (SUPPORTED, warned, Draft())]

    assert values == [1.0, 0.7, 0.0]
    assert [features(draft=draft)[scoring.ANSWERED] for draft in (SUPPORTED, Draft())] == [1.0, 0.0]
    told = Draft("Sure.", (Source("agents", "Sure.", 0.25),))
    assert features(draft=told)[scoring.SUPPORTED] == 0.8


def test_replay_counts_what_is_fixed_and_what_is_broken() -> None:
    def spared(broken: int, of: int) -> float:
        return features(replay=Replay(10, 5, of, broken))[scoring.SPARES]

    assert features(replay=Replay(10, 5, 100, 0))[scoring.FIXES] == 0.5
    assert features(replay=Replay(0, 0, 100, 0))[scoring.FIXES] == 0.0
    assert 1 > spared(0, 500) > spared(2, 500) > spared(0, 0) > spared(5, 500) > spared(20, 500) == 0


def test_what_was_not_tried_is_not_made_up() -> None:
    untried = features(replay=None)

    assert {scoring.FIXES, scoring.SPARES} & set(untried) == set()
    parts = score(Features(untried), ANSWER, Calibration())[1]
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_a_disliked_answer_is_a_reason_to_reword_it() -> None:
    assert features(kind=REWORD, intent="track_order", satisfaction=0.2)[scoring.DISLIKED] == pytest.approx(0.8)
    assert scoring.DISLIKED not in features(kind=REWORD, intent="track_order")


# --- the score ------------------------------------------------------------------------------------


def test_many_people_with_one_need_and_a_good_answer_score_well() -> None:
    good = features(people=16)

    assert shown(good) > 80
    assert shown({**good, scoring.PEOPLE: 0.2}) < shown(good)


@pytest.mark.parametrize("kind", [ANSWER, EXAMPLES])
def test_what_fixes_nothing_never_scores_well(kind: ProposalKind) -> None:
    perfect = dict.fromkeys(WEIGHTS[kind], 1.0)
    generous = Calibration.fit([Decided("p", kind, 0.4, True, 40)] * 5000)
    value, parts = score(Features({**perfect, scoring.FIXES: 0.0}), kind, generous)

    assert shown(perfect, kind) > 90
    assert value < LOW_SCORE
    assert raw_of(parts) == pytest.approx(0.4)
    assert sum(part.share for part in parts) == pytest.approx(1)
    assert max(parts, key=lambda part: part.share).name == scoring.FIXES


def test_parts_that_were_measured_elsewhere_are_scored_alike() -> None:
    parts = (ScorePart("examples are mixed", 0.9, 0.5), ScorePart("used by few", 0.7, 0.5))
    slope, half = CURVES[ProposalKind.MERGE]

    assert calibrated(parts, ProposalKind.MERGE, Calibration()) == round(100 / (1 + np.exp(-slope * (0.8 - half))))


# --- the prior ------------------------------------------------------------------------------------


def sampled(count: int, seed: int = 0) -> list[tuple[ProposalKind, Features, bool]]:
    """A reviewer who looks at two features only, and rejects what fixes nothing."""
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        values = {name: float(rng.uniform()) for name in WEIGHTS[EXAMPLES]}
        logit = 6 * values[scoring.LABEL] + 3 * values[scoring.SPARES] - 4
        pairs.append((EXAMPLES, Features(values), bool(rng.random() < 1 / (1 + np.exp(-logit)))))
    return pairs


def test_the_prior_finds_what_reviewers_look_at() -> None:
    prior = fit_prior(sampled(5000))
    weights, (slope, half) = prior.weights[EXAMPLES], prior.curves[EXAMPLES]

    assert set(prior.weights) == {EXAMPLES}
    assert sum(weights.values()) == pytest.approx(1, abs=0.01)
    assert sorted(weights, key=lambda name: -weights[name])[:2] == [scoring.LABEL, scoring.SPARES]
    assert min(weights.values()) > 0
    assert slope * weights[scoring.LABEL] == pytest.approx(6, abs=1)
    assert slope * half == pytest.approx(4, abs=1.5)


def test_a_few_pairs_move_the_prior_little_and_what_is_ruled_out_not_at_all() -> None:
    few = fit_prior(sampled(3)).weights[EXAMPLES]

    assert all(few[name] == pytest.approx(weight, abs=0.08) for name, weight in WEIGHTS[EXAMPLES].items())
    nothing = [(EXAMPLES, Features({**of.values, scoring.FIXES: 0.0}), good) for _, of, good in sampled(50)]
    assert fit_prior(nothing).weights == {}


def test_a_feature_that_no_pair_has_keeps_its_weight() -> None:
    untried = [
        (kind, Features({name: value for name, value in of.values.items() if name != scoring.FIXES}), good)
        for kind, of, good in sampled(300)
    ]

    assert fit_prior(untried).weights[EXAMPLES][scoring.FIXES] > 0
