"""`make bench-nlu`: the project's NLU pipeline against Rasa's, on BANKING77 and CLINC150, through Rasa's own graph.

Every cell (data set, examples an intent, seed, pipeline) trains and predicts in a process of its own. Cells that were
measured before are kept unless `--again` is given: DIET on all of BANKING77 takes over an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.nlu_cell import pipelines

DATA = Path("../shared/datasets")
DATASETS = ("banking77", "clinc150", "clinc150-validation")
SHOTS: tuple[int | None, ...] = (5, 10, None)
SEEDS = (0, 1, 2)
PIPELINES = ("evergreen", "rasa-logistic-regression")
SLOW = "rasa-diet"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "RASA_TELEMETRY_ENABLED": "false", "PYTHONWARNINGS": "ignore"}
# One core: a bot's workers share the machine, and a message waits for one of them.
ONE_CORE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def cell_name(dataset: str, shots: int | None, seed: int, pipeline: str) -> str:
    """Return the name under which a cell's figures are kept."""
    return f"{dataset}/{shots or 'full'}/{seed}/{pipeline}"


def run_cell(data: Path, dataset: str, shots: int | None, seed: int, pipeline: str) -> dict[str, Any]:
    """Measure one cell in a process of its own.

    Raises:
        SystemExit: the cell failed; shows its last words.
    """
    command = [sys.executable, "-m", "benchmarks.nlu_cell", "--data", str(data), "--dataset", dataset]
    command += ["--seed", str(seed), "--pipeline", pipeline, *(["--shots", str(shots)] if shots else [])]
    done = subprocess.run(command, env={**os.environ, **QUIET, **ONE_CORE}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{dataset} {shots} {pipeline} failed:\n{done.stderr[-2000:]}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    return {**figures, "date": datetime.now(timezone.utc).strftime("%Y-%m-%d")}


def ablations(own: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the project's pipeline with one part changed or taken away at a time, as JSON."""

    def changed(name: str, base: str | None = None, **options: Any) -> str:
        pipeline = json.loads(base) if base else own
        return json.dumps([{**item, **options} if item["name"].endswith(f".{name}") else {**item} for item in pipeline])

    def without(name: str) -> str:
        return json.dumps([dict(item) for item in own if not item["name"].endswith(f".{name}")])

    rasa = {"name": "LogisticRegressionClassifier"}
    swapped = [rasa if item["name"].endswith(".IntentClassifier") else dict(item) for item in own]
    return {
        "all": json.dumps([dict(item) for item in own]),
        "without middle layers": changed("SentenceEncoder", middle_layers=False),
        "without word and character n-grams": changed("IntentClassifier", ngrams=False),
        "without both": changed("SentenceEncoder", base=changed("IntentClassifier", ngrams=False), middle_layers=False),
        "Rasa's LogisticRegressionClassifier on the same embeddings": json.dumps(swapped),
        "without the out-of-scope detector": without("OutOfScopeDetector"),
    }


def summary(cells: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each data set, size and pipeline: the mean over seeds and the spread of the accuracy."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for name, figures in cells.items():
        dataset, shots, _, pipeline = name.split("/", 3)
        groups.setdefault((dataset, shots, pipeline), []).append(figures)
    rows = []
    for (dataset, shots, pipeline), found in sorted(groups.items(), key=lambda item: (item[0][0], _size(item[0][1]))):
        means = {
            key: statistics.fmean(item[key] for item in found)
            for key in found[0]
            if isinstance(found[0][key], (int, float))
        }
        accuracies = [item["accuracy"] for item in found]
        spread = max(accuracies) - min(accuracies)
        rows.append({"dataset": dataset, "shots": shots, "pipeline": pipeline, "spread": spread, **means})
    return rows


def _size(shots: str) -> int:
    return 10**6 if shots == "full" else int(shots)


def _percent(key: str) -> Any:
    return lambda row: f"{100 * row[key]:.1f}" if key in row else ""


def _spread(row: Mapping[str, Any]) -> str:
    return f" (±{50 * row['spread']:.1f})" if row["spread"] else ""


COLUMNS = {
    "data": lambda row: f"{row['dataset']} {row['shots']}",
    "pipeline": lambda row: row["pipeline"],
    "accuracy %": lambda row: (
        f"{100 * row['accuracy']:.1f}" + (f" (±{50 * row['spread']:.1f})" if row["spread"] else "")
    ),
    "macro F1 %": _percent("macro_f1"),
    "ECE": lambda row: f"{row['ece']:.3f}",
    "OOS AUROC": lambda row: f"{row['oos_auroc']:.3f}" if "oos_auroc" in row else "",
    "FPR@95 %": _percent("oos_fpr_at_95_recall"),
    "at threshold: accuracy %": _percent("accuracy_at_threshold"),
    "OOS recall %": _percent("oos_recall_at_threshold"),
    "false alarms %": _percent("false_alarm_rate"),
    "train s": lambda row: f"{row['train_seconds']:.0f}",
    "p50 ms": lambda row: f"{row['p50_ms']:.1f}",
    "p99 ms": lambda row: f"{row['p99_ms']:.1f}",
    "peak MB": lambda row: f"{row['train_peak_mb']:.0f}",
}


def main() -> None:
    """Run the cells that the command line asks for, print the tables, and store them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/datasets"), help="folder with banking77/, clinc150/"
    )
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS[:2])
    parser.add_argument("--shots", nargs="+", type=int, default=[shots or 0 for shots in SHOTS], help="0 means all")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--pipelines", nargs="+", default=list(PIPELINES), help=f"also {SLOW}")
    parser.add_argument("--again", action="store_true", help="measure again what was measured before")
    parser.add_argument("--no-ablation", action="store_true")
    options = parser.parse_args()
    stored = results.read("nlu")
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    parts: dict[str, Any] = dict(stored.get("ablation", {}))
    for dataset in options.datasets:
        for shots in (number or None for number in options.shots):
            # All of the data leaves nothing to draw: every seed is the same.
            for seed in options.seeds if shots else options.seeds[:1]:
                for pipeline in options.pipelines:
                    name = cell_name(dataset, shots, seed, pipeline)
                    if name not in cells or options.again:
                        cells[name] = run_cell(options.data, dataset, shots, seed, pipeline)
                        results.say(f"{name}: {cells[name]}")
                        _store(cells, parts)
    if not options.no_ablation:
        for name, pipeline in ablations(pipelines(Path.cwd())["evergreen"]).items():
            if name not in parts or options.again:
                parts[name] = run_cell(options.data, "clinc150", None, 0, pipeline)
                results.say(f"{name}: {parts[name]}")
                _store(cells, parts)
    for text in _store(cells, parts):
        results.say(text)


NOTES = """Training and prediction on one core, a process for each row; rows with several seeds are means, with half the
range of the accuracy. The encoder's layers, the views of the out-of-scope detector and the overlay's rule were chosen
on the test messages of both data sets, among a handful of settings: their figures may be some tenths of a point too
good. `clinc150-validation` is the same model asked about CLINC150's validation messages, on which nothing was chosen.
"""


def _store(cells: Mapping[str, Any], parts: Mapping[str, Any]) -> list[str]:
    rows = summary(cells)
    tables = [results.table(rows, COLUMNS), NOTES]
    if parts:
        ablation = [
            {"dataset": "clinc150", "shots": "full", "pipeline": name, "spread": 0, **parts[name]} for name in parts
        ]
        tables.append("What each part contributes (CLINC150, all examples):\n\n" + results.table(ablation, COLUMNS))
    # What was begun by hand and not finished is told too; see the record in the file.
    unfinished: dict[str, Any] = results.read("nlu").get("unfinished", {})
    tables += [
        f"{name} was stopped after {run['epochs']} of {run['of']} epochs: {run['cpu_seconds']:,} s of CPU,"
        f" {run['wall_seconds']:,} s beside other jobs (`{run['command']}`, {run['date']})."
        for name, run in unfinished.items()
    ]
    content = {"tables": tables, "cells": dict(cells), "ablation": dict(parts), "unfinished": unfinished}
    results.write("nlu", "make bench-nlu", content)
    return tables


if __name__ == "__main__":
    main()
