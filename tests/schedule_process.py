"""A scheduler process with a short lease: `python -m tests.schedule_process ROOT URL NAME LEASE TICK`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from learning.adapters.schedule_times import ScheduleTimes
from learning.bootstrap import utc_now
from learning.leading import Leadership
from learning.scheduler import Scheduler
from tests.learning_builders import make_loop


def main(root: str, url: str, name: str, lease: str, tick: str) -> None:
    """Run until somebody ends it."""
    loop = make_loop(Path(root), url=url, now=utc_now)
    leads = Leadership(loop.store, name, utc_now, lease=float(lease))
    Scheduler(loop, ScheduleTimes(url), leads, {}).run(threading.Event(), float(tick))


if __name__ == "__main__":
    main(*sys.argv[1:])
