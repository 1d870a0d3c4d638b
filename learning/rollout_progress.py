"""How far entries have come on their way to everybody, and what came of their answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from learning.errors import NotFound, SettingsError
from learning.loop import Loop
from learning.model import EVERYBODY, Entry, ProposalState, Release, Rollout
from learning.stop_rule import Comparison, Others, judge


@dataclass(frozen=True)
class Progress:
    """How an entry is doing: since when it is live and goes to everybody, its schedule, and what came of it.

    `next_at` is when it goes to `next_share`, both None where no further step is planned. `comparisons` are empty
    unless the stop rule looks at it.
    """

    entry: Entry
    rollout: Rollout
    live_since: datetime
    full_since: datetime | None
    next_share: int | None = None
    next_at: datetime | None = None
    comparisons: tuple[Comparison, ...] = ()

    @property
    def does_harm(self) -> bool:
        """Whether it has to go back."""
        return any(one.fires for one in self.comparisons)


@dataclass(frozen=True)
class _Times:
    """When an entry went live the last time, and when it last reached everybody, if it is there."""

    live: datetime
    full: datetime | None


def read_progress(loop: Loop, only: Collection[str] = (), watch: bool = True) -> list[Progress]:
    """Return how live entries are doing (those with an id in `only`, all without), in the order of their release.

    Args:
        loop: the loop.
        only: ids of entries.
        watch: whether to read what came of those that the stop rule looks at.

    Raises:
        SettingsError: `rollout.false_alarms` is no chance.

    """
    level = loop.settings.rollout.false_alarms
    if not 0 < level < 1:
        raise SettingsError(f"is {level:g}", "learning.yml: rollout: false_alarms", "use a number between 0 and 1")
    entries = [one for one in loop.store.entries(ProposalState.PUBLISHED) if not only or one.entry_id in only]
    rollouts = {one.entry_id: one for one in loop.store.rollouts()}
    times = _times(loop.store.releases()) if entries else {}
    found = [_scheduled(loop, one, rollouts.get(one.entry_id), times) for one in entries]
    return _with_comparisons(loop, found) if watch else found


def find_progress(loop: Loop, prefix: str, watch: bool = False) -> Progress:
    """Return how the live entry is doing whose id starts with `prefix`.

    Raises:
        NotFound: none does, or more than one.

    """
    live = loop.store.entries(ProposalState.PUBLISHED)
    ids = [one.entry_id for one in live if prefix and one.entry_id.startswith(prefix)]
    found = read_progress(loop, ids, watch) if len(ids) == 1 else []
    if len(found) != 1:
        what = f"fits {len(ids)} live entries"
        raise NotFound(what, f"id {prefix!r}", "take an id from `python -m learning rollout list`")
    return found[0]


def stopped_rollouts(loop: Loop) -> list[tuple[Entry, Rollout]]:
    """Return the entries that the stop rule has taken back and that are not live again, with the reasons."""
    gone = {one.entry_id: one for one in loop.store.entries(ProposalState.WITHDRAWN)}
    return [(gone[one.entry_id], one) for one in loop.store.rollouts() if one.stopped and one.entry_id in gone]


def why_stopped(loop: Loop, gap_ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return for each gap why the stop rule took answers to it back, one sentence an entry."""
    stopped = stopped_rollouts(loop)
    gap_of = {one.proposal_id: one.gap_id for one in loop.store.proposals()} if stopped else {}
    found: dict[str, list[str]] = {gap_id: [] for gap_id in gap_ids}
    for entry, rollout in stopped:
        gap_id = gap_of.get(entry.proposal_id)
        if gap_id in found:
            found[gap_id].append(f"{entry.label} ({entry.entry_id[:8]}) went back by itself: {rollout.stopped}")
    return {gap_id: tuple(sentences) for gap_id, sentences in found.items()}


def _times(releases: Sequence[Release]) -> dict[str, _Times]:
    """Return the times of all items; `releases` are the newest first."""
    found: dict[str, _Times] = {}
    for release in reversed(releases):
        for change in release.changes:
            live = release.at if change.before == 0 or change.item_id not in found else found[change.item_id].live
            found[change.item_id] = _Times(live, release.at if change.after == EVERYBODY else None)
    return found


def _scheduled(loop: Loop, entry: Entry, rollout: Rollout | None, times: Mapping[str, _Times]) -> Progress:
    """Return an entry with its next step; whose share is not the schedule's was brought there by somebody."""
    now = loop.now()
    time = times.get(entry.entry_id, _Times(now, now))
    if rollout is None:
        rollout = Rollout(entry.entry_id, (entry.share,), 0, loop.settings.rollout.hours, time.live)
    further = rollout.steps[rollout.at_step + 1 :]
    progress = Progress(entry, rollout, time.live, time.full)
    if rollout.stopped or not further or rollout.steps[rollout.at_step] != entry.share:
        return progress
    return replace(progress, next_share=further[0], next_at=rollout.since + timedelta(hours=rollout.hours))


def _with_comparisons(loop: Loop, found: Sequence[Progress]) -> list[Progress]:
    """Look at what came of the entries that go to some users, or have gone to everybody for a short time."""
    settings, now = loop.settings, loop.now()
    days = timedelta(days=settings.rollout.watch_days)
    watched = [one for one in found if one.full_since is None or now - one.full_since <= days]
    if not watched:
        return list(found)
    # A day counts as a whole: how often a sender was answered on it, whatever was before the release.
    first = min(one.live_since for one in watched).replace(hour=0, minute=0, second=0, microsecond=0)
    others = Others(loop.store.answers_since(first))
    # What follows an answer is known once nobody can add to the conversation.
    until = now - timedelta(minutes=settings.conversations.idle_minutes)
    looked_at = {one.entry.entry_id for one in watched}
    return [_compared(loop, one, others, until) if one.entry.entry_id in looked_at else one for one in found]


def _compared(loop: Loop, progress: Progress, others: Others, until: datetime) -> Progress:
    entry = progress.entry
    comparisons = judge(
        kind=entry.kind,
        exposures=loop.store.exposures(entry.entry_id, progress.live_since),
        others=others,
        since=progress.live_since,
        until=until,
        false_alarms=loop.settings.rollout.false_alarms,
        full_since=progress.full_since,
    )
    return replace(progress, comparisons=tuple(comparisons))
