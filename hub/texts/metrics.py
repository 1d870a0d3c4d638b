"""Every string of the pages: numbers over time, each with its definition and the conversations behind it."""

from __future__ import annotations

from learning.metrics import Better, Verdict
from learning.model import ProposalState

TITLE = "Metrics"
OVERVIEW = "Overview"
RELEASES = "Effect of releases"
CONFUSION = "Confusion"
SERVICES = "Back ends"
REPORT = "Report"
PAGES = "Metrics pages"

# What is asked for.
PERIOD = "Time"
LAST_DAYS = "{days} days"
SINCE = "First day"
UNTIL = "Last day"
COMPARE = "Compare with"
COMPARE_BEFORE = "The days before"
COMPARE_NONE = "Nothing"
COMPARE_YEAR = "A year earlier"
COMPARE_OTHER = "From {day} on"
CHANNEL = "Channel"
ALL_CHANNELS = "All channels"
SHOW = "Show"
NEED_DAY = "A day is written as 2024-03-01. The last 28 days are shown."
NEED_ORDER = "The first day must not come after the last, and at most {most:,} days can be told. The last 28 are shown."
NEED_PRESET = "There are 7, 28 and 90 days, or days that you choose. The last 28 days are shown."
NEED_COMPARE = "Compare with the days before, with nothing, or with a day such as 2024-03-01. Nothing is compared."

# The frame of the numbers.
SPAN = "{since} to {until}, days in UTC"
SPAN_BEFORE = "compared with {since} to {until}"
TODAY_OPEN = "Today is not over."
WAITING = "{days} of the days have changed and are not counted anew yet; the next mining does it."
NO_CONVERSATIONS = "No conversation has been mined yet: the numbers come with the first."
NO_CHANNEL = "No conversation came through this channel."
INTERVAL = "95 % interval: {interval}"
BEFORE = "before: {value}"
BEFORE_BETWEEN = "before: {value} ({interval})"
VERDICTS = {
    Verdict.BETTER: "Better",
    Verdict.WORSE: "Worse",
    Verdict.DIFFERENT: "Different",
    Verdict.UNCLEAR: "No clear difference",
    Verdict.UNKNOWN: "Cannot be compared",
}
CHANGE = "{verdict}, {interval}"
BETTER = {
    Better.MORE: "More is better.",
    Better.LESS: "Less is better.",
    Better.NEITHER: "Neither more nor less is better.",
}
DEFINITION = "What this is"
TREND = "Course of {name}"
COUNT_AND_WORDS = "{count:,} {words}"
OF = "of"
DOUBT = (
    "Intervals hold the true value 95 times in 100. Two times differ where that of their difference leaves zero out:"
    " among a dozen numbers, about every second look still finds one that chance has made."
)

# Charts.
AXIS_DAY = "day of the last message (UTC)"
AXIS_WEEK = "week that begins on (UTC)"
AXIS_SHARE = "share"
AXIS_COUNT = "conversations"
AXIS_CHECKED = "share understood"
AXIS_MS = "time that customers wait"
OUTCOMES_CHART = "How conversations ended"
SHARES_CHART = "Resolution, with its interval"
TROUBLE_CHART = "Fallback, escalation and abandonment"
RATINGS_CHART = "What customers say: marks of 4 or 5, thumbs up"
ACCURACY_CHART = "Intent accuracy of checked messages against the baseline"
TIMES_CHART = "Median time: to the end of resolved conversations, and to a person's first answer"
LATENCY_CHART = "How long back ends take: 95 % of the calls, with the interval"
UNAVAILABLE_CHART = "Calls without an answer, with the interval"
AS_TABLE = "As a table"
DAY = "Day"
RESOLVED = "Resolved"
ESCALATED = "Escalated"
ABANDONED = "Abandoned"

# Reasons.
REASONS = "Why conversations were escalated or abandoned"
OUTCOME = "Outcome"
REASON = "Reason"
COUNT = "Conversations"
SHARE = "Share of all that are over"
SHARE_BEFORE = "Before"
NO_REASONS = "None was."

# Accuracy.
ACCURACY = "Intent accuracy"
ACCURACY_MEANS = (
    "Share of the messages that people have checked (right, or which intent it should have been) that were understood."
    " Check a random draw for a fair figure: who looks where something failed finds more that is wrong."
)
ACCURACY_FEW = "{checked} messages of this time were checked; from {least} on the accuracy is told."
ACCURACY_TOLD = "{share} of {checked:,} checked messages were understood ({interval})."
BASELINE_TOLD = "Baseline: {share} ({interval}), the running model {model} on the hold-out."
NO_BASELINE = "There is no baseline: no model has gone live through the gate yet."
GAP_WORSE = "Clearly under the baseline ({interval})."
GAP_BETTER = "Clearly over the baseline ({interval})."
GAP_UNCLEAR = "No clear difference from the baseline ({interval})."
CHECK_SOME = "Check messages"
ACCURACY_SERIES = "checked messages"
BASELINE_SERIES = "baseline"
CHECKED = "Checked"
UNDERSTOOD = "Understood"

