"""Events of the tracker store become conversations: one session each, with its turns and how it ended.

A session begins with the first real message of a customer (a pressed button or `/greet` is none: it steers the
dialogue, but could not be misunderstood). It ends

- where Rasa starts a new session (`action_session_start`),
- before a message, typed or pressed, that comes after more than `conversations.idle_minutes` of silence of both
  sides, or
- after `LONGEST_SESSION` events, so that what never ends is read in pieces.

A slot or an action never begins one: a late thumb belongs to the session before, and an agent's mark to that of the
answer that it is on. What lies between a session's
end and the next real message belongs to no conversation. Where sessions end depends on nothing before the session's
first event, so that reading may begin at any session.

How a session ended, in this order:

- *open*: its last message is younger than `conversations.idle_minutes`; it may go on.
- *escalated*: a person was asked for (`person_intents`, typed or pressed), an offered one was accepted
  (slot `offer` is `person`, then one of `affirm_intents`), or a hand-over ran (`handoff_actions`). The reason is what
  came right before: `service_failed`, `not_understood`, `dissatisfied` (an answer so far was rated down), or `asked`;
  where the hand-over names its cause (slot `handover`), that: also `frustrated`, `excluded_topic`, `low_confidence`.
- *abandoned*: the customer left right after something that did not help. The reason is `service_failed`,
  `not_understood`, `rated_down`, `unanswered_question` (a form was waiting for its answer), or `doubtful_answer`
  (intent under `signals.low_confidence`, or text under `signals.unfamiliar`, and not rated up; a "that helped" in
  unusual words is none: see `conversations.closing_intents`).
- *resolved*: none of these. The bot's own account: nobody asked the customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone

from learning.events import (
    CALLS_SLOT,
    CHANNEL_LENGTH,
    CSAT_SLOT,
    FEEDBACK_SLOT,
    HANDOVER_SLOT,
    LONGEST_NUMBER,
    OFFER_SLOT,
    RECOMMENDED_SLOT,
    SERVICE_SLOT,
    calls_of,
    clean_text,
    feedback_of,
    mark_of,
    recommended_of,
)
from learning.model import (
    OFF,
    ON,
    ActionEvent,
    BotEvent,
    Conversation,
    Event,
    Outcome,
    ServiceCall,
    SlotEvent,
    Turn,
    UserEvent,
    content_id,
)
from learning.settings import ConversationSettings, Settings

SESSION_START = "action_session_start"  # begins a new session, and sets the slots that are carried over again
LONGEST_SESSION = 5_000  # events, about 700 turns: bounds what a message on top of an endless session costs
# What only the hand-over itself can tell; whether somebody asked by themselves, the messages tell better.
TOLD_REASONS = frozenset({"not_understood", "service_failed", "frustrated", "excluded_topic", "low_confidence"})
OFFERS_PERSON = "person"  # value of the slot `offer`
FIRST_STAMP = 1e9  # seconds since 1970 (the year 2001): smaller ids of messages are no times but counters


def split(events: Sequence[Event], settings: ConversationSettings) -> list[Sequence[Event]]:
    """Return the sessions of one sender, each with its events; `events` are in row order."""
    idle = 60.0 * settings.idle_minutes
    sessions: list[Sequence[Event]] = []
    start, last_message = -1, 0.0
    for position, event in enumerate(events):
        said = isinstance(event, UserEvent)
        if start >= 0 and (
            position - start >= LONGEST_SESSION
            or (said and event.at - last_message > idle)
            or (isinstance(event, ActionEvent) and event.name == SESSION_START)
        ):
            sessions.append(events[start:position])
            start = -1
        if said or isinstance(event, BotEvent):
            last_message = event.at
        if start < 0 and isinstance(event, UserEvent) and not is_command(event.text):
            start = position
    if start >= 0:
        sessions.append(events[start:])
    return sessions


def with_late_marks(sessions: Sequence[Sequence[Event]], events: Sequence[Event]) -> list[Sequence[Event]]:
    """Return the sessions, each with what agents said of its answers after it had ended.

    An agent marks an answer when there is time for it; the customer may be back by then, in a session of their own.

    Args:
        sessions: of one sender, from `split`.
        events: what they were split from, where a mark may lie in any session or in none.

    """
    marks = [event for event in events if isinstance(event, SlotEvent) and marked_answer(event)]
    if not marks:
        return list(sessions)
    found: list[Sequence[Event]] = []
    for session in sessions:
        answers, end = answer_ids(session), session[-1].row_id
        late = [mark._replace(row_id=end) for mark in marks if mark.row_id > end and marked_answer(mark) in answers]
        found.append([*session, *late] if late else session)
    return found


def marked_answer(event: Event) -> str:
    """Return the id of the agent's answer that an event is a mark on, empty where it is none."""
    if not isinstance(event, SlotEvent) or event.name != RECOMMENDED_SLOT:
        return ""
    return recommended_of(event.value)[0]


