"""What a release did, for people: what went live or away, to whom, and how the files in git changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff

from learning.branch import for_everybody
from learning.errors import NotFound
from learning.loop import Loop
from learning.model import EVERYBODY, Change, Entry, Experiment, ProposalState, Release
from learning.publish import render_files
from learning.releasing import live_shares


@dataclass(frozen=True)
class Item:
    """One change of a release, with what it changed: an entry or an experiment."""

    change: Change
    entry: Entry | None = None
    experiment: Experiment | None = None

    @property
    def label(self) -> str:
        """What it is about."""
        if self.entry is not None:
            return self.entry.label
        return self.experiment.label if self.experiment is not None else self.change.item_id

    @property
    def effect(self) -> str:
        """What happened to it, in words."""
        before, after = self.change.before, self.change.after
        if self.experiment is not None:
            return "began" if after else "ended"
        to = "" if after == EVERYBODY else f" for {after} % of the users"
        if not before:
            return f"went live{to}"
        return f"went from {before} to {after} % of the users" if after else "went away"


@dataclass(frozen=True)
class ReleaseView:
    """A release with its items, the one that took it back, if any, and the diff of `data/learned/`."""

    release: Release
    items: tuple[Item, ...]
    taken_back_by: int | None
    diff: str


def read_releases(loop: Loop) -> list[ReleaseView]:
    """Return every release with its items, the newest first; the diff is left out."""
    releases, entries, experiments = _read(loop)
    return [_view(release, releases, entries, experiments, "") for release in releases]


def read_release(loop: Loop, number: int) -> ReleaseView:
    """Return one release with its diff.

    Raises:
        NotFound: there is no such release.

    """
    releases, entries, experiments = _read(loop)
    for release in releases:
        if release.number == number:
            diff = diff_of(release, releases, list(entries.values()))
            return _view(release, releases, entries, experiments, diff)
    raise NotFound("is no release", f"number {number}", "take one from `python -m learning releases list`")


def items_of(loop: Loop, changes: Sequence[Change]) -> tuple[Item, ...]:
    """Return what changes are about, of a release or of a plan for one."""
    _, entries, experiments = _read(loop)
    return _items(changes, entries, experiments)


def diff_of(release: Release, releases: Sequence[Release], entries: Sequence[Entry]) -> str:
    """Return how a release changed the files of `data/learned/`, as a unified diff; empty if it did not."""
    before = _files([one for one in releases if one.number < release.number], entries)
    after = _files([one for one in releases if one.number <= release.number], entries)
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old != new:
            one, other = (
                f"{side}/{name}" if text is not None else "/dev/null" for side, text in (("a", old), ("b", new))
            )
            lines += unified_diff((old or "").splitlines(), (new or "").splitlines(), one, other, lineterm="")
    return "\n".join(lines)


def _files(releases: Sequence[Release], entries: Sequence[Entry]) -> Mapping[str, str]:
    """Return the files as they were after these releases."""
    shares = live_shares(releases)
    live = [
        replace(entry, share=shares[entry.entry_id], state=ProposalState.PUBLISHED)
        for entry in entries
        if entry.entry_id in shares
    ]
    return render_files(for_everybody(live))


def _read(loop: Loop) -> tuple[list[Release], dict[str, Entry], dict[str, Experiment]]:
    store = loop.store
    return (
        store.releases(),
        {entry.entry_id: entry for entry in store.entries()},
        {one.experiment_id: one for one in store.experiments()},
    )


def _view(
    release: Release,
    releases: Sequence[Release],
    entries: Mapping[str, Entry],
    experiments: Mapping[str, Experiment],
    diff: str,
) -> ReleaseView:
    items = _items(release.changes, entries, experiments)
    taken_back = [one.number for one in releases if one.undoes == release.number]
    return ReleaseView(release, items, max(taken_back, default=None), diff)


def _items(
    changes: Sequence[Change], entries: Mapping[str, Entry], experiments: Mapping[str, Experiment]
) -> tuple[Item, ...]:
    return tuple(Item(one, entries.get(one.item_id), experiments.get(one.item_id)) for one in changes)
