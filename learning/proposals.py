"""Each gap becomes a proposal: examples of a known intent, or a new question with a drafted answer and a score.

Answers are extractive: sentences of the knowledge articles, each with its source. Where nothing fits the
answer stays empty and a person writes it; a guess would cost more trust than it saves time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from learning.model import (
    LEARNED_INTENT,
    FailedTurn,
    Gap,
    GapKind,
    Proposal,
    ProposalKind,
    ProposalState,
    ScorePart,
    Source,
    content_id,
)
from learning.ports import Encoder
from learning.settings import ProposalSettings
from learning.texts import PLACEHOLDER, medoids, name_of, plain_text, words_of
from learning.vectors import Vectors

ANSWER_SENTENCES = 2  # a chat answer longer than this is not read
LEAD_BONUS = 0.15  # cosine by which an article's first sentence is preferred
MIN_EXAMPLES = 3


@dataclass(frozen=True)
class Article:
    """A knowledge article: its name, and its sentences with (n, d) vectors."""

    name: str
    sentences: tuple[str, ...]
    vectors: Vectors


def read_article(name: str, text: str, encoder: Encoder) -> Article:
    """Split a Markdown article into plain sentences; front matter, headings and list marks are left out."""
    body = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    paragraphs = [
        re.sub(r"^[\s>*+-]+", "", line).replace("**", "").strip()
        for line in body.splitlines()
        if line.strip() and not line.startswith("#")
    ]
    joined = " ".join(paragraphs)
    sentences = tuple(part.strip() for part in re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", joined) if len(part) > 15)
    return Article(name, sentences, encoder.encode(sentences))


def propose(
    gap: Gap,
    turns: Sequence[FailedTurn],
    articles: Sequence[Article],
    encoder: Encoder,
    settings: ProposalSettings,
    now: datetime,
) -> Proposal | None:
    """Return the proposal for a gap, None where its texts hold too little to learn from."""
    texts = _usable_texts(turns)
    if (len(texts) < MIN_EXAMPLES and gap.kind is GapKind.NEW_NEED) or not texts:
        return None
    vectors = encoder.encode(texts)
    examples = tuple(medoids(texts, vectors, settings.max_examples))
    is_new = gap.kind is GapKind.NEW_NEED
    sources = _find_sources(vectors, articles, settings.source_similarity) if is_new else ()
    parts = _score_parts(gap, vectors, turns, sources)
    return Proposal(
        proposal_id=content_id("proposal", gap.gap_id),
        gap_id=gap.gap_id,
        kind=ProposalKind.ANSWER if is_new else ProposalKind.EXAMPLES,
        label=learned_label(gap.name) if is_new else str(gap.intent),
        examples=examples,
        answer=" ".join(source.sentence for source in sources) or None,
        sources=sources,
        score=round(100 * sum(part.value * part.share for part in parts)),
        score_parts=parts,
        people=gap.people,
        turns=len(turns),
        state=ProposalState.PENDING,
        created_at=now,
    )


def learned_label(name: str) -> str:
    """Return the full retrieval key of a new question, `learned/loyalty_points`."""
    return f"{LEARNED_INTENT}/{name_of(name) or 'question'}"


def _usable_texts(turns: Sequence[FailedTurn]) -> list[str]:
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


def _find_sources(vectors: Vectors, articles: Sequence[Article], least: float) -> tuple[Source, ...]:
    """Return the sentences of the best article that answer the gap's questions, in reading order."""
    nearest = [(article.vectors @ vectors.T).mean(axis=1) if article.sentences else np.zeros(1) for article in articles]
    if not nearest:
        return ()
    place = max(range(len(articles)), key=lambda number: float(nearest[number].max()))
    chosen, similarity = articles[place], nearest[place]
    fitting = [row for row in range(len(chosen.sentences)) if similarity[row] >= least]
    # An article says first what it is about: alone, the likeliest sentence is often a detail without its subject.
    fitting.sort(key=lambda row: (-similarity[row] - (LEAD_BONUS if row == 0 else 0.0), row))
    return tuple(
        Source(chosen.name, chosen.sentences[row], round(float(similarity[row]), 3))
        for row in sorted(fitting[:ANSWER_SENTENCES])
    )


def _score_parts(
    gap: Gap, vectors: Vectors, turns: Sequence[FailedTurn], sources: Sequence[Source]
) -> tuple[ScorePart, ...]:
    """Return the terms of the score; a prior by hand until there are decisions to calibrate it on."""
    centre = vectors.mean(axis=0)
    cohesion = float(np.clip(np.linalg.norm(centre), 0, 1))
    spread = min(gap.people / 10, 1.0)
    surety = float(np.mean([min(turn.weight, 1.0) for turn in turns]))
    support = min(max((source.similarity for source in sources), default=0.0) / 0.7, 1.0)
    if gap.kind is GapKind.EXISTING_INTENT:
        support = 1.0  # the answer exists already
    return (
        ScorePart("messages agree", round(cohesion, 3), 0.35),
        ScorePart("different people", round(spread, 3), 0.2),
        ScorePart("surely a failure", round(surety, 3), 0.15),
        ScorePart("answer is supported", round(support, 3), 0.3),
    )