def answer_ids(events: Sequence[Event]) -> frozenset[str]:
    """Return the ids of what agents answered."""
    return frozenset(event.desk_id for event in events if isinstance(event, BotEvent) and event.by_agent)


def build(sender: str, events: Sequence[Event], now: datetime, settings: Settings) -> Conversation:
    """Return one session as a conversation; `sender` is the pseudonym, `events` are one part of `split`."""
    session = _Session(sender, settings.conversations, events[0].at)
    for event in events:
        session.add(event)
    turns = tuple(draft.turn() for draft in session.drafts)
    last_at = datetime.fromtimestamp(session.last_message, tz=timezone.utc)
    outcome, reason = _judge(session, turns[-1], settings)
    if (now - last_at).total_seconds() < 60 * settings.conversations.idle_minutes:
        outcome, reason = Outcome.OPEN, ""
    return Conversation(
        conversation_id=content_id("conversation", turns[0].turn_id),
        sender=sender,
        turns=turns,
        started=turns[0].at,
        last_at=last_at,
        first_row=events[0].row_id,
        last_row=events[-1].row_id,
        outcome=outcome,
        reason=reason,
        escalated_at=_time(session.escalated_at),
        agent_at=_time(session.agent_at),
        calls=tuple(session.calls),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, tz=timezone.utc)


def _judge(session: _Session, last: Turn, settings: Settings) -> tuple[Outcome, str]:
    """Return how a session that is over ended, and why if not well; see the module's docstring for the rules."""
    if session.escalated:
        return Outcome.ESCALATED, session.escalated
    typed = session.current is not None  # what was pressed after the last turn could not be misunderstood
    signals = settings.signals
    doubtful = last.confidence < signals.low_confidence or (
        last.familiarity is not None and last.familiarity < signals.unfamiliar and last.overlay_entry is None
    )
    if session.service_down:
        return Outcome.ABANDONED, "service_failed"
    if typed and last.is_fallback:
        return Outcome.ABANDONED, "not_understood"
    if last.rating < 0:
        return Outcome.ABANDONED, "rated_down"
    if session.form:
        return Outcome.ABANDONED, "unanswered_question"
    closes = last.intent in settings.conversations.closing_intents and last.confidence >= signals.low_confidence
    if typed and doubtful and not closes and last.rating <= 0 and not last.answers_form:
        return Outcome.ABANDONED, "doubtful_answer"
    return Outcome.RESOLVED, ""


