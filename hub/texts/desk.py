"""Every string of the pages: the human agents' inbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

TITLE = "Desk"
INTRO = "Chats that the assistant handed to a person. The longest waiting comes first."
ON_DUTY = "You are on duty: customers who ask for a person are told that somebody comes."
ON_DUTY_CLOSED = "You are on duty, outside of opening hours: customers are told that somebody comes once they begin."
OFF_DUTY = "You are off duty."
NOBODY_ON_DUTY = "Nobody is on duty: customers who ask for a person are promised an answer by {due}."
CLOSED_NOW = "Outside of opening hours (next: {opens}). Customers are promised an answer by {due}."
GO_ON_DUTY = "Go on duty"
GO_OFF_DUTY = "Go off duty"
THERE = "On duty: {names}"
NO_WORKER = "The desk is not running: no new chats arrive, and answers stay here. Start it with `python -m desk serve`."
WAITING = "Waiting"
MINE = "Yours"
OTHERS = "With colleagues"
CLOSED = "Closed last"
NOTHING_WAITS = "Nobody waits."
CUSTOMER_OF = "Customer {name}"
UNREAD = "new message"
OVERDUE = "overdue"
DUE = "Promised by {due}"
LIVE = "waits in the chat"
TICKET = "promised an answer"
FRUSTRATED = "frustrated"
WAITS = "Waiting"
WITH = "With"
CLOSED_BY = "{state} by {who}"
TAKE = "Take"
LEFT_BY = "{who} is no longer at the desk"
RELEASE = "Back into the queue"
TRANSFER = "Hand to"
TRANSFER_SUMMARY = "Hand to a colleague"
NO_COLLEAGUES = "No colleague is on duty now."
RESOLVE = "Resolve"
RETURN = "Back to the assistant"
FINISH = "Finish"
RESOLVE_HINT = "Resolve when all is done; give it back when the assistant should go on. Either way it answers again."
NOTE = "What was settled"
NOTE_HINT = "Optional. Colleagues and the assistant see it, the customer does not."
REPLY = "Your answer to the customer"
REPLY_HINT = "Ctrl+Enter sends. Type / and the key of a ready answer, then Tab, to insert it."
SEND = "Send"
CANNED = "Ready answers"
CANNED_FIND = "Find a ready answer"
INSERT = "Insert"
TRANSCRIPT = "Conversation"
CUT = "Earlier messages are not shown."
NO_LINES = "The tracker store no longer has this conversation."
PENDING = "on its way"
PENDING_PROBLEM = "not there yet: {problem}. It is tried again by itself (attempt {attempts})."
FAILED = "could not be delivered: {problem}."
TEACH = "The assistant should have said this"
TAUGHT = "Marked: the assistant should have said this"
UNTEACH = "Take the mark back"
CARD = "What the assistant knows"
CARD_INTRO = "As the customer told it, which proves nothing:"
VERIFIED = "signed in at the shop"
NO_SLOTS = "Nothing."
EARLIER = "Earlier hand-overs"
NO_EARLIER = "This is the first."
HISTORY = "What happened here"
REASON = "Why"
TOPIC = "About"
REFERENCE = "Ticket"
CHANNEL = "Channel"
MOOD = "Mood"
MOODS = ("calm", "annoyed", "frustrated")
ASKED_AT = "Asked"
FIRST_ANSWER = "First answer"
SILENT = "The assistant is silent."
ANSWERS = "The assistant answers in this chat at the moment."
REST_HINT = "This customer uses the plain REST channel, which shows nothing until they write again."
WHO_CUSTOMER = "Customer"
WHO_ASSISTANT = "Assistant"
WHO_DESK = "Desk"
BUTTON_PRESSED = "pressed a button: {what}"
BACK = "Back to the desk"
EVENTS: Mapping[str, str] = {
    "paused": "The assistant fell silent.",
    "resumed": "The assistant answers again.",
    "session": "A new session began.",
}
REASONS: Mapping[str, str] = {
    "asked": "asked for a person",
    "not_understood": "not understood twice",
    "frustrated": "frustrated",
    "excluded_topic": "a topic for people",
    "service_failed": "our systems failed",
    "low_confidence": "too many guesses",
    "offered": "accepted the offer",
    "wrote_again": "wrote after it was closed",
}
STATES: Mapping[str, str] = {
    "waiting": "waiting",
    "taken": "taken",
    "resolved": "resolved",
    "returned": "given back to the assistant",
}
STEPS: Mapping[str, str] = {
    "asked": "asked for a person",
    "taken": "took it",
    "released": "put it back into the queue",
    "transferred": "handed it to",
    "answered": "answered for the first time",
    "resolved": "resolved it",
    "returned": "gave it back to the assistant",
    "away": "nobody came: the assistant is back with a promise",
    "mirrored": "opened it there",
    "left": "left the page: back in the queue",
}
DONE_TAKEN = "It is yours. The customer was told that you are here."
DONE_RELEASED = "It is back in the queue."
DONE_TRANSFERRED = "{who} has it now."
DONE_RESOLVED = "Resolved. The assistant answers again."
DONE_RETURNED = "Given back to the assistant."
DONE_TAUGHT = "Marked. Learning takes this answer before all others the next time it mines."
DONE_ON_DUTY = "You are on duty."
DONE_OFF_DUTY = "You are off duty."
TOO_LATE = "Nothing was done: this chat {what}."
NOT_SENT = "Not sent: the {item} {what}."


def waited(since: datetime, now: datetime) -> str:
    """How long somebody has waited, in words."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
