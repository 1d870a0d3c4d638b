"""Open pull requests kept as their proposals are: changed only where nobody has worked on them, closed when decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from learning.entry_files import mark_of, offered_file
from learning.errors import NotFound
from learning.evidence import read_evidence
from learning.loop import Loop
from learning.model import Proposal, PullRequest, PullSeen, Release
from learning.ports import PullRequestHost
from learning.pull_body import mark_of_body, render_body, summary_of, title_of
from learning.pull_reading import AFTER_WORD, say_once
from learning.review import OPEN_STATES

WHO = "pulls"  # in the audit log


@dataclass
class SyncReport:
    """What a run did: pull requests by id, releases that were made, and what failed."""

    opened: list[PullRequest] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)  # proposal ids
    finished: list[str] = field(default_factory=list)
    conflicts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    commit: str | None = None


def bring_up_to_date(
    loop: Loop,
    host: PullRequestHost,
    pull: PullRequest,
    seen: PullSeen,
    report: SyncReport,
    added: Sequence[Proposal] = (),
    conflicts: Sequence[str] = (),
) -> None:
    """Make an open pull request what its proposals are now, file by file, where nobody has worked on it."""
    proposals = proposals_of(loop, pull)
    waiting = {name: item for name, item in proposals.items() if item is not None and item.state in OPEN_STATES}
    if not waiting and not added:
        _finish(loop, host, pull, seen, report)
        return
    wanted = _Wanted.of(loop, pull, waiting, added)
    if wanted.changes:
        there = host.read(seen.commit, sorted({*pull.files, *wanted.files}))
        before = pull
        pull, found = _change(loop, host, pull, wanted, there)
        conflicts = [*conflicts, *found]
        report.updated += [pull.pull_id] if pull != before else []
    pull = _note(loop, pull, conflicts, report)
    shown = [*waiting.values(), *added]
    if mark_of_body(shown) not in seen.body and seen.body:
        host.describe(pull, *told(loop, shown))
    if conflicts:
        say_once(host, pull, conflicts)


@dataclass(frozen=True)
class _Wanted:
    """The files that a pull request should hold, and by the name of a file that it holds, what becomes of it."""

    files: Mapping[str, str]
    proposals: Mapping[str, str]
    changes: Mapping[str, str | None]  # the name of a file in the branch -> its name from now on, None without it
    added: frozenset[str]

    @classmethod
    def of(cls, loop: Loop, pull: PullRequest, waiting: Mapping[str, Proposal], added: Sequence[Proposal]) -> _Wanted:
        files: dict[str, str] = {}
        proposals: dict[str, str] = {}
        changes: dict[str, str | None] = {name: None for name in pull.proposals if name not in waiting}
        number = next_release(loop)
        for name, proposal in waiting.items():
            now, text = offered_file(proposal, number)
            files[now], proposals[now] = text, proposal.proposal_id
            if now != name or mark_of(text) != pull.files[name]:
                changes[name] = now
        new = {}
        for proposal in added:
            now, text = offered_file(proposal, number)
            files[now], proposals[now] = text, proposal.proposal_id
            new[now] = now
        return cls(files, proposals, {**changes, **new}, frozenset(new))


def _change(
    loop: Loop, host: PullRequestHost, pull: PullRequest, wanted: _Wanted, there: Mapping[str, str]
) -> tuple[PullRequest, list[str]]:
    """Write what has changed; return the pull request as it is then, and what people have worked on meanwhile."""
    write: dict[str, str | None] = {}
    files, proposals, conflicts = dict(pull.files), dict(pull.proposals), []
    for name, now in wanted.changes.items():
        present = mark_of(there[name]) if name in there else ""
        goal = mark_of(wanted.files[now]) if now else ""
        at_goal = now is None or (now in there and mark_of(there[now]) == goal)
        already = at_goal and (name == now or name not in there)  # by a run that was killed
        if not already and present != pull.files.get(name, ""):
            why = "its proposal was mined anew" if now else "its proposal was decided elsewhere"
            conflicts.append(f"{name} was changed here, and {why}: {AFTER_WORD}")
            continue
        files.pop(name, None)
        proposals.pop(name, None)
        if name != now and name in there:
            write[name] = None
        if now:
            files[now], proposals[now] = goal, wanted.proposals[now]
            if not already:
                write[now] = wanted.files[now]
    changed = replace(pull, files=files, proposals=proposals)
    if write:
        waiting = [item for item in proposals_of(loop, changed).values() if item is not None]
        host.write(pull.branch, write, title_of(waiting), summary_of(waiting))
    if changed != pull:
        loop.store.save_pull_request(changed, WHO, loop.now())
    return changed, conflicts


def _finish(loop: Loop, host: PullRequestHost, pull: PullRequest, seen: PullSeen, report: SyncReport) -> None:
    """Close a pull request whose proposals are all decided elsewhere, unless somebody has worked on it."""
    there = host.read(seen.commit, sorted(pull.files))
    touched = [name for name, mark in pull.files.items() if name not in there or mark_of(there[name]) != mark]
    if touched:
        conflicts = [f"{name} was changed here, and its proposal was decided elsewhere: close it" for name in touched]
        say_once(host, _note(loop, pull, conflicts, report), [*_verdicts(loop, pull), *conflicts])
        return
    closing = replace(pull, state="closing")
    loop.store.save_pull_request(closing, WHO, loop.now())
    close(loop, host, closing, report)


def close(loop: Loop, host: PullRequestHost, pull: PullRequest, report: SyncReport) -> None:
    """Say who decided elsewhere, close it there, and note that; done again after a crash it does no harm."""
    if pull.url:
        say_once(host, pull, _verdicts(loop, pull))
        host.close(pull)
    loop.store.save_pull_request(replace(pull, state="closed", read_at=loop.now()), WHO, loop.now())
    report.finished.append(pull.pull_id)


def _verdicts(loop: Loop, pull: PullRequest) -> list[str]:
    """Return what was decided elsewhere, one sentence a proposal."""
    said = []
    for proposal_id in pull.proposals.values():
        decisions = loop.store.decisions_about(proposal_id)
        by = f" by {decisions[-1].who} on {decisions[-1].at:%Y-%m-%d at %H:%M} UTC" if decisions else ""
        try:
            state = loop.store.proposal(proposal_id).state.value
        except NotFound:
            state, by = "gone", ""
        said.append(f"Proposal {proposal_id} is {state}: it was decided elsewhere{by}.")
    return said


def next_release(loop: Loop) -> int:
    """Return the number that the next release will have."""
    return max((release.number for release in loop.store.releases()), default=0) + 1


def told(loop: Loop, proposals: Sequence[Proposal]) -> tuple[str, str]:
    """Return title and body."""
    evidence = {proposal.proposal_id: read_evidence(loop, proposal) for proposal in proposals}
    return title_of(proposals), render_body(proposals, evidence)


def proposals_of(loop: Loop, pull: PullRequest) -> dict[str, Proposal | None]:
    """Return the proposals of a pull request by file; None for one that was forgotten."""
    found: dict[str, Proposal | None] = {}
    for name, proposal_id in pull.proposals.items():
        try:
            found[name] = loop.store.proposal(proposal_id)
        except NotFound:
            found[name] = None
    return found


def _note(loop: Loop, pull: PullRequest, conflicts: Sequence[str], report: SyncReport) -> PullRequest:
    """Keep the conflicts that are there now."""
    if conflicts:
        report.conflicts[pull.pull_id] = tuple(conflicts)
    if pull.conflicts == tuple(conflicts):
        return pull
    pull = replace(pull, conflicts=tuple(conflicts))
    loop.store.save_pull_request(pull, WHO, loop.now())
    return pull
