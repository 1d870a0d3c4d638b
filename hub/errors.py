"""What the hub itself refuses; everything else it shows comes from `learning.errors`."""

from __future__ import annotations

from learning.errors import EvergreenError


class AccountError(EvergreenError):
    """An account cannot be made, changed or read."""


class Conflict(EvergreenError):
    """What the person decided about has changed since they opened it."""


class Incomplete(EvergreenError):
    """A form lacks something; `what` is the sentence to show beside it."""


class LoginRefused(EvergreenError):
    """The identity provider does not vouch for somebody, or cannot be asked (`is_away`)."""

    def __init__(self, what: str, item: str, is_away: bool = False) -> None:
        super().__init__(what, item, "log in again")
        self.is_away = is_away
