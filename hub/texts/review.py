"""Every string of the pages: gaps and proposals, beside those in `hub.texts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from learning.gap_history import Step, StepKind

# Inbox
KEYS = (
    ("j", "Next"),
    ("k", "Previous"),
    ("x", "Tick"),
    ("Enter", "Open"),
    ("a", "Approve the ticked ones, or this one"),
    ("r", "Reject: then 1 to 4 for a reason"),
    ("d", "Put off: then 1 to 3 for how long"),
    ("e", "Open and edit"),
    ("u", "Undo"),
)
PAGE_KEYS = (
    ("r", "Reject: then 1 to 4 for a reason"),
    ("d", "Put off"),
    ("u", "Undo"),
)
KEY_EDIT = "Edit"
PEOPLE_A_WEEK = "People a week"
TREND_OF = "People a week, the last {weeks} weeks: {counts}, the newest last"
SAYS = "Would answer"
TICK = "Tick {name}"
NOTHING_TICKED = "Nothing is ticked"
TICKED = "{count} ticked"
APPROVE = "Approve"
BULK = "Decide about the ticked ones"
REJECT_THEM = "Reject"
REASON_OTHER = "Another reason"
DEFER_THEM = "Put off"
DEFER_WEEK = "A week"
DEFER_MONTH = "30 days"
DEFER_TWICE = "Until twice as many messages ask"
NEED_TICK = "Tick at least one proposal first."
NEED_ACTION = "Choose what to do with what is ticked."
PART_DONE = "{done} of {all} {what}. Undo takes all of them back."
ALL_DONE = "{what}: all {all}. Undo takes all of them back."
NONE_DONE = "None of the {all} was {what}."
NOT_DONE = "Left waiting: {problems}."
DID = {"approve": "approved", "reject": "rejected", "defer": "put off"}
CAP_DID = {"approve": "Approved", "reject": "Rejected", "defer": "Put off"}
AND_MORE = "and {count} more"
STALE = "changed or decided since you opened the list"
UNDONE_ALL = "Undone: {count} waiting again as suggested."
UNDONE_PART = "Undone: {done} of {all}. Not undone: {problems}."
UNDONE_BEFORE = "There is nothing left to undo: somebody has taken all of it back already."

# One gap
PREVIOUS = "Previous"
NEXT = "Next"
GAP = "Gap"
NO_PROPOSAL = "Nothing is proposed for it"
NO_PROPOSAL_PEOPLE = "A proposal is made when {missing} more have asked for it."
NO_PROPOSAL_YET = "A proposal is made at the next reading, or when what it repeats has been decided."
NO_PROPOSAL_ANSWER = "The assistant understands it; what it answers does not help."
RANK = "Ranked {rank}: {people} × {cost} for how badly it ended × {trend} for the trend"
RATED = "{share} % of those who rated its answer like it"
WEEK_FIRST = "Week from"
TREND_TABLE = "Figures"
PROPOSALS_OF = "Proposals for it"
PROPOSAL_HERE = "this one"
OPEN_TALK = "Open the conversation"
HISTORY_OF = "History"
STEPS = {
    StepKind.FIRST: "First asked",
    StepKind.PROPOSED: "Proposed: {label}",
    StepKind.APPROVED: "Approved by {who}",
    StepKind.EDITED: "Changed and approved by {who} as {label}",
    StepKind.REJECTED: "Rejected by {who}",
    StepKind.DEFERRED: "Put off by {who}",
    StepKind.UNDONE: "Undone by {who}",
    StepKind.LIVE: "Live with release {release}",
    StepKind.TAKEN_BACK: "Taken back with release {release} by {who}",
    StepKind.SPLIT: "Split by {who}",
    StepKind.MERGED: "Merged by {who}",
    StepKind.MOVED: "An example was moved by {who}",
    StepKind.DUE: "Waits again",
    StepKind.CAME_BACK: "Came back",
}
TURNING = {
    StepKind.APPROVED: "approved in {month}",
    StepKind.EDITED: "approved in {month}",
    StepKind.REJECTED: "rejected in {month}",
    StepKind.TAKEN_BACK: "taken back in {month}",
    StepKind.CAME_BACK: "came back in {month}",
}

# Deciding
ASSIGN = "Assigned to"
ASSIGN_TO = "Assign"
ASSIGN_ANYBODY = "Anybody"
DONE_ASSIGNED_TO = "It is assigned to {who}."
NOT_A_REVIEWER = "{who} has no account that may decide. Nothing was changed."
QUICK_REASONS = "A frequent reason"
TRY = "See what this version fixes"
TRY_HINT = "What you changed above is tried on the messages that failed and on those that went well. Nothing is saved."
TRIED_AS = "As changed here"
TRIED_SUGGESTED = "As suggested"
TRIED_NOT = "It could not be tried: {problem}"
FIXES = "Fixes"
BREAKS = "Breaks"
REACHES = "Reaches"
OF = "{count} of {all}"
MERGE_NO_ANSWER = "It has no answer of its own."
LIVE_DECIDED = "Somebody was faster: this is {state} now."
LIVE_DECIDED_BY = "The last decision is by {who}."
LIVE_CHANGED = "This has changed since you opened it. What you typed is kept."
LIVE_RELOAD = "Show it as it is now"
DRAFT_BACK = "What you had typed is back. It was not sent."
DRAFT_DROP = "Start from the suggestion"

# The score
SPEAKS_FOR = "Speaks for it:"
HOLDS_BACK = "Holds it back:"
SCORE_FIGURES = "The figures"
VERDICTS = {"good": "good", "fair": "fair", "poor": "poor"}
COUNTS = "Each bar is as long as the part counts, and filled as far as it is met."
SCORE_PHRASES = {
    "messages agree": {
        "good": "the messages say the same",
        "fair": "the messages are alike",
        "poor": "the messages differ",
    },
    "different people": {"good": "many people ask", "fair": "several people ask", "poor": "few people ask"},
    "surely a failure": {
        "good": "the messages surely failed",
        "fair": "most messages failed",
        "poor": "it is doubtful whether they failed",
    },
    "a need of its own": {
        "good": "no other need is like it",
        "fair": "another need is somewhat like it",
        "poor": "it may repeat another need",
    },
    "unlike what is known": {
        "good": "nothing trained is like it",
        "fair": "something trained is somewhat like it",
        "poor": "it is like something that is trained already",
    },
    "clearly this intent": {
        "good": "the messages clearly mean this intent",
        "fair": "most messages mean this intent",
        "poor": "the messages may mean another intent",
    },
    "one need": {
        "good": "the messages belong together",
        "fair": "most messages belong together",
        "poor": "the messages may be several needs",
    },
    "replay fixes": {
        "good": "it fixes most of what failed",
        "fair": "it fixes a part of what failed",
        "poor": "it fixes little of what failed",
    },
    "replay breaks nothing": {
        "good": "it breaks nothing that went well",
        "fair": "few messages that went well were there to try",
        "poor": "it takes messages that went well, or too few were there to try",
    },
    "has an answer": {"good": "an answer is drafted", "fair": "an answer is drafted", "poor": "no answer is drafted"},
    "answer is supported": {
        "good": "the answer stands in your sources",
        "fair": "the answer is partly in your sources",
        "poor": "the answer has little support in your sources",
    },
    "the present answer is disliked": {
        "good": "people dislike the present answer",
        "fair": "opinions on the present answer differ",
        "poor": "people like the present answer",
    },
    "examples are mixed": {
        "good": "the examples of both are mixed",
        "fair": "some examples of both are mixed",
        "poor": "the examples of both are apart",
    },
    "answers agree": {
        "good": "both answers say the same",
        "fair": "both answers are alike",
        "poor": "the answers differ",
    },
    "confused in conversations": {
        "good": "people are misunderstood because of it",
        "fair": "a few people were misunderstood",
        "poor": "hardly anybody was misunderstood",
    },
    "conversations without it": {
        "good": "many conversations went by without it",
        "fair": "some conversations went by without it",
        "poor": "there were few conversations since",
    },
    "unused for long": {
        "good": "nobody has asked for a long time",
        "fair": "nobody has asked for a while",
        "poor": "somebody asked not long ago",
    },
}

# Rearranging
REARRANGE = "Rearrange"
REARRANGE_LINK = "Split, merge, or move an example"
REARRANGE_BACK = "Back to the proposal"
REARRANGE_NOT = "Only what waits, and teaches messages, can be rearranged."
SPLIT = "Split it"
SPLIT_INTRO = "Tick the messages that are another need. Those nearest to them go along; merging takes it back."
SPLIT_MESSAGES = "Messages"
SPLIT_SHOWN = "The newest {shown} different messages of {all}."
SPLIT_TICKED = "Split off what is ticked"
SPLIT_AUTO = "Divide where they differ most"
SPLIT_NEED = "Tick the messages that are another need, or have them divided."
MERGE = "Merge another one into it"
MERGE_INTRO = "All messages of the other one come here, and it is closed. Splitting takes it back."
MERGE_SEARCH = "Search what waits"
MERGE_FIND = "Search"
MERGE_NONE = "Nothing that waits fits."
MERGE_LIKELY = "Named most alike:"
MERGE_WITH = "Merge into this one"
MERGE_HERE = "This one: {name}"
MERGE_NEED = "Choose what to merge into this one."
MOVE = "Move an example"
MOVE_INTRO = "It leaves this proposal and is proposed for an intent that the assistant has."
MOVE_WHICH = "Example"
MOVE_TO = "Belongs to"
MOVE_TO_HINT = "An intent, such as track_order, or a question, such as faq/shipping_cost."
MOVE_DO = "Move it"
MOVE_NEED = "Choose an example, and say where it belongs."
DONE_SPLIT = "Split: {count} went to “{name}”, which has a proposal of its own."
DONE_SPLIT_SMALL = "Split. What left is too little for a proposal of its own; it is being watched."
DONE_MERGED = "Merged: {count} are here now."
DONE_MOVED = "Moved: it waits with the examples of {label} now."

# Sandbox
SANDBOX = "Try it"
SANDBOX_INTRO = "Talk to the assistant with this proposal applied. Customers notice nothing, and nothing is kept."
SANDBOX_START = "Start the sandbox"
SANDBOX_START_EDITED = "Try my version in the sandbox"
SANDBOX_AGAIN = "Start anew"
SANDBOX_STOP = "End it"
SANDBOX_LOADING = "The model is being loaded, which takes up to a minute. If nothing happens here, reload the page."
SANDBOX_READY = "Applied: the suggestion. Model {model}."
SANDBOX_READY_EDITED = "Applied: your version. Model {model}."
SANDBOX_FAILED = "It could not be started or has ended: {problem}"
SANDBOX_NONE = "There is no model here to try it on."
SANDBOX_MESSAGE = "What a customer would write"
SANDBOX_SAY = "Say it"
SANDBOX_COMPARE = "Ask the assistant without it, too"
SANDBOX_WITH = "with it"
SANDBOX_WITHOUT = "without it"
SANDBOX_SAME = "The same with and without it."
SANDBOX_NOTHING = "(says nothing)"
SANDBOX_UNDERSTOOD = "{label}, {confidence} %"
SANDBOX_BY_ENTRY = "by what was learned"
SANDBOX_YOU = "You"
SANDBOX_BOT = "Assistant"
SANDBOX_LONG = "Write at most {limit} characters."
SANDBOX_EMPTY = "Write something first."
SANDBOX_LOG = "What was said"


def step(one: Step) -> str:
    """Return a step of a gap's history in words."""
    return STEPS[one.kind].format(who=one.who, label=one.label, release=one.release)


def turning_points(steps: Sequence[Step]) -> str:
    """Return what the past of a gap comes down to, as in `Approved in March 2026, came back in May 2026`."""
    said = [TURNING[one.kind].format(month=_month(one.at)) for one in steps]
    sentence = ", ".join(dict.fromkeys(said))
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _month(at: datetime) -> str:
    return f"{at:%B %Y}"
