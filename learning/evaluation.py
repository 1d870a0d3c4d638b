"""Measuring models on everything there is: a new one against the one that runs, or the one that runs by itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from learning.branch import for_everybody
from learning.candidates import candidates
from learning.evaluate import Comparison, compare, evaluate
from learning.exams import (
    EvaluationRow,
    Examined,
    LiveStories,
    Marked,
    Parsed,
    RegressionCase,
    Result,
    Suite,
    SuiteResult,
)
from learning.gate_rules import Times, Verdict, judge, percentiles
from learning.jobs import COMPARE
from learning.labels import LabelChanges, renamed
from learning.loop import Loop
from learning.model import FALLBACK_INTENT, LIVE, DeployedModel, Entry, Example, Prediction, ProposalKind
from learning.model_card import LabelChange, ModelCard, compare_on
from learning.paired import Paired, difference_interval
from learning.ports import BotServer, NluRunner, ProjectFiles
from learning.regression import grow, split, trained_texts, valid_cases, without_cases
from learning.regroup import folded
from learning.settings import GateSettings, ProjectPaths

NOT_ANSWERED = (FALLBACK_INTENT, "out_of_scope")  # Rasa's own name for it, and the one that projects usually take
SUITE_WORDS = {
    Suite.HOLDOUT.value: "hold-out",
    Suite.REGRESSION.value: "regression set",
    Suite.OUT_OF_SCOPE.value: "out of scope",
    Suite.ENTITIES.value: "entities",
    Suite.STORIES.value: "stories",
}
Say = Callable[[str, str], None]


def quiet(step: str, words: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Exam:
    """All that a model is asked: `regression` are cases with the label that they have today.

    `notes` say by suite what was left out, or why there is nothing.
    """

    holdout: tuple[Example, ...]
    regression: tuple[tuple[RegressionCase, str], ...]
    out_of_scope: tuple[str, ...]
    entities: tuple[Marked, ...]
    stories: LiveStories
    notes: Mapping[Suite, str]

    @property
    def texts(self) -> list[str]:
        """The messages of all suites, in a fixed order; see `parts`."""
        return [
            *(example.text for example in self.holdout),
            *(case.text for case, _ in self.regression),
            *self.out_of_scope,
            *(marked.text for marked in self.entities),
        ]

    def parts(self, parsed: Sequence[Parsed]) -> tuple[Sequence[Parsed], ...]:
        """Return what belongs to the hold-out, the regression set, the out-of-scope messages and the entities."""
        sizes = len(self.holdout), len(self.regression), len(self.out_of_scope), len(self.entities)
        ends = [sum(sizes[:number]) for number in range(5)]
        return tuple(parsed[start:end] for start, end in pairwise(ends))


@dataclass(frozen=True)
class Compared:
    """Two models on the same exam: `comparison` is that of the hold-out with the verdict of all rules."""

    comparison: Comparison
    verdict: Verdict
    before: Mapping[Suite, SuiteResult]
    after: Mapping[Suite, SuiteResult]
    figures: Mapping[str, Any]

    @property
    def moved_labels(self) -> tuple[LabelChange, ...]:
        """The labels whose held-out messages are understood more or less often than before, the worst first."""
        labels: tuple[LabelChange, ...] = self.figures["labels"]
        return tuple(one for one in labels if one.before != one.after)

    def card(
        self, champion: str, challenger: str, data: str = "", commit: str = "", taught: int = 0, begun: str = ""
    ) -> ModelCard:
        """Return what is kept with the new model.

        Args:
            champion: the name of the model that ran.
            challenger: that of the new one.
            data: the fingerprint of what it was trained on, empty if that is not known.
            commit: the project's commit.
            taught: how many published entries were among it.
            begun: when that was chosen.

        """
        passed, reason = self.comparison.passed, self.comparison.reason
        return ModelCard(
            champion=champion,
            challenger=challenger,
            data=data,
            commit=commit,
            taught=taught,
            begun=begun,
            passed=passed,
            reason=reason,
            rules=self.verdict.rules,
            **self.figures,
        )


@dataclass(frozen=True)
class EvaluationReport:
    """How a model did in every suite, case by case; `row` is what is kept of it."""

    row: EvaluationRow
    suites: Mapping[Suite, SuiteResult]

    @property
    def sentence(self) -> str:
        """The result in one line."""
        return told_row(self.row)

    def plain(self) -> dict[str, Any]:
        """Return the result for a job's report: counts, and no words of customers."""
        return {
            "evaluation": self.row.number,
            "model": self.row.model,
            "suites": [asdict(one) for one in self.row.suites],
        }


def told_row(row: EvaluationRow) -> str:
    """Return an evaluation in one line."""
    parts = []
    for one in row.suites:
        name = SUITE_WORDS.get(one.suite, one.suite)
        share = f"{100 * one.passed / one.total:.1f} % ({one.passed} of {one.total})" if one.total else "not run"
        parts.append(f"{name} {share}")
    return f"{row.model}: {', '.join(parts)}"


