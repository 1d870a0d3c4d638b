"""Evidence keeps its promise exactly: counted out over every outcome there could have been."""

from __future__ import annotations

from itertools import product
from math import comb, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.sequential import Counts, evidence_path, growth, log_evidence, threshold

RATE = st.floats(0.0, 1.0)
SIZES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3)


@st.composite
def counts(draw: st.DrawFn, most: int = 200) -> Counts:
    of = draw(st.integers(0, most))
    return Counts(draw(st.integers(0, of)), of)


BLOCKS = st.lists(st.tuples(counts(), counts()), max_size=8)


def chance(hits: int, of: int, rate: float) -> float:
    return comb(of, hits) * rate**hits * (1 - rate) ** (of - hits)


def expected(
    sizes: list[tuple[int, int]], rates: list[tuple[float, float]], only_rise: bool, margin: float = 1.0
) -> float:
    """Return the expectation of the evidence: every outcome of every block by its probability."""
    outcomes = [list(product(range(first + 1), range(second + 1))) for first, second in sizes]
    weights = np.ones(1)
    for (first, second), (rate, second_rate), block in zip(sizes, rates, outcomes, strict=False):
        own = [chance(hits, first, rate) * chance(second_hits, second, second_rate) for hits, second_hits in block]
        weights = np.multiply.outer(weights, own).ravel()
    hits = np.array(list(product(*outcomes)))
    blocks = np.stack([hits, np.broadcast_to(sizes, hits.shape)], axis=-1)
    return float(weights @ np.exp(evidence_path(blocks, only_rise, margin)[:, -1]))


@settings(deadline=None, max_examples=60)
@given(SIZES, st.lists(RATE, min_size=3, max_size=3))
def test_equal_rates_expect_no_evidence_even_if_the_rate_changes(sizes: list[tuple[int, int]], rates: list[float]):
    for only_rise in (False, True):
        assert expected(sizes, [(rate, rate) for rate in rates[: len(sizes)]], only_rise) <= 1 + 1e-9


@settings(deadline=None, max_examples=60)
@given(SIZES, st.lists(st.tuples(RATE, RATE), min_size=3, max_size=3))
def test_a_second_rate_that_is_not_higher_expects_no_evidence_of_a_rise(
    sizes: list[tuple[int, int]], rates: list[tuple[float, float]]
):
    lower = [(max(pair), min(pair)) for pair in rates[: len(sizes)]]
    assert expected(sizes, lower, only_rise=True) <= 1 + 1e-9


@settings(deadline=None, max_examples=60)
@given(SIZES, st.lists(st.tuples(RATE, RATE), min_size=3, max_size=3), st.floats(1, 5))
def test_a_second_rate_within_the_margin_expects_no_evidence_of_a_rise(
    sizes: list[tuple[int, int]], rates: list[tuple[float, float]], margin: float
):
    within = [(rate, share * min(1.0, margin * rate)) for rate, share in rates[: len(sizes)]]
    at_the_margin = [(rate / margin, rate) for rate, _ in rates[: len(sizes)]]
    assert expected(sizes, within, only_rise=True, margin=margin) <= 1 + 1e-9
    assert expected(sizes, at_the_margin, only_rise=True, margin=margin) <= 1 + 1e-9


@given(BLOCKS)
def test_swapping_the_groups_changes_nothing(blocks: list[tuple[Counts, Counts]]):
    swapped = [(second, first) for first, second in blocks]
    assert log_evidence(swapped) == pytest.approx(log_evidence(blocks), abs=1e-9)


@given(BLOCKS)
def test_swapping_yes_and_no_changes_nothing(blocks: list[tuple[Counts, Counts]]):
    turned = [tuple(Counts(one.of - one.hits, one.of) for one in block) for block in blocks]
    assert log_evidence(turned) == pytest.approx(log_evidence(blocks), abs=1e-9)


@given(BLOCKS, counts(), st.booleans())
def test_a_block_with_one_group_alone_says_nothing(blocks: list[tuple[Counts, Counts]], alone: Counts, only_rise: bool):
    before = log_evidence(blocks, only_rise)
    assert log_evidence([*blocks, (alone, Counts(0, 0))], only_rise) == pytest.approx(before, abs=1e-9)
    assert log_evidence([*blocks, (Counts(0, 0), alone)], only_rise) == pytest.approx(before, abs=1e-9)


