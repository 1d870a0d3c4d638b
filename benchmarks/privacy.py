"""`make bench-privacy`: how much personal data redaction finds, what it takes by mistake, and how long it takes.

The messages were written and marked by hand. The recognizers were tuned on `dev.yml` and corrected by the mistakes
that they made on `dev_second.yml` and `dev_third.yml`; `held_out.yml` was run once they were as they are. A marked
value counts as recalled only if all of its letters and digits are gone; what is redacted counts as right if at least
half of it is marked. Kinds are compared apart from that: an account number that was taken for a telephone number is
safe all the same.

Compared are the project's redactor; its patterns without Presidio, spaCy and lists of names; the redactor before it;
and Presidio with its default recognizers on the same spaCy model, once with all that it finds and once with the kinds
that are marked here (without dates, places and nationalities).
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import results
from benchmarks.privacy_baselines import old_patterns, presidio_default
from learning.adapters.presidio_redactor import PresidioRedactor
from learning.privacy import ConversationRedactor, PatternRedactor, Span
from learning.privacy.spans import settle

ROOT = Path(__file__).resolve().parent.parent
MARKED = ROOT / "tests" / "privacy"
COMMAND = "python -m benchmarks.privacy"
FILES = ("dev", "dev_second", "dev_third", "held_out")
WARM_UP = 50  # messages that are not timed
_MARK = re.compile(r"\[(?P<value>[^\[\]]+)\]\((?P<kind>[A-Z]+)(?::(?P<number>\d+))?\)")
NAME = "NAME"

Finder = Callable[[Sequence[str]], Sequence[Sequence[Span]]]


@dataclass(frozen=True)
class Message:
    """A message, what in it is personal, and the numbers of the values where they are given."""

    text: str
    spans: tuple[Span, ...]
    numbers: tuple[int, ...] = ()


def read_marked(path: Path) -> list[list[Message]]:
    """Return the conversations of a file; a single message is one by itself."""
    content = yaml.safe_load(path.read_text("utf-8"))
    singles = [[_message(line)] for line in content["singles"].splitlines() if line.strip()]
    return singles + [[_message(line) for line in block.splitlines()] for block in content["conversations"]]


def _message(line: str) -> Message:
    text, spans, numbers, done = "", [], [], 0
    for match in _MARK.finditer(line):
        text += line[done : match.start()]
        spans.append(Span(len(text), len(text) + len(match["value"]), match["kind"]))
        text += match["value"]
        numbers.append(int(match["number"] or 0))
        done = match.end()
    return Message(text + line[done:], tuple(spans), tuple(numbers))


def score(messages: Sequence[Message], found: Sequence[Sequence[Span]]) -> dict[str, dict[str, float]]:
    """Return recall, precision and share of right kinds: per kind, for all but names, and for all."""
    counts: dict[str, Counter[str]] = {}
    for message, spans in zip(messages, found, strict=True):
        marked = {place: span.kind for span in message.spans for place in range(span.start, span.end)}
        gone = {place for span in spans for place in range(span.start, span.end)}
        for span in message.spans:
            here = [place for place in range(span.start, span.end) if message.text[place].isalnum()]
            kinds = {other.kind for other in spans if other.start < span.end and span.start < other.end}
            for group in _groups(span.kind):
                count = counts.setdefault(group, Counter())
                count["marked"] += 1
                count["recalled"] += gone.issuperset(here)
                count["right_kind"] += gone.issuperset(here) and kinds == {span.kind}
        for span in spans:
            inside = sum(place in marked for place in range(span.start, span.end))
            for group in _groups(span.kind):
                count = counts.setdefault(group, Counter())
                count["found"] += 1
                count["right"] += 2 * inside >= span.end - span.start
    return {
        kind: {
            "marked": count["marked"],
            "recall": count["recalled"] / count["marked"] if count["marked"] else float("nan"),
            "found": count["found"],
            "precision": count["right"] / count["found"] if count["found"] else float("nan"),
            "right_kind": count["right_kind"] / count["recalled"] if count["recalled"] else float("nan"),
        }
        for kind, count in sorted(counts.items(), key=lambda item: (item[0][0].islower(), item[0]))
    }


def _groups(kind: str) -> tuple[str, ...]:
    return (kind, "all") if kind == NAME else (kind, "structured", "all")


def consistent(conversations: Sequence[Sequence[Message]], redactor: ConversationRedactor) -> tuple[int, int]:
    """Return how many marked values of conversations have the placeholder that they should have, and of how many."""
    right = total = 0
    for messages in conversations:
        if len(messages) < 2:
            continue
        redacted = redactor.redact_conversations([[message.text for message in messages]])[0]
        for message, text in zip(messages, redacted, strict=True):
            wanted = [f"<{span.kind}_{number}>" for span, number in zip(message.spans, message.numbers, strict=True)]
            given = re.findall(r"<[A-Z]+_\d+>", text)
            total += len(wanted)
            right += sum((Counter(wanted) & Counter(given)).values())
    return right, total


def mistakes(messages: Sequence[Message], found: Sequence[Sequence[Span]]) -> list[str]:
    """Return one line for each message in which something is missed, taken by mistake or of another kind."""
    lines = []
    for message, spans in zip(messages, found, strict=True):
        wanted = {(message.text[span.start : span.end], span.kind) for span in message.spans}
        given = {(message.text[span.start : span.end], span.kind) for span in spans}
        if wanted != given:
            lines.append(f"{message.text!r}: missed {sorted(wanted - given)}, found {sorted(given - wanted)}")
    return lines


def timed(find: Finder, texts: Sequence[str]) -> dict[str, float]:
    """Return messages a second in one batch, and milliseconds of single messages: mean, p50 and p99."""
    find(texts[:WARM_UP])
    start = time.perf_counter()
    find(texts)
    batch = len(texts) / (time.perf_counter() - start)
    each = []
    for text in texts:
        start = time.perf_counter()
        find([text])
        each.append(1000 * (time.perf_counter() - start))
    mean, p50, p99 = float(np.mean(each)), float(np.percentile(each, 50)), float(np.percentile(each, 99))
    return {"messages": len(texts), "batch_per_second": batch, "mean_ms": mean, "p50_ms": p50, "p99_ms": p99}


def finder_of(redactor: ConversationRedactor) -> Finder:
    """Return the redactor's search without its cache."""
    return lambda texts: settle(texts, redactor.find)


