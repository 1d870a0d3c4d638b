"""Pull requests on a plain git remote, where a branch is all there is: works offline and with any server.

What became of a branch is read from the remote: it is merged when the base contains it, or its files as they are on it
(a squashed merge), and closed when it was deleted and none of its files is in the base. There are no comments and no
labels; a conflict is told by `python -m learning pulls list` alone. Access is git's own (SSH keys, credential helpers).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import git

from learning.adapters.git_objects import commit_files, folder_in, names_in
from learning.entry_files import mark_of
from learning.errors import HostError, PullRefused
from learning.model import PullComment, PullRequest, PullSeen
from learning.publish import proposal_of

TIMEOUT = 60  # seconds that the remote has to answer
IN_BASE = "brings nothing: all of it is in the base already"
SET_BACK = "its branch holds nothing any more but what is in the base, and no commit there has its files"
SEEN = "refs/evergreen/pulls/"  # where the remote's branches are kept


class GitRemote:
    """Branches on a remote of the project's own repository.

    Args:
        root: a folder inside the repository; `folder` is relative to it.
        folder: where learned files are.
        remote: the remote's name.
        base: the branch there that others are merged into.

    """

    name = "git"

    def __init__(self, root: Path, folder: str, remote: str, base: str) -> None:
        self._root = root.resolve()
        self._folder = folder
        self._remote = remote
        self._base = base

    def refresh(self) -> None:
        """Fetch the base and all branches of pull requests; those that are gone there go here, too."""
        with self._repository("fetched") as repository:
            self._there(
                repository,
                "fetch",
                *("--prune", "--no-tags", self._remote),
                f"+refs/heads/evergreen/*:{SEEN}*",
                f"+refs/heads/{self._base}:{self._base_ref}",
            )

    def base(self) -> str:
        """Return the commit that pull requests are to be merged into."""
        with self._repository("read") as repository:
            commit = _commit(repository, self._base_ref)
        if not commit:
            raise HostError("is not there", f"{self._remote}/{self._base}", "correct pull_requests.base")
        return commit

    def read(self, commit: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of those files that exist in a commit."""
        if not commit:
            return {}
        with self._repository("read") as repository:
            tree: Any = repository.commit(commit).tree
            folder = folder_in(repository, self._root, self._folder)
            found = {}
            for name in names:
                with contextlib.suppress(KeyError):
                    found[name] = (tree / f"{folder}/{name}").data_stream.read().decode("utf-8", "replace")
            return found

    def names(self, commit: str) -> list[str]:
        """Return the names of all files in the folder in a commit."""
        with self._repository("read") as repository:
            return names_in(repository, commit, folder_in(repository, self._root, self._folder))

    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch, empty without one."""
        with self._repository("read") as repository:
            return _commit(repository, _kept(branch))

    def write(self, branch: str, files: Mapping[str, str | None], message: str, body: str) -> str:
        """Push a commit on a branch; `body` goes into its message, since there is no other place for it."""
        with self._repository(f"pushed to {branch}") as repository:
            old = _commit(repository, _kept(branch))
            parent = old or self.base()
            folder = folder_in(repository, self._root, self._folder)
            commit = commit_files(repository, parent, folder, files, f"{message}\n\n{body}\n") or parent
            if not old and commit == parent:
                raise PullRefused(IN_BASE, f"branch {branch}", "decide about it in the hub")
            if commit != old:
                # The lease makes the push fail, not overwrite, if somebody pushed there meanwhile.
                lease = f"--force-with-lease=refs/heads/{branch}:{old}"
                self._there(repository, "push", lease, self._remote, f"{commit}:refs/heads/{branch}")
                repository.git.update_ref(_kept(branch), commit)
            return commit

    def open(self, branch: str, title: str, body: str, since: datetime) -> tuple[int | None, str]:
        """Return where the branch is; there is nothing else to open."""
        return None, f"{self._remote}/{branch}"

    def look(self, pull: PullRequest) -> PullSeen:
        """Return what became of a branch, as far as it was fetched."""
        base, tip = self.base(), self.tip(pull.branch)
        with self._repository("read") as repository:
            ours = set(pull.proposals.values())
            renamed = [name for name in self.names(base) if proposal_of(name) in ours]
            there = self.read(base, {*pull.files, *renamed})
            if not tip:  # deleted: file names are of their proposals alone, so that one in the base was merged
                return PullSeen("merged", base, self._writer(repository, base, there)) if there else PullSeen("closed")
            here = self.read(tip, pull.files)
            merge = self._merge(repository, tip, base)
            if merge and (here or self._writer(repository, base, pull.files)):
                return PullSeen("merged", merge, _author(repository, merge))
            if merge:  # a branch that was set back to the base is part of it, too
                return PullSeen("open", tip, problem=SET_BACK)
            squashed = bool(here) and {name: mark_of(text) for name, text in here.items()} == {
                name: mark_of(text) for name, text in there.items()
            }
            if squashed:
                return PullSeen("merged", base, self._writer(repository, base, there))
            return PullSeen("open", tip)

    def describe(self, pull: PullRequest, title: str, body: str) -> None:
        """Do nothing: a branch has no text."""

    def comments(self, pull: PullRequest) -> list[PullComment]:
        """Return nothing: a branch has no comments."""
        return []

    def comment(self, pull: PullRequest, text: str) -> None:
        """Do nothing: `pulls list` shows conflicts."""

    def labeled_by(self, pull: PullRequest, label: str) -> str:
        """Return nobody: a branch has no labels."""
        return ""

    def unlabel(self, pull: PullRequest, label: str) -> None:
        """Do nothing."""

    def close(self, pull: PullRequest) -> None:
        """Delete the branch, unless somebody has pushed there since it was looked at."""
        with self._repository(f"deleted {pull.branch}") as repository:
            old = _commit(repository, _kept(pull.branch))
            if old:
                lease = f"--force-with-lease=refs/heads/{pull.branch}:{old}"
                self._there(repository, "push", lease, self._remote, f":refs/heads/{pull.branch}")
                repository.git.update_ref("-d", _kept(pull.branch))

    @property
    def _base_ref(self) -> str:
        return f"refs/remotes/{self._remote}/{self._base}"

    @contextlib.contextmanager
    def _repository(self, doing: str) -> Iterator[git.Repo]:
        try:
            repository = git.Repo(self._root, search_parent_directories=True)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise HostError(
                "is no git repository", str(self._root), "run `git init` there, or leave pull_requests.host empty"
            ) from error
        try:
            yield repository
        except git.GitCommandError as error:
            raise PullRefused(
                f"could not be {doing} ({_reason(error)})",
                f"git remote {self._remote}",
                "look at the remote; it is tried again at the next run",
            ) from None
        finally:
            repository.close()

    def _there(self, repository: git.Repo, *command: str) -> None:
        """Run a command that talks to the remote: it must neither ask for a password nor hang."""
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": _ssh(), "LC_ALL": "C"}
        try:
            repository.git.execute(["git", *command], env=quiet, kill_after_timeout=TIMEOUT)
        except git.GitCommandError as error:
            if command[0] == "push" and ("stale info" in str(error.stderr) or "rejected" in str(error.stderr)):
                raise  # somebody else has pushed: the next run reads that
            raise HostError(
                f"did not {command[0]} ({_reason(error)})",
                f"git remote {self._remote}",
                "check its address and your access to it with `git fetch`",
            ) from None

    def _merge(self, repository: git.Repo, tip: str, base: str) -> str:
        """Return the commit that brought `tip` into the base, empty if none did."""
        if not _contains(repository, base, tip):
            return ""
        line = repository.git.rev_list("--first-parent", base).splitlines()
        if tip in line:
            return tip  # a fast forward
        # From some commit on all contain it: the first of them is looked for by halves.
        new, old = 0, len(line)
        while old - new > 1:
            middle = (old + new) // 2
            new, old = (middle, old) if _contains(repository, line[middle], tip) else (new, middle)
        return str(line[new])

    def _writer(self, repository: git.Repo, base: str, files: Collection[str]) -> str:
        """Return who brought these files into the base."""
        folder = folder_in(repository, self._root, self._folder)
        paths = [f"{folder}/{name}" for name in files]
        for line in ("--first-parent", "--full-history"):  # a merge that leaves a file out does not touch it
            found = repository.git.rev_list("--max-count=1", line, base, "--", *paths)
            if found:
                return _author(repository, found)
        return ""


def _kept(branch: str) -> str:
    return SEEN + branch.removeprefix("evergreen/")


def _commit(repository: git.Repo, ref: str) -> str:
    try:
        return str(repository.git.rev_parse("--verify", "--quiet", f"{ref}^{{commit}}"))
    except git.GitCommandError:
        return ""


def _contains(repository: git.Repo, commit: str, older: str) -> bool:
    return bool(repository.is_ancestor(repository.commit(older), repository.commit(commit)))


def _author(repository: git.Repo, commit: str) -> str:
    return str(repository.git.show("--no-patch", "--format=%an", commit)).strip()


def _reason(error: git.GitCommandError) -> str:
    """Return git's last words; an address in them may hold a password."""
    lines = [line for line in str(error.stderr or "").strip(" \n'").splitlines() if line.strip()]
    words = [word for word in (lines[-1] if lines else "no output").split() if "://" not in word]
    return " ".join(words).strip("'\" ")


def _ssh() -> str:
    return os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20")
