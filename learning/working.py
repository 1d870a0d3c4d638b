"""Doing jobs: a worker takes them one after the other, tells how far it is, and stops when it is told to."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from learning.errors import EvergreenError, Stopped
from learning.jobs import ROUTINE, SCHEDULE, SILENT, TOO_LATE
from learning.loop import Loop
from learning.model import Job, JobKind, JobState
from learning.stopping import stopped_by

logger = logging.getLogger(__name__)

BEAT = 5.0  # seconds between two signs of life
LOOK = 1.0  # seconds between two looks into the queue
NOTE_AGAIN = (1.0, 2.0, 4.0, 8.0, 15.0, 15.0)  # seconds between attempts to note that a job has ended
LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)
FORGOTTEN = 20 * SILENT  # a worker that has been silent for so long is not listed any more
UNEXPECTED = "failed unexpectedly ({kind}); the worker's log has the details"

Tell = Callable[[str, str], None]  # is told each step: its name, and what is done in words


@dataclass(frozen=True)
class Outcome:
    """How a job ended: well or blocked, a sentence for people, and a report as plain data."""

    state: JobState
    message: str
    report: Mapping[str, Any]


Task = Callable[[Job, Tell], Outcome]


class Worker:
    """Does the jobs of some kinds, one at a time, until `stop` is set."""

    def __init__(
        self,
        loop: Loop,
        tasks: Mapping[JobKind, Task],
        stop: threading.Event,
        name: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._tasks = tasks
        self._stop = stop
        self._name = name or worker_name()
        self._monotonic = monotonic
        self._looked: tuple[datetime, float] | None = None
        self._spares_until = 0.0

    def run(self) -> None:
        """Take what waits, and wait for more; a database that is away for a while is no end."""
        quiet, is_away = 0.0, False
        try:
            while not self._stop.is_set():
                try:
                    if quiet <= 0:
                        self._beat()
                        quiet = BEAT
                    if self.work_once():
                        quiet = 0.0
                        continue
                    is_away = False
                except EvergreenError as error:
                    if not is_away:
                        logger.error("the worker cannot reach its queue: %s", error)
                    is_away = True
                self._stop.wait(LOOK)
                quiet -= LOOK
        finally:
            with suppress(EvergreenError):
                self._loop.store.leave_worker(self._name)

    def work_once(self) -> bool:
        """Do the oldest job that waits; return whether there was one."""
        now = self._loop.now()
        job = self._loop.store.claim_job(tuple(self._tasks), self._name, now, self._dead_before(now))
        if job is None:
            return False
        with suppress(EvergreenError):  # it is told on the job
            do(self._loop, job, self._tasks[job.kind], self._stop.is_set, self._beat)
        return True

    def _dead_before(self, now: datetime) -> datetime:
        """Return the time since when a living worker has given a sign of life.

        After the clock was set forward, or the machine has slept, signs of life look older than they are: nobody is
        taken for dead until each worker has had the time to give a new one.
        """
        at, looked = self._monotonic(), self._looked
        self._looked = (now, at)
        if looked is not None and (now - looked[0]).total_seconds() - (at - looked[1]) > BEAT:
            self._spares_until = at + SILENT.total_seconds()
        return now - SILENT if at >= self._spares_until else LONG_AGO

    def _beat(self) -> None:
        now = self._loop.now()
        self._loop.store.beat_worker(self._name, tuple(self._tasks), now, now - FORGOTTEN)


def do(
    loop: Loop,
    job: Job,
    task: Task,
    stopping: Callable[[], bool] = lambda: False,
    beat: Callable[[], None] = lambda: None,
    say: Tell = lambda step, words: None,
) -> Outcome:
    """Do a job that was claimed, and write down how it ended.

    Args:
        loop: the loop.
        job: the job, which names its worker.
        task: what to do.
        stopping: whether the process is about to end: the job waits for the next worker.
        beat: called with each sign of life.
        say: told each step, too.

    Raises:
        EvergreenError: what went wrong; it stands on the job, too.

    """
    progress = _Progress(loop, job, stopping, say)
    try:
        with progress.alive(beat):
            outcome = task(job, progress.tell)
        progress.end(outcome.state, outcome.message, outcome.report)
    except Stopped:
        progress.stopped()
        raise
    except EvergreenError as error:
        progress.end(JobState.FAILED, str(error))
        raise
    except Exception as error:
        logger.exception("job %d failed", job.number)
        progress.end(JobState.FAILED, UNEXPECTED.format(kind=type(error).__name__))
        raise EvergreenError(UNEXPECTED.format(kind=type(error).__name__), f"job {job.number}", "report it") from error
    except BaseException:  # Ctrl-C, or the process is told to end
        progress.stopped()
        raise
    return outcome


def do_now(loop: Loop, kind: JobKind, who: str, task: Task, say: Tell) -> Outcome:
    """Do a job in this process at once; others see it, and can cancel it, as any other.

    Raises:
        StoreError: one of its kind waits or is at work already.
        EvergreenError: what went wrong.

    """
    now = loop.now()
    job = Job(0, kind, JobState.RUNNING, who, now, started=now, worker=worker_name(), heartbeat=now, attempts=1)
    return do(loop, loop.store.add_job(job, _is_audited(job)), task, say=say)


def worker_name() -> str:
    """Return a name for what this thread does."""
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident() % 10_000}"


class _Progress:
    """What is written down of a job while it is done; one thread works, another one gives signs of life."""

    def __init__(self, loop: Loop, job: Job, stopping: Callable[[], bool], say: Tell) -> None:
        self._loop = loop
        self._job = job
        self._stopping = stopping
        self._say = say
        self._cancelled = threading.Event()

    def tell(self, step: str, words: str) -> None:
        """Note that a step begins, or goes on with other words; raise `Stopped` if it must not."""
        now, job = self._loop.now(), self._job
        if step == job.step:
            after = replace(job, message=words)
        else:
            after = replace(job, step=step, step_at=now, timings=self._timings(), message=words)
        if (self._stopping() and step not in TOO_LATE) or not self._loop.store.save_job_step(after):
            raise Stopped("was stopped", f"job {job.number}", "nothing was changed by it")
        self._job = after
        self._say(step, words)

    def asks_to_stop(self) -> bool:
        """Whether somebody has cancelled it, or the process ends, while that is still possible."""
        return self._job.step not in TOO_LATE and (self._cancelled.is_set() or self._stopping())

    def end(self, state: JobState, message: str, report: Mapping[str, Any] | None = None) -> None:
        """Write down how it ended."""
        now = self._loop.now()
        timings = self._timings() if state in (JobState.DONE, JobState.BLOCKED) else self._job.timings
        ended = replace(self._job, state=state, finished=now, timings=timings, message=message, report=report or {})
        self._note_end(ended, _is_audited(ended))

    def stopped(self) -> None:
        """Write down that it was cancelled; one that nobody has cancelled waits for the next worker."""
        if not self._stopping():
            self.end(JobState.CANCELLED, "stopped before anything was changed")
            return
        waits = replace(self._job, state=JobState.QUEUED, message="its worker was stopped; it begins again", attempts=0)
        self._note_end(replace(waits, step="", step_at=None, timings=()), audited=False)

    def _note_end(self, ended: Job, audited: bool) -> None:
        """Write down how it ended, also if the database is away for a while: without that it would be done again."""
        for wait in (*NOTE_AGAIN, None):
            try:
                self._loop.store.end_job(ended, audited)
                return
            except EvergreenError as error:
                if wait is None or self._stopping():
                    # Its worker looks dead within a minute, and the next one begins it again.
                    logger.error("job %d: that it is %s could not be noted: %s", ended.number, ended.state.value, error)
                    return
                time.sleep(wait)

    @contextmanager
    def alive(self, beat: Callable[[], None]) -> Iterator[None]:
        """Give signs of life within, and hear of a cancellation."""
        over = threading.Event()
        thread = threading.Thread(target=self._beat, args=(over, beat), name=f"job-{self._job.number}", daemon=True)
        thread.start()
        try:
            with stopped_by(self.asks_to_stop):
                yield
        finally:
            over.set()
            thread.join()

    def _beat(self, over: threading.Event, beat: Callable[[], None]) -> None:
        waited = 0.0
        while not over.wait(LOOK):
            waited += LOOK
            try:
                if not self._cancelled.is_set() and self._loop.store.job(self._job.number).cancelled_by:
                    self._cancelled.set()
                if waited >= BEAT:
                    waited = 0.0
                    if not self._loop.store.beat_job(self._job.number, self._job.worker, self._loop.now()):
                        self._cancelled.set()
                    beat()
            except EvergreenError as error:
                logger.warning("job %d: no sign of life could be given: %s", self._job.number, error)

    def _timings(self) -> tuple[tuple[str, float], ...]:
        job = self._job
        if not job.step or job.step_at is None:
            return job.timings
        return (*job.timings, (job.step, round((self._loop.now() - job.step_at).total_seconds(), 1)))


def _is_audited(job: Job) -> bool:
    return not (job.who == SCHEDULE and job.kind in ROUTINE)
