"""The regression set: messages of real conversations that people have confirmed, which no model is ever trained on.

It grows from three places: turns that somebody has checked (right, or what they should have been), messages of a gap
beyond the examples that its approved proposal teaches, and a share of those examples, chosen by a hash of their words,
that training leaves out. The words are redacted and made plain like examples. Whoever is forgotten takes theirs along.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from learning.annotations import checked_turns
from learning.browsing_records import Annotation, Verdict
from learning.conversations import is_command
from learning.errors import EvergreenError
from learning.exams import RegressionCase
from learning.loop import Loop
from learning.model import FALLBACK_INTENT, TEACHING, Entry, FailedTurn, content_id
from learning.regroup import folded
from learning.texts import PLACEHOLDER, plain_text, words_of
from learning.transcripts import read

logger = logging.getLogger(__name__)

VERDICT, EVIDENCE, EXAMPLE = "verdict", "evidence", "example"
FEW_EXAMPLES = 8  # of an entry under which none is held back: each is worth more to the model than to the exam
EVIDENCE_EACH = 10  # messages of one gap: a large one must not be the whole exam
NEW_VERDICTS = 300  # that are read of the tracker store in one go; the next run goes on
BARE_WORDS = 3  # that must be left of a message when what was personal is taken out of it
LONG_AGO = datetime(1970, 1, 2, tzinfo=timezone.utc)


def grow(loop: Loop, live: Sequence[Entry]) -> int:
    """Add what people have confirmed since the last time; return how many cases are new.

    Args:
        loop: the loop.
        live: the entries that everybody gets.

    """
    cases = valid_cases(loop, live)
    # What is not valid any more may be confirmed anew, by somebody else or by another entry.
    known = {case.case_id for case in cases} | loop.store.dropped_cases()
    found = [*_from_entries(loop, live), *_from_verdicts(loop, {case.item for case in cases})]
    counts = Counter(case.label for case in cases)
    new: dict[str, RegressionCase] = {}
    for case in found:
        if case.case_id not in known | new.keys() and counts[case.label] < loop.settings.evaluation.cases_per_label:
            new[case.case_id] = case
            counts[case.label] += 1
    return loop.store.add_regression_cases(list(new.values()))


def valid_cases(loop: Loop, live: Sequence[Entry]) -> list[RegressionCase]:
    """Return the cases whose entry is still live, or whose verdict nobody has changed or taken back."""
    entries = {entry.entry_id for entry in live}
    verdicts = {note.annotation_id for note in checked_turns(loop, LONG_AGO, loop.now())}
    return [
        case for case in loop.store.regression_cases() if case.item in (verdicts if case.source == VERDICT else entries)
    ]


def is_held_back(text: str, share: float) -> bool:
    """Whether an example belongs to the share (0..1) that is held back: the same words always do, or never."""
    return int(content_id("held back", folded(text))[:8], 16) < share * (1 << 32)


def without_cases(entries: Sequence[Entry], cases: Collection[RegressionCase]) -> list[Entry]:
    """Return entries without the examples that models are measured by; one that would be empty stays as it is."""
    texts = {folded(case.text) for case in cases}
    found = []
    for entry in entries:
        kept = tuple(text for text in entry.examples if folded(text) not in texts)
        found.append(replace(entry, examples=kept) if kept and entry.kind in TEACHING else entry)
    return found


def trained_texts(loop: Loop, taught: Iterable[Entry]) -> set[str]:
    """Return what the next model is trained on, folded: the project's own examples and those of entries."""
    own = {folded(example.text) for example in loop.project.own_examples()}
    return own | {folded(text) for entry in taught if entry.kind in TEACHING for text in entry.examples}


def split(
    cases: Sequence[RegressionCase], trained: Collection[str]
) -> tuple[list[RegressionCase], list[RegressionCase]]:
    """Return the cases that nothing is trained on, and those that stand in training data: they measure nothing."""
    clean = [case for case in cases if folded(case.text) not in trained]
    return clean, [case for case in cases if folded(case.text) in trained]


