"""Real scheduler processes on one database: killed, suspended, and woken up again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from learning.adapters.schedule_times import ScheduleTimes
from learning.bootstrap import utc_now
from learning.model import JobKind, JobState, Leader
from learning.scheduling import planned
from tests.learning_builders import fresh_database, make_loop, make_project

ROOT = Path(__file__).parents[2]
LEASE, TICK = 8.0, 0.2  # seconds; thirty and five where nobody waits for it
DEADLINE = 180.0  # importing all takes ten seconds for three at once, and longer where the machine is busy


class Processes:
    """Scheduler processes by their names, and the database that they share."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.loop = make_loop(make_project(root), url=url, now=utc_now)
        self.times = ScheduleTimes(url)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        command = (
            sys.executable,
            "-m",
            "tests.schedule_process",
            str(self.root),
            self.url,
            name,
            str(LEASE),
            str(TICK),
        )
        with (self.root / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

    def make_due(self) -> None:
        """Let every scheduled job be due now."""
        for kind, cadence in planned(self.loop.settings.schedule).items():
            self.times.plan(kind.value, cadence, utc_now(), utc_now() - timedelta(milliseconds=1))

    def put(self) -> Counter[str]:
        """How often each job was put into the queue."""
        return Counter(job.kind.value for job in self.loop.store.jobs())

    def finish(self) -> None:
        for kind in JobKind:
            job = self.loop.store.claim_job((kind,), "w", utc_now(), utc_now() - timedelta(days=1))
            if job is not None:
                self.loop.store.end_job(replace(job, state=JobState.DONE, finished=utc_now()), audited=False)

    def leader(self) -> Leader:
        leader = self.loop.store.leader()
        assert leader is not None
        return leader

    def wait_for(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not is_so():
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text("utf-8") for path in sorted(self.root.glob("*.log")))
                pytest.fail(f"in time there was no {what}:\n{logs}")
            time.sleep(0.05)

    def wait_for_leader(self, but: str = "") -> str:
        self.wait_for("other leader", lambda: (found := self.loop.store.leader()) is not None and found.holder != but)
        return self.leader().holder


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.service)])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    url = fresh_database(tmp_path / "var" / "learning.db")
    found = Processes(tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else url)
    yield found
    for process in found.running.values():
        process.kill()  # also one that is suspended
        process.wait()


def test_whoever_is_killed_or_suspended_each_due_job_is_put_once(processes: Processes) -> None:
    kinds = {kind.value for kind in planned(processes.loop.settings.schedule)}
    for name in ("a", "b", "c"):
        processes.start(name)
    first = processes.wait_for_leader()
    # The leader plans every job at its first look, and would plan over what is made due before that.
    processes.wait_for("plan", lambda: set(processes.loop.store.schedule_times()) == kinds)
    processes.make_due()
    processes.wait_for("first run", lambda: set(processes.put()) == kinds)
    processes.finish()

    processes.running[first].send_signal(signal.SIGKILL)
    processes.make_due()
    second = processes.wait_for_leader(but=first)
    processes.wait_for("second run", lambda: min(processes.put().values()) == 2)
    processes.finish()

    os.kill(processes.running[second].pid, signal.SIGSTOP)
    processes.make_due()
    third = processes.wait_for_leader(but=second)
    processes.wait_for("third run", lambda: min(processes.put().values()) == 3)
    os.kill(processes.running[second].pid, signal.SIGCONT)  # it goes on where it was, and finds that it leads no more
    beat = processes.leader().beat
    processes.wait_for("sign of life", lambda: processes.leader().beat > beat + 5)

    assert {first, second, third} == {"a", "b", "c"}
    assert processes.put() == dict.fromkeys(kinds, 3)
    assert processes.leader().holder != first
    assert processes.leader().term >= 3
    assert processes.loop.store.verify_audit() == []
