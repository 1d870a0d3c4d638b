"""What people say of single turns: understood rightly or wrongly, what it should have been, and notes.

A turn that a person has checked is ground truth: metrics measure the bot by it. One that was understood wrongly becomes
an example of what it should have been, the way that imported labels go: it joins the gap of that label and the
proposal that waits for it, and is taught when somebody approves that. A text of the hold-out is never made an example,
or the hold-out would no longer measure anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from learning.browsing_records import Annotated, Annotation, TranscriptTurn, Verdict
from learning.errors import NotFound, ReviewError
from learning.label_files import NOTHING
from learning.label_moves import Labelled, Moves
from learning.label_tasks import labels_to_choose
from learning.loop import Loop
from learning.model import CORRECTED, FailedTurn, Signal, content_id
from learning.names import check_name
from learning.regroup import folded
from learning.review import is_unsayable
from learning.texts import plain_text
from learning.transcripts import read

LONGEST_NOTE = 1_000  # characters
JUDGED = (Verdict.RIGHT, Verdict.WRONG)


class AnnotationChanged(ReviewError):
    """Somebody else has annotated the turn since it was seen."""


def annotate(
    loop: Loop,
    conversation_id: str,
    turn_id: str,
    who: str,
    verdict: Verdict,
    right: str = "",
    note: str = "",
    seen: str | None = None,
) -> Annotated:
    """Note what somebody says of a turn; a correction becomes an example that waits for review.

    Args:
        loop: the loop.
        conversation_id: the conversation.
        turn_id: one of its turns.
        who: who says so.
        verdict: right, wrong, or a mere note.
        right: the label that a wrong one should have been understood as; empty where there is none for it.
        note: anything else.
        seen: the turn's mark as it was seen, where somebody looks at it.

    Raises:
        AnnotationChanged: somebody else annotated it since it was `seen`.
        NotFound: the turn is not there, or not any more.
        ReviewError: the label is not known, or is the one that the turn has.

    """
    check_name(who)
    turn = _turn(loop, conversation_id, turn_id)
    note = _checked_note(note)
    right = _checked_label(loop, turn, verdict, right.strip())
    if verdict is Verdict.NOTE and not note:
        raise ReviewError("says nothing", f"note on turn {turn_id}", "write something, or mark it right or wrong")
    if seen is not None and seen != turn.mark:
        raise _changed(turn.annotations)
    at = loop.now()
    annotation = _annotation(turn, conversation_id, who, at, verdict, right, note)
    known = None if seen is None else [one.annotation_id for one in turn.annotations]
    if not loop.store.save_annotation(annotation, known):
        raise _changed(_of_turn(loop, conversation_id, turn_id))
    return _settle(loop, turn, annotation, who)


def annotate_rest(
    loop: Loop, conversation_id: str, who: str, seen: Mapping[str, str] | None = None
) -> tuple[Annotation, ...]:
    """Note that all turns of a conversation were understood rightly of which nobody has said anything.

    Args:
        loop: the loop.
        conversation_id: the conversation.
        who: who says so.
        seen: the marks of turns as they were seen, where somebody looks at them.

    Raises:
        AnnotationChanged: somebody else annotated one of the turns since it was `seen`; nothing was saved.
        NotFound: the conversation is not there, or not any more.

    """
    check_name(who)
    transcript = read(loop, conversation_id)
    if not transcript.turns:
        raise NotFound(transcript.note.rstrip("."), f"conversation {conversation_id[:16]}", "go on to the next one")
    for turn in transcript.turns:
        if seen is not None and seen.get(turn.turn_id, turn.mark) != turn.mark:
            raise _changed(turn.annotations)
    at = loop.now()
    made = []
    for turn in transcript.turns:
        if any(one.verdict in JUDGED for one in turn.annotations):
            continue
        annotation = _annotation(turn, conversation_id, who, at, Verdict.RIGHT, "", "")
        if loop.store.save_annotation(annotation, [one.annotation_id for one in turn.annotations]):
            made.append(annotation)
    return tuple(made)


def undo_annotation(loop: Loop, annotation_id: str, who: str) -> Annotated:
    """Take an annotation back, and the example that it made, as long as that waits.

    Raises:
        NotFound: it was taken back already, or forgotten.

    """
    check_name(who)
    annotation = loop.store.annotation(annotation_id)
    turn = _turn(loop, annotation.conversation_id, annotation.turn_id)
    return _settle(loop, turn, loop.store.undo_annotation(annotation_id, who, loop.now()), who)


def labels(loop: Loop) -> tuple[str, ...]:
    """Return the labels that a turn can be corrected to: what the bot knows, and the questions that are proposed."""
    return tuple(labels_to_choose(loop))


def checked_turns(loop: Loop, since: datetime, until: datetime) -> list[Annotation]:
    """Return what people last said of each turn from `since` to before `until`: right or wrong, by the turn's time."""
    newest: dict[str, Annotation] = {}
    for one in loop.store.annotations_between(since, until):
        if one.verdict in JUDGED:
            newest[one.turn_id] = one
    return list(newest.values())


