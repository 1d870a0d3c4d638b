from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.model import GapFigures, GapKind, Priority
from learning.priority import judge, priority_of
from learning.settings import PrioritySettings
from tests.learning_builders import START, gap

SETTINGS = PrioritySettings()
NOW = START + timedelta(days=400)
FIGURES = GapFigures(
    turns=9, people=6, first_seen=START, last_seen=START + timedelta(days=20), cost=2.0, since_handled=0
)


@pytest.mark.parametrize(
    ("kind", "week", "satisfaction", "expected"),
    [
        (GapKind.NEW_NEED, 5, None, Priority.CRITICAL),
        (GapKind.NEW_NEED, 4, None, Priority.MEDIUM),
        (GapKind.WEAK_ANSWER, 9, 0.59, Priority.MEDIUM),
        (GapKind.WEAK_ANSWER, 9, None, Priority.MEDIUM),
        (GapKind.WEAK_ANSWER, 9, 0.6, Priority.LOW),
        (GapKind.EXISTING_INTENT, 50, None, Priority.LOW),
    ],
)
def test_the_class_follows_the_rules(kind: GapKind, week: int, satisfaction: float | None, expected: Priority) -> None:
    assert priority_of(gap(kind=kind, week=week, satisfaction=satisfaction), SETTINGS) is expected


def test_rank_is_people_times_cost_times_trend() -> None:
    judged = judge(gap(), FIGURES, (3, 1.0), None, SETTINGS, 3, NOW)

    assert (judged.week, judged.trend, judged.cost, judged.rank) == (3, 2.0, 2.0, 24.0)
    assert (judged.turns, judged.people, judged.last_seen) == (9, 6, FIGURES.last_seen)


@pytest.mark.parametrize(("ratings", "expected"), [((0.4, 9), None), ((0.4, 10), 0.4), (None, None)])
def test_satisfaction_counts_from_enough_ratings_on(ratings: tuple[float, int] | None, expected: float | None) -> None:
    assert judge(gap(), FIGURES, (0, 0.0), ratings, SETTINGS, 3, NOW).satisfaction == expected


def test_a_handled_gap_sinks_until_enough_people_come_again() -> None:
    handled = gap(week=9, handled_at=START)
    two = judge(handled, replace(FIGURES, since_handled=2), (9, 0.0), None, SETTINGS, 3, NOW)
    three = judge(handled, replace(FIGURES, since_handled=3), (9, 0.0), None, SETTINGS, 3, NOW)

    assert (two.priority, two.is_reopened) == (Priority.LOW, False)
    assert (three.priority, three.is_reopened, three.reopened_at) == (Priority.CRITICAL, True, FIGURES.last_seen)


def test_no_gap_is_reopened_in_the_future() -> None:
    figures = replace(FIGURES, since_handled=3, last_seen=NOW + timedelta(days=365_000))

    assert judge(gap(handled_at=START), figures, (3, 0.0), None, SETTINGS, 3, NOW).reopened_at == NOW


def test_a_reopened_gap_keeps_its_date_until_it_is_handled_again() -> None:
    figures = replace(FIGURES, since_handled=3)
    reopened = judge(gap(handled_at=START), figures, (3, 0.0), None, SETTINGS, 3, NOW)
    later = judge(reopened, replace(figures, last_seen=START + timedelta(days=30)), (3, 0.0), None, SETTINGS, 3, NOW)
    again = replace(later, handled_at=START + timedelta(days=31))

    assert later.reopened_at == reopened.reopened_at
    assert not again.is_reopened
    assert judge(again, replace(figures, since_handled=0), (3, 0.0), None, SETTINGS, 3, NOW).priority is Priority.LOW


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0, 50))
def test_more_people_never_rank_lower(people: int, more: int, prior: float) -> None:
    def rank(count: int) -> float:
        return judge(gap(), replace(FIGURES, people=count), (count, prior), None, SETTINGS, 3, NOW).rank

    assert rank(people) <= rank(people + more)
