"""Every string of the pages: all conversations: found, read, annotated, exported."""

from __future__ import annotations

from collections.abc import Mapping

from learning.browsing_records import ReviewMark, Verdict

# The list
TITLE = "Conversations"
INTRO = "Everything that customers talked about with the assistant. Personal data is taken out before you see it."
FOUND = "Found"
NOTHING = "No conversation fits."
NOTHING_NEXT = "Remove a filter, or widen the days."
NOTHING_YET = "There are no conversations yet."
NOTHING_YET_NEXT = "They appear here once they have been read from the tracker store."
OPENING_UNREAD = "(not read for searching yet)"
NO_TEXT = "(nothing that can be seen)"
OLDER = "Older"
NEWER = "Newer"
NEWEST = "Newest"
NEWER_FOUND = "{count} since you opened this list."
NEWER_SHOW = "Show"
LOWEST = "lowest {value}"
FAILED_TURNS = "{count} failed"
MODEL_SHORT = "model {model}"
SELECT = "Select: {opening}"
THUMB_UP = "thumbs up"
THUMB_DOWN = "thumbs down"
CSAT = "mark {csat} of 5"
FRUSTRATED = "frustrated"

# Filters
QUICK = "Often used filters"
FILTERS = "Filters"
MORE_FILTERS = "More filters"
ACTIVE = "Shown are conversations with"
REMOVE_FILTER = "Remove the filter {name}: {value}"
CLEAR = "Remove all filters"
SHOW = "Show"
TEXT = "Text"
TEXT_HINT = 'All words must be there; "a phrase", begin* and -without work, too.'
SINCE = "From (UTC)"
UNTIL = "To (UTC)"
ANY = "any"
ADD_ANOTHER = "add another one"
LOWEST_FROM = "Lowest confidence from"
LOWEST_TO = "Lowest confidence to"
CONFIDENCE_HINT = "0 to 1, of the message that was understood worst."
BAD_FILTER = "The filter “{name}” {what}: {next_step}."
FIELDS: Mapping[str, str] = {
    "since": "from",
    "until": "to",
    "channel": "channel",
    "intent": "intent",
    "min_conf": "lowest confidence from",
    "max_conf": "lowest confidence to",
    "mood": "mood",
    "outcome": "outcome",
    "reason": "reason",
    "signal": "what went wrong",
    "feedback": "feedback",
    "text": "text",
    "model": "model",
    "state": "review",
    "tag": "tag",
    "person": "person",
    "gap": "gap",
    "release": "release",
    "again": "came back",
    "agent": "colleague",
}
QUICK_FILTERS: tuple[tuple[str, str], ...] = (
    ("All", ""),
    ("New", "state=new"),
    ("Flagged", "state=flagged"),
    ("Not understood", "signal=fallback"),
    ("Rated down", "feedback=down"),
    ("Frustrated", "mood=frustrated"),
    ("Escalated", "outcome=escalated"),
    ("Given up", "outcome=abandoned"),
)

# Saved filters
SAVED = "Saved filters"
SAVED_NONE = "None yet."
SAVED_SHARED = "shared by {who}"
SAVED_DELETE = "Delete"
SAVED_DELETE_ONE = "Delete the saved filter {name}"
SAVE_NAME = "Name of the filter"
SAVE_HINT = "Saves what is shown now. One of yours with the same name is replaced."
SAVE_SHARED = "Colleagues see it, too"
SAVE = "Save this filter"
DONE_SAVED = "The filter {name} is saved."
DONE_DELETED = "The saved filter is deleted."

# Spot checks
CHECKS = "Spot check"
CHECKS_INTRO = "A fixed random set to read through: each has the same chance, so what you find holds for all of them."
DRAW_WEEK = "Draw {count} of the last seven days"
DRAW_THESE = "Draw {count} of those shown"
DRAWS = "Yours so far"
DRAW_LINE = "{date}: {done} of {total} done"
DRAW_TITLE = "Spot check of {date}"
DRAW_GO_ON = "Go on"
DRAW_FINISHED = "All of them are done."
DRAW_WHAT = "{total} drawn at random from: {what}"
DRAW_EVERYTHING = "all conversations"
DRAW_GONE = "Nothing of it is left: the conversations were forgotten."
DRAW_PLACE = "{place} of {total}"
DRAW_DONE = "{done} done"
DRAW_RIGHT = "Understood right"
DRAW_RIGHT_OF = "{right} of {checked} ({share} %)"
DRAW_GOOD = "Right throughout"
DRAW_GOOD_OF = "{good} of {talks} ({share} %; of all conversations between {low} and {high} %, with 95 % certainty)"
DRAW_NOTHING_CHECKED = "No message is marked right or wrong yet."
CHECK_DONE = "done"
CHECK_OPEN = "waits"
EMPTY_DRAW = "No conversation fits, so nothing was drawn."
BACK_TO_DRAW = "Back to the spot check"

