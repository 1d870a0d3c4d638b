"""What workers do, by the kind of the job: each task is a part of the loop, with the objects that it needs."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from learning import pipeline
from learning.alerts import check_alerts, tell_alerts
from learning.alone import RETRAINING, alone
from learning.autonomy import CONSERVATIVE, AutonomyReport, decide_alone
from learning.bootstrap import App
from learning.candidates import check_intact
from learning.deployment import deploy_candidate
from learning.digest_sending import send_digest
from learning.errors import EvergreenError, ReviewError
from learning.evaluation import evaluate_running
from learning.jobs import ALERTS, COMPARE, DIGEST, LIGHT_JOBS, MINE, MINE_JOBS, MODEL_JOBS, PRUNE, SWAP, WATCH
from learning.loop import Loop
from learning.model import Job, JobKind, JobState, MiningReport
from learning.model_card import from_plain, to_plain
from learning.overrides import current
from learning.pruning import prune as prune_tables
from learning.pull_requests import try_sync
from learning.retrain import RetrainReport
from learning.retrain import retrain as run_retrain
from learning.running_model import held_back, prune_models, reconcile, roll_back_model
from learning.topics import Topics
from learning.watching import watch_model
from learning.working import Outcome, Task, Tell, Worker, worker_name

logger = logging.getLogger(__name__)

# What one thread of a worker does: none of them waits for another, and a digest never for a training.
THREADS = {"mine": MINE_JOBS, "model": MODEL_JOBS, "light": LIGHT_JOBS}
ENDS = 45.0  # seconds that a worker may take to end: a swap that has begun is finished


@contextmanager
def workers(app: App, tell: Callable[[object], None] = lambda report: None) -> Iterator[None]:
    """Do jobs in threads of this process within: one mines, one trains, and one does what takes seconds."""
    stop = threading.Event()
    tasks = tasks_of(app, tell)
    threads = []
    for name, kinds in THREADS.items():
        mine = {kind: task for kind, task in tasks.items() if kind in kinds}
        worker = Worker(app.loop, mine, stop, f"{worker_name()}:{name}")
        threads.append(threading.Thread(target=worker.run, name=f"worker-{name}", daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        ends = time.monotonic() + ENDS
        for thread in threads:
            thread.join(max(0.0, ends - time.monotonic()))


def tasks_of(app: App, tell: Callable[[object], None] = lambda report: None) -> Mapping[JobKind, Task]:
    """Return what is done for each kind of job; `tell` is given what a mining or a retraining reports, or a sentence.

    Each job goes by the settings of its time: people change them in the hub while a worker runs on.
    """

    def mine(job: Job, say: Tell) -> Outcome:
        report, autonomy = mine_all(app, say)
        tell((report, autonomy))
        said = f"{report.events} new events, {report.new_proposals} new proposals, {len(autonomy.releases)} live alone"
        plain = {"events": report.events, "gaps": report.new_gaps, "proposals": report.new_proposals}
        return Outcome(JobState.DONE, said, plain)

    def retrain(job: Job, say: Tell) -> Outcome:
        loop = current(app.loop, os.environ)
        with alone(loop, RETRAINING):
            report = run_retrain(loop, app.nlu, app.server, say, deploy=bool(job.asked.get("deploy", True)))
        tell(report)
        return retrained(app, report)

    def deploy(job: Job, say: Tell) -> Outcome:
        trained = app.loop.store.job(int(job.asked["job"]))
        card = from_plain(trained.report.get("card", {}))
        if card is None or not trained.report.get("candidate"):
            raise ReviewError("left no model to deploy", f"job {trained.number}", "train again")
        candidate = app.settings.path(trained.report["candidate"])
        why = job.reason or "deployed by hand"
        taught = trained.report.get("taught", ())
        with alone(app.loop, RETRAINING):
            loop = current(app.loop, os.environ)
            against = held_back(loop, card.data) if card.passed else card.reason
            if against and not job.reason:
                raise ReviewError(f"did not pass the gate: {against}", f"job {trained.number}", "give a reason")
            check_intact(loop, candidate)
            said = f"against the gate ({against}): {why}" if against else why
            model = deploy_candidate(loop, app.nlu, app.server, candidate, card, taught, job.who, said, say)
        return Outcome(JobState.DONE, f"{model.name} runs", {"model": model.name})

    def model_back(job: Job, say: Tell) -> Outcome:
        say(SWAP, "loading the former model")
        with alone(app.loop, RETRAINING):
            done = roll_back_model(app.loop, app.server, job.asked.get("model"), job.who, job.reason)
        said = f"{done.model} runs; {len(done.back)} entries are back in the overlay"
        return Outcome(JobState.DONE, said, {"model": done.model})

    def ended(said: str, plain: Mapping[str, Any]) -> Outcome:
        tell(said)
        return Outcome(JobState.DONE, said, plain)

    def evaluate(job: Job, say: Tell) -> Outcome:
        say(COMPARE, "evaluating the running model")
        report = evaluate_running(current(app.loop, os.environ), app.nlu, app.server, say)
        return ended(report.sentence, report.plain())

    def watch(job: Job, say: Tell) -> Outcome:
        loop = current(app.loop, os.environ)
        say(WATCH, "looking whether the model does harm")
        watched = watch_model(loop, app.server)
        say(ALERTS, "looking for what needs somebody")
        alerts = check_alerts(loop)
        told = tell_alerts(loop, app.notifier)
        said = "; ".join(part for part in (watched.said, f"{len(alerts)} open alerts", told.message) if part)
        return Outcome(JobState.DONE, said, {"model": watched.plain(), "alerts": len(alerts)})

    def digest(job: Job, say: Tell) -> Outcome:
        say(DIGEST, "writing the digest")
        sent = send_digest(current(app.loop, os.environ), app.notifier)
        return ended(sent.message, {"sent": sent.sent})

    def prune(job: Job, say: Tell) -> Outcome:
        loop = current(app.loop, os.environ)
        say(PRUNE, "deleting what nobody needs any more")
        models, pruned = _prune_models(loop, app), prune_tables(loop)
        return ended(
            f"deleted {len(models)} models and trainings, {pruned.words}", {"models": models, **pruned.plain()}
        )

    return {
        JobKind.MINE: mine,
        JobKind.RETRAIN: retrain,
        JobKind.DEPLOY: deploy,
        JobKind.MODEL_BACK: model_back,
        JobKind.EVALUATE: evaluate,
        JobKind.WATCH: watch,
        JobKind.DIGEST: digest,
        JobKind.PRUNE: prune,
    }


def mine_all(app: App, say: Tell) -> tuple[MiningReport, AutonomyReport]:
    """Mine, and do all that follows from it without a person."""
    say(MINE, "reading conversations")
    loop = current(app.loop, os.environ)
    reconcile(loop, app.server)
    report = pipeline.mine(loop, lambda batch: say(MINE, f"read up to event {batch.last_id}"))
    pipeline.publish_waiting(loop)
    autonomy = publish_alone(app, loop)
    try_sync(loop)
    try:
        watch_model(loop, app.server)
    except EvergreenError as error:  # what was mined stands, and it is looked at again in minutes
        logger.warning("the running model could not be watched: %s", error)
    return report, autonomy


def publish_alone(app: App, loop: Loop) -> AutonomyReport:
    """Publish what may go live without a person, and write it to the branch with whatever waits for that."""
    done = decide_alone(loop, _topics(app, loop))
    pipeline.try_branch(loop)
    return done


def _topics(app: App, loop: Loop) -> Topics | None:
    """Return the topics that need a person, by the settings of the loop."""
    settings = loop.settings.autonomy
    if settings == app.settings.autonomy:
        return app.topics  # learning to tell them takes seconds
    return Topics(settings, loop.encoder) if settings.level != CONSERVATIVE else None


def retrained(app: App, report: RetrainReport) -> Outcome:
    """Return how a retraining ended, with what people need to decide about its model."""
    candidate = str(_below(app.settings.root, report.candidate)) if report.candidate else ""
    plain = {
        "card": to_plain(report.card) if report.card else {},
        "model": report.model.name if report.model else "",
        "candidate": candidate,
        "taught": report.taught,
        "absorbed": [entry.entry_id for entry in report.absorbed],
        "kept": [entry.entry_id for entry in report.kept],
    }
    state = JobState.DONE if report.comparison.passed else JobState.BLOCKED
    return Outcome(state, report.comparison.reason, plain)


def _prune_models(loop: Loop, app: App) -> tuple[str, ...]:
    """Delete the files of old models; while models are trained or changed that waits for the next time."""
    try:
        with alone(loop, RETRAINING):
            reconcile(loop, app.server, is_alone=True)  # what somebody has started by hand must not be deleted
            return prune_models(loop)
    except ReviewError as error:
        logger.info("old models are deleted later: %s", error)
        return ()


def _below(root: Path, path: Path) -> Path:
    return path.resolve().relative_to(root.resolve())
