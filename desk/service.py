"""What agents do at the desk: each function is one decision, refused where another one came first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from desk.canned import Canned, load_canned
from desk.desk import ANNOUNCED_FOR, LEFT_AFTER, PRESENT_FOR, Desk
from desk.errors import NotSaid, Taken
from desk.model import (
    LONGEST_NOTE,
    LONGEST_REPLY,
    MARKS,
    MOVES,
    Agent,
    Delivery,
    Handover,
    Kind,
    Outgoing,
    Outlook,
    State,
    Step,
    Transcript,
    content_id,
)
from desk.texts import said_to_customer
from learning.errors import NotFound


@dataclass(frozen=True)
class Chat:
    """One hand-over as an agent sees it."""

    handover: Handover
    transcript: Transcript
    steps: Sequence[Step]
    outgoing: Sequence[Outgoing]  # of this hand-over, also what has not arrived yet
    earlier: Sequence[Handover]
    colleagues: Sequence[Agent]
    canned: Sequence[Canned]
    is_left: bool  # its agent is no longer at the desk: somebody else may take it

    @property
    def pending(self) -> list[Outgoing]:
        """What was said and is not in the conversation yet."""
        return [one for one in self.outgoing if one.state is not Delivery.DELIVERED and one.kind not in MARKS]

    @property
    def taught(self) -> frozenset[str]:
        """The messages that the assistant should have said."""
        return frozenset(one.message_id for one in self.outgoing if one.taught)


@dataclass(frozen=True)
class Queue:
    """The desk at a glance."""

    waiting: Sequence[Handover]
    mine: Sequence[Handover]
    others: Sequence[Handover]
    closed: Sequence[Handover]
    outlook: Outlook
    on_duty: bool
    agents: Sequence[Agent]
    has_worker: bool


def outlook(desk: Desk) -> Outlook:
    """Tell what a customer who asks for a person now can expect."""
    now = desk.now()
    waiting = [one for one in desk.store.open_handovers() if one.state is State.WAITING and one.live]
    due = desk.hours.add(now, timedelta(hours=desk.settings.promise_hours))
    is_open = desk.hours.is_open(now)
    return Outlook(
        is_open=is_open,
        agents=len(desk.store.agents(now - PRESENT_FOR)),
        ahead=len(waiting),
        opens="" if is_open else desk.hours.said(desk.hours.next_opening(now)),
        due_at=due,
        due=desk.hours.said(due),
    )


def announce(desk: Desk, sender_id: str) -> Outlook:
    """Tell what a customer can expect who is being handed over; where somebody comes now, the place is theirs."""
    found = outlook(desk)
    if not found.is_live:
        return found
    now = desk.now()
    return replace(found, ahead=desk.store.announce(sender_id, now, now + ANNOUNCED_FOR))


def queue(desk: Desk, who: str) -> Queue:
    """Return what waits, the longest waiting first, and who is there; looking counts as being there."""
    now = desk.now()
    me = desk.store.touch(who, now)
    found = desk.store.open_handovers()
    return Queue(
        waiting=[one for one in found if one.state is State.WAITING],
        mine=[one for one in found if one.agent == who],
        others=[one for one in found if one.agent not in (None, who)],
        closed=desk.store.closed_handovers(),
        outlook=outlook(desk),
        on_duty=me.on_duty,
        agents=desk.store.agents(now - PRESENT_FOR),
        has_worker=desk.store.has_worker(now),
    )


def chat(desk: Desk, handover_id: str, who: str) -> Chat:
    """Return one hand-over with its conversation; what its agent sees counts as read."""
    now = desk.now()
    desk.store.touch(who, now)
    handover = desk.store.handover(handover_id)
    transcript = desk.tracker.transcript(handover.sender_id)
    if handover.agent == who and handover.is_open:
        desk.store.saw(handover_id, transcript.last_customer_row)
    return Chat(
        handover=handover,
        transcript=transcript,
        steps=desk.store.steps(handover_id),
        outgoing=desk.store.messages(handover_id),
        earlier=[one for one in desk.store.of_sender(handover.sender_id) if one.handover_id != handover_id],
        colleagues=[one for one in desk.store.agents(now - PRESENT_FOR) if one.name != who],
        canned=load_canned(desk.canned),
        is_left=_is_left(desk, handover, now),
    )


def set_duty(desk: Desk, who: str, on_duty: bool) -> None:
    """Go on duty or off; chats that one has stay one's own."""
    desk.store.touch(who, desk.now(), on_duty)


