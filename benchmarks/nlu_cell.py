"""One cell of the NLU benchmark, in a process of its own: train and predict through Rasa's own graph.

Training is `rasa.model_training.train_nlu` on files as a user would have them; prediction is the loaded agent, one
message at a time on one core. Prints one JSON object on the last line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from benchmarks.nlu_data import Dataset, load

FALLBACK = "nlu_fallback"
ECE_BINS = 15
WARM_UP = 20  # messages that are not timed: lazy imports and caches

_COUNTS: list[dict[str, Any]] = [
    {"name": "WhitespaceTokenizer"},
    {"name": "RegexFeaturizer"},
    {"name": "LexicalSyntacticFeaturizer"},
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
]
_FALLBACK: dict[str, Any] = {"name": "FallbackClassifier", "threshold": 0.3, "ambiguity_threshold": 0.1}


def pipelines(root: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the pipelines under test: the project's own, ablations of it, and Rasa's."""
    own = [
        {"name": item} if isinstance(item, str) else dict(item)
        for item in yaml.safe_load((root / "config.yml").read_text("utf-8"))["pipeline"]
    ]
    return {
        "evergreen": own,
        # What `rasa init` writes (its ResponseSelector needs retrieval intents, which these data do not have).
        "rasa-diet": [
            *_COUNTS,
            {"name": "DIETClassifier", "epochs": 100, "constrain_similarities": True},
            {"name": "EntitySynonymMapper"},
            _FALLBACK,
        ],
        "rasa-logistic-regression": [*_COUNTS, {"name": "LogisticRegressionClassifier"}, _FALLBACK],
    }


def write_project(folder: Path, dataset: Dataset, pipeline: list[dict[str, Any]]) -> None:
    """Write config, domain and training data as a Rasa project."""
    intents: dict[str, list[str]] = {}
    for text, intent in dataset.train:
        plain = " ".join(text.split()).replace("[", "(").replace("]", ")")
        intents.setdefault(intent, []).append(plain)
    config = {"recipe": "default.v1", "language": "en", "assistant_id": "bench", "pipeline": pipeline, "policies": []}
    nlu = [
        {"intent": intent, "examples": "".join(f"- {text}\n" for text in texts)} for intent, texts in intents.items()
    ]
    (folder / "config.yml").write_text(yaml.safe_dump(config), "utf-8")
    (folder / "domain.yml").write_text(yaml.safe_dump({"version": "3.1", "intents": sorted(intents)}), "utf-8")
    (folder / "nlu.yml").write_text(yaml.safe_dump({"version": "3.1", "nlu": nlu}, allow_unicode=True), "utf-8")


def run_cell(dataset: Dataset, pipeline: list[dict[str, Any]]) -> dict[str, Any]:
    """Train and test one pipeline; return its figures (shares in 0..1, seconds, milliseconds, MB)."""
    import rasa.model_training
    from rasa.core.agent import Agent
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.ERROR)  # as `rasa run` does; formatting debug lines would be timed otherwise

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        # Cold: neither Rasa's cache of trained components nor the encoder's of vectors may save any work. The
        # encoder's graph is built before the clock starts, as it is once for every machine, and outside this process,
        # whose memory is measured.
        os.environ.update(RASA_CACHE_DIRECTORY=str(folder / "rasa"), EVERGREEN_CACHE=str(folder / "vectors"))
        build = "from learning.adapters.encoder import OnnxEncoder; OnnxEncoder()"
        subprocess.run([sys.executable, "-c", build], check=True)
        write_project(folder, dataset, pipeline)
        start, cpu = time.perf_counter(), time.process_time()
        model = rasa.model_training.train_nlu(
            str(folder / "config.yml"), str(folder / "nlu.yml"), str(folder), domain=str(folder / "domain.yml")
        )
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        agent = Agent.load(str(model))
        inside, milliseconds = _predict(agent, [text for text, _ in dataset.test])
        outside, _ = _predict(agent, list(dataset.outside))
    figures = _quality([intent for _, intent in dataset.test], inside, outside)
    return {
        "train_seconds": round(seconds, 2),
        "train_cpu_seconds": round(cpu_seconds, 2),
        "train_peak_mb": round(peak),
        "p50_ms": round(float(np.percentile(milliseconds, 50)), 2),
        "p99_ms": round(float(np.percentile(milliseconds, 99)), 2),
        **{name: round(value, 4) for name, value in figures.items()},
    }


