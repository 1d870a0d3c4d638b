"""How well gaps fit the needs that were hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.gap_data import FLOOD_LABEL, Message
from benchmarks.nlu_data import OUT_OF_SCOPE

PURE = 0.8  # share of a gap's messages from which it is about one need
FOUND_SIZE = 5  # messages of a gap that finds a need, in the stricter figure
ASKED_ENOUGH = 10  # messages from which a need should be found


@dataclass(frozen=True)
class Trial:
    """What was mined from a stream: the failed messages, and for each the gap, the known intent, or neither."""

    stream: Sequence[Message]
    failed: Sequence[Message]
    gaps: Sequence[str | None]
    intents: Sequence[str | None]


def scores(trial: Trial) -> dict[str, float]:
    """Return the figures of a trial; shares are 0..1, NaN where there is nothing to measure.

    NMI, ARI and pairwise F1 are over the failed messages of hidden needs, where each that is in no gap is a group of
    its own; `nmi_grouped` is over those in gaps.
    """
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    groups: dict[str, list[Message]] = {}
    for message, gap in zip(trial.failed, trial.gaps, strict=True):
        if gap is not None:
            groups.setdefault(gap, []).append(message)
    asked = Counter(message.truth for message in trial.stream if message.hidden)
    failed = Counter(message.truth for message in trial.failed if message.hidden)
    sizes: dict[str, int] = {}
    about: Counter[str] = Counter()
    right = floods = 0
    for members in groups.values():
        need, count = Counter(_need(message) for message in members).most_common(1)[0]
        floods += need == FLOOD_LABEL and count > PURE * len(members)
        if need in (OUT_OF_SCOPE, FLOOD_LABEL):
            continue
        right += count
        about[need] += 1
        if count > PURE * len(members):
            sizes[need] = max(sizes.get(need, 0), len(members))
    wanted = [need for need, count in asked.items() if count >= ASKED_ENOUGH]
    seen = [need for need, count in failed.items() if count >= ASKED_ENOUGH]
    noise = [gap for message, gap in zip(trial.failed, trial.gaps, strict=True) if message.truth == OUT_OF_SCOPE]
    all_noise = sum(message.truth == OUT_OF_SCOPE for message in trial.stream)
    truth = [message.truth for message in trial.failed if message.hidden]
    guess = [
        gap or f"alone {number}"
        for number, (message, gap) in enumerate(zip(trial.failed, trial.gaps, strict=True))
        if message.hidden
    ]
    grouped = sum(len(members) for members in groups.values())
    assigned = [(m.truth, name) for m, name in zip(trial.failed, trial.intents, strict=True) if name is not None]
    known = sum(not m.hidden and m.truth not in (OUT_OF_SCOPE, FLOOD_LABEL) for m in trial.failed)
    hits = sum(truth == name for truth, name in assigned)
    return {
        "found": _share(need in sizes for need in seen),
        "found5": _share(sizes.get(need, 0) >= FOUND_SIZE for need in seen),
        "found_asked": _share(need in sizes for need in wanted),
        "reachable": _share(failed[need] >= ASKED_ENOUGH for need in wanted),
        "purity": right / grouped if grouped else float("nan"),
        "nmi": float(normalized_mutual_info_score(truth, guess)),
        "nmi_grouped": _nmi_of_grouped(truth, guess),
        "ari": float(adjusted_rand_score(truth, guess)),
        "pair_f1": _pair_f1(truth, guess),
        "covered": _share(not name.startswith("alone ") for name in guess),
        "noise": sum(gap is not None for gap in noise) / all_noise if all_noise else float("nan"),
        "gaps": float(len(groups)),
        "per_need": float(np.mean(list(about.values()))) if about else float("nan"),
        "floods": float(floods),
        "assigned": float(len(assigned)),
        "assigned_right": float(hits),
        "known_failed": float(known),
    }


def mean_scores(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average over trials; the assignment to known intents is pooled, since some trials have next to none."""
    result = {name: float(np.nanmean([row[name] for row in rows])) for name in rows[0]}
    assigned, hits = sum(row["assigned"] for row in rows), sum(row["assigned_right"] for row in rows)
    result["intent_precision"] = hits / assigned if assigned else float("nan")
    result["intent_recall"] = hits / max(sum(row["known_failed"] for row in rows), 1)
    result["assigned"] = assigned
    return result


def _need(message: Message) -> str:
    return message.truth if message.hidden or message.truth in (OUT_OF_SCOPE, FLOOD_LABEL) else OUT_OF_SCOPE


def _nmi_of_grouped(truth: Sequence[str], guess: Sequence[str]) -> float:
    from sklearn.metrics import normalized_mutual_info_score

    kept = [pair for pair in zip(truth, guess, strict=True) if not pair[1].startswith("alone ")]
    return float(normalized_mutual_info_score(*zip(*kept, strict=True))) if kept else float("nan")


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else float("nan")


def _pair_f1(truth: Sequence[str], guess: Sequence[str]) -> float:
    def pairs(labels: Sequence[object]) -> int:
        return sum(count * (count - 1) // 2 for count in Counter(labels).values())

    both = pairs(list(zip(truth, guess, strict=True)))
    return 2 * both / max(pairs(truth) + pairs(guess), 1)