def read_exam(loop: Loop, live: Sequence[Entry], models: Collection[str] = ()) -> Exam:
    """Return what models are asked, by the labels of today and without what any of them is trained on.

    Args:
        loop: the loop.
        live: the entries that everybody gets.
        models: the names of those that are asked: what became a case only after one of them was trained on it
            measures nothing.

    Raises:
        ProjectError: there is no hold-out, or a file cannot be read.

    """
    changes = LabelChanges.of(live)
    exam = read_files(loop.project, loop.settings.project, changes)
    valid = valid_cases(loop, live)
    taught = without_cases([entry for entry in live if entry.kind is not ProposalKind.REWORD], valid)
    trained = trained_texts(loop, taught)
    clean, overlapping = split(valid, trained)
    held_out = {folded(example.text) for example in exam.holdout}
    labels = {example.label for example in loop.project.own_examples()} | {entry.label for entry in taught}
    # A message of the hold-out is asked once; what a model was trained on it would win unfairly.
    learned = _learned(loop, clean, models)
    cases = [
        (case, changes.now(case.label) or "")
        for case in clean
        if folded(case.text) not in held_out and case.case_id not in learned
    ]
    asked = tuple((case, label) for case, label in cases if label in labels)
    answered = trained | {folded(text) for entry in live for text in entry.examples}
    outside = tuple(text for text in exam.out_of_scope if folded(text) not in answered)
    notes = {**exam.notes, Suite.REGRESSION: _told_cases(len(asked), len(overlapping))}
    return replace(exam, regression=asked, out_of_scope=outside, notes=notes)


def read_files(project: ProjectFiles, paths: ProjectPaths, changes: LabelChanges) -> Exam:
    """Return what the files of a project ask of models.

    Raises:
        ProjectError: there is no hold-out, or a file cannot be read.

    """
    holdout, outside, marked = project.holdout(), project.out_of_scope(), project.entities()
    stories = project.live_stories()
    left_out = f"{len(stories.left_out)} conversations need data of their own and were left out"
    notes = {
        Suite.REGRESSION: "the regression set is in the learning database, which was not asked",
        Suite.OUT_OF_SCOPE: "" if outside else f"{paths.out_of_scope} holds no messages",
        Suite.ENTITIES: "" if marked else f"{paths.entities} holds no messages",
        Suite.STORIES: left_out if stories.left_out else "",
    }
    if not stories.stories:
        notes[Suite.STORIES] = f"{paths.live_stories} holds no conversations to play"
    return Exam(tuple(renamed(holdout, changes)), (), tuple(outside), tuple(marked), stories, notes)


def results_of(exam: Exam, examined: Examined, changes: LabelChanges) -> dict[Suite, SuiteResult]:
    """Return how a model did in every suite, as the bot answers today: with what became of the labels."""
    held, regression, outside, marked = exam.parts(examined.parsed)
    kinds = {kind for one in exam.entities for _, _, kind in one.spans}
    rows: dict[Suite, list[Result]] = {
        Suite.HOLDOUT: [
            _understood(example.text, example.label, _now(one.label, changes))
            for example, one in zip(exam.holdout, held, strict=True)
        ],
        Suite.REGRESSION: [
            _understood(case.key, label, _now(one.label, changes))
            for (case, label), one in zip(exam.regression, regression, strict=True)
        ],
        Suite.OUT_OF_SCOPE: [
            Result(text, FALLBACK_INTENT, FALLBACK_INTENT, label := _now(one.label, changes), label in NOT_ANSWERED)
            for text, one in zip(exam.out_of_scope, outside, strict=True)
        ],
        Suite.ENTITIES: [_marked(wanted, one, kinds) for wanted, one in zip(exam.entities, marked, strict=True)],
        Suite.STORIES: [
            Result(one.name, "", "as written", one.problem or "as written", not one.problem) for one in examined.played
        ],
    }
    notes = {**exam.notes, **({Suite.STORIES: examined.not_played} if examined.not_played else {})}
    return {suite: SuiteResult(suite, tuple(results), notes.get(suite, "")) for suite, results in rows.items()}


def compare_models(
    loop: Loop, nlu: NluRunner, champion: Path, challenger: Path, live: Sequence[Entry], say: Say = quiet
) -> Compared:
    """Ask two models the same, and let every rule of the gate judge.

    Args:
        loop: the loop.
        nlu: asks models.
        champion: the model that runs.
        challenger: the one that is to replace it.
        live: the entries that everybody gets.
        say: told what is done.

    Raises:
        TrainingError: a model cannot be loaded.
        ProjectError: there is no hold-out, or an exam cannot be read.

    """
    changes = LabelChanges.of(live)
    exam = read_exam(loop, live, (champion.name, challenger.name))
    say(COMPARE, f"comparing with {champion.name} on {_told_size(exam)}")
    old, new = nlu.examine([champion, challenger], exam.texts, exam.stories.stories)
    return judge_examined(exam, old, new, changes, loop.settings.gate)