def _predict(agent: Any, texts: list[str]) -> tuple[list[dict[str, Any]], list[float]]:
    async def run() -> tuple[list[dict[str, Any]], list[float]]:
        for text in texts[:WARM_UP]:
            await agent.parse_message(text)
        found, times = [], []
        for text in texts:
            start = time.perf_counter()
            found.append(await agent.parse_message(text))
            times.append(1000 * (time.perf_counter() - start))
        return found, times

    return asyncio.run(run())


def _quality(intents: list[str], inside: list[dict[str, Any]], outside: list[dict[str, Any]]) -> dict[str, float]:
    from sklearn.metrics import f1_score, roc_auc_score

    guesses = [_best(parsed) for parsed in inside]
    labels = [label for label, _ in guesses]
    confidences = np.array([confidence for _, confidence in guesses])
    right = np.array([label == intent for label, intent in zip(labels, intents, strict=True)])
    figures = {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(intents, labels, average="macro", zero_division=0)),
        "ece": _ece(confidences, right),
    }
    accepted = np.array([parsed["intent"]["name"] != FALLBACK for parsed in inside])
    figures["accuracy_at_threshold"] = float((right & accepted).mean())
    figures["false_alarm_rate"] = float((~accepted).mean())
    if outside:
        scores = np.array([_strangeness(parsed) for parsed in (*inside, *outside)])
        truth = np.array([0] * len(inside) + [1] * len(outside))
        figures["oos_auroc"] = float(roc_auc_score(truth, scores))
        # Share of in-scope messages turned away when 95 % of the out-of-scope ones are caught.
        limit = np.quantile(scores[truth == 1], 0.05)
        figures["oos_fpr_at_95_recall"] = float((scores[truth == 0] >= limit).mean())
        figures["oos_recall_at_threshold"] = float(np.mean([p["intent"]["name"] == FALLBACK for p in outside]))
    return figures


def _best(parsed: dict[str, Any]) -> tuple[str, float]:
    """Return the best real intent and its confidence, whatever the fallback decided."""
    for entry in parsed.get("intent_ranking") or [parsed["intent"]]:
        if entry["name"] != FALLBACK:
            return str(entry["name"]), float(entry["confidence"])
    return FALLBACK, 0.0


def _strangeness(parsed: dict[str, Any]) -> float:
    """Return how much a message looks out of scope: minus its familiarity, else one minus the confidence."""
    detector = parsed.get("out_of_scope")
    if isinstance(detector, dict) and detector.get("score") is not None:
        return -float(detector["score"])
    return 1 - _best(parsed)[1]


def _ece(confidences: npt.NDArray[Any], right: npt.NDArray[Any]) -> float:
    """Return the expected calibration error over equal-width bins (Naeini et al. 2015)."""
    bins = np.minimum((confidences * ECE_BINS).astype(int), ECE_BINS - 1)
    total = 0.0
    for number in range(ECE_BINS):
        chosen = bins == number
        if chosen.any():
            total += chosen.mean() * abs(right[chosen].mean() - confidences[chosen].mean())
    return float(total)


def main() -> None:
    """Run the cell that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77/ and clinc150/")
    parser.add_argument("--dataset", choices=("banking77", "clinc150", "clinc150-validation"), required=True)
    parser.add_argument("--pipeline", required=True, help="a name, or a pipeline as JSON")
    parser.add_argument("--shots", type=int, default=None, help="training examples an intent (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ["EVERGREEN_OVERLAY"] = "off"
    named = pipelines(Path.cwd())
    pipeline = named.get(options.pipeline) or json.loads(options.pipeline)
    figures = run_cell(load(options.dataset, options.data, options.shots, options.seed), pipeline)
    sys.stdout.write("\n" + json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
