"""Proposals as pull requests: opened once, kept as the proposals are, closed when they are decided elsewhere.

A pull request is written down before anything is made on the host: killed anywhere, the next run goes on with the same
branch. What is on the host is changed only where nobody has worked on it; everything else is a conflict that is shown.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from learning.entry_files import mark_of, offered_file
from learning.errors import EvergreenError, PullRefused, SettingsError
from learning.loop import Loop
from learning.model import Proposal, ProposalState, PullRequest, content_id
from learning.pipeline import try_branch
from learning.ports import PullRequestHost
from learning.pull_body import summary_of
from learning.pull_reading import AFTER_WORD, read_back, say_once
from learning.pull_upkeep import WHO, SyncReport, bring_up_to_date, close, next_release, proposals_of, told
from learning.review import OPEN_STATES

logger = logging.getLogger(__name__)

BRANCH = "evergreen/"
UNFINISHED = ("open", "closing")


def host_of(loop: Loop) -> PullRequestHost:
    """Return the host; raise `SettingsError` without one."""
    if loop.pulls is None:
        raise SettingsError("names no host", "learning.yml: pull_requests: host", "write git, github or gitlab")
    return loop.pulls


def sync(loop: Loop) -> SyncReport:
    """Read back what people did, bring open pull requests up to date, and open new ones; a second run does nothing.

    Raises:
        HostError: the host does not answer, or refuses the token; what was done so far stands, and is not done again.

    """
    report = SyncReport()
    host_of(loop).refresh()
    try:
        _follow(loop, report)
        _open_new(loop, report)
    finally:
        _write_branch(loop, report)
    return report


def try_sync(loop: Loop) -> SyncReport | None:
    """Do that where a host is set; what goes wrong is logged, and tried again at the next time."""
    if loop.pulls is None:
        return None
    try:
        return sync(loop)
    except EvergreenError as error:
        logger.error("pull requests: %s", error)
        return None


def open_pulls(loop: Loop) -> SyncReport:
    """Open pull requests for what waits and has none, without reading back."""
    report = SyncReport()
    host_of(loop).refresh()
    _open_new(loop, report)
    return report


def read_pulls(loop: Loop) -> SyncReport:
    """Read back what people did and bring open pull requests up to date, without opening new ones."""
    report = SyncReport()
    host_of(loop).refresh()
    try:
        _follow(loop, report)
    finally:
        _write_branch(loop, report)
    return report


def _write_branch(loop: Loop, report: SyncReport) -> None:
    if report.releases:
        report.commit, problem = try_branch(loop)
        if problem:
            report.problems.append(str(problem))


# --- what is there ----------------------------------------------------------------------------------


def _follow(loop: Loop, report: SyncReport) -> None:
    host = host_of(loop)
    for pull in loop.store.pull_requests(*UNFINISHED):
        try:
            _follow_one(loop, host, pull, report)
        except PullRefused as error:
            logger.warning("pull request %s: %s", pull.pull_id, error)
            report.problems.append(str(error))
        except EvergreenError:
            raise
        except Exception as error:  # what is in one pull request must not stop the others
            logger.error("pull request %s: %s, which is a defect", pull.pull_id, type(error).__name__)
            conflict = f"could not be read ({type(error).__name__}): {AFTER_WORD}"
            report.conflicts[pull.pull_id] = (conflict,)
            loop.store.save_pull_request(replace(pull, conflicts=(conflict,)), WHO, loop.now())


def _follow_one(loop: Loop, host: PullRequestHost, pull: PullRequest, report: SyncReport) -> None:
    if pull.state == "closing" and not pull.url:
        close(loop, host, pull, report)
        return
    if not pull.url:  # killed before it was opened, or just after
        pull = _make(loop, host, pull, report)
        if not pull.url:
            return
    seen = host.look(pull)
    if pull.state == "closing" and seen.state != "merged":  # merged meanwhile, it is read like any other
        close(loop, host, pull, report)
        return
    back = read_back(loop, host, pull, seen)
    report.decided += back.decided
    report.releases += back.releases
    if seen.state == "open":
        bring_up_to_date(loop, host, pull, seen, report, conflicts=back.conflicts)
        return
    finished = replace(pull, state=seen.state, read_at=loop.now(), conflicts=tuple(back.conflicts))
    loop.store.save_pull_request(finished, WHO, loop.now())
    report.finished.append(pull.pull_id)
    if back.conflicts:
        report.conflicts[pull.pull_id] = finished.conflicts
        say_once(host, finished, back.conflicts)


# --- what is new ------------------------------------------------------------------------------------


def _open_new(loop: Loop, report: SyncReport) -> None:
    host = host_of(loop)
    fresh = _without_pull(loop, host)
    if not fresh:
        return
    if loop.settings.pull_requests.per == "batch":
        under_way = [pull for pull in loop.store.pull_requests("open") if pull.branch.startswith(f"{BRANCH}batch-")]
        if not under_way:
            _open(loop, host, f"{BRANCH}batch", fresh, report)
        elif (seen := host.look(under_way[0])).state == "open":
            bring_up_to_date(loop, host, under_way[0], seen, report, fresh)
        return
    by_gap = sorted(fresh, key=lambda item: item.gap_id)
    for gap_id, items in groupby(by_gap, key=lambda item: item.gap_id):
        try:
            _open(loop, host, f"{BRANCH}gap-{gap_id}", list(items), report)
        except PullRefused as error:
            logger.warning("gap %s: %s", gap_id, error)
            report.problems.append(str(error))


def _without_pull(loop: Loop, host: PullRequestHost) -> list[Proposal]:
    """Return what waits, has no pull request, and is not in the base already as it is."""
    pulls = loop.store.pull_requests()
    taken = {
        proposal_id
        for pull in pulls
        if pull.state in UNFINISHED or pull.conflicts  # which somebody must resolve first
        for proposal_id in pull.proposals.values()
    }
    pending = [item for item in loop.store.proposals() if item.state is ProposalState.PENDING]
    fresh = [(item, *offered_file(item, 0)) for item in pending if item.proposal_id not in taken]
    if not fresh:
        return []
    there = host.read(host.base(), sorted({name for _, name, _ in fresh}))
    return [item for item, name, text in fresh if name not in there or mark_of(there[name]) != mark_of(text)]


def _open(loop: Loop, host: PullRequestHost, stem: str, proposals: Sequence[Proposal], report: SyncReport) -> None:
    """Write a pull request down, then make it; one on the same gap after an earlier one has a branch of its own."""
    names = [pull.branch for pull in loop.store.pull_requests()]
    before = sum(name == stem or name.rpartition("-")[0] == stem for name in names)
    branch = f"{stem}-{before + 1}" if before or stem.endswith("batch") else stem
    pull = PullRequest(content_id("pull", branch), branch, {}, {}, "open", loop.now())
    pull = _as_now(loop, pull, proposals)
    loop.store.save_pull_request(pull, WHO, loop.now())
    report.opened.append(_make(loop, host, pull, report))


def _make(loop: Loop, host: PullRequestHost, pull: PullRequest, report: SyncReport) -> PullRequest:
    """Push the branch of a pull request that is written down, and open it; one of which nothing waits is closed."""
    waiting = [item for item in proposals_of(loop, pull).values() if item and item.state in OPEN_STATES]
    if not waiting:
        close(loop, host, replace(pull, url=""), report)
        return pull
    old = pull.files
    pull = _as_now(loop, pull, waiting)
    number = next_release(loop)
    texts: dict[str, str | None] = dict(offered_file(item, number) for item in waiting)
    title, body = told(loop, waiting)
    there = host.read(tip, sorted({*texts, *old})) if (tip := host.tip(pull.branch)) else {}
    touched = [name for name in there if mark_of(there[name]) not in (old.get(name), pull.files.get(name))]
    if not touched:
        gone = {name: None for name in old if name not in texts}
        same = {name for name in texts if name in there and mark_of(there[name]) == pull.files[name]}
        files = {**gone, **{name: text for name, text in texts.items() if name not in same}}
        host.write(pull.branch, files, title, summary_of(waiting))
    number_there, url = host.open(pull.branch, title, body, pull.opened_at)
    pull = replace(pull, number=number_there, url=url)
    loop.store.save_pull_request(pull, WHO, loop.now())
    return pull


def _as_now(loop: Loop, pull: PullRequest, proposals: Iterable[Proposal]) -> PullRequest:
    named = {item.proposal_id: offered_file(item, 0) for item in proposals}
    return replace(
        pull,
        proposals={name: proposal_id for proposal_id, (name, _) in named.items()},
        files={name: mark_of(text) for name, text in named.values()},
    )
