"""An approximate index of published examples, for overlays that are too large to compare one by one.

HNSW (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
World graphs", 2018) as the library usearch has it. It only proposes rows: their cosines are worked out exactly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from learning.vectors import Vectors

CHUNK = 4  # rows added at a time: a message waits for no more than that, about a millisecond
BREATH = 0.0005  # seconds between chunks, in which messages go first
LINKS, LOOK_WHILE_ADDING, LOOK = 16, 64, 256  # of each row; `make bench-overlay` tells the agreement they give


class RowIndex:
    """Finds rows of a table that are near to a vector; rows have their number as key.

    Threads may search while one adds: the library's own threads are numbered, and two callers would share one.
    """

    def __init__(self, dimensions: int) -> None:
        from usearch.index import Index

        self._index = Index(
            ndim=dimensions,
            metric="cos",
            dtype="f16",
            connectivity=LINKS,
            expansion_add=LOOK_WHILE_ADDING,
            expansion_search=LOOK,
        )
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """The memory that the index takes."""
        return int(self._index.memory_usage)

    def add(self, first: int, vectors: Vectors, until: float) -> int:
        """Add rows that are numbered from `first` on, until `time.monotonic()` says `until`; return how many."""
        done = 0
        while done < len(vectors) and time.monotonic() < until:
            part = vectors[done : done + CHUNK]
            keys = np.arange(first + done, first + done + len(part), dtype=np.uint64)
            with self._lock:
                self._index.add(keys, part, threads=1)
            done += len(part)
            time.sleep(BREATH)
        return done

    def remove(self, rows: Sequence[int]) -> None:
        """Take rows out; those that are not in are passed over."""
        for start in range(0, len(rows), CHUNK):
            with self._lock:
                self._index.remove(np.array(rows[start : start + CHUNK], dtype=np.uint64), threads=1)

    def search(self, vector: Vectors, count: int) -> Vectors:
        """Return the numbers of about the `count` nearest rows to a vector (d,)."""
        with self._lock:
            found = self._index.search(vector, count, threads=1)
        return np.asarray(found.keys, dtype=np.int64)
