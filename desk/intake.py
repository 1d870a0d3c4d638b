"""New events of the tracker store become hand-overs; reading an event again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from desk.desk import Desk
from desk.model import Handover, Mark, Reason, Step, TrackerRow, content_id
from learning.events import clean_text

CHUNK = 5_000  # rows of the tracker store read at a time
IDS = 500  # asked for at once
READ_AGAIN = 86_400.0  # seconds before the last row that was read; the clock may have been set back meanwhile
CLOCKS_APART = 60.0  # seconds by which events may be older than others that were stored before them
CUSTOMER = "customer"
KEPT = "kept"  # metadata of a pause that goes on in a new session (components/desk_hold.py)
SAME_TURN = timedelta(seconds=5)  # between the slot and the pause of one hand-over
LONGEST_FIELD = 64
LONGEST_TOPIC = 255


def read_new(desk: Desk) -> int:
    """Read what is new in the tracker store; return how many hand-overs it brought."""
    if not desk.tracker.exists():
        return 0
    before = desk.store.watermark()
    start = before.row_id if _is_there(desk, before) else _step_back(desk, before)
    rows, last = desk.tracker.new_rows(start, CHUNK)
    added = 0
    for row in rows:
        added += _take_in(desk, row)
    # Only now: killed before this, the same rows are read again, which changes nothing.
    if last != before.row_id or start != before.row_id:
        desk.store.set_watermark(desk.tracker.mark(last) or Mark(last))
    return added


def _is_there(desk: Desk, before: Mark) -> bool:
    if before.row_id == 0:
        return True
    found = desk.tracker.mark(before.row_id)
    return found is not None and before.key in ("", found.key)


def _step_back(desk: Desk, before: Mark) -> int:
    """Return from which row to read again when the last one that was read is gone.

    The store was made anew, or somebody was forgotten who had the newest rows: SQLite gives their ids to the next
    events. What was read of the conversations that are still there is known by their own last row.
    """
    start = desk.tracker.newest_before(before.row_id, before.at - READ_AGAIN)
    read = {row_id: sender for sender, row_id in desk.store.read_rows().items() if row_id > start}
    ids = sorted(read)
    for first in range(0, len(ids), IDS):
        chunk = ids[first : first + IDS]
        present = desk.tracker.senders(chunk, before.at + CLOCKS_APART if before.key else None)
        desk.store.restarted([read[row_id] for row_id in chunk if present.get(row_id) != read[row_id]])
    return start


def _take_in(desk: Desk, row: TrackerRow) -> bool:
    store = desk.store
    known = store.newest_of(row.sender_id)
    if known is not None and row.row_id <= known.read_row:
        return False  # events of one conversation are stored in their order, so this one was read before
    if row.kind == "handover":
        asked = _asked(row)
        return store.add(asked.handover, Step(row.at, CUSTOMER, "asked", asked.handover.reason.value), asked.key)
    is_open = known is not None and known.is_open
    if row.kind == "pause":
        # A project whose own action only pauses the conversation hands over, too.
        desk_says = (row.value or {}).get("desk")
        if desk_says == KEPT:
            # Kept for a person, but here it is settled, or forgotten: what came with it would lie unanswered.
            added = not is_open and _add_plain(desk, row, Reason.WROTE_AGAIN)
        else:
            known_of = is_open or desk_says or (known is not None and abs(row.at - known.asked_at) < SAME_TURN)
            added = not known_of and _add_plain(desk, row, Reason.ASKED)
        store.took_in(row.sender_id, row.row_id, paused=True)
        return added
    if known is None:
        return False
    if row.kind != "user":
        store.took_in(row.sender_id, row.row_id, paused=False)
        return False
    if is_open:
        store.customer_wrote(known.handover_id, row.row_id, row.at)
        return False
    # Closed, and the assistant was still silent when this came in: nobody has answered it.
    is_unread = known.paused and row.row_id > known.seen_row
    added = is_unread and _add_plain(desk, row, Reason.WROTE_AGAIN)
    store.took_in(row.sender_id, row.row_id)
    return added


@dataclass(frozen=True)
class _Asked:
    handover: Handover
    key: str


def _asked(row: TrackerRow) -> _Asked:
    """Read what the action wrote into the slot; what is missing or odd is left out."""
    value = row.value or {}
    key = content_id("asked", row.sender_id, _text(value, "id") or f"{row.at.timestamp()!r}")
    mood = value.get("mood")
    live = value.get("live") is True
    handover = Handover(
        handover_id=key,
        sender_id=row.sender_id,
        reason=Reason.of(value.get("reason")),
        asked_at=row.at,
        row_id=row.row_id,
        live=live,
        channel=_text(value, "channel"),
        topic=clean_text(value.get("topic"))[:LONGEST_TOPIC],
        mood=min(1.0, max(0.0, float(mood))) if isinstance(mood, (int, float)) else 0.0,
        reference=_text(value, "reference"),
        due_at=_due(value.get("due_at")),
        waiting_since=row.at,
        customer_at=row.at,
        read_row=row.row_id,
    )
    return _Asked(handover, key)


def _add_plain(desk: Desk, row: TrackerRow, reason: Reason) -> bool:
    """Add a hand-over that no slot describes: the customer waits for an answer that the assistant does not give."""
    key = content_id(row.kind, row.sender_id, f"{row.at.timestamp()!r}")
    handover = Handover(
        handover_id=key,
        sender_id=row.sender_id,
        reason=reason,
        asked_at=row.at,
        row_id=row.row_id,
        live=True,
        waiting_since=row.at,
        customer_at=row.at,
        customer_row=row.row_id if row.kind == "user" else 0,
        read_row=row.row_id,
    )
    return desk.store.add(handover, Step(row.at, CUSTOMER, "asked", reason.value), key)


def _text(value: Mapping[str, object], name: str) -> str:
    return clean_text(value.get(name))[:LONGEST_FIELD]


def _due(value: object) -> datetime | None:
    try:
        due = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return due if due.tzinfo else due.replace(tzinfo=timezone.utc)
