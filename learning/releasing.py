"""What is live, changed after its publication: withdrawn, restored, rolled back. History is never rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from learning.errors import NotFound, ReviewError
from learning.fitting import Known, fits, hanging, trained_labels
from learning.loop import Loop
from learning.model import EVERYBODY, LIVE, TEACHING, Change, Entry, ProposalKind, ProposalState, Release, ReleaseKind
from learning.names import check_name


@dataclass(frozen=True)
class Plan:
    """A release that is still to be made: what it changes, the one that it takes back, and how far back it leads.

    `left_out` are sentences about what might be expected to come back and does not.
    """

    what: ReleaseKind
    changes: tuple[Change, ...]
    undoes: int | None = None
    back_to: int | None = None
    left_out: tuple[str, ...] = ()


def withdraw(loop: Loop, prefix: str, who: str, reason: str) -> str:
    """Take an entry back as `withdraw_entry` does; return its label."""
    return withdraw_entry(loop, prefix, who, reason)[0].label


def withdraw_entry(loop: Loop, prefix: str, who: str, reason: str) -> tuple[Entry, Release]:
    """Take an entry back at once, and what hangs on it: examples, answer and file; return it as it was.

    Raises:
        NotFound: no live entry has this id, or several do.
        StoreError: somebody else took it back first.

    """
    check_name(who)
    entries = [entry for entry in loop.store.entries(*LIVE) if prefix and entry.entry_id.startswith(prefix)]
    if len(entries) != 1:
        raise NotFound(
            f"fits {len(entries)} published entries", f"id {prefix!r}", "take an id from `python -m learning status`"
        )
    chosen = entries[0]
    trained = trained_labels(loop)

    def changes(live: Sequence[Entry]) -> list[Change]:
        return take_back([chosen], live, trained)

    return chosen, loop.store.release(ReleaseKind.WITHDRAW, changes, who, loop.now(), reason)


def take_back(entries: Sequence[Entry], live: Sequence[Entry], trained: set[str]) -> list[Change]:
    """Return the changes that take entries back with all that hangs on them, of those that are live."""
    shares = {entry.entry_id: entry.live_share for entry in live}
    gone = {other.entry_id for entry in entries for other in (entry, *hanging(entry, live, trained))}
    # One that is not live any more keeps its share here: the store says who was first.
    own = {entry.entry_id: entry.share for entry in entries}
    return [Change(entry_id, shares.get(entry_id, own.get(entry_id, EVERYBODY)), 0) for entry_id in sorted(gone)]


def restore(loop: Loop, prefix: str, who: str, reason: str = "") -> Release:
    """Bring a withdrawn entry back to the share that it had, with what hung on it and went with it.

    Raises:
        NotFound: no withdrawn entry has this id, or several do.
        ReviewError: it does not fit what is live now.
        StoreError: nobody stands behind it any more, or somebody else was first.

    """
    plan = plan_restore(loop, prefix)
    return carry_out(loop, plan, who, reason)


def plan_restore(loop: Loop, prefix: str) -> Plan:
    """Return what `restore` would do."""
    everything = loop.store.entries()
    withdrawn = [entry for entry in everything if entry.state is ProposalState.WITHDRAWN]
    found = [entry for entry in withdrawn if prefix and entry.entry_id.startswith(prefix)]
    if len(found) != 1:
        raise NotFound(
            f"fits {len(found)} withdrawn entries",
            f"id {prefix!r}",
            "take an id from `python -m learning releases show NUMBER`",
        )
    (chosen,) = found
    left = next((release for release in loop.store.releases() if _took_away(release, chosen.entry_id)), None)
    together = {change.item_id for change in left.changes if change.after == 0} if left else set()
    others = [entry for entry in withdrawn if entry.entry_id in together]
    hung = hanging(chosen, others, trained_labels(loop))
    states = {one.proposal_id: one.state for one in loop.store.proposals()}
    backed = [one for one in hung if states.get(one.proposal_id) is ProposalState.WITHDRAWN and not _emptied(one)]
    left_out = tuple(
        f"entry {one.entry_id[:8]} ({one.kind.value}, {one.label}) stays away: nobody stands behind it any more"
        for one in hung
        if one not in backed
    )
    changes = tuple(Change(entry.entry_id, 0, entry.share) for entry in (chosen, *backed))
    return Plan(ReleaseKind.RESTORE, changes, left_out=left_out)


def rollback(loop: Loop, number: int, who: str, reason: str = "") -> Release:
    """Take one release back: exactly its changes, as a new release.

    Raises:
        NotFound: there is no such release.
        ReviewError: a later release has changed the same, or what would be live does not fit together.
        StoreError: nobody stands behind what would come back, or somebody else was first.

    """
    return carry_out(loop, plan_rollback(loop, number), who, reason)


def plan_rollback(loop: Loop, number: int) -> Plan:
    """Return what `rollback` would do; it raises what that would, but for what only the database can tell."""
    releases = loop.store.releases()
    release, item = _named(releases, number), f"release {number}"
    settled: dict[int, int] = {}  # releases that came to nothing, with the one that took them back
    for later in releases:
        if later.number not in settled and later.undoes is not None:
            settled.update({later.undoes: later.number, later.number: later.number})
    if settled.get(number, number) != number:
        raise ReviewError(f"was taken back by release {settled[number]}", item, "there is nothing left to take back")
    items = {change.item_id for change in release.changes if change.before != change.after}
    for later in releases:
        if later.number > number and later.number not in settled:
            # What an upgrade has found live already was changed by nothing.
            moved = {change.item_id for change in later.changes if change.before != change.after}
            shared = sorted(items & moved)
            if shared:
                raise ReviewError(
                    f"cannot be taken back alone: release {later.number} ({later.what.value}, {later.who}) has changed"
                    f" {shared[0][:8]} since",
                    item,
                    f"take release {later.number} back first, or all since then with `rollback --to {number - 1}`",
                )
    back = [Change(change.item_id, change.after, change.before) for change in release.changes]
    changes, left_out = _without_experiments(loop, [change for change in back if change.before != change.after])
    if not changes:
        what = left_out[0] if left_out else "it found everything as it is"
        next_step = "create and start a new one" if left_out else "take back the release that brought it"
        raise ReviewError(f"changed nothing that can be taken back: {what}", item, next_step)
    plan = Plan(ReleaseKind.ROLLBACK, changes, undoes=number, back_to=number - 1, left_out=left_out)
    _check(loop, plan)
    return plan


def roll_back_to(loop: Loop, number: int, who: str, reason: str = "") -> Release:
    """Take back all that came after a release, as one new release; 0 is before the first one.

    Raises:
        NotFound: there is no such release.
        ReviewError: it is so already, or does not fit together.
        StoreError: nobody stands behind what would come back, or somebody else was first.

    """
    plan = plan_roll_back_to(loop, number)
    told = f"back to release {number}"
    return carry_out(loop, plan, who, f"{told}: {reason}" if reason else told)


def plan_roll_back_to(loop: Loop, number: int) -> Plan:
    """Return what `roll_back_to` would do."""
    releases = loop.store.releases()
    if number:
        _named(releases, number)
    now, then = live_shares(releases), live_shares([one for one in releases if one.number <= number])
    changes = [Change(item, now.get(item, 0), then.get(item, 0)) for item in sorted({*now, *then})]
    kept, left_out = _without_experiments(loop, [change for change in changes if change.before != change.after])
    if not kept:
        what = f"is what is live now{f', but {left_out[0]}' if left_out else ''}"
        raise ReviewError(what, f"release {number}", "there is nothing to take back")
    plan = Plan(ReleaseKind.ROLLBACK, kept, back_to=number, left_out=left_out)
    _check(loop, plan)
    return plan


def _without_experiments(loop: Loop, changes: Sequence[Change]) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return the changes without the experiments that would begin again, and a sentence about each of those."""
    names = {one.experiment_id: one.name for one in loop.store.experiments()}
    ended = [change.item_id for change in changes if change.item_id in names and change.after]
    told = tuple(f"experiment {one[:8]} ({names[one]}) stays ended: none begins again" for one in ended)
    return tuple(change for change in changes if change.item_id not in ended), told


