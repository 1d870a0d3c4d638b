"""Keeps the vectors of training examples between trainings, so that only new examples are encoded.

One SQLite file for each encoder, with hashes of the texts as keys: the file holds no text. It is only ever a
copy of what can be computed again, so a damaged or locked file costs time and nothing else. Vectors are rounded
to half precision whether they come from the file or not, so that a retraining repeats the training before it.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from components.softmax_regression import Matrix

logger = logging.getLogger(__name__)

# Examples kept; the oldest leave first. With middle layers this is about 240 MB.
MAX_VECTORS = 100_000
_LOCK_TIMEOUT = 5.0  # seconds; two trainings may share the file
_CHUNK = 500  # below SQLite's limit of variables in one statement


def encode_with_cache(path: Path, texts: Sequence[str], encode: Callable[[Sequence[str]], Matrix]) -> Matrix:
    """Returns the vectors of the texts, calling `encode` only for those that the file doesn't hold."""
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16] for text in texts]
    known = _read(path, keys)
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    if missing:
        encoded = encode(list(missing.values())).astype("<f2").astype(np.float32)
        fresh = dict(zip(missing, encoded, strict=True))
        _write(path, fresh)
        known.update(fresh)
    logger.debug("%d of %d vectors were already known", len(texts) - len(missing), len(texts))
    return np.stack([known[key] for key in keys]) if keys else encode([])


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT)
    connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
    return connection


def _read(path: Path, keys: Sequence[bytes]) -> dict[bytes, Matrix]:
    found: dict[bytes, Matrix] = {}
    try:
        with closing(_open(path)) as connection:
            for start in range(0, len(keys), _CHUNK):
                chunk = keys[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = connection.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", chunk)
                found.update({key: np.frombuffer(vector, dtype="<f2").astype(np.float32) for key, vector in rows})
    except (sqlite3.Error, OSError, ValueError) as error:
        _give_up(path, error)
        return {}
    return found


def _write(path: Path, vectors: dict[bytes, Matrix]) -> None:
    try:
        with closing(_open(path)) as connection, connection:
            rows = [(key, vector.astype("<f2").tobytes()) for key, vector in vectors.items()]
            connection.executemany("INSERT OR REPLACE INTO vectors (key, vector) VALUES (?, ?)", rows)
            connection.execute(
                "DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?", (MAX_VECTORS,)
            )
    except (sqlite3.Error, OSError) as error:
        _give_up(path, error)


def _give_up(path: Path, error: Exception) -> None:
    logger.warning("the vector cache %s cannot be used (%s: %s); go on without it", path, type(error).__name__, error)
    # Damage doesn't heal; a lock does.
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        path.unlink(missing_ok=True)
