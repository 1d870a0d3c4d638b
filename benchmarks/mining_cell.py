"""One measurement of the mining benchmark, in a process of its own: what it read, how long, and its peak memory.

Prints one JSON object on the last line. Seconds are wall-clock time of the work itself: imports, and loading the
encoder, are not in them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from learning.adapters.encoder import OnnxEncoder
from learning.adapters.tracker_sql import SqlTrackerEvents
from learning.reading import Reader
from learning.settings import load_settings
from learning.signals import Context, detect

ROOT = Path(__file__).parents[1]
ENCODER_CACHE = 20_000  # texts
CHUNK = 20_000  # rows that the floor fetches at a time from a server

Figures = dict[str, Any]


def floor(url: str, _: Path) -> Figures:
    """The least that could be done: fetch every row, decode its JSON, keep nothing."""
    query = "SELECT id, sender_id, type_name, timestamp, data FROM events ORDER BY id"
    engine = sa.create_engine(url, future=True)
    events = 0
    with engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        cursor = raw.cursor() if engine.name == "sqlite" else raw.cursor(name="floor")
        if engine.name != "sqlite":
            cursor.itersize = CHUNK
        began = time.perf_counter()
        cursor.execute(query)
        for _, _, _, _, data in cursor:
            orjson.loads(data)
            events += 1
        seconds = time.perf_counter() - began
    return {"events": events, "seconds": seconds}


def reading(url: str, _: Path) -> Figures:
    """Every event that the loop reads, decoded and sorted by sender."""
    tracker = SqlTrackerEvents(url)
    began = time.perf_counter()
    events = sum(batch.events for batch in tracker.batches(0, 100_000))
    return {"events": events, "seconds": time.perf_counter() - began}


def signals(url: str, _: Path) -> Figures:
    """Conversations from events, and what their detectors find; nothing is stored."""
    settings = load_settings(ROOT, {})
    encoder = _Timed(OnnxEncoder(cache_size=ENCODER_CACHE))
    context = Context(settings.signals, encoder)
    reader = Reader(SqlTrackerEvents(url), lambda rows: {}, settings, datetime.now(timezone.utc))
    events = turns = conversations = 0
    detecting = 0.0
    found: dict[str, int] = {}
    began = time.perf_counter()
    for batch in reader.read(0):
        talks = batch.conversations
        started = time.perf_counter()
        for findings in detect(talks, context):
            for kind, _finding in findings:
                found[kind] = found.get(kind, 0) + 1
        detecting += time.perf_counter() - started
        events += batch.events
        conversations += len(talks)
        turns += sum(len(talk.turns) for talk in talks)
    return {
        "events": events,
        "seconds": time.perf_counter() - began,
        "detecting": detecting,
        "encoding": encoder.seconds,
        "conversations": conversations,
        "turns": turns,
        "signals": found,
    }


def mining(url: str, learning: Path) -> Figures:
    """The whole flow into the learning database at `learning`, which it makes or goes on with."""
    from learning import pipeline
    from learning.bootstrap import App

    settings = load_settings(ROOT, {"EVERGREEN_STORE_URL": f"sqlite:///{learning}"})
    loop = App(settings).loop
    parts = {name: _Timed(getattr(loop, name)) for name in ("encoder", "redactor", "store")}
    loop = replace(loop, open_tracker=lambda: SqlTrackerEvents(url), **parts)  # type: ignore[arg-type]
    loop.encoder.encode(["warm up"])
    loop.redactor.redact("warm up")
    for part in parts.values():
        part.seconds = 0.0
    read = [time.perf_counter()]
    report = pipeline.mine(loop, lambda batch: read.append(time.perf_counter()))
    seconds = time.perf_counter() - read[0]
    return {
        "events": report.events,
        "seconds": seconds,
        "batches": read[-1] - read[0],
        **{name: part.seconds for name, part in parts.items()},
        "conversations": report.total_conversations,
        "signals": report.new_signals,
        "gaps": report.new_gaps,
        "proposals": report.new_proposals,
    }


def retrieval(url: str, _: Path) -> Figures:
    """Rasa's own `SQLTrackerStore.retrieve_full_tracker` of every sender, as `rasa evaluate markers` calls it."""
    from rasa.core.tracker_store import SQLTrackerStore
    from rasa.shared.core.domain import Domain

    domain = Domain.load(str(ROOT / "domain.yml"))
    if url.startswith("sqlite"):
        store = SQLTrackerStore(domain, db=url.removeprefix("sqlite:///"))
    else:
        store = SQLTrackerStore(domain, dialect="postgresql", host=url)

    async def all_trackers() -> int:
        events = 0
        for sender in await store.keys():
            tracker = await store.retrieve_full_tracker(sender)
            events += len(tracker.events) if tracker else 0
        return events

    began = time.perf_counter()
    events = asyncio.run(all_trackers())
    return {"events": events, "seconds": time.perf_counter() - began}


CELLS: Mapping[str, Callable[[str, Path], Figures]] = {
    "floor": floor,
    "reading": reading,
    "signals": signals,
    "mining": mining,
    "retrieval": retrieval,
}


class _Timed:
    """Passes every call on, and adds up how long they take."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._depth = 0
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            self._depth += 1
            try:
                return value(*arguments, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.perf_counter() - began

        return timed


def _peak_mb() -> float:
    """Return the most memory that this process has held; what `getrusage` says includes its parent's."""
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run one cell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", choices=CELLS)
    parser.add_argument("url", help="URL of the tracker store")
    parser.add_argument("--learning", type=Path, default=Path("learning.db"), help="database that mining fills")
    options = parser.parse_args()
    # As the command line does: records that live long are not looked through again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    figures = CELLS[options.cell](options.url, options.learning.resolve())
    figures["peak_mb"] = _peak_mb()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
