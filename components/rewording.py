"""Which variations of a response get another text, and how its slots are filled: one rule for bot and training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rasa.shared.constants import CHANNEL, RESPONSE_CONDITION
from rasa.shared.nlu.constants import TEXT

_BRACES = re.compile(r"\{\{|\}\}|\{([^\n{}]+)\}")


def with_text(variation: dict[str, Any] | None, text: str) -> dict[str, Any]:
    """Returns a variation of a response with another text, and with all else that it has.

    One that was written for a channel or a condition stays as it is: the new text was approved for the general case.
    """
    if variation is None:
        return {TEXT: text}
    return variation if is_special(variation) else {**variation, TEXT: text}


def reworded(variations: Sequence[dict[str, Any]], text: str) -> list[dict[str, Any]]:
    """Returns a response's variations with another text; where none is for the general case, it becomes one."""
    if all(is_special(variation) for variation in variations):
        return [*variations, {TEXT: text}]
    changed: list[dict[str, Any]] = []
    for variation in variations:
        new = with_text(variation, text)
        if new not in changed:
            changed.append(new)
    return changed


def is_special(variation: dict[str, Any]) -> bool:
    """Tells whether Rasa chooses a variation by its channel or its condition."""
    return bool(variation.get(CHANNEL) or variation.get(RESPONSE_CONDITION))


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Returns a response's text with its slots filled in, as Rasa does, but it fails for no text.

    What is no slot stays as it stands, where Rasa raises for a single brace and tells all slots for an empty pair.
    A doubled brace is one brace, as in Rasa.
    """

    def told(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()[0]
        return str(values[name]) if name in values else found.group()

    return _BRACES.sub(told, text)
