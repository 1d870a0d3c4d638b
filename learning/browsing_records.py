"""The records of looking through conversations: a page of the list, a transcript, annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from learning.browsing_filter import Filter as Filter  # found where the other records are
from learning.browsing_filter import FilterError as FilterError
from learning.browsing_filter import ReviewMark as ReviewMark

HIDDEN = "<hidden>"  # stands for a value that redaction would take out


class Verdict(str, Enum):
    """What a person says of how a turn was understood; a mere NOTE says nothing of it."""

    RIGHT = "right"
    WRONG = "wrong"
    NOTE = "note"


@dataclass(frozen=True)
class ConversationItem:
    """One conversation in a list.

    `opening` is the first message, redacted, cut; empty until the conversation has been read for searching.
    `signals` are failure kinds. `thumb` is the last thumb: -1, 0, 1. `model` is the id that Rasa gave the model which
    answered last. `cursor` is its place in every list.
    """

    conversation_id: str
    cursor: str
    sender: str
    opening: str
    started: datetime | None
    last_at: datetime | None
    channel: str
    model: str
    turns: int
    failed_turns: int
    intents: tuple[str, ...]
    signals: tuple[str, ...]
    tags: tuple[str, ...]
    lowest_confidence: float | None
    frustration: float | None
    outcome: str
    reason: str
    thumb: int
    thumbs_up: int
    thumbs_down: int
    csat: int | None
    fallbacks: int
    service_failures: int
    escalated_at: datetime | None
    agent_at: datetime | None
    review: ReviewMark


@dataclass(frozen=True)
class Page:
    """A page of a list, the newest first; `total` counts up to `browsing.COUNTED`, `is_more` says that there are more.

    `next_cursor` and `previous_cursor` go to the pages after and before it, None where there is none.
    """

    items: tuple[ConversationItem, ...]
    next_cursor: str | None
    previous_cursor: str | None
    total: int
    is_more: bool


@dataclass(frozen=True)
class Annotation:
    """What a person said of one turn; `said` is the label that it was understood as, `right` the one it should be."""

    annotation_id: str
    turn_id: str
    conversation_id: str
    who: str
    at: datetime
    turn_at: datetime
    verdict: Verdict
    said: str
    right: str
    note: str


@dataclass(frozen=True)
class TurnEntity:
    """An entity that the bot found in a message; its value is redacted."""

    name: str
    value: str
    role: str = ""
    confidence: float | None = None


@dataclass(frozen=True)
class SlotSet:
    """A slot that was set in a turn; its value is redacted, and cut."""

    name: str
    value: str


class StepKind(str, Enum):
    """What happened in a turn, one after the other."""

    ACTION = "action"  # it ran
    LOOP = "loop"  # a form began to ask; without a name it ended
    SLOT = "slot"  # it was set
    PRESSED = "pressed"  # a button: an intent without words


@dataclass(frozen=True)
class Step:
    """One thing that happened in a turn; a slot's `value` is HIDDEN where redaction would take it out."""

    kind: StepKind
    name: str
    value: str | bool | None = None


@dataclass(frozen=True)
class TurnSignal:
    """What went wrong with a turn: kind, how surely (0..1), and why, in labels and numbers."""

    kind: str
    weight: float
    evidence: str


@dataclass(frozen=True)
class TranscriptTurn:
    """What a customer said once, how it was understood, and what came of it; every text is redacted.

    `intent` is the whole label, such as `faq/returns`. `mark` changes with what is annotated: it goes back with a
    change, so that the second of two people is told.
    """

    turn_id: str
    at: datetime
    text: str
    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...]
    entities: tuple[TurnEntity, ...]
    familiarity: float | None
    frustration: float | None
    overlay_entry: str | None
    is_fallback: bool
    actions: tuple[str, ...]
    slots: tuple[SlotSet, ...]
    reply: tuple[str, ...]
    agent_reply: tuple[str, ...]
    failed_service: str | None
    clarified: str | None
    thumbs: int
    csat: int | None
    model: str
    signals: tuple[TurnSignal, ...]
    gap_id: str | None
    annotations: tuple[Annotation, ...]
    mark: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """One conversation with its turns; where they cannot be shown `note` says why, and `turns` is empty."""

    item: ConversationItem
    turns: tuple[TranscriptTurn, ...]
    note: str = ""
    proposals: Mapping[str, str] | None = None  # gap -> its newest proposal


@dataclass(frozen=True)
class SavedFilter:
    """A filter under a name: its owner's, or everybody's where it is `shared`."""

    filter_id: str
    name: str
    who: str
    shared: bool
    filter: Filter
    at: datetime


@dataclass(frozen=True)
class Draw:
    """A fixed random set of conversations for a spot check; what is forgotten since has dropped out.

    `done` are those of them whose review is done.
    """

    draw_id: str
    who: str
    at: datetime
    filter: Filter
    seed: int
    conversation_ids: tuple[str, ...]
    done: frozenset[str]


@dataclass(frozen=True)
class Choices:
    """What there is to choose from in a filter: values that occur, the most frequent first."""

    channels: tuple[str, ...]
    intents: tuple[str, ...]
    models: tuple[str, ...]
    reasons: tuple[str, ...]
    signals: tuple[str, ...]
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Annotated:
    """What came of an annotation: the record, and the proposal that has the message as an example now, if any.

    `note` says why there is no example where one could be expected.
    """

    annotation: Annotation
    proposal_id: str | None = None
    note: str = ""