# Export
EXPORT = "Export"
EXPORT_INTRO = "Everything that fits the filter, without personal data."
EXPORTS_BUSY = "Other exports are being made at the moment."
EXPORTS_BUSY_NEXT = "Try again in a minute, or narrow the filter down."
EXPORT_FORMS: Mapping[str, str] = {
    "csv": "CSV, a line for each conversation",
    "jsonl": "JSON lines, with every message",
    "yaml": "Rasa YAML, examples of checked messages and test stories",
}

# Many at once
BULK = "With those selected"
SELECT_ALL = "Select all"
NEED_SELECTION = "Select at least one conversation first."
TAG = "Tag"
ADD_TAG = "Add the tag"
REMOVE_TAG = "Remove the tag"
REMOVE_TAG_NAMED = "Remove the tag {tag}"
NEED_TAG = "Type the tag first."
NEED_STATE = "Use one of the buttons: nothing was done."
MARK_SEEN = "Seen"
MARK_FLAGGED = "Flag"
MARK_DONE = "Done"
MARK_NEW = "New"
DONE_TAGGED = "{count} tagged {tag}."
DONE_UNTAGGED = "The tag {tag} is off {count}."
DONE_MARKED = "{count} marked as {state}."

# One conversation
BACK = "Back to the list"
CONVERSATION = "Conversation of {at}"
PREVIOUS = "Previous"
NEXT = "Next"
NEIGHBORS = "Other conversations of the list"
TRANSCRIPT = "Transcript"
NO_TURNS = "Its messages cannot be shown."
FACTS = "About it"
REASON = "Why it ended so"
WHEN = "When"
UNTIL_TIME = "until {at}"
CHANNEL = "Channel"
PERSON = "Person"
PERSON_ALL = "all of theirs"
OUTCOME = "Outcome"
FEEDBACK = "Feedback"
NO_FEEDBACK = "none"
MODEL = "Model"
UNKNOWN = "unknown"
TAGS = "Tags"
NO_TAGS = "none"
REVIEW = "Your review"
REVIEW_STATE = "It is marked as {state}."
DONE_NEXT = "Done, next one"
REST_RIGHT = "The rest is right, done"
REST_RIGHT_HINT = "Marks every message without a verdict as understood right."
SHOW_ALL = "Show all {count} characters"
CUSTOMER = "Customer"
BOT = "Assistant"
AGENT = "Colleague"
NO_REPLY = "The assistant said nothing."
HOW = "How it was understood"
AS_INTENT = "understood as"
NOT_UNDERSTOOD = "not understood"
INTENT = "Intent"
RANKING = "Candidates"
ENTITIES = "Found in it"
ENTITY_ROLE = "as {role}"
SLOTS = "Noted"
ACTIONS = "What the assistant did"
FAMILIARITY = "Familiarity"
FAMILIARITY_MEANS = "{value}: how near it is to what was trained; under {limit} is unfamiliar"
MOOD = "Mood"
MOOD_MEANS = "{value} of 1 frustrated; from {limit} on it counts"
OVERLAY = "Answered by"
OVERLAY_RELEASE = "{label}, release {number}"
OVERLAY_GONE = "a learned answer that is no longer known ({entry})"
SERVICE = "Service that failed"
CLARIFIED = "The customer chose"
SIGNALS = "What went wrong"
SIGNAL_WEIGHT = "{share} % sure"
GAP_LINK = "Its gap"
PROPOSAL_LINK = "what is proposed for it"
RATED_UP = "Rated up"
RATED_DOWN = "Rated down"
RATED = "Mark {csat} of 5"
RIGHT = "Right"
RIGHT_NAMED = "Right: message {number} was understood as it should be"
WRONG = "Wrong"
WRONG_NAMED = "Wrong: say what message {number} should be understood as"
NOTE_SUMMARY = "Note"
NOTE_NAMED = "Write a note about message {number}"
RIGHT_INTENT = "What it should be"
RIGHT_INTENT_HINT = "One that the assistant knows. Leave it empty if none fits. It becomes an example after review."
NOTE = "Note"
NOTE_OPTIONAL = "Note (optional)"
RECORD_WRONG = "Mark as wrong"
RECORD_NOTE = "Keep the note"
UNDO = "Undo"
UNDO_NAMED = "Undo: {what}"
SHOULD_BE = "should be"
LEAVE_EMPTY = "none that it knows"
NEED_KNOWN = "{label} is no intent that the assistant knows. Choose one from the list, or leave it empty."
DID_YOU_MEAN = "Did you mean {labels}?"
NEED_NOTE = "Write the note first."
DONE_RIGHT = "Marked as right."
DONE_WRONG = "Marked as wrong."
DONE_NOTE = "The note is kept."
DONE_UNDONE = "It is taken back."
DONE_REST = "{count} marked as right."
DONE_EXAMPLE = "It is an example in a proposal for {label} now, which waits for a decision in the inbox."
CHANGED_TURN = "Somebody else has marked this message since you opened the page. Look at it again; nothing was done."
CHANGED_STATE = "Somebody else has marked it as {state} since you opened the page. Nothing was done."
VERDICTS: Mapping[Verdict, str] = {Verdict.RIGHT: "Right", Verdict.WRONG: "Wrong", Verdict.NOTE: "Note"}

