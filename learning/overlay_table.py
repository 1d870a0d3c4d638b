"""What a reader knows of the published entries, and the snapshots that it makes of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from learning.model import ANSWERING, EVERYBODY, ProposalKind
from learning.overlay_index import RowIndex
from learning.overlay_rows import Rows
from learning.overlay_snapshot import OverlayEntry, OverlaySnapshot, age
from learning.vectors import Vectors
from learning.wordings import LiveAnswer, LiveExperiment, Wordings, response_of

INDEX_FROM = 5_000  # rows; fewer are compared one by one in half a millisecond, and exactly
INDEX_STEP = 500  # rows beyond the index that are worth adding to it
COMPACT_FROM = 5_000  # rows of entries that are gone, which are given back once they are more than the others
CHANGING = (ProposalKind.MERGE, ProposalKind.RETIRE)


class OverlayTable:
    """Holds entries and rows; both are only ever added, so that a snapshot in use never changes.

    One thread at a time may use it. Whatever is told twice is done once: a reading that failed half-way is repeated.
    """

    def __init__(self, index_from: int = INDEX_FROM, index_step: int = INDEX_STEP) -> None:
        self._index_from = index_from
        self._index_step = index_step
        self._slots: list[OverlayEntry] = []
        self._places: dict[str, int] = {}  # of live entries
        self._own_rows: dict[str, range] = {}
        self._vectors: Vectors = np.empty((0, 0), dtype=np.float32)
        self._owners: Vectors = np.empty(0, dtype=np.int32)
        self._groups: Vectors = np.empty(0, dtype=np.int32)
        self._size = 0
        self._numbers: dict[str, int] = {}  # of labels
        self._members: dict[int, list[int]] = {}
        self._spoken: dict[str, dict[str, OverlayEntry]] = {}  # what answers, by response and entry
        self._wordings: dict[str, Sequence[LiveAnswer]] = {}
        self._partial: set[str] = set()
        self._changing: dict[str, OverlayEntry] = {}
        self._answers: dict[str, dict[str, int]] = {}  # shares of the live answers, by label and entry
        self._absorbed: dict[str, str] = {}  # labels whose answer is in the model, by entry
        self._withdrawn: dict[str, str] = {}  # labels that the model still knows, by entry
        self._index: RowIndex | None = None
        self._indexed = 0
        self._may_index = True
        self._gone: list[int] = []  # rows that are still in the index
        self._leaving: list[int] = []  # those of them that no message looks for any more
        self._dead = 0

    # --- entries -------------------------------------------------------------------------------

    def ids(self) -> set[str]:
        """Return the ids of all entries that are live, absorbed or withdrawn from the model."""
        return {*self._places, *self._absorbed, *self._withdrawn}

    def __len__(self) -> int:
        """The number of live entries."""
        return len(self._places)

    def put(self, entry: OverlayEntry, vectors: Vectors) -> None:
        """Make an entry live; `vectors` are (n, d), one row for each example of one that teaches."""
        old = self._places.get(entry.entry_id)
        same_rows = old is not None and self._slots[old].label == entry.label and self._has(entry.entry_id, vectors)
        if old is not None and same_rows and self._slots[old] == entry:
            return
        rows = self._own_rows.pop(entry.entry_id, None) if same_rows else None
        self.drop(entry.entry_id)
        slot = len(self._slots)
        self._slots.append(entry)
        self._places[entry.entry_id] = slot
        if entry.share < EVERYBODY:
            self._partial.add(entry.entry_id)
        if entry.kind in CHANGING:
            self._changing[entry.entry_id] = entry
        if entry.kind in ANSWERING:
            self._spoken.setdefault(response_of(entry), {})[entry.entry_id] = entry
            self._word(response_of(entry))
        if entry.kind is ProposalKind.ANSWER:
            self._answers.setdefault(entry.label, {})[entry.entry_id] = entry.share
        if rows is not None:  # it goes to other users, and nothing else of it is new
            self._owners[rows.start : rows.stop] = slot
            self._own_rows[entry.entry_id] = rows
        elif len(vectors):
            self._own_rows[entry.entry_id] = self._add_rows(slot, entry.label, vectors)

    def put_absorbed(self, entry_id: str, label: str) -> None:
        """Note an answer that the trained model gives by itself."""
        self.drop(entry_id)
        self._absorbed[entry_id] = label

    def put_withdrawn(self, entry_id: str, label: str) -> None:
        """Note an answer that was taken back while the trained model still knows its label."""
        self.drop(entry_id)
        self._withdrawn[entry_id] = label

    def drop(self, entry_id: str) -> None:
        """Take an entry out, if it is known."""
        self._absorbed.pop(entry_id, None)
        self._withdrawn.pop(entry_id, None)
        slot = self._places.pop(entry_id, None)
        if slot is None:
            return
        self._partial.discard(entry_id)
        self._changing.pop(entry_id, None)
        entry = self._slots[slot]
        if entry.kind in ANSWERING:
            del self._spoken[response_of(entry)][entry_id]
            self._word(response_of(entry))
        if entry.kind is ProposalKind.ANSWER:
            del self._answers[entry.label][entry_id]
            if not self._answers[entry.label]:
                del self._answers[entry.label]
        rows = self._own_rows.pop(entry_id, None)
        if rows is not None:
            self._owners[rows.start : rows.stop] = -1
            self._dead += len(rows)
            self._gone.extend(row for row in rows if row < self._indexed)

    def _word(self, response: str) -> None:
        """Work out anew what is told for one response."""
        entries = sorted(self._spoken[response].values(), key=age)
        if entries:
            self._wordings[response] = Wordings.of(entries).answers[response]
        else:
            del self._spoken[response], self._wordings[response]

    def drop_others(self, kept: Collection[str]) -> None:
        """Take out all entries but these."""
        for entry_id in self.ids().difference(kept):
            self.drop(entry_id)

    # --- rows ----------------------------------------------------------------------------------

    def _has(self, entry_id: str, vectors: Vectors) -> bool:
        rows = self._own_rows.get(entry_id, range(0))
        known = self._vectors[rows.start : rows.stop]
        return len(rows) == len(vectors) and (not len(rows) or np.array_equal(known, vectors))

    def _add_rows(self, slot: int, label: str, vectors: Vectors) -> range:
        rows = range(self._size, self._size + len(vectors))
        if rows.stop > len(self._vectors):
            # Memory that was never written costs nothing, and snapshots keep the old arrays as they are.
            size = max(1_024, 2 * rows.stop)
            self._vectors = _grown(self._vectors, self._size, (size, vectors.shape[1]))
            self._owners = _grown(self._owners, self._size, (size,))
            self._groups = _grown(self._groups, self._size, (size,))
        group = self._numbers.setdefault(label, len(self._numbers))
        self._vectors[rows.start : rows.stop] = vectors
        self._owners[rows.start : rows.stop] = slot
        self._groups[rows.start : rows.stop] = group
        self._members.setdefault(group, []).extend(rows)
        self._size = rows.stop
        return rows

    def compacted(self) -> OverlayTable:
        """Return a table without the rows that are gone if they are the most, else this one."""
        if self._dead < COMPACT_FROM or 2 * self._dead < self._size:
            return self
        fresh = OverlayTable(self._index_from, self._index_step)
        for entry_id, slot in self._places.items():
            rows = self._own_rows.get(entry_id, range(0))
            fresh.put(self._slots[slot], self._vectors[rows.start : rows.stop])
        fresh._absorbed, fresh._withdrawn = dict(self._absorbed), dict(self._withdrawn)
        return fresh

    # --- the index -----------------------------------------------------------------------------

    def index_some(self, seconds: float) -> bool:
        """Bring the index nearer to the rows for at most about `seconds`; return whether it has grown.

        Rows that are gone stay in it until the call after the next: a message may still look for them.
        """
        if self._index is not None and self._leaving:
            self._index.remove(self._leaving)
        self._leaving, self._gone = self._gone, []
        if not self.waits_for_index:
            return False
        if self._index is None:
            self._index = RowIndex(self._vectors.shape[1])
        first = self._indexed
        self._indexed += self._index.add(first, self._vectors[first : self._size], time.monotonic() + seconds)
        self._gone.extend((np.flatnonzero(self._owners[first : self._indexed] < 0) + first).tolist())
        return self._indexed > first

    def stop_indexing(self) -> None:
        """Compare rows one by one from now on."""
        self._index, self._indexed, self._gone, self._leaving = None, 0, [], []
        self._may_index = False

    @property
    def waits_for_index(self) -> bool:
        """Whether rows are left that the index should have."""
        is_large = self._size - self._dead >= self._index_from
        return self._may_index and is_large and self._size - self._indexed >= self._index_step

    # --- snapshots -----------------------------------------------------------------------------

    def rows(self) -> Rows:
        """Return the rows as they are now."""
        return Rows(
            vectors=self._vectors[: self._size],
            owners=self._owners[: self._size].copy(),
            groups=self._groups[: self._size],
            members=self._members,
            live=self._size - self._dead,
            index=self._index,
            indexed=self._indexed,
        )

    def snapshot(self, version: int, experiments: tuple[LiveExperiment, ...] = ()) -> OverlaySnapshot:
        """Return what is known now, as version `version`."""
        absorbed = set(self._absorbed.values())
        return OverlaySnapshot(
            version=version,
            slots=self._slots,
            places=dict(self._places),
            rows=self.rows(),
            wordings=Wordings(dict(self._wordings), {one.response: one for one in experiments}),
            changing=tuple(sorted(self._changing.values(), key=age)),
            withdrawn={
                label: (entry_id, EVERYBODY if label in absorbed else self._answer_share(label))
                for entry_id, label in sorted(self._withdrawn.items())
            },
            answer_shares=self._answer_shares(absorbed),
            partial=bool(self._partial),
        )

    def _answer_shares(self, absorbed: Collection[str]) -> dict[str, int]:
        """Return the labels whose answer goes to a part of the users, with its size."""
        partial = {self._slots[self._places[entry_id]].label for entry_id in self._partial}
        shares = {label: self._answer_share(label) for label in partial if label in self._answers}
        return {label: share for label, share in shares.items() if share < EVERYBODY and label not in absorbed}

    def _answer_share(self, label: str) -> int:
        return max(self._answers.get(label, {}).values(), default=0)


def _grown(array: Vectors, used: int, shape: tuple[int, ...]) -> Vectors:
    """Return a larger array that begins with the `used` first rows of `array`."""
    larger = np.empty(shape, dtype=array.dtype)
    if used:
        larger[:used] = array[:used]
    return larger


def snapshot_of(entries: Iterable[tuple[OverlayEntry, Vectors]], version: int = 1) -> OverlaySnapshot:
    """Return a snapshot of entries with the vectors of their examples, for whoever has them without a database."""
    table = OverlayTable()
    for entry, vectors in entries:
        table.put(entry, vectors)
    return table.snapshot(version)
