"""Every string of the pages about trainings and models."""

from __future__ import annotations

from learning.gate_rules import State
from learning.jobs import ABSORB, COMPARE, MINE, PREPARE, SWAP, TRAIN
from learning.model import JobKind, JobState

TITLE = "Retraining"
INTRO = (
    "A training makes a new model from the project's data and everything published, compares it with the running one "
    "on messages and conversations that are never trained on, and lets it go live if no rule blocks it."
)
NO_WORKER = (
    "Nobody is there to do it: what you ask for waits until a worker starts (python -m learning schedule, or python -m "
    "learning jobs work)."
)

# The running model
RUNNING = "The running model"
RUNNING_UNKNOWN = "Which model runs is not known yet: a worker looks before each training."
RUNNING_SINCE = "Live since {at}."
ACCURACY = "Understands {after} of {total} held-out messages ({share} %)."
NO_CARD = "It came from no retraining, or from one of an earlier version: nothing more is known of it."
WAITING_ENTRIES = (
    "Answered by the overlay: {entries}. A training teaches them, and takes over those with enough examples."
)
SCHEDULED = "By itself it trains {often}."

# Starting
START = "Train a new model"
START_HINT = "It takes some minutes on this machine; the assistant goes on answering."
DEPLOY_BY_ITSELF = "Let it go live by itself if no rule blocks it"
DEPLOY_BY_ITSELF_HINT = "Without this it waits here for somebody to decide."
START_BUTTON = "Start training"
BUSY = "A training waits or is at work; see above."

# Jobs
KINDS = {
    JobKind.MINE: "Reading conversations",
    JobKind.RETRAIN: "Training",
    JobKind.DEPLOY: "Deploying a model",
    JobKind.MODEL_BACK: "Going back to a former model",
    JobKind.EVALUATE: "Evaluating the running model",
    JobKind.WATCH: "Looking for what is wrong",
    JobKind.DIGEST: "Sending the digest",
    JobKind.PRUNE: "Deleting what is old",
}
STATES = {
    JobState.QUEUED: "Waiting",
    JobState.RUNNING: "At work",
    JobState.DONE: "Done",
    JobState.BLOCKED: "Blocked by the comparison",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}
STEPS = {
    PREPARE: "Preparing",
    TRAIN: "Training",
    COMPARE: "Comparing",
    SWAP: "Loading the model",
    ABSORB: "Tidying up the overlay",
    MINE: "Reading and grouping",
    "watch": "Watching the new model",
    "alerts": "Looking for alerts",
    "digest": "Writing and sending",
    "prune": "Deleting",
}
NOW = "Now"
JOB_BY = "Asked for by {who}, {at}"
ATTEMPT = "It was begun {attempts} times."
STOPPING = "{who} has cancelled it: it stops within seconds."
SILENT = (
    "Its worker has given no sign of life for a minute. If none comes, the next worker begins it again; the second "
    "time it fails."
)
PROGRESS = "Progress of {kind}"
PROGRESS_LINE = "{percent} % done, {seconds} so far"
LEFT = "about {seconds} left"
PROGRESS_UNKNOWN = "{seconds} so far; how long it takes is known after the first time"
LEFT_OVER = "longer than the last time"
STEP_DONE = "done in {seconds}"
STEP_NOW = "for {seconds}"
STEP_NOW_OF = "for {seconds} of about {expected}"
STEP_NEXT = "about {expected}"
CANCEL = "Cancel"
CANCEL_HINT = "The training process is ended. Nothing that is live changes, and nothing stays behind."
WAITS_FOR_WORKER = "It begins as soon as a worker is free."

