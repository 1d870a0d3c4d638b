"""The gate of continuous integration with fakes in place of Rasa, and the files that call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from learning.adapters.project import Project
from learning.entry_files import offered_file
from learning.gate import GateReport, Side, run_gate
from learning.gate_view import MARK, render_gate
from learning.model import ProposalKind
from learning.settings import load_settings
from tests.learning_builders import FakeNlu, make_project, proposal

CI = Path(__file__).parents[3] / "deploy" / "ci"
HOLDOUT = {"my parcel?": "track_order", "lost password": "reset_password"}
MORE = dict([offered_file(proposal(1, kind=ProposalKind.EXAMPLES, label="greet", answer=None), 1)])


def side(root: Path, understands: Callable[[str, str], str], learned: Mapping[str, str]) -> Side:
    settings = load_settings(make_project(root), {})
    return Side(settings, Project(settings), FakeNlu(understands), learned)


def run(
    tmp_path: Path,
    head: Callable[[str, str], str] = lambda model, text: HOLDOUT[text],
    learned: Mapping[str, str] = MORE,
    problems: tuple[str, ...] = (),
) -> GateReport:
    base = side(tmp_path / "base", lambda model, text: HOLDOUT[text], {})
    (tmp_path / "work").mkdir()
    return run_gate(base, side(tmp_path / "head", head, learned), lambda: problems, tmp_path / "work")


def test_a_model_that_is_as_good_passes(tmp_path: Path) -> None:
    report = run(tmp_path)

    assert (report.passed, report.problems, report.labels) == (True, (), ())
    assert report.changed == tuple(MORE)


def test_a_worse_model_fails_and_says_where(tmp_path: Path) -> None:
    report = run(tmp_path, lambda model, text: "greet")

    assert not report.passed
    assert {(item.label, item.before, item.after) for item in report.labels} == {
        ("track_order", 1, 0),
        ("reset_password", 1, 0),
    }
    said = render_gate(report)
    assert said.startswith(MARK)
    assert "## Gate failed" in said
    assert "- lost password" in said


def test_the_exam_is_that_of_the_base(tmp_path: Path) -> None:
    base = side(tmp_path / "base", lambda model, text: HOLDOUT[text], {})
    changed = side(tmp_path / "head", lambda model, text: "greet", MORE)
    easy = "nlu:\n- intent: greet\n  examples: |\n    - my parcel?\n    - lost password\n"
    (tmp_path / "head/tests/holdout/nlu.yml").write_text(easy)
    (tmp_path / "head/learning.yml").write_text("gate:\n  max_accuracy_drop: 1.0\n")
    changed = replace(changed, settings=load_settings(tmp_path / "head", {}))
    (tmp_path / "work").mkdir()

    assert not run_gate(base, changed, lambda: (), tmp_path / "work").passed


def test_labels_that_the_change_merges_are_one_in_the_exam(tmp_path: Path) -> None:
    merge = proposal(3, kind=ProposalKind.MERGE, label="track_order", target="reset_password", answer=None)
    report = run(tmp_path, lambda model, text: "track_order", dict([offered_file(merge, 1)]))

    assert report.passed
    assert report.comparison is not None
    assert report.comparison.challenger.accuracy == 1


@pytest.mark.parametrize(
    ("learned", "said"),
    [
        (dict([offered_file(proposal(2, answer=None), 1)]), "has no answer yet"),
        ({"entry-x-1111111111111111.yml": "nlu: ["}, "is not valid YAML"),
        ({"entry-x-1111111111111111.yml": 'nlu:\n- intent: greet\n  examples: ""\n'}, "has no examples"),
    ],
)
def test_a_broken_file_fails_without_training(tmp_path: Path, learned: Mapping[str, str], said: str) -> None:
    report = run(tmp_path, learned=learned)

    assert not report.passed
    assert said in report.problems[0]
    assert report.comparison is None
    assert not list((tmp_path / "work").iterdir())


def test_what_rasa_finds_fails_and_hostile_words_stay_words(tmp_path: Path) -> None:
    report = run(tmp_path, problems=("```\n/close @all ![x](y)",))

    assert not report.passed
    assert "- ``` /close @all ![x](y)" in render_gate(report).splitlines()


def held_out(tmp_path: Path, learned: Mapping[str, str], allow: bool) -> GateReport:
    base = side(tmp_path / "base", lambda model, text: HOLDOUT[text], {})
    head = side(tmp_path / "head", lambda model, text: HOLDOUT[text], learned)
    (tmp_path / "work").mkdir()
    return run_gate(base, head, lambda: (), tmp_path / "work", allow_retire=allow)


@pytest.mark.parametrize("allow", [False, True])
def test_a_change_takes_messages_out_of_the_exam_only_if_that_is_allowed(tmp_path: Path, allow: bool) -> None:
    retire = proposal(4, kind=ProposalKind.RETIRE, label="track_order", answer=None)
    report = held_out(tmp_path, dict([offered_file(retire, 1)]), allow)

    assert report.passed is allow
    assert report.retired == {"track_order": 1}
    assert "track_order: 1 held-out messages" in render_gate(report)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("more/entry-x-1111111111111111.yml", "nlu: []\n", "is not the file of an entry"),
        ("more.yaml", "nlu: []\n", "is not the file of an entry"),
        (*offered_file(proposal(2, answer="Hello {name"), 1), "a lone brace"),
        (*offered_file(proposal(2, label="learned/a b", answer="Yes."), 1), "has the name 'learned/a b'"),
    ],
)
def test_what_would_not_be_read_back_does_not_pass(tmp_path: Path, name: str, text: str, said: str) -> None:
    report = run(tmp_path, learned={name: text})

    assert not report.passed
    assert said in report.problems[0]


# --- the files that call it -------------------------------------------------------------------------------


def test_the_github_workflow_runs_the_gate_on_learned_files_and_comments_whatever_it_says() -> None:
    flow = yaml.safe_load((CI / "github.yml").read_text())
    trigger = flow[True]  # YAML 1.1 reads `on` as true, and so does GitHub's own schema
    job = flow["jobs"]["gate"]
    gate = next(step for step in job["steps"] if step.get("id") == "gate")
    comment = job["steps"][-1]

    assert trigger == {"pull_request": {"paths": ["data/learned/**"]}}  # never pull_request_target: it runs their code
    assert flow["permissions"] == {"contents": "read", "pull-requests": "write"}
    assert "continue-on-error" not in gate
    assert "python -m learning gate --base" in gate["run"]
    assert comment["if"].startswith("always()")
    assert MARK in comment["run"]
    # What others wrote reaches a shell as variables only.
    assert all("${{" not in step.get("run", "") for step in job["steps"])
    assert all("uses" in step or "run" in step for step in job["steps"])


def test_the_gitlab_job_runs_the_gate_on_learned_files_and_comments_whatever_it_says() -> None:
    jobs = yaml.safe_load((CI / "gitlab.yml").read_text())
    ((_, job),) = jobs.items()

    assert job["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"', "changes": ["data/learned/**/*"]}]
    assert any("python -m learning gate --base" in line for line in job["script"])
    assert "allow_failure" not in job
    assert any(MARK in line for line in job["after_script"])
    assert job["artifacts"]["when"] == "always"
