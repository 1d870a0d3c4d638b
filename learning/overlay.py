"""The published entries as the bot reads them: versioned, swapped whole, and never a reason to fail.

This module is the only part of the loop, with the encoder, that runs inside the Rasa server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from learning.labels import LabelChanges
from learning.model import ANSWERING, TEACHING, ProposalKind
from learning.vectors import Vectors

logger = logging.getLogger(__name__)

VERSION_QUERY = sa.text("SELECT value FROM meta WHERE key = 'overlay_version'")
# All columns: a bot that is newer than its database must still read what was published before.
ENTRIES_QUERY = sa.text("SELECT * FROM entries WHERE state = 'published' ORDER BY release, entry_id")
RETRY_SECONDS = 1.0  # while the database is away, a message must not wait for it again and again


@dataclass(frozen=True)
class CaptureRule:
    """When a message belongs to a published entry; one rule for the live overlay and for replay.

    An entry is as near as the mean cosine to its `entry_neighbors` nearest examples; what is trained is as near as
    the mean to the `training_neighbors` nearest training examples. The defaults were measured on CLINC150: see
    `components.live_overlay.LiveOverlay`.
    """

    min_similarity: float = 0.5
    margin: float = 0.0
    same_text: float = 0.97  # cosine with one example from which a message is that example
    entry_neighbors: int = 2
    training_neighbors: int = 5

    def captures(self, entry: float, closest: float, training: float) -> bool:
        """Decide by the entry's nearness, its closest example, and the nearness of what is trained."""
        if closest >= self.same_text:
            return True
        return entry >= self.min_similarity and entry > training + self.margin


@dataclass(frozen=True)
class OverlayEntry:
    """A live entry: its fields hold what they hold in a `Proposal` of its kind, but that only teaching has examples."""

    entry_id: str
    kind: ProposalKind
    label: str
    examples: tuple[str, ...]
    answer: str | None
    target: str | None = None


@dataclass(frozen=True)
class OverlayMatch:
    """The entry whose example is nearest to a message; `similarity` is a cosine in -1..1."""

    entry: OverlayEntry
    similarity: float


