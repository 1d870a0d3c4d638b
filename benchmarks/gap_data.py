"""Streams of messages with needs that the assistant was not trained for, as the project's own pipeline reads them.

A part of a data set's intents is hidden: the pipeline of `config.yml` is trained through Rasa's graph on the rest, and
a stream of messages goes through it. The stream has hidden and known intents in long-tailed (Zipf) frequencies, noise
that no intent covers, typos, near-duplicates, people who ask more than once and people who flood. What the pipeline
made of it is kept on disk, so that methods can be compared in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.nlu_cell import pipelines, write_project
from benchmarks.nlu_data import OUT_OF_SCOPE, Dataset, load
from learning.adapters.encoder import OnnxEncoder

VERSION = 1  # of the stream; raise it when what is sent changes
DATASETS = ("clinc150", "banking77")
SHARES = (0.25, 0.5, 0.75)
ZIPF = 0.8  # exponent of the frequencies of needs
HIDDEN_MEAN, HIDDEN_MOST = 20, 75  # messages a hidden intent: on average before the cut, and at most
KNOWN_MEAN, KNOWN_MOST = 12, 25
TYPO_SHARE = 0.1  # of the messages have one or two letters wrong
NEAR_DUPLICATE_SHARE = 0.1  # are sent again by somebody else in nearly the same words
RETURN_SHARE = 0.2  # come from somebody who has written before
FLOODED = 2  # needs that one person alone repeats
FLOOD = 15  # times
GIBBERISH = 12  # messages of random letters
FLOOD_LABEL = "flood"
# CLINC150's intents on banks and cards: no noise for BANKING77.
MONEY_INTENTS = frozenset(
    """
    account_blocked apr balance bill_balance bill_due card_declined credit_limit credit_limit_change credit_score
    damaged_card direct_deposit exchange_rate expiration_date freeze_account improve_credit_score income
    insurance insurance_change interest_rate international_fees min_payment new_card order_checks pay_bill
    payday pin_change redeem_rewards replacement_card_duration report_fraud report_lost_card rewards_balance
    rollover_401k routing spending_history taxes transactions transfer w2 cancel order_status order
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Message:
    """One message of the stream: `truth` is its intent, `oos` or `flood`; `hidden` intents are not trained."""

    text: str
    truth: str
    hidden: bool
    sender: str


@dataclass(frozen=True)
class Parsed:
    """What the pipeline made of a message; `ranking` holds the best five real intents."""

    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...]
    familiarity: float | None
    reason: str


@dataclass(frozen=True)
class Cell:
    """One experiment: a data set, the share of its intents that is hidden, a seed, and which half of the messages."""

    dataset: str
    share: float
    seed: int
    development: bool = False

    @property
    def name(self) -> str:
        """Its file name in the cache."""
        return f"{self.dataset}-{self.share:.2f}-{'dev' if self.development else 'test'}{self.seed}-v{VERSION}"


def half_of(text: str) -> int:
    """Return 0 or 1 by the text alone: methods are chosen on one half of the messages and reported on the other."""
    return hashlib.sha256(text.casefold().encode()).digest()[0] & 1


def build(cell: Cell, folder: Path) -> tuple[Dataset, list[Message]]:
    """Return what the assistant is trained on, and the stream in order of time."""
    rng = random.Random(f"{cell.name}")
    data = load(cell.dataset, folder)
    intents = sorted({intent for _, intent in data.train})
    hidden = set(rng.sample(intents, round(cell.share * len(intents))))
    training = tuple((text, intent) for text, intent in data.train if intent not in hidden)
    wanted = 0 if cell.development else 1
    pool: dict[str, list[str]] = defaultdict(list)
    held_out = (*data.test, *_validation(cell.dataset, folder))
    for text, intent in dict.fromkeys((*held_out, *(pair for pair in data.train if pair[1] in hidden))):
        if half_of(text) == wanted:
            pool[intent].append(text)
    flooded = rng.sample(sorted(hidden), FLOODED)
    asked = sorted(hidden - set(flooded))
    messages: list[tuple[str, str, bool]] = []
    for group, mean, most in (
        (asked, HIDDEN_MEAN, HIDDEN_MOST),
        (sorted(set(intents) - hidden), KNOWN_MEAN, KNOWN_MOST),
    ):
        for intent, count in _zipf(group, mean, most, rng):
            chosen = rng.sample(pool[intent], min(count, len(pool[intent])))
            messages += [(text, intent, intent in hidden) for text in chosen]
    noise = [text for text in _noise(cell.dataset, folder, rng) if half_of(text) == wanted]
    messages += [(text, OUT_OF_SCOPE, False) for text in noise]
    messages += [(_gibberish(rng), OUT_OF_SCOPE, False) for _ in range(GIBBERISH)]
    return Dataset(cell.dataset, training, ()), _people(messages, [(n, pool[n]) for n in flooded], rng)


