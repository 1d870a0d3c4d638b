"""One conversation, turn by turn: what was said, how it was understood, what the bot did, what people say of it.

Texts are read from the tracker store whenever somebody looks, redacted, and kept nowhere: whoever is forgotten there is
gone from here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any

from learning.browsing import item as find_item
from learning.browsing_records import (
    HIDDEN,
    Annotation,
    ConversationItem,
    SlotSet,
    Step,
    StepKind,
    Transcript,
    TranscriptTurn,
    TurnEntity,
    TurnSignal,
)
from learning.conversations import LONGEST_SESSION, SESSION_START, build, is_command
from learning.errors import EvergreenError
from learning.events import (
    ACTION,
    CALLS_SLOT,
    CSAT_SLOT,
    FEEDBACK_SLOT,
    FORM,
    LISTEN,
    OFFER_SLOT,
    SERVICE_SLOT,
    SLOT,
    USER,
    clean_text,
)
from learning.loop import Loop
from learning.model import FailedTurn, Turn, UserEvent, content_id, sender_key
from learning.ports import TrackerEvents
from learning.texts import PLACEHOLDER

ROWS = 20 * LONGEST_SESSION  # of one conversation; those that nobody reads are among them
END = 2**62  # behind every row
RANKED = 10  # intents of one turn
MOST_ENTITIES, MOST_STEPS = 30, 200  # of one turn
LONGEST_SLOT = 200  # characters
LONGEST_NAME = 100
# The bot's own words, and a mark.
SHOWN_SLOTS = frozenset({OFFER_SLOT, SERVICE_SLOT, CSAT_SLOT, "requested_slot"})
# Slots that no story is about.
INNER_SLOTS = frozenset({CALLS_SLOT, FEEDBACK_SLOT, "session_started_metadata"})
ASKING = frozenset({"requested_slot"})  # what a form asks for: a step of the story, and no news of the customer
PRESSED = re.compile(r"\s*/([\w/.-]{1,100})")
GONE = "This conversation is no longer in the tracker store: what was counted of it is all that is left."


@dataclass
class _Details:
    """What the loop does not read of a turn elsewhere."""

    ranking: tuple[tuple[str, float], ...] = ()
    entities: list[TurnEntity] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def read(loop: Loop, conversation_id: str) -> Transcript:
    """Return a conversation; where the tracker store does not have it, or cannot be read, a note says so.

    Raises:
        NotFound: it was never mined, or it was forgotten.

    """
    return read_item(loop, find_item(loop, conversation_id))


def read_item(
    loop: Loop, item: ConversationItem, tracker: TrackerEvents | None = None, with_proposals: bool = True
) -> Transcript:
    """Return the conversation of a list's item, as `read` does.

    Args:
        loop: the loop.
        item: what the list has of it.
        tracker: the tracker store, where somebody reads many and has opened it once.
        with_proposals: whether to tell which proposals its turns led to, for which all of them are looked through.

    """
    try:
        talk, details = _read(loop, item, tracker)
    except EvergreenError as error:
        return Transcript(item, (), f"The messages cannot be shown: {error}.")
    if not talk:
        return Transcript(item, (), GONE)
    clean_talk, clean_details = _redacted(loop, talk, details)
    failed = loop.store.turns_by_id([turn.turn_id for turn in talk])
    said: dict[str, list[Annotation]] = {}
    for annotation in loop.store.annotations_of(item.conversation_id):
        said.setdefault(annotation.turn_id, []).append(annotation)
    turns = tuple(
        _turn(one, detail, failed.get(one.turn.turn_id), said.get(one.turn.turn_id, ()))
        for one, detail in zip(clean_talk, clean_details, strict=True)
    )
    return Transcript(item, turns, proposals=_proposals(loop, turns) if with_proposals else {})


def mark_of(annotations: Sequence[Annotation]) -> str:
    """Return what changes whenever somebody annotates a turn, or takes that back."""
    return content_id("annotations", *sorted(one.annotation_id for one in annotations))


def _read(loop: Loop, item: ConversationItem, tracker: TrackerEvents | None) -> tuple[tuple[Turn, ...], list[_Details]]:
    """Return the turns as they were said, with their details; nothing where the rows are gone."""
    extent = loop.store.conversation_rows([item.conversation_id]).get(item.conversation_id)
    if extent is None:
        return (), []
    first, last = extent
    tracker = tracker or loop.open_tracker()
    sender_id = tracker.senders_at([first]).get(first)
    # A store that was made anew has other people in the same rows.
    if sender_id is None or sender_key(sender_id) != item.sender:
        return (), []
    events = tracker.tails({sender_id: first}, last + 1, LONGEST_SESSION).get(sender_id, [])
    if not events or events[0].row_id != first:
        return (), []
    talk = build(item.sender, events, loop.now(), loop.settings)
    if talk.conversation_id != item.conversation_id:
        return (), []
    begins = [event.row_id for event in events if isinstance(event, UserEvent) and not is_command(event.text)]
    rows = tracker.raw_events(sender_id, first, last, ROWS)
    # Behind the last row that the loop reads there may be others that it does not, such as slots.
    later = tracker.raw_events(sender_id, last + 1, END, MOST_STEPS)
    details = _details([*rows, *takewhile(_goes_on, later)], begins)
    return talk.turns, [details[row_id] for row_id in begins]


def _goes_on(row: tuple[int, str, Mapping[str, Any]]) -> bool:
    """Whether a row belongs to the turn before it."""
    _, kind, data = row
    return kind != USER and data.get("name") != SESSION_START


def _details(rows: Sequence[tuple[int, str, Mapping[str, Any]]], begins: Sequence[int]) -> dict[int, _Details]:
    """Return the details of each turn by its first row; what another version of Rasa writes otherwise is left out."""
    found = {row_id: _Details() for row_id in begins}
    latest = None
    for row_id, kind, data in rows:
        if row_id in found:
            latest = found[row_id] = _of_message(_mapping(data.get("parse_data")))
        elif latest is not None and len(latest.steps) < MOST_STEPS:
            latest.steps += _steps(kind, data)
    return found


def _steps(kind: str, data: Mapping[str, Any]) -> Iterator[Step]:
    """Yield what a row says that happened in a turn, nothing for most rows."""
    name = clean_text(data.get("name"))[:LONGEST_NAME]
    if kind == ACTION and name and name != LISTEN:
        yield Step(StepKind.ACTION, name)
    elif kind == FORM:
        yield Step(StepKind.LOOP, name)
    elif kind == SLOT and name and name not in INNER_SLOTS:
        value = data.get("value")
        yield Step(StepKind.SLOT, name, value if value is None or isinstance(value, bool) else _shown(value))
    elif kind == USER:
        pressed = PRESSED.match(clean_text(data.get("text")))
        if pressed:
            yield Step(StepKind.PRESSED, pressed.group(1))


def _of_message(parsed: Mapping[str, Any]) -> _Details:
    ranking: list[tuple[str, float]] = []
    for entry in _list(parsed.get("intent_ranking"))[:RANKED]:
        one = _mapping(entry)
        ranking.append((clean_text(one.get("name"))[:LONGEST_NAME], _share(one.get("confidence")) or 0.0))
    entities = [_entity(_mapping(one)) for one in _list(parsed.get("entities"))[:MOST_ENTITIES]]
    return _Details(tuple(ranking), [one for one in entities if one.name])


def _entity(data: Mapping[str, Any]) -> TurnEntity:
    return TurnEntity(
        name=clean_text(data.get("entity"))[:LONGEST_NAME],
        value=_shown(data.get("value")),
        role=clean_text(data.get("role"))[:LONGEST_NAME],
        confidence=_share(data.get("confidence_entity")),
    )


def _shown(value: object) -> str:
    """Return a value as text, cut."""
    if value is None:
        return ""
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        return "..."
    return clean_text(text)[:LONGEST_SLOT]


def _redacted(loop: Loop, talk: Sequence[Turn], details: Sequence[_Details]) -> tuple[list[_Said], list[_Details]]:
    """Return a whole conversation redacted, in one go: the same person is the same placeholder all over it.

    What people wrote goes first: so the placeholders have the numbers that they had when it was mined.
    """
    texts = [text for turn in talk for text in (turn.text, *turn.agent_reply)]
    texts += [text for turn in talk for text in turn.reply]
    clean = iter(loop.redactor.redact_conversations([texts])[0])
    people = [(next(clean), tuple(next(clean) for _ in turn.agent_reply)) for turn in talk]
    replies = [tuple(next(clean) for _ in turn.reply) for turn in talk]
    said = [_Said(turn, *person, reply) for turn, person, reply in zip(talk, people, replies, strict=True)]
    left = PLACEHOLDER.sub(" ", "\n".join(text for one in said for text in (one.text, *one.agent_reply, *one.reply)))
    own = {name for detail in details for name, _ in detail.ranking} | {name for turn in talk for name in turn.actions}
    return said, [_without_hidden(detail, left, own) for detail in details]


def _without_hidden(detail: _Details, left: str, own: Set[str]) -> _Details:
    """Return details without the values that redaction has taken out of the conversation.

    A value by itself is too short to tell what it is; where it still stands in what was said (`left`), or is one of
    the bot's `own` names, it may be seen here too.
    """

    def shown(value: str) -> str:
        is_left = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", left, re.IGNORECASE) is not None
        return value if is_left or not value or value in own else HIDDEN

    entities = [replace(one, value=shown(one.value)) for one in detail.entities]
    steps = [
        replace(one, value=shown(one.value)) if isinstance(one.value, str) and one.name not in SHOWN_SLOTS else one
        for one in detail.steps
    ]
    return _Details(detail.ranking, entities, steps)


@dataclass(frozen=True)
class _Said:
    """A turn, and its texts redacted."""

    turn: Turn
    text: str
    agent_reply: tuple[str, ...]
    reply: tuple[str, ...]


def _turn(
    said: _Said, detail: _Details, failed: tuple[str | None, FailedTurn] | None, annotations: Sequence[Annotation]
) -> TranscriptTurn:
    turn = said.turn
    signals = failed[1].signals if failed else ()
    return TranscriptTurn(
        turn_id=turn.turn_id,
        at=turn.at,
        text=said.text,
        intent=turn.intent,
        confidence=turn.confidence,
        ranking=detail.ranking or turn.ranking,
        entities=tuple(detail.entities),
        familiarity=turn.familiarity,
        frustration=turn.frustration,
        overlay_entry=turn.overlay_entry,
        is_fallback=turn.is_fallback,
        actions=turn.actions,
        slots=tuple(_slot(step) for step in detail.steps if step.kind is StepKind.SLOT and step.name not in ASKING),
        reply=said.reply,
        agent_reply=said.agent_reply,
        failed_service=turn.failed_service,
        clarified=turn.clarified,
        thumbs=turn.thumbs,
        csat=turn.csat,
        model=turn.model,
        signals=tuple(TurnSignal(one.kind, one.weight, one.evidence) for one in signals),
        gap_id=failed[0] if failed else None,
        annotations=tuple(annotations),
        mark=mark_of(annotations),
        steps=tuple(detail.steps),
    )


def _slot(step: Step) -> SlotSet:
    return SlotSet(step.name, "" if step.value is None else str(step.value))


def _proposals(loop: Loop, turns: Sequence[TranscriptTurn]) -> dict[str, str]:
    """Return the newest proposal of each gap that a turn is in."""
    gaps = {turn.gap_id for turn in turns if turn.gap_id}
    if not gaps:
        return {}
    own = [one for one in loop.store.proposals() if one.gap_id in gaps]
    return {one.gap_id: one.proposal_id for one in sorted(own, key=lambda one: (one.created_at, one.proposal_id))}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _share(value: object) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and -1.0 <= value <= 2.0 else None  # type: ignore[operator, arg-type]
