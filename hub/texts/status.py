"""Every string of the status page: alerts, schedule, evaluations."""

from __future__ import annotations

from hub.texts.retraining import KINDS
from learning.alert_records import Severity
from learning.model import JobKind

ALERTS = "What is wrong"
ALERTS_NONE = "Nothing is wrong, as far as is known."
ALERTS_NEXT = "What to do"
SEVERITIES = {Severity.CRITICAL: "Look now", Severity.WARNING: "Look this week"}
SINCE = "Since {at}"
LOOK = "Look at it"
SNOOZE = "Put it off"
SNOOZE_FOR = "For how long"
SNOOZE_HINT = "Nobody is told of it until then; it stays on this page."
SNOOZED = "Put off"
SNOOZED_UNTIL = "Put off until {at} by {who}"
CLOSE_IT = "Close it"
CLOSE_HINT = "It opens again if it comes back after it has been calm."
REASON = "Reason"
REASON_OPTIONAL = "Reason (optional)"
INBOX_ALERTS = "{count}: see what is wrong"

SCHEDULE = "Schedule"
SCHEDULE_INTRO = "What runs by itself. Times are UTC."
LEADER = "{who} puts what is due into the queue, since {at}."
NO_LEADER = "Nothing runs by itself: no scheduler is there. Start it with python -m learning schedule."
JOB = "Job"
CADENCE = "How often"
LAST = "Last"
NEXT = "Next"
NOT_YET = "not yet"
UNPLANNED = "not planned"
OPEN_NOW = "in the queue or at work"
PAUSED = "Paused by {who}, {at}"
PAUSE = "Pause"
RESUME = "Resume"
RUN_NOW = "Run now"
PAUSE_JOB = "Pause: {job}"
RESUME_JOB = "Resume: {job}"
RUN_JOB = "Run now: {job}"
ACTIONS = "Actions"

ALL_EVALUATIONS = "All evaluations"

NEED_REASON = "Say why it is closed: the reason goes into the audit log."
NEED_DAYS = "Choose for how long nobody is to be told of it."
ASKED_ALREADY = "{job}: it is in the queue or at work already. Nothing was done."
DONE_CLOSED = "Closed: {title}"
DONE_SNOOZED = "Put off for {days}: {title}"
DONE_PAUSED = "{job}: paused. It does not run by itself until somebody resumes it."
DONE_RESUMED = "{job}: resumed."
DONE_ASKED = "{job}: put into the queue."


def name_of(kind: JobKind) -> str:
    """Return a job's name."""
    return KINDS[kind]


def days(number: int) -> str:
    """Return how many days."""
    return "1 day" if number == 1 else f"{number} days"


def open_alerts(number: int) -> str:
    """Return how many alerts are open."""
    return "1 alert is open" if number == 1 else f"{number} alerts are open"
