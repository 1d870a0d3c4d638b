"""What customers think of an answer, as events of the tracker: the same for every channel.

A thumb is the slot `last_feedback`, `{"message_id", "value": "up" | "down", "comment"}`, a mark for the conversation
is the slot `csat`, 1 to 5. Mining reads both from the events, so that each one counts, not only the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.chat_events import set_slots, stored_events
from webchat.state import CSAT_SLOT
from webchat.transcript import FEEDBACK_SLOT, transcript

COMMAND = "/feedback"  # what a button of any channel may send
MAX_COMMENT_CHARS = 500  # a few sentences on what was wrong
WORST, BEST = 1, 5
THUMBS = ("up", "down")


class FeedbackError(ValueError):
    """Feedback that cannot be used; the text says why, without anything the customer wrote."""


class AnswerNotFound(LookupError):
    """The rated answer is not part of the conversation."""


@dataclass(frozen=True)
class Thumb:
    """What a customer thinks of one answer; of the latest if it is not named."""

    value: str
    message_id: str | None = None
    comment: str | None = None


def read_thumb(given: Mapping[str, Any]) -> Thumb:
    """Return the thumb that a request or a button describes.

    Raises:
        FeedbackError: the value is no thumb, or the comment is too long.
    """
    value, message_id, comment = given.get("value"), given.get("message_id"), given.get("comment") or None
    if value not in THUMBS:
        raise FeedbackError("value must be 'up' or 'down'")
    if comment is not None and not isinstance(comment, str):
        raise FeedbackError("the comment is no text")
    if comment is not None and len(comment.strip()) > MAX_COMMENT_CHARS:
        raise FeedbackError(f"the comment has more than {MAX_COMMENT_CHARS} characters")
    if message_id is not None and not isinstance(message_id, str):
        raise FeedbackError("message_id is no text")
    return Thumb(str(value), message_id, comment.strip() or None if comment else None)


def read_mark(value: object) -> int:
    """Return a mark from 1 to 5.

    Raises:
        FeedbackError: it is none.
    """
    if type(value) is not int or not WORST <= value <= BEST:
        raise FeedbackError(f"mark must be a whole number from {WORST} to {BEST}")
    return value


def read_command(text: str | None) -> Thumb | int | None:
    """Return the thumb or the mark in `/feedback{"value": "up"}` or `/feedback{"mark": 4}`; None for any other text.

    Raises:
        FeedbackError: it begins like feedback but is none.
    """
    text = (text or "").strip()
    if not text.startswith(COMMAND):
        return None
    rest = text[len(COMMAND) :].strip()
    if rest and not rest.startswith("{"):
        return None  # another command, such as /feedback_form
    try:
        given = json.loads(rest or "{}")
    except (ValueError, RecursionError):
        raise FeedbackError('it must look like /feedback{"value": "up"}') from None
    return read_mark(given["mark"]) if "mark" in given else read_thumb(given)


async def record_thumb(agent: Any, conversation_id: str, thumb: Thumb) -> None:
    """Append a thumb to the conversation; the same one again changes nothing.

    Raises:
        AnswerNotFound: the conversation has no such answer.
        LockError: the conversation is busy for too long.
    """
    # The same lock that Rasa holds while it answers: neither can overwrite the other's events.
    async with agent.lock_store.lock(conversation_id):
        said = transcript(await stored_events(agent, conversation_id, (FEEDBACK_SLOT,)))
        # What a person wrote, or the desk by itself, says nothing about the assistant.
        answers = [message.id for message in said if message.role == "bot" and not (message.agent or message.note)]
        wanted = thumb.message_id or (answers[-1] if answers else None)
        if wanted not in answers:
            raise AnswerNotFound(conversation_id)
        given = {"message_id": wanted, "value": thumb.value, "comment": thumb.comment}
        await set_slots(agent, conversation_id, {FEEDBACK_SLOT: given})


async def record_mark(agent: Any, conversation_id: str, mark: int) -> None:
    """Append a mark for the conversation so far.

    Raises:
        AnswerNotFound: nothing was said yet.
        LockError: the conversation is busy for too long.
    """
    async with agent.lock_store.lock(conversation_id):
        if not transcript(await stored_events(agent, conversation_id, ())):
            raise AnswerNotFound(conversation_id)
        await set_slots(agent, conversation_id, {CSAT_SLOT: mark}, repeat=True)


async def record(agent: Any, conversation_id: str, feedback: Thumb | int) -> None:
    """Append a thumb or a mark; see `record_thumb` and `record_mark`."""
    if isinstance(feedback, Thumb):
        await record_thumb(agent, conversation_id, feedback)
    else:
        await record_mark(agent, conversation_id, feedback)
