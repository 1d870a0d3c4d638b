"""The records of the desk; they know nothing of databases, Rasa or web pages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType

LONGEST_REPLY = 4_000  # characters; about what Slack shows in one message
LONGEST_NOTE = 500


class State(str, Enum):
    """Where a hand-over stands."""

    WAITING = "waiting"  # in the queue
    TAKEN = "taken"  # one agent has it
    RESOLVED = "resolved"  # settled; the assistant answers again
    RETURNED = "returned"  # given back to the assistant, which goes on with it


OPEN_STATES = (State.WAITING, State.TAKEN)
# From -> to. A hand-over that is closed never opens again: what the customer writes then makes a new one.
MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.WAITING: frozenset({State.TAKEN, State.RESOLVED, State.RETURNED}),
        State.TAKEN: frozenset({State.TAKEN, State.WAITING, State.RESOLVED, State.RETURNED}),
        State.RESOLVED: frozenset(),
        State.RETURNED: frozenset(),
    }
)


class Reason(str, Enum):
    """Why a conversation came to a person."""

    ASKED = "asked"
    NOT_UNDERSTOOD = "not_understood"  # twice in a row
    FRUSTRATED = "frustrated"
    EXCLUDED_TOPIC = "excluded_topic"
    SERVICE_FAILED = "service_failed"
    LOW_CONFIDENCE = "low_confidence"  # too many guesses in one conversation
    OFFERED = "offered"  # accepted an offer whose cause is not known
    WROTE_AGAIN = "wrote_again"  # while the assistant was silent and nobody had the conversation any more

    @classmethod
    def of(cls, text: object) -> Reason:
        """Return the reason of that name; what another version wrote counts as asked for."""
        try:
            return cls(text)
        except ValueError:
            return cls.ASKED


class Kind(str, Enum):
    """What the desk puts into a conversation."""

    JOINED = "joined"  # "Anna is here now"
    REPLY = "reply"  # what an agent wrote
    TRANSFERRED = "transferred"
    RESOLVED = "resolved"
    RETURNED = "returned"
    AWAY = "away"  # nobody could come in time
    RECOMMENDED = "recommended"  # "the assistant should have said this": says nothing, learning reads it
    UNRECOMMENDED = "unrecommended"  # that mark taken back


CLOSING = frozenset({Kind.RESOLVED, Kind.RETURNED, Kind.AWAY})  # after these the assistant answers again
MARKS = frozenset({Kind.RECOMMENDED, Kind.UNRECOMMENDED})  # of a reply, whose id is their note; nobody sees them


class Delivery(str, Enum):
    """How far a message has come."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"  # for good: the conversation is gone


@dataclass(frozen=True)
class Handover:
    """One conversation on its way to a person and back."""

    handover_id: str
    sender_id: str
    reason: Reason
    asked_at: datetime
    row_id: int  # of the tracker event that asked
    state: State = State.WAITING
    live: bool = True  # the customer was told that somebody comes now; else a ticket with a promise
    paused: bool = False  # the assistant is silent
    channel: str = ""
    topic: str = ""  # of an excluded topic, or the task that was going on
    mood: float = 0.0  # frustration from 0 to 1
    reference: str = ""  # of the ticket in the shop
    due_at: datetime | None = None  # by when an answer is promised; a person's answer keeps the promise
    agent: str | None = None
    waiting_since: datetime | None = None
    taken_at: datetime | None = None
    answered_at: datetime | None = None  # the first answer of a person
    closed_at: datetime | None = None
    closed_by: str | None = None
    note: str = ""  # what was settled
    customer_at: datetime | None = None  # the customer's last message
    customer_row: int = 0
    seen_row: int = 0  # up to here the agent has read
    read_row: int = 0  # up to here the worker has read; what is read again below it changes nothing
    external_id: str = ""  # in another help desk
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether somebody still has to do something."""
        return self.state in OPEN_STATES

    @property
    def about(self) -> str:
        """What it is about as people say it; a task is named like an intent (`account_balance`, `faq/delivery`)."""
        return self.topic.rpartition("/")[2].replace("_", " ").strip()

    @property
    def has_unread(self) -> bool:
        """Whether the customer has written since the agent last looked."""
        return self.customer_row > self.seen_row

    @property
    def waits_for_answer(self) -> bool:
        """Whether it is the agent's turn."""
        return self.answered_at is None or self.has_unread

    def is_overdue(self, now: datetime) -> bool:
        """Whether a promise was not kept."""
        return self.is_open and self.due_at is not None and self.due_at < now


@dataclass(frozen=True)
class Outgoing:
    """A message on its way into a conversation; `message_id` makes sure that it comes once."""

    message_id: str
    handover_id: str
    sender_id: str
    kind: Kind
    agent: str
    text: str
    at: datetime
    note: str = ""
    state: Delivery = Delivery.QUEUED
    attempts: int = 0
    next_at: datetime | None = None
    problem: str = ""
    taught: bool = False  # "the assistant should have said this"
    position: int = 0


@dataclass(frozen=True)
class Step:
    """Something that happened to a hand-over."""

    at: datetime
    who: str
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Agent:
    """Somebody at the desk."""

    name: str
    seen_at: datetime
    on_duty: bool


@dataclass(frozen=True)
class Outlook:
    """What a customer who asks for a person can expect now."""

    is_open: bool
    agents: int
    ahead: int
    opens: str  # "Monday 08:00", empty while open
    due_at: datetime
    due: str  # "Monday 10:00"

    @property
    def is_live(self) -> bool:
        """Whether somebody can come now."""
        return self.is_open and self.agents > 0


@dataclass(frozen=True)
class Line:
    """One line of a transcript; `who` is customer, assistant, agent or event."""

    row_id: int
    at: datetime
    who: str
    text: str
    name: str = ""  # of the agent, or of the event
    desk_id: str = ""
    intent: str = ""
    frustration: float = 0.0


@dataclass(frozen=True)
class Transcript:
    """What was said in a conversation, and what the assistant knows of the customer."""

    lines: tuple[Line, ...] = ()
    slots: tuple[tuple[str, str], ...] = ()  # as the customer told it
    verified: tuple[tuple[str, str], ...] = ()  # who the host page's signed token says the customer is
    channel: str = ""
    is_cut: bool = False  # there is more before the first line

    @property
    def last_customer_row(self) -> int:
        """The row of the customer's last message, 0 if there is none."""
        return max((line.row_id for line in self.lines if line.who == "customer"), default=0)


@dataclass(frozen=True)
class TrackerRow:
    """A new event of the tracker store that the desk looks at.

    `value` is that of the slot `handover`, or the metadata of a pause: the desk's own say so.
    """

    row_id: int
    sender_id: str
    kind: str
    at: datetime
    value: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Mark:
    """Up to where the tracker store was read: a row, and what tells it from another one that is given its id later."""

    row_id: int = 0
    at: float = 0.0  # Unix time of the event
    key: str = ""  # empty where only the id is known


def content_id(*parts: object) -> str:
    """Return an id made of what identifies a thing, so that making it twice makes it once."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]
