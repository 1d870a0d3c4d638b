"""What the live overlay adds to a message: none, 1,000, 10,000 and 100,000 entries, on one core.

One process, held on one core, loads a bot that was trained on CLINC150 and asks it test messages of CLINC150 and
BANKING77, each with the overlay off and on, one after the other. The overlay reads a real SQLite database, with its
poller running. Times are by the wall clock and, since other programs share the machine, of the thread's own work.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import nlu_data, results
from benchmarks.overlay_data import EXAMPLES, MOST, encoded, fill, needs, row, train
from learning.overlay import OverlayReader

COMMAND = "make bench-overlay"
SIZES = (0, 1_000, 10_000, MOST)
LIMIT = 5.0  # milliseconds that the overlay may add to one message in a hundred
PUBLICATIONS = 20
LONGEST = 900.0  # seconds that an index may take


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"), help="folder of both data sets")
    parser.add_argument("--messages", type=int, default=1_000, help="messages that are asked")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of entries")
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory(prefix="overlay-benchmark-") as folder:
        rows = [
            _measure(options, Path(folder), bot, size)
            for bot in [_Bot(options, Path(folder))]
            for size in options.sizes
        ]
    tables = [_latency(rows), _life(rows)]
    for table in tables:
        results.say("\n" + table)
    results.write("overlay", COMMAND, {"limit_ms": LIMIT, "rows": rows, "tables": [*tables, NOTES]})


NOTES = f"""Messages of CLINC150's and BANKING77's test sets, in equal parts; the bot knows 20 training messages of each
CLINC150 intent. Each entry is an answer with {EXAMPLES} examples: training messages of both data sets with one to three
words exchanged, encoded for real. *Added* is what `LiveOverlay.process` takes; the graph is all of Rasa's NLU graph.
*Own work* is the thread's CPU time, without what other programs of the machine took. *Same decision* is the share of
messages that the index gives to the entry which comparing one by one finds. The overlay's poller runs all the while."""


class _Bot:
    """A trained Rasa model, and the overlay component in its graph."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        os.environ["EVERGREEN_OVERLAY"] = "off"
        from components.sentence_encoder import shared_encoder
        from learning.adapters.encoder import DEFAULT_MAX_TOKENS

        self.encoder = shared_encoder(None, 1, DEFAULT_MAX_TOKENS)
        results.say("encoding the entries' examples (kept for the next time)")
        self.texts = needs(options.data, MOST + PUBLICATIONS)
        self.vectors = encoded(self.encoder, self.texts)
        results.say("training a bot on CLINC150")
        model = train(folder, options.data)

        from rasa.core.agent import Agent
        from rasa.utils.log_utils import configure_structlog

        configure_structlog(40)
        self._agent: Any = Agent.load(str(model))
        nodes = self._agent.processor.graph_runner._instantiated_nodes.values()
        self.overlay: Any = next(node._component for node in nodes if type(node._component).__name__ == "LiveOverlay")
        drawn = random.Random(1)
        asked = [nlu_data.load(name, options.data) for name in ("clinc150", "banking77")]
        half = options.messages // 2
        self.messages = [text for part in asked for text, _ in drawn.sample(part.test, half)]
        drawn.shuffle(self.messages)

    def parse(self, text: str) -> tuple[float, float]:
        """Return what a message takes in the whole graph, in milliseconds: by the wall clock, and own work."""

        async def run() -> tuple[float, float]:
            wall, own = time.perf_counter(), time.thread_time()
            await self._agent.parse_message(text)
            return 1_000 * (time.perf_counter() - wall), 1_000 * (time.thread_time() - own)

        return asyncio.run(run())

    def prepared(self, text: str) -> Any:
        """Return a message as it comes to the overlay, but for the classifiers' decision."""
        from rasa.shared.nlu.training_data.message import Message

        from components.sentence_encoder import SentenceEncoder

        message = Message.build(text)
        SentenceEncoder(SentenceEncoder.get_default_config(), "encoder").process([message])
        return message


def _measure(options: argparse.Namespace, folder: Path, bot: _Bot, size: int) -> dict[str, Any]:
    url = f"sqlite:///{folder / f'learning-{size}.db'}"
    results.say(f"{size} entries: filling the database")
    fill(url, bot.texts, bot.vectors, size, bot.encoder.identity)
    gc.collect()
    memory = _memory()
    reader = OverlayReader(url, bot.encoder.encode, bot.encoder.identity, poll=0.2)
    bot.overlay._open_reader = lambda: reader
    started = time.perf_counter()
    while len(reader.snapshot().places) < size:
        time.sleep(0.01)
    live = time.perf_counter() - started
    meanwhile = _component(bot, bot.messages[:100])
    while reader._intake.table.waits_for_index and time.perf_counter() - started < LONGEST:
        time.sleep(0.05)
    found: dict[str, Any] = {
        "entries": size,
        "rows": size * EXAMPLES,
        "live_s": live,
        "indexed_s": time.perf_counter() - started,
        "while_indexing_ms": _quantiles([wall for wall, _ in meanwhile]),
        "memory_mb": (_memory() - memory) / 2**20,
    }
    index = reader.snapshot().rows.index
    found["index_mb"] = index.bytes / 2**20 if index is not None else 0.0
    found["vectors_mb"] = reader.snapshot().rows.vectors.nbytes / 2**20
    added = _component(bot, bot.messages)
    found["added_ms"], found["added_own_ms"] = (_quantiles([pair[place] for pair in added]) for place in (0, 1))
    found |= _graph(bot)
    found["same_decision"] = _agreement(bot, reader) if size else 1.0
    found |= _costs(reader)
    found |= _publications(bot, reader, url, size)
    reader.close()
    results.say(f"{size} entries: {found}")
    return found


