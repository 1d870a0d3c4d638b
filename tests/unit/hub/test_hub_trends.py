"""Where the small curves beside gaps end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from hub.review.trends import read_trends

NOW = datetime(2025, 11, 21, tzinfo=timezone.utc)


class FakeStore:
    def __init__(self, newest: datetime | None) -> None:
        self.newest = newest

    def newest_turn(self) -> datetime | None:
        return self.newest

    def weekly_people(self, gap_ids: Collection[str], newest: datetime, weeks: int) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(gap_ids, (1,) * weeks)


@pytest.mark.parametrize(
    ("newest", "until"),
    [
        (NOW - timedelta(days=3), NOW - timedelta(days=3)),
        (None, NOW),
        (NOW + timedelta(days=1826), NOW),  # a clock that was wrong once
    ],
)
def test_a_curve_ends_with_the_newest_conversation_that_can_have_been(newest: datetime | None, until: datetime) -> None:
    loop: Any = SimpleNamespace(store=FakeStore(newest), now=lambda: NOW)
    assert read_trends(loop, ["g1"])["g1"].until == until
