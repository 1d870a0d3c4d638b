"""One scheduler process leads; the others stand by, and one of them takes over when the leader falls silent."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from learning.model import Leader
from learning.ports import ScheduleStore

logger = logging.getLogger(__name__)

LEASE = 30.0  # seconds of silence after which a leader is taken for dead: it gives a sign of life every five
STANDS = 15.0  # seconds in which a clock that goes shows another time


def leader_name() -> str:
    """Return a name for this process that no other one has, not even the one with its number after a restart."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"


class Leadership:
    """What one process knows of the lead.

    Silence is measured by this process's own monotonic clock, as the time in which the leader's count of beats did
    not change: neither a clock that is set nor two machines whose clocks differ make a leader look dead. A process
    that was held up (suspended, starved) finds that another one leads, and nothing that it does as the former leader
    counts: see `put_due`.

    Args:
        store: where the lead is kept.
        name: of this process.
        now: the time of day.
        monotonic: seconds that only ever grow.
        lease: seconds of silence after which another process leads.

    """

    def __init__(
        self,
        store: ScheduleStore,
        name: str,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        lease: float = LEASE,
    ) -> None:
        self.name = name
        self._store = store
        self._now = now
        self._monotonic = monotonic
        self._lease = lease
        self._lead: Leader | None = None
        self._seen: tuple[Leader | None, float] = (None, monotonic())
        self._clock = (now(), monotonic())

    def step(self) -> Leader | None:
        """Give a sign of life as the leader, or try to become it; return the lead, None while another one has it.

        Raises:
            StoreError: the learning database is away; who leads is not known.

        """
        if self._clock_stands():
            self._give_up("the clock of this machine stands")
            return None
        before = self._lead
        self._lead = self._store.beat_lead(before, self._now()) if before else self._try()
        if before and self._lead is None:
            logger.warning("another process leads: this one was silent for too long and stands by")
        elif self._lead and not before:
            logger.info("%s leads", self.name)
        return self._lead

    def leave(self) -> None:
        """Lead no more; the next process need not wait."""
        if self._lead is not None:
            lead, self._lead = self._lead, None
            self._store.leave_lead(lead)

    def _try(self) -> Leader | None:
        """Take the lead if nobody has it, or if whoever has it was silent for the whole lease."""
        found, at = self._store.leader(), self._monotonic()
        if found is not None:
            seen, since = self._seen
            if found != seen:
                if seen is None or found.holder != seen.holder:
                    logger.info("%s leads; this process stands by", found.holder)
                self._seen = (found, at)
                return None
            if at - since < self._lease:
                return None
            logger.warning("%s has been silent for %.0f s", found.holder, at - since)
        return self._store.take_lead(self.name, found, self._now())

    def _clock_stands(self) -> bool:
        """Whether the time of day has not moved for a while, so that nothing would ever be due here."""
        now, at = self._now(), self._monotonic()
        if now != self._clock[0]:
            self._clock = (now, at)
        return at - self._clock[1] > STANDS

    def _give_up(self, why: str) -> None:
        if self._lead is not None:
            logger.error("%s: this process leads no more", why)
            self.leave()
