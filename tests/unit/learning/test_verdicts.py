"""What an experiment may say: nothing on thin data, harm at once, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.model import Experiment, ExperimentOutcome, ExperimentState, Outcome, Variant
from learning.settings import ExperimentSettings
from learning.verdict_words import sentence
from learning.verdicts import Verdict, is_good, judge
from learning.winner_rule import is_uneven, winners
from learning.wordings import parts_of
from tests.learning_builders import START

RULE = ExperimentSettings(false_winners=0.05, min_people=100, min_days=7)
IDLE = timedelta(hours=1)
EXPERIMENT = Experiment(
    experiment_id="x" * 16,
    name="shorter",
    label="faq/shipping",
    response="utter_faq/shipping",
    metric="resolved",
    variants=(Variant("control", None), Variant("short", "Two days.")),
    state=ExperimentState.RUNNING,
    who="ann",
    created_at=START,
    started_at=START,
)
THREE = replace(EXPERIMENT, variants=(*EXPERIMENT.variants, Variant("long", "It takes two days.")))


def outcomes(days: int, each: dict[str, tuple[int, int]], first_day: int = 0) -> list[ExperimentOutcome]:
    """Every day `of` people in each variant, of whom `good` are resolved: {variant: (good, of)}."""
    return [
        ExperimentOutcome(
            sender=f"{variant}-{day}-{number}",
            variant=variant,
            at=START + timedelta(days=day, minutes=number % 600),
            outcome=Outcome.RESOLVED if number < good else Outcome.ABANDONED,
        )
        for day in range(first_day, first_day + days)
        for variant, (good, of) in each.items()
        for number in range(of)
    ]


def judged(found: Sequence[ExperimentOutcome], days: float = 30, experiment: Experiment = EXPERIMENT) -> Verdict:
    return judge(experiment, found, RULE, START + timedelta(days=days), IDLE)


def test_a_clear_difference_has_a_winner() -> None:
    verdict = judged(outcomes(10, {"control": (30, 50), "short": (40, 50)}))

    assert verdict.winner == "short"
    assert sentence(verdict) == "short wins: 80.0 % of 500 against 60.0 % of 500 of control."
    [comparison] = verdict.comparisons
    assert (comparison.better, comparison.missing, comparison.needed) == ("short", 0, pytest.approx(20))
    assert comparison.evidence > 20
    control, short = verdict.variants
    assert (control.people, control.good, short.people, short.good) == (500, 300, 500, 400)
    assert control.low < 0.6 < control.high < short.low < 0.8 < short.high


def test_the_control_may_win_and_the_other_does_harm() -> None:
    verdict = judged(outcomes(10, {"control": (40, 50), "short": (30, 50)}))

    assert (verdict.winner, verdict.harmful) == ("control", ("short",))
    assert sentence(verdict) == "control wins: no variant is better, and all of them are worse."


def test_harm_is_said_before_there_is_enough_for_a_winner() -> None:
    verdict = judged(outcomes(3, {"control": (28, 30), "short": (8, 30)}), days=3.5)

    assert verdict.winner is None
    assert verdict.harmful == ("short",)
    assert (verdict.missing_people, verdict.missing_days) == (10, 4)
    assert sentence(verdict) == (
        "There is too little to name a winner: it takes at least 10 more people in the smallest variant and 4 more full"
        " days. short does harm: stop the experiment."
    )


def test_without_enough_days_there_is_no_winner_however_many_people() -> None:
    many = {"control": (300, 500), "short": (400, 500)}
    assert judged(outcomes(6, many), days=6.5).winner is None
    assert judged(outcomes(7, many), days=7.5).winner == "short"


def test_without_enough_people_there_is_no_winner_however_many_days() -> None:
    assert judged(outcomes(9, {"control": (1, 11), "short": (10, 11)}), days=20).winner is None
    assert judged(outcomes(10, {"control": (1, 11), "short": (10, 11)}), days=20).winner == "short"


def test_no_difference_says_how_much_is_missing() -> None:
    verdict = judged(outcomes(10, {"control": (35, 50), "short": (36, 50)}), days=10.5)

    assert verdict.winner is None
    [comparison] = verdict.comparisons
    assert comparison.better is None
    assert comparison.missing is not None
    assert comparison.missing > comparison.missing_worth_while > 0
    said = sentence(verdict)
    assert said.startswith("No difference is shown yet: if today's between control and short is the true one, about ")
    assert "more people in each variant are missing (" in said
    assert "A difference of 5 points would take about " in said


def test_equal_shares_have_no_difference_to_speak_of() -> None:
    verdict = judged(outcomes(10, {"control": (35, 50), "short": (35, 50)}), days=10.5)

    assert verdict.comparisons[0].missing is None
    assert "there is none to speak of" in sentence(verdict)


def test_a_draft_shows_nothing() -> None:
    verdict = judged([], experiment=replace(EXPERIMENT, started_at=None, state=ExperimentState.DRAFT))

    assert (verdict.winner, verdict.days, [one.people for one in verdict.variants]) == (None, 0, [0, 0])
    assert sentence(verdict).startswith("There is too little to name a winner")


def test_days_that_are_not_over_do_not_count() -> None:
    found = outcomes(3, {"control": (5, 10), "short": (5, 10)})
    until = START.replace(hour=0, minute=0) + timedelta(days=2)
    before = judge(EXPERIMENT, found, RULE, until + IDLE - timedelta(minutes=1), IDLE)
    after = judge(EXPERIMENT, found, RULE, until + IDLE, IDLE)
    assert (before.days, before.variants[0].people) == (1, 10)
    assert (after.days, after.variants[0].people) == (2, 20)


def test_what_came_after_the_end_or_before_the_start_does_not_count() -> None:
    stopped = replace(EXPERIMENT, ended_at=START + timedelta(days=5), state=ExperimentState.STOPPED)
    found = outcomes(12, {"control": (5, 10), "short": (5, 10)}, first_day=-2)
    verdict = judged(found, experiment=stopped)
    assert (verdict.days, verdict.variants[0].people) == (5, 50)


def test_whoever_is_still_talking_or_in_an_unknown_variant_does_not_count() -> None:
    found = outcomes(2, {"control": (5, 10), "short": (5, 10), "gone": (5, 10)})
    talking = [replace(one, outcome=Outcome.OPEN) if one.sender.endswith("-3") else one for one in found]
    assert [one.people for one in judged(talking).variants] == [18, 18]


@pytest.mark.parametrize(
    ("metric", "changed", "expected"),
    [
        ("resolved", {"outcome": Outcome.RESOLVED}, True),
        ("resolved", {"outcome": Outcome.ABANDONED}, False),
        ("resolved", {"outcome": Outcome.ESCALATED}, False),
        ("escalated", {"outcome": Outcome.ESCALATED}, False),
        ("escalated", {"outcome": Outcome.ABANDONED}, True),
        ("thumbs", {"thumb": 1}, True),
        ("thumbs", {"thumb": -1}, False),
        ("thumbs", {}, None),
        ("csat", {"csat": 5}, True),
        ("csat", {"csat": 4}, True),
        ("csat", {"csat": 3}, False),
        ("csat", {}, None),
        ("csat", {"csat": 5, "outcome": Outcome.OPEN}, None),
    ],
)
def test_what_counts_as_good(metric: str, changed: dict[str, object], expected: bool | None) -> None:
    one = ExperimentOutcome("s", "control", START, Outcome.RESOLVED)
    assert is_good(metric, replace(one, **changed)) is expected  # type: ignore[arg-type]


def test_of_three_the_one_that_beats_the_control_wins_even_if_two_do() -> None:
    rates = {"control": (30, 50), "short": (40, 50), "long": (41, 50)}
    verdict = judged(outcomes(12, rates), experiment=THREE)

    assert verdict.winner == "long"
    assert {(one.first, one.second): one.better for one in verdict.comparisons} == {
        ("control", "short"): "short",
        ("control", "long"): "long",
        ("short", "long"): None,
    }
    assert all(one.needed == pytest.approx(60) for one in verdict.comparisons)


def test_of_three_a_harmful_one_is_named_beside_the_winner() -> None:
    verdict = judged(outcomes(12, {"control": (30, 50), "short": (44, 50), "long": (18, 50)}), experiment=THREE)

    assert (verdict.winner, verdict.harmful) == ("short", ("long",))
    assert sentence(verdict).endswith(" long does harm: stop the experiment.")


def test_uneven_parts_conclude_nothing() -> None:
    verdict = judged(outcomes(10, {"control": (30, 50), "short": (65, 80)}))

    assert verdict.uneven
    assert (verdict.winner, verdict.harmful) == (None, ())
    assert sentence(verdict).startswith("Nothing can be concluded: the variants should have equal parts")


@given(st.integers(2, 5), st.integers(0, 5000))
def test_parts_as_they_are_dealt_are_not_uneven(variants: int, people: int) -> None:
    parts = parts_of(variants)
    assert sum(parts) == pytest.approx(1)
    assert not is_uneven([round(people * part) for part in parts], parts)


def test_an_early_lead_that_turned_is_no_result() -> None:
    found = outcomes(8, {"control": (40, 50), "short": (20, 50)})
    found += outcomes(60, {"control": (30, 50), "short": (38, 50)}, first_day=8)
    verdict = judged(found, days=80)

    assert verdict.winner is None
    assert verdict.comparisons[0].evidence > 20
    assert verdict.comparisons[0].better is None
    assert verdict.harmful == ()


def test_the_rule_is_the_same_for_one_experiment_and_for_many_at_once() -> None:
    random = np.random.default_rng(5)
    people = random.multinomial(150, [1 / 3] * 3, (40, 20))
    counts = np.stack([random.binomial(people, (0.6, 0.7, 0.75)), people], axis=-1).astype(float)
    together = winners(counts, RULE)
    for number in range(len(counts)):
        assert (winners(counts[number], RULE) == together[number]).all()
        for day in (8, 14, 20):  # what comes later changes nothing
            assert (winners(counts[number, :day], RULE) == together[number, :day]).all()
    assert set(together[:, -1]) > {2}
