"""Every string of the pages: accounts and settings."""

from __future__ import annotations

from hub.staff.roles import Role

# Accounts
ACCOUNTS = "Accounts"
ACCOUNTS_INTRO = "Who may use the hub, and as what. A change holds with the person's next click."
ADD = "Add an account"
ADD_ONE = "Add it"
NAME = "Name"
NAME_HINT = "Small letters, digits, dots and dashes. It appears in the records of what the person decides."
ROLE = "Role"
CHANGE_ROLE = "Change"
ROLE_OF = "Role of {name}"
CREATED = "Since"
LOGS_IN = "Logs in with"
WITH_PASSWORD = "a password"
WITH_PROVIDER = "the identity provider, which decides about the role"
CLOSED = "closed"
ACTIONS = "Change"
NEW_PASSWORD = "New password"
CLOSE = "Close"
OPEN = "Open again"
REMOVE = "Remove"
REMOVE_OF = "Remove {name} for good"
REMOVE_HINT = "What {name} decided stays in the records under this name. Closing keeps the name from being used again."
SHOWN_ONCE = "The password of {name}, shown this once:"
SHOWN_ONCE_HINT = "Give it to the person. It is kept nowhere that anybody could read it; they can choose another one."
DONE_ROLE = "{name} is {role} now."
DONE_CLOSED = "{name} is closed; whoever was logged in with it is logged out."
DONE_OPENED = "{name} is open again."
DONE_REMOVED = "{name} is removed."
NOT_CHANGED = "Not changed: {item} {what}; {next_step}."
NEED_ROLE = "Choose a role."
ROLES = {
    Role.VIEWER: "Viewer",
    Role.REVIEWER: "Reviewer",
    Role.AGENT: "Agent",
    Role.ADMIN: "Admin",
}
ROLE_MEANINGS = {
    Role.VIEWER: "looks at everything but the desk, decides nothing",
    Role.REVIEWER: "decides, releases, experiments, retrains, reads the audit log",
    Role.AGENT: "sees the desk and nothing else",
    Role.ADMIN: "may do everything, accounts and settings too",
}

# One's own account
YOURS = "Your account"
YOU_ARE = "You are {name}, {role}: {meaning}."
YOUR_PASSWORD = "Your password"
OLD_PASSWORD = "Password so far"
CHOSEN_PASSWORD = "New password"
CHOSEN_PASSWORD_HINT = "At least {least} characters. Several words are easier to remember than signs."
AGAIN = "New password again"
CHANGE_PASSWORD = "Change it"
NO_PASSWORD = "This account has no password here: the identity provider vouches for you."
DEMO_PASSWORD = "The password of this account comes from EVERGREEN_HUB_DEMO_PASSWORD."
WRONG_PASSWORD = "The password so far is wrong."
NOT_THE_SAME = "The two new passwords differ."
SHORT_PASSWORD = "The new password needs {least} to {most} characters."
DONE_PASSWORD = "Your password is changed. Everybody else who was logged in as you is logged out."
SESSIONS = "Other devices"
SESSIONS_INTRO = "Logs out every browser but this one."
END_OTHERS = "Log out elsewhere"
DONE_ENDED = "Logged out elsewhere: {count}."

# Login by an identity provider
LOGIN_PROVIDER = "Log in with {provider}"
LOGIN_OR = "or with a password"
PROVIDER_REFUSED = "The identity provider's answer was not accepted: {why}."
PROVIDER_NO_ROLE = "Your groups give you no role in the hub. Ask an admin of the hub."
PROVIDER_AWAY = "The identity provider cannot be reached at the moment. Try again, or log in with a password."

