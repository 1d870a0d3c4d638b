"""What the pages about trainings and models show, read from the loop as frozen records."""

from __future__ import annotations

from dataclasses import dataclass

from learning.branch import for_everybody
from learning.jobs import OPEN, JobView, view, worker_is_there
from learning.loop import Loop
from learning.model import DeployedModel, Job, JobKind, JobState, ProposalState
from learning.model_card import ModelCard, from_plain

JOBS_SHOWN = 20
LOOKED_BACK = 50  # jobs among which the newest comparison is looked for
TRAININGS = (JobKind.RETRAIN, JobKind.DEPLOY, JobKind.MODEL_BACK)


@dataclass(frozen=True)
class Candidate:
    """A model that did not go live, and whether it still can: its file is there, and the same model runs."""

    job: Job
    card: ModelCard
    has_file: bool
    is_late: bool

    @property
    def may_go_live(self) -> bool:
        """Whether somebody may let it go live."""
        return self.has_file and not self.is_late


@dataclass(frozen=True)
class Comparison:
    """What a training came to; `candidate` is None where the model went live."""

    job: Job
    card: ModelCard
    candidate: Candidate | None
    absorbed: int = 0
    kept: int = 0


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
    cron: str


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
        cron=loop.settings.schedule.retrain_cron,
    )


def read_comparison(loop: Loop, job: Job) -> Comparison | None:
    """Return what a training came to, None if it compared nothing."""
    card = from_plain(job.report.get("card", {}))
    if card is None:
        return None
    absorbed, kept = len(job.report.get("absorbed", ())), len(job.report.get("kept", ()))
    return Comparison(job, card, _candidate(loop, job, card), absorbed, kept)


def _candidate(loop: Loop, job: Job, card: ModelCard) -> Candidate | None:
    """Return the model of a training that did not go live, also not later by hand."""
    place = str(job.report.get("candidate", ""))
    if not place or any(model.name == card.challenger for model in loop.store.deployed_models()):
        return None
    running = loop.store.running_model()
    return Candidate(job, card, loop.settings.path(place).is_file(), running != card.champion)


def _models(loop: Loop) -> tuple[ModelRow, ...]:
    folder, running = loop.settings.path(loop.settings.project.models), loop.store.running_model()
    return tuple(
        ModelRow(model, from_plain(model.card), model.name == running, (folder / model.name).is_file())
        for model in loop.store.deployed_models()
    )


def job_state(job: Job) -> str:
    """Return the word by which a style sheet marks a job's state."""
    if job.state is JobState.DONE:
        return "done"
    return "critical" if job.state in (JobState.FAILED, JobState.BLOCKED) else "low"