def _emptied(entry: Entry) -> bool:
    """Whether all that an entry taught was forgotten."""
    return entry.kind in TEACHING and not entry.examples


def live_shares(releases: Iterable[Release]) -> dict[str, int]:
    """Return the percentage of users that get each item, by its id: the sum of all changes."""
    shares: dict[str, int] = {}
    for release in sorted(releases, key=lambda one: one.number):
        for change in release.changes:
            shares[change.item_id] = shares.get(change.item_id, 0) + change.after - change.before
    return {item: share for item, share in shares.items() if share}


def carry_out(loop: Loop, plan: Plan, who: str, reason: str = "") -> Release:
    """Do what was planned, as one release; whether it fits is asked again in its transaction."""
    check_name(who)
    reason = "; ".join(part for part in (reason, *plan.left_out) if part)
    entries = {entry.entry_id: entry for entry in loop.store.entries()}
    project = _known(loop, plan, entries)
    return loop.store.release(
        plan.what,
        plan.changes,
        who,
        loop.now(),
        reason,
        plan.undoes,
        lambda live: check_together(plan.changes, entries, live, project),
        back_to=plan.back_to,
    )


def _check(loop: Loop, plan: Plan) -> None:
    """Raise `ReviewError` if what would be live does not fit together."""
    entries = {entry.entry_id: entry for entry in loop.store.entries()}
    after = {change.item_id: change.after for change in plan.changes}
    live = [entry for entry in entries.values() if after.get(entry.entry_id, entry.live_share)]
    check_together(plan.changes, entries, live, _known(loop, plan, entries))


