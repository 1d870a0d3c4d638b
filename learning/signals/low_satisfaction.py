"""An answer was given, and too few of those who rated it liked it."""

from __future__ import annotations

from collections.abc import Iterable

from learning.model import LabelRatings, Signal
from learning.settings import PrioritySettings

KIND = "low_satisfaction"
WEIGHT = 0.8  # the answer is no good for many; whether it was for this person, the rating itself says
MIN_PEOPLE = 5  # one person who rates everything down says little about an answer


def weak_answers(found: Iterable[LabelRatings], settings: PrioritySettings) -> dict[str, Signal]:
    """Return the labels whose answer is liked too seldom, with the signal for each turn of theirs that was rated down.

    Args:
        found: what the ratings of all conversations add up to.
        settings: `satisfaction` is the share of good ratings under which an answer is no good, `min_ratings` how many
            it takes to say so.

    """
    # No counts in the evidence: they change with every rating, and every turn's signal would with them.
    return {
        item.label: Signal(KIND, WEIGHT, f"under {settings.satisfaction:.0%} of the ratings of {item.label} are good")
        for item in found
        if item.ratings >= settings.min_ratings and item.people >= MIN_PEOPLE and item.share < settings.satisfaction
    }
