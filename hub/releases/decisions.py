"""What people do about releases, through the learning loop: back, forth, and to how many users."""

from __future__ import annotations

from collections.abc import Callable

from hub.context import Hub
from hub.errors import Conflict
from hub.releases.views import mark_of
from hub.review.decisions import write_branch
from hub.texts import releases as release_texts
from learning import pipeline, rollout
from learning.errors import EvergreenError, ReviewError, StoreError
from learning.loop import Loop
from learning.model import Release, Rollout
from learning.pipeline import Plan
from learning.rollout_progress import find_progress

DATABASE = "learning database"  # begins the item of what failed there; other store errors say that somebody was first


def rollback(hub: Hub, number: int, who: str, reason: str, seen: str) -> tuple[Release, str]:
    """Take one release back, if that would still do what the person saw; return the new one and a warning.

    Raises:
        Conflict: what is live has changed since.
        ReviewError: there is no way back.

    """
    loop = hub.loop
    return _carry_out(
        hub, lambda: pipeline.plan_rollback(loop, number), lambda: pipeline.rollback(loop, number, who, reason), seen
    )


def roll_back_to(hub: Hub, number: int, who: str, reason: str, seen: str) -> tuple[Release, str]:
    """Take back all that came after a release, as `rollback` does."""
    loop = hub.loop
    return _carry_out(
        hub,
        lambda: pipeline.plan_roll_back_to(loop, number),
        lambda: pipeline.roll_back_to(loop, number, who, reason),
        seen,
    )


def restore(hub: Hub, entry_id: str, who: str, reason: str) -> tuple[Release, str]:
    """Bring back an entry that was taken back; return the release and a warning.

    Raises:
        Conflict: somebody else was first.
        ReviewError: it does not fit what is live.

    """
    return _release(hub, lambda: pipeline.restore(hub.loop, entry_id, who, reason))


def set_share(hub: Hub, entry_id: str, percent: int, who: str, reason: str, keep: bool) -> tuple[Release, str]:
    """Bring a live entry to another share of the users; return the release and a warning.

    Raises:
        Conflict: somebody else was first.
        ReviewError: it has that share already.

    """
    return _release(hub, lambda: rollout.set_share(hub.loop, entry_id, percent, who, reason, keep_schedule=keep))


def step(hub: Hub, entry_id: str, percent: int, who: str, reason: str) -> tuple[Release, str]:
    """Make the next step of a schedule before it is due, if it is still the one that the person saw.

    Raises:
        Conflict: the schedule has changed since.
        ReviewError: it has that share already.

    """
    if find_progress(hub.loop, entry_id).next_share != percent:
        raise Conflict(release_texts.CHANGED_MEANWHILE, entry_id, "")
    return set_share(hub, entry_id, percent, who, reason, keep=True)


def change_schedule(
    hub: Hub, act: Callable[[Loop, str, str, str], Rollout], entry_id: str, who: str, reason: str
) -> None:
    """Pause or resume a live entry.

    Raises:
        Conflict: somebody else has changed it.
        ReviewError: there is nothing to pause, or nowhere to go on to.

    """
    try:
        act(hub.loop, entry_id, who, reason)
    except StoreError as error:
        if error.item.startswith(DATABASE):
            raise
        raise Conflict(_said(error), error.item, "") from error


def _carry_out(hub: Hub, plan: Callable[[], Plan], act: Callable[[], Release], seen: str) -> tuple[Release, str]:
    if mark_of(plan()) != seen:
        raise Conflict(release_texts.CHANGED_MEANWHILE, "release", "")
    return _release(hub, act)


def _release(hub: Hub, act: Callable[[], Release]) -> tuple[Release, str]:
    try:
        made = act()
    except StoreError as error:
        if error.item.startswith(DATABASE):
            raise
        raise Conflict(_said(error), error.item, "") from error
    return made, write_branch(hub)[1]


def _said(error: EvergreenError) -> str:
    return release_texts.NOT_DONE.format(what=f"{error.item} {error.what}", next_step=error.next_step)


def said(error: Conflict | ReviewError) -> str:
    """Return what to tell somebody whose action was refused."""
    return error.what if isinstance(error, Conflict) else _said(error)
