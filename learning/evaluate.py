"""How good a model is on messages it has never seen, and whether another one is as good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learning.model import Example, Prediction


@dataclass(frozen=True)
class Evaluation:
    """A model's result on the hold-out: `correct` of `total`, and the texts it got wrong."""

    total: int
    correct: int
    wrong: frozenset[str]

    @property
    def accuracy(self) -> float:
        """Share of messages understood, 0..1."""
        return self.correct / self.total if self.total else 0.0


@dataclass(frozen=True)
class Comparison:
    """Champion and challenger on the same messages, and whether the challenger may go live."""

    champion: Evaluation
    challenger: Evaluation
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    passed: bool
    reason: str


def evaluate(examples: Sequence[Example], predictions: Sequence[Prediction]) -> Evaluation:
    """Compare predictions with the labels of the same texts, in the same order."""
    wrong = frozenset(
        example.text
        for example, prediction in zip(examples, predictions, strict=True)
        if prediction.label != example.label
    )
    correct = sum(prediction.label == example.label for example, prediction in zip(examples, predictions, strict=True))
    return Evaluation(len(examples), correct, wrong)


def compare(champion: Evaluation, challenger: Evaluation, max_drop: float) -> Comparison:
    """Decide whether the challenger is not worse than the champion by more than `max_drop` of accuracy."""
    gained = tuple(sorted(champion.wrong - challenger.wrong))
    lost = tuple(sorted(challenger.wrong - champion.wrong))
    drop = champion.accuracy - challenger.accuracy
    passed = challenger.total > 0 and drop <= max_drop + 1e-12
    verdict = "is not worse" if passed else f"loses {100 * drop:.2f} points, more than {100 * max_drop:.2f} allowed"
    reason = f"{100 * champion.accuracy:.2f} % -> {100 * challenger.accuracy:.2f} %: the new model {verdict}"
    return Comparison(champion, challenger, gained, lost, passed, reason)


def understood(predictions: Sequence[Prediction], label: str) -> float:
    """Return the share of predictions that carry `label`, 0..1."""
    return sum(prediction.label == label for prediction in predictions) / len(predictions) if predictions else 0.0