# Test story
STORY = "Make a test story of this"
STORY_TITLE = "Test story"
STORY_INTRO = (
    "Put this file into tests/stories: rasa test then checks that the assistant still understands and answers like "
    "this. Look through it first: it says what happened, but for the messages that somebody has corrected."
)
STORY_DOWNLOAD = "Download it"
STORY_CONTENT = "The file"
STORY_NONE = "There is no test story to make: the messages cannot be shown."
BACK_TO_CONVERSATION = "Back to the conversation"

# Keys, as the panel of keys calls them
KEY_ROWS = "Next and previous conversation"
KEY_SELECT = "Select the conversation"
KEY_TURNS = "Next and previous message"
KEY_RIGHT = "The message was understood right"
KEY_WRONG = "It was understood wrong"
KEY_HOW = "How it was understood"

STATES: Mapping[ReviewMark, str] = {
    ReviewMark.NEW: "new",
    ReviewMark.SEEN: "seen",
    ReviewMark.FLAGGED: "flagged",
    ReviewMark.DONE: "done",
}
OUTCOMES: Mapping[str, str] = {
    "open": "still going on",
    "resolved": "resolved",
    "escalated": "escalated",
    "abandoned": "given up",
}
REASONS: Mapping[str, str] = {
    "service_failed": "a service failed",
    "not_understood": "not understood",
    "dissatisfied": "not happy with an answer",
    "asked": "asked for a person",
    "frustrated": "frustrated",
    "excluded_topic": "a topic that people answer",
    "low_confidence": "guessed too often",
    "rated_down": "rated the answer down",
    "unanswered_question": "left a question of the assistant unanswered",
    "doubtful_answer": "the answer was doubtful",
}
FEEDBACKS: Mapping[str, str] = {
    "up": "thumbs up",
    "down": "thumbs down",
    "csat_low": "mark 1 or 2",
    "csat_high": "mark 4 or 5",
}
VALUES: Mapping[str, Mapping[str, str]] = {
    "outcome": OUTCOMES,
    "reason": REASONS,
    "feedback": FEEDBACKS,
    "state": {mark.value: word for mark, word in STATES.items()},
    "mood": {"frustrated": FRUSTRATED},
    "again": {"week": "within a week"},
    "agent": {"answered": "has answered", "waiting": "has not answered yet"},
}
# Signals that a list tells otherwise: by the outcome, or because a person has corrected it.
SAID_ELSEWHERE = ("abandonment", "handoff", "corrected")
SIGNAL_MEANINGS: Mapping[str, str] = {
    "fallback": "The assistant said that it did not understand.",
    "repeated_fallback": "It did not understand several times in a row.",
    "low_confidence": "It answered although it was not sure what was meant.",
    "ambiguity": "Two intents were almost equally likely, so it may have taken the wrong one.",
    "rephrase": "The customer asked the same again in other words right after the answer.",
    "negative_feedback": "The customer rated the answer down or complained about it.",
    "handoff": "The customer asked for a person right after it.",
    "backend_failure": "A service that the answer needed was away; understanding was not the trouble.",
    "frustration": "The customer's next message sounds frustrated.",
    "unfamiliar": "The message is like nothing the assistant was trained on.",
    "clarification": "The assistant had to ask what was meant.",
    "abandonment": "The customer left right after this answer.",
    "repeated_question": "The customer came back later with the same question.",
    "low_satisfaction": "Few of those who rated this answer like it.",
    "recommended": "An agent marked their own answer as what the assistant should have said.",
}


def found(total: int, is_more: bool) -> str:
    """Return how many conversations were found."""
    return f"{total:,}+ conversations" if is_more else conversations(total)


def conversations(number: int) -> str:
    """Return how many conversations."""
    return f"{number:,} {'conversation' if number == 1 else 'conversations'}"


def messages(number: int) -> str:
    """Return how many messages."""
    return f"{number:,} {'message' if number == 1 else 'messages'}"
