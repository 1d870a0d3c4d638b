"""What the desk needs from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from desk.model import Handover, Mark, Outgoing, TrackerRow, Transcript


class Bot(Protocol):
    """The running assistant."""

    def deliver(self, message: Outgoing) -> None:
        """Put a message into its conversation, once however often this is called.

        Raises:
            NotDelivered: it may work later.
            Undeliverable: it never will.

        """

    def show_typing(self, sender_id: str) -> None:
        """Show to a customer that somebody writes; where that fails, nothing is lost and nothing raised."""


class Tracker(Protocol):
    """The assistant's tracker store: the truth about what was said."""

    def new_rows(self, after: int, limit: int) -> tuple[Sequence[TrackerRow], int]:
        """Return what lies behind a row and concerns the desk, and up to which row was read."""

    def exists(self) -> bool:
        """Whether anybody has talked to the assistant yet."""

    def mark(self, row_id: int) -> Mark | None:
        """Return what tells a row from another one that is given its id later, None if there is no such row."""

    def senders(self, row_ids: Sequence[int], until: float | None) -> Mapping[int, str]:
        """Return whose these rows are, without those that are gone or younger than a time."""

    def newest_before(self, row_id: int, at: float) -> int:
        """Return the newest row up to this one whose event is older than a time, 0 if there is none."""

    def transcript(self, sender_id: str) -> Transcript:
        """Return a conversation."""

    def last_customer_row(self, sender_id: str) -> int:
        """Return the row of the customer's last message, 0 if there is none."""


class HelpDesk(Protocol):
    """Another help desk, in which agents work instead of the built-in desk or beside it."""

    name: str

    def open(self, handover: Handover, transcript: Transcript) -> str:
        """Open a ticket or conversation there, once for a hand-over; return its id."""

    def add(self, external_id: str, key: str, text: str, from_customer: bool) -> None:
        """Add a message to it."""

    def close(self, external_id: str, note: str) -> None:
        """Mark it as solved."""

    def answers(self, external_id: str, after: str) -> Sequence[tuple[str, str, str]]:
        """Return what agents wrote there behind an id: (id, agent, text), the oldest first."""