def _from_entries(loop: Loop, live: Sequence[Entry]) -> list[RegressionCase]:
    proposals = {proposal.proposal_id: proposal for proposal in loop.store.proposals()}
    decided = {decision.proposal_id: decision.at for decision in loop.store.decisions()}
    found = []
    for entry in live:
        proposal = proposals.get(entry.proposal_id)
        if entry.kind not in TEACHING or proposal is None:
            continue
        turns = loop.store.turns_of_gap(proposal.gap_id, per_sender=1)
        said = {folded(turn.text): turn for turn in turns}
        found += _held_back(loop, entry, said)
        examples = {folded(text) for text in entry.examples}
        # What came after the decision nobody has looked at.
        seen = [turn for turn in turns if turn.at <= decided.get(entry.proposal_id, LONG_AGO)]
        rest = sorted({folded(turn.text): turn for turn in seen if folded(turn.text) not in examples}.items())
        rest.sort(key=lambda item: content_id("held back", item[0]))
        cases = (_case(turn.text, entry.label, EVIDENCE, entry.entry_id, turn, loop.now()) for _, turn in rest)
        found += [case for case in cases if case][:EVIDENCE_EACH]
    return found


def _held_back(loop: Loop, entry: Entry, said: dict[str, FailedTurn]) -> list[RegressionCase]:
    """Return the examples of an entry that training leaves out; what no customer has said is none of them."""
    if len(entry.examples) < FEW_EXAMPLES:
        return []
    share = loop.settings.evaluation.held_back_share
    chosen = [text for text in entry.examples if is_held_back(text, share) and folded(text) in said]
    most = len(entry.examples) // 2
    cases = (
        _case(text, entry.label, EXAMPLE, entry.entry_id, said[folded(text)], loop.now()) for text in chosen[:most]
    )
    return [case for case in cases if case]


def _from_verdicts(loop: Loop, known: Collection[str]) -> list[RegressionCase]:
    """Return a case for each turn that people have checked and that is not there yet, the newest first."""
    share = loop.settings.evaluation.held_back_share
    notes = [note for note in checked_turns(loop, LONG_AGO, loop.now()) if note.annotation_id not in known]
    notes = [note for note in notes if _label(note) not in ("", FALLBACK_INTENT)]
    # A correction teaches: only a share of them is kept for measuring.
    notes = [note for note in notes if note.verdict is Verdict.RIGHT or is_held_back(note.turn_id, share)]
    notes.sort(key=lambda note: (note.at, note.annotation_id), reverse=True)
    found = []
    for note in notes[:NEW_VERDICTS]:
        try:
            talk = read(loop, note.conversation_id)
        except EvergreenError as error:
            logger.info("conversation %s cannot be read for the regression set: %s", note.conversation_id, error)
            continue
        turn = next((turn for turn in talk.turns if turn.turn_id == note.turn_id), None)
        if turn is None or is_command(turn.text):
            continue
        sender = talk.item.sender
        case = _made(turn.text, _label(note), VERDICT, note.annotation_id, sender, loop.now())
        found += [case] if case else []
    return found


def _label(note: Annotation) -> str:
    return note.said if note.verdict is Verdict.RIGHT else note.right


def _case(text: str, label: str, source: str, item: str, turn: FailedTurn, at: datetime) -> RegressionCase | None:
    return _made(text, label, source, item, turn.sender, at)


def _made(text: str, label: str, source: str, item: str, sender: str, at: datetime) -> RegressionCase | None:
    """Return a case of a redacted message, None where too little is left of it."""
    plain = plain_text(text)
    least = BARE_WORDS if PLACEHOLDER.search(text) else 1
    if len(words_of(plain)) < least:
        return None
    return RegressionCase(content_id("regression", folded(text)), plain, label, source, item, sender, at)