@dataclass(slots=True)
class _Draft:
    """A turn while its events come in."""

    turn_id: str
    event: UserEvent
    form: str  # that was asking when the message came
    reply: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    thumbs: dict[str, int] = field(default_factory=dict)
    failed_service: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)  # payload of a button -> the label it stands for
    clarified: str | None = None
    csat: int | None = None
    led_to_person: bool = False
    agent_reply: list[str] = field(default_factory=list)
    agent_ids: list[str] = field(default_factory=list)  # of what stands in `agent_reply`, empty where it has none
    recommended: set[str] = field(default_factory=set)
    exposed: dict[str, str] = field(default_factory=dict)  # subject -> arm, see `Turn.exposed`

    def turn(self) -> Turn:
        said = self.event
        return Turn(
            turn_id=self.turn_id,
            text=said.text,
            at=datetime.fromtimestamp(said.at, tz=timezone.utc),
            intent=said.intent,
            confidence=said.confidence,
            ranking=said.ranking,
            reply=tuple(self.reply),
            actions=tuple(self.actions),
            channel=said.channel,
            familiarity=said.familiarity,
            frustration=said.frustration,
            overlay_entry=said.overlay_entry,
            # An answer may have several messages: one that was no good is enough.
            thumbs=min(self.thumbs.values(), default=0),
            failed_service=self.failed_service,
            clarified=self.clarified,
            csat=self.csat,
            # A form that cannot use a message runs no more: then a rule or the fallback answers.
            answers_form=bool(self.form) and self.actions[:1] == [self.form],
            led_to_person=self.led_to_person,
            agent_reply=tuple(self.agent_reply),
            recommended=tuple(place for place, one in enumerate(self.agent_ids) if one in self.recommended),
            exposed=tuple(self.exposed.items()),
            model=said.model,
        )


