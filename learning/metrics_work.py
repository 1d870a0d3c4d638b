"""How the loop's own work goes: proposals by state, how long they wait for a decision, and whether reviewers agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone

from learning.agreement import Agreement
from learning.loop import Loop
from learning.metrics_statistics import Estimate, bucket_of, quantile
from learning.model import POLICY, Action, Decision
from learning.second_reading import measure


@dataclass(frozen=True)
class Work:
    """Proposals by state as they are now, how long those decided by people in the time had waited, and agreement.

    `waited` is the median in seconds from when a proposal was made to the first decision about it.
    """

    states: Mapping[str, int]
    decided: int
    waited: Estimate | None
    agreement: Agreement


def read_work(loop: Loop, since: date, until: date) -> Work:
    """Return how the work went in a time."""
    proposals = {proposal.proposal_id: proposal for proposal in loop.store.proposals()}
    first: dict[str, Decision] = {}
    for decision in sorted(loop.store.decisions(), key=lambda one: one.at):
        if decision.action is not Action.UNDO and not decision.who.startswith(POLICY):
            first.setdefault(decision.proposal_id, decision)
    waits = [
        (decision.at - proposals[proposal_id].created_at).total_seconds()
        for proposal_id, decision in first.items()
        if proposal_id in proposals and since <= _day(decision.at) <= until
    ]
    spread = Counter(bucket_of(max(0.0, wait)) for wait in waits)
    states = Counter(proposal.state.value for proposal in proposals.values())
    return Work(dict(states), len(waits), quantile(spread, 0.5), measure(loop)[0])


def _day(at: datetime) -> date:
    return at.astimezone(timezone.utc).date()
