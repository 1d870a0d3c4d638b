"""Becomes a command that steps back behind the running bot, and that ends with the process which began it.

Run as `python -m learning.adapters.child PARENT NICE COMMAND...`. This is done in the child, after it began: code that
runs between fork and exec (`preexec_fn`) can hang where the parent has threads, and workers have.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
GONE = 1  # exit code where nobody waits for the result any more


def command_of(command: list[str], nice: int) -> list[str]:
    """Return the command that runs another one as a child of this process that gives way to others by `nice` (0..19).

    On Linux it is killed with the thread that waits for it; elsewhere it goes on to its end.
    """
    return [sys.executable, "-m", "learning.adapters.child", str(os.getpid()), str(nice), *command]


def main() -> None:
    """Tie this process to its parent, lower its priority, and become the command."""
    parent, nice, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    with contextlib.suppress(OSError, AttributeError):  # only Linux has it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before that
        raise SystemExit(GONE)
    with contextlib.suppress(OSError):
        os.nice(nice)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
