"""Tracker stores that keep a sender's whole life in one document, read as if they had rows.

MongoDB and Redis number nothing. An event's row id is made from its time here: microseconds since 1970, with ten bits
of the sender's hash below them, and later than the event before it in the document. It says again and again the same
as long as documents only grow, which is how Rasa writes them, and nothing has to be kept beside the store.

What this costs: an event that comes into the store more than `OVERLAP` seconds after it happened (imported
conversations, a worker's clock that is far behind) lies before what was mined, and is not read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Protocol

import numpy as np
import orjson

from learning.events import ACTION, BOT, FORM, LISTEN, SLOT, SLOTS, USER, clean_text, read_event
from learning.model import Event, EventBatch, sender_key

logger = logging.getLogger(__name__)

OVERLAP = 600.0  # seconds before the last event read that are read again: Rasa saves a turn when all of it is done
AHEAD = 86_400.0  # seconds in the future from which a time is an error: it would hide what comes until then
SENDER_BITS = 10  # of a row id: two senders' events of one microsecond differ
MICRO = 1_000_000
DOCUMENTS = 200  # senders asked for at a time
NEVER_AGAIN = 2**62  # later than every row id

Numbered = tuple[int, Any, bool]  # row id, the event as it is stored, and whether its time can be one


class Dialogues(Protocol):
    """A store of whole dialogues. Every method may raise `TrackerStoreError`."""

    def changed(self, since: float) -> Iterator[str]:
        """Yield each sender who may have an event at or after `since` seconds, once."""
        ...

    def load(self, senders: Sequence[str]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Yield the events of each of `senders` that is there, in the order in which Rasa wrote them."""
        ...

    def delete(self, sender: str) -> None:
        """Remove all of a sender."""
        ...


class DocumentTrackerEvents:
    """Reads dialogues as `SqlTrackerEvents` reads rows.

    Args:
        dialogues: the store.
        now: the time; an event from behind tomorrow is corrupt.

    """

    def __init__(self, dialogues: Dialogues, now: Callable[[], datetime]) -> None:
        self._dialogues = dialogues
        self._now = now

    def batches(self, after_id: int, size: int) -> Iterator[EventBatch]:
        """Yield what lies behind `after_id`, and again what is at most `OVERLAP` seconds older, in batches.

        The row ids are read first, eight bytes each, and then the documents of each batch: a store of any size is
        read in the memory that one batch takes.
        """
        since = max(0.0, _seconds_of(after_id) - OVERLAP)
        position = min(after_id, _row_at(since, 0))
        # A worker whose clock is ahead must not hide what the others write until then: it is read again instead.
        latest = _row_at(self._now().timestamp(), 0)
        plan = self._plan(since, position, size)
        for last, senders in plan:
            rows: dict[str, list[Event]] = {}
            corrupt: list[int] = []
            fresh = 0
            for sender, numbered in self._numbered(senders):
                inside = [one for one in numbered if position < one[0] <= last]
                fresh += sum(row > after_id for row, _, _ in inside)
                found = list(_read(inside, corrupt))
                if found:
                    rows[sender] = found
            new_corrupt = tuple(sorted(row for row in corrupt if row > after_id))
            for row in new_corrupt:
                logger.warning("tracker store: event %d is corrupt and is skipped", row)
            yield EventBatch(max(min(last, latest), after_id), fresh, new_corrupt, rows)
            position = last

    def tails(self, starts: Mapping[str, int], before_row: int, limit: int) -> dict[str, list[Event]]:
        """Return up to `limit` events of each sender from its row in `starts` on, those before `before_row`."""
        found: dict[str, list[Event]] = {}
        for sender, numbered in self._numbered(starts):
            inside = [one for one in numbered if starts[sender] <= one[0] < before_row]
            events = list(islice(_read(inside, []), limit))
            if events:
                found[sender] = events
        return found

    def senders_at(self, rows: Sequence[int]) -> dict[int, str]:
        """Return the sender of each of `rows` that is still there; one look at who has been there since then."""
        if not rows:
            return {}
        wanted = set(rows)
        bits = {row % (1 << SENDER_BITS) for row in wanted}
        since = max(0.0, _seconds_of(min(wanted)) - OVERLAP)
        candidates = (sender for sender in self._dialogues.changed(since) if _bits(sender) in bits)
        return {
            row: sender for sender, numbered in self._numbered(candidates) for row, _, _ in numbered if row in wanted
        }

    def raw_events(self, sender_id: str, first: int, last: int, limit: int) -> list[tuple[int, str, Mapping[str, Any]]]:
        """Return up to `limit` events of a sender as they are stored: row id, type and content."""
        found = (
            (row, str(event.get("event") or ""), event)
            for _, numbered in self._numbered([sender_id])
            for row, event, _ in numbered
            if first <= row <= last and isinstance(event, dict)
        )
        return list(islice(found, limit))

    def intent_last_seen(self) -> dict[str, tuple[int, datetime]]:
        """Return for each intent how many messages had it, and when the last came; one pass over the store."""
        counts: dict[str, int] = {}
        last: dict[str, float] = {}
        for _, numbered in self._numbered(self._dialogues.changed(0.0)):
            for row, event, is_sound in numbered:
                if not is_sound or event.get("event") != USER:
                    continue
                intent = _intent(event)
                if intent:
                    counts[intent] = counts.get(intent, 0) + 1
                    last[intent] = max(last.get(intent, 0.0), _seconds_of(row))
        return {
            intent: (count, datetime.fromtimestamp(last[intent], tz=timezone.utc)) for intent, count in counts.items()
        }

    def _plan(self, since: float, position: int, size: int) -> list[tuple[int, list[str]]]:
        """Return the last row of each batch and whose documents have rows in it."""
        rows_of = {
            sender: np.asarray([row for row, _, _ in numbered if row > position], dtype=np.int64)
            for sender, numbered in self._numbered(self._dialogues.changed(since))
        }
        rows_of = {sender: rows for sender, rows in rows_of.items() if len(rows)}
        if not rows_of:
            return []
        every = np.sort(np.concatenate(list(rows_of.values())))
        ends = every[np.minimum(np.arange(size - 1, len(every) + size - 1, size), len(every) - 1)]
        senders: list[list[str]] = [[] for _ in ends]
        for sender, rows in rows_of.items():
            for batch in np.unique(np.searchsorted(ends, rows)):
                senders[batch].append(sender)
        return [(int(last), names) for last, names in zip(ends, senders, strict=True)]

    def _numbered(self, senders: Iterable[str]) -> Iterator[tuple[str, list[Numbered]]]:
        latest = self._now().timestamp() + AHEAD
        waiting = iter(senders)
        while chunk := list(islice(waiting, DOCUMENTS)):
            for sender, events in self._dialogues.load(chunk):
                yield sender, list(_number(sender, events, latest))