def _validation(name: str, folder: Path) -> list[tuple[str, str]]:
    if name != "clinc150":
        return []
    content = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    return [(text, intent) for text, intent in content["val"]]


def _noise(name: str, folder: Path, rng: random.Random) -> list[str]:
    """Return messages that no intent covers: CLINC150's own, for BANKING77 also one of each of its other topics."""
    content = json.loads((folder / "clinc150" / "data_full.json").read_text("utf-8"))
    texts = [text for part in ("oos_train", "oos_val", "oos_test") for text, _ in content[part]]
    if name == "banking77":
        by_intent: dict[str, list[str]] = defaultdict(list)
        for text, intent in content["test"]:
            if intent not in MONEY_INTENTS:
                by_intent[intent].append(text)
        texts += [rng.choice(group) for _, group in sorted(by_intent.items())]
    return texts


def _zipf(intents: Sequence[str], mean: int, most: int, rng: random.Random) -> list[tuple[str, int]]:
    """Return each intent with its number of messages, falling with its rank, at least two and at most `most`."""
    order = rng.sample(list(intents), len(intents))
    weights = [(rank + 1) ** -ZIPF for rank in range(len(order))]
    scale = mean * len(order) / sum(weights)
    return [(name, min(most, max(2, round(scale * weight)))) for name, weight in zip(order, weights, strict=True)]


def _people(
    messages: list[tuple[str, str, bool]], floods: Sequence[tuple[str, list[str]]], rng: random.Random
) -> list[Message]:
    """Return the stream: shuffled, with typos, near-duplicates, returning people and floods of one person."""
    rng.shuffle(messages)
    stream: list[Message] = []
    for number, (text, truth, hidden) in enumerate(messages):
        back = number > 0 and rng.random() < RETURN_SHARE
        sender = rng.choice(stream).sender if back else f"person{number}"
        said = _typo(text, rng) if rng.random() < TYPO_SHARE else text
        stream.append(Message(said, truth, hidden, sender))
        if truth != OUT_OF_SCOPE and rng.random() < NEAR_DUPLICATE_SHARE:
            stream.append(Message(_again(text, rng), truth, hidden, f"echo{number}"))
    for number, (_, texts) in enumerate(floods):
        for _ in range(FLOOD):
            text = _again(rng.choice(texts), rng)
            stream.insert(rng.randrange(len(stream)), Message(text, FLOOD_LABEL, False, f"flood{number}"))
    return stream


def _typo(text: str, rng: random.Random) -> str:
    """Swap, drop or double one or two letters."""
    for _ in range(rng.randint(1, 2)):
        places = [place for place in range(len(text) - 1) if text[place].isalpha() and text[place + 1].isalpha()]
        if not places:
            break
        place = rng.choice(places)
        first, second = text[place], text[place + 1]
        text = text[:place] + rng.choice((second + first, second, first + first + second)) + text[place + 2 :]
    return text


def _again(text: str, rng: random.Random) -> str:
    """Say the same again as other people would: a greeting, a please, other case, other punctuation."""
    plain = text.rstrip("?.! ")
    return rng.choice((f"hi, {text}", f"{plain} please", plain.lower(), f"{plain}??", f"hello {plain}!", plain.upper()))


def _gibberish(rng: random.Random) -> str:
    words = rng.randint(1, 3)
    return " ".join("".join(rng.choices("asdfghjklqwertyuiopzxcvbnm", k=rng.randint(3, 8))) for _ in range(words))