def take(desk: Desk, handover_id: str, who: str, message_id: str) -> Handover:
    """Take a hand-over that waits, or whose agent has left; of two who try, one gets it and the other is told.

    Raises:
        Taken: somebody has it already.

    """
    now, before = desk.now(), desk.store.handover(handover_id)
    if before.state is State.TAKEN and before.agent == who:
        return before  # a second click
    if before.state is not State.WAITING and not _is_left(desk, before, now):
        raise Taken(_has(before), f"hand-over {handover_id}", "choose another one")
    desk.store.touch(who, now, True)
    after = replace(before, state=State.TAKEN, agent=who, taken_at=now, waiting_since=None)
    joined = _outgoing(before, Kind.JOINED, who, now, message_id)
    changed = desk.store.change(before, after, Step(now, who, "taken"), joined)
    desk.audit(who, "take", changed, "")
    return changed


def release(desk: Desk, handover_id: str, who: str) -> Handover:
    """Put a hand-over back into the queue."""
    now, before = desk.now(), _own(desk, handover_id, who)
    # Whatever was promised before: the conversation was with a person, so the customer waits in silence from now on.
    after = replace(before, state=State.WAITING, agent=None, waiting_since=now, live=True)
    changed = desk.store.change(before, after, Step(now, who, "released"))
    desk.audit(who, "release", changed, "")
    return changed


def transfer(desk: Desk, handover_id: str, who: str, to: str, message_id: str) -> Handover:
    """Give a hand-over to a colleague who is on duty; the customer is told.

    Raises:
        NotSaid: there is no such colleague at the desk.

    """
    now, before = desk.now(), _own(desk, handover_id, who)
    if to not in {agent.name for agent in desk.store.agents(now - PRESENT_FOR)} - {who}:
        raise NotSaid("is not on duty now", to[:64] or "nobody", "choose a colleague who is")
    after = replace(before, agent=to, taken_at=now, seen_row=0)
    message = _outgoing(before, Kind.TRANSFERRED, to, now, message_id)
    changed = desk.store.change(before, after, Step(now, who, "transferred", to), message)
    desk.audit(who, "transfer", changed, to)
    return changed


def reply(desk: Desk, handover_id: str, who: str, text: str, message_id: str) -> Outgoing:
    """Say something to the customer; it is recorded first, then delivered until it is there.

    Sending the same `message_id` again is the same message.

    Raises:
        NotSaid: it is empty or too long, or another text was sent under this id.
        Taken: the hand-over is not this agent's.

    """
    now, text = desk.now(), text.strip()
    if not text:
        raise NotSaid("is empty", "message", "write something")
    if len(text) > LONGEST_REPLY:
        raise NotSaid(f"has {len(text)} characters", "message", f"send at most {LONGEST_REPLY} at once")
    sent = desk.store.message(message_id)
    if sent is not None:
        if (sent.handover_id, sent.agent, sent.text) == (handover_id, who, text):
            return sent
        raise NotSaid("was sent before with other words", "message", "read the conversation and send it again")
    before = _own(desk, handover_id, who)
    message = _outgoing(before, Kind.REPLY, who, now, message_id, text)
    after = replace(before, answered_at=before.answered_at or now, due_at=None)
    desk.store.change(before, after, None if before.answered_at else Step(now, who, "answered"), message)
    desk.audit(who, "reply", before, message_id)
    return message


