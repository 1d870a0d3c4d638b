"""Two models on the same cases: noise is no difference, and a lost intent is one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.paired import (
    Paired,
    chance_of_loss,
    difference_interval,
    is_decidable,
    least_chance,
    median_interval,
    real_losses,
)

MARGIN, LEVEL = 0.02, 0.05
SIZES = [6] * 5 + [8] * 11 + [10] * 37  # as the hold-out has them


def test_counts_of_the_same_cases() -> None:
    pair = Paired.of([True, True, False, False, True], [True, False, True, False, True])

    assert pair == Paired(total=5, before=3, lost=1, gained=1)
    assert (pair.after, pair.drop) == (3, 0.0)


@pytest.mark.parametrize(("lost", "gained", "expected"), [(5, 0, 1 / 32), (4, 0, 1 / 16), (3, 1, 5 / 16), (0, 5, 1.0)])
def test_without_a_margin_it_is_mcnemars_exact_test(lost: int, gained: int, expected: float) -> None:
    assert chance_of_loss(Paired(10, 10, lost, gained)) == pytest.approx(expected)


def test_a_margin_takes_a_small_loss_of_many_for_no_loss() -> None:
    # 20 of 1,000 lost is certainly a loss, and no more than two points.
    assert chance_of_loss(Paired(1000, 1000, 20, 0)) < 1e-5
    assert chance_of_loss(Paired(1000, 1000, 20, 0), MARGIN) == 1.0
    assert chance_of_loss(Paired(1000, 1000, 45, 0), MARGIN) < LEVEL


@given(st.integers(1, 200), st.integers(0, 60), st.integers(0, 60), st.floats(0, 0.2))
def test_chances_are_chances_and_losses_make_them_smaller(total: int, lost: int, gained: int, margin: float) -> None:
    total = max(total, lost + gained)
    pair = Paired(total, total, lost, gained)
    chance = chance_of_loss(pair, margin)

    assert 0 <= least_chance(pair, margin) <= chance * (1 + 1e-9) <= 1 + 1e-9
    if lost and gained:
        assert chance_of_loss(Paired(total, total, lost + 1, gained - 1), margin) <= chance * (1 + 1e-9)


def test_what_a_few_messages_can_show() -> None:
    assert not is_decidable(4, MARGIN, LEVEL)
    assert is_decidable(5, MARGIN, LEVEL)
    assert not is_decidable(1000, 1.0, LEVEL)  # whoever lets an intent lose everything loses nothing


def test_an_intent_of_five_that_is_lost_is_found_among_many_that_stand_still() -> None:
    pairs = {f"intent_{number}": Paired(10, 9, 1, 1) for number in range(52)}
    pairs["lost"] = Paired(5, 5, 5, 0)

    assert list(real_losses(pairs, MARGIN, LEVEL)) == ["lost"]


def test_the_level_is_divided_among_those_that_moved_much() -> None:
    pairs = {f"intent_{number}": Paired(10, 10, 5, 0) for number in range(1)}
    assert len(real_losses(pairs, MARGIN, LEVEL)) == 1
    # Five of ten lost is nothing to wonder at where twenty intents moved as much.
    pairs |= {f"other_{number}": Paired(10, 5, 0, 5) for number in range(20)}
    assert real_losses(pairs, MARGIN, LEVEL) == {}


def simulated(random: np.random.Generator, accuracy: float, churn: float, drop: float = 0.0) -> dict[str, Paired]:
    """The hold-out asked of two models that are equally good but for `drop` of one intent's messages.

    `churn` is the share of messages that the second model answers anew, as likely right as the first did.
    """
    pairs = {}
    for number, size in enumerate(SIZES):
        likely = random.beta(8 * accuracy, 8 * (1 - accuracy))
        before = random.random(size) < likely
        after = np.where(random.random(size) < churn, random.random(size) < likely, before)
        if number == len(SIZES) - 1 and drop:
            after = after & (random.random(size) >= drop)
        pairs[str(number)] = Paired.of(before.tolist(), after.tolist())
    return pairs


@pytest.mark.parametrize("churn", [0.1, 0.5, 1.0])
def test_equally_good_models_lose_an_intent_in_fewer_runs_than_the_level_says(churn: float) -> None:
    random, runs = np.random.default_rng(7), 150
    wrong = sum(bool(real_losses(simulated(random, 0.87, churn), MARGIN, LEVEL)) for _ in range(runs))

    assert wrong <= LEVEL * runs


def test_an_intent_that_loses_nine_messages_of_ten_is_found_as_good_as_always() -> None:
    random, runs = np.random.default_rng(8), 60
    last = str(len(SIZES) - 1)
    found = sum(last in real_losses(simulated(random, 0.9, 0.05, drop=0.9), MARGIN, LEVEL) for _ in range(runs))

    assert found >= 0.85 * runs


def test_the_interval_holds_the_true_difference_as_often_as_it_says() -> None:
    random, runs, hits = np.random.default_rng(9), 300, 0
    for _ in range(runs):
        lost, gained, _ = random.multinomial(488, [0.03, 0.05, 0.92])
        low, high = difference_interval(Paired(488, 400, int(lost), int(gained)), draws=1000)
        hits += low <= 0.02 <= high

    assert 0.91 <= hits / runs <= 0.99


def test_the_interval_is_the_same_for_the_same_cases_and_says_something_where_nothing_moved() -> None:
    pair = Paired(488, 440, 5, 8)
    assert difference_interval(pair) == difference_interval(pair)
    assert difference_interval(Paired(300, 280, 0, 0)) == (-0.01, 0.01)
    assert difference_interval(Paired(0, 0, 0, 0)) == (-1.0, 1.0)


def test_a_median_lies_between_two_ranks() -> None:
    middle, low, high = median_interval([1.0] * 40 + [2.0] * 20)
    assert (middle, low, high) == (1.0, 1.0, 1.0)
    values = list(np.random.default_rng(3).normal(1.0, 0.1, 400))
    middle, low, high = median_interval(values)
    assert low < 1.0 < high
    # 1.96 standard deviations of a binomial with n = 400: 20 ranks either way.
    assert sum(low <= value <= high for value in values) == pytest.approx(41, abs=2)
