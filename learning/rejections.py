"""What was rejected does not come back: neither the same proposal nor one near to it.

Two groups of messages are near by the cosine of their centers, freed of what chance takes from small groups. Divided
by the cohesion of both it is 1 for two samples of one need, however small they are (the correction for attenuation of
Spearman 1904), while the plain cosine of two halves of one need goes down to 0.8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from learning.model import (
    ANSWERING,
    TEACHING,
    Action,
    Decision,
    FailedTurn,
    LabelUse,
    Proposal,
    ProposalKind,
    ProposalState,
)
from learning.ports import Encoder
from learning.settings import ProposalSettings
from learning.vectors import Vectors

OTHER_ANSWER = 0.8  # cosine of two answers under which they say different things
SECOND_CHANCES = 1  # times that a need may come back with another answer; rejected again it is not wanted
NEWCOMERS = 3  # people who must have asked since: the same ones asked when it was rejected
SAME_MESSAGE = 0.97  # cosine from which a message is said again
ALONE = 0.5  # cohesion of one message, which has none: that of a need on average
LEAST_COHESION = 0.2  # a heap of noise has less, and would be like everything
ACCEPTED = frozenset({ProposalState.APPROVED, ProposalState.EDITED, ProposalState.PUBLISHED, ProposalState.ABSORBED})


class Decisions(Protocol):
    """Where proposals and what was said of them are kept."""

    def proposals(self) -> list[Proposal]:
        """Return every proposal."""
        ...

    def decisions(self) -> list[Decision]:
        """Return every decision, the oldest first."""
        ...

    def label_use(self) -> dict[str, LabelUse]:
        """Return when each label was used."""
        ...


@dataclass(frozen=True)
class _Group:
    """Messages of a proposal: unit vectors (n, d), their mean (d,), and the mean cosine of two of them."""

    vectors: Vectors = field(repr=False)
    mean: Vectors = field(repr=False)
    cohesion: float

    @classmethod
    def of(cls, vectors: Vectors) -> _Group:
        count, mean = len(vectors), vectors.mean(axis=0, dtype=float)
        pairs = (count * float(mean @ mean) - 1) / (count - 1) if count > 1 else ALONE
        return cls(vectors, mean, min(max(pairs, LEAST_COHESION), 1.0))

    def likeness(self, other: _Group) -> float:
        """Return the corrected cosine of the centers; of two needs that share nothing it is about 0."""
        return float(self.mean @ other.mean) / float(np.sqrt(self.cohesion * other.cohesion))


@dataclass(frozen=True)
class _Rejected:
    proposal: Proposal
    at: datetime


class Rejected:
    """The proposals that people rejected, and those that they accepted, to tell which of them a new one is near to."""

    def __init__(
        self,
        rejected: Sequence[_Rejected],
        accepted: Sequence[Proposal],
        uses: Mapping[str, LabelUse],
        encoder: Encoder,
        settings: ProposalSettings,
    ) -> None:
        self._rejected = rejected
        self._accepted = accepted
        self._uses = uses
        self._encoder = encoder
        self._settings = settings
        self._groups: dict[str, _Group | None] = {}
        self._needs: Vectors | None = None

    @classmethod
    def of(cls, store: Decisions, encoder: Encoder, settings: ProposalSettings) -> Rejected:
        """Read what was decided; nothing is encoded until a proposal is compared with it.

        Args:
            store: proposals and decisions.
            encoder: places examples and answers, which are customers' words: its vectors must not be stored.
            settings: how near is the same.

        """
        proposals = store.proposals()
        at: dict[str, datetime] = {}
        for decision in store.decisions():
            if decision.action is Action.REJECT:
                at[decision.proposal_id] = decision.at
        rejected = [
            _Rejected(item, at.get(item.proposal_id, item.created_at))
            for item in proposals
            if item.state is ProposalState.REJECTED
        ]
        # What was accepted matters only as the other thing that messages may be about.
        accepted = [item for item in proposals if rejected and item.state in ACCEPTED]
        return cls(rejected, accepted, store.label_use() if rejected else {}, encoder, settings)

    def nearest(self, proposal: Proposal, turns: Sequence[FailedTurn] = ()) -> Proposal | None:
        """Return the rejected proposal because of which this one must not be made, None where nothing speaks against.

        By kind: examples are the same for the same label, and like a new question by what is asked: the centers are at
        least `rejected_similarity` alike, and most messages are nearer to what was rejected than to anything that was
        accepted. A growing gap changes nothing. A better answer is the same if it is for the same response; a merge, if
        it is about the same two labels, whichever stays; a retirement, until the label is used again.

        What was rejected with an answer may come back once with one that says something else, if enough people have
        asked since: perhaps the need was real and only the answer wrong. Why it was rejected is not read.

        Args:
            proposal: what would be proposed.
            turns: the failed turns of its gap, to see who has asked since.

        """
        same = {
            ProposalKind.EXAMPLES: self._needs_like,
            ProposalKind.ANSWER: self._needs_like,
            ProposalKind.REWORD: _rewords_like,
            ProposalKind.MERGE: _merges_like,
            ProposalKind.RETIRE: self._retires_like,
        }[proposal.kind]
        near = same(proposal, [item for item in self._rejected if item.proposal.kind is proposal.kind])
        return near[0].proposal if near and not self._has_another_chance(proposal, turns, near) else None

    def _needs_like(self, proposal: Proposal, rejected: Sequence[_Rejected]) -> list[_Rejected]:
        """Return what was rejected and is about the same need, the likest first."""
        if proposal.kind is ProposalKind.EXAMPLES:
            rejected = [item for item in rejected if item.proposal.label == proposal.label]
        if not rejected or not proposal.examples:
            return []
        group = _Group.of(np.asarray(self._encoder.encode(proposal.examples)))
        groups = [self._group(item.proposal) for item in rejected]
        likeness = [other.likeness(group) if other else 0.0 for other in groups]
        return [
            rejected[row]
            for row in sorted(range(len(rejected)), key=lambda row: -likeness[row])
            if rejected[row].proposal.gap_id == proposal.gap_id or self._is_near(likeness[row], group, groups[row])
        ]

    def _group(self, proposal: Proposal) -> _Group | None:
        """Return the messages of a decided proposal, None where it teaches none."""
        if proposal.proposal_id not in self._groups:
            teaches = proposal.kind in TEACHING and proposal.examples
            self._groups[proposal.proposal_id] = (
                _Group.of(np.asarray(self._encoder.encode(proposal.examples))) if teaches else None
            )
        return self._groups[proposal.proposal_id]

    def _accepted_needs(self) -> Vectors:
        """Return the unit centers (n, d) of what was accepted."""
        if self._needs is None:
            groups = [group for item in self._accepted if (group := self._group(item))]
            centers = [group.mean / np.linalg.norm(group.mean) for group in groups]
            self._needs = np.stack(centers) if centers else np.empty((0, 0))
        return self._needs

    def _is_near(self, alike: float, group: _Group, other: _Group | None) -> bool:
        """Whether most of a proposal's messages were said in the rejected one, or it is about the same."""
        if other is None:
            return False
        again = (group.vectors @ other.vectors.T).max(axis=1) >= SAME_MESSAGE
        if np.mean(again) > 0.5:
            return True
        if alike < self._settings.rejected_similarity:
            return False
        accepted = self._accepted_needs()
        if not len(accepted):
            return True
        own = group.vectors @ (other.mean / np.linalg.norm(other.mean))
        return bool(np.mean(own >= (group.vectors @ accepted.T).max(axis=1)) > 0.5)

    def _has_another_chance(self, proposal: Proposal, turns: Sequence[FailedTurn], near: Sequence[_Rejected]) -> bool:
        """Whether the need was perhaps real and only the answer wrong, and this is another answer."""
        if proposal.kind not in ANSWERING or not proposal.answer or len(near) > SECOND_CHANCES:
            return False
        last = max(item.at for item in near)
        if len({turn.sender for turn in turns if turn.at > last}) < NEWCOMERS:
            return False
        return all(self._differs(proposal.answer, item.proposal.answer) for item in near)

    def _differs(self, answer: str, rejected: str | None) -> bool:
        """Whether an answer says something else than one that was rejected; where there was none, nothing was wrong."""
        if not rejected:
            return False
        one, two = self._encoder.encode([answer, rejected])
        return float(one @ two) < OTHER_ANSWER

    def _retires_like(self, proposal: Proposal, rejected: Sequence[_Rejected]) -> list[_Rejected]:
        use = self._uses.get(proposal.label)
        return [
            item
            for item in rejected
            if item.proposal.label == proposal.label and (use is None or use.last_at <= item.at)
        ]


def _rewords_like(proposal: Proposal, rejected: Sequence[_Rejected]) -> list[_Rejected]:
    own = proposal.label, proposal.target
    return [item for item in rejected if (item.proposal.label, item.proposal.target) == own]


def _merges_like(proposal: Proposal, rejected: Sequence[_Rejected]) -> list[_Rejected]:
    pair = {proposal.label, proposal.target}
    return [item for item in rejected if {item.proposal.label, item.proposal.target} == pair]
