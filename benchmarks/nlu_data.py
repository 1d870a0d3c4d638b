"""BANKING77 and CLINC150 as labelled messages: full, or a few examples an intent drawn by seed."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

OUT_OF_SCOPE = "oos"
VALIDATION = "-validation"  # behind a data set's name: asked about its validation messages, which nothing was chosen on
WHERE = {
    "banking77": "https://github.com/PolyAI-LDN/task-specific-datasets (banking_data, CC BY 4.0)",
    "clinc150": "https://github.com/clinc/oos-eval (data/data_full.json, CC BY 3.0)",
}


@dataclass(frozen=True)
class Dataset:
    """Labelled messages as (text, intent); `outside` are test messages that no intent covers."""

    name: str
    train: tuple[tuple[str, str], ...]
    test: tuple[tuple[str, str], ...]
    outside: tuple[str, ...] = ()


def load(name: str, folder: Path, shots: int | None = None, seed: int = 0) -> Dataset:
    """Read a data set; with `shots`, keep that many training examples an intent, drawn by `seed`.

    Raises:
        SystemExit: the file is not there; says where the public one can be had.
    """
    try:
        dataset = _banking77(folder) if name == "banking77" else _clinc150(folder, name)
    except FileNotFoundError as error:
        where = WHERE[name.removesuffix(VALIDATION)]
        raise SystemExit(f"{error.filename}: no such file; get it from {where} and pass --data") from None
    if shots is None:
        return dataset
    by_intent: dict[str, list[str]] = defaultdict(list)
    for text, intent in dataset.train:
        by_intent[intent].append(text)
    kept = [
        (text, intent)
        for intent, texts in sorted(by_intent.items())
        for text in sorted(texts, key=lambda text: hashlib.sha256(f"{seed}{text}".encode()).digest())[:shots]
    ]
    return Dataset(dataset.name, tuple(kept), dataset.test, dataset.outside)


def _banking77(folder: Path) -> Dataset:
    parts: list[tuple[tuple[str, str], ...]] = []
    for part in ("train", "test"):
        with (folder / "banking77" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            # "Refund_not_showing_up" is the one intent with a capital; "?" in a name would not be a Rasa intent.
            parts.append(tuple((row["text"].strip(), row["category"].strip("?")) for row in csv.DictReader(file)))
    return Dataset("banking77", parts[0], parts[1])


def _clinc150(folder: Path, name: str) -> Dataset:
    part = "val" if name.endswith(VALIDATION) else "test"
    content = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    pairs = {part: tuple((text, intent) for text, intent in rows) for part, rows in content.items()}
    return Dataset(name, pairs["train"], pairs[part], tuple(text for text, _ in pairs[f"oos_{part}"]))
