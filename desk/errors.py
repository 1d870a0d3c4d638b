"""What can go wrong at the desk."""

from __future__ import annotations

from learning.errors import EvergreenError


class DeskError(EvergreenError):
    """The desk's database or another help desk cannot be used."""


class Taken(EvergreenError):
    """Somebody else was quicker, or the hand-over is in another state by now."""


class NotSaid(EvergreenError):
    """A message or a note cannot be sent as it is."""


class Undeliverable(EvergreenError):
    """A message can never reach its conversation."""


class NotDelivered(EvergreenError):
    """A message has not reached its conversation yet; it is tried again."""
