"""Messages that go out to be labelled, each with what the machine makes of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum

from learning.fitting import read_labels
from learning.label_files import Given, Task
from learning.loop import Loop
from learning.model import LIVE, TEACHING, UPKEEP_GAPS, Example, FailedTurn, Proposal, content_id
from learning.priority import gap_order
from learning.regroup import folded
from learning.review import OPEN_STATES

TURN, TRAINED = "turn-", "trained-"  # begin the ids of tasks


class What(str, Enum):
    """What can be labelled: messages that failed, examples that are proposed, or what is trained and live."""

    GAPS = "gaps"
    PROPOSALS = "proposals"
    EXAMPLES = "examples"


def labels_to_choose(loop: Loop) -> list[str]:
    """Return the labels that a message may be given: what the bot knows, and the new questions that are proposed."""
    proposed = {item.label for item in loop.store.proposals() if item.state in OPEN_STATES and item.kind in TEACHING}
    return sorted(read_labels(loop).known | proposed)


def tasks_to_label(loop: Loop, what: What) -> Iterator[Task]:
    """Yield what can be labelled, always in the same order; every text is redacted."""
    if what is What.GAPS:
        return _turn_tasks(loop)
    return _proposal_tasks(loop) if what is What.PROPOSALS else _trained_tasks(loop)


def _turn_tasks(loop: Loop) -> Iterator[Task]:
    known = read_labels(loop).known
    suggested = _open_proposals(loop)
    for gap in sorted(loop.store.gaps().values(), key=gap_order):
        if gap.kind in UPKEEP_GAPS or (gap.handled_at is not None and not gap.is_reopened):
            continue
        proposal = suggested.get(gap.gap_id)
        for turn in loop.store.turns_of_gap(gap.gap_id, after=gap.handled_at):
            suggestion = (proposal.label, proposal.score) if proposal else (gap.intent or "", 0)
            yield _turn_task(turn, f"gap-{gap.gap_id}", known, *suggestion)


def _open_proposals(loop: Loop) -> dict[str, Proposal]:
    """Return the proposal that waits for each gap, those that only rename or retire labels aside."""
    waiting = [item for item in loop.store.proposals() if item.state in OPEN_STATES and item.kind in TEACHING]
    return {item.gap_id: item for item in reversed(waiting)}


def _proposal_tasks(loop: Loop) -> Iterator[Task]:
    known = read_labels(loop).known
    for proposal in sorted(_open_proposals(loop).values(), key=lambda item: (-item.score, item.proposal_id)):
        wanted = {folded(text) for text in proposal.examples}
        for turn in loop.store.turns_of_gap(proposal.gap_id):
            if folded(turn.text) in wanted:
                wanted.discard(folded(turn.text))  # one of those who said it
                yield _turn_task(turn, f"proposal-{proposal.proposal_id}", known, proposal.label, proposal.score)


def _turn_task(turn: FailedTurn, origin: str, known: Collection[str], suggested: str, score: int) -> Task:
    understood = turn.intent in known
    return Task(
        task_id=f"{TURN}{turn.turn_id}",
        origin=origin,
        text=turn.text,
        understood_as=turn.intent if understood else "",
        confidence=turn.confidence if understood else 0.0,
        suggested=suggested,
        score=score,
    )


def _trained_tasks(loop: Loop) -> Iterator[Task]:
    for example in taught_examples(loop):
        origin, labels = f"label-{example.label}", (Given("", example.label),)
        yield Task(task_id=trained_id(example), origin=origin, text=example.text, labels=labels)


def taught_examples(loop: Loop) -> list[Example]:
    """Return the examples of the project and of what is live."""
    live = [entry for entry in loop.store.entries(*LIVE) if entry.kind in TEACHING]
    published = [Example(text, entry.label) for entry in live for text in entry.examples]
    return sorted({*loop.project.examples(), *published}, key=lambda example: (example.label, example.text))


def trained_id(example: Example) -> str:
    """Return the id of the task that a trained example makes."""
    return f"{TRAINED}{content_id(example.label, example.text)}"
