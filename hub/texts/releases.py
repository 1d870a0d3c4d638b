"""Every string of the pages about releases and the audit log."""

from __future__ import annotations

from learning.model import EVERYBODY, ReleaseKind

RELEASE_KINDS = {
    ReleaseKind.PUBLISH: "Published",
    ReleaseKind.WITHDRAW: "Withdrawn",
    ReleaseKind.RESTORE: "Restored",
    ReleaseKind.ROLLBACK: "Rolled back",
    ReleaseKind.UNDO: "Decision undone",
    ReleaseKind.ROLLOUT: "Rollout",
    ReleaseKind.STOP: "Stopped by itself",
    ReleaseKind.EXPERIMENT: "Experiment",
}

# Releases: what is live
FIND = "Find by name"
FIND_BUTTON = "Find"
NOTHING_FOUND = "Nothing fits."
MORE_LIVE = "{count} more are not shown; find them by name."
SHARE_TAG = "{share} % of users"
NEXT_STEP = "Goes to {share} % of users on {at}."
PAUSED = "Stays where it is: {why}"
NO_NEXT = "No further step is planned: its share was set by hand."
EVERY = "A step lasts {hours} hours."
SCHEDULE = "Schedule"
STEP_NOW = "Go to {share} % now"
PAUSE = "Stay at {share} %"
RESUME = "Go on with the schedule"
WATCHED = "What followed its answers"
WATCHED_MEANS = (
    "It goes back by itself once one of these is full. The evidence may be looked at at any time: what does no harm is "
    "hardly ever taken back."
)
WATCHED_BAR = "Evidence of harm: {odds} to 1, of {needed} to 1 that it takes"
FIRES = "goes back with the next mining"
SHARE_SUMMARY = "Change who gets it"
SHARE_FIELD = "Share of users in percent"
SHARE_HINT = "1 to 100. The same people keep it while the share grows. To take it from everybody, withdraw it."
SHARE_KEEP = "Go on with the later steps of its schedule"
SHARE_BUTTON = "Change the share"
HANGING_HINT = "What was added to its answer afterwards goes with it, and all of it can be restored."

# Releases: what was taken back
GONE = "Taken back"
GONE_INTRO = "Not live any more. What is restored is live with the next message, for the share of users that it had."
GONE_BY = "Release {number}, {kind}, {who}"
STOPPED_BY_ITSELF = "It went back by itself:"
RESTORE_SUMMARY = "Restore it"
RESTORE = "Restore"
MORE_GONE = "{count} older ones: open the release that took them back."

# Releases: history
CHANGES = "What changed"
CHANGED = "{before} → {after}"
EXPERIMENT_ITEM = "Experiment"
REMOVED_ITEM = "removed"
UNDOES = "takes back release {number}"
UNDONE_BY = "taken back by release {number}"
NOT_CARRIED = "not on the branch: the base has it, or it is not for everybody yet"
OLDER = "Older releases"
NEWER = "Newest releases"

# One release
CONVERSATIONS = "Conversations that it answered"
EFFECT = "Before and after"
EFFECT_CONVERSATIONS = "The conversations behind it"
EFFECT_ALL = "The effect of every release"
RATIO_LOW = "a tenth as many fail"
RATIO_EVEN = "as many"
RATIO_HIGH = "ten times"
DIFF = "Files"
DIFF_LINES = "The change of data/learned/, {count} lines"
DIFF_MORE = "{count} more lines: python -m learning releases show {number}"
RELEASE_TITLE = "Release {number}"
BACK_TO_RELEASES = "Back to the releases"
REASON_GIVEN = "Reason: {reason}"
ROLL_BACK_HEADING = "Take this release back"
ROLL_BACK_INTRO = "As a new release; history stays as it is. With the next message this would change:"
ROLL_BACK = "Take release {number} back"
BACK_TO_HEADING = "Go back to how it was after this release"
BACK_TO_INTRO = "Everything that came later is taken back, as one new release. With the next message this would change:"
BACK_TO = "Go back to release {number}"
NOT_POSSIBLE = "Not possible: this release {what}."
HELPS = "What helps: {next_step}."

# Audit
AUDIT = "Audit"
AUDIT_INTRO = "Who did what, and when. Rows are only ever added; each is sealed by the hash of the one before it."
FILTER = "Filter"
ITEM = "Item"
ITEM_HINT = "How its id begins"
WHAT = "What"
SINCE = "From (UTC)"
UNTIL = "Until, inclusive (UTC)"
SHOW = "Show"
CLEAR = "Show all"
NUMBER = "Row"
MOVE = "Change"
NO_ROWS = "No row fits."
OLDER_ROWS = "Older rows"
NEWEST_ROWS = "Newest rows"
EXPORT = "Export the whole log"
EXPORT_JSONL = "JSON lines"
EXPORT_CSV = "CSV"
EXPORT_HINT = "This checks an exported file:"
NEED_DATE = "Dates look like 2026-11-30."

# What was done
DONE_ROLLED_BACK = "Release {number} takes release {undone} back."
DONE_BACK_TO = "Release {number}: what is live is what was live after release {target}."
DONE_RESTORED = "Release {number}: {label} is live again."
DONE_PAUSED = "{label} stays at its share until somebody lets it go on."
DONE_RESUMED = "{label} goes on with its schedule."
DONE_SHARE = "Release {number}: {label} goes to {share} % of users now."
BRANCH_PROBLEM = "It is done, but the branch was not written: {problem}"

# What went wrong
NEED_SHARE = "Give a whole number from 1 to 100."
CHANGED_MEANWHILE = (
    "What is live has changed since you opened the page. Look at it again before you decide; nothing was done."
)
NOT_DONE = "Not done: {what}. What helps: {next_step}."


def share(percent: int) -> str:
    """Return who gets something, in words."""
    if percent <= 0:
        return "nobody"
    return "everybody" if percent >= EVERYBODY else f"{percent} %"
