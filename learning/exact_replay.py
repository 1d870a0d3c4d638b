"""Replay through the running model: the same messages with the proposal and without it, and what changes.

`learning.replay` follows the overlay's rule on vectors and takes milliseconds. Here the whole of Rasa's graph reads
every message twice, entities, fallback and all, and the answer takes seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from learning.current_answers import current_answers
from learning.loop import Loop
from learning.model import TEACHING, Entry, FailedTurn, GoodTurn, Proposal, ProposalKind, ProposalState, Replay
from learning.replay import SHOWN, own_example
from learning.sandbox import TrialBot, TrialBots, Understood, candidate, other_entries, without_examples
from learning.texts import PLACEHOLDER

FAILURES = 300  # newest messages of a gap that are replayed: as many as a proposal is made from
# Personal data is gone from what is kept. The model looks for entities where it was: something must stand there.
STAND_INS = {
    "ORDER": "12345",
    "TICKET": "T-00012345",
    "EMAIL": "customer@example.com",
    "PHONE": "+353 1 555 0100",
    "NAME": "Alex",
    "CARD": "4111 1111 1111 1111",
    "URL": "https://example.com",
}
_KIND = re.compile(r"[A-Z]+")


@dataclass(frozen=True)
class Change:
    """A message that is understood as something else once the proposal is live."""

    text: str
    before: str
    after: str


@dataclass(frozen=True)
class ExactReplay:
    """What the running model does with the proposal.

    `replay` counts it; `missed` are the failures that the proposal does not reach, `known` counts those of them that
    the bot understands as the proposal's label already. `broken` are messages that went well and would not any more.
    `drifted` counts messages of the sample that are understood otherwise today than when they went well: what the
    proposal does to them says nothing. Times are in seconds.
    """

    proposal_id: str
    kind: ProposalKind
    model: str
    replay: Replay
    known: int
    missed: tuple[Change, ...]
    broken: tuple[Change, ...]
    drifted: int
    loading_seconds: float = 0.0
    replay_seconds: float = 0.0


def exact_replay(
    loop: Loop, bots: TrialBots, proposal: Proposal, say: Callable[[str], None] = lambda step: None
) -> ExactReplay:
    """Replay a proposal's gap and the messages that went well through the running model.

    A failure is fixed when it is understood as the proposal's label with the proposal, and was not without. A message
    that is itself an example is tried with an entry that lacks it. What went well is broken when the bot still
    understands it as it did then, and would not with the proposal.

    Raises:
        TrainingError: there is no model, or it cannot be loaded.

    """
    started = time.monotonic()
    say("loading the running model")
    bot = bots.start()
    try:
        loaded = time.monotonic()
        failures, good = failed_messages(loop, proposal), loop.store.good_turns()
        say(f"replaying {len(failures)} failures and {len(good)} messages that went well, without and with it")
        live = other_entries(loop, proposal)
        result = replay_on(bot, proposal, live, failures, good, _same_answers(loop, proposal))
        done = time.monotonic()
    finally:
        bot.close()
    return replace(result, loading_seconds=round(loaded - started, 1), replay_seconds=round(done - loaded, 1))


def failed_messages(loop: Loop, proposal: Proposal) -> list[FailedTurn]:
    """Return the messages that a proposal is to fix: of everybody as many as count for a gap, since it came back."""
    gap = loop.store.gaps().get(proposal.gap_id)
    since = gap.handled_at if gap is not None and gap.is_reopened else None
    most = loop.settings.gaps.max_per_sender
    return loop.store.turns_of_gap(proposal.gap_id, newest=FAILURES, after=since, per_sender=most)


def filled(text: str) -> str:
    """Return a redacted message with something of its kind for each placeholder that entities are found in."""
    return PLACEHOLDER.sub(lambda found: STAND_INS.get(_kind(found.group()), found.group()), text)


def _kind(placeholder: str) -> str:
    found = _KIND.search(placeholder)
    return found.group() if found else ""


def replay_on(
    bot: TrialBot,
    proposal: Proposal,
    live: Sequence[Entry],
    failures: Sequence[FailedTurn],
    good: Sequence[GoodTurn],
    same_answers: Collection[str] = (),
) -> ExactReplay:
    """Replay given messages on a bot that runs; see `exact_replay`.

    Args:
        bot: understands the messages.
        proposal: what is tried.
        live: the entries that are live besides it.
        failures: what it is to fix.
        good: what went well.
        same_answers: labels whose answer is word for word that of a merge's `label`.

    """
    entry = candidate(proposal, live)
    failed_texts, good_texts = [filled(turn.text) for turn in failures], [filled(turn.text) for turn in good]
    bot.use(live)
    before = bot.understand([*failed_texts, *good_texts])
    bot.use([*live, entry])
    after = bot.understand([*failed_texts, *good_texts])
    if proposal.kind in TEACHING:
        after = [*_without_themselves(bot, live, entry, failures, after), *after[len(failures) :]]
    fixed, known, missed = _judge_failures(proposal, failures, before, after)
    broken, drifted, changed = _judge_good(
        proposal, same_answers, good, before[len(failures) :], after[len(failures) :]
    )
    shown = broken[:SHOWN]
    counted = Replay(
        failures=len(failures),
        fixed=fixed,
        successes=len(good),
        broken=len(broken),
        broken_texts=tuple(item.text for item in shown),
        broken_labels=tuple(item.before for item in shown),
        changed=changed,
    )
    return ExactReplay(proposal.proposal_id, proposal.kind, bot.model, counted, known, missed, broken, drifted)


def _without_themselves(
    bot: TrialBot, live: Sequence[Entry], entry: Entry, failures: Sequence[FailedTurn], after: Sequence[Understood]
) -> list[Understood]:
    """Understand those failures anew that are examples of the entry: each with an entry that lacks it."""
    folded: dict[str, list[str]] = {}
    for example in entry.examples:
        folded.setdefault(example.casefold(), []).append(example)
    rows: dict[str, list[int]] = {}
    for row, turn in enumerate(failures):
        if own_example(turn.text) in folded:
            rows.setdefault(own_example(turn.text), []).append(row)
    result = list(after[: len(failures)])
    for own, places in rows.items():
        lesser = without_examples(entry, folded[own])
        bot.use([*live, lesser] if lesser else live)
        for row, found in zip(places, bot.understand([filled(failures[row].text) for row in places]), strict=True):
            result[row] = found
    return result


def _judge_failures(
    proposal: Proposal, failures: Sequence[FailedTurn], before: Sequence[Understood], after: Sequence[Understood]
) -> tuple[int, int, tuple[Change, ...]]:
    """Return how many failures are fixed, how many need no fixing, and those that are not fixed."""
    fixed = known = 0
    missed: list[Change] = []
    for turn, old, new in zip(failures, before, after, strict=False):
        is_reworded = proposal.kind is ProposalKind.REWORD
        if new.label == proposal.label and (is_reworded or old.label != proposal.label):
            fixed += 1
            continue
        known += old.label == proposal.label
        missed.append(Change(turn.text, old.label, new.label))
    return fixed, known, tuple(missed)


def _judge_good(
    proposal: Proposal,
    same_answers: Collection[str],
    good: Sequence[GoodTurn],
    before: Sequence[Understood],
    after: Sequence[Understood],
) -> tuple[tuple[Change, ...], int, int]:
    """Return what breaks, how many messages are understood otherwise today anyway, how many get other words."""
    broken: list[Change] = []
    drifted = changed = 0
    for turn, old, new in zip(good, before, after, strict=True):
        if old.label != turn.label:
            drifted += 1
        elif new.label != old.label and old.label not in same_answers:
            broken.append(Change(turn.text, old.label, new.label))
        elif proposal.kind is ProposalKind.REWORD and old.label == proposal.label:
            changed += 1
    return tuple(broken), drifted, changed


def _same_answers(loop: Loop, proposal: Proposal) -> frozenset[str]:
    """Return the labels of a merge that are answered in the same words as the one that stays."""
    if proposal.kind is not ProposalKind.MERGE:
        return frozenset()
    answers = current_answers(loop)
    if proposal.state in (ProposalState.PUBLISHED, ProposalState.ABSORBED):  # they are the same since it is live
        answers = {answer.label: answer for answer in loop.project.answers()}
    own = answers.get(proposal.label)
    return frozenset(label for label, answer in answers.items() if own is not None and answer.text == own.text)
