"""The GitHub adapter against GitHub's own published description, served by a Prism mock that checks each request."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from learning.adapters.pull_github import GitHub
from learning.errors import HostError
from learning.model import PullRequest
from tests.forge import TOKEN, Answer, Asked, serving
from tests.learning_builders import START

HERE = Path(__file__).parents[1] / "prism"
USED = (
    "/repos/{owner}/{repo}/git/",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/contents/",
    "/repos/{owner}/{repo}/issues",
)
GITHUB = "https://api.github.com"
START_SECONDS = 120
INSTALL_SECONDS = 300

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def installed() -> Path:
    """The folder with the locked packages; made once with `npm ci`, skipped where that is not possible."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    lock = (HERE / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evergreen"
    folder = cache / f"prism-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not folder.is_dir():
        scratch = cache / f"{folder.name}.{os.getpid()}"
        scratch.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy2(HERE / name, scratch / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            subprocess.run(command, cwd=scratch, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(scratch)
            pytest.skip(f"npm could not install Prism: {error}")
        scratch.rename(folder)
    return folder


def one_segment(path: str) -> str:
    """A path whose `{ref}` or `{path}` is one segment, as descriptions know no other; GitHub takes either."""
    start, end = re.fullmatch(r"(.*?/(?:git/refs?|contents)/|)(.*)", path).groups()  # type: ignore[union-attr]
    return f"{start}{end.replace('/', '%2F')}" if start else path


@dataclass
class Prism:
    """Forwards to the mock, leads its links back here, and keeps what was wrong with requests."""

    upstream: str
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    violations: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    prefer: dict[tuple[str, str], str] = field(default_factory=dict)  # (method, end of the path) -> status

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        headers = {name: value for name, value in asked.headers.items() if name.lower() == "authorization"}
        accept = asked.headers.get("Accept", "")
        # A preview that has become the rule is still asked for, and GitHub gives it; the description has forgotten it.
        # Who takes anything gets JSON there, but of the mock the first type that is listed.
        headers["Accept"] = "application/json" if accept in ("", "*/*") or "-preview" in accept else accept
        for (method, end), status in self.prefer.items():
            if asked.method == method and asked.path.endswith(end):
                headers["Prefer"] = f"code={status}"
        body: dict[str, Any] = {"json": dict(asked.body)} if asked.method != "GET" and asked.body else {}
        got = httpx.request(
            asked.method,
            self.upstream + one_segment(asked.path),
            params=dict(asked.query),
            headers=headers,
            timeout=60,
            **body,
        )
        found = json.loads(got.headers.get("sl-violations", "[]"))
        self.violations += [(asked.method, asked.path, one) for one in found if one["location"][0] == "request"]
        if got.status_code >= 400 and "Prefer" not in headers:
            self.refused.append((asked.method, asked.path, got.status_code))
        # The example of a file has its line breaks escaped twice, which is no base64.
        text = got.text.replace(GITHUB, self.url).replace("\\\\n", "\\n")
        return Answer(got.status_code, json.loads(text) if text else None)


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = installed()
    whole = json.loads((folder / "node_modules/@octokit/openapi/generated/api.github.com.json").read_bytes())
    # What is not called is left out, so that the mock starts in seconds; nothing in the rest is changed.
    whole["paths"] = {path: item for path, item in whole["paths"].items() if path.startswith(USED)}
    scratch = tmp_path_factory.mktemp("prism")
    description, log = scratch / "github.json", scratch / "prism.log"
    description.write_text(json.dumps(whole))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "node",
        str(folder / "node_modules/.bin/prism"),
        "mock",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        str(description),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Prism is listening" not in log.read_text("utf-8", "replace"):
            assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            assert time.monotonic() < deadline, log.read_text("utf-8", "replace")[-2000:]
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


@pytest.fixture
def prism(upstream: str) -> Iterator[Prism]:
    made = Prism(upstream)
    with serving(made) as url:
        made.url = url
        yield made


@pytest.fixture
def host(prism: Prism) -> GitHub:
    return GitHub("octocat/Hello-World", TOKEN, "main", "data/learned", prism.url, lambda seconds: None, 0.0)


PULL = PullRequest("p" * 16, "evergreen/gap-1", {}, {}, "open", START, 1347, "x")
# Every call of the adapter. The description's examples know one pull request, which is open and has labels.
CALLS: dict[str, Callable[[GitHub], Any]] = {
    "base": lambda host: host.base(),
    "tip": lambda host: host.tip("evergreen/gap-1"),
    "read": lambda host: host.read("c" * 40, ["entry-größe-1.yml"]),
    "names": lambda host: host.names("c" * 40),
    "write": lambda host: host.write("evergreen/gap-1", {"entry-a.yml": "a: 1\n", "entry-b.yml": None}, "Learn", ""),
    "open": lambda host: host.open("evergreen/gap-1", "Learn", "why", START),
    "look": lambda host: host.look(PULL),
    "describe": lambda host: host.describe(PULL, "Learn", "why"),
    "comments": lambda host: host.comments(PULL),
    "comment": lambda host: host.comment(PULL, "conflict"),
    "labeled_by": lambda host: host.labeled_by(PULL, "label"),
    "unlabel": lambda host: host.unlabel(PULL, "bug"),
    "close": lambda host: host.close(PULL),
}


@pytest.mark.parametrize("name", list(CALLS))
def test_every_call_is_one_that_github_describes_and_its_answer_is_read(host: GitHub, prism: Prism, name: str) -> None:
    CALLS[name](host)

    assert (prism.violations, prism.refused) == ([], [])
    assert prism.asked


def test_a_new_branch_is_made_as_github_describes_it(host: GitHub, prism: Prism) -> None:
    prism.prefer[("GET", "/git/ref/heads/evergreen/gap-1")] = "404"
    sha = host.write("evergreen/gap-1", {"entry-a.yml": "a: 1\n"}, "Learn", "")

    assert len(sha) == 40
    assert [
        asked.method for asked in prism.asked if asked.path.endswith(("/git/trees", "/git/commits", "/git/refs"))
    ] == ["POST"] * 3
    assert prism.violations == []


def test_what_github_answers_is_understood(host: GitHub, prism: Prism) -> None:
    seen = host.look(PULL)
    assert seen.state in ("open", "merged")
    assert len(seen.commit) == 40
    number, url = host.open("evergreen/gap-1", "Learn", "why", START)
    assert number == 1347
    assert "pull/1347" in url
    assert [(item.who, item.text) for item in host.comments(PULL)] == [("octocat", "Me too")]
    assert host.tip("evergreen/gap-1") == host.base() != ""
    assert len(host.read("c" * 40, ["entry-a.yml"])) == 1
    assert (prism.violations, prism.refused) == ([], [])


def test_a_malformed_call_is_seen(host: GitHub, prism: Prism) -> None:
    # The proof that the tests above can fail: a pull request without a branch.
    with pytest.raises(HostError):
        host._host.call(
            lambda: host._repo.requester.requestJsonAndCheck("POST", "/repos/a/b/pulls", input={"title": "x"}), "x"
        )

    assert prism.violations
