"""`python -m learning attach` on real repositories and tracker stores."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import git
import pytest
from typer.testing import CliRunner

from learning.__main__ import cli
from learning.adapters.attach_branch import BRANCH, as_patch, commit_steps, write_files
from learning.errors import ProjectError
from tests.learning_builders import LOYALTY, NLU, TrackerFile, nlu_yaml, talk

CONFIG = "language: en\npipeline:\n- name: WhitespaceTokenizer\n- name: DIETClassifier\n- name: FallbackClassifier\n"
MORE = {"greet": tuple(f"hello again number {number}" for number in range(15))}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project as somebody has it: in git, in a sub folder, without anything of ours."""
    root = tmp_path / "repo" / "bot"
    files = {
        "config.yml": CONFIG,
        "domain.yml": "intents:\n- greet\n- track_order\n- reset_password\n- faq\nactions: []\n",
        "endpoints.yml": "tracker_store:  # where they are\n  type: SQL\n  db: conversations/rasa.db\n",
        "data/nlu.yml": nlu_yaml({label: texts for label, texts in {**NLU, **MORE}.items() if "learned" not in label}),
        "data/rules.yml": "rules:\n- rule: hello\n  steps:\n  - intent: greet\n  - action: utter_greet\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    (root / ".gitignore").write_text("conversations/\n", "utf-8")
    with git.Repo.init(tmp_path / "repo") as repository:
        repository.git.add("-A")
        repository.git.execute([*AS, "commit", "-qm", "theirs"])
    return root


AS = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]


def attach(path: Path, *options: str, code: int = 0) -> Any:
    result = CliRunner().invoke(cli, ["attach", str(path), *options])
    assert result.exit_code == code, result.output + str(result.exception)
    return json.loads(result.stdout) if "--json" in options else result.stdout


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git/" not in path.as_posix()
    }


def test_the_change_is_a_branch_and_conversations_are_mined_at_once(project: Path) -> None:
    talk(TrackerFile(project / "conversations" / "rasa.db"))
    before = files_of(project)
    found = attach(project.parent, "--json")

    assert (found["project"], found["done"], found["branch"]) == (str(project), "branch", BRANCH)
    assert found["mined"]["events"] > 0
    assert found["gaps"][0]["people"] == len(LOYALTY)
    # Nothing in the folder has changed, and nothing was made in it.
    assert files_of(project) == before
    with git.Repo(project.parent) as repository:
        assert [commit.summary for commit in repository.iter_commits(f"HEAD..{BRANCH}")] == [
            "Hold out examples that models are compared with",
            "Let the assistant learn from its conversations",
        ]
        assert not repository.is_dirty()
        names = repository.git.diff("--name-only", "HEAD", BRANCH).splitlines()
    assert sorted(names) == sorted(f"bot/{change['path']}" for change in _once(found["changes"]))
    assert attach(project, "--json", "--no-mine")["commits"] == []


def _once(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({change["path"]: change for change in changes}.values())


def test_after_the_merge_nothing_is_left_to_do(project: Path) -> None:
    attach(project, "--no-mine")
    with git.Repo(project.parent) as repository:
        repository.git.execute([*AS, "merge", "-q", BRANCH])
    found = attach(project, "--json", "--no-mine")

    assert (found["done"], found["changes"], found["next"]) == ("nothing", [], [])
    assert "has all that learning needs" in attach(project, "--no-mine")


def test_the_patch_is_what_apply_writes(project: Path, tmp_path: Path) -> None:
    patch = attach(project, "--diff")
    subprocess.run(["git", "apply", "--check", "-"], input=patch, text=True, cwd=project, check=True)
    assert attach(project, "--diff") == patch
    assert attach(project, "--apply", "--no-mine", "--json")["done"] == "applied"
    applied = files_of(project)
    with git.Repo(project.parent) as repository:
        repository.git.checkout(".")
        repository.git.clean("-fdq")
    subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=project, check=True)

    assert files_of(project) == applied
    assert attach(project, "--diff") == ""


