"""A new model's first days on made-up people: one that is no worse stays, and a real jump is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.watching import AS_GOOD, SETTINGS, WORSE, Scenario, rows, table

RUNS = 12  # of each; the benchmark makes hundreds


@pytest.mark.parametrize("scenario", AS_GOOD, ids=lambda one: one.name)
def test_a_model_that_is_no_worse_stays(scenario: Scenario) -> None:
    (row,) = rows(RUNS, seed=1, scenarios=[replace(scenario, people=100)])

    # Each run goes back with a chance of at most 1 %: two of twelve would be one in a hundred and sixty.
    assert SETTINGS.false_alarms == 0.01
    assert row["back"] * RUNS < 2


@pytest.mark.parametrize(
    ("name", "most"), [("not understood 30 %", 320), ("not understood 50 %", 110), ("rated down by 10 %", 500)]
)
def test_a_jump_is_found_within_so_many_people(name: str, most: int) -> None:
    (scenario,) = (one for one in WORSE if one.name == name)
    (row,) = rows(RUNS, seed=1, scenarios=[scenario])

    assert row["back"] == 1
    assert 0 < row["most"] <= most


def test_the_table_has_a_line_for_each_scenario() -> None:
    found = [
        {"scenario": "a", "worse": False, "runs": 5, "back": 0.0, "people": None, "most": None, "hours": None},
        {"scenario": "b", "worse": True, "runs": 5, "back": 0.8, "people": 41.0, "most": 50.2, "hours": 7.4},
    ]

    assert table(found).splitlines()[2:] == [
        "| a | no | 5 | 0.0 % |  |  |  |",
        "| b | yes | 5 | 80.0 % | 41 | 50 | 7 |",
    ]
