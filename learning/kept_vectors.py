"""Vectors that are known already: of training examples and articles between runs, of turns in their gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from learning.model import content_id
from learning.ports import Encoder
from learning.vectors import Vectors


class VectorStore(Protocol):
    """Where the vectors are kept."""

    def known_vectors(self, keys: Sequence[str]) -> dict[str, Vectors]:
        """Return the kept vectors (d,) of those keys that have one."""
        ...

    def replace_vectors(self, vectors: Mapping[str, Vectors]) -> None:
        """Keep these vectors and no others."""
        ...


class KeptVectors:
    """An encoder that asks the store first; `save` forgets what was not asked for since it was made."""

    def __init__(self, encoder: Encoder, store: VectorStore) -> None:
        self._encoder = encoder
        self._store = store
        self._used: dict[str, Vectors] = {}
        self._dirty = False
        self.identity = encoder.identity
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> Any:
        """Return float32 vectors of shape (len(texts), dimension), rounded to half precision."""
        return self.encode_deep(texts)[:, : self.dimension]

    def encode_deep(self, texts: Sequence[str]) -> Any:
        """Return what the encoder's `encode_deep` does, rounded to half precision."""
        if not texts:
            return self._encoder.encode_deep(texts)
        keys = [content_id("vector", self.identity, text) for text in texts]
        missing = [key for key in dict.fromkeys(keys) if key not in self._used]
        self._used.update(self._store.known_vectors(missing))
        text_of = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._used}
        if text_of:
            # Rounded as the store does it, so that a second run sees the same numbers.
            fresh = np.asarray(self._encoder.encode_deep(list(text_of.values()))).astype("<f2").astype(np.float32)
            self._used.update(zip(text_of, fresh, strict=True))
            self._dirty = True
        return np.stack([self._used[key] for key in keys])

    def save(self) -> None:
        """Keep the vectors that were asked for and no others."""
        if self._dirty:
            self._store.replace_vectors(self._used)
            self._dirty = False


class Remembered:
    """An encoder that has been told the vectors of some texts."""

    def __init__(self, encoder: Encoder, vectors: Mapping[str, Vectors]) -> None:
        self._encoder = encoder
        self._vectors = dict(vectors)
        self.identity = encoder.identity
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> Any:
        """Return float32 vectors of shape (len(texts), dimension)."""
        return self.encode_deep(texts)[:, : self.dimension]

    def encode_deep(self, texts: Sequence[str]) -> Any:
        """Return what the encoder's `encode_deep` does, asking it only for what is not known."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._vectors]
        if missing or not texts:
            fresh = self._encoder.encode_deep(missing)
            if not texts:
                return fresh
            self._vectors.update(zip(missing, fresh, strict=True))
        return np.stack([self._vectors[text] for text in texts])
