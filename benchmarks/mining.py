"""How fast conversations are mined: against a bare SELECT + JSON loop, Rasa's markers, and Rasa's own trackers.

Makes tracker stores as Rasa 3.6 writes them (`benchmarks.tracker_store`), on SQLite and PostgreSQL. Every figure comes
from a process of its own on one core; the stores lie in the page cache, since they were just written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks import results, tracker_store
from benchmarks.mining_cell import ROOT

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "RASA_TELEMETRY_ENABLED": "false", "PYTHONWARNINGS": "ignore"}
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SCHEMA = "mining_benchmark"
NEW_EVENTS = 1_000
SEED, NEWS_SEED = 0, 1
# What Rasa's markers can say of the same: not understood, twice in a row, a person, a failed service.
MARKERS = """\
marker_not_understood:
  or:
  - intent: nlu_fallback
  - action: action_default_fallback
marker_not_understood_twice:
  seq:
  - intent: nlu_fallback
  - intent: nlu_fallback
marker_person:
  or:
  - action: action_talk_to_person
  - intent: talk_to_person
marker_service_failed:
  slot_was_set: backend_failure
"""

Figures = dict[str, Any]


def cell(name: str, url: str, learning: Path) -> Figures:
    """Run one measurement in a process of its own; return its figures.

    Raises:
        SystemExit: it failed; says with what.
    """
    command = [sys.executable, "-m", "benchmarks.mining_cell", name, url, "--learning", str(learning)]
    done = subprocess.run(command, env={**os.environ, **QUIET, **ONE_CORE}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} on {url} failed:\n{done.stderr[-3000:]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    results.say(f"  {name}: {figures['events']:,} events in {figures['seconds']:.2f} s, {figures['peak_mb']:.0f} MB")
    return figures


@contextmanager
def store_of(backend: str, events: int, folder: Path) -> Iterator[str]:
    """Make a tracker store, yield its URL, and take it away again."""
    results.say(f"{backend}, {events:,} events: writing them")
    talk = tracker_store.new_talk(SEED)
    if backend == "sqlite":
        path = folder / f"mining-{events}.db"
        tracker_store.make_sqlite(path, talk, events)
        try:
            yield f"sqlite:///{path}"
        finally:
            path.unlink()
        return
    admin = sa.create_engine(tracker_store.POSTGRES, future=True, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE"))
        connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    url = f"{tracker_store.POSTGRES}?options=-csearch_path%3D{SCHEMA}"
    try:
        tracker_store.make_postgresql(url, talk, events)
        yield url
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"DROP SCHEMA {SCHEMA} CASCADE"))
        admin.dispose()


def add_events(url: str, count: int) -> None:
    """Add `count` events to the store."""
    if url.startswith("sqlite"):
        tracker_store.add_sqlite(Path(url.removeprefix("sqlite:///")), count, NEWS_SEED)
    else:
        tracker_store.add_postgresql(url, count, NEWS_SEED)


def measure(backend: str, events: int, folder: Path, rasa: bool, mining: bool) -> Figures:
    """Return all figures of one store."""
    with store_of(backend, events, folder) as url, tempfile.TemporaryDirectory(dir=folder) as scratch:
        learning = Path(scratch) / "learning.db"
        found: Figures = {"backend": backend, "events": events}
        for name in ("floor", "reading", "signals", *(["mining"] if mining else [])):
            found[name] = cell(name, url, learning)
        if rasa:
            found["retrieval"] = cell("retrieval", url, learning)
            found["markers"] = markers(url, Path(scratch))
        if mining:
            add_events(url, NEW_EVENTS)
            found["again"] = cell("mining", url, learning)
        return found


def markers(url: str, scratch: Path) -> Figures:
    """Run `rasa evaluate markers` on every sender; its start-up, measured with one sender, is taken off."""
    (scratch / "markers.yml").write_text(MARKERS, "utf-8")
    if url.startswith("sqlite"):
        store = f"{{type: SQL, dialect: sqlite, db: '{url.removeprefix('sqlite:///')}'}}"
    else:
        store = f"{{type: SQL, dialect: postgresql, url: '{url}'}}"
    (scratch / "endpoints.yml").write_text(f"tracker_store: {store}\n", "utf-8")
    seconds = {}
    for which in (["first_n", "1"], ["all"]):
        command = [sys.executable, "-m", "rasa", "evaluate", "markers", *which, str(scratch / f"{which[0]}.csv")]
        command += ["--config", str(scratch / "markers.yml"), "--endpoints", str(scratch / "endpoints.yml")]
        command += ["--domain", str(ROOT / "domain.yml"), "--no-stats"]
        began = time.perf_counter()
        done = subprocess.run(
            command, env={**os.environ, **QUIET}, cwd=scratch, capture_output=True, text=True, check=False
        )
        seconds[which[0]] = time.perf_counter() - began
        if done.returncode:
            raise SystemExit(f"rasa evaluate markers failed:\n{done.stderr[-3000:]}")
    net = seconds["all"] - seconds["first_n"]
    results.say(f"  rasa evaluate markers: {seconds['all']:.1f} s, of them {seconds['first_n']:.1f} s start-up")
    return {"seconds": net, "start_up": seconds["first_n"]}


# --- tables ---------------------------------------------------------------------------------------------


def speed_table(cells: Sequence[Figures]) -> str:
    """Return events per second by stage."""
    return results.table(
        cells,
        {
            "store": lambda row: row["backend"],
            "events": lambda row: f"{row['events']:,}",
            "SELECT + orjson (floor)": lambda row: _rate(row["floor"]),
            "reading": lambda row: _rate(row["reading"]),
            "signals alone": lambda row: _rate(row["signals"], "detecting"),
            "reading, conversations and signals": lambda row: f"{_rate(row['signals'])} ({_times(row, 'signals')})",
            "all of mining": lambda row: f"{_rate(row['mining'])} ({_times(row, 'mining')})" if "mining" in row else "",
            "peak memory": lambda row: f"{max(_peaks(row)):.0f} MB",
            f"{NEW_EVENTS:,} new events": lambda row: f"{row['again']['seconds']:.2f} s" if "again" in row else "",
        },
    )


def parts_table(cells: Sequence[Figures]) -> str:
    """Return where the time of mining goes, in seconds."""
    rows = [row for row in cells if "mining" in row]
    return results.table(
        rows,
        {
            "store": lambda row: row["backend"],
            "events": lambda row: f"{row['events']:,}",
            "conversations": lambda row: f"{row['mining']['conversations']:,}",
            "signals": lambda row: f"{row['mining']['signals']:,}",
            "gaps": lambda row: f"{row['mining']['gaps']:,}",
            "until all is read": lambda row: f"{row['mining']['batches']:.1f} s",
            "whole run": lambda row: f"{row['mining']['seconds']:.1f} s",
            "of it encoding": lambda row: f"{row['mining']['encoder']:.1f} s",
            "redacting": lambda row: f"{row['mining']['redactor']:.1f} s",
            "learning database": lambda row: f"{row['mining']['store']:.1f} s",
        },
    )


def rasa_table(cells: Sequence[Figures]) -> str:
    """Return the same work by Rasa's own means."""
    rows = [row for row in cells if "markers" in row]
    return results.table(
        rows,
        {
            "store": lambda row: row["backend"],
            "events": lambda row: f"{row['events']:,}",
            "`rasa evaluate markers` (4 markers)": lambda row: _rate({**row["markers"], "events": row["events"]}),
            "Rasa's trackers of all senders": lambda row: _rate(row["retrieval"]),
            "reading, conversations and signals": lambda row: _rate(row["signals"]),
            "faster than markers": lambda row: f"{row['markers']['seconds'] / row['signals']['seconds']:.0f} x",
            "all of mining, faster than markers": lambda row: (
                f"{row['markers']['seconds'] / row['mining']['seconds']:.0f} x" if "mining" in row else ""
            ),
        },
    )


