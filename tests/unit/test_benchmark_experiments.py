"""The simulation compares what it says it compares."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.experiments import DAYS, Scenario, check_judge, check_peers, measure, methods, people_of, planned_day


def test_the_peers_are_what_they_are_called() -> None:
    check_peers()


def test_people_come_as_the_scenario_says() -> None:
    counts = people_of(Scenario((0.3, 0.6), 200, weekend=-0.2), 50, np.random.default_rng(1))
    assert counts.shape == (50, DAYS, 2, 2)
    share = counts[..., 0].sum(axis=0) / counts[..., 1].sum(axis=0)
    assert share[0] == pytest.approx([0.3, 0.6], abs=0.05)
    assert share[5] == pytest.approx([0.1, 0.4], abs=0.05)
    assert counts[..., 1].sum(axis=2).mean() == pytest.approx(200, rel=0.05)


def test_a_fixed_test_is_planned_for_four_in_five() -> None:
    scenario = Scenario((0.7, 0.75), 200)
    assert planned_day(scenario) == 13  # 1,250 people in each variant
    assert planned_day(Scenario((0.7, 0.7), 200)) == DAYS
    counts = people_of(scenario, 400, np.random.default_rng(2))
    once = methods(scenario)["z test once"](counts)
    assert (once >= 0).any(axis=0).sum() == 1
    assert (once >= 0).any(axis=1).mean() == pytest.approx(0.8, abs=0.08)


def test_the_rule_in_the_simulation_is_the_one_of_the_command_line() -> None:
    scenario = Scenario((0.5, 0.7, 0.7), 60)
    check_judge(scenario, people_of(scenario, 4, np.random.default_rng(3)), 1)


def test_peeking_fools_the_z_test_and_not_the_rule() -> None:
    found = measure(Scenario((0.7, 0.7), 60), 150, 1)["methods"]
    assert found["z test every day"]["named"] > 0.12
    assert found["evergreen"]["named"] <= 0.05
    assert found["evergreen"]["right"] == 0
