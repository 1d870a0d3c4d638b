"""The last step of mining: what customers wrote becomes searchable, redacted.

It stands behind everything else, since redacting every message takes longer than finding what failed. Each batch is
saved by itself and the conversations know whether they are done: killed anywhere, the next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from learning.conversations import LONGEST_SESSION, build
from learning.loop import Loop
from learning.model import Conversation, sender_key
from learning.ports import TrackerEvents

AT_ONCE = 500  # conversations that are redacted and saved together, about a second's work


def make_searchable(loop: Loop, on_batch: Callable[[int], None] = lambda done: None) -> int:
    """Make the messages of conversations searchable that are not yet, the newest first; return how many it did."""
    loop.store.forgotten_until()  # what is read from here on must not bring back who is forgotten meanwhile
    waiting = loop.store.unsearchable(AT_ONCE)
    tracker = loop.open_tracker() if waiting else None
    done = 0
    while waiting and tracker is not None:
        senders = tracker.senders_at(sorted({first for _, _, first, _ in waiting}))
        read: list[Conversation] = []
        lost: list[tuple[str, int]] = []
        for conversation_id, sender, first, last in waiting:
            sender_id = senders.get(first, "")
            talk = _read(loop, tracker, sender_id, first, last) if sender_key(sender_id) == sender else None
            if talk is None or talk.conversation_id != conversation_id:
                lost.append((conversation_id, last))
            else:
                read.append(talk)
        texts = loop.redactor.redact_conversations([[turn.text for turn in talk.turns] for talk in read])
        done += loop.store.save_texts(list(zip(read, texts, strict=True)), lost)
        on_batch(done)
        before, waiting = waiting, loop.store.unsearchable(AT_ONCE)
        if waiting == before:
            break  # somebody else is writing the same ones; the next run looks again
    return done


def _read(loop: Loop, tracker: TrackerEvents, sender_id: str, first: int, last: int) -> Conversation | None:
    """Return the conversation in rows `first` to `last`, None where they are gone."""
    events = tracker.tails({sender_id: first}, last + 1, LONGEST_SESSION).get(sender_id, [])
    if not events or events[0].row_id != first:
        return None
    talk = build(sender_key(sender_id), events, loop.now(), loop.settings)
    return talk if talk.last_row == last else None
