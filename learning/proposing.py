"""The third step of mining: gaps that have changed get proposals, tried before anybody sees them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from learning.calibration import Calibration, read_calibration
from learning.current_answers import current_answers
from learning.drafting import Materials, draft, read_article
from learning.gaps import Known
from learning.grouping import standing_needs
from learning.kept_vectors import KeptVectors, Remembered
from learning.loop import Loop
from learning.model import (
    ANSWERING,
    TEACHING,
    Answer,
    Draft,
    FailedTurn,
    Gap,
    GapKind,
    GoodTurn,
    Proposal,
    ProposalKind,
    ProposalState,
)
from learning.proposals import KIND_FOR, learned_label, propose, usable_texts
from learning.rejections import Rejected
from learning.replay import Live, Messages, replay
from learning.review import OPEN_STATES, move, round_id
from learning.scoring import LABEL, Features, Needs, calibrated, measure, repeats, score
from learning.texts import plain_text
from learning.upkeep import find_upkeep
from learning.vectors import Vectors

UNDECIDED = (ProposalState.PENDING, ProposalState.SUPERSEDED)
PROPOSED_FROM = 300  # newest messages that a proposal is made from and tried on


def write_proposals(loop: Loop, known: Known, encoder: KeptVectors, only: Collection[str] | None = None) -> int:
    """Propose for every gap that has changed and nobody has decided about; return how many proposals are new.

    Args:
        loop: the loop.
        known: what is trained.
        encoder: keeps the vectors of what is read again and again.
        only: the gaps to look at, where a person has just changed them; all without it.

    """
    store = loop.store
    regroupings = store.regroupings()
    reopen_due(loop)
    changed = {gap_id: gap for gap_id, gap in store.gaps(changed=True).items() if only is None or gap_id in only}
    if only is None:
        changed.update(_perhaps_answered(loop))
    bench = _Bench.open(loop, known, encoder, store.good_turns() if changed else [])
    encoder.save()
    # What a person has put together is tried at once, however few people said it.
    least = loop.settings.gaps.min_people if only is None else 1
    # A gap that repeats a need which waits is looked at again once somebody has decided about that one.
    held = {gap_id for gap_id, gap in changed.items() if only is None and bench.waits_behind(gap)}
    made = [
        item
        for gap_id, gap in sorted(changed.items())
        if gap_id not in held and (item := bench.proposal_for(gap, least)) is not None
    ]
    upkeep = [(gap, bench.upkept(item)) for gap, item in find_upkeep(loop, known)] if changed and only is None else []
    store.save_upkeep([gap for gap, _ in upkeep])
    made += [item for _, item in upkeep if item is not None]
    scores = bench.rescored({item.proposal_id for item in made})
    return store.save_proposals(made, loop.now(), scores, sorted(set(changed) - held), regroupings)


def _perhaps_answered(loop: Loop) -> dict[str, Gap]:
    """Return the gaps of new questions that wait, if anything went live since the last mining: they may repeat it."""
    last, releases = loop.store.last_run("mine"), loop.store.releases()
    if not releases or (last is not None and releases[0].at < last["started"]):
        return {}
    gaps = loop.store.gaps()
    return {
        item.gap_id: gaps[item.gap_id]
        for item in loop.store.proposals()
        if item.state is ProposalState.PENDING and item.kind is ProposalKind.ANSWER and item.gap_id in gaps
    }


@dataclass(frozen=True)
class _Bench:
    """What proposals are made of and tried on, read once for all of them."""

    loop: Loop
    known: Known
    materials: Materials
    answers: Mapping[str, Answer]  # what the bot says now, by label
    published: frozenset[str]  # examples that are live, folded
    earlier: Mapping[str, Sequence[Proposal]]  # by gap
    live: Live
    successes: Messages
    needs: Needs
    learned: Mapping[str, str]  # labels that were taught and are live, by the gap that taught them
    parted: Set[str]  # gaps that a person has split from others: what they were part of they do not repeat
    rejected: Rejected
    calibration: Calibration

    @classmethod
    def open(cls, loop: Loop, known: Known, encoder: KeptVectors, good: Sequence[GoodTurn]) -> _Bench:
        store = loop.store
        entries = store.entries(ProposalState.PUBLISHED, ProposalState.ABSORBED)
        live = Live.of([entry for entry in entries if entry.state is ProposalState.PUBLISHED], loop.encoder)
        earlier: dict[str, list[Proposal]] = {}
        gap_of: dict[str, str] = {}
        for item in store.proposals():
            gap_of[item.proposal_id] = item.gap_id
            earlier.setdefault(item.gap_id, []).append(item)
        # What was understood as a label that is gone would be understood as something else today.
        known_now = {*known.labels, *(entry.label for entry in entries if entry.kind in TEACHING)}
        good = [turn for turn in good if turn.label in known_now]
        answers, standing = current_answers(loop), standing_needs(loop, known)
        articles = [read_article(name, text, encoder) for name, text in loop.project.articles()]
        return cls(
            loop=loop,
            known=known,
            materials=Materials(articles=articles, answers=list(answers.values())),
            answers=answers,
            published=frozenset(example.casefold() for entry in entries for example in entry.examples),
            earlier=earlier,
            live=live,
            successes=Messages.of(
                [turn.text for turn in good], known, loop.encoder, [turn.label for turn in good], live
            ),
            needs=Needs.of(store.gaps(), {key: (need.count, need.mean) for key, need in standing.items()}),
            learned={gap_of[entry.proposal_id]: entry.label for entry in entries if entry.kind in TEACHING},
            parted=store.split_gaps(),
            rejected=Rejected.of(store, loop.encoder, loop.settings.proposals),
            calibration=read_calibration(loop),
        )

    def waits_behind(self, gap: Gap) -> bool:
        """Whether a new need repeats a bigger one that nobody has decided about: two questions would be one answer."""
        if gap.kind is not GapKind.NEW_NEED or self.earlier.get(gap.gap_id) or gap.gap_id in self.parted:
            return False
        other = repeats(gap, self.needs)
        return other is not None and other not in self.learned and not self._is_decided(other)

    def _is_decided(self, gap_id: str) -> bool:
        return any(item.state not in OPEN_STATES for item in self.earlier.get(gap_id, ()))

    def rescored(self, made: Collection[str]) -> dict[str, int]:
        """Return the scores of what waits besides `made`, where people's decisions have changed what they are worth."""
        waiting = [item for items in self.earlier.values() for item in items if item.state is ProposalState.PENDING]
        scores = {
            item.proposal_id: (item.score, calibrated(item.score_parts, item.kind, self.calibration))
            for item in waiting
            if item.score_parts and item.proposal_id not in made
        }
        return {proposal_id: now for proposal_id, (before, now) in scores.items() if now != before}

    def proposal_for(self, gap: Gap, least: int) -> Proposal | None:
        """Return the proposal for a gap of at least so many people, tried and scored; None if there is none to make."""
        loop, settings = self.loop, self.loop.settings
        decided = [item for item in self.earlier.get(gap.gap_id, ()) if item.state not in UNDECIDED]
        if gap.people < least or gap.kind not in KIND_FOR or not _may_propose(gap, decided):
            return None
        turns = self._turns_of(gap)
        told = Remembered(loop.encoder, _told(loop, turns))
        drafted = self._draft(gap, turns, told)
        current = self.answers.get(str(gap.intent))
        proposal = propose(gap, turns, drafted, told, settings.proposals, loop.now(), current)
        if proposal is None:
            return None
        proposal = self._of_learned(replace(proposal, proposal_id=round_id(gap.gap_id, decided)), gap, drafted)
        if self.rejected.nearest(proposal, turns) is not None:
            return None
        return self._scored(self._tried(proposal, turns, told), gap, turns, drafted, told)

    def upkept(self, proposal: Proposal) -> Proposal | None:
        """Return a merge or a retirement, tried and scored; None where its like was rejected."""
        if self.rejected.nearest(proposal) is not None:
            return None
        own = self.answers.get(proposal.label)
        same = frozenset(label for label, answer in self.answers.items() if own and answer.text == own.text)
        nothing = Messages.of([], self.known, self.loop.encoder)
        tried = replay(proposal, nothing, self.successes, self.loop.encoder, same)
        value = calibrated(proposal.score_parts, proposal.kind, self.calibration)
        return replace(proposal, replay=tried, score=value)

    def _of_learned(self, proposal: Proposal, gap: Gap, drafted: Draft) -> Proposal:
        """Return more examples of what was learned where a new question comes back or repeats another one."""
        if proposal.kind is not ProposalKind.ANSWER:
            return proposal
        label = self.learned.get(gap.gap_id)
        if label is None and gap.gap_id not in self.parted:
            label = self.learned.get(repeats(gap, self.needs) or "") or self._answered_so(drafted)
        nothing: dict[str, Any] = {"answer": None, "sources": (), "drafter": "", "warnings": ()}
        return replace(proposal, kind=ProposalKind.EXAMPLES, label=label, **nothing) if label else proposal

    def _answered_so(self, drafted: Draft) -> str | None:
        """Return the learned label whose answer says at least half of what was drafted, None if there is none."""
        said = [source.sentence for source in drafted.sources]
        taught = set(self.learned.values())
        shared = {
            label: sum(sentence in answer.text for sentence in said)
            for label, answer in sorted(self.answers.items())
            if label in taught
        }
        best = max(shared, key=shared.__getitem__, default=None)
        return best if best is not None and said and 2 * shared[best] >= len(said) else None

    def _turns_of(self, gap: Gap) -> list[FailedTurn]:
        since = gap.handled_at if gap.is_reopened else None
        most = self.loop.settings.gaps.max_per_sender
        turns = self.loop.store.turns_of_gap(gap.gap_id, newest=PROPOSED_FROM, after=since, per_sender=most)
        if gap.kind is GapKind.WEAK_ANSWER:  # there it is the answer that failed, whatever was an example
            return turns
        return [turn for turn in turns if plain_text(turn.text).casefold() not in self.published]

    def _draft(self, gap: Gap, turns: Sequence[FailedTurn], told: Remembered) -> Draft:
        loop = self.loop
        if KIND_FOR[gap.kind] not in ANSWERING:
            return Draft(drafter="")
        label = gap.intent or learned_label(gap.name)
        materials = replace(self.materials, agent_answers=loop.store.agent_answers(gap.gap_id))
        current = self.answers.get(label) if gap.kind is GapKind.WEAK_ANSWER else None
        return draft(usable_texts(turns), materials, told, loop.settings.proposals, label, current, loop.drafter)

    def _tried(self, proposal: Proposal, turns: Sequence[FailedTurn], told: Remembered) -> Proposal:
        intents = [turn.intent for turn in turns]
        failures = Messages.of([turn.text for turn in turns], self.known, told, intents, self.live)
        return replace(proposal, replay=replay(proposal, failures, self.successes, told))

    def _scored(
        self, proposal: Proposal, gap: Gap, turns: Sequence[FailedTurn], drafted: Draft, told: Remembered
    ) -> Proposal:
        vectors = told.encode_deep([turn.text for turn in turns])
        about = replace(gap, intent=proposal.label) if proposal.kind is ProposalKind.EXAMPLES else gap
        features = measure(about, turns, vectors, proposal.kind, self.known, self.needs, drafted, proposal.replay)
        if proposal.kind is ProposalKind.EXAMPLES and gap.kind is GapKind.NEW_NEED:
            # What was learned a week ago has few examples: any other label has the lead over it.
            features = Features({name: value for name, value in features.values.items() if name != LABEL})
        value, parts = score(features, proposal.kind, self.calibration)
        return replace(proposal, score=value, score_parts=parts)