class _Session:
    """A session while its events come in."""

    def __init__(self, sender: str, settings: ConversationSettings, began: float) -> None:
        self._sender = sender
        self._settings = settings
        self._began = began
        self._repeats: dict[str, int] = {}
        self._answers: list[tuple[float | None, _Draft]] = []
        self._offered = False
        self.drafts: list[_Draft] = []
        # The latest turn outlives `current`: a pressed button ends the turn, but what follows is still about it.
        self.current: _Draft | None = None
        self.last_message = began
        self.form = ""
        self.service_down = False
        self.escalated = ""
        self.escalated_at: float | None = None
        self.agent_at: float | None = None
        self.calls: list[ServiceCall] = []

    def add(self, event: Event) -> None:
        """Take in the next event."""
        if isinstance(event, ActionEvent):
            self._ran(event)
        elif isinstance(event, BotEvent):
            self._answered(event)
        elif isinstance(event, UserEvent):
            self._said(event)
        elif isinstance(event, SlotEvent):
            self._set(event.name, event.value)
            if event.name == HANDOVER_SLOT and isinstance(event.value, dict):
                self._handed_over(event.value.get("reason"), event.at)
        else:
            self.form = event.name

    def _said(self, event: UserEvent) -> None:
        text = event.text
        if self.current is not None and self.current.choices:
            # Only the very next message is the answer: `/track_order` may stand on many other buttons.
            self.current.clarified = self.current.choices.get(text.strip())
        accepted = self._offered and event.intent in self._settings.affirm_intents
        if accepted or event.intent in self._settings.person_intents:
            self._escalate(self.drafts[-1] if self.drafts else None, event.at)
        self._offered = self.service_down = False
        self.current = None
        self.last_message = event.at
        if not is_command(text):
            self.current = _Draft(self._turn_id(event), event, self.form)
            if event.overlay_entry:
                self.current.exposed[event.overlay_entry] = ON
            if event.withheld:
                self.current.exposed.setdefault(event.withheld, OFF)
            self.drafts.append(self.current)

    def _ran(self, event: ActionEvent) -> None:
        if event.name in self._settings.handoff_actions and not self.escalated:
            before = self.drafts[:-1] if self.current is not None else self.drafts
            self._escalate(before[-1] if before else None, event.at)
        if self.current is not None:
            self.current.actions.append(event.name)

    def _answered(self, event: BotEvent) -> None:
        self.last_message = event.at
        self._answers.append((event.stamp, self.drafts[-1]))
        if event.by_agent:
            # What an agent says is no answer of the bot: the turn stays as failed as it was.
            if event.text:
                self.drafts[-1].agent_reply.append(event.text)
                self.drafts[-1].agent_ids.append(event.desk_id)
                self.agent_at = event.at if self.agent_at is None else self.agent_at
            return
        for subject, arm in event.exposed:
            self.drafts[-1].exposed.setdefault(subject, arm)
        if self.current is not None:
            if event.text:
                self.current.reply.append(event.text)
            if event.choices:
                self.current.choices = {**self.current.choices, **event.choices}

    def _set(self, name: str, value: object) -> None:
        if name == FEEDBACK_SLOT:
            message, thumb = feedback_of(value)
            rated = _rated(message, self._answers, self._began) if thumb else None
            if rated:
                rated.thumbs[message] = thumb
        elif name == CSAT_SLOT:
            if mark := mark_of(value):
                answered = [draft for draft in self.drafts if draft.reply]
                (answered or self.drafts)[-1].csat = mark
        elif name == RECOMMENDED_SLOT:
            self._recommended(*recommended_of(value))
        elif name == OFFER_SLOT:
            self._offered = value == OFFERS_PERSON
        elif name == CALLS_SLOT:
            self.calls += calls_of(value)
        elif name == SERVICE_SLOT and value:
            self.service_down = True
            if self.current is not None:
                self.current.failed_service = clean_text(str(value))[:CHANNEL_LENGTH]

    def _recommended(self, desk_id: str, stands: bool) -> None:
        """Note that an agent's answer is what the bot should have said, or that it is not; Rasa may repeat the mark."""
        for draft in self.drafts:
            if desk_id and desk_id in draft.agent_ids:
                (draft.recommended.add if stands else draft.recommended.discard)(desk_id)

    def _handed_over(self, reason: object, at: float) -> None:
        """Note a hand-over that the action has written down; where it knows the cause, that counts."""
        if not self.escalated:
            self._escalate(self.drafts[-1], at)
        if isinstance(reason, str) and reason in TOLD_REASONS:
            self.escalated = reason

    def _escalate(self, before: _Draft | None, at: float) -> None:
        """Note that a person takes over, when, why, and after which turn."""
        if before is not None:
            before.led_to_person = True
        if self.escalated:
            return
        self.escalated_at = at
        if self.service_down or (before is not None and before.failed_service):
            self.escalated = "service_failed"
        elif before is not None and not before.clarified and before.turn().is_fallback:
            self.escalated = "not_understood"
        elif any(draft.turn().rating < 0 for draft in self.drafts):
            self.escalated = "dissatisfied"
        else:
            self.escalated = "asked"

    def _turn_id(self, event: UserEvent) -> str:
        # A message id is stable when a store is copied; the row id stands in where a channel gives none.
        # The time tells a second delivery in a later session apart, the count one in the same.
        identity = f"{event.message_id or event.row_id} {event.at!r}"
        count = self._repeats[identity] = self._repeats.get(identity, 0) + 1
        again = () if count == 1 else (count,)
        return content_id("turn", self._sender, identity, *again)


def _rated(message: str, answers: Sequence[tuple[float | None, _Draft]], began: float) -> _Draft | None:
    """Return the turn that a message of the bot answered; the latest where a channel counts its messages otherwise.

    A message's id is its timestamp; a second one in the same clock tick gets `~2`. None for a message from before the
    session: what was said then is closed.
    """
    base, _, place = message.partition("~")
    latest = answers[-1][1] if answers else None
    try:
        stamp = float(base)
    except ValueError:
        return latest
    same = [draft for at, draft in answers if at == stamp]
    if same:
        which = int(place) if place.isdecimal() and len(place) < LONGEST_NUMBER else 1
        return same[which - 1] if 1 <= which <= len(same) else same[0]
    return None if FIRST_STAMP <= stamp < began else latest


def is_command(text: str) -> bool:
    """Whether a message steers the dialogue, as a pressed button does, and could not be misunderstood."""
    # Rasa ignores blanks before a command, too.
    text = text.lstrip()
    return not text or text[0] == "/"
