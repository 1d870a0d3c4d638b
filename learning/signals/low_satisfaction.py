"""An answer was given, and too few of those who rated it liked it."""

from __future__ import annotations

from collections.abc import Sequence

from learning.model import Rating, Signal
from learning.settings import PrioritySettings

KIND = "low_satisfaction"
WEIGHT = 0.8  # the answer is no good for many; whether it was for this person, the rating itself says
MIN_PEOPLE = 5  # one person who rates everything down says little about an answer


def detect_all(ratings: Sequence[Rating], settings: PrioritySettings) -> dict[str, Signal]:
    """Return a signal for each turn that was rated down, where its label's answer is liked too seldom.

    Args:
        ratings: those of all conversations; the last one of a turn counts.
        settings: `satisfaction` is the share of good ratings under which an answer is no good, `min_ratings` how many
            it takes to say so.

    """
    by_label: dict[str, dict[str, Rating]] = {}
    for rating in ratings:
        by_label.setdefault(rating.label, {})[rating.turn_id] = rating
    found: dict[str, Signal] = {}
    for label, rated in sorted(by_label.items()):
        people = len({rating.sender for rating in rated.values()})
        share = sum(rating.good for rating in rated.values()) / len(rated)
        if len(rated) >= settings.min_ratings and people >= MIN_PEOPLE and share < settings.satisfaction:
            evidence = f"{share:.0%} of {len(rated)} ratings of {label} by {people} people are good"
            bad = [turn_id for turn_id, rating in rated.items() if not rating.good]
            found.update((turn_id, Signal(KIND, WEIGHT, evidence)) for turn_id in bad)
    return found