def judge_examined(exam: Exam, old: Examined, new: Examined, changes: LabelChanges, settings: GateSettings) -> Compared:
    """Return the verdict on what two models answered to the same exam."""
    before, after = results_of(exam, old, changes), results_of(exam, new, changes)
    was, now = (_predictions(exam, one, changes) for one in (old, new))
    overall = compare(evaluate(exam.holdout, was), evaluate(exam.holdout, now), settings.max_accuracy_drop)
    times = Times(tuple(one.ms for one in old.parsed), tuple(one.ms for one in new.parsed))
    verdict = judge(overall, before, after, times, settings)
    figures = compare_on(exam.holdout, was, now)
    total, gained, lost = figures["total"], len(figures["gained"]), len(figures["lost"])
    interval = difference_interval(Paired(total, figures["before"], lost, gained))
    comparison = replace(overall, passed=verdict.passed, reason=verdict.reason)
    return Compared(comparison, verdict, before, after, {**figures, "interval": interval})


def evaluate_model(loop: Loop, nlu: NluRunner, model: Path, say: Say = quiet) -> EvaluationReport:
    """Ask one model everything, and keep nothing.

    Raises:
        TrainingError: the model cannot be loaded.
        ProjectError: there is no hold-out, or an exam cannot be read.

    """
    live = for_everybody(loop.store.entries(*LIVE))
    exam = read_exam(loop, live, (model.name,))
    say(COMPARE, f"asking {model.name} {_told_size(exam)}")
    (examined,) = nlu.examine([model], exam.texts, exam.stories.stories)
    suites = results_of(exam, examined, LabelChanges.of(live))
    counts = tuple(result.count() for result in suites.values())
    p50, p95 = percentiles([one.ms for one in examined.parsed])
    return EvaluationReport(EvaluationRow(0, loop.now(), model.name, counts, p50, p95), suites)


def evaluate_running(loop: Loop, nlu: NluRunner, server: BotServer, say: Say = quiet) -> EvaluationReport:
    """Let the regression set grow, ask the model that runs everything, and keep the counts.

    Raises:
        BotServerError: the server does not answer, so that nobody knows which model runs.
        TrainingError: the model cannot be loaded.
        ProjectError: there is no hold-out, or an exam cannot be read.

    """
    started = loop.now()
    model = server.running_model()
    grow(loop, for_everybody(loop.store.entries(*LIVE)))
    report = evaluate_model(loop, nlu, model, say)
    report = replace(report, row=loop.store.save_evaluation(report.row))
    loop.store.record_run("evaluate", started, loop.now(), "ok", report.plain())
    return report


def _learned(loop: Loop, cases: Sequence[RegressionCase], models: Collection[str]) -> set[str]:
    """Return the ids of cases that came after the training of one of these models, which was trained on their words.

    The set grows while a model is trained, too; so what counts is when that began.
    """
    if not cases or not models:
        return set()
    asked = [(one.taught, str(one.card.get("begun", "")), one.at) for one in _deployed(loop, models)]
    asked += [(one.taught, one.begun, one.trained_at) for one in candidates(loop) if one.name in models]
    said = {entry.entry_id: {folded(text) for text in entry.examples} for entry in loop.store.entries()}
    found: set[str] = set()
    for ids, begun, ended in asked:
        texts = {text for one in ids for text in said.get(one, ())}
        since = datetime.fromisoformat(begun) if begun else ended
        found |= {case.case_id for case in cases if case.added_at > since and folded(case.text) in texts}
    return found


def _deployed(loop: Loop, models: Collection[str]) -> list[DeployedModel]:
    return [one for one in loop.store.deployed_models() if one.name in models]


def _predictions(exam: Exam, examined: Examined, changes: LabelChanges) -> list[Prediction]:
    held = exam.parts(examined.parsed)[0]
    pairs = zip(exam.holdout, held, strict=True)
    return [Prediction(example.text, _now(one.label, changes), one.confidence) for example, one in pairs]


def _now(label: str, changes: LabelChanges) -> str:
    return changes.now(label) or FALLBACK_INTENT


def _understood(key: str, label: str, got: str) -> Result:
    return Result(key, label, label, got, got == label)


def _marked(wanted: Marked, got: Parsed, kinds: Collection[str]) -> Result:
    """Return whether exactly the marked entities were found; kinds that are marked nowhere do not count."""
    found = frozenset(span for span in got.spans if span[2] in kinds)
    return Result(wanted.text, "", _told_spans(wanted, wanted.spans), _told_spans(wanted, found), found == wanted.spans)


def _told_spans(marked: Marked, spans: Collection[tuple[int, int, str]]) -> str:
    return ", ".join(f"{kind}: {marked.text[start:end]}" for start, end, kind in sorted(spans)) or "none"


def _told_cases(asked: int, overlapping: int) -> str:
    note = "" if asked else "nobody has confirmed messages yet"
    if overlapping:
        stands = f"{overlapping} confirmed messages stand in the training data and measure nothing"
        note = f"{note}; {stands}" if note else stands
    return note


def _told_size(exam: Exam) -> str:
    size = f"{len(exam.holdout)} held-out messages"
    others = len(exam.texts) - len(exam.holdout)
    stories = len(exam.stories.stories)
    return f"{size}{f', {others} more' if others else ''}{f', {stories} conversations' if stories else ''}"
