"""Hand-overs in another help desk, where agents answer: what customers write goes there, answers come back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from desk.desk import Desk
from desk.errors import DeskError, Taken
from desk.model import Handover, Kind, Outgoing, State, Step, content_id
from desk.ports import HelpDesk

PAUSE = timedelta(seconds=5)  # between two looks for answers
RARE = timedelta(seconds=60)  # where a webhook tells of answers; one may get lost

logger = logging.getLogger(__name__)


@dataclass
class Mirror:
    """Keeps every open hand-over in step with the other side; each step can be repeated.

    Help desks limit how often they are asked (Zendesk to a few hundred times a minute), so that answers are asked for
    every `pause`, and at once where a webhook has rung.
    """

    other: HelpDesk
    pause: timedelta = PAUSE
    _due: dict[str, datetime] = field(default_factory=dict)  # when to ask for answers next, by hand-over
    _rung: str = ""

    def step(self, desk: Desk) -> None:
        """Bring all open hand-overs up to date; one that fails is tried again after a pause."""
        now, rung = desk.now(), desk.store.rung()
        if rung != self._rung:
            self._rung = rung
            self._due.clear()
        found = desk.store.open_handovers()
        self._due = {one.handover_id: self._due.get(one.handover_id, now) for one in found}
        for handover in found:
            try:
                self._bring_up_to_date(desk, handover, now)
            except Taken:
                logger.info("hand-over %s changed meanwhile; mirrored with the next step", handover.handover_id)
            except DeskError as error:
                logger.warning("hand-over %s: %s", handover.handover_id, error)

    def _bring_up_to_date(self, desk: Desk, handover: Handover, now: datetime) -> None:
        is_due = self._due[handover.handover_id] <= now
        if is_due:
            self._due[handover.handover_id] = now + PAUSE  # where it fails
        if not handover.external_id:
            if not is_due:
                return
            transcript = desk.tracker.transcript(handover.sender_id)
            external_id = self.other.open(handover, transcript)
            opened = Step(desk.now(), self.other.name, "mirrored", external_id)
            handover = desk.store.change(handover, replace(handover, external_id=external_id), opened)
            desk.store.set_mirrored(handover.handover_id, transcript.last_customer_row, "")
            self._due[handover.handover_id] = now
            return
        row, after = desk.store.mirrored(handover.handover_id)
        if handover.customer_row > row:
            row = self._tell(desk, handover, row, after)
        if not is_due:
            return
        for answer_id, agent, text in self.other.answers(handover.external_id, after):
            handover = self._answered(desk, handover, answer_id, agent, text)
            desk.store.set_mirrored(handover.handover_id, row, answer_id)
        self._due[handover.handover_id] = now + self.pause

    def _tell(self, desk: Desk, handover: Handover, row: int, after: str) -> int:
        """Add what the customer has written behind a row; return the last row that is there now."""
        for line in desk.tracker.transcript(handover.sender_id).lines:
            if line.who == "customer" and line.row_id > row:
                self.other.add(handover.external_id, str(line.row_id), line.text, True)
                row = line.row_id
                desk.store.set_mirrored(handover.handover_id, row, after)
        return row

    def _answered(self, desk: Desk, handover: Handover, answer_id: str, agent: str, text: str) -> Handover:
        """Send an agent's answer to the customer; its id makes reading it twice send it once."""
        now = desk.now()
        key = content_id(self.other.name, handover.external_id, answer_id)
        message = Outgoing(key, handover.handover_id, handover.sender_id, Kind.REPLY, agent, text, now)
        after = replace(
            handover,
            state=State.TAKEN,
            agent=agent,
            taken_at=handover.taken_at or now,
            waiting_since=None,
            answered_at=handover.answered_at or now,
            due_at=None,
        )
        step = None if handover.answered_at else Step(now, agent, "answered")
        return desk.store.change(handover, after, step, message)
