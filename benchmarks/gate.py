"""`python -m benchmarks.gate`: how often the gate names an intent wrongly, and how small a loss it finds.

Two models are simulated on the sizes of the project's own hold-out. An intent's true accuracy is drawn from a beta
distribution with mean 0.87; a share of messages (`churn`) is answered anew by the second model, as likely right as
before: between two trainings that are equally good, messages move like that. Then one intent loses a share of the
messages that the second model would have understood, and what is counted is how often the rule blocks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import results
from learning.adapters.project import Project
from learning.gate_rules import is_lost
from learning.labels import LabelChanges, renamed
from learning.paired import Paired, real_losses
from learning.settings import GateSettings, load_settings

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "make bench-gate"
ACCURACY, SPREAD = 0.87, 8.0  # of intents: mean, and how much they are alike
CHURN = 0.05  # of messages that move by chance beside the loss that is looked for
SEED = 1


def sizes() -> list[int]:
    """Return how many held-out messages the intents of this project have."""
    holdout = renamed(Project(load_settings(ROOT, {})).holdout(), LabelChanges())
    labels = [example.label for example in holdout]
    return sorted(labels.count(label) for label in set(labels))


def simulate(
    random: np.random.Generator, counts: Sequence[int], churn: float, size: int = 0, drop: float = 0.0
) -> dict[str, Paired]:
    """Return the pairs of all intents; with a `size` one more of so many messages, which loses the share `drop`."""
    pairs = {}
    for number, count in enumerate([*counts, *([size] if size else [])]):
        likely = random.beta(SPREAD * ACCURACY, SPREAD * (1 - ACCURACY))
        before = random.random(count) < likely
        after = np.where(random.random(count) < churn, random.random(count) < likely, before)
        if size and number == len(counts):
            after = after & (random.random(count) >= drop)
        pairs[str(number)] = Paired.of(before.tolist(), after.tolist())
    return pairs


def blocked(pairs: dict[str, Paired], limits: GateSettings) -> set[str]:
    """Return the intents that the rule names."""
    real = real_losses(pairs, limits.max_intent_drop, 1 - limits.confidence)
    return {*real, *(name for name, pair in pairs.items() if is_lost(pair))}


def main() -> None:
    """Simulate, print and keep two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500, help="simulated comparisons for each figure")
    options = parser.parse_args()
    limits, counts = GateSettings(), sizes()
    rows, found = [], []
    for churn in (0.03, 0.1, 0.3, 1.0):
        random = np.random.default_rng(SEED)
        wrong = sum(bool(blocked(simulate(random, counts, churn), limits)) for _ in range(options.runs))
        rows.append({"churn": churn, "wrong": wrong / options.runs})
    for size in (5, 6, 8, 10, 20, 50):
        row: dict[str, float] = {"size": size}
        for drop in (0.3, 0.5, 0.7, 0.9, 1.0):
            random, last = np.random.default_rng(SEED), str(len(counts))
            drawn = (simulate(random, counts, CHURN, size, drop) for _ in range(options.runs))
            row[str(drop)] = sum(last in blocked(pairs, limits) for pairs in drawn) / options.runs
        found.append(row)
    null = results.table(
        rows,
        {
            "messages that move by chance": lambda row: f"{100 * row['churn']:.0f} %",
            "comparisons of equal models that are blocked": lambda row: f"{100 * row['wrong']:.1f} %",
        },
    )
    power = results.table(
        found,
        {
            "messages of the intent": lambda row: f"{row['size']:.0f}",
            **{
                f"loses {100 * float(drop):.0f} %": lambda row, drop=drop: f"{100 * row[drop]:.0f} %"  # type: ignore[misc]
                for drop in ("0.3", "0.5", "0.7", "0.9", "1.0")
            },
        },
    )
    results.say(f"{null}\n\n{power}")
    results.write("gate", COMMAND, {"runs": options.runs, "null": rows, "power": found, "tables": [null, power]})


if __name__ == "__main__":
    main()