def _rate(figures: Mapping[str, Any], seconds: str = "seconds") -> str:
    return f"{figures['events'] / figures[seconds]:,.0f}/s"


def _times(row: Mapping[str, Any], name: str) -> str:
    return f"{row[name]['seconds'] / row['floor']['seconds']:.1f} x floor"


def _peaks(row: Mapping[str, Any]) -> list[float]:
    return [row[name]["peak_mb"] for name in ("reading", "signals", "mining", "again") if name in row]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[100_000, 1_000_000], help="sizes of the stores")
    parser.add_argument("--backends", nargs="+", choices=("sqlite", "postgresql"), default=["sqlite", "postgresql"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp"), help="for the stores; 10 M events take 9 GB")
    parser.add_argument("--rasa-events", type=int, default=100_000, help="largest store for Rasa's own tools")
    parser.add_argument("--no-mining", action="store_true", help="only reading and signals")
    parser.add_argument("--fresh", action="store_true", help="forget the figures of other sizes that were kept")
    options = parser.parse_args(arguments)
    kept = {} if options.fresh else results.read("mining").get("cells", {})
    for backend in options.backends:
        for events in options.events:
            rasa = events <= options.rasa_events
            kept[f"{backend}/{events}"] = measure(backend, events, options.folder, rasa, not options.no_mining)
            write(kept)
    for table in results.read("mining")["tables"]:
        results.say("\n" + table)


def write(cells: dict[str, Figures]) -> None:
    """Keep all figures, the smallest stores first."""
    rows = sorted(cells.values(), key=lambda row: (row["backend"] != "sqlite", row["events"]))
    command = "python -m benchmarks.mining --events " + " ".join(map(str, sorted({row["events"] for row in rows})))
    tables = [speed_table(rows), parts_table(rows), rasa_table(rows)]
    results.write("mining", command, {"tables": tables, "cells": cells})


if __name__ == "__main__":
    main()
