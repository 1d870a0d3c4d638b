"""What was done about a gap before: a gap that comes back says what was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from learning.loop import Loop
from learning.model import Entry, Gap, Proposal, ProposalState, Release


@dataclass(frozen=True)
class Tried:
    """One proposal for a gap that was decided: what it was, what became of it, and the release that made it live."""

    proposal_id: str
    label: str
    state: ProposalState
    release: int | None
    at: datetime

    @property
    def sentence(self) -> str:
        """What was tried, in words."""
        what = f"release {self.release}" if self.release is not None else "no release"
        return f"{self.at:%Y-%m-%d}: {self.label}, {what}, {self.state.value}"


def tried_for(loop: Loop, gaps: Sequence[Gap]) -> dict[str, tuple[Tried, ...]]:
    """Return for each gap id what was decided about it, the oldest first."""
    wanted = {gap.gap_id for gap in gaps}
    decided = [
        item for item in loop.store.proposals() if item.gap_id in wanted and item.state is not ProposalState.PENDING
    ]
    entries = {entry.proposal_id: entry for entry in loop.store.entries()} if decided else {}
    releases = {release.number: release for release in loop.store.releases()} if decided else {}
    found: dict[str, list[Tried]] = {gap_id: [] for gap_id in wanted}
    for item in decided:
        found[item.gap_id].append(_tried(item, entries, releases))
    return {gap_id: tuple(sorted(items, key=lambda one: (one.at, one.proposal_id))) for gap_id, items in found.items()}


def _tried(item: Proposal, entries: Mapping[str, Entry], releases: Mapping[int, Release]) -> Tried:
    entry = entries.get(item.proposal_id)
    release = releases.get(entry.release) if entry else None
    at = release.at if release else item.created_at
    return Tried(item.proposal_id, item.label, item.state, release.number if release else None, at)
