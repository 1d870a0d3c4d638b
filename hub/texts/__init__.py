"""Every string that the hub shows, in one place."""

from __future__ import annotations

from hub.texts import audit as audit
from hub.texts import conversations as conversations
from hub.texts import desk as desk
from hub.texts import experiments as experiments
from hub.texts import metrics as metrics
from hub.texts import releases as releases
from hub.texts import retraining as retraining
from hub.texts import review as review
from hub.texts import staff as staff
from hub.texts import status as status
from learning.evidence import Speaker
from learning.model import Action, Priority, ProposalKind, ProposalState

NAME = "Evergreen"
SKIP = "Skip to the content"
NAV = "Main"
INBOX = "Inbox"
RELEASES = "Releases"
CONVERSATIONS = "Conversations"
EXPERIMENTS = "Experiments"
METRICS = "Metrics"
DESK = "Desk"
RETRAINING = "Retraining"
AUDIT = "Audit"
SETTINGS = "Settings"
STATUS = "Status"
MENU = "Menu"
LOG_OUT = "Log out"
CLOSE = "Close"
LIVE_LOST = "The connection is lost. Trying again…"
LIVE_ENDED = "Your session has ended."
LIVE_HELD = "Something on this page has changed. It is shown when you are done with what you are typing."
KEYS = "Keys"
KEYS_PAGE = "On this page"
KEYS_AREAS = "Go to"
KEYS_ON = "Single keys do something (on this device)"
BACK_TO_INBOX = "Back to the inbox"
BACK_TO_START = "Back to the start"

# Login
LOGIN = "Log in"
LOGIN_INTRO = "Staff only. Your name appears in the records of what you decide."
USER_NAME = "Name"
PASSWORD = "Password"
LOGIN_WRONG = "Name or password is wrong."
LOGIN_WAIT = "Too many attempts. Wait {minutes} minutes and try again."

# Inbox
WAITING = "Waiting for you"
WAITING_INTRO = "Critical needs first, then by people, cost and trend."
NOTHING_WAITS = "Nothing waits for a decision."
NOTHING_WAITS_NEXT = "New conversations are read every {minutes} minutes."
DEFERRED = "Put off"
DEFERRED_UNTIL = "until {date}"
DEFERRED_TURNS = "until {turns} messages ask for it"
WATCHED = "Being watched"
WATCHED_INTRO = "Needs that were seen, but have no proposal yet."
WATCHED_PEOPLE = "{missing} more needed for a proposal"
WATCHED_OTHER = "no proposal yet"
WATCHED_ANSWER = "understood, but the answer does not help"
CAME_BACK = "came back"
SCORE = "Score"
SCORE_OF = "Score {score} of 100"
LOW_SCORE = "low"
NO_ANSWER_YET = "needs an answer"
REPLAY_SHORT = "fixes {fixed} of {failures}"
REPLAY_BREAKS = "breaks {broken}"
REPLAY_SHORT_REACHES = "reaches {fixed} of {failures}"
FILTER = "Which proposals"
ALL = "All"
MINE = "Mine"
FOR_YOU = "for you"
NOTHING_MINE = "Nothing is assigned to you."
NOTHING_MINE_NEXT = "Anybody may decide about the others."
MORE_WATCHED = "{count} more are not shown."

