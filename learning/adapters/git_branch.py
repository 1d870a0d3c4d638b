"""The review host that works everywhere: commits on a branch of the project's own repository.

The work tree, the index and the branch that is checked out are never touched: the commit is made from
objects alone, so that a developer can go on working while somebody approves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import git

from learning.adapters.git_objects import commit_files, folder_in, names_in
from learning.errors import PublishError
from learning.publish import proposal_of


class GitBranch:
    """Keeps `data/learned/` on `branch` as it is published.

    Args:
        root: a folder inside the repository; `folder` in `propose` is relative to it.
        branch: made from HEAD when absent, or when all of it has been merged.
        upstream: a ref such as `origin/main` that is taken in place of HEAD where it is ahead of that: what was merged
            elsewhere is no difference any more.

    """

    def __init__(self, root: Path, branch: str, folder: str, upstream: str | None = None) -> None:
        self._root = root.resolve()
        self._branch = branch
        self._folder = folder
        self._upstream = upstream

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
        folder = folder_in(repository, self._root, self._folder)
        base = self._base(repository)
        present = [name for name in names_in(repository, base, folder) if is_entry_file(name)]
        # A label that was changed in review is no reason to give a file another name.
        named = {proposal_of(name): name for name in present if proposal_of(name)}
        wanted: dict[str, str | None] = {named.get(proposal_of(name), name): text for name, text in files.items()}
        gone: dict[str, str | None] = {name: None for name in present if name not in wanted}
        commit = commit_files(repository, base, folder, {**wanted, **gone}, message)
        if commit is not None:
            # The old value makes the update fail, not overwrite, if somebody pushed there meanwhile.
            old = repository.heads[self._branch].commit.hexsha if self._branch in repository.heads else "0" * 40
            plumbing.update_ref(f"refs/heads/{self._branch}", commit, old)
        return commit

    def _base(self, repository: git.Repo) -> str:
        start = self._start(repository)
        if self._branch not in repository.heads:
            return start.hexsha
        tip = repository.heads[self._branch].commit
        return start.hexsha if repository.is_ancestor(tip, start) else tip.hexsha

    def _start(self, repository: git.Repo) -> git.Commit:
        head = repository.head.commit
        if self._upstream is None:
            return head
        try:
            upstream = repository.commit(self._upstream)
        except (git.BadName, git.GitCommandError, ValueError):  # never fetched
            return head
        return upstream if repository.is_ancestor(head, upstream) else head


def is_entry_file(name: str) -> bool:
    """Whether a file of `data/learned/` was written by publishing (others are left alone)."""
    return name.startswith("entry-") and name.endswith(".yml")
