"""Texts that nobody can see."""

from __future__ import annotations

import unicodedata

# Separators, controls, formats such as zero-width spaces, what is unassigned or private, and marks on nothing.
UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Cn", "Co", "Mn"})
SEEN_AS_NOTHING = frozenset("\u2800\u3164\u115f\u1160\uffa0")  # letters by their category, blank on every screen


def is_blank(text: str) -> bool:
    """Whether a text has nothing that can be seen: spaces, zero-width characters and the like only."""
    return all(char in SEEN_AS_NOTHING or unicodedata.category(char) in UNSEEN for char in text)
