"""Jobs that must not run twice at once: a retraining compares with the model that runs, and swaps it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from uuid import uuid4

from learning.errors import EvergreenError, ReviewError
from learning.loop import Loop

RETRAINING = "retraining"  # training, comparing and swapping models
LONGEST = timedelta(hours=12)  # after which a job on another machine is taken for dead
_HERE: set[str] = set()  # who holds a job in this process, whose threads must not take each other for dead


@contextmanager
def alone(loop: Loop, job: str) -> Iterator[None]:
    """Hold a job for this thread of this process; it cannot be held twice.

    One that died on this machine holds it no more; of another machine nobody can tell for `LONGEST`.

    Raises:
        ReviewError: somebody else is at it.

    """
    mine = f"{socket.gethostname()}:{os.getpid()}/{uuid4().hex[:8]}"
    _HERE.add(mine)
    try:
        _claim(loop, job, mine)
        try:
            yield
        finally:
            # What went wrong within says more than that the note about it could not be taken away.
            with suppress(EvergreenError):
                loop.store.unclaim(job, mine)
    finally:
        _HERE.discard(mine)


def _claim(loop: Loop, job: str, mine: str) -> None:
    held = loop.store.claim(job, mine, loop.now(), loop.now() - LONGEST)
    if held is not None and _is_dead(held):
        held = loop.store.claim(job, mine, loop.now(), loop.now() - LONGEST, instead_of=held)
    if held is not None:
        at = held.partition("/")[0]
        raise ReviewError(f"is at work already ({at})", job, "wait until it has ended; nothing was done")


def _is_dead(holder: str) -> bool:
    """Return whether a process was on this machine and is not there any more."""
    host, _, number = holder.partition("/")[0].rpartition(":")
    if host != socket.gethostname() or not number.isdecimal():
        return False
    if int(number) == os.getpid():  # a container that starts anew has the same name and number
        return holder not in _HERE
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's, and there
        return False
    return False
