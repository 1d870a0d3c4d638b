"""The whole loop with real processes: `make demo` must hold all its promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def test_the_story_from_failing_to_answering(tmp_path: Path) -> None:
    report = tmp_path / "measured.json"

    done = subprocess.run(
        [sys.executable, "-m", "deploy.demo", "--report", str(report)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    measured = orjson.loads(report.read_bytes())
    assert measured["grouped"] >= 8
    assert measured["live_seconds"] < 1.0
    assert measured["traffic_failed"] == 0
