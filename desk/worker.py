"""What goes on by itself: reading new events, delivering messages, and keeping promises when nobody comes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

from desk.desk import LEFT_AFTER, PRESENT_FOR, Desk
from desk.errors import NotDelivered, Taken, Undeliverable
from desk.intake import read_new
from desk.mirror import Mirror
from desk.model import Delivery, Handover, Kind, Outgoing, State, Step, content_id
from desk.ports import Bot
from desk.texts import said_to_customer

logger = logging.getLogger(__name__)

DESK = "desk"
LEASE_SECONDS = 10.0  # after which another worker takes over from one that died
TYPING_FOR = timedelta(seconds=3)  # what is older is no news: the next sign comes, or the answer
FIRST_PAUSE = 0.5  # seconds before a delivery is tried again; doubles
LONGEST_PAUSE = 30.0


@dataclass
class Worker:
    """One of possibly several processes; the leader alone works, the others wait for it to die."""

    desk: Desk
    bot: Bot
    mirror: Mirror | None = None  # another help desk, if agents work there

    def __post_init__(self) -> None:
        self._name = uuid4().hex

    def step(self) -> bool:
        """Do all that is to do now; whether this worker is the leader."""
        desk = self.desk
        if not desk.store.lead(self._name, desk.now(), LEASE_SECONDS):
            return False
        read_new(desk)
        writing = desk.store.take_typing(desk.now() - TYPING_FOR)
        for handover in desk.store.open_handovers():
            try:
                self._look_after(handover)
            except Taken:
                logger.info("hand-over %s changed meanwhile; looked at again", handover.handover_id)
            if handover.handover_id in writing:
                self.bot.show_typing(handover.sender_id)
        self.deliver()
        if self.mirror is not None:
            self.mirror.step(desk)
        return True

    def deliver(self) -> None:
        """Try what is to be delivered; within a conversation the order is kept."""
        while due := self.desk.store.due_messages(self.desk.now()):
            # Each of these is delivered, given up or put off, so that this ends.
            for message in due:
                self.desk.store.tried(self._try(message))

    def _try(self, message: Outgoing) -> Outgoing:
        attempts = message.attempts + 1
        try:
            self.bot.deliver(message)
        except NotDelivered as error:
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 10))
            logger.warning("message %s not delivered (attempt %d): %s", message.message_id, attempts, error.what)
            next_at = self.desk.now() + timedelta(seconds=pause)
            return replace(message, attempts=attempts, next_at=next_at, problem=error.what)
        except Undeliverable as error:
            logger.error("message %s can never be delivered: %s", message.message_id, error.what)
            return replace(message, attempts=attempts, state=Delivery.FAILED, problem=error.what)
        return replace(message, attempts=attempts, state=Delivery.DELIVERED, problem="")

    def _look_after(self, handover: Handover) -> None:
        """Put what an agent left back into the queue; tell who waits in silence for too long."""
        desk, now = self.desk, self.desk.now()
        if handover.external_id:
            return  # who works in another help desk is not seen here
        if handover.state is State.TAKEN:
            # Who is off duty and still there goes on with their chats.
            if handover.agent not in desk.store.seen(now - LEFT_AFTER) and self._owes_answer(handover):
                after = replace(handover, state=State.WAITING, agent=None, waiting_since=now, live=True)
                desk.store.change(handover, after, Step(now, DESK, "left", handover.agent or ""))
            return
        since = handover.waiting_since or handover.asked_at
        patience = timedelta(minutes=desk.settings.patience_minutes)
        somebody = desk.hours.is_open(now) and bool(desk.store.agents(now - PRESENT_FOR))
        # Who closed the page for a moment may be back in a minute.
        waited = now - since
        if not handover.live or waited < (patience if somebody else min(patience, PRESENT_FOR)):
            return
        due_at = handover.due_at
        if due_at is None or due_at <= now:
            due_at = desk.hours.add(now, timedelta(hours=desk.settings.promise_hours))
        message = Outgoing(
            content_id("away", handover.handover_id, handover.version),
            handover.handover_id,
            handover.sender_id,
            Kind.AWAY,
            "",
            said_to_customer(Kind.AWAY, "", desk.hours.said(due_at)),
            now,
        )
        desk.store.change(handover, replace(handover, live=False, due_at=due_at), Step(now, DESK, "away"), message)

    def _owes_answer(self, handover: Handover) -> bool:
        """Whether it is the agent's turn, as it is after a transfer and where a message was only looked at."""
        answered = self.desk.store.last_reply_at(handover.handover_id)
        since = max(filter(None, (handover.taken_at, handover.customer_at, handover.asked_at)))
        return handover.waits_for_answer or answered is None or answered < since
