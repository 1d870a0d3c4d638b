"""How well a model understands held-out messages: overall, by intent, by pair of intents, and its confidence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from learning.intervals import wilson
from learning.model import FALLBACK_INTENT, Example, Prediction

BINS = 10  # of confidence; fewer would hide where it is off, more would leave bins with a handful of messages


@dataclass(frozen=True)
class Mistake:
    """A held-out message, what it means, and what the model took it for."""

    text: str
    label: str
    predicted: str
    confidence: float


@dataclass(frozen=True)
class IntentScore:
    """One intent on the hold-out; `precision` is None where the model never chose it, `recall` where none is held out.

    `unanswered` counts messages that fell to the fallback, `mistaken_for` is the intent that took most of the rest,
    and `mistaken` how many.
    """

    label: str
    support: int
    predicted: int
    correct: int
    unanswered: int
    precision: float | None
    recall: float | None
    f1: float
    mistaken_for: str | None
    mistaken: int

    @property
    def missed(self) -> int:
        """Held-out messages of the intent that were not understood."""
        return self.support - self.correct


@dataclass(frozen=True)
class ConfusedPair:
    """Two intents that are taken for each other, with the messages that show it."""

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    mistakes: tuple[Mistake, ...]

    @property
    def count(self) -> int:
        """Messages confused in either direction."""
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True)
class ConfidenceBin:
    """The answered messages whose confidence lies in `low`..`high`: what was promised and what was kept."""

    low: float
    high: float
    messages: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Cell:
    """How many messages of `label` were taken for `predicted`."""

    label: str
    predicted: str
    messages: int


@dataclass(frozen=True)
class Scores:
    """A model on the hold-out; `low`..`high` is the 95 % interval of the accuracy."""

    messages: int
    correct: int
    accuracy: float
    low: float
    high: float
    macro_f1: float
    unanswered: int
    calibration_error: float
    overconfidence: float
    bins: tuple[ConfidenceBin, ...]
    intents: tuple[IntentScore, ...]
    pairs: tuple[ConfusedPair, ...]
    mistakes: tuple[Mistake, ...]
    cells: tuple[Cell, ...]

    @property
    def refused(self) -> tuple[Mistake, ...]:
        """The messages that fell to the fallback although an intent stands for them."""
        return tuple(item for item in self.mistakes if item.predicted == FALLBACK_INTENT)

    @property
    def wrong(self) -> int:
        """Messages that were not understood, answered or not."""
        return self.messages - self.correct


def score(holdout: Sequence[Example], predictions: Sequence[Prediction]) -> Scores:
    """Compare predictions with the labels of the same messages, in the same order."""
    cells = Counter((example.label, found.label) for example, found in zip(holdout, predictions, strict=True))
    mistakes = [
        Mistake(example.text, example.label, found.label, found.confidence)
        for example, found in zip(holdout, predictions, strict=True)
        if found.label != example.label
    ]
    intents = _intent_scores(cells)
    measured = [intent.f1 for intent in intents if intent.support]
    correct = len(holdout) - len(mistakes)
    low, high = wilson(correct, len(holdout))
    bins = _confidence_bins(holdout, predictions)
    answered = sum(item.messages for item in bins) or 1
    return Scores(
        messages=len(holdout),
        correct=correct,
        accuracy=correct / len(holdout) if holdout else 0.0,
        low=low,
        high=high,
        macro_f1=sum(measured) / len(measured) if measured else 0.0,
        unanswered=sum(item.predicted == FALLBACK_INTENT for item in mistakes),
        calibration_error=sum(item.messages * abs(item.confidence - item.accuracy) for item in bins) / answered,
        overconfidence=sum(item.messages * (item.confidence - item.accuracy) for item in bins) / answered,
        bins=bins,
        intents=intents,
        pairs=_pairs(mistakes),
        mistakes=tuple(sorted(mistakes, key=lambda item: (item.label, item.predicted, -item.confidence))),
        cells=tuple(Cell(*pair, count) for pair, count in sorted(cells.items())),
    )


def _intent_scores(cells: Counter[tuple[str, str]]) -> tuple[IntentScore, ...]:
    """Return the scores of every intent that was meant or chosen, the worst first."""
    support: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    wrong: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (label, found), count in cells.items():
        support[label] += count
        predicted[found] += count
        if found not in (label, FALLBACK_INTENT):
            wrong[label][found] += count
    scores = []
    # The fallback is an intent to score only where the hold-out has messages that nothing should answer.
    for label in sorted(support.keys() | (predicted.keys() - {FALLBACK_INTENT})):
        correct = cells[label, label]
        likely = sorted(wrong[label].items(), key=lambda item: (-item[1], item[0]))
        scores.append(
            IntentScore(
                label=label,
                support=support[label],
                predicted=predicted[label],
                correct=correct,
                unanswered=cells[label, FALLBACK_INTENT] if label != FALLBACK_INTENT else 0,
                precision=correct / predicted[label] if predicted[label] else None,
                recall=correct / support[label] if support[label] else None,
                f1=2 * correct / (support[label] + predicted[label]),
                mistaken_for=likely[0][0] if likely else None,
                mistaken=likely[0][1] if likely else 0,
            )
        )
    return tuple(sorted(scores, key=lambda item: (not item.support, item.f1, item.label)))


def _pairs(mistakes: Sequence[Mistake]) -> tuple[ConfusedPair, ...]:
    """Return the intents taken for each other, the most often confused first."""
    grouped: defaultdict[tuple[str, str], list[Mistake]] = defaultdict(list)
    for item in mistakes:
        if item.predicted != FALLBACK_INTENT:
            grouped[min(item.label, item.predicted), max(item.label, item.predicted)].append(item)
    pairs = [
        ConfusedPair(
            first=first,
            second=second,
            first_as_second=sum(item.label == first for item in found),
            second_as_first=sum(item.label == second for item in found),
            mistakes=tuple(sorted(found, key=lambda item: -item.confidence)),
        )
        for (first, second), found in grouped.items()
    ]

    def weight(pair: ConfusedPair) -> tuple[float, ...]:
        return (-pair.count, -sum(item.confidence for item in pair.mistakes))

    return tuple(sorted(pairs, key=lambda pair: (weight(pair), pair.first, pair.second)))


def _confidence_bins(holdout: Sequence[Example], predictions: Sequence[Prediction]) -> tuple[ConfidenceBin, ...]:
    """Return the bins that hold messages; the fallback is left out, its number is no chance of being right."""
    grouped: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    for example, found in zip(holdout, predictions, strict=True):
        if found.label != FALLBACK_INTENT:
            place = min(BINS - 1, max(0, int(found.confidence * BINS)))
            grouped[place].append((found.confidence, found.label == example.label))
    return tuple(
        ConfidenceBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            messages=len(found),
            confidence=sum(confidence for confidence, _ in found) / len(found),
            accuracy=sum(right for _, right in found) / len(found),
        )
        for place, found in sorted(grouped.items())
    )
