"""What was made of agents' words to customers, in the learning database: drafted answers, their sources and warnings.

A sentence that agents told others, too, is the shop's and points to nobody. One that they told a single customer goes
with that customer, unless people have approved it: then it stays, and the report names where.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from learning.adapters import schema
from learning.agent_sentences import usable
from learning.model import AGENTS


def sentences(texts: Iterable[str]) -> frozenset[str]:
    """Return the sentences of agents' messages that an answer may be drafted from, without regard to case."""
    return frozenset(sentence.casefold() for text in texts for sentence in usable(text))


def lost_sentences(connection: Connection, told: Collection[str], proposals: Sequence[Any]) -> frozenset[str]:
    """Return those of `told` that a proposal was drafted from and that agents told nobody who is left."""
    used = frozenset(sentence for sentence in told if any(_has(row, sentence) for row in proposals))
    if not used:
        return used
    texts = connection.execute(sa.select(schema.agent_answers.c.text).distinct()).scalars()
    return used - sentences(texts)


def without(proposal: Any, lost: Collection[str], keeps_answer: bool) -> dict[str, Any]:
    """Return the columns of a proposal that change when sentences are lost.

    An answer goes as a whole: what is left of it may not make sense, and mining drafts it anew.
    """
    values: dict[str, Any] = {}
    kept = [source for source in proposal.sources if not _is_lost(source, lost)]
    if len(kept) < len(proposal.sources):
        values["sources"] = kept
    warnings = [text for text in proposal.warnings if not repeats(text, lost)]
    if len(warnings) < len(proposal.warnings):
        values["warnings"] = warnings
    if proposal.answer and not keeps_answer and ("sources" in values or repeats(proposal.answer, lost)):
        values.update(answer=None, drafter="")
    return values


def drafted_answers(proposals: Sequence[Any], lost: Collection[str]) -> dict[str, str]:
    """Return the answers that were drafted from lost sentences, by proposal; tone or a language model changed words."""
    return {
        row.proposal_id: row.answer
        for row in proposals
        if row.answer and any(_is_lost(source, lost) for source in row.sources)
    }


def is_drafted(proposal_id: str, answer: str | None, lost: Collection[str], drafted: Mapping[str, str]) -> bool:
    """Whether an answer, as it stands somewhere, has lost sentences in it."""
    return bool(answer) and (answer == drafted.get(proposal_id) or repeats(str(answer), lost))


def repeats(text: str, lost: Collection[str]) -> bool:
    """Whether a text has a lost sentence in it."""
    return any(sentence in text.casefold() for sentence in lost)


def _is_lost(source: Mapping[str, Any], lost: Collection[str]) -> bool:
    return source["document"] == AGENTS and source["sentence"].casefold() in lost


def _has(proposal: Any, sentence: str) -> bool:
    texts = (proposal.answer or "", *proposal.warnings)
    return any(_is_lost(source, (sentence,)) for source in proposal.sources) or any(
        repeats(text, (sentence,)) for text in texts
    )
