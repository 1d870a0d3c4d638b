"""A score in words: what speaks for a proposal, what holds it back, and how much each part counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.texts import review as texts
from learning.model import ScorePart

GOOD, POOR = 0.67, 0.34  # from and under which a part speaks for a proposal, or against it
SAID_FROM = 0.05  # share of the whole under which a part changes no score
WORDS = 3  # of a kind in the sentence


@dataclass(frozen=True)
class PartView:
    """One part: a phrase for what was found, how good that is (`good`, `fair`, `poor`), and its bar.

    `width` is what the part counts and `filled` what it has of that, in percent of the part that counts most.
    """

    phrase: str
    verdict: str
    width: int
    filled: int
    share: float

    @property
    def counts(self) -> bool:
        """Whether it could change the score."""
        return self.share >= SAID_FROM


@dataclass(frozen=True)
class ScoreView:
    """All parts, what counts most first, and what they say in short."""

    parts: tuple[PartView, ...]
    speaks_for: tuple[str, ...]
    holds_back: tuple[str, ...]


def explain(parts: Sequence[ScorePart]) -> ScoreView:
    """Put the parts of a score into words."""
    most = max((part.share for part in parts), default=0.0) or 1.0
    views = sorted((_view(part, most) for part in parts), key=lambda view: (-view.share, view.phrase))
    said = [view for view in views if view.counts]
    return ScoreView(
        parts=tuple(views),
        speaks_for=tuple(view.phrase for view in said if view.verdict == "good")[:WORDS],
        holds_back=tuple(view.phrase for view in said if view.verdict == "poor")[:WORDS],
    )


def _view(part: ScorePart, most: float) -> PartView:
    verdict = "good" if part.value >= GOOD else "poor" if part.value < POOR else "fair"
    # What another version has measured has no words of its own yet.
    phrases = texts.SCORE_PHRASES.get(part.name)
    phrase = phrases[verdict] if phrases else part.name
    width = 100 * part.share / most
    return PartView(phrase, verdict, round(width), round(width * part.value), part.share)
