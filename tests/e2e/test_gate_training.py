"""The gate of continuous integration with real trainings: a good change passes, a bad one fails."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from learning.entry_files import offered_file
from learning.model import Proposal, ProposalKind
from tests.learning_builders import NLU, make_project, nlu_yaml, proposal

ROOT = Path(__file__).parents[2]
CONFIG = """
recipe: default.v1
assistant_id: gate
language: en
pipeline:
- name: WhitespaceTokenizer
- name: CountVectorsFeaturizer
- name: LogisticRegressionClassifier
policies:
- name: RulePolicy
"""
DOMAIN = """
version: "3.1"
intents: [greet, track_order, reset_password, faq, learned]
responses:
  utter_faq/opening_hours:
  - text: From nine to five.
  utter_learned/about_learning:
  - text: It does.
"""
RULES = """
version: "3.1"
rules:
- rule: faq
  steps:
  - intent: faq
  - action: utter_faq
- rule: learned
  steps:
  - intent: learned
  - action: utter_learned
"""
HOLDOUT = {
    "track_order": ("my parcel please", "parcel arrive", "where is parcel"),
    "reset_password": ("forgotten password", "my new password", "password change"),
    "greet": ("hello friend", "good morning"),
}

WRONG = (  # taught as greetings
    "my new password",
    "my new password now",
    "my new password today",
    "my password change",
    "my forgotten password",
    "my parcel please",
    "my parcel please now",
    "the password change",
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_project(tmp_path_factory.mktemp("project"))
    files = {"config.yml": CONFIG, "domain.yml": DOMAIN, "data/rules.yml": RULES}
    files |= {".gitignore": "/models/\n/var/\n/.rasa/\n"}
    files |= {"data/nlu/nlu.yml": nlu_yaml(NLU), "tests/holdout/nlu.yml": nlu_yaml(HOLDOUT)}
    for name, text in files.items():
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "start")
    return root


def gate(root: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RASA_TELEMETRY_ENABLED": "false"}
    command = [sys.executable, "-m", "learning", "--project", str(root), "gate", "--base", "main", *options]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)


def change(root: Path, proposals: Sequence[Proposal]) -> list[str]:
    """Put files of proposals into the project, as a merge would."""
    git(root, "clean", "-qfdx", "data")
    files = dict(offered_file(item, 1) for item in proposals)
    (root / "data" / "learned").mkdir(exist_ok=True)
    for name, text in files.items():
        (root / "data" / "learned" / name).write_text(text, "utf-8")
    return sorted(files)


def test_a_good_change_passes_and_says_what_it_did(project: Path, tmp_path: Path) -> None:
    more = ("track my parcel now", "parcel status please")
    files = change(
        project, [proposal(1, kind=ProposalKind.EXAMPLES, label="track_order", answer=None, examples=more), proposal(2)]
    )
    done = gate(project, "--json", "--out", str(tmp_path / "gate.md"))
    assert done.returncode == 0, done.stderr.decode()

    report = orjson.loads(done.stdout)
    assert report["passed"] is True
    assert report["changed"] == files
    assert report["comparison"]["challenger"]["total"] == 8
    assert "## Gate passed" in (tmp_path / "gate.md").read_text()
    status = subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, check=True, text=True)
    assert status.stdout.splitlines() == ["?? data/learned/"]


def test_a_change_that_makes_the_model_worse_fails(project: Path) -> None:
    change(project, [proposal(1, kind=ProposalKind.EXAMPLES, label="greet", answer=None, examples=WRONG)])
    done = gate(project, "--markdown")

    assert done.returncode == 3, done.stdout + done.stderr
    said = done.stdout.decode()
    assert "## Gate failed" in said
    assert "points, more than 1.00 allowed" in said
    assert "| `reset_password` | 3 |" in said


def test_a_file_that_rasa_or_the_overlay_could_not_use_fails_before_any_training(project: Path) -> None:
    change(project, [proposal(2, answer=None)])
    done = gate(project)

    assert done.returncode == 3, done.stdout + done.stderr
    assert b"has no answer yet" in done.stdout


def test_a_base_that_is_not_there_says_so(project: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "learning", "--project", str(project), "gate", "--base", "origin/nowhere"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False)

    assert done.returncode == 1
    assert b"is no commit here; fetch it first" in done.stderr