@dataclass(frozen=True)
class OverlaySnapshot:
    """All live entries at one version, the oldest release first.

    `vectors` is (n, d) float32, `owners[i]` the entry of row i; only entries that teach own rows.
    """

    version: int = 0
    entries: tuple[OverlayEntry, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    owners: Vectors = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    @cached_property
    def groups(self) -> Vectors:
        """What rows belong together: for each (n,) the first entry with its label, since a label is taught as one."""
        first: dict[str, int] = {}
        for place, entry in enumerate(self.entries):
            first.setdefault(entry.label, place)
        places = np.array([first[entry.label] for entry in self.entries], dtype=np.int64)
        return np.asarray(places[self.owners] if len(self.owners) else self.owners)

    def nearest(self, vector: Vectors) -> OverlayMatch | None:
        """Return the entry nearest to a unit vector of shape (d,), or None if nothing is live."""
        if not len(self.owners):
            return None
        similarities = self.vectors @ vector
        row = int(np.argmax(similarities))
        return OverlayMatch(self.entries[int(self.owners[row])], float(similarities[row]))

    def answer_for(self, utter_action: str) -> str | None:
        """Return the live answer of a response name such as `utter_learned/loyalty_points`, if any."""
        return self._answers.get(utter_action)

    @cached_property
    def changes(self) -> LabelChanges:
        """What became of the labels that were merged or retired."""
        return LabelChanges.of(self.entries)

    @property
    def renamed(self) -> Mapping[str, str]:
        """The labels that became another one, with what they are now."""
        return self.changes.renamed

    @property
    def retired(self) -> frozenset[str]:
        """The labels that are answered no more."""
        return self.changes.retired

    @cached_property
    def _answers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in self.entries:
            if entry.kind in ANSWERING and entry.answer is not None:
                reworded = entry.target if entry.kind is ProposalKind.REWORD else None
                found[reworded or f"utter_{entry.label}"] = entry.answer
        return found


def pack_vectors(vectors: Vectors) -> bytes:
    """Return (n, d) vectors as the bytes that `entries.vectors` holds."""
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


class OverlayReader:
    """Gives the newest snapshot; one cheap version query a call, a full read only after a publication.

    Args:
        url: the learning database.
        encode: makes (n, d) unit vectors; used only for entries that another encoder's vectors came with.
        encoder_identity: the encoder whose vectors can be compared with the messages.

    """

    def __init__(
        self,
        url: str,
        encode: Callable[[list[str]], Vectors],
        encoder_identity: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = sa.create_engine(url, future=True, pool_pre_ping=not url.startswith("sqlite"))
        self._encode = encode
        self._identity = encoder_identity
        self._clock = clock
        self._snapshot = OverlaySnapshot()
        self._retry_at = 0.0
        self._dimensions = 0
        self._lock = threading.Lock()

    def snapshot(self) -> OverlaySnapshot:
        """Return what is live now; the last good snapshot when the database cannot be read."""
        with self._lock:
            if self._clock() < self._retry_at:
                return self._snapshot
            try:
                with self._engine.connect() as connection:
                    version = int(connection.execute(VERSION_QUERY).scalar() or 0)
                    if version != self._snapshot.version:
                        self._snapshot = self._load(connection, version)
            except (SQLAlchemyError, ValueError) as error:
                self._retry_at = self._clock() + RETRY_SECONDS
                logger.warning(
                    "overlay: cannot read the learning database (%s); version %d stays live",
                    type(error).__name__,
                    self._snapshot.version,
                )
            return self._snapshot

    def _load(self, connection: sa.engine.Connection, version: int) -> OverlaySnapshot:
        entries: list[OverlayEntry] = []
        blocks: list[Vectors] = []
        for row in connection.execute(ENTRIES_QUERY):
            try:
                entry, vectors = self._entry(row)
            except (ValueError, TypeError, KeyError) as error:
                # One broken entry must cost its own answer only, never the bot.
                logger.error(
                    "overlay: entry %s is broken (%s) and is left out; withdraw or publish it again",
                    row.entry_id,
                    error,
                )
                continue
            entries.append(entry)
            blocks.append(vectors)
        teaching = [block for block in blocks if len(block)]
        if not teaching:
            return _checked(OverlaySnapshot(version, tuple(entries)))
        owners = np.repeat(np.arange(len(entries)), [len(block) for block in blocks])
        return _checked(OverlaySnapshot(version, tuple(entries), np.vstack(teaching), owners))

    def _entry(self, row: sa.engine.Row) -> tuple[OverlayEntry, Vectors]:
        kind = ProposalKind(row.kind)
        teaches = kind in TEACHING
        examples = tuple(orjson.loads(row.examples)) if teaches else ()
        entry = OverlayEntry(row.entry_id, kind, row.label, examples, row.answer, row._mapping.get("target"))
        _check(entry)
        if not teaches:
            return entry, np.empty((0, 0), dtype=np.float32)
        vectors = self._stored_vectors(row, len(examples))
        return entry, self._encode(list(examples)) if vectors is None else vectors

    def _stored_vectors(self, row: sa.engine.Row, count: int) -> Vectors | None:
        """Return the vectors that came with the entry, None if they are another encoder's or damaged."""
        if row.encoder != self._identity or not row.vectors:
            return None
        self._dimensions = self._dimensions or int(self._encode([""]).shape[1])
        if len(row.vectors) != count * self._dimensions * np.dtype("<f4").itemsize:
            return None
        vectors = np.frombuffer(row.vectors, dtype="<f4").reshape(count, self._dimensions)
        return vectors if np.isfinite(vectors).all() else None


def _check(entry: OverlayEntry) -> None:
    """Raise `ValueError` if the entry lacks what its kind needs."""
    if not entry.label:
        raise ValueError("it has no label")
    if entry.kind in TEACHING and not (entry.examples and all(isinstance(text, str) for text in entry.examples)):
        raise ValueError("it has no examples")
    if entry.kind in ANSWERING and not entry.answer:
        raise ValueError("it has no answer")
    if entry.kind in (ProposalKind.REWORD, ProposalKind.MERGE) and not entry.target:
        raise ValueError("it has no target")


def _checked(snapshot: OverlaySnapshot) -> OverlaySnapshot:
    """Return the snapshot with its changes worked out, after a word about those that cannot be followed."""
    for entry_id in snapshot.changes.refused:
        logger.error(
            "overlay: entry %s merges labels in a circle and is left out; withdraw it or the merge before it", entry_id
        )
    return snapshot


def open_reader(encode: Callable[[list[str]], Vectors], encoder_identity: str) -> OverlayReader:
    """Return a reader of the learning database that `learning.yml` and the environment name."""
    from learning.settings import load_settings

    return OverlayReader(load_settings().store.url, encode, encoder_identity)