def checked_in(loop: Loop, conversation_ids: Sequence[str]) -> list[Annotation]:
    """Return what people last said of each turn of these conversations: right or wrong."""
    newest: dict[str, Annotation] = {}
    for conversation_id in conversation_ids:
        newest.update((one.turn_id, one) for one in loop.store.annotations_of(conversation_id) if one.verdict in JUDGED)
    return list(newest.values())


def _turn(loop: Loop, conversation_id: str, turn_id: str) -> TranscriptTurn:
    transcript = read(loop, conversation_id)
    for turn in transcript.turns:
        if turn.turn_id == turn_id:
            return turn
    why = transcript.note.rstrip(".") if transcript.note else "is not in this conversation"
    raise NotFound(why, f"turn {turn_id[:16]}", "reload the conversation")


def _annotation(
    turn: TranscriptTurn, conversation_id: str, who: str, at: datetime, verdict: Verdict, right: str, note: str
) -> Annotation:
    return Annotation(
        annotation_id=content_id("annotation", turn.turn_id, who, at.isoformat(), verdict.value, right, note),
        turn_id=turn.turn_id,
        conversation_id=conversation_id,
        who=who,
        at=at,
        turn_at=turn.at,
        verdict=verdict,
        said=turn.intent,
        right=right,
        note=note,
    )


def _of_turn(loop: Loop, conversation_id: str, turn_id: str) -> list[Annotation]:
    return [one for one in loop.store.annotations_of(conversation_id) if one.turn_id == turn_id]


def _changed(present: Sequence[Annotation]) -> AnnotationChanged:
    last = present[-1] if present else None
    by = f" by {last.who} ({last.verdict.value}) at {last.at:%Y-%m-%d %H:%M} UTC" if last else ", by taking it back"
    return AnnotationChanged(f"was annotated meanwhile{by}", "this turn", "look at it again; nothing was saved")


def _checked_note(note: str) -> str:
    note = note.replace("\r\n", "\n").strip()
    if len(note) > LONGEST_NOTE or any(is_unsayable(char) and char != "\n" for char in note):
        remedy = f"write up to {LONGEST_NOTE} visible characters"
        raise ReviewError("cannot be kept", "the note", remedy)
    return note


def _checked_label(loop: Loop, turn: TranscriptTurn, verdict: Verdict, right: str) -> str:
    if verdict is not Verdict.WRONG or not right:
        return ""
    if right == turn.intent:
        raise ReviewError("is what it was understood as", f"label {right}", "mark the turn as right instead")
    if right not in labels_to_choose(loop):
        raise ReviewError(
            "is not known here", f"label {right[:80]!r}", "choose one of the list, or leave it empty if none fits"
        )
    return right


# --- what a correction sets off -------------------------------------------------------------------


def _settle(loop: Loop, turn: TranscriptTurn, about: Annotation, who: str) -> Annotated:
    """Let the turn be an example of what people now say it is: of nothing, if they say no label."""
    verdicts = [one for one in _of_turn(loop, about.conversation_id, about.turn_id) if one.verdict in JUDGED]
    right = verdicts[-1].right if verdicts else ""
    stored = loop.store.turns_by_id([turn.turn_id]).get(turn.turn_id)
    was_corrected = stored is not None and any(signal.kind == CORRECTED for signal in stored[1].signals)
    if right:
        return _teach(loop, turn, about, right, who)
    if was_corrected and stored is not None:
        gap_id, failed = stored
        _move(loop, failed, gap_id, NOTHING, who)
        loop.store.drop_correction(turn.turn_id)
    return Annotated(about)


def _teach(loop: Loop, turn: TranscriptTurn, about: Annotation, right: str, who: str) -> Annotated:
    words = folded(turn.text)
    if not plain_text(turn.text):
        return Annotated(about, note="It has no words to learn from, so that it makes no example.")
    if words in {folded(example.text) for example in loop.project.holdout()}:
        return Annotated(about, note="The hold-out has the same words, so that it makes no example.")
    item = loop.store.conversation_items([about.conversation_id])[0]
    signal = Signal(CORRECTED, 1.0, f"a person says that it is {right}")
    corrected = FailedTurn(
        turn_id=turn.turn_id,
        conversation_id=about.conversation_id,
        sender=item.sender,
        text=turn.text,
        intent=turn.intent,
        confidence=turn.confidence,
        at=turn.at,
        channel=item.channel,
        weight=1.0,
        signals=(signal,),
    )
    loop.store.save_correction(corrected)
    gap_id, failed = loop.store.turns_by_id([turn.turn_id])[turn.turn_id]
    proposals = _move(loop, failed, gap_id, right, who)
    if proposals:
        return Annotated(about, proposals[-1])
    return Annotated(about, note=f"{right} has it already, or somebody has decided about it: nothing new waits.")


def _move(loop: Loop, turn: FailedTurn, gap_id: str | None, label: str, who: str) -> tuple[str, ...]:
    """Put a turn where its label belongs; return the proposals that have changed, that of the label last."""
    labelled = Labelled(turn, gap_id or "", label, (who,), "the hub")
    moves = Moves(loop, [labelled], who, loop.now())
    if moves.regrouping is not None:
        loop.store.regroup(moves.regrouping, moves.vectors)
    home = [one for one in loop.store.proposals() if one.proposal_id in moves.proposals and one.label == label]
    return tuple(one.proposal_id for one in home)
