"""The second step of mining: failed turns find their gaps, and gaps their figures, names and priorities.

Killed anywhere, the next run goes on from what the last one saved and comes to the same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from learning.branch import for_everybody
from learning.gaps import Known, Learned, Standing, answer_gap_id, existing_gap_id, group_turns, named_gap_id
from learning.kept_vectors import KeptVectors
from learning.labels import LabelChanges, renamed
from learning.loop import Loop
from learning.model import (
    LIVE,
    TEACHING,
    UPKEEP_GAPS,
    FailedTurn,
    Gap,
    GapFigures,
    GapKind,
    Priority,
    ProposalKind,
    ProposalState,
    content_id,
)
from learning.priority import judge
from learning.texts import key_phrase
from learning.vectors import Vectors

GROUPED_AT_ONCE = 1_000  # fresh failed turns; with the pool this bounds the memory of grouping
POOL = 2_000  # failed turns without a gap that may still found one; older ones are noise
POOL_PER_SENDER = 20  # of them; one person's flood must not wash out what others asked
DESCRIBED = 200  # newest messages that name a gap
REBUILT_FROM = 200  # newest members that a gap's mean is made from when the metric has changed


def read_known(loop: Loop, encoder: KeptVectors) -> Known:
    """Return what the assistant is trained on, in vectors, under the labels that it answers today."""
    changes = LabelChanges.of(for_everybody(loop.store.entries(*LIVE)))
    examples = renamed(loop.project.examples(), changes)
    texts = [example.text for example in examples]
    vectors = encoder.encode_deep(texts)
    known = Known.from_examples([example.label for example in examples], texts, vectors, dimension=encoder.dimension)
    encoder.save()
    return known


def find_gaps(loop: Loop, known: Known) -> int:
    """Group failed turns that belong to no gap yet; return how many gaps were founded.

    Turns come oldest first, `GROUPED_AT_ONCE` at a time, each time with the pool of those that had found no gap.
    """
    store = loop.store
    store.use_encoder(loop.encoder.identity)
    standing = standing_needs(loop, known)
    learned = _learned(loop, known)
    pool, vectors = store.pooled_turns()
    founded = 0
    while True:
        fresh = store.fresh_turns(GROUPED_AT_ONCE)
        # What was noise last time is noise now unless something came in: a second look at the same would let
        # messages drift into gaps one by one.
        if not fresh and (not pool or store.grouping_state() == grouping_state(pool, known, learned)):
            return founded
        vectors.update(_encode(loop, [turn for turn in (*pool, *fresh) if turn.turn_id not in vectors]))
        turns = [*pool, *fresh]
        grouping = group_turns(
            turns, np.stack([vectors[turn.turn_id] for turn in turns]), standing, known, loop.settings.gaps, learned
        )
        left = sorted(
            (turn for turn in turns if turn.turn_id not in grouping.members), key=lambda turn: (turn.at, turn.turn_id)
        )
        noise, kept = _pool(left)
        grown = _grow(loop, turns, vectors, grouping.members, standing, known)
        fresh_ids = {turn.turn_id for turn in fresh}
        founded += store.save_grouping(
            gaps=_first_look(turns, grouping.members, grouping.founded, known),
            means={gap_id: (mean.count, mean.mean) for gap_id, mean in grown.items()},
            metric=known.identity,
            members=grouping.members,
            pool={turn.turn_id: vectors[turn.turn_id] for turn in kept if turn.turn_id in fresh_ids},
            vectors={turn_id: vectors[turn_id] for turn_id, gap_id in grouping.members.items() if gap_id in grown},
            noise=[turn.turn_id for turn in noise],
            state=grouping_state(kept, known, learned),
        )
        standing.update(grown)
        pool, vectors = kept, {turn.turn_id: vectors[turn.turn_id] for turn in kept}


def _pool(left: Sequence[FailedTurn]) -> tuple[list[FailedTurn], list[FailedTurn]]:
    """Return what is noise and what may still found a gap: the newest, of one sender only so many."""
    kept: list[FailedTurn] = []
    noise: list[FailedTurn] = []
    own: Counter[str] = Counter()
    for turn in reversed(left):
        own[turn.sender] += 1
        (kept if own[turn.sender] <= POOL_PER_SENDER and len(kept) < POOL else noise).append(turn)
    return noise[::-1], kept[::-1]


def grouping_state(pool: Sequence[FailedTurn], known: Known, learned: Mapping[str, Learned]) -> str:
    """Return a digest of what grouping has to work on: the turns without a gap, and what is trained and learned."""
    taught = [f"{gap_id} {item.label} {len(item.examples)}" for gap_id, item in sorted(learned.items())]
    return content_id(known.identity, *taught, *sorted(f"{turn.turn_id} {turn.weight:.3f}" for turn in pool))


def _learned(loop: Loop, known: Known) -> dict[str, Learned]:
    """Return the needs that were learned, by the gap that taught them, with all live examples of their labels."""
    entries = loop.store.entries(ProposalState.PUBLISHED, ProposalState.ABSORBED)
    examples: dict[str, list[str]] = {}
    for entry in entries:
        if entry.kind in TEACHING:
            examples.setdefault(entry.label, []).extend(entry.examples)
    founded = {entry.proposal_id: entry.label for entry in entries if entry.kind is ProposalKind.ANSWER}
    gaps = loop.store.gaps() if founded else {}
    found: dict[str, Learned] = {}
    for proposal in loop.store.proposals() if founded else ():
        label = founded.get(proposal.proposal_id)
        gap = gaps.get(proposal.gap_id)
        if label is not None and gap is not None and gap.kind is GapKind.NEW_NEED:
            placed = known.metric(np.asarray(loop.encoder.encode_deep(examples[label])))
            found[proposal.gap_id] = Learned(label, placed)
    return found


def _encode(loop: Loop, turns: Sequence[FailedTurn]) -> dict[str, Vectors]:
    """Return the vector of each turn, rounded as the store keeps it."""
    texts = list(dict.fromkeys(turn.text for turn in turns))
    if not texts:
        return {}
    rows = np.asarray(loop.encoder.encode_deep(texts)).astype("<f2").astype(np.float32)
    # Copies: a row that stays in the pool would keep the vectors of all that were encoded with it.
    by_text = {text: row.copy() for text, row in zip(texts, rows, strict=True)}
    return {turn.turn_id: by_text[turn.text] for turn in turns}


def standing_needs(loop: Loop, known: Known) -> dict[str, Standing]:
    """Return what new turns may join: the new needs, measured anew where the metric has changed."""
    kept = loop.store.gap_means(known.identity)
    found: dict[str, Standing] = {}
    for gap_id, gap in sorted(loop.store.gaps().items()):
        if gap.kind is not GapKind.NEW_NEED:
            continue
        if gap_id in kept:
            found[gap_id] = Standing(*kept[gap_id])
        elif members := loop.store.gap_vectors(gap_id, REBUILT_FROM):
            found[gap_id] = Standing.of(np.stack(members), known.metric)
        elif turns := loop.store.turns_of_gap(gap_id, newest=REBUILT_FROM):
            # Of an earlier version, or another encoder's.
            found[gap_id] = Standing.of(np.stack(list(_encode(loop, turns).values())), known.metric)
    return found


def _grow(
    loop: Loop,
    turns: Sequence[FailedTurn],
    vectors: Mapping[str, Vectors],
    members: Mapping[str, str],
    standing: Mapping[str, Standing],
    known: Known,
) -> dict[str, Standing]:
    """Return the new means of the gaps that turns joined or founded.

    Only `gaps.max_per_sender` turns of a sender move a mean: nobody can drag a gap away from what others ask.
    """
    of_intents = {gap_id for gap_id, _ in gap_intents(known)}
    joined = [turn for turn in turns if members.get(turn.turn_id, "") and members[turn.turn_id] not in of_intents]
    said = Counter(loop.store.turns_by_sender({members[turn.turn_id] for turn in joined}))
    rows: dict[str, list[Vectors]] = {}
    for turn in sorted(joined, key=lambda turn: (turn.at, turn.turn_id)):
        gap_id = members[turn.turn_id]
        said[gap_id, turn.sender] += 1
        if said[gap_id, turn.sender] <= loop.settings.gaps.max_per_sender:
            rows.setdefault(gap_id, []).append(vectors[turn.turn_id])
    grown = {gap_id: Standing.of(np.stack(found), known.metric) for gap_id, found in rows.items()}
    return {gap_id: mean.joined(standing[gap_id]) if gap_id in standing else mean for gap_id, mean in grown.items()}


def _first_look(
    turns: Sequence[FailedTurn], members: Mapping[str, str], founded: Mapping[str, GapKind], known: Known
) -> list[Gap]:
    """Return the gaps that were founded, still without their figures."""
    first: dict[str, FailedTurn] = {}
    for turn in turns:
        if turn.turn_id in members:
            first.setdefault(members[turn.turn_id], turn)
    intents = dict(gap_intents(known))
    return [
        Gap(
            gap_id=gap_id,
            kind=kind,
            name="",
            intent=intents.get(gap_id),
            priority=Priority.LOW,
            turns=0,
            people=0,
            first_seen=first[gap_id].at,
            last_seen=first[gap_id].at,
        )
        for gap_id, kind in sorted(founded.items())
    ]


def gap_intents(known: Known) -> Iterable[tuple[str, str]]:
    """Yield the ids of the gaps that belong to a known intent, with that intent."""
    for label in sorted(set(known.labels)):
        yield existing_gap_id(label), label
        yield answer_gap_id(label), label


def judge_gaps(loop: Loop, known: Known) -> None:
    """Bring names, figures and priorities of the gaps up to date; reopen those that came back."""
    store, settings = loop.store, loop.settings
    newest = store.newest_turn()
    if newest is None:
        return
    # A clock that went wrong once must not make everything else look old.
    newest = min(newest, loop.now())
    recent, liked = store.recent_people(newest), store.satisfaction()
    costs = {
        "resolved": settings.priority.cost_resolved,
        "abandoned": settings.priority.cost_abandoned,
        "escalated": settings.priority.cost_escalated,
    }
    gaps = store.gaps()
    changed = store.gaps(changed=True)
    fresh = store.gap_figures(sorted(changed), costs)
    updated: list[Gap] = []
    for gap_id, gap in sorted(gaps.items()):
        if gap.kind in UPKEEP_GAPS:
            continue
        figures = fresh.get(gap_id) or _figures_of(gap, gone=gap_id in changed)
        named = replace(gap, name=_name_of(loop, gap, known)) if gap_id in fresh else gap
        judged = judge(
            named,
            figures,
            recent.get(gap_id, (0, 0.0)),
            liked.get(gap.intent or ""),
            settings.priority,
            settings.gaps.min_people,
            newest,
        )
        if judged != gap:
            updated.append(judged)
    store.update_gaps(updated)


def _figures_of(gap: Gap, gone: bool) -> GapFigures:
    """Return a gap's figures as they were; none where its last member is `gone` (a thumb that was taken back)."""
    turns, people = (0, 0) if gone else (gap.turns, gap.people)
    return GapFigures(turns, people, gap.first_seen, gap.last_seen, gap.cost, 0)


def _name_of(loop: Loop, gap: Gap, known: Known) -> str:
    if gap.gap_id == named_gap_id(gap.name):
        return gap.name  # a person has named it
    if gap.kind is GapKind.EXISTING_INTENT:
        return f"variations of {gap.intent}"
    if gap.kind is GapKind.WEAK_ANSWER:
        return f"answer to {gap.intent}"
    # One voice each: what a gap is called is what most people say.
    turns = loop.store.turns_of_gap(gap.gap_id, newest=DESCRIBED, per_sender=1)
    return key_phrase([turn.text for turn in turns], known.texts)
