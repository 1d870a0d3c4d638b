"""Replay of a proposal as a person has changed it, before they approve it."""

from __future__ import annotations

from dataclasses import dataclass

from learning.current_answers import current_answers
from learning.exact_replay import failed_messages
from learning.grouping import read_known
from learning.kept_vectors import KeptVectors
from learning.known import Known
from learning.loop import Loop
from learning.model import LIVE, TEACHING, Decision, GapKind, Proposal, ProposalKind, ProposalState, Replay
from learning.replay import Live, Messages, own_example, replay
from learning.review import as_decided
from learning.reviewing import adding_to_known


@dataclass(frozen=True)
class Bench:
    """What versions are tried on, read once for several of them; `overlay` is the version of what was live then."""

    overlay: int
    known: Known
    live: Live
    published: frozenset[str]
    successes: Messages

    @classmethod
    def open(cls, loop: Loop) -> Bench:
        """Read what is trained, what is live, and what went well; takes seconds in a cold process."""
        overlay = loop.store.overlay_version()
        known = read_known(loop, KeptVectors(loop.encoder, loop.store))
        entries = loop.store.entries(*LIVE)
        live = Live.of([entry for entry in entries if entry.state is ProposalState.PUBLISHED], loop.encoder)
        labels = {*known.labels, *(entry.label for entry in entries if entry.kind in TEACHING)}
        good = [turn for turn in loop.store.good_turns() if turn.label in labels]
        return cls(
            overlay=overlay,
            known=known,
            live=live,
            published=frozenset(example.casefold() for entry in entries for example in entry.examples),
            successes=Messages.of(
                [turn.text for turn in good], known, loop.encoder, [turn.label for turn in good], live
            ),
        )

    def is_current(self, loop: Loop) -> bool:
        """Whether the same is live as when it was read."""
        return loop.store.overlay_version() == self.overlay


def replay_version(loop: Loop, bench: Bench, proposal: Proposal, decision: Decision) -> Replay:
    """Return what a proposal would fix and break as a decision would leave it; nothing is recorded."""
    version = as_decided(proposal, adding_to_known(loop, proposal, decision))
    turns = failed_messages(loop, proposal)
    if loop.store.gap(proposal.gap_id).kind is not GapKind.WEAK_ANSWER:
        # As mining tries it: what is an example already failed for another reason.
        turns = [turn for turn in turns if own_example(turn.text) not in bench.published]
    intents = [turn.intent for turn in turns]
    failures = Messages.of([turn.text for turn in turns], bench.known, loop.encoder, intents, bench.live)
    return replay(version, failures, bench.successes, loop.encoder, _same_answers(loop, version))


def _same_answers(loop: Loop, version: Proposal) -> frozenset[str]:
    """Return the labels of a merge that are answered in the same words as the one that stays."""
    if version.kind is not ProposalKind.MERGE:
        return frozenset()
    answers = current_answers(loop)
    own = answers.get(version.label)
    return frozenset(label for label, answer in answers.items() if own is not None and answer.text == own.text)