def cached(cell: Cell, data: Path, cache: Path) -> tuple[Dataset, list[Message], list[Parsed]]:
    """Return a cell with what the pipeline made of its stream, training in a process of its own if need be."""
    path = cache / f"{cell.name}.json"
    if not path.exists():
        command = [sys.executable, "-m", "benchmarks.gap_data", "--data", str(data), "--cache", str(cache)]
        command += ["--dataset", cell.dataset, "--share", str(cell.share), "--seed", str(cell.seed)]
        subprocess.run(command + (["--development"] if cell.development else []), check=True)
    training, stream = build(cell, data)
    rows = json.loads(path.read_text("utf-8"))
    parsed = [Parsed(**{**row, "ranking": tuple((n, c) for n, c in row["ranking"])}) for row in rows]
    return training, stream, parsed


@lru_cache(maxsize=1)
def _encoder() -> OnnxEncoder:
    return OnnxEncoder()


def dimension() -> int:
    """Return the width of a sentence vector; in `embeddings` the middle layers follow it."""
    return _encoder().dimension


def embeddings(texts: Sequence[str], cache: Path) -> npt.NDArray[np.float32]:
    """Return the encoder's deep vectors (n, d) of texts, rounded as the store keeps them; they are kept on disk."""
    name = hashlib.sha256(_encoder().identity.encode()).hexdigest()[:12]
    rows, kept = _kept_vectors(cache / f"vectors-{name}.npz")
    missing = [text for text in dict.fromkeys(texts) if text not in rows]
    if missing:
        rows.update((text, row) for row, text in enumerate(missing, start=len(rows)))
        kept.append(_encoder().encode_deep(missing).astype(np.float16))
        kept[:] = [np.concatenate(kept)]
        np.savez(cache / f"vectors-{name}.npz", texts=np.array(list(rows)), vectors=kept[0])
    return np.asarray(kept[0][[rows[text] for text in texts]], dtype=np.float32)


@lru_cache(maxsize=1)
def _kept_vectors(path: Path) -> tuple[dict[str, int], list[npt.NDArray[np.float16]]]:
    if not path.exists():
        return {}, []
    with np.load(path, allow_pickle=False) as stored:
        return {text: row for row, text in enumerate(stored["texts"].tolist())}, [stored["vectors"]]


def _run(cell: Cell, data: Path, cache: Path) -> None:
    """Train, send the stream, and keep what came out."""
    import rasa.model_training
    from rasa.core.agent import Agent
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.ERROR)
    training, stream = build(cell, data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["RASA_CACHE_DIRECTORY"] = str(folder / "rasa")
        write_project(folder, training, pipelines(Path.cwd())["evergreen"])
        model = rasa.model_training.train_nlu(
            str(folder / "config.yml"), str(folder / "nlu.yml"), str(folder), domain=str(folder / "domain.yml")
        )
        agent = Agent.load(str(model))

        async def parse() -> list[Any]:
            return [await agent.parse_message(message.text) for message in stream]

        found = [_parsed(result) for result in asyncio.run(parse())]
    path = cache / f"{cell.name}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps([asdict(item) for item in found]), "utf-8")
    draft.replace(path)


def _parsed(result: dict[str, Any]) -> Parsed:
    detector = result.get("out_of_scope") or {}
    ranking = [entry for entry in result.get("intent_ranking") or [] if entry["name"] != "nlu_fallback"][:5]
    return Parsed(
        intent=str(result["intent"]["name"] or ""),
        confidence=float(result["intent"]["confidence"]),
        ranking=tuple((str(entry["name"]), round(float(entry["confidence"]), 5)) for entry in ranking),
        familiarity=detector.get("similarity"),
        reason=str(detector.get("reason") or ""),
    )


def main() -> None:
    """Run the pipeline for the cell that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and clinc150/")
    parser.add_argument("--cache", type=Path, required=True, help="folder for what the pipeline made of the streams")
    parser.add_argument("--dataset", choices=DATASETS, required=True)
    parser.add_argument("--share", type=float, required=True, help="share of the intents that is hidden")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--development", action="store_true", help="the half that methods are chosen on")
    options = parser.parse_args()
    os.environ["EVERGREEN_OVERLAY"] = "off"
    options.cache.mkdir(parents=True, exist_ok=True)
    _run(Cell(options.dataset, options.share, options.seed, options.development), options.data, options.cache)


if __name__ == "__main__":
    main()
