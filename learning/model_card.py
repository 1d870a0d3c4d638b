"""What a model was made of and how it compared with the one before it: kept with the model, shown to people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import comb
from typing import Any

from learning.gate_rules import NAMES, Rule, State, rules_from_plain
from learning.model import Example, Prediction

SURE = 0.05  # a p-value under it is more than noise


@dataclass(frozen=True)
class Moved:
    """A held-out message that only one of two models understood: what it is, and what each took it for."""

    text: str
    label: str
    before: str
    after: str


@dataclass(frozen=True)
class LabelChange:
    """How many of the `total` held-out messages of a label the former model understood, and the new one."""

    label: str
    total: int
    before: int
    after: int


@dataclass(frozen=True)
class ModelCard:
    """A new model beside the one that ran: `before` and `after` of `total` held-out messages were understood.

    `data` is the fingerprint of the training data with domain and configuration, `commit` that of the project, `begun`
    when the data was chosen (ISO 8601, empty if that is not known) and `taught` how many published entries were among
    it. `gained` and `lost` are the messages that only one of the two understood; `labels` are all held-out labels.
    `wrong` is what the new model takes for something else, as (label, answered as, how often). `rules` are those of the
    gate with what came of them, none in cards of earlier versions, and `interval` holds the difference in accuracy
    (-1..1) with a probability of 95 %.
    """

    champion: str
    challenger: str
    data: str
    commit: str
    taught: int
    total: int
    before: int
    after: int
    passed: bool
    reason: str
    gained: tuple[Moved, ...] = ()
    lost: tuple[Moved, ...] = ()
    labels: tuple[LabelChange, ...] = ()
    wrong: tuple[tuple[str, str, int], ...] = ()
    rules: tuple[Rule, ...] = ()
    interval: tuple[float, float] | None = None
    begun: str = ""

    @property
    def chance(self) -> float:
        """The exact two-sided p-value of McNemar's test: how often equal models would differ at least this much."""
        return mcnemar(len(self.gained), len(self.lost))

    @property
    def is_noise(self) -> bool:
        """Whether chance alone explains the difference."""
        return self.chance >= SURE

    @property
    def moved_labels(self) -> tuple[LabelChange, ...]:
        """The labels that are understood more or less often than before, the greatest losses first."""
        return tuple(one for one in self.labels if one.before != one.after)


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (McNemar 1947) for messages that one of two understood."""
    moved = gained + lost
    tail = sum(comb(moved, count) for count in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / (1 << moved))


def compare_on(holdout: Sequence[Example], before: Sequence[Prediction], after: Sequence[Prediction]) -> dict[str, Any]:
    """Return the parts of a card that follow from two models' predictions for the same messages, in their order."""
    counts: dict[str, list[int]] = {}
    wrong: Counter[tuple[str, str]] = Counter()
    gained: dict[str, Moved] = {}
    lost: dict[str, Moved] = {}
    for example, old, new in zip(holdout, before, after, strict=True):
        row = counts.setdefault(example.label, [0, 0, 0])
        was, now = old.label == example.label, new.label == example.label
        row[0] += 1
        row[1] += was
        row[2] += now
        if not now:
            wrong[example.label, new.label] += 1
        if was is not now:
            (gained if now else lost)[example.text] = Moved(example.text, example.label, old.label, new.label)
    labels = sorted((LabelChange(label, *row) for label, row in counts.items()), key=_by_loss)
    return {
        "total": len(holdout),
        "before": sum(one.before for one in labels),
        "after": sum(one.after for one in labels),
        "gained": tuple(gained.values()),
        "lost": tuple(lost.values()),
        "labels": tuple(labels),
        "wrong": tuple((label, said, count) for (label, said), count in wrong.most_common()),
    }


def to_plain(card: ModelCard) -> dict[str, Any]:
    """Return a card as JSON can hold it."""
    return asdict(card)


def from_plain(plain: Mapping[str, Any]) -> ModelCard | None:
    """Return a card as it was kept; None where a model has none, as those of earlier versions."""
    if not plain:
        return None
    moved = {name: tuple(Moved(**one) for one in plain[name]) for name in ("gained", "lost")}
    labels = tuple(LabelChange(**one) for one in plain["labels"])
    wrong = tuple((str(label), str(said), int(count)) for label, said, count in plain["wrong"])
    rules = rules_from_plain(plain.get("rules") or ())
    ends = plain.get("interval")
    interval = (float(ends[0]), float(ends[1])) if ends else None
    found = {**moved, "labels": labels, "wrong": wrong, "rules": rules, "interval": interval}
    # What a newer version has added is not for this one.
    known = {name: value for name, value in plain.items() if name in {one.name for one in fields(ModelCard)}}
    return ModelCard(**{**known, **found})


def told(card: ModelCard) -> tuple[str, ...]:
    """Return what the gate said of a model, one line for each rule; a single one where an earlier version judged."""
    if not card.rules:
        return (f"{'passed' if card.passed else 'blocked'}: {card.reason}",)
    return tuple(f"{rule.state.value:<13} {NAMES.get(rule.name, rule.name)}: {rule.sentence}" for rule in card.rules)


def blocked_rules(card: ModelCard) -> tuple[Rule, ...]:
    """Return the rules that block."""
    return tuple(rule for rule in card.rules if rule.state is State.BLOCKED)


def _by_loss(one: LabelChange) -> tuple[int, str]:
    return one.after - one.before, one.label
