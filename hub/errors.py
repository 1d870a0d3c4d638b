"""What the hub itself refuses; everything else it shows comes from `learning.errors`."""

from __future__ import annotations

from learning.errors import EvergreenError


class AccountError(EvergreenError):
    """An account cannot be made, changed or read."""


class Conflict(EvergreenError):
    """What the person decided about has changed since they opened it."""


class Incomplete(EvergreenError):
    """A form lacks something; `what` is the sentence to show beside it."""
