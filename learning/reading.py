"""New rows of the tracker store become whole conversations, at a cost that does not grow with what was mined.

A batch ends in the middle of many conversations. What is known of those that may go on is kept in memory, up to
`KEPT_EVENTS`; of the others, and of those that an earlier run began, the last session is read again from its first
row, which the caller's store remembers. Nothing older is ever touched.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from learning.conversations import (
    LONGEST_SESSION,
    SESSION_START,
    answer_ids,
    build,
    marked_answer,
    split,
    with_late_marks,
)
from learning.model import ActionEvent, Conversation, Event, EventBatch, SlotEvent, sender_key
from learning.ports import TrackerEvents
from learning.settings import Settings

BATCH = 30_000  # rows: three of each where 10,000 people talk at once, and about 12 MB
KEPT_EVENTS = 100_000  # events of conversations that may go on, about 40 MB
NOBODY: Mapping[str, float] = {}
SENDERS_REREAD = 400  # that one step of `reread` reads

# Rows by the pseudonym of their sender -> first row of the sender's last conversation that began at or before it.
FirstRows = Callable[[Mapping[str, int]], Mapping[str, int]]


@dataclass(frozen=True)
class SenderReading:
    """Every conversation of a sender that has a row at or behind `since_row`: they replace what is stored of those."""

    sender: str
    since_row: int
    conversations: tuple[Conversation, ...]


@dataclass(frozen=True)
class Reading:
    """What a batch of rows up to `last_id` brought: `events` new rows, the `corrupt` ones among them, by sender.

    `restarted` is true where the tracker store's row ids have begun anew: what is stored from before must lose its
    row ids, lest it is replaced.
    """

    last_id: int
    events: int
    corrupt: tuple[int, ...]
    senders: tuple[SenderReading, ...]
    restarted: bool = False

    @property
    def conversations(self) -> tuple[Conversation, ...]:
        """All conversations, in the order of `senders`."""
        return tuple(conversation for sender in self.senders for conversation in sender.conversations)


class Reader:
    """Reads conversations; each reading must be stored before the next is asked for.

    Args:
        tracker: the tracker store.
        first_rows: tells where the conversation began that a row belongs to.
        settings: how conversations are cut and judged.
        now: the time, by which a conversation may still go on.
        forgotten: pseudonyms of erased senders -> seconds since 1970; what happened up to then is not read. It goes
            by time, since a store that is copied or restored numbers its rows anew.

    """

    def __init__(
        self,
        tracker: TrackerEvents,
        first_rows: FirstRows,
        settings: Settings,
        now: datetime,
        forgotten: Mapping[str, float] = NOBODY,
    ) -> None:
        self._tracker = tracker
        self._first_rows = first_rows
        self._settings = settings
        self._now = now
        self._forgotten = forgotten
        self._tails = _Tails()

    def read(self, after_id: int, size: int = BATCH) -> Iterator[Reading]:
        """Yield what came behind row `after_id`, in batches of at most `size` rows."""
        known = after_id
        for batch in self._tracker.batches(after_id, size):
            known = 0 if batch.restarted else known
            senders = [
                self._of_sender(sender_id, [*self._back_to_marked(sender_id, tail, rows), *rows])
                for sender_id, tail in self._with_tails(batch, known)
                for rows in [batch.rows[sender_id]]
            ]
            # Who has only pressed buttons so far has nothing to store.
            kept = tuple(one for one in senders if one.conversations)
            yield Reading(batch.last_id, batch.events, batch.corrupt, kept, batch.restarted)

    def reread(self, first_rows: Sequence[int], up_to: int) -> Iterator[Reading]:
        """Yield anew what begins at `first_rows` and goes up to row `up_to`: time has passed, and ends it."""
        for begin in range(0, len(first_rows), SENDERS_REREAD):
            found = self._tracker.senders_at(first_rows[begin : begin + SENDERS_REREAD])
            starts: dict[str, int] = {}
            for row, sender_id in sorted(found.items()):
                starts.setdefault(sender_id, row)
            # All of it: what follows an open conversation is recent, and is replaced together with it.
            rows = self._tracker.tails(starts, up_to + 1, limit=up_to)
            senders = tuple(self._of_sender(sender_id, events) for sender_id, events in rows.items())
            yield Reading(up_to, 0, (), senders)

    def _with_tails(self, batch: EventBatch, known: int) -> list[tuple[str, Sequence[Event]]]:
        """Return for each sender of a batch the events of the last session before it."""
        tails: dict[str, Sequence[Event]] = {}
        unknown: dict[str, int] = {}
        for sender_id, events in batch.rows.items():
            first = events[0]
            kept = self._tails.pop(sender_id)
            if kept is not None:
                tails[sender_id] = kept
            elif not (first.row_id > known and _starts_session(first)):
                unknown[sender_id] = first.row_id
        tails.update(self._stored_tails(unknown))
        return [(sender_id, tails.get(sender_id, ())) for sender_id in batch.rows]

    def _back_to_marked(self, sender_id: str, tail: Sequence[Event], rows: Sequence[Event]) -> Sequence[Event]:
        """Return `tail`, from further back where an agent has marked an answer of an earlier session."""
        marked = {marked_answer(event) for event in rows if isinstance(event, SlotEvent)} - {""}
        missing = marked - answer_ids([*tail, *rows]) if marked else frozenset()
        if not missing:
            return tail
        before = self._tracker.tails({sender_id: 0}, rows[0].row_id, KEPT_EVENTS).get(sender_id, [])
        if len(before) == KEPT_EVENTS:
            return tail  # no person's conversations: not all was read, so that it cannot be replaced as a whole
        sessions = split(before, self._settings.conversations)
        first = next((one[0].row_id for one in sessions if missing & answer_ids(one)), None)
        return tail if first is None else before[bisect_left(before, first, key=attrgetter("row_id")) :]

    def _stored_tails(self, rows: Mapping[str, int]) -> Mapping[str, list[Event]]:
        """Read the last sessions again that earlier runs, or earlier batches, have stored."""
        if not rows:
            return {}
        keys = {sender_id: sender_key(sender_id) for sender_id in rows}
        stored = self._first_rows({keys[sender_id]: row for sender_id, row in rows.items()})
        starts = {sender_id: stored[key] for sender_id, key in keys.items() if key in stored}
        # A sender has no row between the batch's first one and its own first one.
        return self._tracker.tails(starts, min(rows.values()), LONGEST_SESSION) if starts else {}

    def _of_sender(self, sender_id: str, events: Sequence[Event]) -> SenderReading:
        sender = sender_key(sender_id)
        since_row = events[0].row_id
        if sender in self._forgotten:
            until = self._forgotten[sender]
            events = [event for event in events if event.at > until]
        sessions = with_late_marks(split(events, self._settings.conversations), events)
        built = tuple(build(sender, session, self._now, self._settings) for session in sessions)
        if built:
            begin = bisect_left(events, built[-1].first_row, key=attrgetter("row_id"))
            self._tails.keep(sender_id, events[begin:])
        return SenderReading(sender, since_row, built)


class _Tails:
    """The last sessions of senders, the longest unused leaving first."""

    def __init__(self) -> None:
        self._events: OrderedDict[str, Sequence[Event]] = OrderedDict()
        self._count = 0

    def pop(self, sender_id: str) -> Sequence[Event] | None:
        events = self._events.pop(sender_id, None)
        self._count -= len(events or ())
        return events

    def keep(self, sender_id: str, events: Sequence[Event]) -> None:
        # A session ends after so many events: what follows belongs to the next one, or to none.
        events = events[:LONGEST_SESSION]
        self._events[sender_id] = events
        self._count += len(events)
        while self._count > KEPT_EVENTS:
            _, oldest = self._events.popitem(last=False)
            self._count -= len(oldest)


def _starts_session(event: Event) -> bool:
    return isinstance(event, ActionEvent) and event.name == SESSION_START