def _component(bot: _Bot, texts: Sequence[str]) -> list[tuple[float, float]]:
    """Return what `LiveOverlay.process` takes for each message, in milliseconds: by the wall clock, and own work."""
    os.environ["EVERGREEN_OVERLAY"] = "on"
    times = []
    for text in texts:
        message = bot.prepared(text)
        wall, own = time.perf_counter(), time.thread_time()
        bot.overlay.process([message])
        times.append((1_000 * (time.perf_counter() - wall), 1_000 * (time.thread_time() - own)))
    return times


def _graph(bot: _Bot) -> dict[str, Any]:
    """Return what messages take in the whole graph, with the overlay off and on, in turns."""
    times: dict[str, list[tuple[float, float]]] = {"off": [], "on": []}
    for place, text in enumerate(bot.messages):
        for switch in ("off", "on") if place % 2 else ("on", "off"):  # the second one finds the text in a cache
            os.environ["EVERGREEN_OVERLAY"] = switch
            bot.parse(text)
            times[switch].append(bot.parse(text))
    return {
        f"graph_{switch}{name}_ms": _quantiles([pair[place] for pair in pairs])
        for switch, pairs in times.items()
        for place, name in enumerate(("", "_own"))
    }


def _agreement(bot: _Bot, reader: OverlayReader) -> float:
    """Return the share of messages that get the same entry through the index as by comparing one by one."""
    snapshot = reader.snapshot()
    exact = snapshot.without_index()
    same = 0
    for text in bot.messages:
        message = bot.prepared(text)
        captures = [bot.overlay._capture(message, one, None)[0] for one in (snapshot, exact)]
        first, second = (None if capture is None else capture.entry.entry_id for capture in captures)
        same += first == second
    return same / len(bot.messages)


def _costs(reader: OverlayReader) -> dict[str, float]:
    """Return what a look at the version costs, and what a message pays for the newest snapshot, in microseconds."""
    database = reader._database
    assert database is not None

    def micro(call: Callable[[], object], times: int) -> float:
        started = time.thread_time()
        for _ in range(times):
            call()
        return 1e6 * (time.thread_time() - started) / times

    return {"version_check_us": micro(database.mark, 200), "snapshot_us": micro(reader.snapshot, 100_000)}


def _publications(bot: _Bot, reader: OverlayReader, url: str, size: int) -> dict[str, Any]:
    """Return how long it takes from a commit until a running bot knows of it: published, and withdrawn."""
    import sqlalchemy as sa

    from learning.adapters import schema
    from learning.adapters.database import bump_overlay

    engine = sa.create_engine(url, future=True)
    times: dict[str, list[float]] = {"publish_ms": [], "withdraw_ms": []}
    table = schema.entries
    for number in range(size, size + PUBLICATIONS):
        with engine.begin() as connection:
            version = bump_overlay(connection)
            new = row(number, bot.texts, bot.vectors, bot.encoder.identity, version)
            connection.execute(sa.insert(table), new)
        times["publish_ms"].append(_until(lambda known=new["entry_id"]: known in reader.snapshot().places))  # type: ignore[misc]
        with engine.begin() as connection:
            version = bump_overlay(connection)
            gone = sa.update(table).where(table.c.entry_id == new["entry_id"])
            connection.execute(gone.values(state="withdrawn", changed=version))
        times["withdraw_ms"].append(_until(lambda known=new["entry_id"]: known not in reader.snapshot().places))  # type: ignore[misc]
    engine.dispose()
    return {name: {"p50": float(np.median(found)), "max": max(found)} for name, found in times.items()}


def _until(check: Callable[[], bool]) -> float:
    started = time.perf_counter()
    while not check():
        time.sleep(0.001)
    return 1_000 * (time.perf_counter() - started)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {"p50": float(np.quantile(values, 0.5)), "p99": float(np.quantile(values, 0.99)), "max": float(max(values))}


def _memory() -> int:
    """Return the memory that this process holds, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _pair(values: dict[str, float]) -> str:
    return f"{values['p50']:.2f} / {values['p99']:.2f}"


def _latency(rows: Sequence[dict[str, Any]]) -> str:
    return results.table(
        rows,
        {
            "entries": lambda one: f"{one['entries']:,}",
            "added ms, p50 / p99": lambda one: _pair(one["added_ms"]),
            "own work": lambda one: _pair(one["added_own_ms"]),
            "graph off ms": lambda one: _pair(one["graph_off_ms"]),
            "graph on ms": lambda one: _pair(one["graph_on_ms"]),
            "graph off, own work": lambda one: _pair(one["graph_off_own_ms"]),
            "graph on, own work": lambda one: _pair(one["graph_on_own_ms"]),
            "same decision": lambda one: f"{100 * one['same_decision']:.1f} %",
        },
    )


def _life(rows: Sequence[dict[str, Any]]) -> str:
    return results.table(
        rows,
        {
            "entries": lambda one: f"{one['entries']:,}",
            "published until live ms, p50 / max": lambda one: (
                f"{one['publish_ms']['p50']:.0f} / {one['publish_ms']['max']:.0f}"
            ),
            "withdrawn until gone": lambda one: f"{one['withdraw_ms']['p50']:.0f} / {one['withdraw_ms']['max']:.0f}",
            "start until live s": lambda one: f"{one['live_s']:.1f}",
            "until indexed s": lambda one: f"{one['indexed_s']:.0f}",
            "added meanwhile ms, p50 / p99": lambda one: _pair(one["while_indexing_ms"]),
            "memory MB": lambda one: f"{one['memory_mb']:.0f}",
            "version check µs": lambda one: f"{one['version_check_us']:.0f}",
            "snapshot µs": lambda one: f"{one['snapshot_us']:.2f}",
        },
    )


if __name__ == "__main__":
    main()
