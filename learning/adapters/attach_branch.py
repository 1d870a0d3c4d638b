"""The change that attaches a project: as commits on a branch of its own, as a patch, or written into its files."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import git

from learning.adapters.git_objects import commit_files, folder_in, path_in_repository
from learning.errors import ProjectError

BRANCH = "evergreen/attach"
Texts = Mapping[str, "tuple[str | None, str]"]  # path -> what a file held (None: there was none), and what it holds


def commit_steps(root: Path, steps: Sequence[tuple[str, Texts]]) -> list[str]:
    """Put each step as a commit on the branch, from HEAD on; return the commits, none if the branch has all of it.

    Neither the work tree nor what is checked out is touched.

    Args:
        root: the project's folder.
        steps: a message, and what changes with it.

    Raises:
        ProjectError: there is no repository or no commit, a file has changes that are not committed, or the branch
            holds something else.

    """
    try:
        with git.Repo(root, search_parent_directories=True) as repository:
            return _commit(repository, root, steps)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise ProjectError(
            "is no git repository, so that there is no branch to review",
            str(root),
            "write the change with --diff or --apply, or run `git init` and commit the project",
        ) from error
    except git.GitCommandError as error:
        reason = (str(error.stderr).strip().splitlines() or [str(error)])[-1]
        raise ProjectError(f"could not be written ({reason})", f"branch {BRANCH}", "correct the repository") from error


def is_in_git(root: Path) -> bool:
    """Whether a project can have a branch: it is in a git repository with a commit."""
    try:
        with git.Repo(root, search_parent_directories=True) as repository:
            return repository.head.is_valid()
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return False


def _commit(repository: git.Repo, root: Path, steps: Sequence[tuple[str, Texts]]) -> list[str]:
    if not repository.head.is_valid():
        raise ProjectError("has no commit yet", str(root), "commit the project once")
    if repository.git.for_each_ref("--format=%(worktreepath)", f"refs/heads/{BRANCH}"):
        raise ProjectError(
            "is checked out, and its files would change under you", f"branch {BRANCH}", "switch to another"
        )
    head = repository.head.commit
    folder = folder_in(repository, root.resolve(), ".")
    unix = set()  # files that git gives other line breaks in the work tree than it keeps
    for path, (before, _) in _first_texts(steps).items():
        kept = _text_in(repository, head, path if folder == "." else f"{folder}/{path}")
        if kept is not None and before is not None and kept != before and kept == before.replace("\r\n", "\n"):
            unix.add(path)
        elif kept != before:
            raise _not_committed(repository, root / path)
    tip, commits = head.hexsha, []
    for message, texts in steps:
        files = {path: after.replace("\r\n", "\n") if path in unix else after for path, (_, after) in texts.items()}
        made = commit_files(repository, tip, folder, files, message)
        if made is not None:
            tip = made
            commits.append(made)
    if BRANCH in repository.heads and not repository.is_ancestor(repository.heads[BRANCH].commit, head):
        if repository.heads[BRANCH].commit.tree == repository.commit(tip).tree:
            return []
        raise ProjectError(
            "is there already and holds something else",
            f"branch {BRANCH}",
            f"merge it, or run `git branch -D {BRANCH}`",
        )
    if commits:
        old = repository.heads[BRANCH].commit.hexsha if BRANCH in repository.heads else "0" * 40
        repository.git.update_ref(f"refs/heads/{BRANCH}", tip, old)
    return commits


def write_files(root: Path, steps: Sequence[tuple[str, Texts]]) -> None:
    """Write what the steps change into the project's files.

    Raises:
        ProjectError: a file cannot be written, or has changed since it was read.

    """
    for path, (before, _) in _first_texts(steps).items():
        present = (root / path).read_bytes().decode("utf-8") if (root / path).is_file() else None
        if present != before:
            raise ProjectError("has changed meanwhile", str(root / path), "attach again")
    for _, texts in steps:
        for path, (_, after) in texts.items():
            try:
                _put(root / path, after.encode("utf-8"))
            except OSError as error:
                raise ProjectError(
                    f"cannot be written ({error.strerror})", str(root / path), "check the rights, then attach again"
                ) from error


def _put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a full disk must not leave half of what somebody wrote."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def as_patch(root: Path, steps: Sequence[tuple[str, Texts]]) -> str:
    """Return all the steps as one patch for `git apply`; outside of git for `patch -p1`, in the project's folder."""
    # Git takes paths from the repository's top, and leaves out without a word what it does not find.
    folder = path_in_repository(root, ".")
    within = "" if folder == "." else f"{folder}/"
    last: dict[str, str] = {path: after for _, texts in steps for path, (_, after) in texts.items()}
    parts: list[str] = []
    for path, (before, _) in _first_texts(steps).items():
        name = f"{within}{path}"
        parts.append(f"diff --git a/{name} b/{name}\n")
        if before is None:
            parts.append("new file mode 100644\n")
        lines = difflib.unified_diff(
            _lines(before or ""),
            _lines(last[path]),
            "/dev/null" if before is None else f"a/{name}",
            f"b/{name}",
        )
        parts += [line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)


def _first_texts(steps: Sequence[tuple[str, Texts]]) -> dict[str, tuple[str | None, str]]:
    """Return each file as the first step that changes it finds it."""
    found: dict[str, tuple[str | None, str]] = {}
    for _, texts in steps:
        for path, both in texts.items():
            found.setdefault(path, both)
    return found


def _lines(text: str) -> list[str]:
    """Return lines as git counts them: what else breaks a line to Python is a part of one."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _not_committed(repository: git.Repo, path: Path) -> ProjectError:
    if repository.ignored(str(path)):  # it may hold passwords, and nobody should be told to commit it
        return ProjectError("is ignored by git, so that no branch can change it", str(path), "write it with --apply")
    return ProjectError("has changes that are not committed", str(path), "commit it, then attach again")


def _text_in(repository: git.Repo, commit: git.Commit, path: str) -> str | None:
    try:
        blob = commit.tree / path
    except KeyError:
        return None
    content: bytes = blob.data_stream.read()
    return content.decode("utf-8", "replace")
