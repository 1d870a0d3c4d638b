"""Pull requests on GitHub, or GitHub Enterprise, through PyGithub; branches are written through the API, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import requests
from github import Auth, Github, GithubException, InputGitTreeElement
from github.Repository import Repository
from urllib3.util import Retry

from learning.adapters.pull_http import (
    IN_BASE,
    NO_MERGE,
    REDIRECTS,
    TIMEOUT,
    Caller,
    Fault,
    closing_problem,
    seconds,
    target_problem,
    understood,
)
from learning.errors import PullRefused
from learning.model import PullComment, PullRequest, PullSeen

API = "https://api.github.com"
SCOPE = "`contents` and `pull requests` to read and write (a classic one: `repo`)"
TEAM = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
CLOCKS = timedelta(minutes=5)  # by which the host's may be behind ours


class GitHub:
    """One repository on GitHub.

    Args:
        repository: owner/name.
        token: of somebody who may write there.
        base: the branch that pull requests are merged into.
        folder: where learned files are, from the repository's top.
        url: base of the API.
        sleep: waits so many seconds.
        pause: seconds between writing calls, as GitHub asks for.

    """

    name = "github"

    def __init__(
        self,
        repository: str,
        token: str,
        base: str,
        folder: str,
        url: str = "",
        sleep: Callable[[float], None] = time.sleep,
        pause: float = 1.0,
    ) -> None:
        client = Github(
            auth=Auth.Token(token) if token else None,
            base_url=(url or API).rstrip("/"),
            timeout=TIMEOUT,
            # `Caller` knows what may be done twice; a redirection is an error, since following it would lose `?ref=`.
            retry=Retry(total=0, read=False, status_forcelist=REDIRECTS, allowed_methods=None),
            seconds_between_requests=0,
            seconds_between_writes=pause,
            user_agent="evergreen",
            per_page=100,
        )
        # Asked for nothing at construction: its address is all that is needed of it.
        self._repo = Repository(client.requester, {}, {"url": f"/repos/{repository}"}, completed=True)
        self._owner = repository.partition("/")[0]
        self._base = base
        self._folder = folder
        self._host = Caller(f"GitHub repository {repository}", SCOPE, fault_of, sleep)

    def refresh(self) -> None:
        """Do nothing: every call asks anew."""

    @understood
    def base(self) -> str:
        """Return the commit that pull requests are to be merged into."""
        return self._host.call(
            lambda: str(self._repo.get_git_ref(f"heads/{self._base}").object.sha), f"read branch {self._base}"
        )

    @understood
    def read(self, commit: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of those files that exist in a commit."""
        found = {}
        for name in names if commit else ():
            path = f"{self._folder}/{name}"
            item: Any = self._host.find(partial(self._repo.get_contents, path, ref=commit), f"read {path}")
            if item is None:
                # A 404 is also what a commit that cannot be seen gives: gone is what the commit's tree lacks.
                if name in self.names(commit):
                    raise PullRefused("is there and cannot be read", f"file {path}", "look at it there")
            elif not isinstance(item, list):
                found[name] = _text(item, path)
        return found

    @understood
    def names(self, commit: str) -> list[str]:
        """Return the names of all files in the folder in a commit."""
        what = f"read commit {commit}"
        sha = self._host.call(lambda: str(self._repo.get_git_commit(commit).tree.sha), what)
        for part in self._folder.split("/"):
            below = [item for item in self._tree(sha, what) if item.path == part and item.type == "tree"]
            if not below:
                return []
            sha = str(below[0].sha)
        return [item.path for item in self._tree(sha, what) if item.type != "tree"]

    @understood
    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch, empty without one."""
        ref = self._host.find(
            lambda: str(self._repo.get_git_ref(f"heads/{branch}").object.sha), f"read branch {branch}"
        )
        return ref or ""

    @understood
    def write(self, branch: str, files: Mapping[str, str | None], message: str, body: str) -> str:
        """Commit files on a branch; the pull request itself has `body`."""
        old = self.tip(branch)
        parent = old or self.base()
        there = self.read(parent, files)
        changed = {name: text for name, text in files.items() if there.get(name) != text}
        if not changed:
            if not old:
                raise PullRefused(IN_BASE, f"branch {branch}", "decide about it in the hub")
            return parent
        what = f"commit on branch {branch}"
        elements = [_element(f"{self._folder}/{name}", text) for name, text in changed.items()]
        before = self._host.call(lambda: self._repo.get_git_commit(parent), what)
        # Trees and commits that nobody refers to do no harm: making them twice is safe.
        tree = self._host.call(lambda: self._repo.create_git_tree(elements, before.tree), what)
        commit = self._host.call(lambda: self._repo.create_git_commit(message, tree, [before]), what)
        if old:
            # Not forced: where somebody has pushed meanwhile GitHub refuses.
            ref = self._host.call(lambda: self._repo.get_git_ref(f"heads/{branch}"), what)
            self._host.call(lambda: ref.edit(commit.sha, force=False), what)
        else:
            self._host.call(lambda: self._repo.create_git_ref(f"refs/heads/{branch}", commit.sha), what, safe=False)
        return str(commit.sha)

    @understood
    def open(self, branch: str, title: str, body: str, since: datetime) -> tuple[int | None, str]:
        """Return the pull request of a branch; one made after `since` is not made again."""
        what = f"open a pull request for {branch}"
        head = f"{self._owner}:{branch}"
        found = self._host.call(lambda: list(self._repo.get_pulls(state="all", head=head, base=self._base)), what)
        ours = [pull for pull in found if pull.head.ref == branch and _utc(pull.created_at) > since - CLOCKS]
        if ours:
            pull = max(ours, key=lambda item: item.number)
        else:
            pull = self._host.call(
                lambda: self._repo.create_pull(self._base, branch, title=title, body=body), what, safe=False
            )
        return pull.number, pull.html_url

    @understood
    def look(self, pull: PullRequest) -> PullSeen:
        """Return what became of a pull request."""
        found = self._get(pull)
        labels = frozenset(label.name for label in found.labels)
        problem = target_problem(found.base.ref, self._base)
        if found.merged:
            if not found.merge_commit_sha:
                raise PullRefused(NO_MERGE, f"pull request {pull.number}", "the next run reads it")
            who = found.merged_by.login if found.merged_by else ""
            return PullSeen("merged", found.merge_commit_sha, who, labels, found.body or "", problem)
        if found.state != "open":
            issue = self._host.call(lambda: self._repo.get_issue(found.number), f"read pull request {found.number}")
            by = issue.closed_by
            who, kind = (by.login, by.type) if by else ("", "")
            problem = problem or closing_problem(who, kind, bool(self.tip(self._base)))
            return PullSeen("closed", "", who, labels, found.body or "", problem)
        return PullSeen("open", found.head.sha, "", labels, found.body or "", problem)

    @understood
    def describe(self, pull: PullRequest, title: str, body: str) -> None:
        """Give it another title and text."""
        found = self._get(pull)
        self._host.call(lambda: found.edit(title=title, body=body), f"edit pull request {pull.number}")

    @understood
    def comments(self, pull: PullRequest) -> list[PullComment]:
        """Return what people said of it, the oldest first."""
        found = self._get(pull)
        said = self._host.call(lambda: list(found.get_issue_comments()), f"read pull request {pull.number}")
        return [PullComment(item.user.login if item.user else "", item.body or "", _by_team(item)) for item in said]

    @understood
    def comment(self, pull: PullRequest, text: str) -> None:
        """Say something about it."""
        found = self._get(pull)
        self._host.call(lambda: found.create_issue_comment(text), f"comment on {pull.number}", safe=False)

    @understood
    def labeled_by(self, pull: PullRequest, label: str) -> str:
        """Return who has put a label on it last."""
        found = self._get(pull)
        events = self._host.call(lambda: list(found.get_issue_events()), f"read pull request {pull.number}")
        by = [item.actor for item in events if item.event == "labeled" and item.label and item.label.name == label]
        return by[-1].login if by and by[-1] else ""

    @understood
    def unlabel(self, pull: PullRequest, label: str) -> None:
        """Take a label off."""
        found = self._get(pull)
        if any(one.name == label for one in found.labels):
            self._host.call(lambda: found.remove_from_labels(label), f"take a label off {pull.number}")

    @understood
    def close(self, pull: PullRequest) -> None:
        """Close it unmerged and delete its branch."""
        found = self._get(pull)
        if found.state == "open":
            self._host.call(lambda: found.edit(state="closed"), f"close pull request {pull.number}")
        if self.tip(pull.branch):
            what = f"delete branch {pull.branch}"
            ref = self._host.call(lambda: self._repo.get_git_ref(f"heads/{pull.branch}"), what)
            self._host.call(ref.delete, what)

    def _get(self, pull: PullRequest) -> Any:
        if pull.number is None:
            raise PullRefused("has no number", f"pull request {pull.pull_id}", "it is opened by the next run")
        number = pull.number
        found = self._host.call(lambda: self._repo.get_pull(number), f"read pull request {number}")
        if found.number != number or found.state not in ("open", "closed"):
            raise ValueError("no pull request")
        return found

    def _tree(self, sha: str, what: str) -> list[Any]:
        tree = self._host.call(lambda: self._repo.get_git_tree(sha), what)
        if tree.raw_data.get("truncated"):
            raise PullRefused("holds more files than are told", f"folder {self._folder}", "decide in the hub")
        return list(tree.tree)


def fault_of(error: Exception) -> Fault | None:
    """Return what an error of PyGithub means."""
    if isinstance(error, requests.exceptions.RetryError):
        return Fault(301)
    if isinstance(error, requests.RequestException):
        return Fault(0)
    if not isinstance(error, GithubException):
        return None
    headers = {str(name).lower(): value for name, value in (error.headers or {}).items()}
    said = str(error.data.get("message") or "") if isinstance(error.data, dict) else ""
    wait = seconds(headers.get("retry-after"))
    limited = error.status == 429 or (
        error.status == 403
        and (wait is not None or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in said)
    )
    if limited and wait is None and (reset := seconds(headers.get("x-ratelimit-reset"))) is not None:
        wait = max(0.0, reset - time.time()) + 1
    return Fault(error.status, said, wait, limited)


def _element(path: str, text: str | None) -> InputGitTreeElement:
    """Return an entry of a tree: the file with this text, or without one the file's absence."""
    if text is None:
        return InputGitTreeElement(path, "100644", "blob", sha=None)
    return InputGitTreeElement(path, "100644", "blob", content=text)


def _text(item: Any, path: str) -> str:
    try:
        content: bytes = item.decoded_content
    except (ValueError, AssertionError) as error:  # no base64, or too large to be sent
        raise PullRefused("came in a form that cannot be read", f"file {path}", "look at it there") from error
    return content.decode("utf-8", "replace")


def _by_team(comment: Any) -> bool:
    """Whether somebody of the team said so: anybody can comment where a repository is public, and programs do."""
    return comment.author_association in TEAM and comment.user is not None and comment.user.type != "Bot"


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
