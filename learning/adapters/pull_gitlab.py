"""Merge requests on GitLab, gitlab.com or one's own, through python-gitlab; branches are written through the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import gitlab
import requests
from gitlab.exceptions import GitlabError

from learning.adapters.pull_http import (
    IN_BASE,
    NO_MERGE,
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

API = "https://gitlab.com"
SCOPE = "the scope `api` and the role Developer"
DEVELOPER = 30  # the access level from which somebody may merge
CLOCKS = timedelta(minutes=5)  # by which the host's may be behind ours
STATES = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}


class _Client(gitlab.Gitlab):
    """Leaves waiting and asking again to `Caller`, which has bounds for both."""

    def http_request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Make one request."""
        return super().http_request(*args, **{**kwargs, "obey_rate_limit": False, "retry_transient_errors": False})


class _Session(requests.Session):
    """Follows no redirection: the token, a header of its own, would go along to wherever it leads."""

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one request."""
        return super().send(request, **{**kwargs, "allow_redirects": False})


class GitLab:
    """One project on GitLab; its merge requests are the pull requests.

    Args:
        repository: group/name.
        token: of somebody who may write there.
        base: the branch that merge requests are merged into.
        folder: where learned files are, from the repository's top.
        url: the server's address.
        sleep: waits so many seconds.

    """

    name = "gitlab"

    def __init__(
        self,
        repository: str,
        token: str,
        base: str,
        folder: str,
        url: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        session = _Session()
        session.hooks["response"].append(self._keep_headers)
        self._headers: Mapping[str, str] = {}
        client = _Client(
            (url or API).rstrip("/"),
            private_token=token or None,
            timeout=TIMEOUT,
            session=session,
            user_agent="evergreen",
            per_page=100,
        )
        self._project: Any = client.projects.get(repository, lazy=True)
        self._base = base
        self._folder = folder
        self._host = Caller(f"GitLab project {repository}", SCOPE, self._fault_of, sleep)

    def refresh(self) -> None:
        """Do nothing: every call asks anew."""

    @understood
    def base(self) -> str:
        """Return the commit that merge requests are to be merged into."""
        return self._host.call(lambda: _id(self._project.branches.get(self._base)), f"read branch {self._base}")

    @understood
    def read(self, commit: str, names: Collection[str]) -> dict[str, str]:
        """Return the texts of those files that exist in a commit."""
        found = self._files(commit, names)
        return {name: file.decode().decode("utf-8", "replace") for name, file in found.items()}

    @understood
    def names(self, commit: str) -> list[str]:
        """Return the names of all files in the folder in a commit."""
        above = ""
        for part in self._folder.split("/"):  # from the top: whoever sees that sees the commit
            if not any(item["name"] == part and item["type"] == "tree" for item in self._tree(above, commit)):
                return []
            above = f"{above}/{part}".strip("/")
        return [str(item["name"]) for item in self._tree(above, commit) if item["type"] != "tree"]

    @understood
    def tip(self, branch: str) -> str:
        """Return the newest commit of a branch, empty without one."""
        return self._host.find(lambda: _id(self._project.branches.get(branch)), f"read branch {branch}") or ""

    @understood
    def write(self, branch: str, files: Mapping[str, str | None], message: str, body: str) -> str:
        """Commit files on a branch; the merge request itself has `body`."""
        old = self.tip(branch)
        parent = old or self.base()
        there = self._files(parent, files)
        actions = []
        for name, text in files.items():
            file = there.get(name)
            if text == (None if file is None else file.decode().decode("utf-8", "replace")):
                continue
            action = {"action": _verb(file, text), "file_path": f"{self._folder}/{name}"}
            # Where somebody has changed the file meanwhile GitLab refuses.
            action |= {"last_commit_id": file.last_commit_id} if file is not None else {}
            actions.append(action | ({"content": text} if text is not None else {}))
        if not actions:
            if not old:
                raise PullRefused(IN_BASE, f"branch {branch}", "decide about it in the hub")
            return parent
        data = {"branch": branch, "commit_message": message, "actions": actions}
        data |= {} if old else {"start_branch": self._base}
        made = self._host.call(lambda: self._project.commits.create(data), f"commit on branch {branch}", safe=False)
        return str(made.id)

    @understood
    def open(self, branch: str, title: str, body: str, since: datetime) -> tuple[int | None, str]:
        """Return the merge request of a branch; one made after `since` is not made again."""
        what = f"open a merge request for {branch}"
        wanted = {"source_branch": branch, "target_branch": self._base}
        found = self._host.call(lambda: self._project.mergerequests.list(state="all", get_all=True, **wanted), what)
        ours = [item for item in found if item.source_branch == branch and _time(item.created_at) > since - CLOCKS]
        if ours:
            pull = max(ours, key=lambda item: int(item.iid))
        else:
            data = {**wanted, "title": title, "description": body, "remove_source_branch": True}
            pull = self._host.call(lambda: self._project.mergerequests.create(data), what, safe=False)
        return int(pull.iid), str(pull.web_url)

    @understood
    def look(self, pull: PullRequest) -> PullSeen:
        """Return what became of a merge request."""
        found = self._get(pull)
        state = STATES[found.state]
        problem = target_problem(found.target_branch, self._base)
        by = {"merged": getattr(found, "merge_user", None) or getattr(found, "merged_by", None)}
        who = (by.get(state) or getattr(found, "closed_by", None) or {}) if state != "open" else {}
        commit = ""
        if state == "merged":
            commit = found.merge_commit_sha or found.squash_commit_sha or found.sha or ""
            if not commit:
                raise PullRefused(NO_MERGE, f"merge request {pull.number}", "the next run reads it")
        elif state == "open":
            commit = self.tip(pull.branch)
        name = str(who.get("username", ""))
        if state == "closed":
            problem = problem or closing_problem(name, "", bool(self.tip(self._base)))
        return PullSeen(state, commit, name, frozenset(found.labels), found.description or "", problem)

    @understood
    def describe(self, pull: PullRequest, title: str, body: str) -> None:
        """Give it another title and text."""
        self._update(pull, {"title": title, "description": body}, "edit")

    @understood
    def comments(self, pull: PullRequest) -> list[PullComment]:
        """Return what people said of it, the oldest first."""
        found = self._get(pull)
        notes = self._host.call(
            lambda: found.notes.list(get_all=True, sort="asc", order_by="created_at"),
            f"read merge request {pull.number}",
        )
        said = [note for note in notes if not note.system]
        team = {author: self._is_developer(author) for author in {note.author["id"] for note in said}}
        return [PullComment(note.author["username"], note.body or "", team[note.author["id"]]) for note in said]

    @understood
    def comment(self, pull: PullRequest, text: str) -> None:
        """Say something about it."""
        found = self._get(pull)
        self._host.call(lambda: found.notes.create({"body": text}), f"comment on {pull.number}", safe=False)

    @understood
    def labeled_by(self, pull: PullRequest, label: str) -> str:
        """Return who has put a label on it last."""
        found = self._get(pull)
        events = self._host.call(
            lambda: found.resourcelabelevents.list(get_all=True), f"read merge request {pull.number}"
        )
        by = [item.user for item in events if item.action == "add" and item.label and item.label["name"] == label]
        return str(by[-1]["username"]) if by else ""

    @understood
    def unlabel(self, pull: PullRequest, label: str) -> None:
        """Take a label off."""
        self._update(pull, {"remove_labels": label}, "take a label off")

    @understood
    def close(self, pull: PullRequest) -> None:
        """Close it unmerged and delete its branch."""
        if self._get(pull).state == "opened":
            self._update(pull, {"state_event": "close"}, "close")
        if self.tip(pull.branch):
            self._host.call(lambda: self._project.branches.delete(pull.branch), f"delete branch {pull.branch}")

    def _files(self, commit: str, names: Collection[str]) -> dict[str, Any]:
        found = {}
        for name in names if commit else ():
            path = f"{self._folder}/{name}"
            file = self._host.find(partial(self._project.files.get, path, ref=commit), f"read {path}")
            if file is not None:
                found[name] = file
            elif name in self.names(commit):
                # A 404 is also what a commit that cannot be seen gives: gone is what the commit's tree lacks.
                raise PullRefused("is there and cannot be read", f"file {path}", "look at it there")
        return found

    def _tree(self, path: str, commit: str) -> list[Any]:
        return self._host.call(
            lambda: list(self._project.repository_tree(path=path, ref=commit, get_all=True)), f"read commit {commit}"
        )

    def _get(self, pull: PullRequest) -> Any:
        if pull.number is None:
            raise PullRefused("has no number", f"merge request {pull.pull_id}", "it is opened by the next run")
        found = self._host.call(
            lambda: self._project.mergerequests.get(pull.number), f"read merge request {pull.number}"
        )
        if int(found.iid) != pull.number:
            raise ValueError("no merge request")
        return found

    def _update(self, pull: PullRequest, data: Mapping[str, str], what: str) -> None:
        found = self._get(pull)
        self._host.call(
            lambda: self._project.mergerequests.update(found.iid, dict(data)), f"{what} merge request {pull.number}"
        )

    def _is_developer(self, user: int) -> bool:
        member = self._host.find(lambda: self._project.members_all.get(user), "read the members")
        return member is not None and int(member.access_level) >= DEVELOPER

    def _keep_headers(self, response: requests.Response, **_: Any) -> None:
        """Keep what the client's own errors leave out: how long the server wants to be left alone."""
        self._headers = response.headers

    def _fault_of(self, error: Exception) -> Fault | None:
        if isinstance(error, requests.RequestException):
            return Fault(0)
        if not isinstance(error, GitlabError):
            return None
        status = error.response_code or 0
        wait = seconds(self._headers.get("Retry-After"))
        return Fault(status, str(error.error_message), wait if status in (429, 503) else None, status == 429)


def _id(branch: Any) -> str:
    return str(branch.commit["id"])


def _verb(file: Any, text: str | None) -> str:
    if text is None:
        return "delete"
    return "create" if file is None else "update"


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
