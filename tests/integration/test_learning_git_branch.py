"""Publishing to a git branch, in real repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from learning.adapters.git_branch import GitBranch
from learning.errors import PublishError

BRANCH = "evergreen/learned"
FOLDER = "data/learned"


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "learning.yml").write_text("seed: 1\n")
    (tmp_path / "domain.yml").write_text("intents: []\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def host(root: Path, branch: str = BRANCH) -> GitBranch:
    return GitBranch(root, branch, FOLDER)


def files_on(root: Path, branch: str = BRANCH) -> dict[str, str]:
    names = [name for name in git(root, "ls-tree", "-r", "-z", "--name-only", branch).split("\0") if name]
    return {name: git(root, "show", f"{branch}:{name}") for name in names}


def test_files_are_committed_on_a_branch_of_their_own(root: Path) -> None:
    commit = host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")

    assert commit == git(root, "rev-parse", BRANCH)
    assert files_on(root) == {
        "domain.yml": "intents: []",
        f"{FOLDER}/learning.yml": "seed: 1",
        f"{FOLDER}/entry-a.yml": "a: 1",
    }
    assert git(root, "log", "-1", "--format=%an|%s", BRANCH) == "Evergreen|Learn a"
    assert git(root, "rev-parse", f"{BRANCH}^") == git(root, "rev-parse", "main")


def test_work_tree_index_and_head_are_left_alone(root: Path) -> None:
    (root / "domain.yml").write_text("half: done\n")
    (root / "new.txt").write_text("untracked\n")
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")

    def state() -> tuple[str, ...]:
        return (
            git(root, "status", "--porcelain=v2", "--branch"),
            git(root, "ls-files", "--stage"),
            git(root, "stash", "list"),
            (root / ".git" / "HEAD").read_text(),
            *sorted(str(path) for path in root.rglob("*") if ".git" not in path.parts),
        )

    before = state()
    host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")
    host(root).propose({}, "Forget a")

    assert state() == before
    assert "staged.txt" not in files_on(root)
    assert files_on(root)["domain.yml"] == "intents: []"


def test_the_same_files_make_no_second_commit(root: Path) -> None:
    first = host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")

    assert host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a") is None
    assert git(root, "rev-parse", BRANCH) == first


def test_a_withdrawn_entry_is_removed_and_other_files_stay(root: Path) -> None:
    host(root).propose({"entry-a.yml": "a: 1\n", "entry-größe-b.yml": "b: 1\n"}, "Learn")
    host(root).propose({"entry-a.yml": "a: 2\n"}, "Change a, forget b")

    assert {name: text for name, text in files_on(root).items() if name.startswith(FOLDER)} == {
        f"{FOLDER}/learning.yml": "seed: 1",
        f"{FOLDER}/entry-a.yml": "a: 2",
    }
    assert int(git(root, "rev-list", "--count", f"main..{BRANCH}")) == 2


def test_what_a_reviewer_added_to_the_branch_stays(root: Path) -> None:
    host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")
    git(root, "checkout", "-q", BRANCH)
    (root / FOLDER / "notes.yml").write_text("by hand\n")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "notes")
    git(root, "checkout", "-q", "main")
    host(root).propose({"entry-a.yml": "a: 1\n", "entry-b.yml": "b: 1\n"}, "Learn b")

    assert f"{FOLDER}/notes.yml" in files_on(root)


def test_after_a_merge_the_branch_starts_again_from_where_the_project_is(root: Path) -> None:
    host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")
    git(root, "merge", "-q", "--no-ff", "-m", "merge", BRANCH)
    (root / "domain.yml").write_text("intents: [new]\n")
    git(root, "commit", "-q", "-a", "-m", "work")
    assert host(root).propose({"entry-a.yml": "a: 1\n"}, "nothing") is None
    host(root).propose({"entry-a.yml": "a: 1\n", "entry-b.yml": "b: 1\n"}, "Learn b")

    assert files_on(root)["domain.yml"] == "intents: [new]"
    assert git(root, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_a_project_in_a_folder_of_a_repository_keeps_its_place(root: Path) -> None:
    (root / "bots" / "shop").mkdir(parents=True)
    host(root / "bots" / "shop").propose({"entry-a.yml": "a: 1\n"}, "Learn a")

    assert "bots/shop/data/learned/entry-a.yml" in files_on(root)


def test_a_detached_head_is_fine(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")

    assert host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")


def test_a_branch_that_is_checked_out_is_not_moved_under_its_owner(root: Path) -> None:
    host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")
    git(root, "checkout", "-q", BRANCH)
    with pytest.raises(PublishError, match=r"is checked out.*switch to another branch.*stays live"):
        host(root).propose({"entry-b.yml": "b: 1\n"}, "Learn b")

    assert git(root, "status", "--porcelain") == ""


def test_no_repository_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"is no git repository.*run `git init` there; what was approved stays live"):
        host(tmp_path).propose({"entry-a.yml": "a: 1\n"}, "Learn a")


def test_a_repository_without_a_commit_says_what_to_do(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")

    with pytest.raises(PublishError, match=r"has no commit yet.*commit the project once"):
        host(tmp_path).propose({"entry-a.yml": "a: 1\n"}, "Learn a")


def test_what_git_refuses_is_told_in_its_words(root: Path) -> None:
    git(root, "branch", "evergreen")
    with pytest.raises(PublishError, match=f"branch {BRANCH}: could not be written") as caught:
        host(root).propose({"entry-a.yml": "a: 1\n"}, "Learn a")

    assert "\n" not in str(caught.value)
    assert git(root, "branch", "--list", BRANCH) == ""
