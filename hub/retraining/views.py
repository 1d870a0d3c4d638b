"""What the pages about trainings and models show, read from the loop as frozen records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from learning.branch import for_everybody
from learning.cadence import Cadence
from learning.exams import CASE, EvaluationRow, SuiteCount
from learning.gate_rules import Rule, State
from learning.jobs import OPEN, JobView, view, worker_is_there
from learning.loop import Loop
from learning.model import DeployedModel, Job, JobKind, JobState, ProposalState
from learning.model_card import ModelCard, from_plain
from learning.running_model import held_back

JOBS_SHOWN = 20
EVALUATIONS_SHOWN = 14  # two weeks of daily ones
LOOKED_BACK = 50  # jobs among which the newest comparison is looked for
TRAININGS = (JobKind.RETRAIN, JobKind.DEPLOY, JobKind.MODEL_BACK)


@dataclass(frozen=True)
class Candidate:
    """A model that did not go live, and whether it still can: its file is there, and the same model runs.

    `held` says why it does not go live by itself although it passed: one of the same data went back.
    """

    job: Job
    card: ModelCard
    has_file: bool
    is_late: bool
    held: str = ""

    @property
    def is_against_gate(self) -> bool:
        """Whether only an admin may let it go live, with a reason."""
        return bool(self.held) or not self.card.passed

    @property
    def may_go_live(self) -> bool:
        """Whether somebody may let it go live."""
        return self.has_file and not self.is_late


@dataclass(frozen=True)
class Comparison:
    """What a training came to; `candidate` is None where the model went live.

    `cases` are the words of the confirmed messages that its rules tell of, by what stands for them there.
    """

    job: Job
    card: ModelCard
    candidate: Candidate | None
    absorbed: int = 0
    kept: int = 0
    cases: Mapping[str, str] = field(default_factory=dict)

    def said(self, key: str) -> str | None:
        """Return the words of a case, None where they were forgotten since."""
        return self.cases.get(key) if key.startswith(CASE) else key


@dataclass(frozen=True)
class ModelRow:
    """A model that went live, with what is known of it."""

    model: DeployedModel
    card: ModelCard | None
    runs: bool
    has_file: bool


@dataclass(frozen=True)
class Retraining:
    """Everything of the page: what is at work, what runs, what was compared last, and what there was before."""

    open: tuple[JobView, ...]
    is_busy: bool
    has_worker: bool
    running: str
    running_row: ModelRow | None
    waiting_entries: int
    newest: Comparison | None
    jobs: tuple[Job, ...]
    models: tuple[ModelRow, ...]
    often: str
    evaluations: tuple[EvaluationRow, ...] = ()


def read_retraining(loop: Loop) -> Retraining:
    """Return what the page about retraining shows."""
    jobs = loop.store.jobs(LOOKED_BACK)
    trainings = loop.store.jobs(LOOKED_BACK, *TRAININGS)
    compared = (read_comparison(loop, job) for job in trainings if job.kind is JobKind.RETRAIN)
    models = _models(loop)
    live = for_everybody(loop.store.entries(ProposalState.PUBLISHED))
    return Retraining(
        open=tuple(view(loop, job) for job in reversed(jobs) if job.state in OPEN),
        is_busy=any(job.kind is JobKind.RETRAIN and job.state in OPEN for job in trainings),
        has_worker=worker_is_there(loop),
        running=loop.store.running_model(),
        running_row=next((row for row in models if row.runs), None),
        waiting_entries=len(live),
        newest=next((one for one in compared if one is not None), None),
        jobs=tuple(job for job in trainings if job.state not in OPEN)[:JOBS_SHOWN],
        models=models,
        often=Cadence(cron=loop.settings.schedule.retrain_cron).words,
        evaluations=tuple(loop.store.evaluations(EVALUATIONS_SHOWN)),
    )


def read_comparison(loop: Loop, job: Job) -> Comparison | None:
    """Return what a training came to, None if it compared nothing."""
    card = from_plain(job.report.get("card", {}))
    if card is None:
        return None
    absorbed, kept = len(job.report.get("absorbed", ())), len(job.report.get("kept", ()))
    keys = {one.key for rule in card.rules for one in rule.examples if one.key.startswith(CASE)}
    cases = {case.key: case.text for case in loop.store.regression_cases() if case.key in keys} if keys else {}
    return Comparison(job, card, _candidate(loop, job, card), absorbed, kept, cases)


def _candidate(loop: Loop, job: Job, card: ModelCard) -> Candidate | None:
    """Return the model of a training that did not go live, also not later by hand."""
    place = str(job.report.get("candidate", ""))
    if not place or any(model.name == card.challenger for model in loop.store.deployed_models()):
        return None
    running = loop.store.running_model()
    held = held_back(loop, card.data) if card.passed else ""
    return Candidate(job, card, loop.settings.path(place).is_file(), running != card.champion, held)


def _models(loop: Loop) -> tuple[ModelRow, ...]:
    folder, running = loop.settings.path(loop.settings.project.models), loop.store.running_model()
    return tuple(
        ModelRow(model, from_plain(model.card), model.name == running, (folder / model.name).is_file())
        for model in loop.store.deployed_models()
    )


def rule_state(rule: Rule) -> str:
    """Return the word by which a style sheet marks how a rule came out."""
    return {State.PASSED: "done", State.BLOCKED: "critical"}.get(rule.state, "low")


def compared_with(row: EvaluationRow, rows: Sequence[EvaluationRow], suite: str) -> SuiteCount | None:
    """Return the result of the evaluation before a row's in a suite, None where that was on other cases."""
    older = [one for one in rows if one.number < row.number]
    now, before = row.suite(suite), older[0].suite(suite) if older else None
    return before if now and before and now.exam == before.exam else None


def job_state(job: Job) -> str:
    """Return the word by which a style sheet marks a job's state."""
    if job.state is JobState.DONE:
        return "done"
    return "critical" if job.state in (JobState.FAILED, JobState.BLOCKED) else "low"
