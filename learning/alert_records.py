"""The records of alerts and of messages to people: frozen and plain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum


class AlertKind(str, Enum):
    """What can be wrong; each has one rule."""

    ACCURACY = "accuracy"
    CONFIDENCE = "confidence"
    TRAFFIC = "traffic"  # of a whole day
    SILENCE = "silence"  # nobody talks when people usually do
    FALLBACK = "fallback"
    BACKEND = "backend"
    DRIFT = "drift"
    MODEL_AGE = "model_age"
    MINING = "mining"
    JOBS = "jobs"
    WAITING = "waiting"  # nobody does what was asked for
    AUDIT = "audit"
    GAP = "gap"


class Severity(str, Enum):
    """How soon somebody should look."""

    CRITICAL = "critical"  # now
    WARNING = "warning"  # this week


class Level(str, Enum):
    """What a rule says at one look."""

    RAISED = "raised"
    HELD = "held"  # not enough to open an alert, too much to close one
    CALM = "calm"
    UNKNOWN = "unknown"  # too little to judge by: what is open stays open


@dataclass(frozen=True)
class Check:
    """What a rule found at one look: `what` in numbers, `since` when, and what to do next; `link` is a hub's path.

    `subject` tells several alerts of a kind apart, such as the id of a gap or the kind of a job.
    """

    kind: AlertKind
    level: Level
    subject: str = ""
    severity: Severity = Severity.WARNING
    title: str = ""
    what: str = ""
    next_step: str = ""
    link: str = "/status"
    since: datetime | None = None


@dataclass(frozen=True)
class Alert:
    """Something that is or was wrong, as people were told of it.

    `seen_at` is when its rule last held. `calm` counts the looks in a row at which it did not. `closed_by` is empty
    where it closed by itself. One that a person has closed is not `armed`: it opens again only after it has been calm.
    """

    alert_id: str
    kind: AlertKind
    subject: str
    severity: Severity
    title: str
    what: str
    next_step: str
    link: str
    since: datetime
    opened_at: datetime
    seen_at: datetime
    calm: int = 0
    told_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: str = ""
    closing_told: bool = False
    armed: bool = True
    snoozed_until: datetime | None = None
    snoozed_by: str = ""
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still wrong, as far as is known."""
        return self.closed_at is None

    def is_snoozed(self, now: datetime) -> bool:
        """Whether nobody wants to be told of it now."""
        return self.snoozed_until is not None and now < self.snoozed_until


@dataclass(frozen=True)
class Message:
    """What is sent to people, in the forms that targets take: all say the same."""

    title: str
    text: str
    html: str
    markdown: str


@dataclass(frozen=True)
class Target:
    """Somebody who is told: a `name` such as "Slack #1" that holds no secret, and a `key` that tells targets apart."""

    name: str
    key: str


@dataclass(frozen=True)
class Delivery:
    """Who got a message, and who did not, each with the reason."""

    delivered: tuple[Target, ...] = ()
    failed: tuple[tuple[Target, str], ...] = ()

    @property
    def problems(self) -> str:
        """The failures in words, empty without any."""
        return "; ".join(f"{target.name} {reason}" for target, reason in self.failed)


@dataclass(frozen=True)
class Opening:
    """The first message of a conversation, redacted, with the day (UTC) and who wrote it."""

    day: date
    sender: str
    text: str


@dataclass(frozen=True)
class Hour:
    """What the conversations add up to whose last message was in the hour from `at` on.

    `fallbacks` and `failures` count conversations with a message that was not understood, and with a back end that did
    not answer. `sure`, `sure_of` and `sure_squares` are the sum, the number and the sum of squares of the lowest
    confidence (0..1) in each.
    """

    at: datetime
    conversations: int = 0
    fallbacks: int = 0
    failures: int = 0
    sure: float = 0.0
    sure_of: int = 0
    sure_squares: float = 0.0
