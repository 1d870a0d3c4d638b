"""Labels that people gave become proposals: never live without a review.

What a person labels is worth more than what the machine groups: the turns go to the gap of the label that they were
given, and the gap's proposal gets them as examples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from learning.label_files import NOTHING, LabelFileError
from learning.label_moves import Labelled, Moves
from learning.label_reading import read_rows
from learning.label_tasks import TURN, labels_to_choose, taught_examples, trained_id
from learning.loop import Loop
from learning.model import (
    LEARNED_INTENT,
    FailedTurn,
)
from learning.rearranging import propose_again
from learning.regroup import folded
from learning.review import LEARNED_KEY
from learning.texts import name_of

SHOWN_CONFLICTS = 5  # that an error names


@dataclass(frozen=True)
class Mistaken:
    """An example in the project's own files, or a live one, that people label otherwise."""

    text: str
    label: str
    should_be: str
    who: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """What an import brought: counts of messages, proposals that changed or are new, and what is left to people.

    `waiting` messages have no label yet, `unknown` ones were left out, since they are not known here, `confirmed` ones
    have the label that they had, `decided` ones were given the label of a proposal that somebody has decided about
    meanwhile. `conflicts` say where people disagree.
    """

    rows: int = 0
    waiting: int = 0
    unknown: int = 0
    confirmed: int = 0
    moved: int = 0
    dropped: int = 0
    decided: int = 0
    proposals: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    mistaken: tuple[Mistaken, ...] = ()


@dataclass
class _Told:
    """What a file says of one message; `place` names its first row."""

    place: str
    text: str
    labels: dict[str, list[str]] = field(default_factory=dict)  # -> who gave it


@dataclass(frozen=True)
class _Source:
    """What a task was made of: a turn, which may be in no gap, or a trained example with its label."""

    text: str
    label: str = ""
    turn: FailedTurn | None = None
    gap_id: str = ""


def import_labels(
    loop: Loop, path: Path, who: str, at: datetime, skip_conflicts: bool = False, skip_unknown: bool = False
) -> Imported:
    """Turn the labels of a file into proposals: all of them, or none if anything is wrong.

    Args:
        loop: the loop.
        path: what Label Studio exported (JSON, JSON-MIN or CSV), or the CSV of `labels export`.
        who: who imports it; the annotators are named in the audit log, too.
        at: the time now.
        skip_conflicts: leave messages out that people label differently, instead of refusing the file.
        skip_unknown: leave messages out that are not known here, instead of refusing the file.

    Raises:
        LabelFileError: a row cannot be read, names a message or a label that is not known here, or people disagree.
        StoreError: somebody decided about one of the proposals meanwhile.

    """
    rows, told = _read(path)
    sources = _sources(loop, told)
    _check(told, sources, skip_unknown)
    found = _sorted(loop, told, sources)
    if found.conflicts and not skip_conflicts:
        raise _conflict_error(path, found.conflicts)
    moves = Moves(loop, found.labelled, who, at)
    if moves.regrouping is not None:
        loop.store.regroup(moves.regrouping, moves.vectors)
        propose_again(loop, moves.regrouping.touched)
    return Imported(
        rows=rows,
        waiting=sum(not item.labels for item in told.values()),
        unknown=len(told) - len(sources),
        confirmed=moves.confirmed,
        moved=moves.moved,
        dropped=moves.dropped,
        decided=moves.decided,
        proposals=moves.proposals,
        conflicts=tuple(found.conflicts),
        mistaken=tuple(found.mistaken),
    )


def _read(path: Path) -> tuple[int, dict[str, _Told]]:
    """Return how many rows a file has, and what it says of each message."""
    told: dict[str, _Told] = {}
    count = 0
    for row in read_rows(path):
        count += 1
        item = told.setdefault(row.task.task_id, _Told(row.place, row.task.text))
        if item.text != row.task.text:
            raise LabelFileError(
                f"has another text than {item.place}, and the same task", row.place, "export the messages anew"
            )
        for given in row.task.labels:
            people = item.labels.setdefault(given.label, [])
            if given.who and given.who not in people:
                people.append(given.who)
    return count, told


def _sources(loop: Loop, wanted: Collection[str]) -> dict[str, _Source]:
    """Return what these tasks were made of, as far as it is known here."""
    turn_ids = [task_id.removeprefix(TURN) for task_id in wanted if task_id.startswith(TURN)]
    turns = loop.store.turns_by_id(turn_ids)
    found = {
        f"{TURN}{turn_id}": _Source(turn.text, turn=turn, gap_id=gap_id or "")
        for turn_id, (gap_id, turn) in turns.items()
    }
    if len(turn_ids) < len(wanted):
        trained = {trained_id(example): _Source(example.text, label=example.label) for example in taught_examples(loop)}
        found.update((task_id, source) for task_id, source in trained.items() if task_id in wanted)
    return found


