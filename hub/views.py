"""What the pages show, read from the loop as frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.decisions import NOT_LIVE_YET, OPEN_STATES
from hub.forms import fingerprint
from learning.history import Tried, tried_for
from learning.loop import Loop
from learning.model import (
    FALLBACK_INTENT,
    LOW_SCORE,
    Entry,
    Gap,
    Proposal,
    ProposalKind,
    ProposalState,
    Release,
)
from learning.pipeline import LIVE
from learning.priority import ORDER, gap_order

MESSAGES_READ = 1000  # newest messages of a gap, so that people keep their numbers while it grows a little
MESSAGES_SHOWN = 50  # more are not read before a decision
WATCHED_SHOWN = 20  # gaps without a proposal are for orientation only


@dataclass(frozen=True)
class Item:
    """A proposal in the inbox with its gap."""

    proposal: Proposal
    gap: Gap

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
        return self.proposal.kind is ProposalKind.ANSWER and not self.proposal.answer


@dataclass(frozen=True)
class Watched:
    """A gap without a proposal; `missing` people would bring one about."""

    gap: Gap
    example: str
    missing: int


@dataclass(frozen=True)
class Inbox:
    """Everything that waits."""

    waiting: tuple[Item, ...]
    deferred: tuple[Item, ...]
    watched: tuple[Watched, ...]
    watched_more: int


@dataclass(frozen=True)
class Message:
    """One redacted message of a gap; people are numbered in the order of their first message."""

    text: str
    at: datetime
    person: int
    intent: str | None


@dataclass(frozen=True)
class Detail:
    """One proposal with its evidence; `seen` goes back with the decision."""

    item: Item
    seen: str
    is_open: bool
    messages: tuple[Message, ...]
    total_messages: int
    gap_turns: int
    tried: tuple[Tried, ...]


@dataclass(frozen=True)
class LiveEntry:
    """An entry that is in use; `release` is None only if its record was lost."""

    entry: Entry
    release: Release | None


@dataclass(frozen=True)
class Releases:
    """What went live, and what got stuck on the way."""

    live: tuple[LiveEntry, ...]
    history: tuple[tuple[Release, Entry | None], ...]
    unpublished: int
    uncommitted: int


def read_inbox(loop: Loop) -> Inbox:
    """Return what waits: by priority, then by score."""
    gaps = loop.store.gaps()
    proposals = loop.store.proposals()
    items = sorted(
        (Item(proposal, gaps[proposal.gap_id]) for proposal in proposals if proposal.state in OPEN_STATES),
        key=lambda item: (ORDER[item.gap.priority], -item.gap.rank, -item.proposal.score, item.proposal.proposal_id),
    )
    proposed = {proposal.gap_id for proposal in proposals}
    others = sorted(
        (gap for gap in gaps.values() if gap.gap_id not in proposed),
        key=gap_order,
    )
    shown = others[:WATCHED_SHOWN]
    least = loop.settings.gaps.min_people
    return Inbox(
        waiting=tuple(item for item in items if item.proposal.state is ProposalState.PENDING),
        deferred=tuple(item for item in items if item.proposal.state is ProposalState.DEFERRED),
        watched=tuple(
            Watched(
                gap,
                example=_newest_text(loop, gap),
                missing=max(0, least - gap.people),
            )
            for gap in shown
        ),
        watched_more=len(others) - len(shown),
    )


def read_detail(loop: Loop, proposal: Proposal) -> Detail:
    """Return a proposal with the newest messages of its gap."""
    gap = loop.store.gap(proposal.gap_id)
    turns = loop.store.turns_of_gap(gap.gap_id, newest=MESSAGES_READ)
    person: dict[str, int] = {}
    for turn in turns:
        person.setdefault(turn.sender, len(person) + 1)
    messages = [
        Message(turn.text, turn.at, person[turn.sender], None if turn.intent in ("", FALLBACK_INTENT) else turn.intent)
        for turn in reversed(turns)
    ]
    return Detail(
        item=Item(proposal, gap),
        seen=fingerprint(proposal),
        is_open=proposal.state in OPEN_STATES,
        messages=tuple(messages[:MESSAGES_SHOWN]),
        total_messages=gap.turns,
        gap_turns=gap.turns,
        tried=tuple(one for one in tried_for(loop, [gap])[gap.gap_id] if one.proposal_id != proposal.proposal_id),
    )


def _newest_text(loop: Loop, gap: Gap) -> str:
    newest = loop.store.turns_of_gap(gap.gap_id, newest=1)
    return newest[0].text if newest else ""


def read_releases(loop: Loop) -> Releases:
    """Return the entries in use and every release, the newest first."""
    releases = loop.store.releases()
    entries = {entry.entry_id: entry for entry in loop.store.entries()}
    by_number = {release.number: release for release in releases}
    live = [entry for entry in entries.values() if entry.state in LIVE]
    return Releases(
        live=tuple(LiveEntry(entry, by_number.get(entry.release)) for entry in reversed(live)),
        history=tuple((release, entries.get(release.entry_id)) for release in releases),
        unpublished=sum(proposal.state in NOT_LIVE_YET for proposal in loop.store.proposals()),
        uncommitted=sum(release.commit is None for release in releases),
    )
