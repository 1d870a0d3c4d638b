"""The way from the bot to the published overlay: opened on first use, shared, and switched off by one variable."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol, cast

from components.softmax_regression import Matrix
from learning.overlay import CaptureRule

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


class Match(Protocol):
    """An entry, and how near it is."""

    @property
    def entry(self) -> Entry:
        """The entry."""
        ...

    @property
    def similarity(self) -> float:
        """A cosine, or the mean of some."""
        ...


class Nearest(Protocol):
    """What comes nearest to a message."""

    @property
    def closest(self) -> Match:
        """The entry with the closest example."""
        ...

    @property
    def label(self) -> Match:
        """The label that is nearest as a whole: the entry of its closest example, the mean over its nearest ones."""
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


class Wording(Protocol):
    """What a user is told by a response."""

    @property
    def text(self) -> str | None:
        """The text, None for the domain's own."""
        ...

    @property
    def exposed(self) -> Sequence[tuple[str, str]]:
        """What it was chosen by: the id of an entry or an experiment, and the arm that this user is in."""
        ...


class Snapshot(Protocol):
    """All published entries at one version."""

    @property
    def version(self) -> int:
        """The version, which grows with every publication."""
        ...

    @property
    def dimensions(self) -> int:
        """The length of the vectors of examples, 0 if there are none."""
        ...

    @property
    def partial(self) -> bool:
        """Whether something goes to a part of the users only."""
        ...

    @property
    def has_partial_changes(self) -> bool:
        """Whether some labels change for a part of the users only."""
        ...

    def is_hidden(self, entry_id: str, sender: str | None) -> bool:
        """Returns whether an entry is live, but does not go to a sender."""
        ...

    def find(self, vector: Matrix, rule: CaptureRule, sender: str | None = None) -> Nearest | None:
        """Returns what comes nearest to a message of what its sender gets, if anything is near enough to matter."""
        ...

    def find_for_all(self, vector: Matrix, rule: CaptureRule) -> Nearest | None:
        """Returns what would come nearest if everything went to everybody."""
        ...

    def changes_for(self, sender: str | None) -> Changes:
        """Returns what became of labels for a sender."""
        ...

    def changes_for_all(self, sender: str | None) -> Changes:
        """Returns what would become of labels if everything went to everybody."""
        ...

    def wording(self, utter_action: str, sender: str | None = None) -> Wording:
        """Returns what a user is told by a response name; without one, what is there for everybody."""
        ...


class Reader(Protocol):
    """Gives the newest snapshot, from memory."""

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