# Settings
SETTINGS = "Settings"
SETTINGS_INTRO = (
    "What may be set without touching a file. What is set here goes before learning.yml, and is in the audit log with "
    "who, before and after."
)
SET_HERE = "set here"
LOCKED = "Set in the environment by {variable}; it cannot be changed here."
IN_FILE = "learning.yml: {value}"
BY_DEFAULT = "Default: {value}"
NOTHING = "nothing"
BOUNDS = "From {low} to {high}."
LIST_HINT = "Separated by commas."
SAVE = "Save"
RESET = "Back to learning.yml"
AT_NOW = "Holds at once in the hub, and with the next job elsewhere."
AT_START = "Holds when the desk starts next."
DONE_SET = "{label} is {value} now."
DONE_RESET = "{label} is as learning.yml says: {value}."
SET_MEANWHILE = "Somebody else has set this meanwhile. Look at it again; nothing was changed."
NOT_ACCEPTED = "Not accepted: {what}; {next_step}."
SECTIONS = {
    "autonomy": "What may go live without a person",
    "rollout": "How an approved entry reaches its users",
    "review": "Second readings",
    "signals": "When a message counts as failed",
    "gaps": "When messages are a need",
    "priority": "Which needs come first",
    "proposals": "What is proposed",
    "experiments": "When an experiment may name a winner",
    "gate": "What a new model must hold against the running one",
    "evaluation": "What models are measured by",
    "retrain": "What a new model leaves of the overlay",
    "watch": "When a new model goes back by itself",
    "schedule": "When the loop runs by itself",
    "digest": "What people are told by mail or chat",
    "alerts": "When something is wrong enough to be told",
    "metrics": "What numbers are worth",
    "desk": "The desk",
}
# Name of a setting, and what it means with its unit.
LABELS = {
    "autonomy.level": ("Level", "Conservative: nothing goes live alone. Moderate: scores over 90. Advanced: over 80."),
    "autonomy.daily_limit": ("Most releases in a day", "Automatic ones, by UTC days."),
    "autonomy.excluded": ("Topics that always need a person", "Of those that the assistant can tell apart."),
    "autonomy.excluded_intents": ("Intents that always need a person", "Names of intents or questions."),
    "autonomy.excluded_words": ("Words that always need a person", "In the question or the answer."),
    "rollout.steps": ("Steps", "Percent of the users, rising. 100 alone means everybody at once."),
    "rollout.hours": ("Hours from one step to the next", "Hours."),
    "rollout.false_alarms": (
        "Chance of a false alarm",
        "At most: that an entry which does no harm is ever taken back by the stop rule.",
    ),
    "rollout.watch_days": ("Days watched", "After the last step the stop rule looks on for so many days."),
    "review.second_reader_share": ("Share read twice", "Of what was decided, 0 to 1."),
    "review.max_disagreement": ("Disagreement to tell of", "Share of second readings that differ, 0 to 1."),
    "signals.low_confidence": ("Low confidence", "Below it the assistant answered, but was guessing."),
    "signals.unfamiliar": (
        "Unfamiliar",
        "Mean cosine to the nearest training examples under which an answer is doubtful.",
    ),
    "signals.near_tie": ("Near tie", "Two intents that are closer than this are a coin toss."),
    "signals.frustration": ("Frustration", "Mood of a message (0 calm to 1) from which the answer before is in doubt."),
    "gaps.min_people": ("People that make a need", "Fewer are watched, not proposed."),
    "gaps.max_per_sender": ("Messages that count of one person", "So that nobody can flood the queue."),
    "priority.critical_people": ("People a week that make a need critical", "With nothing that answers them."),
    "priority.satisfaction": ("Satisfaction", "Share of good ratings under which an answer is a gap, 0 to 1."),
    "proposals.max_examples": ("Examples of a proposal", "At most."),
    "proposals.retire_days": ("Days of silence", "After which an intent's retirement is proposed."),
    "experiments.false_winners": (
        "Chance of a false winner",
        "At most: that equal wordings are ever told apart, however often somebody looks.",
    ),
    "experiments.min_people": ("People in each variant", "Before a winner is named."),
    "experiments.min_days": ("Days", "Before a winner is named: weekends differ."),
    "gate.max_accuracy_drop": ("Loss that may pass", "Share of held-out messages, if chance explains it."),
    "gate.max_intent_drop": ("Loss of one intent", "Share of its messages; more blocks unless chance explains it."),
    "gate.max_suite_drop": ("Loss of a suite", "Share of the out-of-scope, regression or entity cases."),
    "gate.confidence": ("Confidence", "How sure a loss must be to count as more than chance, 0.5 to 0.999."),
    "gate.least_cases": ("Cases of a suite", "With fewer only the test decides, since one case is too much."),
    "gate.stories": ("Conversations", "all: each goes as written; not_worse: none that went well fails; off."),
    "gate.max_slowdown": ("Times as slow", "As the running model: the most that a new one may take for a message."),
    "evaluation.held_back_share": ("Share held back", "Of approved examples, for the regression set: never trained."),
    "evaluation.cases_per_label": ("Regression cases", "Of one intent, at most."),
    "retrain.absorb_share": ("Share to be absorbed", "Of an entry's messages that the new model understands alone."),
    "retrain.absorb_examples": ("Examples to be absorbed", "That its intent must have been trained on."),
    "retrain.keep_models": ("Models kept", "Newest files, beside the one that runs and the one before."),
    "watch.hours": ("Hours that a new model is watched", "It goes back by itself where people fare worse."),
    "watch.false_alarms": (
        "Models taken back by mistake",
        "Chance at most for one that is no worse.",
    ),
    "watch.least_jump": (
        "Jump",
        "Times the former share of misunderstandings or bad ratings, from which it goes back.",
    ),
    "schedule.mine_minutes": ("Minutes between readings", "How often new conversations are read."),
    "schedule.watch_minutes": ("Minutes between looks at alerts", "And at whether a new model does harm."),
    "schedule.evaluate_cron": ("Evaluation", "Of the running model. Five fields of cron, UTC, as below."),
    "schedule.retrain_cron": ("Retraining", "Five fields of cron, UTC: minute, hour, day, month, weekday."),
    "schedule.digest_cron": ("Digest", "Looks whether one is due. Five fields of cron, UTC."),
    "schedule.prune_cron": ("Tidying up", "Deletes what nobody needs any more. Five fields of cron, UTC."),
    "digest.cadence": ("Digest", "daily, weekly, critical: only days with a critical alert, or off."),
    "digest.gaps": ("Gaps in a digest", "The most urgent ones."),
    "alerts.false_alarms": ("False alarms a month", "At most, of all rules that look at numbers together."),
    "alerts.accuracy_drop": ("Drop of accuracy", "Share of checked messages by which fewer are understood."),
    "alerts.confidence_drop": ("Drop of confidence", "Of the conversations' lowest one, from its usual mean."),
    "alerts.traffic_change": ("Change of traffic", "Share of a usual day's conversations, more or fewer."),
    "alerts.fallback_rise": ("Rise of fallbacks", "Share of conversations with a message not understood."),
    "alerts.failure_rise": ("Rise of back-end failures", "Share of conversations that meet one."),
    "alerts.drift": ("Drift of language", "Difference (0 to 1) of what people say from the weeks before."),
    "alerts.min_conversations": ("Conversations needed", "In a time, before its numbers are judged."),
    "alerts.model_months": ("Age of a model", "In months, from which it is told."),
    "alerts.mine_hours": ("Hours without reading", "Of new conversations, from which it is told."),
    "alerts.failed_jobs": ("Failed jobs", "Of a kind in a row, before it is told."),
    "alerts.waiting_hours": ("Hours of waiting", "Of a job for a worker, before it is told."),
    "alerts.remind_days": ("Days until a reminder", "Of an alert that stays open."),
    "alerts.notices_a_day": ("Notices a day", "About alerts, at most; what comes later waits."),
    "metrics.ticket_cost": ("Cost of a ticket", "That a person handles."),
    "metrics.ticket_share": ("Share of tickets", "Of resolved conversations that would have been tickets, 0 to 1."),
    "metrics.running_cost": ("Running cost", "Of the assistant in a month."),
    "metrics.currency": ("Currency", "As it is shown beside amounts."),
    "metrics.min_checked": ("Checked messages", "Under which no accuracy is told."),
    "desk.hours": ("Opening hours", "When somebody can come into a chat, such as Mon-Fri 08:00-20:00."),
    "desk.closed_days": ("Days off", "Dates on which nobody is there, such as 2026-12-25."),
    "desk.time_zone": ("Time zone", "Of the opening hours, such as Europe/Dublin."),
    "desk.promise_hours": ("Hours until an answer", "Of opening time, for customers who come while nobody is there."),
    "desk.patience_minutes": ("Minutes of waiting in silence", "After them the assistant is back, with a promise."),
}
