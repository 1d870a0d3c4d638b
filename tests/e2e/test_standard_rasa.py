"""Standard Rasa stays standard: its own commands work on this project as its docs say."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[2]
QUIET = {"RASA_TELEMETRY_ENABLED": "false", "SQLALCHEMY_SILENCE_UBER_WARNING": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
PARTS = ("actions", "components", "data", "learning", "tests/stories", "tests/holdout", "webchat")
FILES = ("config.yml", "domain.yml", "endpoints.yml", "credentials.yml", "learning.yml")

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def rasa(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the `rasa` command in a project."""
    command = [sys.executable, "-m", "rasa", *arguments]
    environment = {**os.environ, **QUIET, "EVERGREEN_STORE_URL": f"sqlite:///{project}/var/learning.db"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the project with a model of its own, trained by `rasa train`."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    (folder / "var").mkdir()
    trained = rasa(folder, "train")
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert list((folder / "models").glob("*.tar.gz"))
    return folder


def test_data_validate_has_no_warnings(project: Path) -> None:
    done = rasa(project, "data", "validate", "--fail-on-warnings")

    assert done.returncode == 0, done.stdout + done.stderr


def test_rasa_test_passes_every_story(project: Path) -> None:
    done = rasa(project, "test", "core", "--stories", "tests/stories", "--out", "results/core")

    assert done.returncode == 0, done.stdout + done.stderr
    failed = (project / "results/core/failed_test_stories.yml").read_text("utf-8")
    assert "None of the test stories failed" in failed


def test_rasa_test_nlu_on_the_holdout(project: Path) -> None:
    done = rasa(project, "test", "nlu", "--nlu", "tests/holdout", "--out", "results/nlu", "--no-plot")

    assert done.returncode == 0, done.stdout + done.stderr
    report = orjson.loads((project / "results/nlu/intent_report.json").read_bytes())
    # A floor that a broken pipeline falls through; how good it is, is measured in benchmarks.
    assert report["weighted avg"]["f1-score"] > 0.7


def test_shell_answers(project: Path) -> None:
    # The shell asks through a terminal library: it needs a real terminal, not a pipe.
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "rasa", "shell"]
    environment = {**os.environ, **QUIET, "TERM": "xterm", "COLUMNS": "200"}
    with subprocess.Popen(
        command, cwd=project, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as shell:
        os.close(terminal)
        try:
            read_until(controller, "Your input ->")
            os.write(controller, b"what are your opening hours?\r")
            shown = read_until(controller, "Monday to Saturday")
            os.write(controller, b"/stop\r")
            assert shell.wait(60) == 0, shown
        finally:
            shell.kill()
            os.close(controller)


def read_until(terminal: int, wanted: str, seconds: float = 240) -> str:
    """Read what a terminal shows until `wanted` is there."""
    shown = ""
    deadline = time.monotonic() + seconds
    while wanted not in shown:
        poll = select.poll()  # `select.select` takes no descriptor above 1,023
        poll.register(terminal, select.POLLIN)
        ready = poll.poll(1000 * max(0.0, deadline - time.monotonic()))
        assert ready, f"{wanted!r} was not shown within {seconds} s:\n{shown}"
        shown += os.read(terminal, 65536).decode("utf-8", "replace")
    return shown
