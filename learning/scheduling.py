"""The schedule as people see it: what runs by itself and when, what came of it, and what is paused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from learning.cadence import Cadence, at_times, every
from learning.errors import NotFound
from learning.jobs import OPEN, ask
from learning.loop import Loop
from learning.model import Job, JobKind, JobState, ScheduleMark
from learning.names import check_name
from learning.settings import ScheduleSettings

QUIET = timedelta(minutes=2)  # after which a leader that gives no sign of life is not shown as one
LOOKED_BACK = 3  # jobs of a kind among which the newest is that has ended: one waits or is at work, at most


@dataclass(frozen=True)
class ScheduledJob:
    """A job that runs by itself.

    `cadence` is in words. `last_at` is when it began last, by itself or because somebody asked, and `last_outcome` how
    it ended; `next_at` is None while it is paused, or before the first scheduler has run. `is_open`: it waits in the
    queue or is at work.
    """

    name: str
    kind: JobKind
    cadence: str
    last_at: datetime | None
    last_outcome: JobState | None
    last_message: str
    next_at: datetime | None
    is_open: bool
    paused_at: datetime | None = None
    paused_by: str = ""
    paused_why: str = ""

    @property
    def is_paused(self) -> bool:
        """Whether somebody has paused it."""
        return self.paused_at is not None


@dataclass(frozen=True)
class Schedule:
    """All that runs by itself; `leader` is the process that puts it into the queue, "" where none ever did.

    `is_led` says that it has given a sign of life within two minutes, and `since` when it began to lead.
    """

    jobs: tuple[ScheduledJob, ...]
    leader: str
    since: datetime | None
    is_led: bool


def planned(settings: ScheduleSettings) -> Mapping[JobKind, Cadence]:
    """Return what runs by itself, and how often.

    Raises:
        SettingsError: a cadence is none.

    """
    where = "learning.yml: schedule: "
    return {
        JobKind.MINE: every(settings.mine_minutes, where + "mine_minutes"),
        JobKind.WATCH: every(settings.watch_minutes, where + "watch_minutes"),
        JobKind.EVALUATE: at_times(settings.evaluate_cron, where + "evaluate_cron"),
        JobKind.RETRAIN: at_times(settings.retrain_cron, where + "retrain_cron"),
        JobKind.DIGEST: at_times(settings.digest_cron, where + "digest_cron"),
        JobKind.PRUNE: at_times(settings.prune_cron, where + "prune_cron"),
    }


def read_schedule(loop: Loop) -> Schedule:
    """Return the schedule as it stands."""
    marks, times, leader = loop.store.schedule_marks(), loop.store.schedule_times(), loop.store.leader()
    jobs = tuple(
        _read(loop, kind, cadence, marks.get(kind.value, ScheduleMark()), times.get(kind.value))
        for kind, cadence in planned(loop.settings.schedule).items()
    )
    if leader is None:
        return Schedule(jobs, "", None, is_led=False)
    return Schedule(jobs, leader.holder, leader.since, is_led=abs(loop.now() - leader.at) <= QUIET)


def kind_named(name: str) -> JobKind:
    """Return the scheduled job of a name.

    Raises:
        NotFound: none has that name.

    """
    known = {kind.value: kind for kind in planned(ScheduleSettings())}
    if name not in known:
        raise NotFound("is not scheduled", f"job {name}", f"use one of {', '.join(known)}")
    return known[name]


def kinds_named(name: str) -> tuple[JobKind, ...]:
    """Return the scheduled job of a name, or `all` of them.

    Raises:
        NotFound: none has that name.

    """
    return tuple(planned(ScheduleSettings())) if name == "all" else (kind_named(name),)


def pause(loop: Loop, kind: JobKind, who: str, reason: str = "") -> ScheduleMark:
    """Let a job not run by itself until somebody resumes it; people can still ask for it.

    What waits or is at work goes on. A second pause changes nothing: the first one's name and reason stay.

    Raises:
        ReviewError: the name of `who` cannot be a name.

    """
    check_name(who)
    return loop.store.pause_schedule(kind.value, who, reason, loop.now())


def resume(loop: Loop, kind: JobKind, who: str, reason: str = "") -> bool:
    """Let a job run by itself again, from its next time on: what it has missed is not made up for.

    Returns:
        Whether it was paused.

    Raises:
        ReviewError: the name of `who` cannot be a name.

    """
    check_name(who)
    return loop.store.resume_schedule(kind.value, who, reason, loop.now())


def run_now(loop: Loop, kind: JobKind, who: str, reason: str = "") -> Job:
    """Put a scheduled job into the queue at once, also while it is paused; its next time stays as it is.

    Raises:
        StoreError: it waits or is at work already.

    """
    return ask(loop, kind, who, reason)


def _read(loop: Loop, kind: JobKind, cadence: Cadence, mark: ScheduleMark, next_at: datetime | None) -> ScheduledJob:
    jobs = loop.store.jobs(LOOKED_BACK, kind)
    last = next((job for job in jobs if job.state not in OPEN), None)
    return ScheduledJob(
        name=kind.value,
        kind=kind,
        cadence=cadence.words,
        last_at=(last.started or last.at) if last else None,
        last_outcome=last.state if last else None,
        last_message=last.message if last else "",
        next_at=None if mark.paused_at else next_at,
        is_open=any(job.state in OPEN for job in jobs),
        paused_at=mark.paused_at,
        paused_by=mark.paused_by,
        paused_why=mark.paused_why,
    )
