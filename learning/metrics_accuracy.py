"""How well intents are understood: by day, on what people have checked, against the model's result on the hold-out.

The truth is what people said of single messages (right, or which label it should have been). They are no random sample
unless they come from random draws: who looks where something failed will find more that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from learning.browsing_records import Annotation, Verdict
from learning.loop import Loop
from learning.metrics_statistics import Estimate, difference, share_of
from learning.model_card import ModelCard, from_plain

MOST_LABELS = 30  # of a confusion matrix that a page can show


@dataclass(frozen=True)
class Confusion:
    """How often messages of a label (`right`) were understood as another: (right, understood as, how often).

    `correct` counts those that were understood, by label.
    """

    total: int
    correct: dict[str, int]
    wrong: tuple[tuple[str, str, int], ...]

    def labels(self, most: int = MOST_LABELS) -> list[str]:
        """Return the labels with the most mistakes in either way, in alphabetical order."""
        involved: Counter[str] = Counter()
        for right, said, count in self.wrong:
            involved[right] += count
            involved[said] += count
        return sorted(label for label, _ in involved.most_common(most))

    def count(self, right: str, said: str) -> int:
        """Return how many messages of a label were understood as another, or the same."""
        if right == said:
            return self.correct.get(right, 0)
        return sum(count for one, other, count in self.wrong if (one, other) == (right, said))


@dataclass(frozen=True)
class Accuracy:
    """The share of checked messages that were understood, in all and by day; `baseline` is the running model's.

    `gap` compares the two, and is None where there are fewer than `least` checked messages, or no baseline.
    """

    least: int
    estimate: Estimate | None
    right: int
    checked: int
    days: tuple[tuple[date, int, int], ...]  # day, right, checked
    model: str
    baseline: Estimate | None
    gap: Estimate | None
    confusion: Confusion
    holdout: Confusion | None

    @property
    def is_enough(self) -> bool:
        """Whether enough messages were checked to tell anything."""
        return self.checked >= self.least


def read_accuracy(loop: Loop, since: date, until: date) -> Accuracy:
    """Return the accuracy of what customers said on these days, and that of the running model on the hold-out."""
    notes = _checked(loop, since, until)
    right = sum(note.verdict is Verdict.RIGHT for note in notes)
    estimate = share_of(right, len(notes))
    model, card = _running_card(loop)
    baseline = share_of(card.after, card.total) if card else None
    least = loop.settings.metrics.min_checked
    gap = difference(estimate, baseline) if estimate and baseline and len(notes) >= least else None
    return Accuracy(
        least,
        estimate,
        right,
        len(notes),
        _by_day(notes, since, until),
        model,
        baseline,
        gap,
        _confusion(notes),
        _of_card(card) if card else None,
    )


def _checked(loop: Loop, since: date, until: date) -> list[Annotation]:
    """Return what people said last of each message of these days, where it was right or wrong."""
    begin, end = (datetime.combine(day, time(), tzinfo=timezone.utc) for day in (since, until + timedelta(days=1)))
    newest: dict[str, Annotation] = {}
    for note in sorted(loop.store.annotations_between(begin, end), key=lambda one: (one.at, one.annotation_id)):
        if note.verdict in (Verdict.RIGHT, Verdict.WRONG):
            newest[note.turn_id] = note
    return list(newest.values())


def _by_day(notes: Sequence[Annotation], since: date, until: date) -> tuple[tuple[date, int, int], ...]:
    right: Counter[date] = Counter()
    checked: Counter[date] = Counter()
    for note in notes:
        day = note.turn_at.astimezone(timezone.utc).date()
        checked[day] += 1
        right[day] += note.verdict is Verdict.RIGHT
    days = [since + timedelta(days=number) for number in range((until - since).days + 1)]
    return tuple((day, right[day], checked[day]) for day in days)


def _confusion(notes: Sequence[Annotation]) -> Confusion:
    correct: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for note in notes:
        if note.verdict is Verdict.RIGHT:
            correct[note.said] += 1
        elif note.right:
            wrong[note.right, note.said] += 1
    return Confusion(len(notes), dict(correct), _sorted(wrong))


def _of_card(card: ModelCard) -> Confusion:
    wrong = Counter({(label, said): count for label, said, count in card.wrong})
    return Confusion(card.total, {one.label: one.after for one in card.labels}, _sorted(wrong))


def _sorted(wrong: Counter[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    ordered = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return tuple((right, said, count) for (right, said), count in ordered)


def _running_card(loop: Loop) -> tuple[str, ModelCard | None]:
    """Return the running model's name and what is known of it."""
    running = loop.store.running_model()
    for model in loop.store.deployed_models():
        if model.name == running:
            return running, from_plain(model.card)
    return running, None
