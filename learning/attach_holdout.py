"""A hold-out from the examples that a project has: drawn from every label, and taken out of the training data.

A message that is trained on says nothing about whether a model has become worse; so it is moved, never copied. It is
a change of its own, which a project may leave out: then retraining has nothing to compare with, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learning.attach_survey import Labelled
from learning.attach_yaml import without_lines
from learning.model import content_id

SHARE = 0.1  # of a label's examples
FEWEST = 10  # examples from which a label can spare one
MOST = 20  # of a label: what the large ones lose, they would not miss
WORD = re.compile(r"\w+")
ENOUGH = 50  # held-out messages under which a comparison tells little


@dataclass(frozen=True)
class HoldOut:
    """The held-out messages, the file that holds them, and the training files without them."""

    examples: tuple[Labelled, ...]
    file: str
    files: Mapping[str, str]


def draw(examples: Sequence[Labelled]) -> list[Labelled]:
    """Return which examples are held out: a tenth of each label's, by a hash of their text, the same each time.

    A message whose twin (the same words, whatever stands between them) stays in the training data would be no test:
    of twins none is drawn.
    """
    of_label: dict[str, list[Labelled]] = {}
    twins: dict[str, int] = {}
    for example in examples:
        of_label.setdefault(example.label, []).append(example)
        twins[_folded(example.text)] = twins.get(_folded(example.text), 0) + 1
    drawn: list[Labelled] = []
    for label in sorted(of_label):
        mine = of_label[label]
        single = [one for one in mine if one.line >= 0 and twins[_folded(one.text)] == 1]
        single.sort(key=lambda one: content_id("attach-holdout", one.label, one.text))
        wanted = min(MOST, round(SHARE * len(mine))) if len(mine) >= FEWEST else 0
        drawn += single[:wanted]
    return drawn


def make_holdout(examples: Sequence[Labelled], texts: Mapping[str, str], folder: str) -> HoldOut | None:
    """Return the hold-out of these training examples below `folder`, None where no label can spare any.

    Args:
        examples: the training examples.
        texts: file -> its text.
        folder: where the hold-out goes.

    """
    drawn = draw(examples)
    if not drawn:
        return None
    gone: dict[str, list[int]] = {}
    for example in drawn:
        gone.setdefault(example.file, []).append(example.line)
    return HoldOut(
        examples=tuple(drawn),
        file=f"{folder}/nlu.yml",
        files={name: without_lines(texts[name], numbers) for name, numbers in sorted(gone.items())},
    )


def holdout_text(examples: Sequence[Labelled]) -> str:
    """Return the NLU file of held-out messages, annotations and all."""
    lines = [
        "# Never trained on: what `python -m learning retrain` compares models with.",
        'version: "3.1"',
        "",
        "nlu:",
    ]
    of_label: dict[str, list[str]] = {}
    for example in examples:
        of_label.setdefault(example.label, []).append(example.raw)
    for label, raws in sorted(of_label.items()):
        lines += [f"- intent: {label}", "  examples: |", *(f"    - {raw}" for raw in raws)]
    return "\n".join([*lines, ""])


def overlap(test: Sequence[Labelled], training: Sequence[Labelled]) -> int:
    """Return how many of the test messages are in the training data, too."""
    known = {_folded(example.text) for example in training}
    return sum(_folded(example.text) in known for example in test)


def _folded(text: str) -> str:
    return " ".join(WORD.findall(text.casefold())) or text