# Proposal
MESSAGES = "What people wrote"
MESSAGES_INTRO = "Personal data was taken out before anything was kept."
MESSAGES_SHOWN = "The newest {shown} of {total}."
NO_MESSAGES = "The messages behind this are no longer kept."
PERSON = "Person {number}"
UNDERSTOOD_AS = "understood as {intent}"
NOT_UNDERSTOOD = "not understood"
TALKS = "In conversation"
SIGNALS_OF = "What went wrong"
CHANNELS = "Where"
COUNTED = "Counted over the newest {counted} messages."
FAILED_HERE = "failed"
TALKS_MISSING = "{count} no longer in the tracker store."
AGENTS = "What colleagues answered"
AGENTS_TIMES = "{count}, last on {date}"
AGENT_RECOMMENDS = "A colleague said: the assistant should have said this"
REPLAY = "What it would change"
REPLAY_INTRO = "The messages were tried again as if this were live; a message never counts because of itself."
REPLAY_REACHES = "Reaches {fixed} of {failures} messages whose answer did not help."
REPLAY_REACHES_INTRO = "Whether people like the new words better, no replay can tell."
REPLAY_MERGES = "Gives another answer to {broken} of {successes} messages that went well."
REPLAY_RETIRES = "Leaves {broken} of {successes} messages that went well without an answer."
REPLAY_CHANGED = "{changed} of {successes} messages that went well would get the new words, too."
ANSWERED_AS = "answered as"
REPLAY_FIXES = "Answers {fixed} of {failures} messages that failed."
REPLAY_BREAKS_LONG = "Takes {broken} of {successes} messages that went well."
REPLAY_NONE_BROKEN = "None of {successes} messages that went well would change."
REPLAY_BROKEN_TEXTS = "These lose the answer that they have now:"
NO_REPLAY = "It was not tried yet."
SOURCES = "Where the drafted answer comes from"
SOURCE_AGENTS = "what agents answered"
SIMILARITY = "similarity {value}"
NO_SOURCES = "No knowledge article fits, so the answer is yours to write."
SCORE_PARTS = "How the score is made"
NO_SCORE = "It was not scored yet."
SCORE_MEANS = "{score} of 100 proposals like this one are expected to be approved as they are."
SCORE_INTRO = (
    "The parts, each times its share, make a raw figure; decisions of the past tell what share of such proposals was "
    "approved. With few decisions so far, those of the development data stand in."
)
SCORE_PART = "Part"
SCORE_VALUE = "Value"
SCORE_SHARE = "Share"
DECIDE = "Decide"
FIELD_NAME = "Name of the question"
FIELD_NAME_HINT = (
    "Letters, digits and underscores. It appears in reports, never in the chat. The name of a question that has an "
    "answer already adds the examples to that one."
)
FIELD_ANSWER = "Answer"
FIELD_ANSWER_HINT = "The customer reads exactly this. At most {limit} characters."
FIELD_EXAMPLES = "Examples"
FIELD_EXAMPLES_HINT = "Untick what does not belong."
FIELD_MORE = "More examples"
FIELD_MORE_HINT = "One a line."
INTENT_LABEL = "Examples are added to"
REWORD_LABEL = "What the assistant answers to"
MERGE_LABEL = "Which name stays"
MERGE_HINT = "Messages of the other one are answered as this one from now on."
RETIRE_LABEL = "The assistant no longer answers"
RETIRE_HINT = "Its messages count as not understood from now on."
ANSWER_NOW = "What it answers now"
TYPICAL = "Typical messages"
WARNINGS = "Look at this first"
MACHINE_WRITTEN = "A language model worded this answer ({model}). Check every fact in it."
ASSIGNED_TO = "assigned to {who}"
LAST_USED = "{label} was last understood on {date}."
LAST_ASKED = "Last asked for on {date}"
ABOUT = "It is about"
MERGED = "It is about {target} and {label}; the name that stays is {label}."
UNDO = "Undo"
UNDO_SUMMARY = "Undo the last decision"
UNDO_HINT = "It waits again as it was suggested. What went live of it is withdrawn with the next message."
UNDO_ABSORBED = "The trained model has taken it over. Withdraw it under Releases; the next retraining leaves it out."
UNDO_SUPERSEDED = "Its messages went to another proposal, which waits in its place."
BRING_BACK = "Bring back"
BRING_BACK_SUMMARY = "Bring it back now"
BRING_BACK_HINT = "It waits with the others again."
REASON_OPTIONAL = "Reason (optional)"
DECISIONS = "Decisions so far"
APPROVE = "Approve and publish"
APPROVE_HINT = "Live with the next message. What you change here is recorded as yours."
REJECT = "Reject"
REJECT_SUMMARY = "Reject it"
REASON = "Reason"
REJECT_HINT = "It is kept, and the same is not proposed again."
REJECT_REASONS = (
    "Already answered elsewhere",
    "Not a question for this shop",
    "The messages do not belong together",
    "Spam or abuse",
)
DEFER = "Put off"
DEFER_SUMMARY = "Put it off"
DEFER_DATE = "Until a date"
DEFER_DOUBLED = "Until twice as many messages ask for it ({turns})"
DEFER_DATE_FIELD = "Date (UTC)"
DECIDED = "This proposal is {state}. There is nothing left to decide."
GAP_LINE = "{messages} from {people}"
SEEN_BETWEEN = "{first} to {last}"
PROPOSAL_ID = "Proposal {id}"

# Second readings
SECOND = "Second reading"
SECOND_INTRO = (
    "A share of what colleagues decided is read a second time, without knowing how they decided. Nothing that is live "
    "changes by it; it shows whether the rules are clear."
)
SECOND_NONE = "Nothing waits for you."
SECOND_OFF = "Second readings are switched off (review.second_reader_share is 0)."
BACK_TO_SECOND = "Back to the second readings"
VERDICT = "Your verdict"
VERDICT_INTRO = "What a colleague decided is not shown. Judge it as if it were new."
VERDICT_QUESTION = "What would you have done?"
WOULD_APPROVE = "Approve it as it is"
WOULD_EDIT = "Approve it with changes"
WOULD_REJECT = "Reject it"
VERDICT_REASON_HINT = "Needed for changes and for a rejection."
WOULD_MERGE = "It would answer messages of {target} as {label} from then on."
SUGGESTED_ANSWER = "Suggested answer"
ANSWER_WITHOUT = "What the assistant's own files answer"
RECORD = "Record my verdict"

