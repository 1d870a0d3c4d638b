"""How an entry is to reach its users: percentages of them, one after the other."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

from learning.errors import ReviewError
from learning.model import EVERYBODY, Rollout
from learning.settings import RolloutSettings


class Schedule(NamedTuple):
    """Percentages of the users in the order in which an entry reaches them, and the hours from one to the next."""

    steps: tuple[int, ...]
    hours: float


def first_step(entry_id: str, settings: RolloutSettings, at: datetime, schedule: Schedule | None = None) -> Rollout:
    """Return how a new entry begins: by `schedule`, without one as the settings have it.

    Raises:
        ReviewError: the steps don't rise from 1 to at most 100, or the hours are none.

    """
    steps, hours = check_schedule(schedule or Schedule(settings.steps, settings.hours))
    return Rollout(entry_id, steps, 0, hours, at)


def check_schedule(schedule: Schedule) -> Schedule:
    """Return the schedule; raise `ReviewError` if nothing could follow it."""
    steps, hours = schedule
    within = bool(steps) and all(0 < step <= EVERYBODY for step in steps)
    if not within or any(after <= before for before, after in pairwise(steps)):
        told = ",".join(map(str, steps))
        raise ReviewError(
            "are no percentages that rise, from 1 to at most 100", f"rollout steps {told!r}", "write 5,25,50,100"
        )
    if not isfinite(hours) or hours <= 0:
        raise ReviewError(f"is {hours:g}", "rollout hours", "use a number above 0")
    return schedule


def read_steps(text: str) -> tuple[int, ...]:
    """Return the steps that somebody has typed, such as `5,25,50,100`; raise `ReviewError` for anything else."""
    parts = [part.strip().rstrip("%").strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and len(part) <= 3 for part in parts):
        raise ReviewError("are no whole numbers", f"rollout steps {text!r}", "write 5,25,50,100")
    return tuple(map(int, parts))
