"""What continuous integration asks of a change: is the training data sound, and is the model as good as before?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from learning.entry_files import LearnedFile, read_learned
from learning.errors import ReviewError
from learning.evaluate import Comparison
from learning.evaluation import judge_examined, read_files
from learning.exams import Examined
from learning.gate_rules import Rule
from learning.labels import LabelChanges
from learning.model import ANSWERING, LEARNED_INTENT, TEACHING, Example, ProposalKind
from learning.model_card import LabelChange
from learning.ports import NluRunner, ProjectFiles
from learning.publish import proposal_of
from learning.review import LEARNED_KEY, check_sayable
from learning.settings import Settings

SHOWN = 20  # held-out messages, labels and lines of a validation that a report shows


@dataclass(frozen=True)
class Side:
    """One of the two projects that are compared; `learned` is all YAML below its `data/learned/`, by its path there."""

    settings: Settings
    project: ProjectFiles
    nlu: NluRunner
    learned: Mapping[str, str]


@dataclass(frozen=True)
class GateReport:
    """The verdict: `problems` are why the change is not sound; without any, `comparison` decides.

    `retired` counts the held-out messages, by label, that the change takes out of the exam. `rules` are those that the
    comparison went by: no conversations are played, and the regression set is not asked.
    """

    passed: bool
    reason: str
    problems: tuple[str, ...] = ()
    comparison: Comparison | None = None
    labels: tuple[LabelChange, ...] = ()
    changed: tuple[str, ...] = ()
    retired: Mapping[str, int] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()


def run_gate(
    base: Side,
    head: Side,
    validate: Callable[[], Sequence[str]],
    work: Path,
    base_model: Path | None = None,
    allow_retire: bool = False,
    say: Callable[[str], None] = lambda step: None,
) -> GateReport:
    """Check a change, train on both sides of it, and compare on the base's hold-out with the base's limits.

    The exam is the base's: a change cannot make it easier for itself.

    Args:
        base: the project without the change.
        head: the project with it.
        validate: returns what Rasa finds wrong with the changed project.
        work: an empty folder for models.
        base_model: a model of the base, if there is one; otherwise it is trained.
        allow_retire: let the change take held-out messages out of the exam by retiring their labels.
        say: told each step.

    Raises:
        TrainingError: training failed, or a model cannot be loaded.
        ProjectError: there is no hold-out.

    """
    holdout = base.project.holdout()
    changed = tuple(
        sorted(name for name in {*base.learned, *head.learned} if base.learned.get(name) != head.learned.get(name))
    )
    say("validating the training data")
    changes = label_changes(head.learned)
    retired = _retired(holdout, label_changes(base.learned), changes)
    problems = (
        *check_files({name: text for name, text in head.learned.items() if name in changed}),
        *(() if allow_retire else _told_retired(retired)),
        *validate(),
    )
    if problems:
        reason = f"{len(problems)} problems with the training data"
        return GateReport(False, reason, problems, changed=changed, retired=retired)
    if base_model is None:
        base_model = work / "base.tar.gz"
        say("training without the change")
        base.nlu.train(base.settings.path(base.settings.project.data), base_model)
    say("training with the change")
    model = work / "head.tar.gz"
    head.nlu.train(head.settings.path(head.settings.project.data), model)
    exam = read_files(base.project, base.settings.project, changes)
    say(f"comparing on {len(exam.holdout)} held-out messages and {len(exam.texts) - len(exam.holdout)} more")
    # Each side asks its own code: a change may be one of the components.
    (before,), (after,) = base.nlu.examine([base_model], exam.texts), head.nlu.examine([model], exam.texts)
    compared = judge_examined(exam, _untimed(before), _untimed(after), changes, base.settings.gate)
    comparison = compared.comparison
    labels, rules = compared.moved_labels, compared.verdict.rules
    return GateReport(comparison.passed, comparison.reason, (), comparison, labels, changed, retired, rules)


def check_files(learned: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the files of entries, one sentence each."""
    found = []
    for name, text in sorted(learned.items()):
        if proposal_of(name) is None or "/" in name:
            found.append(f"{name}: is not the file of an entry; training data of your own belongs beside the folder")
            continue
        try:
            file = read_learned(text, name)
            if file.kind in TEACHING and not file.examples:
                found.append(f"{name}: has no examples; add one, or remove the file")
            if file.kind is ProposalKind.ANSWER and not (file.answer or "").strip():
                found.append(f"{name}: has no answer yet; write it under `text:`, or remove the file")
            elif file.kind in ANSWERING:
                check_sayable(file.answer or "", name)
            if file.kind is ProposalKind.ANSWER and not LEARNED_KEY.fullmatch(file.label):
                found.append(f"{name}: has the name {file.label!r}; use `{LEARNED_INTENT}/` and letters, digits or _")
            if file.kind is ProposalKind.MERGE and file.target == file.label:
                found.append(f"{name}: merges {file.label} with itself; remove the file")
        except ReviewError as error:
            found.append(str(error))
    return found


def label_changes(learned: Mapping[str, str]) -> LabelChanges:
    """Return what the files of entries make of labels; files that cannot be read are left out."""
    files: list[tuple[int, str, LearnedFile]] = []
    for name, text in learned.items():
        try:
            file = read_learned(text, name)
        except ReviewError:
            continue
        files.append((file.release, name, file))
    return LabelChanges.of(_Named(name, file) for _, name, file in sorted(files, key=lambda item: item[:2]))


@dataclass(frozen=True)
class _Named:
    """A file as `LabelChanges` reads entries."""

    entry_id: str
    file: LearnedFile

    @property
    def kind(self) -> ProposalKind:
        return self.file.kind

    @property
    def label(self) -> str:
        return self.file.label

    @property
    def target(self) -> str | None:
        return self.file.target


def _retired(holdout: Sequence[Example], before: LabelChanges, after: LabelChanges) -> dict[str, int]:
    """Return how many held-out messages have no label any more that had one without the change."""
    gone = Counter(item.label for item in holdout if after.now(item.label) is None is not before.now(item.label))
    return dict(sorted(gone.items()))


def _told_retired(retired: Mapping[str, int]) -> list[str]:
    return [
        f"{label}: is retired, which takes {count} held-out messages out of the exam;"
        " run the gate with --allow-retire if that is meant"
        for label, count in retired.items()
    ]


def _untimed(examined: Examined) -> Examined:
    """Return answers without their times: two processes that ran one after the other cannot be compared by them."""
    return replace(examined, parsed=tuple(replace(one, ms=0.0) for one in examined.parsed))