# One training
JOB_TITLE = "{kind} {number}"
BACK = "Back to retraining"
TOOK = "Took {seconds}."
RESULT = "What came of it"
NEWEST = "The newest comparison"
NO_COMPARISON = "There is no comparison yet: it appears here after the first training."
WENT_LIVE = "The new model went live."
NOT_LIVE = "The new model waits; the former one goes on answering."
BLOCKED = "The new model was not let live."
COMPARED = "Understood"
MODEL = "Model"
BEFORE = "Before"
AFTER = "Now"
HELD_OUT = "Held out"
LABEL = "Intent"
NOISE_NONE = "Both models understand exactly the same held-out messages."
NOISE = (
    "{gained} gained and {lost} lost: a difference of this size would come up in {percent} % of comparisons of two "
    "equally good models. That is noise; do not read much into it."
)
SIGNAL = (
    "{gained} gained and {lost} lost: only {percent} % of comparisons of two equally good models differ so much. The "
    "difference is real for these messages."
)
NOISE_TEST = (
    "McNemar's exact test, two-sided, over the messages that only one of the two understood. The hold-out is small, "
    "and not all that customers say."
)
INTERVAL = (
    "On the hold-out the new model understands {low} to {high} points more, with a probability of 95 % (a bootstrap "
    "over messages)."
)
RULES = "What the rules say"
RULE_NAMES = {
    "overall": "Understanding overall",
    "intents": "Each intent",
    "out_of_scope": "Out of scope",
    "regression": "Regression set",
    "entities": "Entities",
    "stories": "Conversations",
    "latency": "Time to answer",
}
RULE_STATES = {State.PASSED: "passed", State.BLOCKED: "blocks", State.UNDECIDED: "not decidable"}
RULE_EXAMPLES = "Examples"
CASE_FORGOTTEN = "a message that was forgotten or dropped since"
EVALUATIONS = "The running model, measured"
EVALUATIONS_INTRO = (
    "Each time on everything that no model is trained on, by the model alone, without the overlay. A difference is "
    "shown where the cases are the same as the time before."
)
NO_EVALUATIONS = (
    "It was not measured yet: that happens at the times of the schedule, or with python -m learning evaluate."
)
SUITES = {
    "holdout": "Hold-out",
    "regression": "Regression set",
    "out_of_scope": "Out of scope",
    "entities": "Entities",
    "stories": "Conversations",
}
TIME = "ms, p50 / p95"
OF = "{passed} of {total}"
NOT_RUN = "not run"
LABELS_MOVED = "Intents that changed"
LABELS_SAME = "No intent is understood more or less often."
LOST = "Lost: understood before, not any more"
GAINED = "Gained: understood now, not before"
WAS_NOW = "{label}: was {before}, now {after}"
MORE = "and {count} more"
MADE_OF = "Made of"
DATA = "Training data"
DATA_HINT = "SHA-256 of training data, domain and configuration: the same data has the same."
COMMIT = "Commit"
COMMIT_DIRTY = "with changes that were not committed"
COMMIT_NONE = "not in git"
TAUGHT = "Published entries in it"
CHAMPION = "Compared with"
ABSORBED = "Answered by the model from now on: {count}; still by the overlay: {kept}."

# Deploying
DEPLOY = "Let it go live"
DEPLOY_HINT = "It is loaded into the running bot; the former model stays, to go back to."
OVERRIDE = "Let it go live all the same"
OVERRIDE_HINT = (
    "At least one rule says that it is worse. Your reason goes into the audit log with what the rules said. Only an "
    "admin may do this."
)
HELD = "No rule blocks it,"
HELD_HINT = "Your reason goes into the audit log with what happened before. Only an admin may do this."
OVERRIDE_ADMIN = "An admin may let it go live all the same, with a reason."
CANDIDATE_GONE = "Its file is gone; train again to get it back."
CANDIDATE_LATE = "Another model runs by now than the one it was compared with; train again."

# Models
MODELS = "Models that went live"
MODELS_INTRO = "The files of the newest are kept, and always those of the running one and of the one before it."
NO_MODELS = "No model went live by retraining yet."
WENT_LIVE_AT = "Went live"
ENTRIES = "Entries"
RUNS = "runs"
FORMER = "former"
ROLLED_BACK = "rolled back"
NO_FILE = "file deleted"
RUN_AGAIN = "Run it again"
RUN_AGAIN_SUMMARY = "Go back to it"
RUN_AGAIN_HINT = "What newer models had absorbed is answered by the overlay again, at once."
HISTORY = "Former jobs"
NO_JOBS = "No training or change of models was asked for yet."
JOB = "Job"

# What was done, and what went wrong
ASKED = "{kind} {number} is asked for."
CANCELLED = "{kind} {number} is cancelled."
STOPS = "{kind} {number} stops within seconds."
NOT_DONE = "Not done: {what}. What helps: {next_step}."
NEED_REASON = "Say why: the reason goes into the audit log."
MINE_ASKED = "Conversations are read as soon as a worker is free (job {number})."


def duration(seconds: float) -> str:
    """Return a time span as people say it."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """Return a share in percent, with the digits that matter."""
    return f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.1f}" if share >= 0.001 else "less than 0.1"


def entries(number: int) -> str:
    """Return how many entries."""
    return f"{number:,} {'entry' if number == 1 else 'entries'}"
