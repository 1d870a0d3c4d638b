"""Each gap becomes a proposal: examples of a known intent, a new question with an answer, or a better answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from learning.model import (
    ANSWERING,
    LEARNED_INTENT,
    TEACHING,
    Answer,
    Draft,
    FailedTurn,
    Gap,
    GapKind,
    Proposal,
    ProposalKind,
    ProposalState,
    content_id,
)
from learning.ports import Encoder
from learning.settings import ProposalSettings
from learning.texts import PLACEHOLDER, medoids, name_of, plain_text, words_of

MIN_EXAMPLES = 3
TYPICAL = 10  # messages that show what a kind without examples is about
KIND_FOR = {
    GapKind.NEW_NEED: ProposalKind.ANSWER,
    GapKind.EXISTING_INTENT: ProposalKind.EXAMPLES,
    GapKind.WEAK_ANSWER: ProposalKind.REWORD,
}


def propose(
    gap: Gap,
    turns: Sequence[FailedTurn],
    draft: Draft,
    encoder: Encoder,
    settings: ProposalSettings,
    now: datetime,
    current: Answer | None = None,
) -> Proposal | None:
    """Return the proposal for a gap, None where its texts hold too little to learn from; it has no score yet.

    Args:
        gap: a new need, a variation of an intent that exists, or an answer that does not help.
        turns: its failed turns.
        draft: the answer to a new need, or the better one.
        encoder: places the texts.
        settings: how many examples there may be.
        now: when it is made.
        current: what a weak answer says now; without one response there is nothing to reword.

    """
    texts = usable_texts(turns)
    kind = KIND_FOR[gap.kind]
    if not texts or (len(texts) < MIN_EXAMPLES and kind is ProposalKind.ANSWER):
        return None
    if kind is ProposalKind.REWORD and current is None:
        return None
    draft = draft if kind in ANSWERING else Draft(drafter="")
    most = settings.max_examples if kind in TEACHING else TYPICAL
    return Proposal(
        proposal_id=content_id("proposal", gap.gap_id),
        gap_id=gap.gap_id,
        kind=kind,
        label=learned_label(gap.name) if kind is ProposalKind.ANSWER else str(gap.intent),
        examples=tuple(medoids(texts, encoder.encode(texts), most)),
        answer=draft.answer,
        sources=draft.sources,
        score=0,
        score_parts=(),
        people=gap.people,
        turns=gap.turns,
        state=ProposalState.PENDING,
        created_at=now,
        target=current.response if current and kind is ProposalKind.REWORD else None,
        drafter=draft.drafter if draft.answer else "",
        warnings=draft.warnings,
    )


def learned_label(name: str) -> str:
    """Return the full retrieval key of a new question, `learned/loyalty_points`."""
    return f"{LEARNED_INTENT}/{name_of(name) or 'question'}"


def usable_texts(turns: Sequence[FailedTurn]) -> list[str]:
    """Return distinct texts in order, those with placeholders last and only if there is little else."""
    clean: dict[str, str] = {}
    masked: dict[str, str] = {}
    for turn in turns:
        plain = plain_text(turn.text)
        if words_of(plain):
            (masked if PLACEHOLDER.search(turn.text) else clean).setdefault(plain.casefold(), plain)
    texts = list(clean.values())
    if len(texts) < MIN_EXAMPLES:
        texts += [text for key, text in masked.items() if key not in clean]
    return texts
