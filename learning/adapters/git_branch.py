"""The review host that works everywhere: commits on a branch of the project's own repository.

The work tree, the index and the branch that is checked out are never touched: the commit is made from
objects alone, so that a developer can go on working while somebody approves.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import git

from learning.errors import PublishError

AUTHOR = {"GIT_AUTHOR_NAME": "Evergreen", "GIT_AUTHOR_EMAIL": "evergreen@localhost"}
COMMITTER = {"GIT_COMMITTER_NAME": "Evergreen", "GIT_COMMITTER_EMAIL": "evergreen@localhost"}


class GitBranch:
    """Keeps `data/learned/` on `branch` as it is published.

    Args:
        root: a folder inside the repository; `folder` in `propose` is relative to it.
        branch: made from HEAD when absent, or when all of it has been merged.

    """

    def __init__(self, root: Path, branch: str, folder: str) -> None:
        self._root = root.resolve()
        self._branch = branch
        self._folder = folder

    def propose(self, files: Mapping[str, str], message: str) -> str | None:
        """Commit `files` (name -> text) as the learned files; return the commit, None if nothing changed.

        Raises:
            PublishError: this is no git repository, or git refused.

        """
        try:
            repository = git.Repo(self._root, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise PublishError(
                "is no git repository, so that there is no branch to review",
                str(self._root),
                "run `git init` there; what was approved stays live",
            ) from error
        try:
            return self._commit(repository, files, message)
        except git.GitCommandError as error:
            reason = str(error.stderr).strip().splitlines()[-1:] or [str(error)]
            raise PublishError(
                f"could not be written ({reason[0]})",
                f"branch {self._branch}",
                "correct the repository; what was approved stays live",
            ) from error
        finally:
            repository.close()

    def _commit(self, repository: git.Repo, files: Mapping[str, str], message: str) -> str | None:
        plumbing = repository.git
        if not repository.head.is_valid():
            raise PublishError("has no commit yet", str(self._root), "commit the project once")
        if not repository.head.is_detached and repository.active_branch.name == self._branch:
            raise PublishError(
                "is checked out, and its files would change under you",
                f"branch {self._branch}",
                "switch to another branch and run `python -m learning publish`; what was approved stays live",
            )
        top = Path(repository.working_tree_dir or self._root)
        folder = (self._root / self._folder).relative_to(top.resolve()).as_posix()
        base = self._base(repository)
        with tempfile.TemporaryDirectory() as scratch:
            environment = {**os.environ, "GIT_INDEX_FILE": str(Path(scratch) / "index"), **AUTHOR, **COMMITTER}
            with plumbing.custom_environment(**environment):
                plumbing.read_tree(base)
                for name, text in files.items():
                    blob_file = Path(scratch) / "blob"
                    blob_file.write_text(text, "utf-8")
                    blob = plumbing.hash_object("-w", str(blob_file))
                    plumbing.update_index("--add", "--cacheinfo", f"100644,{blob},{folder}/{name}")
                # Without -z git would quote a name that is not ASCII, and it would not be found again.
                for path in plumbing.ls_files("-z", "--", folder).split("\0"):
                    name = path.removeprefix(f"{folder}/")
                    if is_entry_file(name) and name not in files:
                        plumbing.update_index("--force-remove", path)
                tree = plumbing.write_tree()
                if tree == plumbing.rev_parse(f"{base}^{{tree}}"):
                    return None
                commit = str(plumbing.commit_tree(tree, "-p", base, "-m", message))
                # The old value makes the update fail, not overwrite, if somebody pushed there meanwhile.
                old = repository.heads[self._branch].commit.hexsha if self._branch in repository.heads else "0" * 40
                plumbing.update_ref(f"refs/heads/{self._branch}", commit, old)
        return commit

    def _base(self, repository: git.Repo) -> str:
        head = repository.head.commit
        if self._branch not in repository.heads:
            return head.hexsha
        tip = repository.heads[self._branch].commit
        return head.hexsha if repository.is_ancestor(tip, head) else tip.hexsha


def is_entry_file(name: str) -> bool:
    """Whether a file of `data/learned/` was written by publishing (others are left alone)."""
    return name.startswith("entry-") and name.endswith(".yml")
