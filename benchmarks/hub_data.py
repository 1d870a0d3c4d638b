"""A learning database of many conversations that never were, with the skew of real ones."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from benchmarks import nlu_data, results
from learning.adapters import schema
from learning.adapters.facets import facets_of, place_of, words_in
from learning.adapters.store import Store

CHUNK = 20_000  # conversations written at a time
END = datetime(2024, 6, 30, 22, 0, tzinfo=timezone.utc)
DAYS = 365
GAPS = 60
RELEASE = 7  # the release whose entries are asked for
CHANNELS = (("webchat", 0.7), ("slack", 0.2), ("rest", 0.1))
OUTCOMES = (("resolved", 0.74), ("escalated", 0.12), ("abandoned", 0.14))
REASONS = {
    "resolved": ("",),
    "escalated": ("asked", "not_understood", "dissatisfied", "service_failed"),
    "abandoned": ("not_understood", "rated_down", "unanswered_question", "doubtful_answer"),
}
KINDS = ("abandonment", "ambiguity", "frustration", "handoff", "low_confidence", "negative_feedback", "rephrase")
TAGS = ("bug", "good example", "vip", "training")


def fill(path: Path, conversations: int, data: Path) -> Store:
    """Make the database and return it opened; every text is a message of CLINC150."""
    store = Store(f"sqlite:///{path}")
    messages = [(text, intent) for text, intent in nlu_data.load("clinc150", data).train]
    intents = sorted({intent for _, intent in messages})
    dice = random.Random(7)
    dice.shuffle(intents)
    by_intent: dict[str, list[str]] = {intent: [] for intent in intents}
    for text, intent in messages:
        by_intent[intent].append(text)
    models = [hashlib.md5(str(number).encode()).hexdigest() for number in range(12)]
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    taken: set[int] = set()
    made = _conversations(conversations, dice, intents, by_intent, models)
    for start in range(0, conversations, CHUNK):
        _write(connection, [next(made) for _ in range(min(CHUNK, conversations - start))], dice, taken)
        results.say(f"{min(start + CHUNK, conversations):,} conversations")
    changes = [(RELEASE, _id(f"entry{number}"), 0, 100) for number in range(3)]
    connection.executemany(
        'INSERT INTO release_changes (number, item_id, "before", "after") VALUES (?, ?, ?, ?)', changes
    )
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return store


def _conversations(
    count: int, dice: random.Random, intents: Sequence[str], by_intent: dict[str, list[str]], models: Sequence[str]
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield rows with what was said, the oldest first; intents follow Zipf's law."""
    weights = [1 / (place + 1) for place in range(len(intents))]
    step = timedelta(days=DAYS) / count
    for number in range(count):
        last_at = END - timedelta(days=DAYS) + number * step
        turns = min(1 + int(dice.expovariate(0.5)), 12)
        asked = dice.choices(intents, weights, k=turns)
        said = [dice.choice(by_intent[intent]) for intent in asked]
        outcome = _pick(dice, OUTCOMES)
        bad = outcome != "resolved"
        kinds = sorted(dice.sample(KINDS, dice.choice((1, 1, 2)))) if bad or dice.random() < 0.08 else []
        thumb = dice.choice((1, 1, 1, -1)) if dice.random() < 0.1 else 0
        fallbacks = int(bad and dice.random() < 0.4) + int(dice.random() < 0.03)
        escalated = last_at - timedelta(minutes=2) if outcome == "escalated" else None
        row = {
            "conversation_id": _id(f"talk{number}"),
            "sender": _id(f"person{dice.randrange(count // 3 + 1)}"),
            "started": last_at - timedelta(minutes=2 * turns),
            "last_at": last_at,
            "first_row": number * 10 + 1,
            "last_row": number * 10 + 9,
            "turns": turns,
            "failed_turns": fallbacks,
            "outcome": outcome,
            "reason": dice.choice(REASONS[outcome]),
            "answered": turns - fallbacks if turns > fallbacks else 0,
            "thumbs_down": int(thumb < 0),
            "fallback_after": 0,
            "handoff_after": int(outcome == "escalated"),
            "thumb": thumb,
            "csat": dice.choice((1, 2, 4, 5, 5)) if dice.random() < 0.05 else None,
            "channel": _pick(dice, CHANNELS),
            "model": models[number * len(models) // count],
            "lowest_confidence": round(dice.betavariate(1.2, 3) if bad else dice.betavariate(9, 1), 3),
            "frustration": round(dice.betavariate(1, 12) if not bad else dice.betavariate(1.5, 4), 3),
            "thumbs_up": int(thumb > 0),
            "fallbacks": fallbacks,
            "service_failures": int(dice.random() < 0.01),
            "escalated_at": escalated,
            "agent_at": escalated + timedelta(minutes=1) if escalated and dice.random() < 0.6 else None,
            "opening": said[0],
            "intents": list(dict.fromkeys(asked)),
            "signals": kinds,
            "entries": [_id(f"entry{dice.randrange(40)}")] if dice.random() < 0.05 else [],
            "again": dice.random() < 0.12,
            "review": dice.choice(("seen", "done", "flagged")) if dice.random() < 0.02 else "new",
            "indexed": True,
        }
        yield row, said


def _write(
    connection: sqlite3.Connection, made: list[tuple[dict[str, Any], list[str]]], dice: random.Random, taken: set[int]
) -> None:
    talks, texts, tags, failed = [], [], [], []
    for row, said in made:
        place = place_of(row["last_at"], row["conversation_id"])
        while place in taken:
            place += 1
        taken.add(place)
        row["place"] = place
        own = [dice.choice(TAGS)] if dice.random() < 0.005 else []
        tags += [(row["conversation_id"], tag, "demo", _time(END)) for tag in own]
        texts.append((place, row["conversation_id"], words_in(said), facets_of(row, own)))
        talks.append(_values(row))
        if row["failed_turns"]:
            gap = _id(f"gap{min(int(dice.expovariate(0.08)), GAPS - 1)}")
            turn = (_id(f"turn{row['conversation_id']}"), row["conversation_id"], row["sender"], said[0], "", 0.3)
            failed.append((*turn, _time(row["last_at"]), row["channel"], 1.0, "grouped", gap))
    names = [column.name for column in schema.conversations.columns]
    marks = ", ".join("?" for _ in names)
    connection.execute("BEGIN")
    connection.executemany(f"INSERT INTO conversations ({', '.join(names)}) VALUES ({marks})", talks)
    connection.executemany(
        "INSERT INTO conversation_texts (place, conversation_id, text, facets) VALUES (?, ?, ?, ?)", texts
    )
    connection.executemany("INSERT INTO tags (conversation_id, tag, who, at) VALUES (?, ?, ?, ?)", tags)
    connection.executemany(
        "INSERT INTO failed_turns (turn_id, conversation_id, sender, text, intent, confidence, at, channel, weight,"
        " stage, gap_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        failed,
    )
    connection.execute("COMMIT")


def _values(row: dict[str, Any]) -> list[Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return _time(value)
        return json.dumps(value) if isinstance(value, list) else value

    return [plain(row[column.name]) for column in schema.conversations.columns]


def _time(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", timespec="microseconds")


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _pick(dice: random.Random, shares: Sequence[tuple[str, float]]) -> str:
    return dice.choices([name for name, _ in shares], [share for _, share in shares])[0]


def gap_of(number: int) -> str:
    """Return the id of a gap; the first ones are the largest."""
    return _id(f"gap{number}")


def person_of(number: int) -> str:
    """Return the pseudonym of a person."""
    return _id(f"person{number}")
