"""What a reading of the learning database brings into the overlay's table, and what is left out of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from learning.model import TEACHING, ProposalKind, ProposalState
from learning.overlay_database import Reading
from learning.overlay_entry import read_entry, unpack_vectors
from learning.overlay_snapshot import OverlayEntry
from learning.overlay_table import OverlayTable
from learning.vectors import Vectors

logger = logging.getLogger(__name__)

ENCODE_AT_ONCE = 16  # texts: about 0.1 s, in which nothing new is read and the process cannot end


class Intake:
    """Brings rows into `table`; what is `broken` is left out, by id with the reason.

    Entries whose vectors are damaged or another encoder's wait until `encode_some` has made them anew.
    """

    def __init__(self, table: OverlayTable, encode: Callable[[list[str]], Vectors], identity: str) -> None:
        self.table = table
        self.broken: dict[str, str] = {}
        self._encode = encode
        self._identity = identity
        self._dimensions = 0
        self._waiting: dict[str, OverlayEntry] = {}
        self._made: dict[str, list[Vectors]] = {}  # vectors of the first examples of entries that wait

    @property
    def waits(self) -> bool:
        """Whether entries wait for their vectors."""
        return bool(self._waiting)

    def __len__(self) -> int:
        """The number of published entries that it was told of, broken ones included."""
        return len(self.table) + len(self._waiting) + len(self.broken)

    def take(self, reading: Reading) -> None:
        """Bring what was read into the table; what stands in it already, and did not change, is not touched."""
        seen = set()
        for row in reading.rows:
            seen.add(self._take_row(row))
        if reading.is_complete:
            self.table.drop_others(seen)
            self.broken = {entry_id: reason for entry_id, reason in self.broken.items() if entry_id in seen}
            self._waiting = {entry_id: entry for entry_id, entry in self._waiting.items() if entry_id in seen}
            self._made = {entry_id: made for entry_id, made in self._made.items() if entry_id in seen}

    def _take_row(self, row: Mapping[str, Any]) -> str:
        """Bring one row into the table; return its entry's id."""
        entry_id, state = str(row["entry_id"]), row["state"]
        self.broken.pop(entry_id, None)
        self._waiting.pop(entry_id, None)
        self._made.pop(entry_id, None)
        if state == ProposalState.PUBLISHED.value:
            try:
                self._put({**row, "entry_id": entry_id})
            except (ValueError, TypeError, KeyError) as error:
                # One broken entry must cost its own answer only, never the bot.
                self.table.drop(entry_id)
                self._quarantine(entry_id, str(error))
        elif row["kind"] == ProposalKind.ANSWER.value and state == ProposalState.ABSORBED.value:
            self.table.put_absorbed(entry_id, str(row["label"]))
        elif (
            row["kind"] == ProposalKind.ANSWER.value
            and state == ProposalState.WITHDRAWN.value
            and row.get("held_by") is not None
        ):
            self.table.put_withdrawn(entry_id, str(row["label"]))
        else:
            self.table.drop(entry_id)
        return entry_id

    def _put(self, row: Mapping[str, Any]) -> None:
        entry = read_entry(row)
        if entry.kind not in TEACHING:
            self.table.put(entry, np.empty((0, 0), dtype=np.float32))
            return
        vectors = None
        if row["encoder"] == self._identity and row["vectors"]:
            vectors = unpack_vectors(row["vectors"], len(entry.examples), self._width())
        if vectors is None:
            self.table.drop(entry.entry_id)
            self._waiting[entry.entry_id] = entry
        else:
            self.table.put(entry, vectors)

    def _width(self) -> int:
        self._dimensions = self._dimensions or int(self._encode([""]).shape[1])
        return self._dimensions

    def _quarantine(self, entry_id: str, reason: str) -> None:
        self.broken[entry_id] = reason
        logger.error(
            "overlay: entry %s is broken (%s) and is left out; withdraw or publish it again", entry_id[:16], reason
        )

    def encode_some(self) -> None:
        """Make some of the vectors that are lacking, and bring the entries into the table that have all of theirs."""
        batch: list[tuple[OverlayEntry, tuple[str, ...]]] = []
        left = ENCODE_AT_ONCE
        for entry in self._waiting.values():
            first = len(self._made.get(entry.entry_id, ()))
            texts = entry.examples[first : first + left]
            batch.append((entry, texts))
            left -= len(texts)
            if not left:
                break
        try:
            self._note_vectors(batch)
        except Exception:  # whatever the encoder stumbles over is in one of these entries alone
            for entry, texts in batch:
                self._encode_alone(entry, texts)

    def _encode_alone(self, entry: OverlayEntry, texts: tuple[str, ...]) -> None:
        try:
            self._note_vectors([(entry, texts)])
        except Exception as error:  # one broken entry must cost its own answer only
            self._waiting.pop(entry.entry_id, None)
            self._made.pop(entry.entry_id, None)
            self._quarantine(entry.entry_id, str(error) if isinstance(error, ValueError) else type(error).__name__)

    def _note_vectors(self, batch: Sequence[tuple[OverlayEntry, tuple[str, ...]]]) -> None:
        vectors = self._encode([text for _, texts in batch for text in texts])
        if vectors.shape != (sum(len(texts) for _, texts in batch), self._width()) or not np.isfinite(vectors).all():
            raise ValueError("its examples cannot be encoded")
        first = 0
        for entry, texts in batch:
            made = self._made.setdefault(entry.entry_id, [])
            made.extend(vectors[first : first + len(texts)])
            first += len(texts)
            if len(made) == len(entry.examples):
                self.table.put(entry, np.stack(made))
                del self._waiting[entry.entry_id], self._made[entry.entry_id]
