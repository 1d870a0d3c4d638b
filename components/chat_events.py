"""What a channel reads from Rasa's tracker store, and the slots that it sets there by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from rasa.core.tracker_store import SQLTrackerStore
from rasa.shared.core.events import (
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker
from sqlalchemy import func

from components.desk_hold import lost_pause

logger = logging.getLogger(__name__)

CUSTOMER_SLOT = "verified_customer"  # {"id", "name", "email"}
EMAIL_SLOT = "email"
OVERLAP = 200  # rows; on PostgreSQL a smaller id may become visible after a larger one
_SHOWN = (UserUttered, BotUttered, ConversationPaused, ConversationResumed, SessionStarted, Restarted)


async def stored_events(
    agent: Any, conversation_id: str, slots: Iterable[str], this_session_only: bool = False
) -> list[dict[str, Any]]:
    """Read what was said in a conversation, who was in charge, and the values that these slots were set to."""
    store = agent.tracker_store
    retrieve = store.retrieve if this_session_only else store.retrieve_full_tracker
    tracker = cast("DialogueStateTracker | None", await retrieve(conversation_id))
    names = frozenset(slots)
    return [event.as_dict() for event in tracker.events if _is_shown(event, names)] if tracker else []


def _is_shown(event: Event, slots: frozenset[str]) -> bool:
    return event.key in slots if isinstance(event, SlotSet) else isinstance(event, _SHOWN)


async def set_slots(agent: Any, conversation_id: str, values: Mapping[str, Any], repeat: bool = False) -> None:
    """Append slot events to a conversation; the caller holds its lock.

    Args:
        agent: Rasa's agent.
        conversation_id: whose slots.
        values: the slots' names and new values.
        repeat: append what is set already, too: then each event counts.
    """
    tracker = await agent.tracker_store.retrieve(conversation_id)
    new = [SlotSet(key, it) for key, it in values.items() if repeat or tracker.get_slot(key) != it]
    await _append(agent, tracker, new)


async def vouch_for(agent: Any, conversation_id: str, customer: Mapping[str, str | None]) -> None:
    """Set who the customer is, before each message: Rasa forgets slots when it begins a new session.

    The slot has a custom mapping that nothing serves, so that no message, entity or metadata can set it.
    """
    async with agent.lock_store.lock(conversation_id):
        # As Rasa does before a message: where a session is due, it begins here and not right behind the slot.
        tracker = await agent.processor.fetch_tracker_and_update_session(conversation_id)
        pause = lost_pause(tracker.events)  # only here the session before can still be seen
        wanted: dict[str, Any] = {CUSTOMER_SLOT: dict(customer)} if CUSTOMER_SLOT in tracker.slots else {}
        if customer.get("email") and EMAIL_SLOT in tracker.slots and tracker.get_slot(EMAIL_SLOT) is None:
            wanted[EMAIL_SLOT] = customer["email"]  # so that the bot does not ask for what is known
        new = [SlotSet(key, it) for key, it in wanted.items() if tracker.get_slot(key) != it]
        # At once: Rasa's store would repeat the session before if a tracker that holds it were saved again.
        await _append(agent, tracker, [*new, pause] if pause else new)


async def _append(agent: Any, tracker: DialogueStateTracker, events: Sequence[Event]) -> None:
    if not events:
        return
    tracker.model_id = agent.model_id
    for event in events:
        tracker.update(event)
    await agent.tracker_store.save(tracker)


class TrackerWatch:
    """Tells which conversations have new rows, with one small query for all of them.

    It reads as Rasa does, in the event loop: a query by primary key takes less than a change of threads.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._newest: int | None = None
        self._seen: set[int] = set()

    def changed(self, store: Any) -> set[str] | None:
        """Return the conversations with rows since the last call; None where the store cannot tell."""
        sql = sql_store(store)
        if sql is None:
            return None
        rows = sql.SQLEvent
        with sql.session_scope() as session:
            newest = int(session.query(func.max(rows.id)).scalar() or 0)
            if self._newest is not None and newest == self._newest:
                # Late rows below the newest are read with the next one, or found by the streams' own look.
                return set()
            start = newest if self._newest is None else min(self._newest, newest)
            found = session.query(rows.id, rows.sender_id).filter(rows.id > start - OVERLAP).all()
        new = {sender for row_id, sender in found if row_id not in self._seen}
        self._newest, self._seen = newest, {row_id for row_id, _ in found if row_id > newest - OVERLAP}
        return new


def newest_row(store: Any, conversation_id: str) -> int | None:
    """Return the latest row of a conversation, 0 if it has none; None where the store cannot tell."""
    sql = sql_store(store)
    if sql is None:
        return None
    rows = sql.SQLEvent
    with sql.session_scope() as session:
        return int(session.query(func.max(rows.id)).filter(rows.sender_id == conversation_id).scalar() or 0)


def sql_store(store: Any) -> SQLTrackerStore | None:
    """Return the SQL store behind Rasa's wrapper; None for stores of another kind."""
    inner = getattr(store, "_tracker_store", store)
    return inner if isinstance(inner, SQLTrackerStore) else None