def test_applied_it_mines_for_good(project: Path) -> None:
    talk(TrackerFile(project / "conversations" / "rasa.db"))
    found = attach(project, "--apply", "--json")

    assert found["mined"]["new_gaps"] == len(found["gaps"]) > 0
    assert (project / "var" / "learning.db").is_file()
    result = CliRunner().invoke(cli, ["--project", str(project), "mine", "--json"])
    assert json.loads(result.stdout)["events"] == 0


def test_without_git_the_change_is_offered_as_a_patch(project: Path) -> None:
    (project.parent / ".git").rename(project.parent / "gone")

    assert attach(project, "--json", "--no-mine")["done"] == "patch"
    assert "`--diff` prints the change" in attach(project, "--no-mine")


def test_the_hold_out_may_stay_away(project: Path) -> None:
    found = attach(project, "--json", "--no-mine", "--no-holdout")

    assert {change["step"] for change in found["changes"]} == {"attach"}
    assert len(found["commits"]) == 1


def test_without_conversations_it_says_so(project: Path) -> None:
    found = attach(project, "--json")

    assert "does not exist" in found["problem"]
    assert (found["mined"], found["gaps"]) == (None, [])


def test_a_variable_that_is_not_set_is_told_and_stops_nothing(project: Path) -> None:
    text = "tracker_store:\n  type: mongod\n  url: mongodb://${NOT_SET_ANYWHERE}\n"
    (project / "endpoints.yml").write_text(text, "utf-8")
    found = attach(project, "--json", "--apply")

    warnings = [one["what"] for one in found["findings"] if one["level"] == "warning"]
    assert any("NOT_SET_ANYWHERE" in one for one in warnings)
    assert found["done"] == "applied"
    assert (project / "endpoints.yml").read_text("utf-8").startswith(text)


def test_what_is_blocked_changes_nothing_and_ends_with_3(project: Path) -> None:
    (project / "endpoints.yml").write_text("tracker_store:\n  type: dynamo\n", "utf-8")
    before = files_of(project)
    found = attach(project, "--json", code=3)

    assert found["blocked"]
    assert (found["changes"], found["done"]) == ([], "")
    assert "Nothing was changed" in attach(project, "--apply", code=3)
    attach(project, "--diff", code=3)
    assert files_of(project) == before


def test_changes_that_are_not_committed_are_not_taken_along(project: Path) -> None:
    (project / "domain.yml").write_text("intents:\n- draft\n", "utf-8")
    result = CliRunner().invoke(cli, ["attach", str(project), "--no-mine"])

    assert isinstance(result.exception, ProjectError)
    assert "domain.yml: has changes that are not committed" in str(result.exception)


def test_a_branch_with_somebody_elses_work_is_not_overwritten(project: Path) -> None:
    attach(project, "--no-mine")
    with git.Repo(project.parent) as repository:
        main = repository.active_branch.name
        repository.git.checkout(BRANCH)
        (project / "learning.yml").write_text("# mine\n", "utf-8")
        repository.git.execute([*AS, "commit", "-qam", "theirs"])
        tip = repository.head.commit.hexsha
        repository.git.checkout(main)
    result = CliRunner().invoke(cli, ["attach", str(project), "--no-mine"])

    assert "is there already and holds something else" in str(result.exception)
    with git.Repo(project.parent) as repository:
        assert repository.heads[BRANCH].commit.hexsha == tip


def test_a_repository_without_a_commit_is_told(tmp_path: Path) -> None:
    git.Repo.init(tmp_path).close()
    with pytest.raises(ProjectError, match="has no commit yet"):
        commit_steps(tmp_path, [("x", {"a.yml": (None, "a: 1\n")})])


def test_what_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a: 2\n", "utf-8")
    with pytest.raises(ProjectError, match="has changed meanwhile"):
        write_files(tmp_path, [("x", {"a.yml": ("a: 1\n", "a: 3\n")})])

    assert (tmp_path / "a.yml").read_text("utf-8") == "a: 2\n"


