"""Where figures go: `results/NAME.json` with machine, command and date, and `RESULTS.md` made from all of them."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("results")
PAGE = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Return what the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"


def read(name: str) -> dict[str, Any]:
    """Return the stored results of a benchmark, empty if it never ran."""
    path = FOLDER / f"{name}.json"
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def write(name: str, command: str, content: Mapping[str, Any]) -> None:
    """Store the results of a benchmark and make `RESULTS.md` anew."""
    FOLDER.mkdir(exist_ok=True)
    record = {
        "command": command,
        "machine": machine(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        **content,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    write_page()


def write_page() -> None:
    """Make `RESULTS.md` from every stored result."""
    parts = ["# Results\n\nMade from `benchmarks/results/*.json` by the benchmarks themselves; do not edit.\n"]
    for path in sorted(FOLDER.glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        parts.append(
            f"\n## {path.stem}\n\n`{record['command']}`, {record['date']}, on {record['machine']}\n\n"
            + "\n\n".join(record.get("tables", []))
            + "\n"
        )
    PAGE.write_text("".join(parts), "utf-8")


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Callable[[Mapping[str, Any]], str]]) -> str:
    """Return a Markdown table with one function a column."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row) for cell in columns.values()) + " |" for row in rows]
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a line at once, so that a long benchmark shows where it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
