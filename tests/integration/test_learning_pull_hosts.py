"""One contract for every host of pull requests: in memory, git, GitHub's API and GitLab's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from learning.adapters.pull_git import GitRemote
from learning.adapters.pull_github import GitHub
from learning.adapters.pull_gitlab import GitLab
from learning.errors import EvergreenError, HostError, PullRefused
from learning.model import PullRequest
from learning.ports import PullRequestHost
from tests.forge import BASE, FOLDER, TOKEN, Answer, Api, FakePulls, Forge, GitHubApi, GitLabApi, serving
from tests.learning_builders import START

BRANCH = "evergreen/gap-1"
A, B = "entry-a-1111111111111111.yml", "entry-größe-2222222222222222.yml"
WAITS: list[float] = []


def git(root: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=rita", "-c", "user.email=rita@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class GitPeople:
    """What people do on a bare remote, from a clone of their own."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.clone = folder / "bare.git", folder / "people"
        git(folder, "init", "-q", "--bare", "-b", BASE, str(self.bare))
        git(folder, "clone", "-q", str(self.bare), str(self.clone))
        (self.clone / "domain.yml").write_text("intents: []\n")
        git(self.clone, "checkout", "-q", "-b", BASE)
        git(self.clone, "add", ".")
        git(self.clone, "commit", "-q", "-m", "start")
        git(self.clone, "push", "-q", "origin", BASE)

    def files(self, branch: str) -> dict[str, str]:
        git(self.clone, "fetch", "-q", "origin")
        listed = git(self.clone, "ls-tree", "-r", "-z", "--name-only", f"origin/{branch}", FOLDER).split("\0")
        return {
            name.removeprefix(f"{FOLDER}/"): git(self.clone, "show", f"origin/{branch}:{name}") + "\n"
            for name in listed
            if name
        }

    def edit(self, branch: str, name: str, text: str | None) -> None:
        self._on(branch)
        path = self.clone / FOLDER / name
        path.unlink() if text is None else path.write_text(text, "utf-8")
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "-m", "edit")
        git(self.clone, "push", "-q", "origin", branch)

    def merge(self, branch: str, who: str = "rita", how: str = "--squash", delete: bool = True) -> None:
        self._on(branch)
        self._on(BASE)
        git(self.clone, "merge", "-q", how, *(("-m", "merge") if how == "--no-ff" else ()), branch)
        if how == "--squash":
            git(self.clone, "commit", "-q", "-m", "squashed", f"--author={who} <{who}@example.com>")
        git(self.clone, "push", "-q", "origin", BASE)
        if delete:
            self.close_it(branch)

    def close_it(self, branch: str, who: str = "rita") -> None:
        git(self.clone, "push", "-q", "origin", f":{branch}")

    def _on(self, branch: str) -> None:
        git(self.clone, "fetch", "-q", "--prune", "origin")
        git(self.clone, "checkout", "-q", "-B", branch, f"origin/{branch}")


@dataclass
class World:
    host: PullRequestHost
    people: Any
    api: Api | None = None

    @property
    def talks(self) -> bool:
        return not isinstance(self.people, GitPeople)


def make_world(kind: str, folder: Path, stack: ExitStack) -> World:
    if kind == "git":
        people = GitPeople(folder)
        git(folder, "clone", "-q", str(people.bare), "project")
        host: PullRequestHost = GitRemote(folder / "project", FOLDER, "origin", BASE)
        host.refresh()
        return World(host, people)
    forge = Forge()
    if kind == "fake":
        return World(FakePulls(forge), forge)
    WAITS.clear()
    api: Api = GitHubApi(forge) if kind == "github" else GitLabApi(forge)
    api.url = stack.enter_context(serving(api))
    if kind == "github":
        return World(GitHub("shop/bot", TOKEN, BASE, FOLDER, api.url, WAITS.append, 0.0), forge, api)
    return World(GitLab("shop/bot", TOKEN, BASE, FOLDER, api.url, WAITS.append), forge, api)


