"""What may be a schedule of a rollout."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ReviewError
from learning.model import Rollout
from learning.rollout_steps import Schedule, check_schedule, first_step, read_steps
from learning.settings import RolloutSettings
from tests.learning_builders import START


def test_the_first_step_is_that_of_the_settings_or_of_the_approval() -> None:
    settings = RolloutSettings(steps=(10, 100), hours=2.0)

    assert first_step("e", settings, START) == Rollout("e", (10, 100), 0, 2.0, START)
    assert first_step("e", settings, START, Schedule((5, 50), 1.0)) == Rollout("e", (5, 50), 0, 1.0, START)


@pytest.mark.parametrize("steps", [(), (0,), (101,), (5, 5), (50, 25), (-1, 100), (5, 100, 200)])
def test_steps_rise_from_1_to_100(steps: tuple[int, ...]) -> None:
    with pytest.raises(ReviewError, match="percentages that rise"):
        check_schedule(Schedule(steps, 24.0))


@pytest.mark.parametrize("hours", [0.0, -1.0, float("inf"), float("nan")])
def test_hours_are_a_time(hours: float) -> None:
    with pytest.raises(ReviewError, match="rollout hours"):
        check_schedule(Schedule((100,), hours))


@pytest.mark.parametrize("text", ["5,25,50,100", " 5, 25 ,50,100 ", "5 %,25%,50 %,100%"])
def test_steps_are_typed_with_commas(text: str) -> None:
    assert read_steps(text) == (5, 25, 50, 100)


@given(st.text(max_size=12))
def test_whatever_is_typed_is_steps_or_refused(text: str) -> None:
    try:
        steps = read_steps(text)
    except ReviewError as error:
        assert "whole numbers" in str(error)  # noqa: PT017
    else:
        assert all(0 <= step <= 999 for step in steps)
