"""Two retrainings at once: the second one is told, and a dead one is in nobody's way."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from learning.adapters.store import Store
from learning.alone import LONGEST, alone
from learning.errors import ReviewError
from tests.learning_builders import START


class At:
    """As much of a loop as this needs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.time = START

    def now(self) -> Any:
        return self.time


@pytest.fixture
def at(tmp_path: Path) -> Any:
    return At(Store(f"sqlite:///{tmp_path / 'learning.db'}"))


def hold(at: At, holder: str) -> None:
    assert at.store.claim("retraining", holder, at.now(), at.now() - LONGEST) is None


def test_the_second_is_told_and_the_first_goes_on(at: At) -> None:
    hold(at, "elsewhere:1")

    with pytest.raises(ReviewError, match="is at work already"), alone(at, "retraining"):  # type: ignore[arg-type]
        raise AssertionError("must not run")

    at.store.unclaim("retraining", "somebody:2")  # only its holder can let it go
    with pytest.raises(ReviewError), alone(at, "retraining"):  # type: ignore[arg-type]
        pass
    at.store.unclaim("retraining", "elsewhere:1")
    with alone(at, "retraining"):  # type: ignore[arg-type]
        pass


def test_it_is_free_again_after_an_error(at: At) -> None:
    with pytest.raises(ZeroDivisionError), alone(at, "retraining"):  # type: ignore[arg-type]
        _ = 1 / 0

    with alone(at, "retraining"):  # type: ignore[arg-type]
        pass


def test_who_died_on_this_machine_holds_nothing(at: At) -> None:
    import socket

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hold(at, f"{socket.gethostname()}:{gone.pid}")
    with alone(at, "retraining"):  # type: ignore[arg-type]
        pass

    hold(at, f"{socket.gethostname()}:{os.getppid()}")  # it lives
    with pytest.raises(ReviewError), alone(at, "retraining"):  # type: ignore[arg-type]
        pass


def test_who_is_silent_for_long_elsewhere_holds_nothing(at: At) -> None:
    hold(at, "elsewhere:1")
    at.time += LONGEST + timedelta(seconds=1)

    with alone(at, "retraining"):  # type: ignore[arg-type]
        pass


def test_threads_of_one_process_do_not_take_each_other_for_dead(at: At) -> None:
    told: list[str] = []

    def another() -> None:
        try:
            with alone(at, "retraining"):  # type: ignore[arg-type]
                told.append("ran")
        except ReviewError as error:
            told.append(str(error))

    with alone(at, "retraining"):  # type: ignore[arg-type]
        for _ in range(2):  # the first must not let it go for the second, either
            thread = threading.Thread(target=another)
            thread.start()
            thread.join()

    assert len(told) == 2
    assert all("is at work already" in one for one in told)
    another()
    assert told[-1] == "ran"


def test_a_container_that_starts_anew_with_the_same_number_holds_nothing(at: At) -> None:
    import socket

    for holder in (f"{socket.gethostname()}:{os.getpid()}", f"{socket.gethostname()}:{os.getpid()}/0123abcd"):
        hold(at, holder)
        with alone(at, "retraining"):  # type: ignore[arg-type]
            pass
