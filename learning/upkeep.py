"""What has grown wrong with the labels themselves: two that are confused, and those that nobody needs any more.

Only labels that one response answers are looked at: what a form, an action or a story does with an intent is no matter
of wording. What was decided once is never proposed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from learning.current_answers import current_answers
from learning.gaps import answer_gap_id, existing_gap_id
from learning.known import Known, largest_mean
from learning.labels import LabelChanges
from learning.loop import Loop
from learning.model import (
    FALLBACK_INTENT,
    TEACHING,
    Answer,
    Entry,
    FailedTurn,
    Gap,
    GapKind,
    LabelUse,
    Priority,
    Proposal,
    ProposalKind,
    ProposalState,
    ScorePart,
    content_id,
)
from learning.settings import Settings
from learning.texts import medoids
from learning.vectors import Vectors

# What every dialogue needs, however rarely it is said, under the names that Rasa's own starters give it.
CORE = frozenset(
    {
        *("affirm", "deny", "greet", "goodbye", "thank", "thanks", "thank_you", "help", "inform", "stop", "never_mind"),
        *("cancel", "bot_challenge", "mood_great", "mood_unhappy", "out_of_scope", "chitchat", FALLBACK_INTENT),
    }
)
LEAST_EXAMPLES = 8  # of each label; of fewer a share says nothing
NEIGHBORS = 3  # examples whose mean cosine says how near a label is
RIVALS = 5  # labels with the nearest centers that a label is compared with
SHOWN = 10  # examples that a proposal carries as its evidence
SAME_ANSWER = 0.8  # cosine of two answers under which a reviewer is told that they differ
MIXED_EVENLY = 0.5  # share at which two labels' examples cannot be told apart


@dataclass(frozen=True)
class Taught:
    """The examples of one label: texts and their sentence vectors (n, d)."""

    texts: tuple[str, ...]
    vectors: Vectors = field(repr=False)


@dataclass(frozen=True)
class Confusion:
    """Two labels whose examples are mixed: the share of each one's that lie nearer to the other's.

    `examples` are those of `target` that lie nearest to `label`, the clearest first.
    """

    label: str
    target: str
    label_share: float
    target_share: float
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        """The smaller of the two shares: it takes both to be a confusion."""
        return min(self.label_share, self.target_share)


@dataclass(frozen=True)
class Unused:
    """A label that nobody has needed since a time, and the conversations that began since then."""

    label: str
    first_at: datetime
    last_at: datetime
    conversations: int


def find_upkeep(loop: Loop, known: Known) -> list[tuple[Gap, Proposal]]:
    """Return what is proposed for the labels themselves: merges first, then retirements.

    Everything follows from what is stored, so that a second run over the same conversations says the same.
    """
    newest = loop.store.newest_turn()
    if newest is None:
        return []
    newest = min(newest, loop.now())
    live = loop.store.entries(ProposalState.PUBLISHED, ProposalState.ABSORBED)
    gone = LabelChanges.of(live)
    answers = {
        label: answer
        for label, answer in current_answers(loop).items()
        if not gone.concern(label) and not _is_core(label, loop.settings)
    }
    taught = _taught(loop, known, live, answers)
    decided = {item.proposal_id for item in loop.store.proposals() if item.state is not ProposalState.PENDING}
    use = loop.store.label_use()
    found: list[tuple[Gap, Proposal]] = []
    for confusion in find_confused(taught, use, loop.settings.proposals.confused_share):
        if _proposal_id(_confused_gap(confusion)) not in decided:
            found.append(_merge(loop, confusion, answers, newest))
    merged = {label for _, proposal in found for label in (proposal.label, str(proposal.target))}
    for unused in find_unused(loop, [label for label in answers if label not in merged], use, live, newest):
        if _proposal_id(_unused_gap(unused.label)) not in decided:
            found.append(_retirement(loop, unused, taught.get(unused.label), newest))
    return found


def find_confused(taught: Mapping[str, Taught], use: Mapping[str, LabelUse], least: float) -> list[Confusion]:
    """Return pairs of labels whose examples are mixed, the most mixed first; no label is in two of them.

    An example lies nearer to the other label if its mean cosine to the three nearest examples there is larger than to
    the three nearest others of its own label. Measured with a share of 0.25 on the 275 labels of CLINC150, BANKING77
    and this project: no pair of them is called confused, and of 60 labels that were split in two by chance 59 are. With
    twenty examples a label it is two pairs, both of this project, and 51 of the 60.

    Args:
        taught: what each label is taught by.
        use: when labels were used; of two with as many examples the one used last stays.
        least: share (0..1) of each label's examples that must lie nearer to the other's.

    """
    labels = sorted(label for label, examples in taught.items() if len(examples.texts) >= LEAST_EXAMPLES)
    if len(labels) < 2:
        return []
    centers = np.stack([_unit(taught[label].vectors.mean(axis=0)) for label in labels])
    near = centers @ centers.T
    np.fill_diagonal(near, -np.inf)
    pairs = {
        (min(row, int(column)), max(row, int(column)))
        for row in range(len(labels))
        for column in np.argsort(-near[row], kind="stable")[: min(RIVALS, len(labels) - 1)]
    }
    found = [_confusion(labels[first], labels[second], taught, use) for first, second in sorted(pairs)]
    taken: set[str] = set()
    chosen: list[Confusion] = []
    for confusion in sorted(found, key=lambda item: (-item.share, item.label, item.target)):
        if confusion.share >= least and not taken & {confusion.label, confusion.target}:
            taken |= {confusion.label, confusion.target}
            chosen.append(confusion)
    return chosen


def find_unused(
    loop: Loop, labels: Sequence[str], use: Mapping[str, LabelUse], live: Sequence[Entry], newest: datetime
) -> list[Unused]:
    """Return the labels that nobody has needed for `proposals.retire_days`, the longest unused first.

    A label that was never used counts from its release. One that was written by hand and never used has no date that it
    could count from, and is left alone.
    """
    settings = loop.settings
    least = timedelta(days=settings.proposals.retire_days)
    times = {change.item_id: release.at for release in reversed(loop.store.releases()) for change in release.changes}
    found: list[Unused] = []
    for label in labels:
        released = [times[item.entry_id] for item in live if item.label == label and item.entry_id in times]
        dates = [*([use[label].first_at, use[label].last_at] if label in use else []), *released]
        # What a person has added to since is wanted, even if nobody has asked for it.
        if not dates or newest - max(dates) < least:
            continue
        since = loop.store.conversations_since(max(dates))
        if since >= settings.gaps.min_conversations:
            found.append(Unused(label, min(dates), max(dates), since))
    return sorted(found, key=lambda item: (item.last_at, item.label))


def _is_core(label: str, settings: Settings) -> bool:
    own = settings.conversations
    return label in CORE or label in (*own.person_intents, *own.affirm_intents)


def _taught(loop: Loop, known: Known, live: Sequence[Entry], labels: Collection[str]) -> dict[str, Taught]:
    """Return the examples of these labels: those in the project's files, and those that are only published yet."""
    rows: dict[str, dict[str, tuple[str, Vectors]]] = {}
    for label, text, vector in zip(known.labels, known.texts, known.vectors, strict=True):
        if label in labels:
            rows.setdefault(label, {}).setdefault(text.casefold(), (text, vector))
    fresh = [
        (entry.label, text)
        for entry in live
        if entry.kind in TEACHING and entry.label in labels
        for text in entry.examples
        if text.casefold() not in rows.get(entry.label, {})
    ]
    vectors = loop.encoder.encode([text for _, text in fresh]) if fresh else []
    for (label, text), vector in zip(fresh, vectors, strict=True):
        rows.setdefault(label, {}).setdefault(text.casefold(), (text, vector))
    return {
        label: Taught(tuple(text for text, _ in own.values()), np.stack([vector for _, vector in own.values()]))
        for label, own in rows.items()
    }


