"""What became of the bot's answers: of all of them in counts, and of each that an entry or an experiment has changed.

An answer did not go well where it was rated down, where the customer's next message in the conversation was not
understood, or where the customer's next step led to a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from learning.events import CHANNEL_LENGTH, SUBJECT_LENGTH
from learning.model import AnswerCounts, Conversation, Exposure


def exposures(conversation: Conversation) -> Iterator[Exposure]:
    """Yield what became of each turn that somebody's entry or experiment has changed, or would have."""
    turns = conversation.turns
    if not any(turn.exposed for turn in turns):  # as in nearly all
        return
    for turn, after in zip_longest(turns, turns[1:]):
        for subject, arm in turn.exposed:
            if len(subject) <= SUBJECT_LENGTH and len(arm) <= CHANNEL_LENGTH:
                yield Exposure(
                    turn_id=turn.turn_id,
                    conversation_id=conversation.conversation_id,
                    sender=conversation.sender,
                    subject=subject,
                    arm=arm,
                    at=turn.at,
                    thumbs_down=turn.rating < 0,
                    fallback_after=after is not None and after.is_fallback,
                    handoff_after=turn.led_to_person,
                )


def answer_counts(conversation: Conversation) -> AnswerCounts:
    """Return how many answers a conversation has (what was not understood has none), and how many did not go well."""
    answered = thumbs_down = fallback_after = handoff_after = 0
    before = None  # the turn before, if it was answered
    for turn in conversation.turns:
        not_understood = turn.is_fallback
        fallback_after += before is not None and not_understood
        if not_understood or not turn.reply:
            before = None
            continue
        before = turn
        answered += 1
        thumbs_down += turn.rating < 0
        handoff_after += turn.led_to_person
    return AnswerCounts(answered, thumbs_down, fallback_after, handoff_after)
