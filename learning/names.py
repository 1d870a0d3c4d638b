"""The names that people and policies go by in the records."""

from __future__ import annotations

from learning.errors import ReviewError
from learning.model import POLICY


def check_name(who: str) -> None:
    """Raise `ReviewError` if a person goes by a policy's name: a sweep would take back what they approved."""
    if who.startswith(POLICY):
        raise ReviewError(
            f"begins with {POLICY}, as only automatic decisions do", f"name {who!r}", "give your own name"
        )
