"""What the assistant saves: tickets that nobody had to handle, times what one costs, less what the assistant costs."""

from __future__ import annotations

from dataclasses import dataclass

from learning.metrics import ENDED
from learning.metrics_days import Figures
from learning.metrics_statistics import Estimate, share_of
from learning.model import Outcome
from learning.settings import MetricsSettings

DAYS_OF_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Saving:
    """The balance of a time in `currency`, with what it is made of.

    `tickets` are those that were avoided, and `net` has the interval that follows from the resolved share; what the
    settings assume is as sure as whoever set them.
    """

    resolved: int
    ended: int
    tickets: float
    ticket_cost: float
    ticket_share: float
    running: float
    net: Estimate | None
    currency: str


def saving(total: Figures, days: int, settings: MetricsSettings) -> Saving:
    """Return what was saved in so many days."""
    resolved = total.counts[Outcome.RESOLVED.value]
    ended = sum(total.counts[name] for name in ENDED)
    running = settings.running_cost * days / DAYS_OF_MONTH
    each = settings.ticket_share * settings.ticket_cost
    share = share_of(resolved, ended)
    net = None if share is None else Estimate(*(bound * ended * each - running for bound in share))
    return Saving(
        resolved,
        ended,
        resolved * settings.ticket_share,
        settings.ticket_cost,
        settings.ticket_share,
        running,
        net,
        settings.currency,
    )
