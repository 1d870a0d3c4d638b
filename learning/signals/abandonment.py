"""The customer left right after an answer that was doubtful, or without answering the bot's question."""

from __future__ import annotations

from collections.abc import Iterator

from learning.model import Conversation, Finding, Outcome
from learning.settings import SignalSettings

# By the reason that `conversations.judge` gives. None was fitted to data: each says how much is known besides.
WEIGHTS = {
    "not_understood": 0.5,  # the fallback says the same already; who leaves over it minds it more
    "doubtful_answer": 0.4,  # with the doubt itself (0.3 to 0.5) it just counts as failed
    "rated_down": 0.3,  # the rating counts fully; leaving adds little
    "unanswered_question": 0.3,  # many only go to look for their order number
}  # `service_failed` is no fault of the answer


def detect(conversation: Conversation, settings: SignalSettings) -> Iterator[Finding]:
    """Find the last turn of conversations that were abandoned."""
    if conversation.outcome is Outcome.ABANDONED and conversation.reason in WEIGHTS:
        reason = conversation.reason.replace("_", " ")
        yield Finding(conversation.turns[-1], WEIGHTS[conversation.reason], f"left after it: {reason}")