def note_typing(desk: Desk, handover_id: str, who: str) -> None:
    """Note that an agent writes an answer: the customer sees so for a few seconds.

    Raises:
        Taken: the hand-over is not this agent's.

    """
    _own(desk, handover_id, who)
    desk.store.note_typing(handover_id, desk.now())


def close(
    desk: Desk, handover_id: str, who: str, returned: bool, note: str, seen_row: int, message_id: str
) -> Handover:
    """Settle a hand-over: the assistant answers again, and knows what was settled.

    Args:
        desk: the desk.
        handover_id: which one.
        who: the agent.
        returned: the assistant goes on with it, rather than all being done.
        note: what was settled.
        seen_row: the customer's last message that the agent has seen.
        message_id: of the line that tells the customer.

    Raises:
        Taken: the customer has written meanwhile, or somebody else has it.
        NotSaid: the note is too long.

    """
    now, before = desk.now(), desk.store.handover(handover_id)
    if len(note) > LONGEST_NOTE:
        raise NotSaid(f"has {len(note)} characters", "note", f"write at most {LONGEST_NOTE}")
    target = State.RETURNED if returned else State.RESOLVED
    if before.state is target and before.closed_by == who:
        return before  # a second click
    if target not in MOVES[before.state] or before.agent not in (None, who):
        raise Taken(_has(before), f"hand-over {handover_id}", "look at it again")
    if desk.tracker.last_customer_row(before.sender_id) > seen_row:
        raise Taken("has a new message of the customer", f"hand-over {handover_id}", "read it first")
    # What the agent has seen is settled with it, also where the worker has not read it yet.
    desk.store.saw(handover_id, seen_row)
    after = replace(before, state=target, closed_at=now, closed_by=who, note=note.strip())
    kind = Kind.RETURNED if returned else Kind.RESOLVED
    message = _outgoing(before, kind, who, now, message_id, note=note.strip())
    changed = desk.store.change(before, after, Step(now, who, target.value, note.strip()), message)
    desk.audit(who, "return" if returned else "resolve", changed, "")
    return changed


def teach(desk: Desk, handover_id: str, who: str, message_id: str, taught: bool) -> bool:
    """Mark what an agent wrote as what the assistant should have said, or take the mark back; whether that is new.

    The mark is delivered into the conversation as answers are, so that learning finds it there.

    Raises:
        NotFound: no agent has written this message in this hand-over.

    """
    message = desk.store.message(message_id)
    if message is None or message.handover_id != handover_id or message.kind is not Kind.REPLY:
        raise NotFound("is not there", f"message {message_id[:64]}", "look at the conversation again")
    is_new = desk.store.teach(message, taught, who, desk.now())
    if is_new:
        what = "recommend" if taught else "unrecommend"
        desk.audit(who, what, desk.store.handover(handover_id), message_id)
    return is_new


def _own(desk: Desk, handover_id: str, who: str) -> Handover:
    found = desk.store.handover(handover_id)
    if found.state is not State.TAKEN or found.agent != who:
        raise Taken(_has(found), f"hand-over {handover_id}", "look at it again")
    return found


def _is_left(desk: Desk, handover: Handover, now: datetime) -> bool:
    if handover.state is not State.TAKEN or handover.external_id:  # who works in another help desk is not seen here
        return False
    return handover.agent not in desk.store.seen(now - LEFT_AFTER)


def _has(handover: Handover) -> str:
    if handover.state is State.TAKEN:
        return f"is with {handover.agent}"
    if handover.state is State.WAITING:
        return "is in the queue"
    return f"was closed by {handover.closed_by}"


def _outgoing(
    handover: Handover, kind: Kind, agent: str, at: datetime, message_id: str, text: str = "", note: str = ""
) -> Outgoing:
    words = text or said_to_customer(kind, agent)
    if kind is not Kind.REPLY:
        # All forms of a page bear one id; of what is no answer each change of a hand-over says its own.
        message_id = content_id(kind.value, message_id, handover.version)
    return Outgoing(message_id, handover.handover_id, handover.sender_id, kind, agent, words, at, note)
