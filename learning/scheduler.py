"""When the loop runs by itself: what is due is put into the queue, once, by the one process that leads."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from learning.cadence import Cadence, PlannedTime, corrected
from learning.errors import EvergreenError
from learning.jobs import SCHEDULE
from learning.leading import Leadership
from learning.loop import Loop
from learning.model import Due, Job, JobKind, JobState, Leader
from learning.overrides import current
from learning.scheduling import planned

logger = logging.getLogger(__name__)

TICK = 5.0  # seconds from one look at what is due to the next, which is a sign of life of the leader, too
SETTINGS = 6  # looks after which the settings are read again: people change cadences while it runs


class Times(Protocol):
    """Remembers when each scheduled job comes next, over restarts; see `adapters.schedule_times`."""

    def planned(self) -> dict[str, PlannedTime]:
        """Return every job that is kept."""
        ...

    def due(self, now: datetime) -> list[tuple[str, datetime, datetime]]:
        """Return what is due: its name, when it was due first, and when it was due last."""
        ...

    def plan(self, name: str, cadence: Cadence, now: datetime, at: datetime | None = None) -> datetime:
        """Keep a job with a cadence from now on; return when it comes next, which is `at` if that is given."""
        ...

    def move_on(self, name: str, now: datetime) -> None:
        """Let a job come at its next time after now."""
        ...

    def drop(self, name: str) -> None:
        """Keep a job no more."""
        ...


class Scheduler:
    """Looks at what is due while its process leads.

    What was missed, because no scheduler ran, the machine slept or the clock was set forward, is put once. Nothing is
    put that waits, is at work, is paused, or was done since it was due. After the clock was set back no job waits
    longer than its cadence says.

    Args:
        loop: the loop.
        times: when each job comes next.
        leadership: whether this process leads.
        environ: the environment, which may set cadences.

    """

    def __init__(
        self, loop: Loop, times: Times, leadership: Leadership, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._loop = loop
        self._times = times
        self._leadership = leadership
        self._environ = environ
        self._plan: Mapping[JobKind, Cadence] = planned(loop.settings.schedule)
        self._looks = 0

    def run(self, stop: threading.Event, tick: float = TICK) -> None:
        """Look at what is due until `stop` is set; a database that is away for a while is no end."""
        is_away = False
        try:
            while not stop.is_set():
                try:
                    self.look()
                    if is_away:
                        logger.info("the schedule goes on")
                    is_away = False
                except EvergreenError as error:
                    if not is_away:
                        logger.error("the schedule waits: %s", error)
                    is_away = True
                stop.wait(tick)
        finally:
            try:
                self._leadership.leave()
            except EvergreenError as error:
                logger.warning("the lead could not be given back, others wait for its end: %s", error)

    def look(self) -> list[tuple[JobKind, Due]]:
        """Put what is due into the queue, if this process leads; return what came of each job.

        Raises:
            StoreError: the learning database is away; what was due stays due.

        """
        lead = self._leadership.step()
        if lead is None:
            self._looks = 0
            return []
        now = self._loop.now()
        if self._looks % SETTINGS == 0:
            self._read_settings()
        self._looks += 1
        done = [
            (kind, came)
            for name, due, missed in self._times.due(now)
            for kind, came in self._put(name, due, missed, lead)
        ]
        self._correct(now)
        return done

    def _put(self, name: str, due: datetime, missed: datetime, lead: Leader) -> list[tuple[JobKind, Due]]:
        """Put one job into the queue, then plan its next time: in this order, so that none is lost in between."""
        kind = next((kind for kind in self._plan if kind.value == name), None)
        if kind is None:  # an earlier version knew it
            self._times.drop(name)
            return []
        now = self._loop.now()
        came = self._loop.store.put_due(Job(0, kind, JobState.QUEUED, SCHEDULE, now), due, missed, lead)
        logger.info("%s was due at %s: it %s", name, due.strftime("%Y-%m-%d %H:%M:%S"), came.value)
        if came is not Due.LOST:
            self._times.move_on(name, now)
        return [(kind, came)]

    def _correct(self, now: datetime) -> None:
        """Plan what is not planned yet or has another cadence now, and what a clock that was set back would hold up."""
        kept, marks = self._times.planned(), self._loop.store.schedule_marks()
        for kind, cadence in self._plan.items():
            name, present = kind.value, kept.get(kind.value)
            if present is None or present.cadence != cadence:
                at = self._times.plan(name, cadence, now)
                logger.info("%s comes %s, next at %s", name, cadence.words, at.strftime("%Y-%m-%d %H:%M:%S"))
                continue
            mark = marks.get(name)
            earlier = corrected(cadence, present.next_at, mark.due if mark else None, now)
            if earlier is not None:
                self._times.plan(name, cadence, now, earlier)
                logger.warning("the clock was set back: %s comes next at %s", name, earlier.isoformat())
        for name in kept.keys() - {kind.value for kind in self._plan}:
            self._times.drop(name)

    def _read_settings(self) -> None:
        """Go by the cadences as they are set now; those that nobody can read leave it as it is."""
        try:
            self._plan = planned(current(self._loop, self._environ).settings.schedule)
        except EvergreenError as error:
            logger.warning("the former schedule holds: %s", error)
