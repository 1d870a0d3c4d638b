"""A learning database with as many published entries as wanted, and a model that the overlay stands behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from benchmarks import nlu_data
from learning.adapters import schema
from learning.adapters.database import bump_overlay
from learning.adapters.encoder import OnnxEncoder, cache_directory
from learning.adapters.store import Store
from learning.model import ProposalKind, ProposalState
from learning.overlay import pack_vectors

EXAMPLES = 3  # of each entry
SHOTS = 20  # training messages of each CLINC150 intent
MOST = 100_000  # entries
BATCH = 5_000
CONFIG = """recipe: default.v1
language: en
assistant_id: overlay-benchmark
pipeline:
- name: WhitespaceTokenizer
- name: components.sentence_encoder.SentenceEncoder
- name: components.intent_classifier.IntentClassifier
- name: components.out_of_scope.OutOfScopeDetector
- name: components.live_overlay.LiveOverlay
policies: []
"""


def needs(folder: Path, count: int) -> list[str]:
    """Return the examples of `count` entries, three each, made from training messages of both data sets.

    There are only 25,000 messages: each entry takes one and puts one or two words of other messages in place of its
    own; its examples then differ from each other by a word.
    """
    texts = [text for name in ("clinc150", "banking77") for text, _ in nlu_data.load(name, folder).train]
    texts = list(dict.fromkeys(texts))
    drawn = random.Random(0)
    words = [word for text in texts for word in text.split()]
    rows: list[str] = []
    while len(rows) < EXAMPLES * count:
        base = drawn.choice(texts).split()
        for _ in range(drawn.randint(1, 2)):
            base[drawn.randrange(len(base))] = drawn.choice(words)
        for _ in range(EXAMPLES):
            variation = list(base)
            if drawn.random() < 0.5:
                variation[drawn.randrange(len(variation))] = drawn.choice(words)
            else:
                variation.insert(drawn.randrange(len(variation) + 1), drawn.choice(words))
            rows.append(" ".join(variation))
    return rows


def encoded(encoder: OnnxEncoder, texts: Sequence[str]) -> Any:
    """Return the vectors of texts, (n, d), from a file if they were made before: it takes six minutes on one core."""
    path = cache_directory() / "benchmarks" / f"overlay-{encoder.identity.replace('/', '-')}-{len(texts)}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = [encoder.encode(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        np.save(path, np.concatenate(parts).astype(np.float32))
    return np.load(path, mmap_mode="r")


def fill(url: str, texts: Sequence[str], vectors: Any, count: int, identity: str) -> None:
    """Make a learning database with `count` published answers."""
    Store(url)
    engine = sa.create_engine(url, future=True)
    with engine.begin() as connection:
        version = bump_overlay(connection)
        for start in range(0, count, BATCH):
            numbers = range(start, min(count, start + BATCH))
            connection.execute(
                sa.insert(schema.entries), [row(number, texts, vectors, identity, version) for number in numbers]
            )
    engine.dispose()


def row(number: int, texts: Sequence[str], vectors: Any, identity: str, version: int) -> dict[str, Any]:
    """Return the row of the entry with this number."""
    own = slice(EXAMPLES * number, EXAMPLES * (number + 1))
    return {
        "entry_id": f"{number:016x}",
        "proposal_id": f"{number:016x}",
        "kind": ProposalKind.ANSWER.value,
        "label": f"learned/question_{number}",
        "examples": list(texts[own]),
        "answer": f"This is the answer to question {number}.",
        "target": None,
        "vectors": pack_vectors(vectors[own]),
        "encoder": identity,
        "release": number + 1,
        "state": ProposalState.PUBLISHED.value,
        "share": 100,
        "changed": version,
    }


def train(folder: Path, data: Path) -> Path:
    """Train the bot on CLINC150 with a few messages of each intent, and return the model."""
    pairs = nlu_data.load("clinc150", data, SHOTS).train
    by_intent: dict[str, list[str]] = {}
    for text, intent in pairs:
        by_intent.setdefault(intent, []).append(text)
    blocks = [
        f"- intent: {intent}\n  examples: |\n" + "".join(f"    - {text}\n" for text in texts)
        for intent, texts in by_intent.items()
    ]
    (folder / "config.yml").write_text(CONFIG, "utf-8")
    (folder / "nlu.yml").write_text('version: "3.1"\nnlu:\n' + "".join(blocks), "utf-8")
    command = [sys.executable, "-m", "rasa", "train", "nlu", "--config", "config.yml", "--nlu", "nlu.yml"]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([*command, "--fixed-model-name", "bot"], cwd=folder, env=path, check=True, capture_output=True)
    return folder / "models" / "bot.tar.gz"
