"""Hand-overs in another help desk, where agents answer: what customers write goes there, answers come back."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from desk.desk import Desk
from desk.errors import DeskError, Taken
from desk.model import Handover, Kind, Outgoing, State, Step, content_id
from desk.ports import HelpDesk

logger = logging.getLogger(__name__)


@dataclass
class Mirror:
    """Keeps every open hand-over in step with the other side; each step can be repeated."""

    other: HelpDesk

    def step(self, desk: Desk) -> None:
        """Bring all open hand-overs up to date; one that fails is tried again with the next step."""
        for handover in desk.store.open_handovers():
            try:
                self._bring_up_to_date(desk, handover)
            except Taken:
                logger.info("hand-over %s changed meanwhile; mirrored with the next step", handover.handover_id)
            except DeskError as error:
                logger.warning("hand-over %s: %s", handover.handover_id, error)

    def _bring_up_to_date(self, desk: Desk, handover: Handover) -> None:
        transcript = desk.tracker.transcript(handover.sender_id)
        if not handover.external_id:
            external_id = self.other.open(handover, transcript)
            opened = Step(desk.now(), self.other.name, "mirrored", external_id)
            handover = desk.store.change(handover, replace(handover, external_id=external_id), opened)
            desk.store.set_mirrored(handover.handover_id, transcript.last_customer_row, "")
            return
        row, after = desk.store.mirrored(handover.handover_id)
        for line in transcript.lines:
            if line.who == "customer" and line.row_id > row:
                self.other.add(handover.external_id, str(line.row_id), line.text, True)
                desk.store.set_mirrored(handover.handover_id, line.row_id, after)
                row = line.row_id
        for answer_id, agent, text in self.other.answers(handover.external_id, after):
            handover = self._answered(desk, handover, answer_id, agent, text)
            desk.store.set_mirrored(handover.handover_id, row, answer_id)

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
