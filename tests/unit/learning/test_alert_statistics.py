"""Each test says "unusual" as rarely as its p-value promises where nothing has changed, and finds what has."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from learning.alert_statistics import (
    LEAST_HISTORY,
    dispersion,
    drop_of_share,
    fall_of_count,
    rise_of_share,
    unusual_day,
)
from learning.drift import LEAST_WORD_PEOPLE, measure, words_said_more

MONDAY = date(2024, 1, 1)
DAY = timedelta(days=1)


def share_of_small(chances, level: float) -> float:
    return sum(chance <= level for chance in chances) / len(chances)


@pytest.mark.parametrize(("usual", "alike"), [(0.12, 0.0), (0.12, 0.02), (0.01, 0.01), (0.5, 0.05)])
def test_shares_that_vary_by_the_day_raise_no_more_alarms_than_promised(usual, alike) -> None:
    draw = np.random.default_rng(1)
    chances = []
    for _ in range(1500):
        of = draw.integers(100, 300, size=29)
        share = draw.beta(usual * (1 / alike - 1), (1 - usual) * (1 / alike - 1), 29) if alike else usual
        hits = draw.binomial(of, share)
        seen = rise_of_share(int(hits[0]), int(of[0]), hits[1:], of[1:])
        assert seen is not None
        chances.append(seen.chance)
    for level in (0.05, 0.01):
        assert share_of_small(chances, level) <= level * 1.5 + 0.004
    assert share_of_small(chances, 0.2) > 0.05  # and it is no test that always says "usual"


def test_a_share_that_doubled_is_found() -> None:
    of, hits = np.full(28, 200), np.full(28, 24)
    seen = rise_of_share(48, 200, hits, of)
    assert (seen.value, seen.usual) == (0.24, 0.12)
    assert seen.chance < 1e-3
    assert rise_of_share(24, 200, hits, of).chance > 0.3


def test_where_nothing_ever_failed_something_may_and_much_may_not() -> None:
    of, hits = np.full(28, 200), np.zeros(28)
    assert rise_of_share(1, 200, hits, of).chance > 0.01
    assert rise_of_share(20, 200, hits, of).chance < 1e-6


def test_shares_need_a_history() -> None:
    assert rise_of_share(5, 10, np.full(LEAST_HISTORY - 1, 1), np.full(LEAST_HISTORY - 1, 10)) is None
    assert rise_of_share(5, 10, np.zeros(28), np.zeros(28)) is None
    assert rise_of_share(0, 0, np.full(28, 1), np.full(28, 10)) is None


def test_dispersion_is_what_it_was_made_with() -> None:
    draw = np.random.default_rng(2)
    of = np.full(4000, 150.0)
    for alike in (0.01, 0.05):
        hits = draw.binomial(150, draw.beta(0.2 * (1 / alike - 1), 0.8 * (1 / alike - 1), 4000))
        assert dispersion(hits, of, 0.2) == pytest.approx(alike, rel=0.15)


@pytest.mark.parametrize("is_count", [True, False])
def test_days_with_weekends_are_usual_days(is_count) -> None:
    draw = np.random.default_rng(3)
    chances = []
    for _ in range(600):
        days = [MONDAY + number * DAY for number in range(57)]
        if is_count:
            means = [(300 if day.weekday() < 5 else 120) * float(np.exp(draw.normal(0, 0.1))) for day in days]
            values = [float(draw.poisson(mean)) for mean in means]
        else:
            values = [(0.8 if day.weekday() < 5 else 0.84) + float(draw.normal(0, 0.01)) for day in days]
        history = dict(zip(days[:-1], values, strict=False))
        seen = unusual_day(days[-1], values[-1], 0.004, history, is_count)
        assert seen is not None
        chances.append(seen.chance)
    assert share_of_small(chances, 0.05) <= 0.08
    assert share_of_small(chances, 0.005) <= 0.012
    assert share_of_small(chances, 0.3) > 0.15


def test_a_weekend_of_the_size_of_a_weekday_is_unusual_and_growth_is_not() -> None:
    draw = np.random.default_rng(4)
    days = [MONDAY + number * DAY for number in range(56)]
    counts = {day: float(draw.poisson(300 if day.weekday() < 5 else 120)) for day in days}
    monday, sunday = MONDAY + 56 * DAY, MONDAY + 55 * DAY
    assert unusual_day(monday, 300.0, 0, counts, is_count=True).chance > 0.01
    before = {day: count for day, count in counts.items() if day < sunday}
    assert unusual_day(sunday, 300.0, 0, before, is_count=True).chance < 1e-5
    grown = {day: count * (1 + 0.01 * number) for number, (day, count) in enumerate(counts.items())}
    assert unusual_day(monday, 300 * 1.56, 0, grown, is_count=True).chance > 0.01


def test_days_need_four_weeks() -> None:
    history = {MONDAY + number * DAY: 100.0 for number in range(27)}
    assert unusual_day(MONDAY + 27 * DAY, 5.0, 0, history, is_count=True) is None
    assert unusual_day(MONDAY + 60 * DAY, 5.0, 0, {}, is_count=True) is None


def test_silence_is_unusual_where_many_talk_and_usual_where_few_do() -> None:
    draw = np.random.default_rng(5)
    rows = draw.poisson(40, size=(55, 8)).tolist()
    assert fall_of_count(0, [38, 42, 45, 40, 36, 41, 39, 44], rows).chance < 1e-9
    assert fall_of_count(38, [38, 42, 45, 40, 36, 41, 39, 44], rows).chance > 0.2
    few = draw.poisson(2, size=(55, 8)).tolist()
    assert fall_of_count(0, [2, 1, 3, 2, 0, 4, 2, 2], few).chance > 0.05
    assert fall_of_count(0, [2, 1, 3], few) is None
    assert fall_of_count(0, [0, 0, 0, 0], few) is None


def test_counts_that_vary_raise_no_more_alarms_than_promised() -> None:
    draw = np.random.default_rng(6)
    chances = []
    for _ in range(400):
        week = draw.uniform(10, 60, size=56)
        means = week[:, None] * np.exp(draw.normal(0, 0.25, size=(56, 9)))
        rows = draw.poisson(means)
        seen = fall_of_count(int(rows[0, 8]), rows[0, :8].tolist(), rows[1:, :8].tolist())
        chances.append(seen.chance)
    assert share_of_small(chances, 0.05) <= 0.08
    assert share_of_small(chances, 0.01) <= 0.025


def test_fewer_understood_messages_are_found_by_an_exact_test() -> None:
    assert drop_of_share(40, 60, 270, 300).chance < 1e-4
    assert drop_of_share(54, 60, 270, 300).chance > 0.3
    assert drop_of_share(0, 0, 270, 300) is None
    draw = np.random.default_rng(7)
    chances = [
        drop_of_share(int(draw.binomial(60, 0.9)), 60, int(draw.binomial(280, 0.9)), 280).chance for _ in range(3000)
    ]
    assert share_of_small(chances, 0.05) <= 0.05 + 0.01


# --- drift ----------------------------------------------------------------------------------------


def spoken(draw, days: int = 35, each: int = 20, topics: int = 12, waves: float = 60.0, new: float = 0.0):
    """Vectors and days: topics come in waves; in the last week a share is about something new."""
    centers = draw.normal(size=(topics + 1, 16))
    usual = draw.dirichlet(np.full(topics, 1.0))
    vectors, found = [], []
    for number in range(days):
        own = draw.dirichlet(usual * waves + 1e-3)
        share = new if number >= days - 7 else 0.0
        chosen = draw.choice(topics + 1, size=each, p=np.append(own * (1 - share), share))
        said = centers[chosen] + draw.normal(0, 0.7, size=(each, 16))
        vectors.append(said / np.linalg.norm(said, axis=1, keepdims=True))
        found += [MONDAY + number * DAY] * each
    return np.concatenate(vectors), found


def test_waves_of_topics_are_no_drift() -> None:
    draw = np.random.default_rng(8)
    chances = [measure(*spoken(draw), MONDAY + 34 * DAY, seed=number)[1] for number in range(120)]
    assert share_of_small(chances, 0.05) <= 0.11
    assert share_of_small(chances, 0.01) <= 0.04
    assert share_of_small(chances, 0.5) > 0.3


def test_a_new_topic_is_drift_and_the_more_of_it_the_farther() -> None:
    draw = np.random.default_rng(9)
    apart = {}
    for new in (0.0, 0.2, 0.4):
        found = [measure(*spoken(draw, new=new), MONDAY + 34 * DAY, seed=1) for _ in range(10)]
        apart[new] = float(np.mean([one[0] for one in found]))
        if new:
            assert sorted(one[1] for one in found)[5] < 0.005
    assert abs(apart[0.0]) < 0.004 < apart[0.2] < apart[0.4]


def test_the_distance_is_the_energy_distance_of_its_definition() -> None:
    draw = np.random.default_rng(10)
    vectors, days = spoken(draw, each=3)
    distance, _, recent, before = measure(vectors, days, MONDAY + 34 * DAY, seed=1)
    now, then = vectors[-recent:], vectors[:before]

    def mean(one, other, same: bool) -> float:
        apart = np.linalg.norm(one[:, None] - other[None], axis=2)
        return float(apart.sum() / (len(one) * (len(one) - 1) if same else apart.size))

    across = mean(now, then, False)
    expected = (2 * across - mean(now, now, True) - mean(then, then, True)) / (2 * across)
    assert distance == pytest.approx(expected, abs=1e-9)
    assert measure(vectors, days, MONDAY + 34 * DAY, seed=1)[1] == measure(vectors, days, MONDAY + 34 * DAY, seed=1)[1]


def test_drift_needs_every_week() -> None:
    vectors, days = spoken(np.random.default_rng(11), each=2)
    missing = [number for number, day in enumerate(days) if day != MONDAY + 3 * DAY]
    assert measure(vectors[missing], [days[number] for number in missing], MONDAY + 34 * DAY, seed=1) is None


def test_words_that_stand_out_are_told_and_no_word_of_few_people() -> None:
    before = ["where is my parcel", "reset my password"] * 50
    said = ["where is my parcel"] * 20 + ["my voucher code is wrong"] * 8 + ["the zeppelin landed"] * 3
    words = words_said_more([(f"person {number}", text) for number, text in enumerate(said)], before)
    assert words[0][0] in ("voucher", "code", "wrong")
    assert ("voucher", 8, 0) in words
    assert "zeppelin" not in {word for word, _, _ in words}
    assert LEAST_WORD_PEOPLE > 3
    assert words_said_more([("one person", text) for text in said], before) == ()
