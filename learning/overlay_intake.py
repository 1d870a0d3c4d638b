"""What a reading of the learning database brings into the overlay's table, and what is left out of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from learning.model import TEACHING, ProposalKind, ProposalState
from learning.overlay_database import Reading
from learning.overlay_entry import read_entry, unpack_vectors
from learning.overlay_snapshot import OverlayEntry
from learning.overlay_table import OverlayTable
from learning.vectors import Vectors

logger = logging.getLogger(__name__)

ENCODE_AT_ONCE = 64  # entries that came with another encoder's vectors


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

    def _take_row(self, row: Mapping[str, Any]) -> str:
        """Bring one row into the table; return its entry's id."""
        entry_id, state = str(row["entry_id"]), row["state"]
        self.broken.pop(entry_id, None)
        self._waiting.pop(entry_id, None)
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
        """Make the vectors of some entries that lack them, and bring those into the table."""
        some = [self._waiting[entry_id] for entry_id in list(self._waiting)[:ENCODE_AT_ONCE]]
        for entry in some:
            del self._waiting[entry.entry_id]
            try:
                vectors = self._encode(list(entry.examples))
                if vectors.shape != (len(entry.examples), self._width()) or not np.isfinite(vectors).all():
                    raise ValueError("its examples cannot be encoded")
            except Exception as error:  # whatever the encoder stumbles over is in this entry alone
                self._quarantine(entry.entry_id, str(error) if isinstance(error, ValueError) else type(error).__name__)
                continue
            self.table.put(entry, vectors)