def test_a_patch_of_files_without_a_last_line_break_applies(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("a: 1", "utf-8")
    patch = as_patch(tmp_path, [("x", {"a.yml": ("a: 1", "a: 1\nb: 2\n")}), ("y", {"a.yml": ("a: 1", "a: 1\nb: 3\n")})])
    git.Repo.init(tmp_path).close()
    subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=tmp_path, check=True)

    assert (tmp_path / "a.yml").read_text("utf-8") == "a: 1\nb: 3\n"


def test_apply_and_diff_exclude_each_other(project: Path) -> None:
    assert "take --apply or --diff" in CliRunner().invoke(cli, ["attach", str(project), "--apply", "--diff"]).output


def test_the_branch_that_is_checked_out_is_not_moved(project: Path) -> None:
    with git.Repo(project.parent) as repository:
        repository.git.checkout("-b", BRANCH)
        with pytest.raises(ProjectError, match="is checked out"):
            commit_steps(project, [("m", {"learning.yml": (None, "x\n")})])
        assert not repository.is_dirty()


def test_nobody_is_told_to_commit_a_file_that_git_ignores(project: Path) -> None:
    with git.Repo(project.parent) as repository:
        (project / ".gitignore").write_text("conversations/\nendpoints.yml\n", "utf-8")
        repository.git.rm("--cached", "-q", "bot/endpoints.yml")
        repository.git.execute([*AS, "commit", "-qam", "no passwords"])
    before = (project / "endpoints.yml").read_text("utf-8")

    with pytest.raises(ProjectError, match="is ignored by git") as caught:
        commit_steps(project, [("m", {"endpoints.yml": (before, before + "# x\n")})])
    assert "--apply" in caught.value.next_step


def test_line_breaks_that_git_converts_are_no_change(project: Path) -> None:
    with git.Repo(project.parent) as repository:
        (project / ".gitattributes").write_text("*.yml text eol=crlf\n", "utf-8")
        repository.git.add("-A")
        repository.git.execute([*AS, "commit", "-qm", "crlf"])
        (project / "config.yml").write_bytes(CONFIG.replace("\n", "\r\n").encode())
        text = (project / "config.yml").read_bytes().decode()

        commit_steps(project, [("m", {"config.yml": (text, text + "# more\r\n")})])

        assert repository.git.show(f"{BRANCH}:bot/config.yml") + "\n" == CONFIG + "# more\n"


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yml").write_text("theirs\n", "utf-8")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        write(path, content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ProjectError, match="No space left"):
        write_files(tmp_path, [("m", {"config.yml": ("theirs\n", "ours\n")})])

    assert [(path.name, path.read_text("utf-8")) for path in tmp_path.iterdir()] == [("config.yml", "theirs\n")]


def test_a_patch_breaks_lines_where_git_does(tmp_path: Path) -> None:
    before = "a: 1\n# one\u2028two\x0cthree\n"
    (tmp_path / "domain.yml").write_bytes(before.encode())
    patch = as_patch(tmp_path, [("m", {"domain.yml": (before, before + "b: 2\n")})])

    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=patch.encode(), check=True)
    assert (tmp_path / "domain.yml").read_bytes() == (before + "b: 2\n").encode()


def test_a_pipe_in_the_project_does_not_stop_the_first_look(project: Path) -> None:
    talk(TrackerFile(project / "conversations" / "rasa.db"))
    os.mkfifo(project / "pipe")

    assert attach(project, "--json")["mined"]["events"] > 0


def test_rasa_is_told_where_the_data_is(project: Path) -> None:
    (project / "data").rename(project / "training")

    assert "rasa train --data training" in attach(project, "--apply", "--json", "--no-mine")["next"]


@pytest.mark.parametrize(
    "url",
    [
        "postgre-sql://bob:hun/ter2@host/db",
        "postgresql://bob:a@hun/ter2@host:port/db",
        "postgresql://:hun/ter2@host:port/db",
        "postgresql://host:port/db?user=bob&password=hun/ter2",
    ],
)
def test_no_password_of_an_address_is_printed(project: Path, url: str) -> None:
    (project / "endpoints.yml").write_text(f"tracker_store:\n  type: SQL\n  url: '{url}'\n", "utf-8")

    found = attach(project, "--apply", "--json")
    assert "ter2" not in json.dumps(found)
    assert found["problem"].startswith("tracker store ")
