"""The rules that look at the loop itself: whether it still runs, and what waits too long. They need no statistics."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from learning.alert_records import AlertKind, Check, Level, Severity
from learning.jobs import OPEN, SILENT, worker_is_there
from learning.loop import Loop
from learning.model import Job, JobKind, JobState, Priority
from learning.scheduling import QUIET

DAYS_OF_MONTH = 30.44
LOOKED_BACK = 40  # jobs of a kind among which those that failed in a row are counted
JOB_WORDS = {
    JobKind.MINE: "mining",
    JobKind.RETRAIN: "retraining",
    JobKind.DEPLOY: "bringing a model live",
    JobKind.MODEL_BACK: "going back to a former model",
    JobKind.EVALUATE: "evaluation",
    JobKind.WATCH: "looking for what is wrong",
    JobKind.DIGEST: "the digest",
    JobKind.PRUNE: "clearing up",
}
LEADER = "leader"


def model_age(loop: Loop) -> Check:
    """Look for a running model that is too old: people's words change, and what was approved since is not in it."""
    kind, months = AlertKind.MODEL_AGE, loop.settings.alerts.model_months
    running = loop.store.running_model()
    model = next((one for one in loop.store.deployed_models() if one.name == running), None)
    if model is None:
        return Check(kind, Level.UNKNOWN)
    age = loop.now() - model.at
    is_old = age >= timedelta(days=months * DAYS_OF_MONTH)
    return Check(
        kind,
        Level.RAISED if is_old else Level.CALM,
        title="The model is old",
        what=f"{model.name} has run for {age.days / DAYS_OF_MONTH:.0f} months, since {model.at:%Y-%m-%d}.",
        next_step="Retrain; if the schedule does so and the gate blocks it, read there why.",
        link="/retraining",
        since=model.at + timedelta(days=months * DAYS_OF_MONTH),
    )


def mining(loop: Loop) -> Check:
    """Look for conversations that nobody reads: what fails now is noticed by nobody."""
    kind, hours = AlertKind.MINING, loop.settings.alerts.mine_hours
    last = loop.store.last_run("mine")
    if last is None:
        return Check(kind, Level.UNKNOWN)
    silent = loop.now() - last["finished"]
    return Check(
        kind,
        Level.RAISED if silent >= timedelta(hours=hours) else Level.CALM,
        severity=Severity.CRITICAL,
        title="Conversations are not mined any more",
        what=f"Mining ended last at {_when(last['finished'])}, {silent.total_seconds() / 3600:.0f} hours ago.",
        next_step="Run `python -m learning mine` and read what it says; look whether the scheduler runs.",
        link="/status",
        since=last["finished"] + timedelta(hours=hours),
    )


def failing_jobs(loop: Loop) -> Iterator[Check]:
    """Yield for each kind of job whether the last ones have failed in a row."""
    least = loop.settings.alerts.failed_jobs
    for kind in JobKind:
        failed = _failed_in_a_row(loop.store.jobs(LOOKED_BACK, kind))
        if not failed:
            continue
        words, first = JOB_WORDS.get(kind, kind.value), failed[-1]
        yield Check(
            AlertKind.JOBS,
            Level.RAISED if len(failed) >= least else Level.HELD,
            kind.value,
            title=f"A job fails again and again: {words}",
            what=f"The last {len(failed)} jobs of this kind failed; the newest is number {failed[0].number}.",
            next_step="Read why with `python -m learning jobs list`, mend that, and start it again.",
            link="/retraining",
            since=first.finished or first.at,
        )


def waiting_jobs(loop: Loop) -> Iterator[Check]:
    """Yield what nobody does: a job that waits too long or whose worker is silent, and a schedule without a leader."""
    now, hours = loop.now(), loop.settings.alerts.waiting_hours
    for job in loop.store.jobs(LOOKED_BACK):
        since = _stuck_since(loop, job)
        if since is None or now - since < timedelta(hours=hours):
            continue
        words = JOB_WORDS.get(job.kind, job.kind.value)
        yield Check(
            AlertKind.WAITING,
            Level.RAISED,
            job.kind.value,
            title=f"Nobody does a job: {words}",
            what=f"Job {job.number} has waited for a worker since {_when(since)}.",
            next_step="Start a worker: `python -m learning schedule`, or `python -m learning jobs work`.",
            link="/retraining",
            since=since,
        )
    leader = loop.store.leader()
    if leader is not None and abs(now - leader.at) > QUIET:
        yield Check(
            AlertKind.WAITING,
            Level.RAISED,
            LEADER,
            title="Nothing runs by itself any more",
            what=f"The last sign of life of a scheduler was at {_when(leader.at)}.",
            next_step="Start `python -m learning schedule`; where it should run, read its log.",
            link="/status",
            since=leader.at,
        )


def audit(loop: Loop) -> Check:
    """Walk along the audit log: a row that was altered or removed cannot be explained by anything harmless."""
    problems = loop.store.verify_audit()
    shown = "; ".join(problems[:3])
    return Check(
        AlertKind.AUDIT,
        Level.RAISED if problems else Level.CALM,
        severity=Severity.CRITICAL,
        title="The audit log is not whole",
        what=f"Checking its chain found: {shown}." if problems else "",
        next_step="Run `python -m learning audit verify`; compare with an export; find out who wrote.",
        link="/audit",
    )


def critical_gaps(loop: Loop) -> Iterator[Check]:
    """Yield every critical gap that nobody has handled since it was asked last.

    Its name, which is made of customers' words, is looked up when people are told.
    """
    for gap in loop.store.gaps().values():
        if gap.priority is Priority.CRITICAL and (gap.handled_at is None or gap.is_reopened):
            yield Check(
                AlertKind.GAP,
                Level.RAISED,
                gap.gap_id,
                title="Many people need what the assistant cannot do",
                what=f"{gap.week} people in the last week, {gap.people} in all, had a need that has no answer.",
                next_step="Decide about its proposal in the inbox.",
                link=f"/gaps/{gap.gap_id}",
                since=gap.reopened_at if gap.is_reopened else gap.first_seen,
            )


def _failed_in_a_row(jobs: list[Job]) -> list[Job]:
    """Return the newest jobs that have failed, up to one that has not; the newest first."""
    failed: list[Job] = []
    for job in jobs:
        if job.state is JobState.FAILED:
            failed.append(job)
        elif job.state not in OPEN and job.state is not JobState.CANCELLED:
            break
    return failed


def _stuck_since(loop: Loop, job: Job) -> datetime | None:
    """Return since when nobody has been at an open job, None while somebody is, or will come to it."""
    if job.state is JobState.QUEUED:
        return None if worker_is_there(loop, (job.kind,)) else job.at
    if job.state is JobState.RUNNING:
        last = job.heartbeat or job.started or job.at
        return last + SILENT
    return None


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