class DocumentTrackerEraser:
    """Deletes one sender's document."""

    def __init__(self, dialogues: Dialogues) -> None:
        self._dialogues = dialogues

    def sender_of(self, key: str) -> str | None:
        """Return the sender whose pseudonym is `key`, None if the store has none; one pass over the senders."""
        return next((sender for sender in self._dialogues.changed(0.0) if sender_key(sender) == key), None)

    def count(self, sender_id: str) -> int:
        """Return how many events the sender has."""
        return sum(len(events) for _, events in self._dialogues.load([sender_id]))

    def newest_other(self, sender_id: str) -> int:
        """Return a row id behind all: these are times, and no new event gets that of a deleted one."""
        return NEVER_AGAIN

    def erase(self, sender_id: str) -> int:
        """Delete the sender's document; return how many events it had."""
        removed = self.count(sender_id)
        self._dialogues.delete(sender_id)
        return removed


def _number(sender: str, events: Sequence[Any], latest: float) -> Iterator[Numbered]:
    bits, before = _bits(sender), 0
    for event in events:
        at = event.get("timestamp") if isinstance(event, dict) else None
        is_sound = isinstance(at, (int, float)) and not isinstance(at, bool) and 0.0 <= at <= latest
        before = max(before + 1, round(at * MICRO)) if is_sound and at is not None else before + 1
        yield (before << SENDER_BITS) + bits, event, is_sound


def _read(numbered: Iterable[Numbered], corrupt: list[int]) -> Iterator[Event]:
    """Yield the events that the loop reads; note those that are not what Rasa writes."""
    for row, event, is_sound in numbered:
        try:
            if not is_sound:
                raise ValueError("no time, or none that has been")
            kind, name = clean_text(event.get("event")), clean_text(event.get("name"))
            if not _is_read(kind, name):
                continue
            found = read_event(row, kind, event["timestamp"], name, _as_json(event) if kind != ACTION else None)
        except (ValueError, ArithmeticError, RecursionError, TypeError):
            corrupt.append(row)
            continue
        if found is not None:
            yield found


def _is_read(kind: str, name: str) -> bool:
    """Whether the loop reads such an event; one without a kind is looked at, to be found corrupt."""
    return kind in (USER, BOT, FORM, "") or (kind == ACTION and name != LISTEN) or (kind == SLOT and name in SLOTS)


def _as_json(event: Any) -> str | bytes:
    try:
        return orjson.dumps(event)
    except TypeError:  # half an emoji, or a number beyond 64 bits: Python's own writes it as Rasa's SQL store would
        return json.dumps(event)


def _intent(event: Mapping[str, Any]) -> str:
    parsed = event.get("parse_data")
    intent = parsed.get("intent") if isinstance(parsed, dict) else None
    return clean_text(intent.get("name")) if isinstance(intent, dict) else ""


def _bits(sender: str) -> int:
    return int(sender_key(sender), 16) % (1 << SENDER_BITS)


def _row_at(seconds: float, bits: int) -> int:
    return (round(seconds * MICRO) << SENDER_BITS) + bits


def _seconds_of(row: int) -> float:
    return (row >> SENDER_BITS) / MICRO
