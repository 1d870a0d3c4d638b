"""The stop rule on made-up people: it seldom takes back what does no harm, and nearly always what does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.stop_rule import HARM, NO_HARM, Scenario, rows, table

RUNS = 8  # of each; the benchmark makes hundreds


def small(scenario: Scenario) -> Scenario:
    return replace(scenario, people=30, crowd=60)


@pytest.mark.parametrize("scenario", NO_HARM, ids=lambda one: one.name)
def test_what_does_no_harm_stays(scenario: Scenario) -> None:
    (row,) = rows(RUNS, seed=1, scenarios=[small(scenario)])

    # Each run stops with a chance of at most 5 %: three of eight would be one in two hundred.
    assert row["stopped"] * RUNS < 3
    assert not row["harm"]


def test_what_sends_a_third_of_people_to_agents_goes_back() -> None:
    (worst,) = (one for one in HARM if one.name.startswith("new answer") and "handoff_after 30 %" in one.name)
    (row,) = rows(RUNS, seed=1, scenarios=[small(worst)])

    assert row["stopped"] == 1
    assert 0 < row["days"] < 7


def test_the_table_has_a_line_for_each_scenario() -> None:
    found = [
        {"scenario": "a", "harm": False, "stopped": 0.0, "days": None, "people": None},
        {"scenario": "b", "harm": True, "stopped": 0.5, "days": 2.04, "people": 41.0},
    ]

    assert table(found).splitlines()[2:] == ["| a | no | 0.0 % |  |  |", "| b | yes | 50.0 % | 2.0 | 41.0 |"]
