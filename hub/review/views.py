"""What the pages show, read from the loop as frozen records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hub.review.decisions import OPEN_STATES
from hub.review.forms import fingerprint
from hub.review.trends import Trend, read_trends
from learning.loop import Loop
from learning.model import (
    ANSWERING,
    LOW_SCORE,
    TEACHING,
    UPKEEP_GAPS,
    Gap,
    Proposal,
    ProposalState,
)
from learning.priority import ORDER, gap_order
from learning.second_reading import waiting_for

WATCHED_SHOWN = 20  # gaps without a proposal are for orientation only


@dataclass(frozen=True)
class Item:
    """A proposal in the inbox with its gap."""

    proposal: Proposal
    gap: Gap
    trend: Trend | None = None

    @property
    def ticket(self) -> str:
        """What goes back with a decision from the list: which proposal, and how it was seen."""
        return f"{self.proposal.proposal_id}.{fingerprint(self.proposal)}"

    @property
    def example(self) -> str:
        """The most central message."""
        return self.proposal.examples[0] if self.proposal.examples else ""

    @property
    def is_low(self) -> bool:
        """Whether its score calls for a closer look."""
        return self.proposal.score < LOW_SCORE

    @property
    def needs_answer(self) -> bool:
        """Whether a person must write the answer."""
        return self.proposal.kind in ANSWERING and not self.proposal.answer

    @property
    def teaches(self) -> bool:
        """Whether its examples are what it would add, so that a person may choose among them."""
        return self.proposal.kind in TEACHING

    @property
    def answers(self) -> bool:
        """Whether it brings an answer that customers will read."""
        return self.proposal.kind in ANSWERING

    @property
    def is_upkeep(self) -> bool:
        """Whether it is about labels themselves and has no failed messages behind it."""
        return self.gap.kind in UPKEEP_GAPS


@dataclass(frozen=True)
class Watched:
    """A gap without a proposal; `missing` people would bring one about."""

    gap: Gap
    example: str
    missing: int
    trend: Trend


@dataclass(frozen=True)
class Inbox:
    """Everything that waits, or with `only_mine` what of it is assigned to the reader.

    `total` and `mine` count what is not put off; `second` is what the reader may read a second time.
    """

    waiting: tuple[Item, ...]
    deferred: tuple[Item, ...]
    total: int
    mine: int
    only_mine: bool
    second: int
    watched: tuple[Watched, ...]
    watched_more: int


def read_inbox(loop: Loop, who: str, only_mine: bool = False) -> Inbox:
    """Return what waits for `who`: by priority, then by score."""
    gaps = loop.store.gaps()
    proposals = loop.store.proposals()
    found = [Item(proposal, gaps[proposal.gap_id]) for proposal in proposals if proposal.state in OPEN_STATES]
    items = sorted(found, key=item_order)
    own = [item for item in items if item.proposal.assignee == who]
    shown_items = own if only_mine else items
    proposed = {proposal.gap_id for proposal in proposals}
    others = sorted(
        (gap for gap in gaps.values() if gap.gap_id not in proposed),
        key=gap_order,
    )
    shown = others[:WATCHED_SHOWN]
    least = loop.settings.gaps.min_people
    trends = read_trends(loop, {gap.gap_id for gap in (*(item.gap for item in shown_items), *shown)})
    shown_items = [replace(item, trend=trends[item.gap.gap_id]) for item in shown_items]
    return Inbox(
        waiting=_in_state(shown_items, ProposalState.PENDING),
        deferred=_in_state(shown_items, ProposalState.DEFERRED),
        total=len(_in_state(items, ProposalState.PENDING)),
        mine=len(_in_state(own, ProposalState.PENDING)),
        only_mine=only_mine,
        second=len(waiting_for(loop, who)),
        watched=tuple(
            Watched(
                gap,
                example=_newest_text(loop, gap),
                missing=max(0, least - gap.people),
                trend=trends[gap.gap_id],
            )
            for gap in shown
        ),
        watched_more=len(others) - len(shown),
    )


def item_order(item: Item) -> tuple[int, float, int, str]:
    """Return the key that sorts what waits: by priority, then by rank, then by score."""
    return (ORDER[item.gap.priority], -item.gap.rank, -item.proposal.score, item.proposal.proposal_id)


def read_second(loop: Loop, who: str) -> tuple[Item, ...]:
    """Return what `who` may read a second time, as it was suggested."""
    gaps = loop.store.gaps()
    return tuple(Item(proposal, gaps[proposal.gap_id]) for proposal in waiting_for(loop, who))


def _in_state(items: Sequence[Item], state: ProposalState) -> tuple[Item, ...]:
    return tuple(item for item in items if item.proposal.state is state)


def _newest_text(loop: Loop, gap: Gap) -> str:
    newest = loop.store.turns_of_gap(gap.gap_id, newest=1)
    return newest[0].text if newest else ""
