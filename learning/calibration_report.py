"""Whether scores keep what they promise: acceptance and fixes by band of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from learning.calibration import ISOTONIC_EACH, ISOTONIC_FROM, Calibration, Decided, read_decided
from learning.intervals import wilson
from learning.loop import Loop
from learning.model import UPKEEP_GAPS, Entry, Gap, Proposal, ProposalState, Release

BANDS = ((0, 20), (20, 40), (40, 60), (60, 80), (80, 90), (90, 101))
BINS = 10  # of the expected calibration error
FIRM = 50  # decisions from which the errors are more than chance
SETTLED = timedelta(days=7)  # that a release must be live before it can be said to have fixed anything


@dataclass(frozen=True)
class Band:
    """Proposals whose score was from `low` to below `high` when they were judged.

    `interval` is Wilson's 95 % one of the share that was accepted. `released` counts the accepted ones that have been
    live for a week, `fixed` those of them that were not withdrawn and whose gap has not come back.
    """

    low: int
    high: int
    decided: int
    accepted: int
    interval: tuple[float, float]
    mean_score: float | None
    released: int
    fixed: int

    @property
    def rate(self) -> float | None:
        """Share that was accepted, 0..1."""
        return self.accepted / self.decided if self.decided else None

    @property
    def fix_rate(self) -> float | None:
        """Share of what went live that fixed its gap, 0..1."""
        return self.fixed / self.released if self.released else None


@dataclass(frozen=True)
class CalibrationReport:
    """How well scores told what people would decide; the errors are those of the scores that people were shown.

    `ece` is the mean distance between score and acceptance over ten bins, weighted by decisions (expected calibration
    error, Naeini et al. 2015), `brier` the mean squared distance of the score to what was decided. Both are 0..1, and
    None without decisions.
    """

    method: str
    decided: int
    accepted: int
    bands: tuple[Band, ...]
    ece: float | None
    brier: float | None
    outlook: str


def report(loop: Loop) -> CalibrationReport:
    """Measure the scores of everything that people have judged."""
    decided = read_decided(loop)
    fixes = _fixes(loop)
    return CalibrationReport(
        method=Calibration.fit(decided).method,
        decided=len(decided),
        accepted=sum(item.accepted for item in decided),
        bands=tuple(_band(low, high, decided, fixes) for low, high in BANDS),
        ece=calibration_error(decided) if decided else None,
        brier=float(np.mean([(item.shown / 100 - item.accepted) ** 2 for item in decided])) if decided else None,
        outlook=_outlook(decided),
    )


def calibration_error(decided: Sequence[Decided]) -> float:
    """Return the expected calibration error (0..1) of the scores that were shown; 0 without any."""
    bins = [min(item.shown * BINS // 100, BINS - 1) for item in decided]
    error = 0.0
    for number in set(bins):
        group = [item for item, place in zip(decided, bins, strict=True) if place == number]
        error += abs(sum(item.shown / 100 - item.accepted for item in group))
    return error / len(decided) if decided else 0.0


def _band(low: int, high: int, decided: Sequence[Decided], fixes: Mapping[str, bool]) -> Band:
    group = [item for item in decided if low <= item.shown < high]
    accepted = [item for item in group if item.accepted]
    live = [fixes[item.proposal_id] for item in accepted if item.proposal_id in fixes]
    return Band(
        low=low,
        high=min(high, 100),
        decided=len(group),
        accepted=len(accepted),
        interval=wilson(len(accepted), len(group)),
        mean_score=float(np.mean([item.shown for item in group])) if group else None,
        released=len(live),
        fixed=sum(live),
    )


def _fixes(loop: Loop) -> dict[str, bool]:
    """Return for each proposal that has been live for a week whether its gap is closed."""
    store = loop.store
    gaps, proposals = store.gaps(), {item.proposal_id: item for item in store.proposals()}
    releases = {release.number: release for release in store.releases()}
    live = [(entry, releases[entry.release]) for entry in store.entries() if entry.release in releases]
    later = _last_release(live, proposals)
    found = {}
    for entry, release in live:
        proposal = proposals.get(entry.proposal_id)
        gap = gaps.get(proposal.gap_id) if proposal else None
        if proposal and gap and gap.kind not in UPKEEP_GAPS and loop.now() - release.at >= SETTLED:
            found[proposal.proposal_id] = _is_fixed(entry, release, gap, later[gap.gap_id])
    return found


def _last_release(live: Sequence[tuple[Entry, Release]], proposals: Mapping[str, Proposal]) -> dict[str, datetime]:
    """Return when something went live for each gap last."""
    found: dict[str, datetime] = {}
    for entry, release in live:
        if entry.proposal_id in proposals:
            gap_id = proposals[entry.proposal_id].gap_id
            found[gap_id] = max(release.at, found.get(gap_id, release.at))
    return found


def _is_fixed(entry: Entry, release: Release, gap: Gap, last: datetime) -> bool:
    """Whether a release closed its gap: it is still live, nothing followed it, and the gap has not come back."""
    came_back = gap.reopened_at is not None and gap.reopened_at > release.at
    return entry.state is not ProposalState.WITHDRAWN and last <= release.at and not came_back


def _outlook(decided: Sequence[Decided]) -> str:
    """Say in a sentence what more decisions would bring."""
    accepted = sum(item.accepted for item in decided)
    count = len(decided)
    if count < FIRM:
        return f"{FIRM - count} more decisions until these figures are more than chance"
    if count < ISOTONIC_FROM:
        return f"{ISOTONIC_FROM - count} more decisions until the shape of the curve is learned, too"
    few = min(accepted, count - accepted)
    if few < ISOTONIC_EACH:
        what = "rejections" if accepted > count - accepted else "acceptances"
        return f"{ISOTONIC_EACH - few} more {what} until the shape of the curve is learned, too"
    return "enough decisions: the whole curve is learned from them"
