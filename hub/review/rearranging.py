"""What can be rearranged about a proposal: messages to split off, others to merge, examples to move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.review.views import Item, item_order
from learning.current_answers import current_answers
from learning.fitting import read_labels
from learning.loop import Loop
from learning.model import TEACHING, Proposal, ProposalState
from learning.regroup import folded

MESSAGES_SHOWN = 100
OTHERS_SHOWN = 10
READ = 1000  # newest messages of which the different ones are shown


@dataclass(frozen=True)
class Other:
    """Another proposal that may be merged, with what it would answer, or answers now."""

    item: Item
    answer: str


@dataclass(frozen=True)
class Rearranging:
    """What the page offers; `texts` are different messages, the newest first, of `different` in all."""

    texts: tuple[str, ...]
    different: int
    others: tuple[Other, ...]
    answer: str
    labels: tuple[str, ...]


def can_rearrange(proposal: Proposal) -> bool:
    """Whether a proposal is about messages and waits."""
    return proposal.state is ProposalState.PENDING and proposal.kind in TEACHING


def read_rearranging(loop: Loop, proposal: Proposal, search: str) -> Rearranging:
    """Return what can be done with a proposal; `search` narrows what it may be merged with."""
    gap = loop.store.gap(proposal.gap_id)
    since = gap.handled_at if gap.is_reopened else None
    turns = loop.store.turns_of_gap(gap.gap_id, newest=READ, after=since)
    different = list({folded(turn.text): turn.text for turn in reversed(turns)}.values())
    answers = {label: answer.text for label, answer in current_answers(loop).items()}
    return Rearranging(
        texts=tuple(different[:MESSAGES_SHOWN]),
        different=len(different),
        others=tuple(
            Other(item, _answer(item.proposal, answers)) for item in _others(loop, proposal, search)[:OTHERS_SHOWN]
        ),
        answer=_answer(proposal, answers),
        labels=tuple(sorted(read_labels(loop).known)),
    )


def _answer(proposal: Proposal, answers: dict[str, str]) -> str:
    return proposal.answer or answers.get(proposal.label, "")


def _others(loop: Loop, proposal: Proposal, search: str) -> list[Item]:
    """Return what else waits: what holds all words of the search, or what shares most words with this one."""
    gaps = loop.store.gaps()
    waiting = [
        Item(item, gaps[item.gap_id])
        for item in loop.store.proposals()
        if item.proposal_id != proposal.proposal_id and can_rearrange(item)
    ]
    words = search.casefold().split()
    if words:
        return sorted((item for item in waiting if all(word in _said(item) for word in words)), key=item_order)
    own = set(_said(Item(proposal, gaps[proposal.gap_id])).split())
    return sorted(waiting, key=lambda item: (-_shared(own, item), *item_order(item)))


def _said(item: Item) -> str:
    proposal: Proposal = item.proposal
    parts: Sequence[str] = (item.gap.name, proposal.label, *proposal.examples, proposal.proposal_id)
    return " ".join(parts).casefold()


def _shared(own: set[str], item: Item) -> float:
    """Return the share of words that both say, of all that either says (Jaccard)."""
    other = set(_said(item).split())
    return len(own & other) / max(len(own | other), 1)