# Releases
LIVE = "Live and learned"
LIVE_INTRO = "What the assistant answers because somebody approved it."
NOTHING_LIVE = "Nothing is live yet. What you approve in the inbox appears here."
WITHDRAW = "Withdraw"
WITHDRAW_SUMMARY = "Withdraw it"
WITHDRAW_HINT = "The assistant stops using it with the next message."
WITHDRAW_HINT_ABSORBED = "It is part of the model and leaves it at the next retraining."
HISTORY = "History"
RELEASE = "Release"
WHO = "Who"
WHEN = "When"
STATE = "State"
COMMIT = "Commit"
NO_COMMIT = "not on the branch"
NO_RELEASES = "There was no release yet."
UNPUBLISHED = "{count} approved but not live yet: something stopped in between."
UNCOMMITTED = "{count} live but not on the branch {branch} yet."
PUBLISH_NOW = "Finish publishing"

# Status
NUMBERS = "Numbers"
CONVERSATIONS = "Conversations"
CONVERSATIONS_MEANING = "Conversations that were read; an hour of silence begins a new one."
TURNS = "Messages"
TURNS_MEANING = "Everything that customers wrote in them."
FAILED = "Failed messages"
FAILED_MEANING = "Messages that clearly failed; doubtful ones count only inside gaps."
FAILURE_RATE = "Failure rate"
FAILURE_RATE_MEANING = "Failed messages as a share of all messages."
GAPS = "Gaps"
GAPS_MEANING = "Needs that the failed messages were grouped into."
LIVE_ENTRIES = "Live entries"
LIVE_ENTRIES_MEANING = "Approved entries that answer from the overlay, without retraining."
ABSORBED = "Absorbed entries"
ABSORBED_MEANING = "Approved entries that the trained model has taken over."
OVERLAY = "Overlay version"
OVERLAY_MEANING = "Rises with every change; running bots compare it with theirs."
FEW_DATA = "Little data: {missing} more conversations make these numbers firm."
SIGNALS = "Signals of failure"
SIGNAL = "Signal"
COUNT = "Count"
NO_SIGNALS = "No message has failed."
PROPOSALS = "Proposals"
NO_PROPOSALS = "There are no proposals yet."
RUNS = "Runs"
JOB = "Job"
MINED = "Reading conversations"
RETRAINED = "Retraining"
NEVER = "never"
OUTCOME = "Outcome"
AUDIT = "Audit log"
AUDIT_WHOLE = "Whole: no row was changed or removed."
AUDIT_BROKEN = "Broken:"

# What was done
DONE_BRANCH = "The branch {branch} has it as {commit}."
DONE_REJECTED = "{label} is rejected."
DONE_DEFERRED = "{label} is put off."
DONE_UNDONE = "The decision about {label} is undone: it waits again as it was suggested."
DONE_ASSIGNED = "It is assigned to you."
DONE_UNASSIGNED = "It is assigned to nobody."
DONE_READ = "Your verdict is recorded."
DONE_WITHDRAWN = "{label} is withdrawn."
DONE_PUBLISHED = "{releases}. The branch is up to date."
BRANCH_PROBLEM = "It is live, but the branch was not written: {problem}"
WITHDRAWN_BRANCH_PROBLEM = "It is withdrawn, but the branch was not written: {problem}"

