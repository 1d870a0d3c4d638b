"""The whole way on a real bare remote: offered as a branch, merged by somebody, live, and nothing left to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from learning.adapters.git_branch import GitBranch
from learning.adapters.pull_git import GitRemote
from learning.adapters.store import Store
from learning.bootstrap import build
from learning.errors import SettingsError
from learning.loop import Loop
from learning.model import Action, Decision, ProposalState, PullRequest
from learning.pipeline import mine, review, withdraw, write_branch
from learning.pull_requests import sync
from learning.pull_upkeep import SyncReport
from tests.forge import BASE, FOLDER
from tests.integration.test_learning_pull_hosts import GitPeople, git
from tests.learning_builders import START, TrackerFile, fresh_database, make_loop, make_project, talk

LEARNED = "evergreen/learned"


@pytest.fixture
def people(tmp_path: Path) -> GitPeople:
    return GitPeople(tmp_path)


@pytest.fixture
def loop(tmp_path: Path, people: GitPeople) -> Loop:
    root = tmp_path / "project"
    git(tmp_path, "clone", "-q", str(people.bare), str(root))
    make_project(root)
    talk(TrackerFile(root / "var" / "tracker.db"))
    upstream = f"refs/remotes/origin/{BASE}"
    loop = make_loop(
        root,
        pulls=GitRemote(root, FOLDER, "origin", BASE),
        host=GitBranch(root, LEARNED, FOLDER, upstream),
    )
    mine(loop)
    return loop


@pytest.mark.parametrize("how", ["--squash", "--no-ff", "--ff-only"])
def test_what_was_merged_is_live_and_leaves_no_difference(loop: Loop, people: GitPeople, how: str) -> None:
    (pull,) = sync(loop).opened
    assert pull.url == f"origin/{pull.branch}"
    people.merge(pull.branch, how=how)
    report = sync(loop)

    assert [release.number for release in report.releases] == [1]
    assert (report.commit, report.problems) == (None, [])
    assert write_branch(loop) is None
    assert git(loop.settings.root, "branch", "--list", LEARNED) == ""
    assert sync(loop) == SyncReport()
    (decision,) = loop.store.decisions()
    assert decision.who == ("git:Evergreen" if how == "--ff-only" else "git:rita")


def test_a_name_changed_in_review_keeps_its_file(loop: Loop, people: GitPeople) -> None:
    (pull,) = sync(loop).opened
    (name,) = pull.files
    text = people.files(pull.branch)[name]
    people.edit(pull.branch, name, text.replace("learned/loyalty_points", "learned/points"))
    people.merge(pull.branch)
    report = sync(loop)

    assert loop.store.entries(ProposalState.PUBLISHED)[0].label == "learned/points"
    assert (len(report.releases), report.commit) == (1, None)


def test_what_is_undone_is_taken_out_of_the_base_by_the_branch(loop: Loop, people: GitPeople) -> None:
    (pull,) = sync(loop).opened
    people.merge(pull.branch)
    sync(loop)
    (entry,) = loop.store.entries(ProposalState.PUBLISHED)

    withdraw(loop, entry.entry_id, "ann", "wrong")
    assert write_branch(loop) is not None
    assert git(loop.settings.root, "ls-tree", "-r", "--name-only", LEARNED, FOLDER) == ""


def test_decided_elsewhere_the_branch_goes_away(loop: Loop, people: GitPeople) -> None:

    (pull,) = sync(loop).opened
    (waits,) = loop.store.proposals()
    review(loop, Decision(waits.proposal_id, Action.REJECT, "ann", loop.now(), reason="no"))
    sync(loop)

    assert git(people.bare, "branch", "--list", pull.branch) == ""
    assert loop.store.pull_requests()[0].state == "closed"
    assert sync(loop) == SyncReport()


def test_a_commit_message_holds_figures_and_nobodys_words(loop: Loop, people: GitPeople) -> None:
    (pull,) = sync(loop).opened
    message = git(people.bare, "log", "-1", "--format=%B", pull.branch)

    assert "of 100" in message
    assert "how do i collect" not in message


# --- settings and records -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("host: bitbucket", "write git, github or gitlab"),
        ("host: github", "write it as owner/name"),
        ("host: git\n  per: week", "write gap or batch"),
    ],
)
def test_settings_that_cannot_be_meant(tmp_path: Path, lines: str, said: str) -> None:
    make_project(tmp_path, f"pull_requests:\n  {lines}\n")
    with pytest.raises(SettingsError, match=said):
        build(tmp_path).loop  # noqa: B018


@pytest.mark.parametrize("host", ["", "git", "github", "gitlab"])
def test_the_settings_choose_the_host(tmp_path: Path, host: str) -> None:
    make_project(tmp_path, f'pull_requests:\n  host: "{host}"\n  repository: shop/bot\n')
    loop = build(tmp_path).loop

    assert (loop.pulls.name if loop.pulls else "") == host


def check_records(store: Store) -> None:
    pull = PullRequest("a" * 16, "evergreen/gap-1", {"f.yml": "p" * 16}, {"f.yml": "m" * 16}, "open", START)
    store.save_pull_request(pull, "pulls", START)
    assert store.pull_requests() == [pull]
    told = replace(pull, number=7, url="https://x.test/7")
    store.save_pull_request(told, "pulls", START)
    done = replace(told, state="merged", read_at=START, conflicts=("one", "two"))
    store.save_pull_request(done, "pulls", START)
    store.save_pull_request(done, "pulls", START)

    assert store.pull_requests("open", "closing") == []
    assert store.pull_requests("merged") == [done]
    rows = [row for row in store.audit_rows() if row.what == "pull request"]
    assert [(row.before, row.after) for row in rows] == [("", "open"), ("open", "merged")]
    assert rows[-1].reason == "one; two"
    assert store.verify_audit() == []


def test_pull_requests_are_kept(tmp_path: Path) -> None:
    check_records(Store(fresh_database(tmp_path / "learning.db")))


@pytest.mark.service
def test_pull_requests_are_kept_in_postgresql(postgres_url: str) -> None:
    check_records(Store(postgres_url))
