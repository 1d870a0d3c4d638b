"""Trainings that are interrupted: what is trained is not trained again, and nothing goes on behind anybody's back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from learning.adapters.rasa_nlu import RasaNlu
from learning.candidates import BLOCKED, FAILED, STATE, TRAINED, candidates, find_candidate
from learning.errors import BotServerError, NotFound, ReviewError, Stopped, TrainingError
from learning.jobs import COMPARE, SWAP
from learning.loop import Loop
from learning.model import DeployedModel, WatchedModel
from learning.retrain import RetrainReport, retrain
from tests.learning_builders import START, Clock, FakeNlu, FakeServer, make_loop, make_project

HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
DEADLINE = 20.0  # seconds


class CountingNlu(FakeNlu):
    """Knows how often it has trained."""

    def __init__(self) -> None:
        super().__init__(lambda model, text: HOLDOUT.get(text, "nlu_fallback"))
        self.trainings = 0
        self.on_train = self._count

    def _count(self) -> None:
        self.trainings += 1


class Killed(BaseException):
    """The process is gone; nothing that catches errors catches this."""


class World:
    """A project with a running model, and a clock that is moved by hand."""

    def __init__(self, root: Path) -> None:
        self.clock = Clock(START)
        self.loop: Loop = make_loop(make_project(root), now=self.clock)
        models = self.loop.settings.path("models")
        models.mkdir()
        (models / "old.tar.gz").write_bytes(b"old")
        self.server = FakeServer(models / "old.tar.gz")
        self.nlu = CountingNlu()

    def retrain(self, killed_at: str = "", error: type[BaseException] = Killed) -> RetrainReport | None:
        """Train; with `killed_at` the process ends when that step begins."""

        def say(step: str, words: str) -> None:
            if step == killed_at:
                raise error("was stopped", "job 1", "nothing") if error is Stopped else error()

        try:
            return retrain(self.loop, self.nlu, self.server, say)
        except error:
            return None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("error", [Killed, Stopped])
@pytest.mark.parametrize("step", [COMPARE, SWAP])
def test_what_was_trained_is_not_trained_again(world: World, step: str, error: type[BaseException]) -> None:
    assert world.retrain(step, error) is None
    (left,) = candidates(world.loop)
    assert (left.state, left.is_intact, left.taught) == (TRAINED, True, ())
    world.clock.now += timedelta(minutes=2)
    report = world.retrain()

    assert report is not None
    assert report.model is not None
    assert (report.model.name, world.nlu.trainings) == (left.name, 1)
    assert not list(world.loop.settings.path("var/training").iterdir())


def test_other_data_is_trained_anew(world: World) -> None:
    world.retrain(COMPARE)
    world.clock.now += timedelta(minutes=2)
    (world.loop.settings.path("data/nlu") / "more.yml").write_text('version: "3.1"\nnlu: []\n', "utf-8")
    world.retrain()

    assert world.nlu.trainings == 2


def _damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3])


def _no_state(path: Path) -> None:
    (path.parent / STATE).write_bytes(b'{"model": "ev')


def _other_version(path: Path) -> None:
    (path.parent / STATE).write_bytes(orjson.dumps(["state"]))


@pytest.mark.parametrize("harm", [_damage, _no_state, _other_version, Path.unlink])
def test_a_damaged_candidate_is_trained_anew(world: World, harm: Callable[[Path], None]) -> None:
    world.retrain(COMPARE)
    (left,) = candidates(world.loop)
    harm(left.path)
    world.clock.now += timedelta(minutes=2)
    report = world.retrain()

    assert report is not None
    assert report.model is not None
    assert (report.model.name != left.name, world.nlu.trainings) == (True, 2)


def test_an_old_candidate_is_trained_anew(world: World) -> None:
    world.retrain(COMPARE)
    world.clock.now += timedelta(days=1, minutes=1)
    world.retrain()

    assert world.nlu.trainings == 2


def test_the_model_that_runs_is_no_challenger_of_itself(world: World) -> None:
    """The process was killed after the swap, before its folder was deleted."""
    world.retrain("absorb")
    assert world.server.model.name.startswith("evergreen-")
    world.clock.now += timedelta(minutes=2)
    report = world.retrain()

    assert report is not None
    assert report.card is not None
    assert report.card.champion != report.card.challenger
    assert world.nlu.trainings == 2


def test_a_model_that_cannot_be_loaded_is_not_tried_again(world: World) -> None:
    def broken(model: str, text: str) -> str:
        if model.startswith("evergreen-"):
            raise TrainingError("cannot be loaded", f"model {model}", "train it again")
        return HOLDOUT.get(text, "nlu_fallback")

    world.nlu.understands, genuine = broken, world.nlu.understands
    with pytest.raises(TrainingError, match="cannot be loaded"):
        world.retrain()
    assert [one.state for one in candidates(world.loop)] == [FAILED]
    world.nlu.understands = genuine
    world.clock.now += timedelta(minutes=2)
    world.retrain()
    assert world.nlu.trainings == 2


def test_a_swap_that_failed_is_tried_again_with_the_same_model(world: World) -> None:
    world.server.refuses = True
    with pytest.raises(BotServerError):
        world.retrain()
    world.server.refuses = False
    world.clock.now += timedelta(minutes=2)
    report = world.retrain()

    assert report is not None
    assert (report.model is not None, world.nlu.trainings) == (True, 1)


def test_a_model_that_was_compared_with_another_is_not_swapped_in(world: World) -> None:
    other = world.loop.settings.path("models/other.tar.gz")
    other.write_bytes(b"another")

    def meanwhile() -> None:
        world.server.model = other

    world.nlu.on_train = meanwhile
    with pytest.raises(ReviewError, match=r"was compared with old\.tar\.gz, which runs no more"):
        world.retrain()
    assert world.server.model == other


def test_what_the_gate_said_is_kept_with_the_candidate(world: World) -> None:
    def worse(model: str, text: str) -> str:
        return HOLDOUT.get(text, "nlu_fallback") if model.startswith("old") else "greet"

    world.nlu.understands = worse
    report = world.retrain()
    (left,) = candidates(world.loop)

    assert report is not None
    assert (left.state, left.path, left.card) == (BLOCKED, report.candidate, report.card)
    assert find_candidate(world.loop, left.name[:14]) == left
    with pytest.raises(NotFound, match="fits 0 candidates"):
        find_candidate(world.loop, "other")


def test_a_disk_that_takes_no_state_is_a_failed_training(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("learning.candidates.os.fsync", full)
    with pytest.raises(TrainingError, match="cannot be kept \\(No space left on device\\)"):
        world.retrain()
    assert world.server.model.name == "old.tar.gz"


def test_what_went_back_by_itself_is_not_deployed_again_by_itself(world: World) -> None:
    first = world.retrain()
    assert first is not None
    assert first.card is not None
    watched = replace(_watched(world.loop.store.deployed_models()[0]), data=first.card.data)
    world.loop.store.save_watched_model(watched)
    world.server.model = world.loop.settings.path("models/old.tar.gz")
    world.clock.now += timedelta(minutes=2)
    again = world.retrain()

    assert again is not None
    assert (again.comparison.passed, again.model) == (True, None)
    assert "went back by itself (30 % not understood): a person has to deploy it" in again.comparison.reason
    assert world.server.model.name == "old.tar.gz"
    (world.loop.settings.path("data/nlu") / "more.yml").write_text('version: "3.1"\nnlu: []\n', "utf-8")
    world.clock.now += timedelta(minutes=2)
    other = world.retrain()
    assert other is not None
    assert other.model is not None  # other data, another chance


def _watched(model: DeployedModel) -> WatchedModel:
    return WatchedModel(model.name, model.replaced, model.at, "rolled_back", said="30 % not understood")


# --- children -------------------------------------------------------------------------------------------

PARENT = """
import sys, threading
from pathlib import Path
from learning.adapters.rasa_nlu import RasaNlu
from learning.settings import load_settings
nlu = RasaNlu(load_settings(Path(sys.argv[1]), {}))
told = "f'{os.getpid()} {os.nice(0)} ' + os.environ['OMP_NUM_THREADS']"
code = f"import os, time; open('pid', 'w').write({told}); time.sleep(60)"
thread = threading.Thread(target=nlu._run, args=([sys.executable, "-c", code], "rasa train", 60))
thread.start()
thread.join()
"""


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def _is_there(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # dead, and not yet noticed by whoever has inherited it


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_training_ends_with_its_worker_even_if_that_is_killed(tmp_path: Path) -> None:
    root = make_project(tmp_path, "retrain:\n  nice: 7\n  threads: 2\n")
    worker = subprocess.Popen([sys.executable, "-c", PARENT, str(root)])
    noted = root / "pid"
    wait_until(lambda: noted.exists() and len(noted.read_text("utf-8").split()) == 3)
    child, nice, threads = map(int, noted.read_text("utf-8").split())
    assert (nice - os.nice(0), threads) == (7, 2)
    assert _is_there(child)
    worker.send_signal(signal.SIGKILL)
    worker.wait()

    wait_until(lambda: not _is_there(child))


def test_a_child_whose_parent_is_gone_does_not_begin(tmp_path: Path) -> None:
    mark = tmp_path / "began"
    code = f"open({str(mark)!r}, 'w')"
    command = [sys.executable, "-m", "learning.adapters.child", "1", "0", sys.executable, "-c", code]
    assert subprocess.run(command, check=False).returncode == 1
    assert not mark.exists()


def test_a_child_answers_and_fails_as_without_it(tmp_path: Path) -> None:
    nlu = RasaNlu(make_loop(make_project(tmp_path)).settings)
    done = nlu._run([sys.executable, "-c", "import sys; print(sys.argv); sys.exit(3)"], "x", 60, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (3, b"['-c']\n")