def _confusion(first: str, second: str, taught: Mapping[str, Taught], use: Mapping[str, LabelUse]) -> Confusion:
    def worth(label: str) -> tuple[int, float]:
        last = use[label].last_at.timestamp() if label in use else 0.0
        return len(taught[label].texts), last

    label, target = (second, first) if worth(second) > worth(first) else (first, second)
    kept, going = taught[label], taught[target]
    across = going.vectors @ kept.vectors.T
    nearer: Vectors = largest_mean(across, NEIGHBORS) - _own_nearness(going.vectors)
    order = np.argsort(-nearer, kind="stable")[:SHOWN]
    return Confusion(
        label=label,
        target=target,
        label_share=float(np.mean(largest_mean(across.T, NEIGHBORS) > _own_nearness(kept.vectors))),
        target_share=float(np.mean(nearer > 0)),
        examples=tuple(going.texts[row] for row in order),
    )


def _own_nearness(vectors: Vectors) -> Vectors:
    """Return how near each example (n,) is to the others of its own label."""
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return largest_mean(similarity, min(NEIGHBORS, len(vectors) - 1))


def _unit(vector: Vectors) -> Vectors:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def _confused_gap(confusion: Confusion) -> str:
    return content_id("confused", *sorted((confusion.label, confusion.target)))