def percent(value: float) -> str:
    """Return a share as percent, a dash where there is none."""
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def main() -> None:
    """Measure every redactor on both files; print and keep the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        choices=("dev", "dev_second", "dev_third", "held_out"),
        help="measure one file alone, and write no results",
    )
    parser.add_argument("--mistakes", action="store_true", help="also print where the project's redactor errs")
    parser.add_argument("--own", action="store_true", help="the project's redactor alone, and write no results")
    parser.add_argument("--no-speed", action="store_true", help="leave out the times, and write no results")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/datasets"),
        help="folder with banking77/test.csv (github.com/PolyAI-LDN/task-specific-datasets) for times of real messages",
    )
    options = parser.parse_args()
    project = PresidioRedactor()
    finders: dict[str, Finder] = {"the project's": finder_of(project)}
    if not options.own:
        finders |= {
            "the project's patterns alone": finder_of(PatternRedactor()),
            "the one before": old_patterns,
            "Presidio, all it finds": presidio_default(everything=True),
            "Presidio, these kinds": presidio_default(everything=False),
        }
    files = {path.stem: read_marked(path) for path in sorted(MARKED.glob("*.yml")) if options.only in (None, path.stem)}
    record: dict[str, Any] = {"files": {}, "tables": []}
    for name, conversations in files.items():
        messages = [message for conversation in conversations for message in conversation]
        found = {label: find([message.text for message in messages]) for label, find in finders.items()}
        figures = {label: score(messages, spans) for label, spans in found.items()}
        right, total = consistent(conversations, project)
        record["files"][name] = {"messages": len(messages), "figures": figures, "consistent": [right, total]}
        record["tables"] += _tables(name, len(messages), figures, right, total)
        results.say("\n\n".join(record["tables"][-2:]))
        if options.mistakes:
            results.say("\n".join(mistakes(messages, found["the project's"])))
    if not options.no_speed:
        texts = {"labelled": [message.text for file in files.values() for group in file for message in group]}
        texts |= _real_messages(options.data)
        record["speed"] = [
            {"redactor": label, "texts": kind, **timed(find, list(dict.fromkeys(some)))}
            for kind, some in texts.items()
            for label, find in finders.items()
        ]
        record["tables"].append(_speed_table(record["speed"]))
        results.say(record["tables"][-1])
    if not (options.only or options.own or options.no_speed):
        results.write("privacy", COMMAND, record)


def _real_messages(data: Path) -> dict[str, list[str]]:
    path = data / "banking77" / "test.csv"
    if not path.exists():
        results.say(f"{path} is not there: no times of real messages")
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        return {"BANKING77 (test)": [row["text"] for row in csv.DictReader(lines)]}


def _tables(
    name: str, messages: int, figures: Mapping[str, Mapping[str, Mapping[str, float]]], right: int, total: int
) -> list[str]:
    own = next(iter(figures.values()))
    head = f"**{name}**: {messages} messages; in conversations, {right} of {total} values have the right placeholder."
    kinds = results.table(
        [{"kind": kind, **values} for kind, values in own.items()],
        {
            "kind": lambda row: str(row["kind"]),
            "marked": lambda row: f"{row['marked']:.0f}",
            "recall %": lambda row: percent(row["recall"]),
            "found": lambda row: f"{row['found']:.0f}",
            "precision %": lambda row: percent(row["precision"]),
            "right kind %": lambda row: percent(row["right_kind"]),
        },
    )
    empty = {"recall": float("nan"), "precision": float("nan")}
    compared = results.table(
        [{"label": label, "by": by} for label, by in figures.items()],
        {
            "redactor": lambda row: str(row["label"]),
            **{
                f"{group} {measure} %": lambda row, group=group, measure=measure: percent(
                    row["by"].get(group, empty)[measure]
                )  # type: ignore[misc]
                for group in ("structured", NAME, "all")
                for measure in ("recall", "precision")
            },
        },
    )
    return [f"{head}\n\n{kinds}", compared]


def _speed_table(rows: Sequence[Mapping[str, Any]]) -> str:
    return results.table(
        rows,
        {
            "redactor": lambda row: str(row["redactor"]),
            "messages": lambda row: f"{row['messages']} {row['texts']}",
            "in a batch, messages/s": lambda row: f"{row['batch_per_second']:,.0f}",
            "one by one, mean ms": lambda row: f"{row['mean_ms']:.3f}",
            "p50 ms": lambda row: f"{row['p50_ms']:.3f}",
            "p99 ms": lambda row: f"{row['p99_ms']:.3f}",
        },
    )


if __name__ == "__main__":
    main()
