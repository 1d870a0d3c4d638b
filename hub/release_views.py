"""What the pages about releases and experiments show, read from the loop as frozen records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hub.decisions import NOT_LIVE_YET
from learning import pipeline
from learning.errors import EvergreenError, NotFound, ReviewError
from learning.experiments import show as show_experiment
from learning.loop import Loop
from learning.model import LIVE, Change, Entry, Experiment, ProposalState, Release, content_id
from learning.pipeline import Plan
from learning.rollout_progress import Progress, read_progress, stopped_rollouts
from learning.verdict_words import sentence
from learning.verdicts import METRICS, Verdict

LIVE_SHOWN = 100  # cards; more are found by name
GONE_SHOWN = 20
HISTORY_SHOWN = 100  # releases on a page


@dataclass(frozen=True)
class LiveEntry:
    """An entry that is in use, the release that brought it (None if its record was lost), and how it is doing."""

    entry: Entry
    release: Release | None
    progress: Progress | None = None


@dataclass(frozen=True)
class GoneEntry:
    """An entry that was taken back, by which release, and what the stop rule said if it was that."""

    entry: Entry
    release: Release | None
    why: str


@dataclass(frozen=True)
class Changed:
    """What a release did to one item: exactly one of `entry` and `experiment` is set, neither if it was removed."""

    change: Change
    entry: Entry | None
    experiment: Experiment | None


@dataclass(frozen=True)
class Step:
    """One release with what it changed; `undone_by` is the number of the release that took it back."""

    release: Release
    changes: tuple[Changed, ...]
    undone_by: int | None


@dataclass(frozen=True)
class Releases:
    """What is live and what is not any more, with how they came there, and what got stuck on the way."""

    live: tuple[LiveEntry, ...]
    live_total: int
    live_more: int
    gone: tuple[GoneEntry, ...]
    gone_more: int
    history: tuple[Step, ...]
    older: int | None  # the releases before this number are on the next page
    unpublished: int
    uncommitted: int


@dataclass(frozen=True)
class Way:
    """A way back: what it would change and the mark of that, or why there is none and what helps."""

    changes: tuple[Changed, ...] = ()
    seen: str = ""
    problem: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class ReleaseDetail:
    """One release, and the two ways back from it."""

    step: Step
    rollback: Way
    back_to: Way


@dataclass(frozen=True)
class ExperimentView:
    """An experiment with its verdict so far; `problem` says why there is none."""

    experiment: Experiment
    counts: str
    verdict: Verdict | None = None
    sentence: str = ""
    notes: tuple[str, ...] = ()
    problem: str = ""


def read_releases(loop: Loop, find: str = "", before: int | None = None) -> Releases:
    """Return the entries in use and the newest releases.

    Args:
        loop: the loop.
        find: only entries with this in their label.
        before: only releases with numbers under this one.

    """
    store = loop.store
    releases = store.releases()
    entries = store.entries()
    by_number = {release.number: release for release in releases}
    live = [entry for entry in reversed(entries) if entry.state in LIVE]
    fitting = [entry for entry in live if find.casefold() in entry.label.casefold()]
    shown = fitting[:LIVE_SHOWN]
    doing = (
        {one.entry.entry_id: one for one in read_progress(loop, [entry.entry_id for entry in shown])} if shown else {}
    )
    gone = _gone(loop, entries, releases, find)
    page = [release for release in releases if before is None or release.number < before]
    return Releases(
        live=tuple(LiveEntry(one, by_number.get(one.release), doing.get(one.entry_id)) for one in shown),
        live_total=len(live),
        live_more=len(fitting) - len(shown),
        gone=tuple(gone[:GONE_SHOWN]),
        gone_more=max(0, len(gone) - GONE_SHOWN),
        history=_steps(loop, page[:HISTORY_SHOWN], releases, entries),
        older=page[HISTORY_SHOWN - 1].number if len(page) > HISTORY_SHOWN else None,
        unpublished=sum(proposal.state in NOT_LIVE_YET for proposal in store.proposals()),
        uncommitted=sum(release.commit is None for release in releases),
    )


def read_release(loop: Loop, number: int) -> ReleaseDetail:
    """Return one release, with what the ways back from it would do.

    Raises:
        NotFound: there is none with this number.

    """
    releases, entries = loop.store.releases(), loop.store.entries()
    found = [release for release in releases if release.number == number]
    if not found:
        raise NotFound("does not exist", f"Release {number}", "choose one from the list")
    (step,) = _steps(loop, found, releases, entries)
    return ReleaseDetail(
        step,
        rollback=_way(loop, lambda: pipeline.plan_rollback(loop, number), entries),
        back_to=_way(loop, lambda: pipeline.plan_roll_back_to(loop, number), entries),
    )


def mark_of(plan: Plan) -> str:
    """Return a mark of what a plan would do; it changes when that does."""
    return content_id(*(f"{one.item_id}:{one.before}:{one.after}" for one in plan.changes))


def read_experiments(loop: Loop) -> tuple[ExperimentView, ...]:
    """Return the experiments, the newest first, each with what it has shown so far."""
    newest = sorted(loop.store.experiments(), key=lambda one: (one.created_at, one.experiment_id), reverse=True)
    return tuple(_experiment(loop, one) for one in newest)


def _gone(loop: Loop, entries: Sequence[Entry], releases: Sequence[Release], find: str) -> list[GoneEntry]:
    """Return what was taken back and can be restored, the last first."""
    by: dict[str, Release] = {}
    for release in reversed(releases):
        by.update({change.item_id: release for change in release.changes if change.after == 0})
    why = {entry.entry_id: rollout.stopped for entry, rollout in stopped_rollouts(loop)}
    gone = [
        GoneEntry(entry, by.get(entry.entry_id), why.get(entry.entry_id, ""))
        for entry in entries
        if entry.state is ProposalState.WITHDRAWN and find.casefold() in entry.label.casefold()
    ]
    return sorted(gone, key=lambda one: -(one.release.number if one.release else 0))


def _steps(
    loop: Loop, shown: Sequence[Release], releases: Sequence[Release], entries: Sequence[Entry]
) -> tuple[Step, ...]:
    undone = {release.undoes: release.number for release in releases if release.undoes is not None}
    by_id = {entry.entry_id: entry for entry in entries}
    experiments = _experiments(loop, [change for release in shown for change in release.changes], by_id)
    return tuple(
        Step(release, _changed(release.changes, by_id, experiments), undone.get(release.number)) for release in shown
    )


def _experiments(loop: Loop, changes: Sequence[Change], entries: Mapping[str, Entry]) -> dict[str, Experiment]:
    """Return the experiments by their ids, if any of the items may be one."""
    if all(change.item_id in entries for change in changes):
        return {}
    return {one.experiment_id: one for one in loop.store.experiments()}


def _changed(
    changes: Sequence[Change], entries: Mapping[str, Entry], experiments: Mapping[str, Experiment]
) -> tuple[Changed, ...]:
    return tuple(Changed(one, entries.get(one.item_id), experiments.get(one.item_id)) for one in changes)


def _way(loop: Loop, plan: Callable[[], Plan], entries: Sequence[Entry]) -> Way:
    try:
        found = plan()
    except ReviewError as error:
        return Way(problem=error.what, next_step=error.next_step)
    by_id = {entry.entry_id: entry for entry in entries}
    return Way(_changed(found.changes, by_id, _experiments(loop, found.changes, by_id)), mark_of(found))


def _experiment(loop: Loop, experiment: Experiment) -> ExperimentView:
    """Return one experiment; what is wrong with it keeps no other from being shown."""
    counts = METRICS.get(experiment.metric, experiment.metric)
    if experiment.started_at is None:
        return ExperimentView(experiment, counts)
    try:
        shown = show_experiment(loop, experiment.experiment_id)
    except EvergreenError as error:
        return ExperimentView(experiment, counts, problem=f"{error.item} {error.what}")
    return ExperimentView(experiment, counts, shown.verdict, sentence(shown.verdict), shown.notes)
