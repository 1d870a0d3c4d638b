"""What the bot answers to each label at this moment: its own responses, and what went live over them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from learning.loop import Loop
from learning.model import Answer, Entry, ProposalKind, ProposalState


def current_answers(loop: Loop) -> dict[str, Answer]:
    """Return the answer of each label that has one: the project's, then live and absorbed entries over them."""
    return answers_over(loop.project.answers(), loop.store.entries(ProposalState.PUBLISHED, ProposalState.ABSORBED))


def answers_over(answers: Iterable[Answer], entries: Iterable[Entry]) -> dict[str, Answer]:
    """Return the answer of each label, with `entries` over the project's own `answers`."""
    found = {answer.label: answer for answer in answers}
    for entry in entries:
        if entry.kind is ProposalKind.ANSWER and entry.answer:
            found[entry.label] = Answer(entry.label, f"utter_{entry.label}", entry.answer)
        elif entry.kind is ProposalKind.REWORD and entry.answer and entry.label in found:
            found[entry.label] = replace(found[entry.label], text=entry.answer)
        elif entry.kind is ProposalKind.RETIRE:
            found.pop(entry.label, None)
        elif entry.kind is ProposalKind.MERGE and entry.target in found and entry.label in found:
            found[entry.target] = replace(found[entry.label], label=entry.target)
    return found
