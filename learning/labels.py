"""What became of labels that people merged or retired: one rule for the bot, for training and for mining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from learning.model import Example, ProposalKind

# The key under which files of `data/learned/` hold what is no example: Rasa ignores it, the importer reads it.
CHANGE_KEY = "learned_change"


class Published(Protocol):
    """An entry, as far as it can change a label; its fields hold what they hold in a `Proposal` of its kind."""

    @property
    def entry_id(self) -> str:
        """The entry's name in logs."""
        ...

    @property
    def kind(self) -> ProposalKind:
        """Only MERGE and RETIRE change labels."""
        ...

    @property
    def label(self) -> str:
        """The label that stays, or the one that goes."""
        ...

    @property
    def target(self) -> str | None:
        """The label that becomes `label`."""
        ...


@dataclass(frozen=True)
class LabelChanges:
    """Which labels became another one (`renamed`), and which nobody answers any more (`retired`).

    `decided_by` names for each of them the entry that decided last. `refused` are entries that were left out: they name
    no two labels, or would make two labels become each other.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    retired: frozenset[str] = frozenset()
    decided_by: Mapping[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Published]) -> LabelChanges:
        """Follow the merges and retirements among `entries`, the oldest first: the newest decides about a label."""
        steps: dict[str, tuple[str | None, str]] = {}
        refused: list[str] = []
        for entry in entries:
            if entry.kind is ProposalKind.RETIRE:
                steps[entry.label] = (None, entry.entry_id)
            elif entry.kind is ProposalKind.MERGE:
                if entry.target and entry.label and not _leads_to(entry.label, entry.target, steps):
                    steps[entry.target] = (entry.label, entry.entry_id)
                else:
                    refused.append(entry.entry_id)
        ends = {label: _end(label, steps) for label in steps}
        return cls(
            renamed={label: end for label, (end, _) in ends.items() if end is not None},
            retired=frozenset(label for label, (end, _) in ends.items() if end is None),
            decided_by={label: entry_id for label, (_, entry_id) in ends.items()},
            refused=tuple(refused),
        )

    def __bool__(self) -> bool:
        """Whether any label has changed."""
        return bool(self.decided_by)

    def concern(self, label: str) -> bool:
        """Whether this label has changed."""
        return label in self.decided_by

    def now(self, label: str) -> str | None:
        """Return what `label` is today, None if it was retired."""
        return None if label in self.retired else self.renamed.get(label, label)


def renamed(examples: Iterable[Example], changes: LabelChanges) -> list[Example]:
    """Return examples under the labels that they have today, without those of retired ones."""
    today = ((example, changes.now(example.label)) for example in examples)
    return [replace(example, label=label) for example, label in today if label is not None]


def _leads_to(label: str | None, target: str, steps: Mapping[str, tuple[str | None, str]]) -> bool:
    """Whether `label` is or becomes `target`."""
    while label is not None and label != target:
        label = steps[label][0] if label in steps else None
    return label is not None


def _end(label: str, steps: Mapping[str, tuple[str | None, str]]) -> tuple[str | None, str]:
    """Return what a changed label has become in the end, and the entry that decided it."""
    became, entry_id = steps[label]
    while became is not None and became in steps:
        became, entry_id = steps[became]
    return became, entry_id
