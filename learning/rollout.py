"""Entries on their way to everybody: the next step when it is due, and back by itself when it does harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from learning.errors import EvergreenError, ReviewError, StoreError
from learning.fitting import hanging, trained_labels
from learning.loop import Loop
from learning.model import EVERYBODY, LIVE, Change, Entry, Release, ReleaseKind, Rollout
from learning.names import check_name
from learning.releasing import take_back
from learning.rollout_progress import Progress, find_progress, read_progress

logger = logging.getLogger(__name__)

WHO = "rollout"  # who makes the steps, in the records


def advance(loop: Loop) -> list[Release]:
    """Take back what does harm, then move what is due to its next step; return the releases that were made.

    A step waits for its time and for nothing else; after a pause of the scheduler only one is made. What somebody else
    has changed at the same moment is left alone until the next time.

    Raises:
        SettingsError: `rollout.false_alarms` is no chance.

    """
    made: list[Release] = []
    for progress in read_progress(loop):
        if progress.does_harm:
            made += _try(_stop, loop, progress)
    for progress in read_progress(loop, watch=False):
        if progress.next_at is not None and progress.next_at <= loop.now():
            made += _try(_step, loop, progress)
    return made


def set_share(
    loop: Loop, prefix: str, percent: int, who: str, reason: str = "", keep_schedule: bool = False
) -> Release:
    """Bring a live entry to another share of the users by hand; its schedule ends, or goes on from there.

    Raises:
        NotFound: no live entry has this id, or several do.
        ReviewError: the share is none, or it has it already.
        StoreError: somebody else changed it first.

    """
    check_name(who)
    progress = find_progress(loop, prefix)
    entry, item = progress.entry, f"entry {progress.entry.entry_id}"
    if not 0 < percent <= EVERYBODY:
        raise ReviewError(
            f"cannot go to {percent} %", item, "use 1 to 100; `python -m learning withdraw` takes it back"
        )
    if percent == entry.share:
        raise ReviewError(f"goes to {percent} % already", item, "use another share, or leave it")
    further = _further(progress.rollout, percent) if keep_schedule else ()
    rollout = replace(progress.rollout, steps=(percent, *further), at_step=0, since=loop.now(), stopped="")
    change = Change(entry.entry_id, entry.share, percent)
    return loop.store.release(ReleaseKind.ROLLOUT, [change], who, loop.now(), reason, rollouts=[rollout])


def pause(loop: Loop, prefix: str, who: str, reason: str = "") -> Rollout:
    """Let a live entry stay at its share until somebody resumes it; the stop rule looks at it all the same.

    Raises:
        NotFound: no live entry has this id, or several do.
        ReviewError: no further step is planned.

    """
    check_name(who)
    progress = find_progress(loop, prefix)
    if progress.next_share is None:
        raise ReviewError(
            "has no further step", f"entry {progress.entry.entry_id}", "see `python -m learning rollout show`"
        )
    why = f"paused by {who}" + (f": {reason}" if reason else "")
    paused = replace(progress.rollout, stopped=why)
    loop.store.save_rollout(paused, "pause", who, reason, loop.now())
    return paused


def resume(loop: Loop, prefix: str, who: str, reason: str = "") -> Rollout:
    """Let a live entry go on from the share that it has; its next step is due after the schedule's hours.

    Raises:
        NotFound: no live entry has this id, or several do.
        ReviewError: it is on its way, or there is no step above its share.

    """
    check_name(who)
    progress = find_progress(loop, prefix)
    entry, item = progress.entry, f"entry {progress.entry.entry_id}"
    if progress.next_share is not None:
        raise ReviewError("is on its way", item, "see `python -m learning rollout show`")
    further = _further(progress.rollout, entry.share) or _further_of(loop.settings.rollout.steps, entry.share)
    if not further:
        raise ReviewError(f"has no step above {entry.share} %", item, "use `python -m learning rollout set`")
    steps = (entry.share, *further)
    resumed = replace(progress.rollout, steps=steps, at_step=0, since=loop.now(), stopped="")
    loop.store.save_rollout(resumed, "resume", who, reason, loop.now())
    return resumed


def _try(make: Callable[[Loop, Progress], Release], loop: Loop, progress: Progress) -> list[Release]:
    """Make a release; a problem with one entry keeps no other from its step."""
    try:
        release = make(loop, progress)
    except EvergreenError as error:
        logger.warning("rollout: entry %s was left as it is: %s", progress.entry.entry_id, error)
        return []
    level = logging.WARNING if release.what is ReleaseKind.STOP else logging.INFO
    logger.log(level, "rollout: release %d, entry %s: %s", release.number, progress.entry.entry_id, release.reason)
    return [release]


def _step(loop: Loop, progress: Progress) -> Release:
    entry, after = progress.entry, progress.next_share
    assert after is not None
    rollout = replace(progress.rollout, at_step=progress.rollout.at_step + 1, since=loop.now())
    reason = f"{entry.share} % to {after} %, as scheduled"
    change = Change(entry.entry_id, entry.share, after)
    return loop.store.release(
        ReleaseKind.ROLLOUT, [change], WHO, loop.now(), reason, rollouts=[rollout], seen=[progress.rollout]
    )


def _stop(loop: Loop, progress: Progress) -> Release:
    """Take an entry back with what hangs on it, and say why."""
    entry, trained = progress.entry, trained_labels(loop)
    why = "; ".join(one.sentence for one in progress.comparisons if one.fires)
    rollouts = {one.entry_id: one for one in loop.store.rollouts()}
    rollouts.setdefault(entry.entry_id, progress.rollout)
    stopped = [replace(rollouts[entry.entry_id], stopped=why)]
    for other in hanging(entry, loop.store.entries(*LIVE), trained):
        if other.entry_id in rollouts:
            stopped.append(replace(rollouts[other.entry_id], stopped=f"went with {entry.label} ({entry.entry_id[:8]})"))

    def changes(live: Sequence[Entry]) -> list[Change]:
        if entry not in live:
            raise StoreError("has changed", f"entry {entry.entry_id}", "nothing was done")
        return take_back([entry], live, trained)

    return loop.store.release(ReleaseKind.STOP, changes, WHO, loop.now(), why, rollouts=stopped)


def _further(rollout: Rollout, share: int) -> tuple[int, ...]:
    return _further_of(rollout.steps, share)


def _further_of(steps: Sequence[int], share: int) -> tuple[int, ...]:
    return tuple(step for step in steps if step > share)
