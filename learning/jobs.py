"""Work that takes minutes, in the background: asked for by people, queued, done by a worker, told while it goes on.

A hub never trains by itself: it puts a job into the learning database. A worker (`python -m learning schedule`, or
`jobs work`) takes it, says at which step it is and that it lives, and stops when somebody cancels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from learning.loop import Loop
from learning.model import Job, JobKind, JobState
from learning.names import check_name

SCHEDULE = "schedule"  # who asks for what is due
OPEN = (JobState.QUEUED, JobState.RUNNING)
PREPARE, TRAIN, COMPARE, SWAP, ABSORB, MINE = "prepare", "train", "compare", "swap", "absorb", "mine"
WATCH, ALERTS, DIGEST, PRUNE = "watch", "alerts", "digest", "prune"
STEPS: Mapping[JobKind, tuple[str, ...]] = {
    JobKind.MINE: (MINE,),
    JobKind.RETRAIN: (PREPARE, TRAIN, COMPARE, SWAP, ABSORB),
    JobKind.DEPLOY: (SWAP, ABSORB),
    JobKind.MODEL_BACK: (SWAP,),
    JobKind.EVALUATE: (COMPARE,),
    JobKind.WATCH: (WATCH, ALERTS),
    JobKind.DIGEST: (DIGEST,),
    JobKind.PRUNE: (PRUNE,),
}
# From the swap on the new model runs, and stopping would leave it half settled.
TOO_LATE = frozenset({SWAP, ABSORB})
# What may not be at work at the same time: one that trains compares with the model that runs, and an evaluation beside
# a training would measure how slow two cores are then.
MODEL_JOBS = frozenset({JobKind.RETRAIN, JobKind.DEPLOY, JobKind.MODEL_BACK, JobKind.EVALUATE})
MINE_JOBS = frozenset({JobKind.MINE})
LIGHT_JOBS = frozenset({JobKind.WATCH, JobKind.DIGEST, JobKind.PRUNE})  # seconds, so that none waits for a training
# Too often to be told in the audit log when nobody has asked for it.
ROUTINE = frozenset({JobKind.MINE, JobKind.WATCH, JobKind.DIGEST, JobKind.EVALUATE})
SILENT = timedelta(seconds=60)  # after which a worker is taken for dead; it gives a sign of life every five seconds
LOOKED_BACK = 20  # jobs that are looked through for how long a step takes


@dataclass(frozen=True)
class StepView:
    """A step of a job: `seconds` it has taken, and `expected` from the last time, None if it was never done."""

    name: str
    is_over: bool
    is_now: bool
    seconds: float | None
    expected: float | None


@dataclass(frozen=True)
class JobView:
    """How far a job is: `share` of it (0..1), `seconds` since it began, and about how many are `left`, if known."""

    job: Job
    steps: tuple[StepView, ...]
    share: float
    seconds: float
    left: float | None
    is_silent: bool

    @property
    def may_be_cancelled(self) -> bool:
        """Whether it can still be stopped."""
        return self.job.state in OPEN and not self.job.cancelled_by and self.job.step not in TOO_LATE


def ask(loop: Loop, kind: JobKind, who: str, reason: str = "", asked: Mapping[str, Any] | None = None) -> Job:
    """Put a job into the queue.

    Raises:
        StoreError: one of its kind waits or is at work already.

    """
    check_name(who)
    job = Job(0, kind, JobState.QUEUED, who, loop.now(), reason, asked or {})
    return loop.store.add_job(job, audited=who != SCHEDULE)


def cancel(loop: Loop, number: int, who: str, reason: str = "") -> Job:
    """Take a job out of the queue, or have its worker stop within a second or two.

    Raises:
        NotFound: there is no such job.
        StoreError: it has ended, or cannot be stopped any more.

    """
    check_name(who)
    return loop.store.cancel_job(number, who, reason, loop.now(), TOO_LATE)


def worker_is_there(loop: Loop, kinds: Collection[JobKind] = MODEL_JOBS) -> bool:
    """Whether some worker that does these kinds of jobs has given a sign of life."""
    found = loop.store.workers(loop.now() - SILENT)
    return any(frozenset(kinds) <= does for does in found.values())


def view(loop: Loop, job: Job) -> JobView:
    """Return how far a job is, from what its steps took the last time."""
    now, usual = loop.now(), _usual(loop, job)
    taken = dict(job.timings)
    steps = tuple(
        StepView(
            name=name,
            is_over=name in taken,
            is_now=name == job.step and job.state is JobState.RUNNING,
            seconds=taken.get(name, _since(job.step_at, now) if name == job.step else None),
            expected=usual.get(name),
        )
        for name in STEPS[job.kind]
    )
    seconds = ((job.finished or now) - job.started).total_seconds() if job.started else 0.0
    silent = job.state is JobState.RUNNING and (job.heartbeat is None or now - job.heartbeat > SILENT)
    return JobView(job, steps, _share(job, steps), seconds, _left(job, steps), silent)


def _usual(loop: Loop, job: Job) -> dict[str, float]:
    """Return how many seconds each step took when it was last done."""
    found: dict[str, float] = {}
    for former in loop.store.jobs(LOOKED_BACK, job.kind):
        if former.number < job.number:
            for step, seconds in former.timings:
                found.setdefault(step, seconds)
    return found


def _share(job: Job, steps: tuple[StepView, ...]) -> float:
    """Return how much of a job is done; a step nobody has timed yet counts as much as the others together."""
    if job.state is JobState.DONE:
        return 1.0
    known = [one.expected for one in steps if one.expected is not None]
    usual = max(sum(known) / len(known), 1.0) if known else 1.0
    weights = [max(one.expected, 0.1) if one.expected is not None else usual for one in steps]
    done = [_done(one) for one in steps]
    return sum(part * weight for part, weight in zip(done, weights, strict=True)) / sum(weights)


def _done(step: StepView) -> float:
    """Return how much of a step is done; one that takes longer than the last time never claims to be over."""
    if step.is_over:
        return 1.0
    return min((step.seconds or 0.0) / step.expected, 0.95) if step.expected else 0.0


def _left(job: Job, steps: tuple[StepView, ...]) -> float | None:
    if job.state not in OPEN or any(one.expected is None and not one.is_over for one in steps):
        return None
    return sum(max((one.expected or 0.0) - (one.seconds or 0.0), 0.0) for one in steps if not one.is_over)


def _since(at: datetime | None, now: datetime) -> float | None:
    return max((now - at).total_seconds(), 0.0) if at else None
