"""The records that cross the stages: frozen, plain, and free of any library."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

LEARNED_INTENT = "learned"
FALLBACK_INTENT = "nlu_fallback"
DEFAULT_FALLBACK_ACTION = "action_default_fallback"  # what Rasa runs when no policy knows what to do
# Signals that the bot understood but a service failed: they are no gap of understanding.
SERVICE_KINDS = frozenset({"backend_failure"})
# Weight from which a turn counts as failed. A weaker one founds no gap, but joins one that it fits.
FAILED_WEIGHT = 0.5
LOW_SCORE = 60  # a proposal under it carries a warning wherever it is shown


def content_id(*parts: object) -> str:
    """Return a 16-digit hex id that depends only on `parts`, so that a second run makes the same one."""
    joined = "\x1f".join(str(part) for part in parts)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def sender_key(sender_id: str) -> str:
    """Return the pseudonym under which a sender is kept outside the tracker store."""
    return content_id("sender", sender_id)


@dataclass(frozen=True)
class RawEvent:
    """One decoded row of the tracker store; `row_id` is its primary key, `at` aware UTC."""

    row_id: int
    sender_id: str
    kind: str
    at: datetime
    data: dict[str, object]


@dataclass(frozen=True)
class EventBatch:
    """Rows up to `last_id`; `senders` have new rows in it, `corrupt` are the row ids that were skipped."""

    last_id: int
    senders: tuple[str, ...]
    events: int
    corrupt: tuple[int, ...]


@dataclass(frozen=True)
class Turn:
    """What a customer said once, how it was understood, and what the bot did until the next message."""

    turn_id: str
    text: str
    at: datetime
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...] = ()
    reply: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    channel: str = ""
    familiarity: float | None = None  # mean cosine to the nearest training examples, where the NLU tells it
    frustration: float | None = None  # 0 calm to 1, where the NLU tells it
    overlay_entry: str | None = None
    thumbs: int = 0
    failed_service: str | None = None
    clarified: str | None = None  # the label that the customer chose when the bot asked what was meant

    @property
    def is_fallback(self) -> bool:
        """Whether the bot did not understand, by its NLU's or its policies' own account."""
        return self.intent in ("", FALLBACK_INTENT) or DEFAULT_FALLBACK_ACTION in self.actions

    @property
    def runner_up(self) -> tuple[str, float] | None:
        """The best intent other than the one chosen, with its confidence."""
        # A retrieval intent stands in the ranking by its base: `faq` is no rival of `faq/shipping_cost`.
        own = (self.intent, self.intent.partition("/")[0], FALLBACK_INTENT)
        others = [entry for entry in self.ranking if entry[0] not in own]
        return others[0] if others else None


@dataclass(frozen=True)
class Conversation:
    """All turns of one sender in order."""

    sender: str
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Finding:
    """A detector's verdict on one turn; `weight` in 0..1 is how surely it means a failure."""

    turn: Turn
    weight: float
    evidence: str


@dataclass(frozen=True)
class Signal:
    """One turn that went wrong: its kind, its evidence, and the redacted text."""

    signal_id: str
    turn_id: str
    sender: str
    kind: str
    text: str
    intent: str
    confidence: float
    weight: float
    evidence: str
    at: datetime
    channel: str
    clarified: str | None = None


@dataclass(frozen=True)
class FailedTurn:
    """A turn with at least one signal about understanding, as gaps see it; `weight` is that of all its signals."""

    turn_id: str
    sender: str
    text: str
    intent: str
    weight: float
    at: datetime
    clarified: str | None = None


@dataclass(frozen=True)
class GoodTurn:
    """A turn that went well, redacted: what a proposal must not break."""

    turn_id: str
    sender: str
    text: str
    label: str


class GapKind(str, Enum):
    """Whether the need is new to the bot or a variation of an intent it has."""

    NEW_NEED = "new_need"
    EXISTING_INTENT = "existing_intent"


class Priority(str, Enum):
    """How much a gap matters; the rules stand in `learning.yml`."""

    CRITICAL = "critical"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True)
class Gap:
    """A group of failed turns about one need; it keeps its id while it grows."""

    gap_id: str
    kind: GapKind
    name: str
    intent: str | None
    priority: Priority
    turn_ids: tuple[str, ...]
    people: int
    first_seen: datetime
    last_seen: datetime


class ProposalKind(str, Enum):
    """What a proposal would change."""

    EXAMPLES = "examples"
    ANSWER = "answer"


class ProposalState(str, Enum):
    """Where a proposal stands; the allowed moves are in `review.MOVES`."""

    PENDING = "pending"
    APPROVED = "approved"
    EDITED = "edited"
    REJECTED = "rejected"
    DEFERRED = "deferred"
    PUBLISHED = "published"
    ABSORBED = "absorbed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Source:
    """Where a sentence of a drafted answer comes from; `similarity` is a cosine in -1..1."""

    document: str
    sentence: str
    similarity: float


@dataclass(frozen=True)
class ScorePart:
    """One term of a score: its name, its value in 0..1, and its share of the total."""

    name: str
    value: float
    share: float


@dataclass(frozen=True)
class Replay:
    """What a proposal would fix and break: counts of turns, and the texts that it would break."""

    failures: int
    fixed: int
    successes: int
    broken: int
    broken_texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """What the machine suggests for a gap; what people say of it is a `Decision`, never a field here."""

    proposal_id: str
    gap_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    sources: tuple[Source, ...]
    score: int
    score_parts: tuple[ScorePart, ...]
    people: int
    turns: int
    state: ProposalState
    created_at: datetime
    deferred_until: datetime | None = None
    deferred_turns: int | None = None
    replay: Replay | None = None


class Action(str, Enum):
    """What a reviewer may do."""

    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    DEFER = "defer"


@dataclass(frozen=True)
class Decision:
    """What a person said of a proposal; the changed fields are set only where they edited them."""

    proposal_id: str
    action: Action
    who: str
    at: datetime
    reason: str = ""
    label: str | None = None
    examples: tuple[str, ...] | None = None
    answer: str | None = None
    defer_until: datetime | None = None
    defer_turns: int | None = None


@dataclass(frozen=True)
class Entry:
    """A published piece of knowledge: examples of a label and, for a new question, its answer."""

    entry_id: str
    proposal_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    release: int
    state: ProposalState


@dataclass(frozen=True)
class Release:
    """What went live in one step: its number, entry, author and time; `commit` once it is on the branch."""

    number: int
    entry_id: str
    who: str
    at: datetime
    commit: str | None = None


@dataclass(frozen=True)
class AuditRow:
    """One step of the hash-chained log."""

    seq: int
    at: datetime
    who: str
    what: str
    item: str
    before: str
    after: str
    reason: str
    evidence_hash: str
    previous_hash: str
    row_hash: str


@dataclass(frozen=True)
class Example:
    """One labelled training example; `label` is the intent or the full retrieval key."""

    text: str
    label: str


@dataclass(frozen=True)
class Prediction:
    """How a model understood one text; `label` is the intent or the full retrieval key."""

    text: str
    label: str
    confidence: float


@dataclass(frozen=True)
class MiningReport:
    """What one mining run did, in counts."""

    events: int = 0
    conversations: int = 0
    signals: int = 0
    new_signals: int = 0
    new_gaps: int = 0
    new_proposals: int = 0
    corrupt_rows: tuple[int, ...] = field(default=())
    total_conversations: int = 0
