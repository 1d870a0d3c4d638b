"""Forgetting a person: everything the loop keeps of a sender goes, and so does what was made of it.

Afterwards the loop knows two things: the pseudonym, and until when nothing of it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from learning.candidates import forget_old_candidates
from learning.errors import EvergreenError, NotFound
from learning.loop import Loop
from learning.model import Erased, UserEvent, sender_key
from learning.names import check_name
from learning.pipeline import write_branch
from learning.ports import DeskEraser, TrackerEraser
from learning.texts import clean_example, key_phrase

LAST_ROW = 2**62
LONGEST_LIFE = 100_000  # events of one sender that are looked through for words, about 40 MB
TICK = timedelta(milliseconds=1)  # the database keeps a time a little less exactly than an event
KEY_LENGTH = 16


@dataclass(frozen=True)
class Forgotten:
    """What forgetting a sender removed, or with `dry_run` would remove, and what it cannot reach.

    `tracker_events` is None where Rasa's own store was to be left alone, `handovers` where there is no desk.
    `in_files` are labels under which the project's training data has the same texts. `compacted` says whether no byte
    is left in the database's files.
    """

    erased: Erased
    until: datetime
    dry_run: bool
    tracker_events: int | None
    handovers: int | None
    in_files: tuple[str, ...]
    compacted: bool
    commit: str | None
    problems: tuple[str, ...]
    out_of_reach: tuple[str, ...]


def no_desk() -> DeskEraser | None:
    """Open nothing: for projects without a desk."""
    return None


def forget(
    loop: Loop,
    open_eraser: Callable[[], TrackerEraser],
    who: str,
    sender_id: str | None = None,
    key: str | None = None,
    from_tracker: bool = False,
    dry_run: bool = False,
    open_desk: Callable[[], DeskEraser | None] = no_desk,
) -> Forgotten:
    """Remove a sender from the learning database, from what is live and from the review branch.

    Args:
        loop: the learning loop.
        open_eraser: opens the tracker store for deletion.
        who: who asks for it.
        sender_id: the sender as the tracker store names it, or None where `key` tells the pseudonym.
        key: the pseudonym.
        from_tracker: delete the sender's events from Rasa's tracker store, too.
        dry_run: change nothing, and only say what would go.
        open_desk: opens the desk's database for deletion, None where there is none.

    Raises:
        NotFound: neither a sender nor a pseudonym was told.
        TrackerStoreError: events are to be deleted from a tracker store that cannot be opened.

    """
    check_name(who)
    problems: list[str] = []
    if sender_id is None:
        if key is None or len(key) != KEY_LENGTH:
            raise NotFound("is no sender", f"key {key!r}", "give a SENDER, or all 16 digits of a --key")
        sender_id = _sender_of(key, open_eraser, from_tracker, problems)
    else:
        key = sender_key(sender_id)
    said, newest = _said_by(loop, sender_id, from_tracker, problems)
    until = max(loop.now(), newest + TICK) if newest else loop.now()
    # What is deleted behind the last row that was read must not make new rows look like old ones.
    eraser = open_eraser() if from_tracker and sender_id is not None else None
    examples = loop.project.examples()
    background = [example.text for example in examples]
    erased = loop.store.erase(
        sender=key,
        said=said,
        describe=lambda texts: key_phrase(texts, background),
        until=until,
        who=who,
        at=loop.now(),
        newest_other=eraser.newest_other(sender_id) if eraser and sender_id is not None else None,
        dry_run=dry_run,
    )
    events = 0 if from_tracker else None
    if eraser and sender_id is not None:
        events = eraser.count(sender_id) if dry_run else eraser.erase(sender_id)
    handovers = _at_the_desk(open_desk, key, from_tracker, dry_run, problems)
    commit, compacted = None, False
    if not dry_run:
        compacted = loop.store.compact()
        commit = _update_branch(loop, erased, problems)
        if erased.entries:
            # Models that do not run are made anew of what is left; a training at work fails, and so it must.
            forget_old_candidates(loop, keep=0)
    dropped = set(erased.texts)
    in_files = sorted({example.label for example in examples if clean_example(example.text).casefold() in dropped})
    return Forgotten(
        erased=erased,
        until=until,
        dry_run=dry_run,
        tracker_events=events,
        handovers=handovers,
        in_files=tuple(in_files),
        compacted=compacted,
        commit=commit,
        problems=tuple(problems),
        out_of_reach=tuple(_out_of_reach(loop, erased, from_tracker, in_files)),
    )


def _sender_of(key: str, open_eraser: Callable[[], TrackerEraser], needed: bool, problems: list[str]) -> str | None:
    """Look up who has a pseudonym; only the tracker store knows."""
    try:
        return open_eraser().sender_of(key)
    except EvergreenError as error:
        if needed:
            raise
        problems.append(str(error))
        return None


def _said_by(loop: Loop, sender_id: str | None, needed: bool, problems: list[str]) -> tuple[set[str], datetime | None]:
    """Return every text of a sender, as it was said and redacted, and when the last event was.

    The learning database keeps only some turns; what was made of the others is found by what was said.
    """
    if sender_id is None:
        return set(), None
    try:
        events = loop.open_tracker().tails({sender_id: 0}, LAST_ROW, LONGEST_LIFE).get(sender_id, [])
    except EvergreenError as error:
        if needed:
            raise
        problems.append(str(error))
        return set(), None
    texts = list(dict.fromkeys(event.text for event in events if isinstance(event, UserEvent) and event.text))
    newest = max((event.at for event in events), default=None)
    redacted: list[str] = []
    try:
        redacted = loop.redactor.redact_conversations([texts])[0] if texts else []
    except EvergreenError as error:  # what was stored is known without it
        problems.append(str(error))
    return {*texts, *redacted}, None if newest is None else datetime.fromtimestamp(newest, tz=timezone.utc)


def _at_the_desk(
    open_desk: Callable[[], DeskEraser | None], key: str, from_tracker: bool, dry_run: bool, problems: list[str]
) -> int | None:
    """Delete or count the hand-overs of a sender; None where there is no desk, or it cannot be asked."""
    try:
        desk = open_desk()
        if desk is None:
            return None
        if not from_tracker and desk.is_open(key):
            problems.append(
                "The customer is at the desk now, and nothing was deleted there: close the chat and forget again."
            )
            return 0
        return desk.count(key) if dry_run else desk.erase(key)
    except EvergreenError as error:
        problems.append(str(error))
        return None


def _update_branch(loop: Loop, erased: Erased, problems: list[str]) -> str | None:
    """Bring the review branch up to date; what is live has changed already."""
    if not erased.entries:
        return None
    try:
        return write_branch(loop)
    except EvergreenError as error:
        problems.append(str(error))
        return None


def _out_of_reach(loop: Loop, erased: Erased, from_tracker: bool, in_files: Sequence[str]) -> list[str]:
    """Return what erasure has no hands for, a sentence each, with what to do about it."""
    found: list[str] = []
    if not from_tracker:
        found.append("Rasa's own tracker store still has the conversations: add --tracker to delete them there.")
    if in_files:
        found.append(f"The training data has the same words under {', '.join(in_files)}: take them out by hand.")
    if erased.entries:
        found.append(
            f"Earlier commits of {loop.settings.review.branch} hold what was dropped; so does what was merged from it."
        )
        found.append("A model trained since it went live may know it: `python -m learning retrain` makes one without.")
    if erased.named:
        found.append(
            f"The names or answers of {', '.join(erased.named)} hold a word that only this person used, or a sentence"
            " that agents told only this person: `python -m learning review undo` takes them back."
        )
    found.append("Backups, logs of other systems, and what staff typed themselves (reasons, answers) are not touched.")
    return found
