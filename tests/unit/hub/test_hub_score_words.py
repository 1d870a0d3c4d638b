"""A score in words."""

from __future__ import annotations

from hub.review.score_words import explain
from hub.texts.review import SCORE_PHRASES
from learning.model import ProposalKind, ScorePart
from learning.scoring import WEIGHTS


def test_what_counts_most_comes_first_and_says_how_it_stands() -> None:
    view = explain(
        [
            ScorePart("messages agree", 0.9, 0.04),
            ScorePart("replay fixes", 0.2, 0.36),
            ScorePart("different people", 0.8, 0.6),
        ]
    )
    assert [part.phrase for part in view.parts][:2] == ["many people ask", "it fixes little of what failed"]
    assert [(part.width, part.filled) for part in view.parts] == [(100, 80), (60, 12), (7, 6)]
    assert view.speaks_for == ("many people ask",), "what counts next to nothing is not said"
    assert view.holds_back == ("it fixes little of what failed",)


def test_parts_of_another_version_keep_their_names() -> None:
    assert explain([ScorePart("luck", 0.5, 1.0)]).parts[0].phrase == "luck"


def test_every_part_that_is_measured_has_words() -> None:
    names = {name for kind in ProposalKind for name in WEIGHTS.get(kind, ())}
    assert names <= set(SCORE_PHRASES)
    assert all(set(words) == {"good", "fair", "poor"} for words in SCORE_PHRASES.values())
