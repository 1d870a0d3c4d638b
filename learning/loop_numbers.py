"""Where the loop stands in numbers that are quick to read: what a monitor asks for every few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LoopNumbers:
    """Counts of what there is now, totals that only grow, and when things were last done.

    `totals` are sums over all days by (channel, name), named as in `metrics_days`; `ended_jobs` by (kind, state), as
    `open_jobs` are. `entries` go by (state, kind), `releases` by what they did. `gaps` are those that nobody has
    answered, or that came back. `succeeded` tells when each job last went well. Of the running model, `model_since` is
    None where it went live before anybody took notes.
    """

    overlay_version: int
    entries: Mapping[tuple[str, str], int]
    quarantined: int
    gaps: Mapping[str, int]
    proposals: Mapping[str, int]
    releases: Mapping[str, int]
    totals: Mapping[tuple[str, str], int]
    ended_jobs: Mapping[tuple[str, str], int]
    open_jobs: Mapping[tuple[str, str], int]
    workers: int
    succeeded: Mapping[str, datetime]
    model: str
    model_since: datetime | None
    days_waiting: int