def _check(told: Mapping[str, _Told], sources: Mapping[str, _Source], skip_unknown: bool) -> None:
    """Raise if the file has a message that is not known here, or whose text was changed."""
    for task_id, item in told.items():
        if task_id in sources and sources[task_id].text != item.text:
            raise LabelFileError(
                "has another text than the message that it names",
                item.place,
                "change labels only; a spreadsheet may have rewritten the text, so format its column as text",
            )
        # A file without anything that is known is another project's, whatever may be skipped.
        if task_id not in sources and not (skip_unknown and sources):
            raise LabelFileError(
                f"has the task {task_id[:60]!r}, which is not known here",
                item.place,
                "it is another project's, or it was forgotten or corrected since: leave such rows out with"
                " --skip-unknown, or export anew",
            )


@dataclass(frozen=True)
class _Sorted:
    """What a file says: labels to carry out, where people disagree, and trained examples that are labelled wrong."""

    labelled: Sequence[Labelled]
    conflicts: Sequence[str]
    mistaken: Sequence[Mistaken]


def _sorted(loop: Loop, told: Mapping[str, _Told], sources: Mapping[str, _Source]) -> _Sorted:
    """Sort what a file says, and check its labels."""
    labels = _Labels(loop)
    conflicts: list[str] = []
    mistaken: list[Mistaken] = []
    labelled: list[Labelled] = []
    for task_id, source in sources.items():
        item = told[task_id]
        given = labels.of(item)
        if source.label:
            given.pop(source.label, None)  # what the project says itself
        if len(given) > 1:
            conflicts.append(_disagreement(task_id, item.place, given))
            continue
        for label, people in given.items():
            if source.turn is None:
                mistaken.append(Mistaken(item.text, source.label, label, tuple(people)))
            else:
                labelled.append(Labelled(source.turn, source.gap_id, label, tuple(people), item.place))
    agreed, disagreements = _same_words(labelled)
    return _Sorted(agreed, [*conflicts, *disagreements], mistaken)


class _Labels:
    """The labels that a message may be given."""

    def __init__(self, loop: Loop) -> None:
        self._known = {*labels_to_choose(loop), NOTHING}

    def of(self, item: _Told) -> dict[str, list[str]]:
        """Return the labels that were given to a message, checked, with the people who gave them."""
        given: dict[str, list[str]] = {}
        for label, people in item.labels.items():
            given.setdefault(self._checked(label, item.place), []).extend(people)
        return given

    def _checked(self, label: str, place: str) -> str:
        """Return a label as it is written here; raise if it is neither known nor the name of a new question."""
        if label in self._known:
            return label
        prefix, _, name = label.partition("/")
        words = name_of(name.replace("_", " ")) if prefix == LEARNED_INTENT else ""
        new = f"{LEARNED_INTENT}/{words}"
        if words and LEARNED_KEY.fullmatch(new):
            return new
        raise LabelFileError(
            f"has the label {label[:80]!r}, which the bot does not know",
            place,
            f"take one of `python -m learning labels config`, or write {LEARNED_INTENT}/... for a new question",
        )


def _disagreement(task_id: str, place: str, given: Mapping[str, Sequence[str]]) -> str:
    said = ", ".join(f"{label} ({', '.join(people) or 'nobody named'})" for label, people in sorted(given.items()))
    return f"{place}, {task_id}: {said}"


def _same_words(labelled: Sequence[Labelled]) -> tuple[list[Labelled], list[str]]:
    """Return what the bot could learn, and where one wording has several labels: it could not tell those apart."""
    by_words: dict[str, list[Labelled]] = {}
    for item in labelled:
        by_words.setdefault(folded(item.turn.text), []).append(item)
    agreed: list[Labelled] = []
    conflicts: list[str] = []
    for words, items in by_words.items():
        if words and len({item.label for item in items}) > 1:
            said = ", ".join(f"{item.label} ({item.place})" for item in items)
            conflicts.append(f"the same words, {len(items)} messages: {said}")
        else:
            agreed += items
    return agreed, conflicts


def _conflict_error(path: Path, conflicts: Sequence[str]) -> LabelFileError:
    shown = "; ".join(conflicts[:SHOWN_CONFLICTS])
    more = f"; and {len(conflicts) - SHOWN_CONFLICTS} more" if len(conflicts) > SHOWN_CONFLICTS else ""
    return LabelFileError(
        f"has messages that people label differently: {shown}{more}",
        str(path),
        "settle them there, or leave them out with --skip-conflicts",
    )
