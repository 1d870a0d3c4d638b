"""Stand-ins for what the report reads: an encoder, a model, a tracker store."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from learning.errors import TrackerStoreError
from learning.model import Example, Prediction

NOW = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
DIMENSIONS = 64


class WordEncoder:
    """Gives texts with the same words the same vector."""

    identity = "words"

    def encode(self, texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                vectors[row, zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@dataclass
class FixedModel:
    """A model that understands what it is told to, and everything else as `other`."""

    known: Mapping[str, tuple[str, float]]
    asked: list[Path] = field(default_factory=list)

    def train(self, training_data: Path, model: Path) -> None:
        raise AssertionError("a report trains nothing")

    def predict(self, model: Path, texts: Sequence[str]) -> list[Prediction]:
        self.asked.append(model)
        return [Prediction(text, *self.known.get(text, ("other", 0.5))) for text in texts]


@dataclass
class FixedLog:
    seen: Mapping[str, tuple[int, datetime]]

    def intent_last_seen(self) -> Mapping[str, tuple[int, datetime]]:
        return self.seen


def no_log() -> FixedLog:
    raise TrackerStoreError("does not exist", "tracker store var/tracker.db", "talk to the bot once")


COLORS = ("red", "green", "blue", "white", "black", "pink", "gray", "brown", "gold", "teal", "navy", "lime")


def shop_examples() -> list[Example]:
    """Two intents that are easy to tell apart, a dozen examples each."""
    track = [Example(f"where is my {color} parcel now", "track_order") for color in COLORS]
    refund = [Example(f"give back money for {color} chair", "refund_status") for color in COLORS]
    return [*track, *refund]
