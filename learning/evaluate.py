"""How good a model is on messages it has never seen, and whether another one is as good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from learning.model import Example, Prediction

SIGNIFICANT = 0.05  # one loss in twenty that is called real is chance


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
    """Decide whether the challenger is not worse than the champion.

    It may lose up to `max_drop` of accuracy (a share, 0..1) as long as chance explains the loss: the one-sided exact
    McNemar test (McNemar 1947) over the messages that only one of the two understood must not reject at 5 %.
    """
    from scipy.stats import binomtest  # a second to load, which no other command should wait for

    gained = tuple(sorted(champion.wrong - challenger.wrong))
    lost = tuple(sorted(challenger.wrong - champion.wrong))
    drop = champion.accuracy - challenger.accuracy
    moved = f"{100 * champion.accuracy:.2f} % -> {100 * challenger.accuracy:.2f} %"
    chance = float(binomtest(len(gained), len(gained) + len(lost), alternative="less").pvalue) if lost else 1.0
    if challenger.total == 0:
        return Comparison(champion, challenger, gained, lost, False, "there is nothing to compare on")
    if drop <= 0:
        return Comparison(champion, challenger, gained, lost, True, f"{moved}: the new model is not worse")
    if drop > max_drop + 1e-12:
        reason = f"{moved}: the new model loses {100 * drop:.2f} points, more than {100 * max_drop:.2f} allowed"
        return Comparison(champion, challenger, gained, lost, False, reason)
    verdict = "which chance explains" if chance >= SIGNIFICANT else "more than chance explains"
    reason = f"{moved}: {_messages(len(lost))} lost, {len(gained)} gained, {verdict} (p = {chance:.2f})"
    return Comparison(champion, challenger, gained, lost, chance >= SIGNIFICANT, reason)


def understood(predictions: Sequence[Prediction], label: str) -> float:
    """Return the share of predictions that carry `label`, 0..1."""
    return sum(prediction.label == label for prediction in predictions) / len(predictions) if predictions else 0.0


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"