def _unused_gap(label: str) -> str:
    return content_id("unused", label)


def _proposal_id(gap_id: str) -> str:
    return content_id("proposal", gap_id)


def _merge(loop: Loop, confusion: Confusion, answers: Mapping[str, Answer], newest: datetime) -> tuple[Gap, Proposal]:
    label, target = confusion.label, confusion.target
    turns = _confused_turns(loop, label, target)
    people = len({turn.sender for turn in turns})
    times = [turn.at for turn in turns] or [newest]
    often = people >= loop.settings.gaps.min_people
    gap = Gap(
        gap_id=_confused_gap(confusion),
        kind=GapKind.CONFUSED,
        name=f"{label} and {target} are confused",
        intent=label,
        priority=Priority.MEDIUM if often else Priority.LOW,
        turns=len(turns),
        people=people,
        first_seen=min(times),
        last_seen=max(times),
        rank=float(people),
    )
    texts = loop.encoder.encode([answers[label].text, answers[target].text])
    alike = float(np.clip(texts[0] @ texts[1], 0, 1))
    parts = (
        ScorePart("examples are mixed", round(min(confusion.share / MIXED_EVENLY, 1.0), 3), 0.5),
        ScorePart("answers agree", round(alike, 3), 0.3),
        ScorePart("confused in conversations", min(people / max(loop.settings.gaps.min_people, 1), 1.0), 0.2),
    )
    proposal = _proposal(gap, ProposalKind.MERGE, label, confusion.examples, parts, loop.now())
    warnings = () if alike >= SAME_ANSWER else (f"The two are answered differently; {answers[target].response} goes.",)
    return gap, replace(proposal, target=target, warnings=warnings)


def _confused_turns(loop: Loop, label: str, target: str) -> list[FailedTurn]:
    """Return the failed turns that belong to one of two labels and were taken, or nearly taken, for the other."""
    found: dict[str, FailedTurn] = {}
    for own, other in ((label, target), (target, label)):
        for gap_id in (existing_gap_id(own), answer_gap_id(own)):
            for turn in loop.store.turns_of_gap(gap_id):
                if other in {turn.intent, turn.clarified, *_rivals(turn)}:
                    found[turn.turn_id] = turn
    return list(found.values())


def _rivals(turn: FailedTurn) -> set[str]:
    """Return the labels that the turn was nearly tied between: an ambiguity's evidence names them."""
    return {word for signal in turn.signals if signal.kind == "ambiguity" for word in signal.evidence.split()}


def _retirement(loop: Loop, unused: Unused, taught: Taught | None, newest: datetime) -> tuple[Gap, Proposal]:
    days = (newest - unused.last_at).days
    gap = Gap(
        gap_id=_unused_gap(unused.label),
        kind=GapKind.UNUSED,
        name=f"nobody asks for {unused.label}",
        intent=unused.label,
        priority=Priority.LOW,
        turns=0,
        people=0,
        first_seen=unused.first_at,
        last_seen=unused.last_at,
    )
    settings = loop.settings
    parts = (
        ScorePart("unused for long", round(min(days / (2 * max(settings.proposals.retire_days, 1)), 1.0), 3), 0.5),
        ScorePart(
            "conversations without it",
            round(min(unused.conversations / (5 * max(settings.gaps.min_conversations, 1)), 1.0), 3),
            0.5,
        ),
    )
    examples = medoids(taught.texts, taught.vectors, SHOWN) if taught else []
    return gap, _proposal(gap, ProposalKind.RETIRE, unused.label, examples, parts, loop.now())


def _proposal(
    gap: Gap, kind: ProposalKind, label: str, examples: Sequence[str], parts: tuple[ScorePart, ...], now: datetime
) -> Proposal:
    return Proposal(
        proposal_id=_proposal_id(gap.gap_id),
        gap_id=gap.gap_id,
        kind=kind,
        label=label,
        examples=tuple(examples),
        answer=None,
        sources=(),
        score=round(100 * sum(part.value * part.share for part in parts)),
        score_parts=parts,
        people=gap.people,
        turns=gap.turns,
        state=ProposalState.PENDING,
        created_at=now,
    )