def _known(loop: Loop, plan: Plan, entries: Mapping[str, Entry]) -> Known:
    return Known.read(loop, {entries[one.item_id].kind for one in plan.changes if one.item_id in entries})


def check_together(
    changes: Sequence[Change], entries: Mapping[str, Entry], live: Sequence[Entry], project: Known
) -> None:
    """Raise `ReviewError` if, after `changes`, what is `live` does not fit together."""
    back = {change.item_id for change in changes if change.before == 0}
    # An answer first, then what hangs on it, in the order in which they were published.
    coming = sorted(
        (entry for entry in live if entry.entry_id in back),
        key=lambda entry: (entry.kind is not ProposalKind.ANSWER, entry.release),
    )
    present = [entry for entry in live if entry.entry_id not in back]
    for entry in coming:
        try:
            fits(entry, f"entry {entry.entry_id}", project, present)
        except ReviewError as error:
            raise ReviewError(
                f"cannot come back: {entry.label} {error.what}", error.item, "see what is live with `status` first"
            ) from error
        present = sorted([*present, entry], key=lambda one: (one.release, one.entry_id))
    # What another answer of the same name has taken the place of leaves nothing without an answer.
    answered = {*project.trained, *(entry.label for entry in live if entry.kind is ProposalKind.ANSWER)}
    for change in changes:
        gone = entries.get(change.item_id)
        if change.after == 0 and gone is not None and (left := hanging(gone, live, answered)):
            raise ReviewError(
                f"is what {left[0].entry_id[:8]} ({left[0].kind.value}, {left[0].label}) hangs on",
                f"entry {gone.entry_id}",
                f"`python -m learning withdraw {gone.entry_id[:8]}` takes both back",
            )


def _named(releases: Sequence[Release], number: int) -> Release:
    for release in releases:
        if release.number == number:
            return release
    raise NotFound("is no release", f"number {number}", "take one from `python -m learning releases list`")


def _took_away(release: Release, entry_id: str) -> bool:
    return any(change.item_id == entry_id and change.after == 0 for change in release.changes)
