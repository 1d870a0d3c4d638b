"""A conversation that people at the desk have open stays theirs when Rasa begins a new session.

Rasa counts an hour from the customer's last message, and a new session ends the pause. A person's answer may well come
later than that, and what the customer then writes is meant for the person.
"""

from __future__ import annotations

from collections.abc import Iterable

from rasa.shared.core.events import (
    BotUttered,
    ConversationPaused,
    ConversationResumed,
    Event,
    Restarted,
    SessionStarted,
    SlotSet,
)

HANDOVER_SLOT = "handover"
DESK = "desk"  # metadata of what the desk has put into a conversation
KEPT = "kept"  # its value in the pause that goes on in a new session


def lost_pause(events: Iterable[Event]) -> ConversationPaused | None:
    """Return the pause that has to be made again, as a session began while a person had the conversation.

    A pause that nobody at the desk knows of ends with its session, as ever.
    """
    is_paused = is_theirs = is_lost = False
    name = ""
    for event in events:
        if isinstance(event, (ConversationResumed, Restarted)):
            is_paused = is_theirs = is_lost = False
            name = ""
        elif isinstance(event, SessionStarted):
            is_lost = is_lost or (is_paused and is_theirs)
            is_paused = False
        elif isinstance(event, SlotSet) and event.key == HANDOVER_SLOT:
            is_theirs = is_theirs or (isinstance(event.value, dict) and event.value.get("live") is True)
        elif isinstance(event, (ConversationPaused, BotUttered)):
            is_theirs = is_theirs or bool(event.metadata.get(DESK))
            name = str(event.metadata.get("agent") or event.metadata.get("by") or name)
            if isinstance(event, ConversationPaused):
                is_paused, is_lost = True, False
    if not is_lost:
        return None
    return ConversationPaused(metadata={DESK: KEPT, **({"by": name} if name else {})})
