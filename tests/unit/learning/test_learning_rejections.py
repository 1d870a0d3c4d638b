"""Messages that reject an answer, against labelled ones: see tests/data/rejections*.yml."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from learning.signals.negative_feedback import REJECTION, TRIGGERS, rejects

DATA = Path(__file__).parents[2] / "data"


@pytest.mark.parametrize(
    ("name", "recall", "false_alarms"),
    # The second list was not used to make the patterns: 26 of its 30 rejections are found.
    [("rejections", 1.0, 0), ("rejections_second", 0.8, 1)],
)
def test_rejections_are_found_and_what_sounds_alike_is_not(name: str, recall: float, false_alarms: int) -> None:
    labelled = yaml.safe_load((DATA / f"{name}.yml").read_text("utf-8"))
    found = sum(rejects(text) for text in labelled["rejects"])

    assert found >= recall * len(labelled["rejects"])
    assert sum(rejects(text) for text in labelled["keeps"]) <= false_alarms


@pytest.mark.parametrize("name", ["rejections", "rejections_second"])
def test_what_is_looked_at_first_hides_no_rejection(name: str) -> None:
    texts = [
        text.lower() for texts in yaml.safe_load((DATA / f"{name}.yml").read_text("utf-8")).values() for text in texts
    ]

    assert [text for text in texts if REJECTION.search(text) and not TRIGGERS.search(text)] == []


def test_a_long_story_is_no_rejection() -> None:
    assert not rejects("I bought a lamp. " * 20 + "that's not what I asked")