@given(BLOCKS, st.tuples(counts(), counts()), st.booleans())
def test_what_comes_later_does_not_change_what_was_said(
    blocks: list[tuple[Counts, Counts]], later: tuple[Counts, Counts], only_rise: bool
):
    path = evidence_path([*blocks, later], only_rise)
    assert np.isfinite(path).all()
    for number in range(1, len(blocks) + 1):
        assert path[number - 1] == pytest.approx(log_evidence(blocks[:number], only_rise), abs=1e-9)


def test_the_first_block_teaches_and_says_nothing():
    assert log_evidence([]) == 0.0
    assert log_evidence([(Counts(0, 50), Counts(50, 50))]) == pytest.approx(0.0)


def test_the_order_of_blocks_matters_and_a_clear_difference_is_found():
    few, many = (Counts(2, 50), Counts(12, 50)), (Counts(12, 50), Counts(2, 50))
    assert log_evidence([few] * 10) > threshold(0.05)
    assert log_evidence([few] * 10, only_rise=True) > threshold(0.05)
    assert log_evidence([many] * 10) == pytest.approx(log_evidence([few] * 10))
    assert log_evidence([many] * 10, only_rise=True) == pytest.approx(0.0)
    assert log_evidence([few, few, many]) != pytest.approx(log_evidence([many, few, few]))


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_growth_is_symmetric_and_zero_only_without_a_difference(first: float, second: float):
    assert growth(first, second) == pytest.approx(growth(second, first))
    assert growth(first, first) == pytest.approx(0.0, abs=1e-12)
    if abs(first - second) > 1e-3:
        assert growth(first, second) > 0


def test_growth_is_about_what_the_evidence_grows_by_in_the_long_run():
    block = (Counts(700, 1000), Counts(750, 1000))
    gained = log_evidence([block] * 50) - log_evidence([block] * 40)
    assert gained == pytest.approx(10_000 * growth(0.70, 0.75), rel=0.02)
    assert growth(0.0, 1.0) == pytest.approx(2 * log(2))


@pytest.mark.parametrize("only_rise", [False, True])
def test_seldom_is_anything_found_where_nothing_is_however_often_one_looks(only_rise: bool):
    random = np.random.default_rng(11)
    hits = random.binomial(25, 0.7, (4000, 60, 2))
    path = evidence_path(np.stack([hits, np.full_like(hits, 25)], axis=-1), only_rise)
    assert 0 < (path.max(axis=-1) >= threshold(0.05)).mean() <= 0.05


@pytest.mark.parametrize("wrong", [Counts(3, 2), Counts(-1, 2)])
def test_impossible_counts_are_refused(wrong: Counts):
    with pytest.raises(ValueError, match="at most as many"):
        log_evidence([(wrong, Counts(1, 2))])


def test_more_comparisons_ask_for_more_evidence():
    assert threshold(0.05) == pytest.approx(log(20))
    assert threshold(0.05, 3) == pytest.approx(log(60))


def test_a_margin_asks_for_more_than_a_rise():
    some, many = (Counts(10, 100), Counts(15, 100)), (Counts(10, 100), Counts(40, 100))
    assert log_evidence([some] * 30, only_rise=True) > threshold(0.05)
    assert log_evidence([some] * 30, only_rise=True, margin=2) == pytest.approx(0.0)
    assert log_evidence([many] * 30, only_rise=True, margin=2) > threshold(0.05)
    rarely = (Counts(2, 200), Counts(1, 1))
    assert log_evidence([rarely] * 10, only_rise=True, margin=2) > threshold(0.05)


@pytest.mark.parametrize(("only_rise", "margin"), [(False, 2.0), (True, 0.5)])
def test_a_margin_that_makes_no_sense_is_refused(only_rise: bool, margin: float):
    with pytest.raises(ValueError, match="margin"):
        log_evidence([(Counts(1, 2), Counts(1, 2))], only_rise, margin)


@settings(max_examples=300)
@given(BLOCKS.filter(bool), st.floats(1, 20))
def test_evidence_is_always_a_number(blocks: list[tuple[Counts, Counts]], margin: float):
    assert np.isfinite(evidence_path(blocks, only_rise=True, margin=margin)).all()
