"""What the past of a gap comes down to."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from learning.gap_history import Step, StepKind, turning_points

START = datetime(2025, 11, 1, tzinfo=timezone.utc)
APPROVED, REJECTED, DEFERRED, UNDONE = StepKind.APPROVED, StepKind.REJECTED, StepKind.DEFERRED, StepKind.UNDONE


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([REJECTED], [REJECTED]),
        ([REJECTED, UNDONE], []),
        ([REJECTED, UNDONE, APPROVED], [APPROVED]),
        ([REJECTED, UNDONE, REJECTED], [REJECTED]),
        ([DEFERRED, UNDONE, REJECTED], [REJECTED]),
        ([APPROVED, StepKind.LIVE, UNDONE, StepKind.TAKEN_BACK], [APPROVED, StepKind.TAKEN_BACK]),
    ],
)
def test_an_undone_rejection_is_no_turning_point(kinds: list[StepKind], expected: list[StepKind]) -> None:
    steps = [Step(START + timedelta(days=day), kind, proposal_id="p1") for day, kind in enumerate(kinds)]
    assert [step.kind for step in turning_points(steps)] == expected


def test_undoing_one_proposal_leaves_the_rejection_of_another() -> None:
    steps = [Step(START, REJECTED, proposal_id="p1"), Step(START, REJECTED, proposal_id="p2")]
    steps.append(Step(START, UNDONE, proposal_id="p1"))
    assert turning_points(steps) == (steps[1],)
