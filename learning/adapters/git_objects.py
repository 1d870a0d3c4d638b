"""Commits made from objects alone: work tree, index and whatever is checked out are never touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import git

from learning.errors import ProjectError

AUTHOR = {"GIT_AUTHOR_NAME": "Evergreen", "GIT_AUTHOR_EMAIL": "evergreen@localhost"}
COMMITTER = {"GIT_COMMITTER_NAME": "Evergreen", "GIT_COMMITTER_EMAIL": "evergreen@localhost"}


def folder_in(repository: git.Repo, root: Path, folder: str) -> str:
    """Return `folder`, which is relative to `root`, as a path from the repository's top."""
    top = Path(repository.working_tree_dir or root)
    return (root / folder).relative_to(top.resolve()).as_posix()


def path_in_repository(root: Path, folder: str) -> str:
    """Return that path, too; where there is no repository, `root` is taken for its top."""
    try:
        with git.Repo(root, search_parent_directories=True) as repository:
            return folder_in(repository, root.resolve(), folder)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        return folder


def export(root: Path, ref: str, target: Path) -> Path:
    """Write everything that is in a commit below `target`; return where the project `root` is there.

    Raises:
        ProjectError: there is no repository, no such commit, or the project is not in it.

    """
    try:
        with git.Repo(root, search_parent_directories=True) as repository, tempfile.TemporaryDirectory() as scratch:
            commit = repository.git.rev_parse("--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
            folder = folder_in(repository, root.resolve(), ".")
            target.mkdir(parents=True, exist_ok=True)
            environment = {**os.environ, "GIT_INDEX_FILE": str(Path(scratch) / "index")}
            with repository.git.custom_environment(**environment):
                repository.git.read_tree(commit)
                repository.git.checkout_index("--all", f"--prefix={target.resolve()}/")
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        raise ProjectError("is no git repository", str(root), "run this where the project is checked out") from error
    except git.GitCommandError as error:
        raise ProjectError("is no commit here", f"--base {ref}", "fetch it first, or name another one") from error
    if not (target / folder).is_dir():
        raise ProjectError(f"does not hold {folder}", f"--base {ref}", "name a commit that has the project")
    return target / folder


def names_in(repository: git.Repo, commit: str, folder: str) -> list[str]:
    """Return the names of the files that lie directly in a folder of a commit."""
    # Without -z git would quote a name that is not ASCII, and it would not be found again.
    listed = repository.git.ls_tree("-z", "--name-only", commit, "--", f"{folder}/").split("\0")
    return [path.removeprefix(f"{folder}/") for path in listed if path]


def commit_files(
    repository: git.Repo, parent: str, folder: str, files: Mapping[str, str | None], message: str
) -> str | None:
    """Return a commit after `parent` in which `files` of a folder have these texts, None where all is so already.

    A file whose text is None is not there any more.
    """
    plumbing = repository.git
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(scratch) / "index"), **AUTHOR, **COMMITTER}
        with plumbing.custom_environment(**environment):
            plumbing.read_tree(parent)
            for name, text in files.items():
                path = name if folder == "." else f"{folder}/{name}"
                if text is None:
                    plumbing.update_index("--force-remove", "--", path)
                    continue
                blob_file = Path(scratch) / "blob"
                blob_file.write_bytes(text.encode("utf-8"))
                blob = plumbing.hash_object("-w", "--no-filters", str(blob_file))
                plumbing.update_index("--add", "--cacheinfo", f"100644,{blob},{path}")
            tree = plumbing.write_tree()
            if tree == plumbing.rev_parse(f"{parent}^{{tree}}"):
                return None
            return str(plumbing.commit_tree(tree, "-p", parent, "-m", message))
