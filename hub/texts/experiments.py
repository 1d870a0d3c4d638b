"""Every string of the pages about A/B tests of wordings."""

from __future__ import annotations

from learning.model import ExperimentState

TITLE = "Experiments"
INTRO = (
    "Wordings of one answer, each told to an equal share of users. A winner is named only once the evidence holds "
    "however often somebody looks."
)
NONE = "There is no experiment yet."
NEW = "New experiment"
STATES = {
    ExperimentState.DRAFT: "Draft",
    ExperimentState.RUNNING: "Running",
    ExperimentState.STOPPED: "Ended",
}
STATE_MEANS = {
    ExperimentState.DRAFT: "Nobody is told anything of it yet.",
    ExperimentState.RUNNING: "People are told its wordings. Nothing ends by itself: that is your decision.",
    ExperimentState.STOPPED: "Everybody is told what the assistant says anyway. It cannot begin again.",
}
METRICS = {
    "resolved": "Conversations that ended well",
    "escalated": "Conversations that needed no person",
    "thumbs": "Thumbs up among the thumbs given",
    "csat": "Marks of 4 or 5 among the marks given",
}
METRIC_SHORT = {
    "resolved": "ended well",
    "escalated": "needed no person",
    "thumbs": "thumbs up",
    "csat": "marks of 4 or 5",
}
ABOUT = "About {label}; counts {metric}."
TIMES = "{start} to {end}"
NOW = "now"
BY = "Written by {who}, {at}"
WINNER = "winner"
ADOPTED = "{winner} was adopted"
CONTROL_TEXT = "What the assistant says anyway"
NO_VERDICT = "The verdict cannot be worked out: {problem}"
REASON_GIVEN = "Reason: {reason}"

# One experiment
BACK = "Back to the experiments"
VERDICT = "What it has shown"
DAYS = "{days} finished days are counted; a day comes in once it is over."
NO_DAYS = "The first figures come in tomorrow: only finished days are counted."
DRAWN = "Share that {metric}, with its interval"
INTERVAL_MEANS = (
    "The line is the share so far. The bar is where the true share lies with a probability of 95 %, before anybody has "
    "looked at the others (Beta prior). Bars that overlap may still differ; the verdict goes by the evidence below."
)
VARIANT = "Wording"
PEOPLE = "People"
GOOD = "Good"
RATE = "Share"
INTERVAL = "95 % interval"
FIGURES = "The figures"
EVIDENCE = "Evidence"
EVIDENCE_MEANS = (
    "How much likelier the outcomes are if the two differ than if they are the same. It may be looked at every day: "
    "two equal wordings ever reach what it takes in at most {chance} % of experiments."
)
EVIDENCE_OF = "{first} and {second}"
EVIDENCE_LINE = "{evidence} to 1, of {needed} to 1 that it takes"
EVIDENCE_BAR = "Evidence that {first} and {second} differ"
BETTER = "{better} is better"
MISSING = "About {people} more people in each if today's difference is the true one."
NO_DIFFERENCE = "There is no difference to speak of."
MORE_THAN = "more than {ratio}"

# Writing one
NEW_TITLE = "New experiment"
CHOOSE = "Which answer"
CHOOSE_HINT = "Only answers of one response can be tried."
CHOOSE_BUTTON = "Choose"
CHOOSE_ANOTHER = "Choose another answer"
SAID_NOW = "What the assistant says now (control)"
NAME = "Name of the experiment"
NAME_HINT = "For colleagues; customers never see it."
METRIC = "What counts as good"
VARIANT_NAME = "Name of wording {number}"
VARIANT_TEXT = "Wording {number}"
VARIANT_TEXT_HINT = "The customer reads exactly this."
VARIANT_OPTIONAL = "Optional: leave it empty for fewer wordings."
PREVIEW = "Preview"
PREVIEW_BUTTON = "Preview"
PREVIEW_MEANS = "Each is told to {share} of the users; the same person always gets the same."
CREATE = "Write the draft"
CREATE_HINT = "A draft changes nothing yet. Starting it is a step of its own."
NOTES = "Look at this first"
NOTHING_TO_TRY = "The assistant has no answer of its own that could be tried."

# What can be done
START = "Start"
START_MEANS = (
    "From the next message on each wording is told to {share} of the users: a numbered release, which Releases shows. "
    "While it runs no other wording of this answer can go to a part of the users."
)
STOP = "Stop"
STOP_HEADING = "Stop it"
STOP_MEANS = "Everybody is told what the assistant says anyway, from the next message on. It never begins again."
ADOPT = "Adopt"
ADOPT_HEADING = "Adopt a wording"
ADOPT_MEANS = "The wording becomes the answer for everybody, as a release, and the experiment ends."
ADOPT_FIELD = "Which one"
ADOPT_ANYWAY = "Adopt it even if the evidence does not name it the winner"
ADOPT_ANYWAY_HINT = "Then a reason is needed; both go into the audit log."
SETTLED = "Nothing is left to do: {winner} was adopted."

# What was done, and what went wrong
DONE_CREATED = "{name} is a draft. Nobody is told anything of it before you start it."
DONE_STARTED = "{name} runs: the assistant tells it from the next message on."
DONE_STOPPED = "{name} is stopped: the assistant says what it says anyway."
DONE_ADOPTED = "Release {number}: {winner} is told to everybody."
DONE_ADOPTED_SAME = "{winner} is what the assistant says anyway; the experiment has ended."
BRANCH_PROBLEM = "It is done, but the branch was not written: {problem}"
NEED_REASON = "Say why: the reason goes into the audit log."
NEED_TEXT = "Write at least one wording besides the present one."
NEED_CHOICE = "Choose a wording."
NOT_DONE = "Not done: {what}. What helps: {next_step}."


def share(variants: int) -> str:
    """Return what part of the users each of so many wordings is told to, in words."""
    return {2: "half", 3: "a third", 4: "a quarter"}.get(variants, "a fifth")
