"""A stand-in for a host of pull requests: its state, what people do there, and its API over HTTP as far as it is used.

The paths, bodies and answers of GitHub are held against its published description elsewhere (test_learning_pull_prism);
those of GitLab follow its documentation and nothing else.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from learning.errors import PullRefused
from learning.model import PullComment, PullRequest, PullSeen

FOLDER = "data/learned"
BASE = "main"
TOKEN = "ghp_very-secret-token"


@dataclass
class Pull:
    number: int
    branch: str
    title: str
    body: str
    at: datetime
    state: str = "open"
    merge: str = ""
    who: str = ""
    base: str = BASE
    labels: list[str] = field(default_factory=list)
    labeled: list[tuple[str, str]] = field(default_factory=list)
    comments: list[tuple[str, str, bool]] = field(default_factory=list)


class Forge:
    """Commits are whole trees (path -> text); `calls` are those that changed something."""

    def __init__(self) -> None:
        self._number = itertools.count(1)
        self.commits: dict[str, dict[str, str]] = {}
        self.trees: dict[str, dict[str, str]] = {}
        self.branches: dict[str, str] = {BASE: self.keep({"domain.yml": "intents: []\n"})}
        self.pulls: list[Pull] = []
        self.calls: list[str] = []

    # --- what people do

    def files(self, branch: str) -> dict[str, str]:
        tree = self.commits[self.branches[branch]]
        return {path.removeprefix(f"{FOLDER}/"): text for path, text in tree.items() if path.startswith(FOLDER)}

    def edit(self, branch: str, name: str, text: str | None) -> None:
        self.commit(branch, {name: text})

    def merge(self, branch: str, who: str = "rita") -> None:
        """Squash it, and delete the branch."""
        pull = self.of(branch)
        changed = self.files(branch)
        self.branches[BASE] = self.keep(
            {**self.commits[self.branches[BASE]], **{f"{FOLDER}/{name}": text for name, text in changed.items()}}
        )
        pull.state, pull.who, pull.merge = "merged", who, self.branches[BASE]
        del self.branches[branch]

    def close_it(self, branch: str, who: str = "rita") -> None:
        pull = self.of(branch)
        pull.state, pull.who = "closed", who

    def say(self, branch: str, who: str, text: str, by_team: bool = True) -> None:
        self.of(branch).comments.append((who, text, by_team))

    def label(self, branch: str, label: str, who: str = "rita") -> None:
        pull = self.of(branch)
        pull.labels.append(label)
        pull.labeled.append((label, who))

    def of(self, branch: str) -> Pull:
        return [pull for pull in self.pulls if pull.branch == branch][-1]

    # --- what the API does

    def keep(self, tree: Mapping[str, str]) -> str:
        sha = f"{next(self._number):040x}"
        self.commits[sha] = self.trees[sha] = dict(tree)
        return sha

    def commit(self, branch: str, files: Mapping[str, str | None]) -> str:
        tree = dict(self.commits[self.branches.get(branch) or self.branches[BASE]])
        for name, text in files.items():
            path = f"{FOLDER}/{name}"
            tree.pop(path, None)
            if text is not None:
                tree[path] = text
        self.branches[branch] = self.keep(tree)
        return self.branches[branch]

    def open(self, branch: str, title: str, body: str) -> Pull:
        pull = Pull(len(self.pulls) + 1, branch, title, body, datetime.now(timezone.utc))
        self.pulls.append(pull)
        return pull


class FakePulls:
    """The port on a forge in memory; `fails` is called before each change, to crash there."""

    name = "fake"

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self.fails: Callable[[str], None] = lambda call: None

    def _do(self, call: str) -> None:
        self.fails(call)
        self.forge.calls.append(call)

    def refresh(self) -> None:
        pass

    def base(self) -> str:
        return self.forge.branches[BASE]

    def read(self, commit: str, names: Any) -> dict[str, str]:
        tree = self.forge.commits[commit] if commit else {}
        return {name: tree[f"{FOLDER}/{name}"] for name in names if f"{FOLDER}/{name}" in tree}

    def names(self, commit: str) -> list[str]:
        return [path.removeprefix(f"{FOLDER}/") for path in self.forge.commits[commit] if path.startswith(FOLDER)]

    def tip(self, branch: str) -> str:
        return self.forge.branches.get(branch, "")

    def write(self, branch: str, files: Mapping[str, str | None], message: str, body: str) -> str:
        parent = self.tip(branch) or self.base()
        there = self.read(parent, files)
        if all(there.get(name) == text for name, text in files.items()):
            if not self.tip(branch):
                raise PullRefused("brings nothing: all of it is in the base already", branch, "decide in the hub")
            return parent
        self._do("write")
        return self.forge.commit(branch, files)

    def open(self, branch: str, title: str, body: str, since: datetime) -> tuple[int | None, str]:
        ours = [pull for pull in self.forge.pulls if pull.branch == branch]
        if not ours:
            self._do("open")
        pull = ours[-1] if ours else self.forge.open(branch, title, body)
        return pull.number, f"https://forge.test/{pull.number}"

    def look(self, pull: PullRequest) -> PullSeen:
        found = self.forge.pulls[(pull.number or 0) - 1]
        commit = {"merged": found.merge, "open": self.tip(pull.branch)}.get(found.state, "")
        return PullSeen(found.state, commit, found.who, frozenset(found.labels), found.body)

    def describe(self, pull: PullRequest, title: str, body: str) -> None:
        self._do("describe")
        found = self.forge.of(pull.branch)
        found.title, found.body = title, body

    def comments(self, pull: PullRequest) -> list[PullComment]:
        return [PullComment(*comment) for comment in self.forge.of(pull.branch).comments]

    def comment(self, pull: PullRequest, text: str) -> None:
        self._do("comment")
        self.forge.say(pull.branch, "evergreen", text)

    def labeled_by(self, pull: PullRequest, label: str) -> str:
        by = [who for name, who in self.forge.of(pull.branch).labeled if name == label]
        return by[-1] if by else ""

    def unlabel(self, pull: PullRequest, label: str) -> None:
        self._do("unlabel")
        found = self.forge.of(pull.branch)
        found.labels = [name for name in found.labels if name != label]

    def close(self, pull: PullRequest) -> None:
        self._do("close")
        found = self.forge.of(pull.branch)
        if found.state == "open":
            found.state, found.who = "closed", "evergreen"
        self.forge.branches.pop(pull.branch, None)


# --- over HTTP ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def below_of(tree: Mapping[str, str], folder: str) -> list[tuple[str, str]]:
    """What lies directly in a folder of a commit: names, and whether each is a file or a folder."""
    start = f"{folder}/" if folder else ""
    found = {path.removeprefix(start) for path in tree if path.startswith(start)}
    return sorted({(rest.partition("/")[0], "tree" if "/" in rest else "blob") for rest in found})


class Api:
    """Answers requests on a forge; `faults` are given first, one a request that fits (None: cut the connection)."""

    def __init__(self, forge: Forge) -> None:
        self.forge = forge
        self.asked: list[Asked] = []
        self.faults: list[tuple[str, Answer | None]] = []
        self.url = ""

    def __call__(self, asked: Asked) -> Answer | None:
        self.asked.append(asked)
        for fault in self.faults:
            if fault[0] in ("*", asked.method):
                self.faults.remove(fault)
                return fault[1]
        if TOKEN not in "".join(asked.headers.values()):
            return Answer(401, {"message": "Bad credentials"})
        return self.answer(asked)

    def answer(self, asked: Asked) -> Answer:
        raise NotImplementedError


class GitHubApi(Api):
    PREFIX = "/repos/shop/bot"

    def answer(self, asked: Asked) -> Answer:
        path = unquote(asked.path.removeprefix(self.PREFIX))
        forge, body = self.forge, asked.body
        missing = Answer(404, {"message": "Not Found"})
        match (asked.method, *path.strip("/").split("/")):
            case ("GET", "git", "ref", "heads", *branch) if "/".join(branch) in forge.branches:
                return Answer(200, self._ref("/".join(branch)))
            case ("POST", "git", "refs"):
                forge.branches[body["ref"].removeprefix("refs/heads/")] = body["sha"]
                return Answer(201, self._ref(body["ref"].removeprefix("refs/heads/")))
            case ("PATCH", "git", "refs", "heads", *branch):
                forge.branches["/".join(branch)] = body["sha"]
                return Answer(200, self._ref("/".join(branch)))
            case ("DELETE", "git", "refs", "heads", *branch):
                del forge.branches["/".join(branch)]
                return Answer(204)
            case ("GET", "contents", *parts):
                text = forge.commits[asked.query["ref"]].get("/".join(parts))
                return missing if text is None else Answer(200, self._content("/".join(parts), text))
            case ("GET", "git", "trees", root, *folders):
                return Answer(200, self._tree(root, "/".join(folders)))
            case ("GET", "git", "commits", sha):
                return Answer(200, self._commit(sha))
            case ("POST", "git", "trees"):
                tree = dict(forge.trees[body["base_tree"]])
                for item in body["tree"]:
                    tree.pop(item["path"], None)
                    if "content" in item:
                        tree[item["path"]] = item["content"]
                    else:
                        assert item["sha"] is None
                return Answer(201, {"sha": forge.keep(tree), "url": self._at("git/trees/x"), "tree": []})
            case ("POST", "git", "commits"):
                return Answer(201, self._commit(forge.keep(forge.trees[body["tree"]])))
            case ("GET", "pulls"):
                branch = asked.query["head"].partition(":")[2]
                return Answer(200, [self._pull(pull) for pull in forge.pulls if pull.branch == branch])
            case ("POST", "pulls"):
                pull = forge.open(body["head"], body["title"], body["body"])
                return Answer(201, self._pull(pull))
            case ("GET", "pulls", number):
                return Answer(200, self._pull(forge.pulls[int(number) - 1]))
            case ("PATCH", "pulls", number):
                pull = forge.pulls[int(number) - 1]
                pull.title, pull.body = body.get("title", pull.title), body.get("body", pull.body)
                if body.get("state") == "closed":
                    pull.state, pull.who = "closed", "evergreen"
                return Answer(200, self._pull(pull))
            case ("GET", "issues", number):
                return Answer(200, {"number": int(number), "closed_by": self._user(forge.pulls[int(number) - 1].who)})
            case ("GET", "issues", number, "comments"):
                return Answer(200, [self._comment(*item) for item in forge.pulls[int(number) - 1].comments])
            case ("POST", "issues", number, "comments"):
                forge.pulls[int(number) - 1].comments.append(("evergreen", body["body"], True))
                return Answer(201, self._comment("evergreen", body["body"], True))
            case ("GET", "issues", number, "events"):
                events = forge.pulls[int(number) - 1].labeled
                return Answer(
                    200,
                    [{"event": "labeled", "actor": self._user(who), "label": {"name": name}} for name, who in events],
                )
            case ("DELETE", "issues", number, "labels", label):
                forge.pulls[int(number) - 1].labels.remove(label)
                return Answer(200, [])
        return missing

    def _at(self, path: str) -> str:
        return f"{self.url}{self.PREFIX}/{path}"

    def _ref(self, branch: str) -> dict[str, Any]:
        sha = self.forge.branches[branch]
        return {
            "ref": f"refs/heads/{branch}",
            "url": self._at(f"git/refs/heads/{branch}"),
            "object": {"sha": sha, "type": "commit"},
        }

    def _tree(self, sha: str, folder: str) -> dict[str, Any]:
        below = below_of(self.forge.commits[sha], folder)
        tree = [
            {"path": name, "type": kind, "sha": f"{sha}/{folder}/{name}".replace("//", "/")} for name, kind in below
        ]
        return {"sha": sha, "url": self._at(f"git/trees/{sha}"), "tree": tree, "truncated": False}

    def _commit(self, sha: str) -> dict[str, Any]:
        return {
            "sha": sha,
            "url": self._at(f"git/commits/{sha}"),
            "tree": {"sha": sha, "url": self._at(f"git/trees/{sha}")},
        }

    def _content(self, path: str, text: str) -> dict[str, Any]:
        content = base64.encodebytes(text.encode()).decode()
        return {"type": "file", "path": path, "name": path.rpartition("/")[2], "encoding": "base64", "content": content}

    def _user(self, who: str) -> dict[str, Any] | None:
        return (
            {"login": who, "type": "Bot" if who.endswith("[bot]") else "User", "url": f"{self.url}/users/{who}"}
            if who
            else None
        )

    def _comment(self, who: str, text: str, by_team: bool) -> dict[str, Any]:
        return {"id": 1, "user": self._user(who), "body": text, "author_association": "MEMBER" if by_team else "NONE"}

    def _pull(self, pull: Pull) -> dict[str, Any]:
        merged = pull.state == "merged"
        return {
            "number": pull.number,
            "url": self._at(f"pulls/{pull.number}"),
            "issue_url": self._at(f"issues/{pull.number}"),
            "html_url": f"https://forge.test/{pull.number}",
            "state": "open" if pull.state == "open" else "closed",
            "merged": merged,
            "merged_by": self._user(pull.who) if merged else None,
            "merge_commit_sha": pull.merge or None,
            "title": pull.title,
            "body": pull.body,
            "labels": [{"name": name} for name in pull.labels],
            "head": {"ref": pull.branch, "sha": self.forge.branches.get(pull.branch, "")},
            "base": {"ref": pull.base},
            "created_at": pull.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class GitLabApi(Api):
    PREFIX = "/api/v4/projects/shop%2Fbot"

    def answer(self, asked: Asked) -> Answer:
        parts = [unquote(part) for part in asked.path.removeprefix(self.PREFIX).strip("/").split("/")]
        forge, body = self.forge, asked.body
        match (asked.method, *parts):
            case ("GET", "repository", "branches", branch) if branch in forge.branches:
                return Answer(200, {"name": branch, "commit": {"id": forge.branches[branch]}})
            case ("DELETE", "repository", "branches", branch) if branch in forge.branches:
                del forge.branches[branch]
                return Answer(204)
            case ("GET", "repository", "files", path):
                text = forge.commits[asked.query["ref"]].get(path)
                if text is not None:
                    content = base64.b64encode(text.encode()).decode()
                    return Answer(
                        200, {"file_path": path, "content": content, "encoding": "base64", "last_commit_id": "c1"}
                    )
            case ("GET", "repository", "tree"):
                below = below_of(forge.commits[asked.query["ref"]], asked.query.get("path", ""))
                return Answer(200, [{"name": name, "type": kind} for name, kind in below])
            case ("POST", "repository", "commits"):
                return self._commit(body)
            case ("GET", "merge_requests"):
                branch = asked.query["source_branch"]
                return Answer(200, [self._pull(pull) for pull in forge.pulls if pull.branch == branch])
            case ("POST", "merge_requests"):
                return Answer(201, self._pull(forge.open(body["source_branch"], body["title"], body["description"])))
            case ("GET", "merge_requests", number):
                return Answer(200, self._pull(forge.pulls[int(number) - 1]))
            case ("PUT", "merge_requests", number):
                pull = forge.pulls[int(number) - 1]
                pull.title, pull.body = body.get("title", pull.title), body.get("description", pull.body)
                pull.labels = [name for name in pull.labels if name != body.get("remove_labels")]
                if body.get("state_event") == "close":
                    pull.state, pull.who = "closed", "evergreen"
                return Answer(200, self._pull(pull))
            case ("GET", "merge_requests", number, "notes"):
                said = forge.pulls[int(number) - 1].comments
                system = {"id": 9, "body": "changed the title", "system": True, "author": {"id": 3, "username": "rita"}}
                return Answer(200, [*(self._note(*item) for item in said), system])
            case ("POST", "merge_requests", number, "notes"):
                forge.pulls[int(number) - 1].comments.append(("evergreen", body["body"], True))
                return Answer(201, self._note("evergreen", body["body"], True))
            case ("GET", "merge_requests", number, "resource_label_events"):
                events = forge.pulls[int(number) - 1].labeled
                return Answer(
                    200,
                    [
                        {"id": 1, "action": "add", "label": {"name": name}, "user": {"username": who}}
                        for name, who in events
                    ],
                )
            case ("GET", "members", "all", "1"):
                return Answer(200, {"id": 1, "access_level": 40})
        return Answer(404, {"message": "404 Not Found"})

    def _commit(self, body: Mapping[str, Any]) -> Answer:
        branch = body["branch"]
        known = branch in self.forge.branches
        if known == ("start_branch" in body):
            return Answer(400, {"message": "A branch called that already exists, or does not"})
        tree = self.forge.commits[self.forge.branches[branch if known else body["start_branch"]]]
        files: dict[str, str | None] = {}
        for action in body["actions"]:
            if (action["action"] == "create") == (action["file_path"] in tree):
                return Answer(400, {"message": "A file with this name already exists, or does not"})
            name = action["file_path"].removeprefix(f"{FOLDER}/")
            files[name] = None if action["action"] == "delete" else action["content"]
        return Answer(201, {"id": self.forge.commit(branch, files)})

    def _note(self, who: str, text: str, by_team: bool) -> dict[str, Any]:
        return {"id": 1, "body": text, "system": False, "author": {"id": 1 if by_team else 2, "username": who}}

    def _pull(self, pull: Pull) -> dict[str, Any]:
        return {
            "id": 100 + pull.number,
            "iid": pull.number,
            "web_url": f"https://forge.test/{pull.number}",
            "state": {"open": "opened"}.get(pull.state, pull.state),
            "merge_commit_sha": None,
            "squash_commit_sha": pull.merge or None,
            "sha": "0" * 40,
            "merge_user": {"username": pull.who} if pull.state == "merged" else None,
            "closed_by": {"username": pull.who} if pull.state == "closed" else None,
            "title": pull.title,
            "description": pull.body,
            "labels": list(pull.labels),
            "source_branch": pull.branch,
            "target_branch": pull.base,
            "created_at": pull.at.isoformat().replace("+00:00", "Z"),
        }


@contextmanager
def serving(api: Callable[[Asked], Answer | None]) -> Iterator[str]:
    """Serve an API on a free port; give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(self.command, parts.path, query, json.loads(raw) if raw else {}, dict(self.headers))
            answer = api(asked)
            if answer is None:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
