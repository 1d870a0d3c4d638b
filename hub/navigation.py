"""The hub's areas, as the navigation shows them and as `g` and a letter reach them."""

from __future__ import annotations

from dataclasses import dataclass

from hub import texts
from hub.staff.roles import Right


@dataclass(frozen=True)
class Area:
    """One entry of the navigation; `below` are the addresses of its pages that do not begin like its own."""

    address: str
    label: str
    right: Right
    key: str
    below: tuple[str, ...] = ()

    def holds(self, path: str) -> bool:
        """Whether a page belongs to this area."""
        own = (f"{self.address}/",) if self.address != "/" else ()
        return path == self.address or path.startswith((*own, *self.below))


AREAS = (
    Area("/", texts.INBOX, Right.LOOK, "i", ("/proposals", "/second", "/gaps")),
    Area("/conversations", texts.CONVERSATIONS, Right.LOOK, "c"),
    Area("/releases", texts.RELEASES, Right.LOOK, "r", ("/entries/",)),
    Area("/experiments", texts.EXPERIMENTS, Right.LOOK, "e"),
    Area("/metrics", texts.METRICS, Right.LOOK, "m"),
    Area("/desk", texts.DESK, Right.DESK, "d"),
    Area("/retraining", texts.RETRAINING, Right.LOOK, "t"),
    Area("/audit", texts.AUDIT, Right.AUDIT, "a"),
    Area("/settings", texts.SETTINGS, Right.MANAGE, "s"),
    Area("/status", texts.STATUS, Right.LOOK, "u"),
)
