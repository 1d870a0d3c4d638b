"""How the back ends are doing: what was asked of them, how often they did not answer, and how long they took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from learning.metrics_days import CALL, Figures
from learning.metrics_statistics import Estimate, quantile, share_of

OUTCOMES = ("ok", "not_found", "refused", "unavailable")


@dataclass(frozen=True)
class ServiceHealth:
    """One operation of a back end: `counts` by outcome; `unavailable` is the share of calls that got no answer.

    `median` and `p95` are milliseconds that the customer waited, retries included.
    """

    name: str
    calls: int
    counts: dict[str, int]
    unavailable: Estimate | None
    median: Estimate | None
    p95: Estimate | None


def read_services(total: Figures) -> list[ServiceHealth]:
    """Return every operation that was asked, the most often unavailable first, then the most asked."""
    found = []
    for name in {key.rpartition(":")[0] for key in total.counts if key.startswith(CALL)}:
        counts = {outcome: total.counts[f"{name}:{outcome}"] for outcome in OUTCOMES}
        calls, spread = sum(counts.values()), total.spreads.get(name, Counter())
        found.append(
            ServiceHealth(
                name[len(CALL) :],
                calls,
                counts,
                share_of(counts["unavailable"], calls),
                quantile(spread, 0.5),
                quantile(spread, 0.95),
            )
        )
    return sorted(found, key=lambda one: (-one.counts["unavailable"], -one.calls, one.name))
