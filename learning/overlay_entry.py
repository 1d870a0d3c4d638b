"""A row of the learning database becomes a live entry, or a reason why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from learning.model import ANSWERING, TEACHING, ProposalKind
from learning.overlay_snapshot import OverlayEntry
from learning.vectors import Vectors

UNIT_TOLERANCE = 0.02  # how far from one a sound vector's length may be, squared: none is nearer than it should be
WITH_TARGET = (ProposalKind.REWORD, ProposalKind.MERGE)


def pack_vectors(vectors: Vectors) -> bytes:
    """Return (n, d) vectors as the bytes that `entries.vectors` holds."""
    return np.ascontiguousarray(vectors, dtype="<f4").tobytes()


def unpack_vectors(packed: object, count: int, dimensions: int) -> Vectors | None:
    """Return vectors as (count, dimensions), None if the bytes are damaged: cut, no numbers, or not of length one."""
    if not isinstance(packed, (bytes, memoryview)) or len(packed) != count * dimensions * np.dtype("<f4").itemsize:
        return None
    vectors = np.frombuffer(packed, dtype="<f4").reshape(count, dimensions)
    # What is no number, and what is too large for one, fails the comparison as well.
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return vectors if (np.abs(squares - 1.0) <= UNIT_TOLERANCE).all() else None


def read_entry(row: Mapping[str, Any]) -> OverlayEntry:
    """Return the entry of a row of `entries`; columns that an older database lacks have their defaults.

    Raises:
        ValueError: something that its kind needs is not there or not what it should be; the message says what, and
            nothing of what people wrote.

    """
    try:
        kind = ProposalKind(row["kind"])
    except ValueError:
        raise ValueError("it is of no known kind") from None
    label, share, release = row["label"], row.get("share", 100), row["release"]
    if not _is_name(label):
        raise ValueError("it has no label")
    if not isinstance(share, int) or not 0 <= share <= 100:
        raise ValueError("its share is no percentage")
    if not isinstance(release, int):
        raise ValueError("its release is no number")
    answer, target = row["answer"], row.get("target")
    if kind in ANSWERING and not _is_text(answer):
        raise ValueError("it has no answer")
    if kind in WITH_TARGET and not _is_text(target):
        raise ValueError("it has no target")
    return OverlayEntry(
        entry_id=row["entry_id"],
        kind=kind,
        label=label,
        examples=_examples(row["examples"]) if kind in TEACHING else (),
        answer=answer if _is_text(answer) else None,
        target=target if _is_text(target) else None,
        share=share,
        release=release,
    )


def _examples(stored: object) -> tuple[str, ...]:
    try:
        examples = orjson.loads(stored) if isinstance(stored, (str, bytes)) else stored
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        raise ValueError("its examples cannot be read") from None
    if not isinstance(examples, list) or not examples or not all(map(_is_text, examples)):
        raise ValueError("it has no examples")
    return tuple(examples)


def _is_text(value: object) -> bool:
    """Whether a value is a text that is not empty and that every program can write."""
    if not isinstance(value, str) or not value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_name(value: object) -> bool:
    """Whether a value can be a label: an intent, or a retrieval intent and a key."""
    return isinstance(value, str) and _is_text(value) and all(part.strip() for part in value.split("/", 1))
