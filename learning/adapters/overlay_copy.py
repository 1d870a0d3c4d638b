"""A database of published entries for one bot that customers do not reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from learning.adapters import schema
from learning.adapters.database import bump_overlay
from learning.model import TEACHING, Entry
from learning.overlay import pack_vectors
from learning.ports import Encoder


class OverlayCopy:
    """Holds the entries that it is told to, where an `OverlayReader` finds them.

    Args:
        folder: where its file is made; the caller removes it.
        encoder: makes the vectors of examples; those of an entry are kept while the copy is.

    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.url = f"sqlite:///{folder / 'overlay.db'}"
        self._encoder = encoder
        self._held: dict[str, Entry] = {}
        self._vectors: dict[str, Any] = {}  # by example
        self._engine = sa.create_engine(self.url, future=True)
        schema.metadata.create_all(self._engine, tables=[schema.meta, schema.entries])

    def use(self, entries: Sequence[Entry]) -> None:
        """Hold exactly these entries; readers see all of the change with their next look, or nothing of it."""
        wanted = {entry.entry_id: entry for entry in entries}
        changed = [entry for entry_id, entry in wanted.items() if self._held.get(entry_id) != entry]
        gone = [entry_id for entry_id, entry in self._held.items() if wanted.get(entry_id) != entry]
        if not changed and not gone:
            return
        self._encode([example for entry in changed if entry.kind in TEACHING for example in entry.examples])
        table = schema.entries
        with self._engine.begin() as connection:
            for entry_id in gone:
                connection.execute(sa.delete(table).where(table.c.entry_id == entry_id))
            version = bump_overlay(connection)
            if changed:
                connection.execute(sa.insert(table), [{**self._row(entry), "changed": version} for entry in changed])
        self._held = wanted

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def _encode(self, examples: Sequence[str]) -> None:
        fresh = [example for example in dict.fromkeys(examples) if example not in self._vectors]
        if fresh:
            self._vectors.update(zip(fresh, self._encoder.encode(fresh), strict=True))

    def _row(self, entry: Entry) -> dict[str, Any]:
        examples = entry.examples if entry.kind in TEACHING else ()
        return {
            "entry_id": entry.entry_id,
            "proposal_id": entry.proposal_id,
            "kind": entry.kind.value,
            "label": entry.label,
            "examples": entry.examples,
            "answer": entry.answer,
            "target": entry.target,
            "vectors": pack_vectors(np.stack([self._vectors[example] for example in examples])) if examples else None,
            "encoder": self._encoder.identity,
            "release": entry.release,
            "state": entry.state.value,
            "share": entry.share,
        }
