"""`python -m learning schedule` as people and programs use it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from learning import __main__ as command_line
from learning.adapters.store import Store
from tests.learning_builders import FakeEncoder, PatternRedactor, fresh_database, make_project
from tests.schedule_world import World

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fresh_database(tmp_path / "var" / "learning.db")
    return make_project(tmp_path)


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `python -m learning --project root schedule ...` in this process."""
    monkeypatch.setattr("learning.bootstrap.OnnxEncoder", lambda **options: FakeEncoder())
    monkeypatch.setattr("learning.bootstrap.PresidioRedactor", PatternRedactor)
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("EVERGREEN_STORE_URL", "EVERGREEN_BOT_URL", "EVERGREEN_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["learning", "--project", str(root), "schedule", *arguments])
        with pytest.raises(SystemExit) as caught:
            command_line.run()
        captured = capsys.readouterr()
        return int(caught.value.code or 0), captured.out, captured.err

    return call


def test_the_list_says_what_runs_and_that_nobody_leads(run: Run) -> None:
    code, out, _ = run("list")

    assert code == 0
    assert "every Sunday at 03:00 UTC" in out
    assert "Nobody leads: start `python -m learning schedule`." in out
    assert "No worker does mine, watch, evaluate, retrain, digest, prune" in out


def test_the_list_for_programs(run: Run, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.scheduler("host:1:abc").look()
    code, out, _ = run("list", "--json")
    found = json.loads(out)
    jobs = {job["name"]: job for job in found["schedule"]["jobs"]}

    assert code == 0
    assert (found["schedule"]["leader"], found["schedule"]["is_led"]) == ("host:1:abc", False)  # by the real clock
    assert jobs["mine"]["cadence"] == "every hour"
    assert jobs["retrain"]["next_at"] == "2026-03-08T03:00:00+00:00"
    assert len(found["without_worker"]) == 6


def test_pause_and_resume(run: Run, root: Path) -> None:
    code, out, _ = run("pause", "retrain", "--reason", "a fair", "--who", "ann")
    assert (code, "retrain is paused (by ann" in out) == (0, True)
    assert "paused by ann" in run("list")[1]
    assert json.loads(run("pause", "all", "--who", "bob", "--json")[1])["retrain"]["paused_by"] == "ann"
    resumed = json.loads(run("resume", "all", "--who", "bob", "--json")[1])
    assert set(resumed.values()) == {True}
    assert "mine was not paused" in run("resume", "mine")[1]
    rows = Store(f"sqlite:///{root / 'var' / 'learning.db'}").audit_rows()
    assert [row.what for row in rows] == ["pause schedule"] * 6 + ["resume schedule"] * 6
    assert (rows[0].who, rows[0].item, rows[0].reason) == ("ann", "retrain", "a fair")


def test_now_puts_it_into_the_queue_once(run: Run) -> None:
    code, out, _ = run("now", "digest", "--who", "ann")
    assert (code, "digest waits as job 1" in out, "No worker is there" in out) == (0, True, True)
    code, _, error = run("now", "digest")
    assert (code, "is asked for already (job 1, by ann)" in error) == (1, True)
    assert json.loads(run("now", "prune", "--json")[1])["kind"] == "prune"


@pytest.mark.parametrize("command", ["pause", "resume", "now"])
def test_an_unknown_job_is_named_with_those_there_are(command: str, run: Run) -> None:
    code, _, error = run(command, "lunch")

    assert code == 1
    assert "job lunch: is not scheduled; use one of mine, watch, evaluate, retrain, digest, prune" in error


def test_help_needs_no_project(run: Run) -> None:
    code, out, _ = run("--help")

    assert code == 0
    for command in ("list", "run", "pause", "resume", "now"):
        assert command in out
