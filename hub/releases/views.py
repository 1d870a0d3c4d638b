"""What the pages about releases show, read from the loop as frozen records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log10

from hub.review.decisions import NOT_LIVE_YET
from learning import pipeline
from learning.effects import Effect, effect_of_release
from learning.errors import NotFound, ReviewError
from learning.loop import Loop
from learning.model import LIVE, Entry, ProposalState, Release, content_id
from learning.pipeline import Plan
from learning.release_view import Item, ReleaseView, items_of
from learning.release_view import read_release as find_release
from learning.release_view import read_releases as read_views
from learning.rollout_progress import Progress, read_progress, stopped_rollouts
from learning.stop_rule import Comparison

LIVE_SHOWN = 100  # cards; more are found by name
GONE_SHOWN = 20
HISTORY_SHOWN = 100  # releases on a page
DIFF_SHOWN = 400  # lines
DIFF_OPEN = 60  # lines up to which a diff is shown without asking for it
MARKS = {"+": "add", "-": "gone", "@": "place"}  # the first character of a diff's line, and its class
MOST_ODDS = 1_000_000  # likelihood ratios beyond it are no news


@dataclass(frozen=True)
class Watched:
    """One outcome that the stop rule looks at: the evidence of a rise, as a ratio, and how far it is (0..1)."""

    comparison: Comparison
    share: float
    odds: str
    needed: str


@dataclass(frozen=True)
class LiveEntry:
    """An entry that is in use, the release that brought it (None if its record was lost), and how it is doing."""

    entry: Entry
    release: Release | None
    progress: Progress | None = None
    watched: tuple[Watched, ...] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        """The shares of its schedule, if it has more than one."""
        steps = self.progress.rollout.steps if self.progress else ()
        return steps if len(steps) > 1 else ()

    @property
    def is_paused(self) -> bool:
        """Whether somebody has stopped its schedule, or set its share by hand, below everybody."""
        return self.progress is not None and self.progress.next_share is None and self.entry.share < 100


@dataclass(frozen=True)
class GoneEntry:
    """An entry that was taken back, by which release, and what the stop rule said if it was that."""

    entry: Entry
    release: Release | None
    why: str


@dataclass(frozen=True)
class Releases:
    """What is live and what is not any more, with how they came there, and what got stuck on the way."""

    live: tuple[LiveEntry, ...]
    live_total: int
    live_more: int
    gone: tuple[GoneEntry, ...]
    gone_more: int
    history: tuple[ReleaseView, ...]
    older: int | None  # the releases before this number are on the next page
    unpublished: int
    uncommitted: int


@dataclass(frozen=True)
class Way:
    """A way back: what it would change and the mark of that, or why there is none and what helps."""

    changes: tuple[Item, ...] = ()
    left_out: tuple[str, ...] = ()
    seen: str = ""
    problem: str = ""
    next_step: str = ""


@dataclass(frozen=True)
class DiffLine:
    """A line of a diff, and what it is: `add`, `gone`, `place`, or nothing of these."""

    text: str
    kind: str


@dataclass(frozen=True)
class ReleaseDetail:
    """One release, what it changed in the files, what followed from it, and the two ways back."""

    view: ReleaseView
    diff: tuple[DiffLine, ...]
    diff_more: int
    is_diff_open: bool
    effect: Effect
    rollback: Way
    back_to: Way


def read_releases(loop: Loop, find: str = "", before: int | None = None) -> Releases:
    """Return the entries in use and the newest releases.

    Args:
        loop: the loop.
        find: only entries with this in their label.
        before: only releases with numbers under this one.

    """
    store = loop.store
    views = read_views(loop)
    entries = store.entries()
    by_number = {view.release.number: view.release for view in views}
    live = [entry for entry in reversed(entries) if entry.state in LIVE]
    fitting = [entry for entry in live if find.casefold() in entry.label.casefold()]
    shown = fitting[:LIVE_SHOWN]
    doing = (
        {one.entry.entry_id: one for one in read_progress(loop, [entry.entry_id for entry in shown])} if shown else {}
    )
    gone = _gone(loop, entries, [view.release for view in views], find)
    page = [view for view in views if before is None or view.release.number < before]
    return Releases(
        live=tuple(_live(one, by_number.get(one.release), doing.get(one.entry_id)) for one in shown),
        live_total=len(live),
        live_more=len(fitting) - len(shown),
        gone=tuple(gone[:GONE_SHOWN]),
        gone_more=max(0, len(gone) - GONE_SHOWN),
        history=tuple(page[:HISTORY_SHOWN]),
        older=page[HISTORY_SHOWN - 1].release.number if len(page) > HISTORY_SHOWN else None,
        unpublished=sum(proposal.state in NOT_LIVE_YET for proposal in store.proposals()),
        uncommitted=sum(view.release.commit is None for view in views),
    )


def read_release(loop: Loop, number: int) -> ReleaseDetail:
    """Return one release, with what followed from it and what the ways back would do.

    Raises:
        NotFound: there is none with this number.

    """
    try:
        view = find_release(loop, number)
    except NotFound as error:
        raise NotFound("does not exist", f"Release {number}", "choose one from the list") from error
    lines = [DiffLine(line, MARKS.get(line[:1], "")) for line in view.diff.splitlines()]
    return ReleaseDetail(
        view,
        diff=tuple(lines[:DIFF_SHOWN]),
        diff_more=max(0, len(lines) - DIFF_SHOWN),
        is_diff_open=len(lines) <= DIFF_OPEN,
        effect=effect_of_release(loop, number),
        rollback=_way(loop, lambda: pipeline.plan_rollback(loop, number)),
        back_to=_way(loop, lambda: pipeline.plan_roll_back_to(loop, number)),
    )


def mark_of(plan: Plan) -> str:
    """Return a mark of what a plan would do; it changes when that does."""
    return content_id(*(f"{one.item_id}:{one.before}:{one.after}" for one in plan.changes))


def ratio_place(ratio: float) -> float:
    """Return where a ratio of rates is drawn, in percent: a tenth at the left, no change in the middle."""
    return round(min(max(50 + 50 * log10(max(ratio, 1e-9)), 0.0), 100.0), 2)


def _live(entry: Entry, release: Release | None, progress: Progress | None) -> LiveEntry:
    watched = tuple(_watched(one) for one in progress.comparisons) if progress else ()
    return LiveEntry(entry, release, progress, watched)


def _watched(one: Comparison) -> Watched:
    share = min(max(one.evidence / one.needed, 0.0), 1.0)
    odds, needed = (f"{min(exp(min(value, 700.0)), MOST_ODDS):,.1f}" for value in (one.evidence, one.needed))
    return Watched(one, share, odds, needed)


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


def _way(loop: Loop, plan: Callable[[], Plan]) -> Way:
    try:
        found = plan()
    except ReviewError as error:
        return Way(problem=error.what, next_step=error.next_step)
    return Way(items_of(loop, found.changes), tuple(found.left_out), mark_of(found))