def _told(loop: Loop, turns: Sequence[FailedTurn]) -> dict[str, Vectors]:
    """Return the vectors that grouping has kept of turns, by text."""
    kept = loop.store.turn_vectors([turn.turn_id for turn in turns])
    return {turn.text: kept[turn.turn_id] for turn in turns if turn.turn_id in kept}


def _may_propose(gap: Gap, decided: Sequence[Proposal]) -> bool:
    """Whether nobody has decided about the gap, or it came back after all that was decided went live."""
    live = {ProposalState.PUBLISHED, ProposalState.ABSORBED, ProposalState.WITHDRAWN}
    if gap.handled_at is None:  # nothing ever went live: what was withdrawn before has settled nothing
        return all(item.state is ProposalState.WITHDRAWN for item in decided)
    return not decided or (gap.is_reopened and all(item.state in live for item in decided))


def reopen_due(loop: Loop) -> None:
    """Put deferred proposals back whose date has come or whose gap has grown as asked."""
    deferred = [item for item in loop.store.proposals() if item.state is ProposalState.DEFERRED]
    gaps = loop.store.gaps() if deferred else {}
    for proposal in deferred:
        due = proposal.deferred_until is not None and loop.now() >= proposal.deferred_until
        gap = gaps.get(proposal.gap_id)
        grown = proposal.deferred_turns is not None and gap is not None and gap.turns >= proposal.deferred_turns
        if due or grown:
            loop.store.reopen_deferred(proposal, move(proposal, ProposalState.PENDING), loop.now())