@pytest.fixture(params=["fake", "git", "github", "gitlab"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield make_world(request.param, tmp_path, stack)


@pytest.fixture(params=["github", "gitlab"])
def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield make_world(request.param, tmp_path, stack)


def offered(world: World, files: dict[str, str | None] | None = None) -> PullRequest:
    """A pull request that adds a file."""
    host = world.host
    host.write(BRANCH, files or {A: "a: 1\n"}, "Learn a", "figures")
    number, url = host.open(BRANCH, "Learn a", "why", START)
    host.refresh()
    return PullRequest("p" * 16, BRANCH, {A: "1" * 16}, {A: "m"}, "open", START, number, url)


def look(world: World, pull: PullRequest) -> Any:
    world.host.refresh()
    return world.host.look(pull)


def test_a_branch_starts_at_the_base_and_adds_its_files(world: World) -> None:
    assert world.host.tip(BRANCH) == ""

    tip = world.host.write(BRANCH, {A: "a: 1\n", B: "b: ü\n"}, "Learn", "figures")

    assert world.host.tip(BRANCH) == tip
    assert world.people.files(BRANCH) == {A: "a: 1\n", B: "b: ü\n"}
    assert world.people.files(BASE) == {}
    assert world.host.read(tip, [A, B, "entry-no.yml"]) == {A: "a: 1\n", B: "b: ü\n"}
    assert world.host.read(world.host.base(), [A]) == {}
    assert world.host.read("", [A]) == {}


def test_the_same_files_make_no_second_commit(world: World) -> None:
    first = world.host.write(BRANCH, {A: "a: 1\n"}, "Learn", "")

    assert world.host.write(BRANCH, {A: "a: 1\n", B: None}, "Learn", "") == first


def test_a_branch_that_would_bring_nothing_is_not_made(world: World) -> None:
    offered(world)
    world.people.merge(BRANCH)
    world.host.refresh()
    with pytest.raises(PullRefused, match="in the base already"):
        world.host.write("evergreen/gap-2", {A: "a: 1\n"}, "Learn", "")

    assert world.host.tip("evergreen/gap-2") == ""


def test_files_change_and_go_on_top_of_what_others_did(world: World) -> None:
    world.host.write(BRANCH, {A: "a: 1\n", B: "b: 1\n"}, "Learn", "")
    world.people.edit(BRANCH, "notes.yml", "by hand\n")
    world.host.refresh()
    world.host.write(BRANCH, {A: "a: 2\n", B: None}, "Change", "")

    assert world.people.files(BRANCH) == {A: "a: 2\n", "notes.yml": "by hand\n"}


def test_it_is_opened_once(world: World) -> None:
    pull = offered(world)

    assert world.host.open(BRANCH, "Learn a", "why", START) == (pull.number, pull.url)
    assert pull.url
    seen = look(world, pull)
    assert (seen.state, seen.commit) == ("open", world.host.tip(BRANCH))
    if world.talks:
        assert len(world.people.pulls) == 1
        assert seen.body == "why"


def test_what_was_opened_on_a_branch_of_that_name_long_ago_is_another(hosted: World) -> None:
    first = offered(hosted)
    hosted.people.close_it(BRANCH)
    number, _ = hosted.host.open(BRANCH, "again", "why", hosted.people.pulls[0].at + timedelta(hours=1))

    assert number != first.number


def test_a_merge_tells_its_files_and_who(world: World) -> None:
    pull = offered(world)
    world.people.edit(BRANCH, A, "a: changed\n")
    world.people.merge(BRANCH)
    seen = look(world, pull)

    assert (seen.state, seen.who) == ("merged", "rita")
    assert world.host.read(seen.commit, [A]) == {A: "a: changed\n"}


@pytest.mark.parametrize("how", ["--squash", "--no-ff", "--ff-only"])
@pytest.mark.parametrize("delete", [True, False])
def test_git_knows_every_way_to_merge(tmp_path: Path, how: str, delete: bool) -> None:
    world = make_world("git", tmp_path, ExitStack())
    pull = offered(world)
    world.people.merge(BRANCH, how=how, delete=delete)
    if not delete:
        world.people.edit(BASE, "later.yml", "later\n")
    seen = look(world, pull)

    assert seen.state == "merged"
    assert seen.who == ("Evergreen" if how == "--ff-only" else "rita")
    assert world.host.read(seen.commit, [A]) == {A: "a: 1\n"}


def test_git_merged_means_as_it_was_merged(tmp_path: Path) -> None:
    world = make_world("git", tmp_path, ExitStack())
    pull = offered(world)
    world.people.merge(BRANCH, how="--no-ff", delete=False)
    world.people.edit(BASE, A, "a: later\n")
    seen = look(world, pull)

    assert world.host.read(seen.commit, [A]) == {A: "a: 1\n"}


def test_git_does_not_take_a_part_for_the_whole(tmp_path: Path) -> None:
    world = make_world("git", tmp_path, ExitStack())
    pull = offered(world, {A: "a: 1\n", B: "b: 1\n"})
    pull = PullRequest(**{**vars(pull), "files": {A: "m", B: "m"}})
    (world.people.clone / FOLDER).mkdir(parents=True)
    world.people.edit(BASE, A, "a: 1\n")

    assert look(world, pull).state == "open"


def test_closed_without_a_merge(world: World) -> None:
    pull = offered(world)
    world.people.close_it(BRANCH)
    seen = look(world, pull)

    assert seen.state == "closed"
    assert seen.who == ("rita" if world.talks else "")


def test_closing_closes_deletes_the_branch_and_can_be_done_twice(world: World) -> None:
    pull = offered(world)
    world.host.close(pull)
    world.host.close(pull)

    assert look(world, pull).state == "closed"
    assert world.host.tip(BRANCH) == ""


def test_comments_labels_and_text(world: World) -> None:
    pull = offered(world)
    world.host.comment(pull, "conflict <!-- evergreen:1 -->")
    world.host.describe(pull, "Another", "text")
    if not world.talks:
        assert (world.host.comments(pull), world.host.labeled_by(pull, "defer")) == ([], "")
        world.host.unlabel(pull, "defer")
        return
    world.people.say(BRANCH, "rita", "no, because")
    world.people.say(BRANCH, "stranger", "spam", False)
    world.people.label(BRANCH, "defer", "tom")
    said = world.host.comments(pull)

    assert [(item.who, item.text, item.by_team) for item in said] == [
        ("evergreen", "conflict <!-- evergreen:1 -->", True),
        ("rita", "no, because", True),
        ("stranger", "spam", False),
    ]
    assert look(world, pull).labels == {"defer"}
    assert look(world, pull).body == "text"
    assert world.host.labeled_by(pull, "defer") == "tom"
    world.host.unlabel(pull, "defer")
    assert look(world, pull).labels == frozenset()


def test_git_does_not_overwrite_what_was_pushed_meanwhile(tmp_path: Path) -> None:
    world = make_world("git", tmp_path, ExitStack())
    pull = offered(world)
    world.people.edit(BRANCH, A, "a: by hand\n")
    for attempt in (lambda: world.host.write(BRANCH, {A: "a: 3\n"}, "x", ""), lambda: world.host.close(pull)):
        with pytest.raises(PullRefused, match="tried again at the next run"):
            attempt()

    assert world.people.files(BRANCH) == {A: "a: by hand\n"}


def test_git_leaves_the_work_tree_alone(tmp_path: Path) -> None:
    world = make_world("git", tmp_path, ExitStack())
    project = tmp_path / "project"
    (project / "domain.yml").write_text("half: done\n")
    before = (
        git(project, "status", "--porcelain=v2"),
        git(project, "branch", "--list"),
        git(project, "ls-files", "-s"),
    )
    offered(world)

    assert (
        git(project, "status", "--porcelain=v2"),
        git(project, "branch", "--list"),
        git(project, "ls-files", "-s"),
    ) == before


def test_git_says_what_is_wrong_with_a_remote(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", BASE)
    git(tmp_path, "remote", "add", "origin", "https://user:hunter2@127.0.0.1:9/x.git")
    with pytest.raises(HostError, match=r"git remote origin: did not fetch.*check its address") as caught:
        GitRemote(tmp_path, FOLDER, "origin", BASE).refresh()
    assert "hunter2" not in str(caught.value)

    with pytest.raises(HostError, match="is no git repository"):
        GitRemote(tmp_path.parent.parent.parent, FOLDER, "origin", BASE).refresh()


# --- over HTTP ------------------------------------------------------------------------------------------


def api_of(world: World) -> Api:
    assert world.api is not None
    return world.api


def everything_said(error: BaseException | None) -> str:
    said = ""
    while error is not None:
        said += f"{error!r}{error}{vars(error)}"
        error = error.__cause__ or error.__context__
    return said


def test_a_wrong_token_is_told_and_never_shown(tmp_path: Path) -> None:
    for kind in (GitHub, GitLab):
        api = GitHubApi(Forge()) if kind is GitHub else GitLabApi(Forge())
        with serving(api) as url:
            api.url = url
            host: Any = kind("shop/bot", "glpat-wrong-one", BASE, FOLDER, url)
            with pytest.raises(HostError, match=r"does not accept the token.*EVERGREEN_HOST_TOKEN") as caught:
                host.base()
        assert "wrong-one" not in everything_said(caught.value)
        assert len(api.asked) == 1


def test_reading_is_tried_again_and_creating_is_not(hosted: World) -> None:
    api = api_of(hosted)
    api.faults = [("GET", Answer(502)), ("GET", None)]
    assert hosted.host.base() == hosted.people.branches[BASE]

    hosted.host.write(BRANCH, {A: "a: 1\n"}, "Learn", "")
    api.faults = [("POST", Answer(502, {"message": "oops"}))]
    posts = len([asked for asked in api.asked if asked.method == "POST"])
    with pytest.raises(HostError, match="answered 502"):
        hosted.host.open(BRANCH, "Learn a", "why", START)
    assert len([asked for asked in api.asked if asked.method == "POST"]) == posts + 1


def test_it_gives_up_after_some_attempts(hosted: World) -> None:
    api = api_of(hosted)
    api.faults = [("GET", Answer(503))] * 9
    with pytest.raises(HostError, match=r"answered 503 when asked to read branch main.*the next run goes on"):
        hosted.host.base()

    assert len(api.asked) == 4


def test_a_limit_is_waited_for_as_long_as_the_host_says_even_before_creating(hosted: World) -> None:
    api = api_of(hosted)
    hosted.host.write(BRANCH, {A: "a: 1\n"}, "Learn", "")
    WAITS.clear()
    api.faults = [("POST", Answer(429, {"message": "slow down"}, {"Retry-After": "7"}))]
    number, _ = hosted.host.open(BRANCH, "Learn a", "why", START)

    assert (number, WAITS) == (1, [7.0])


def test_a_limit_of_an_hour_is_left_to_the_next_run(hosted: World) -> None:
    api_of(hosted).faults = [("GET", Answer(429, {"message": "slow down"}, {"Retry-After": "3600"}))]
    with pytest.raises(HostError, match=r"takes no more calls for 3600 s.*the next run goes on"):
        hosted.host.base()

    assert WAITS == []


def test_githubs_secondary_limit_is_a_403(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = make_world("github", tmp_path, stack)
        limited = {"message": "You have exceeded a secondary rate limit"}
        api_of(world).faults = [("GET", Answer(403, limited, {"Retry-After": "2"}))]

        assert world.host.base()
        assert WAITS == [2.0]


def test_what_a_token_may_not_do_is_told_with_its_scope(hosted: World) -> None:
    api_of(hosted).faults = [("POST", Answer(403, {"message": "Resource not accessible"}))]
    with pytest.raises(HostError, match=r"does not allow to commit on branch.*Resource not accessible.*EVERGREEN_HOST"):
        hosted.host.write(BRANCH, {A: "a: 1\n"}, "Learn", "")


def test_one_pull_request_that_is_gone_is_no_reason_to_stop(hosted: World) -> None:
    pull = offered(hosted)
    api_of(hosted).faults = [("GET", Answer(404, {"message": "Not Found"}))]
    with pytest.raises(PullRefused, match="found nothing to read"):
        hosted.host.look(pull)


def test_programs_do_not_speak_for_the_team_on_github(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = make_world("github", tmp_path, stack)
        pull = offered(world)
        world.people.say(BRANCH, "ci[bot]", "gate passed")

        assert [item.by_team for item in world.host.comments(pull)] == [False]


def test_no_request_has_the_token_in_its_address(hosted: World) -> None:
    offered(hosted)

    assert all(TOKEN not in f"{asked.path}{asked.query}{asked.body}" for asked in api_of(hosted).asked)
    assert issubclass(HostError, EvergreenError)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_redirection_is_followed(hosted: World, status: int, method: str) -> None:
    pull = offered(hosted)
    reached: list[str] = []

    def other(asked: Any) -> Answer:
        reached.append(asked.path)
        return Answer(200, {})

    with serving(other) as url:
        moved = {"Location": url.replace("127.0.0.1", "localhost") + "/x"}
        api_of(hosted).faults = [(method, Answer(status, {"message": "Moved"}, moved))]
        with pytest.raises(HostError, match=r"has moved.*correct pull_requests\.url"):
            hosted.host.write("evergreen/gap-2", {B: "b: 1\n"}, "m", "b") if method == "POST" else look(hosted, pull)

    assert reached == []


def test_a_commit_that_cannot_be_seen_has_not_lost_its_files(hosted: World) -> None:
    offered(hosted)
    commit = hosted.host.tip(BRANCH)
    assert hosted.host.names(commit) == [A]
    assert hosted.host.read(commit, [A, B]) == {A: "a: 1\n"}
    missing = Answer(404, {"message": f"No commit found for the ref {commit}"})
    for faults in ([missing], [missing, missing]):  # the file alone, or the commit, too
        api_of(hosted).faults = [("GET", answer) for answer in faults]
        with pytest.raises(PullRefused):
            hosted.host.read(commit, [A])


def test_merged_without_a_commit_is_read_later(hosted: World) -> None:
    pull = offered(hosted)
    hosted.people.merge(BRANCH)
    hosted.people.of(BRANCH).merge = ""
    if isinstance(api_of(hosted), GitHubApi):
        with pytest.raises(PullRefused, match="merge commit is not told yet"):
            look(hosted, pull)


def test_a_merge_into_another_branch_decides_nothing(hosted: World) -> None:
    pull = offered(hosted)
    hosted.people.merge(BRANCH)
    hosted.people.of(BRANCH).base = "staging"

    assert "goes into staging" in look(hosted, pull).problem


@pytest.mark.parametrize(
    ("who", "said"),
    [("stale[bot]", "the program"), ("project_1_bot_9f", "the program"), ("", "nobody"), ("rita", "")],
)
def test_only_people_close(hosted: World, who: str, said: str) -> None:
    pull = offered(hosted)
    hosted.people.close_it(BRANCH, who)
    problem = look(hosted, pull).problem

    assert said in problem
    assert bool(problem) == bool(said)


def test_closed_with_the_base_is_not_rejected(hosted: World) -> None:
    pull = offered(hosted)
    hosted.people.close_it(BRANCH)
    del hosted.people.branches[BASE]

    assert "base branch was gone" in look(hosted, pull).problem


@pytest.mark.parametrize("body", ["<html>maintenance</html>", {}, [], None])
def test_what_is_no_answer_of_the_api_is_told(hosted: World, body: Any) -> None:
    pull = offered(hosted)
    api_of(hosted).faults = [("GET", Answer(200, body))] * 5
    with pytest.raises(HostError):
        look(hosted, pull)


def test_git_does_not_take_a_branch_set_back_to_the_base_for_merged(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = make_world("git", tmp_path, stack)
        pull = offered(world)
        git(world.people.clone, "push", "-q", "-f", "origin", f"{BASE}:{BRANCH}")
        seen = look(world, pull)

    assert seen.state == "open"
    assert "no commit there has its files" in seen.problem


def test_git_knows_a_renamed_file_after_its_branch_is_gone(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = make_world("git", tmp_path, stack)
        pull = replace(offered(world), proposals={A: "1" * 16})
        world.people.edit(BRANCH, A, None)
        (world.people.clone / FOLDER).mkdir(parents=True, exist_ok=True)
        world.people.edit(BRANCH, A.replace("-a-", "-better-"), "a: 1\n")
        world.people.merge(BRANCH)

        assert look(world, pull).state == "merged"
