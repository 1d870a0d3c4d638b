"""The way from the bot to the published overlay: opened on first use, shared, and switched off by one variable."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, cast

from components.softmax_regression import Matrix

SWITCH = "EVERGREEN_OVERLAY"  # "off" for a bot that answers from its trained model alone


class Entry(Protocol):
    """A published entry, as far as the bot needs it."""

    @property
    def entry_id(self) -> str:
        """The entry's name in logs and metrics."""
        ...

    @property
    def label(self) -> str:
        """An intent, or a full retrieval key such as `learned/loyalty_points`."""
        ...


class Changes(Protocol):
    """What became of the labels that were merged or retired; false where there are none."""

    @property
    def decided_by(self) -> Mapping[str, str]:
        """The entry behind each change, by the label that changed."""
        ...

    def __bool__(self) -> bool:
        """Returns whether any label has changed."""
        ...

    def concern(self, label: str) -> bool:
        """Returns whether this label has changed."""
        ...

    def now(self, label: str) -> str | None:
        """Returns what a label is today, None if it was retired."""
        ...


class Snapshot(Protocol):
    """All published entries at one version."""

    @property
    def version(self) -> int:
        """The version, which grows with every publication."""
        ...

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries."""
        ...

    @property
    def vectors(self) -> Matrix:
        """The unit vectors of all examples, one a row."""
        ...

    @property
    def owners(self) -> Any:
        """The place in `entries` of the entry that each row belongs to."""
        ...

    @property
    def changes(self) -> Changes:
        """What became of labels."""
        ...

    @property
    def groups(self) -> Any:
        """For each row a number that the rows of all entries with one label share."""
        ...

    def answer_for(self, utter_action: str) -> str | None:
        """Returns the published answer of a response name, if any."""
        ...


class Reader(Protocol):
    """Gives the newest snapshot; it answers from memory while nothing new is published."""

    def snapshot(self) -> Snapshot:
        """Returns what is live now."""
        ...


def overlay_is_on() -> bool:
    """Tells whether the environment leaves the overlay on."""
    return os.environ.get(SWITCH, "on").strip().lower() not in {"off", "0", "false", "no"}


@lru_cache(maxsize=2)
def shared_reader(model_dir: str | None, max_tokens: int) -> Reader:
    """Returns the process's reader; imports and opens nothing before it is called."""
    from components.sentence_encoder import shared_encoder
    from learning.overlay import open_reader

    encoder = shared_encoder(model_dir, 1, max_tokens)
    return cast(Reader, open_reader(encoder.encode, encoder.identity))
