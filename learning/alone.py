"""Jobs that must not run twice at once: a retraining compares with the model that runs, and swaps it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from learning.errors import EvergreenError, ReviewError
from learning.loop import Loop

RETRAINING = "retraining"  # training, comparing and swapping models
LONGEST = timedelta(hours=12)  # after which a job on another machine is taken for dead


@contextmanager
def alone(loop: Loop, job: str) -> Iterator[None]:
    """Hold a job for this process.

    One that died on this machine holds it no more; of another machine nobody can tell for `LONGEST`.

    Raises:
        ReviewError: somebody else is at it.

    """
    mine = f"{socket.gethostname()}:{os.getpid()}"
    held = loop.store.claim(job, mine, loop.now(), loop.now() - LONGEST)
    if held is not None and _is_dead(held):
        held = loop.store.claim(job, mine, loop.now(), loop.now() - LONGEST, instead_of=held)
    if held is not None:
        raise ReviewError(f"is at work already ({held})", job, "wait until it has ended; nothing was done")
    try:
        yield
    finally:
        # What went wrong within says more than that the note about it could not be taken away.
        with suppress(EvergreenError):
            loop.store.unclaim(job, mine)


def _is_dead(holder: str) -> bool:
    """Return whether a process was on this machine and is not there any more."""
    host, _, number = holder.rpartition(":")
    if host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's, and there
        return False
    return int(number) == os.getpid()