# The loop's work.
WORK = "Proposals and reviewers"
STATES = {
    ProposalState.PENDING: "waiting",
    ProposalState.APPROVED: "approved",
    ProposalState.EDITED: "edited",
    ProposalState.REJECTED: "rejected",
    ProposalState.DEFERRED: "put off",
    ProposalState.PUBLISHED: "live",
    ProposalState.ABSORBED: "in the model",
    ProposalState.WITHDRAWN: "withdrawn",
    ProposalState.SUPERSEDED: "replaced",
}
STATE = "State now"
WAITED = "Half of the {count:,} proposals that people decided in this time had waited at most {time} ({interval})."
NOT_DECIDED = "Nobody decided about a proposal in this time."
AGREEMENT = "Two readers differ about {share} of {count:,} proposals that both read ({interval})."
KAPPA = "Cohen's kappa, agreement beyond chance (1 is full): {kappa:.2f} ({low:.2f} to {high:.2f})."
NO_READINGS = "No proposal was read a second time yet."

# What is saved.
SAVED = "Cost saved"
SAVED_TOLD = "{net} {currency} in this time ({interval} {currency}, from the resolved share)."
SAVED_HOW = (
    "{resolved:,} conversations resolved without a person x {share:g} that would have been tickets x {cost:,.2f}"
    " {currency} a ticket, less {running:,.2f} {currency} running cost."
)
SAVED_NONE = "Nothing can be told: no conversation of this time is over."
SAVED_DOUBT = (
    "Cost and shares are assumptions of your settings (section metrics of learning.yml): nobody can measure how many"
    " would have written a ticket. Conversations that the bot calls resolved are its own account."
)

# Pages of their own.
RELEASES_INTRO = (
    "For each release: how many conversations fail at the need that it was meant for, in as many whole days before and"
    " after it."
)
NO_RELEASES = "Nothing was released yet."
RELEASE = "Release {number}"
TAKEN_BACK = "taken back on {day}"
NO_NEEDS = "It changed no entry: experiments have their own statistics."
SIDE = "Time"
SIDE_BEFORE = "Before"
SIDE_AFTER = "After"
FAILING = "Failing conversations"
ALL = "All conversations"
PER_THOUSAND = "In 1,000"
RESOLVED_OF = "Resolved, of all about the need"
SHOW_NEED = "the need"
CONFUSION_INTRO = "What was meant, and what the bot took it for. Only intents with a mistake are shown."
CHECKED_TITLE = "Messages that people checked, {since} to {until}"
HOLDOUT_TITLE = "Hold-out at the last retraining, of {model}"
HOLDOUT = "Hold-out at the last retraining"
NO_HOLDOUT = "No model has gone live through the gate yet."
NO_MISTAKES = "Of {count:,} messages none was mistaken for another intent."
NOTHING_CHECKED = "No message of this time was checked."
MEANT = "Meant"
TAKEN_FOR = "Taken for"
MESSAGES = "Messages"
MATRIX = "As a matrix"
MATRIX_HINT = "Rows: what was meant. Columns: what it was taken for."
MISTAKES = "Mistakes, the most frequent first"
SERVICES_INTRO = (
    "Every question that actions asked a back end, in conversations of this time. Times are what the customer waited,"
    " retries included."
)
NO_CALLS = "No back end was asked in this time."
OPERATION = "Operation"
CALLS = "Calls"
OK = "Answered"
NOT_FOUND = "Not found"
REFUSED = "Refused"
UNAVAILABLE = "No answer"
UNAVAILABLE_SHARE = "Share without an answer"
MEDIAN = "Median"
P95 = "95 % within"
REPORT_TITLE = "How the assistant is doing"
MADE = "Made on {at}"
NUMBERS = "The numbers"
WHAT = "What"
VALUE = "Value"
BETWEEN = "95 % interval"
BEHIND = "Of"
CHANGED = "Change"
DEFINITIONS = "Definitions"
PRINT_HINT = "Made for paper: print it from your browser (A4), or save it as a PDF."
CSV = "Numbers as CSV"
CSV_DAYS = "Days as CSV"

# For programs.
NEED_TOKEN = "Send the token of EVERGREEN_METRICS_TOKEN (Authorization: Bearer ...), or log in to the hub."
