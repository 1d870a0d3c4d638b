"""Intervals: against published figures, and properties that must hold for any numbers."""

from __future__ import annotations

import random
from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.metrics_statistics import (
    GROWTH,
    Estimate,
    bucket_of,
    daily_mean,
    difference,
    middle_of,
    quantile,
    rate_ratio,
    share_of,
)

SHARES = st.integers(1, 5000).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.mark.parametrize(
    ("now", "before", "low", "high"),
    [((56, 70), (48, 80), 0.0524, 0.3339), ((9, 10), (3, 10), 0.1705, 0.8090), ((10, 10), (0, 20), 0.6791, 1.0)],
)
def test_the_difference_of_two_shares_is_newcombes(now, before, low, high):
    # Newcombe (1998), table II, method 10.
    found = difference(share_of(*now), share_of(*before))
    assert found.low == pytest.approx(low, abs=2e-4)
    assert found.high == pytest.approx(high, abs=2e-4)


@given(SHARES, SHARES)
def test_a_difference_lies_in_its_interval_and_turns_with_its_sides(now, before):
    one, other = share_of(*now), share_of(*before)
    found, turned = difference(one, other), difference(other, one)
    assert found.low <= found.value <= found.high
    assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


@given(st.floats(1.01, 1e7))
def test_a_bucket_tells_a_time_within_its_width(value):
    assert middle_of(bucket_of(value)) == pytest.approx(value, rel=GROWTH**0.5 - 1 + 1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95]))
def test_a_quantile_lies_in_its_interval_and_in_the_data(values, share):
    found = quantile(Counter(map(bucket_of, values)), share)
    assert found.low <= found.value <= found.high
    width = GROWTH**0.5
    assert min(values) / width - 1 <= found.low
    assert found.high <= max(values) * width + 1


def test_the_interval_of_a_median_holds_the_true_one_as_often_as_it_says():
    draw, held = random.Random(7), 0
    for _ in range(400):
        values = Counter(bucket_of(draw.expovariate(1 / 60)) for _ in range(80))
        found = quantile(values, 0.5)
        held += found.low / GROWTH**0.5 <= 41.59 <= found.high * GROWTH**0.5  # 60 ln 2
    assert held >= 0.93 * 400


def test_the_interval_of_a_rate_ratio_holds_the_true_one_as_often_as_it_says():
    draw, held, rounds = random.Random(3), 0, 400
    for _ in range(rounds):
        before = sum(draw.random() < 0.03 for _ in range(1000))
        after = sum(draw.random() < 0.015 for _ in range(2000))
        found = rate_ratio(after, 2000, before, 1000)
        held += found is not None and found.low <= 0.5 <= found.high
    assert held >= 0.92 * rounds


def test_nothing_has_no_rate_no_share_and_no_quantile():
    assert rate_ratio(0, 100, 0, 100) is None
    assert rate_ratio(3, 0, 3, 100) is None
    assert share_of(0, 0) is None
    assert quantile({}, 0.5) is None


def test_nothing_after_is_a_ratio_of_zero_with_room_above():
    found = rate_ratio(0, 100, 10, 100)
    assert found.value == found.low == 0
    assert 0 < found.high < 1


def test_nothing_before_leaves_only_a_lower_end():
    found = rate_ratio(50, 1000, 0, 1000)
    assert found.value == found.high == inf
    assert 10 < found.low < inf
    assert rate_ratio(1, 1000, 0, 1000).low < 1, "one alone may be chance"


def test_a_few_days_say_nothing_about_how_much_days_differ():
    assert daily_mean([5] * 6) is None
    assert daily_mean([5] * 7) == Estimate(5, 5, 5)
    assert daily_mean([0, 10] * 7).high > 7