# What went wrong
NEED_REASON = "Say why: the reason is kept, and the miner learns from it."
NEED_WITHDRAW_REASON = "Say why: the reason goes into the audit log."
NEED_DEFER = "Choose a date, or until twice as many messages ask for it."
NEED_FUTURE = "Choose a date after today."
NEED_VERDICT = "Choose what you would have done."
NEED_VERDICT_REASON = "Say why: it is what the two of you will talk about."
NOT_FOR_YOU = "That proposal does not wait for a second reading by you. Nothing was done."
NOT_UNDONE = "Not undone: this proposal {what}. What helps: {next_step}."
UNDONE_FIRST = "Somebody was faster: this proposal is {state} now. Nothing more was done."
NEED_ANSWER = "Write the answer first."
NEED_LABEL = "Choose which of the two names stays."
NEED_EXAMPLES = "Keep or add at least one example."
NEED_NAME = "The name may hold letters, digits and underscores only."
LONG_ANSWER = "The answer has {length} characters; {limit} is the most."
NOT_ACCEPTED = "Not accepted: this proposal {what}."
DECIDED_FIRST = "Already decided: this proposal is {state} now. Nothing more was done."
DECIDED_BY = "The last decision about it is by {who}, {at}."
CHANGED = "This proposal has changed since you opened it. Look at it again before you decide; nothing was done."
NOT_LIVE_YET = "This proposal is {state} but not live yet. Finish publishing it under Releases."
WITHDRAWN_FIRST = "Already done: {label} is {state} now."
ERROR_TITLES = {
    400: "That request was not understood",
    401: "Please log in again",
    403: "This form is too old",
    404: "Not found",
    405: "That is not possible here",
    408: "That took too long",
    409: "Already decided",
    413: "Too much at once",
    422: "Something is missing",
    429: "Too many attempts",
    500: "Something failed in the hub",
    503: "Not available at the moment",
}
ERROR_TEXTS = {
    400: "The form was damaged on its way. Go back and try again.",
    401: "Your session has ended, so nothing was done.",
    403: "The page was opened in another session, so nothing was done. Go back, reload it and try again.",
    404: "There is no such page.",
    405: "Go back and use the buttons on the page.",
    408: "The form did not arrive in time, so nothing was done. Go back and send it again.",
    413: "The form holds more than the hub accepts, so nothing was done.",
    500: "What you did last may not have been done. Look before you repeat it; the server's log says what happened.",
}

PRIORITIES = {Priority.CRITICAL: "Critical", Priority.MEDIUM: "Medium", Priority.LOW: "Low"}
KINDS = {
    ProposalKind.ANSWER: "New question",
    ProposalKind.EXAMPLES: "More examples",
    ProposalKind.REWORD: "Better answer",
    ProposalKind.MERGE: "Merge two intents",
    ProposalKind.RETIRE: "Retire an intent",
}
STATES = {
    ProposalState.PENDING: "waiting",
    ProposalState.APPROVED: "approved",
    ProposalState.EDITED: "edited and approved",
    ProposalState.REJECTED: "rejected",
    ProposalState.DEFERRED: "put off",
    ProposalState.PUBLISHED: "live",
    ProposalState.ABSORBED: "absorbed into the model",
    ProposalState.WITHDRAWN: "withdrawn",
    ProposalState.SUPERSEDED: "merged into another one",
}
ACTIONS = {
    Action.APPROVE: "Approved",
    Action.EDIT: "Edited and approved",
    Action.REJECT: "Rejected",
    Action.DEFER: "Put off",
    Action.UNDO: "Undone",
}
DONE_LIVE = {
    ProposalKind.ANSWER: "Release {number}: {label} is live.",
    ProposalKind.EXAMPLES: "Release {number}: more examples of {label} are live.",
    ProposalKind.REWORD: "Release {number}: the new answer to {label} is live.",
    ProposalKind.MERGE: "Release {number}: messages of {target} are answered as {label} now.",
    ProposalKind.RETIRE: "Release {number}: the assistant no longer answers {label}.",
}
SPEAKERS = {Speaker.CUSTOMER: "Customer", Speaker.BOT: "Assistant", Speaker.AGENT: "Colleague"}
SIGNAL_KINDS = {
    "fallback": "Not understood",
    "repeated_fallback": "Not understood again",
    "low_confidence": "Understood with low confidence",
    "ambiguity": "Two intents were equally likely",
    "rephrase": "Asked again in other words",
    "negative_feedback": "Thumbs down or a complaint",
    "handoff": "Handed to a person",
    "backend_failure": "A service failed",
    "frustration": "Frustrated after the answer",
    "unfamiliar": "Like nothing it was trained on",
    "clarification": "Had to ask what was meant",
    "abandonment": "Left after the answer",
    "repeated_question": "Asked the same again later",
    "low_satisfaction": "An answer that few like",
    "recommended": "An agent said what it should have answered",
}


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many}"


def people(number: int) -> str:
    """Return how many people."""
    return count(number, "person", "people")


def messages(number: int) -> str:
    """Return how many messages."""
    return count(number, "message", "messages")


def count_conversations(number: int) -> str:
    """Return how many conversations are not there any more."""
    return count(number, "conversation is", "conversations are")


def times(number: int) -> str:
    """Return how many times."""
    return count(number, "time", "times")


def count_releases(number: int) -> str:
    """Return how many releases were made."""
    return count(number, "release made", "releases made")


def proposals(number: int) -> str:
    """Return how many proposals."""
    return count(number, "proposal is", "proposals are")


def release_count(number: int) -> str:
    """Return how many releases."""
    return count(number, "release is", "releases are")


def examples(number: int) -> str:
    """Return how many examples."""
    return count(number, "example", "examples")


# A person without the right for a page
FORBIDDEN_TITLE = "Not for your role"
FORBIDDEN = "Your account may not do this. Ask an admin of the hub for another role."
