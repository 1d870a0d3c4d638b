"""Where the loop stands, in numbers for its status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from learning.loop import Loop
from learning.model import Entry, Gap, ProposalState, Quarantined, Release
from learning.priority import gap_order


@dataclass(frozen=True)
class Status:
    """Where the loop stands."""

    conversations: int
    turns: int
    failed_turns: int
    signals: Mapping[str, int]
    outcomes: Mapping[str, int]
    gaps: tuple[Gap, ...]
    proposals: Mapping[str, int]
    live: tuple[Entry, ...]
    absorbed: tuple[Entry, ...]
    overlay_version: int
    quarantined: tuple[Quarantined, ...]
    releases: tuple[Release, ...]
    last_mine: Mapping[str, Any] | None
    last_retrain: Mapping[str, Any] | None
    audit_problems: tuple[str, ...]
    missing_conversations: int

    @property
    def failure_rate(self) -> float:
        """Share of the customers' messages that at least one signal calls failed, 0..1."""
        return self.failed_turns / self.turns if self.turns else 0.0


def read_status(loop: Loop) -> Status:
    """Collect the status from the learning database."""
    store = loop.store
    counts = store.counts()
    return Status(
        conversations=counts["conversations"],
        turns=counts["turns"],
        failed_turns=counts["failed_turns"],
        signals=store.signal_counts(),
        outcomes=store.outcome_counts(),
        gaps=tuple(sorted(store.gaps().values(), key=gap_order)),
        proposals=dict(Counter(proposal.state.value for proposal in store.proposals())),
        live=tuple(store.entries(ProposalState.PUBLISHED)),
        absorbed=tuple(store.entries(ProposalState.ABSORBED)),
        overlay_version=store.overlay_version(),
        quarantined=tuple(store.quarantined()),
        releases=tuple(store.releases()),
        last_mine=store.last_run("mine"),
        last_retrain=store.last_run("retrain"),
        audit_problems=tuple(store.verify_audit()),
        missing_conversations=max(0, loop.settings.gaps.min_conversations - counts["conversations"]),
    )
