"""How many hidden needs mining finds: intents are hidden from the assistant, and messages on them sent through it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import gap_data, gap_methods, results
from benchmarks.gap_data import DATASETS, SHARES, Cell, Message, Parsed
from benchmarks.gap_scores import Trial, mean_scores, scores
from learning.gaps import Known, Standing, existing_gap_id, group_turns
from learning.model import Conversation, FailedTurn, Signal, Turn, content_id, joint_weight
from learning.settings import GapSettings, SignalSettings
from learning.signals import DETECTORS

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
UNDERSTANDING = ("fallback", "low_confidence", "ambiguity", "unfamiliar")  # signals that a single message can have
SEEDS, DEVELOPMENT_SEEDS = (0, 1, 2), (10, 11, 12)
CHUNKS = 10
OURS = "Evergreen"
MIN_PEOPLE = GapSettings().min_people


class Experiment:
    """A stream as the assistant understood it: its failed turns and their vectors (n, d), and what is trained."""

    def __init__(self, cell: Cell, data: Path, cache: Path) -> None:
        training, self.stream, parsed = gap_data.cached(cell, data, cache)
        pairs = [(turn, message) for turn, message in _failed(self.stream, parsed) if turn.signals]
        self.turns = [turn for turn, _ in pairs]
        self.failed = [message for _, message in pairs]
        texts = [text for text, _ in training.train]
        vectors = gap_data.embeddings([*texts, *(turn.text for turn in self.turns)], cache)
        self.vectors = vectors[len(texts) :]
        dimension = gap_data.dimension()
        labels = [label for _, label in training.train]
        self.known = Known.from_examples(labels, texts, vectors[: len(texts)], dimension)
        self.intent_of_gap = {existing_gap_id(label): label for label in set(labels)}
        self.inputs = gap_methods.Inputs(
            placed=self.known.metric(self.vectors),
            sentence=np.asarray(self.vectors[:, :dimension]),
            known=self.known.vectors,
            labels=self.known.labels,
            needs=len({message.truth for message in self.failed if message.hidden}),
        )

    def trial(self, members: dict[str, str]) -> Trial:
        """Return what was mined, from turn id -> gap id."""
        found = [members.get(turn.turn_id) for turn in self.turns]
        intents = [self.intent_of_gap.get(gap or "") for gap in found]
        gaps = [None if intent else gap for gap, intent in zip(found, intents, strict=True)]
        return Trial(self.stream, self.failed, gaps, intents)

    def trial_of_clusters(self, labels: Any) -> Trial:
        """Return what another method found; it is spared the gaps that fewer than three people are behind."""
        people: dict[int, set[str]] = {}
        for label, message in zip(labels, self.failed, strict=True):
            people.setdefault(int(label), set()).add(message.sender)
        gaps = [str(label) if label >= 0 and len(people[int(label)]) >= MIN_PEOPLE else None for label in labels]
        return Trial(self.stream, self.failed, gaps, [None] * len(gaps))


def _failed(stream: Sequence[Message], parsed: Sequence[Parsed]) -> list[tuple[FailedTurn, Message]]:
    """Return every message as a turn with the signals that the loop's own detectors find."""
    settings = SignalSettings()
    found = []
    for number, (message, result) in enumerate(zip(stream, parsed, strict=True)):
        at = START + timedelta(minutes=number)
        turn = Turn(
            turn_id=content_id("turn", number, message.text),
            text=message.text,
            at=at,
            intent=result.intent,
            confidence=result.confidence,
            ranking=result.ranking,
            reply=("an answer",),
            familiarity=result.familiarity,
        )
        talk = Conversation(
            conversation_id=content_id("conversation", turn.turn_id),
            sender=message.sender,
            turns=(turn,),
            started=at,
            last_at=at,
            first_row=number,
            last_row=number,
        )
        signals = tuple(
            Signal(kind, finding.weight, finding.evidence)
            for kind in UNDERSTANDING
            for finding in DETECTORS[kind](talk, settings)
        )
        failed = FailedTurn(
            turn_id=turn.turn_id,
            conversation_id=talk.conversation_id,
            sender=message.sender,
            text=message.text,
            intent=result.intent,
            confidence=result.confidence,
            at=at,
            channel="rest",
            weight=joint_weight(signals),
            signals=signals,
        )
        found.append((failed, message))
    return found


def at_once(experiment: Experiment, settings: GapSettings = GapSettings()) -> dict[str, str]:
    """Group all failed turns in one step."""
    return dict(group_turns(experiment.turns, experiment.vectors, {}, experiment.known, settings).members)


def in_chunks(experiment: Experiment, chunks: int = CHUNKS) -> dict[str, str]:
    """Group as over months: a chunk at a time, with the turns that found no gap before."""
    members: dict[str, str] = {}
    standing: dict[str, Standing] = {}
    pool: list[int] = []
    for fresh in np.array_split(np.arange(len(experiment.turns)), chunks):
        rows = [*pool, *fresh.tolist()]
        turns = [experiment.turns[row] for row in rows]
        found = group_turns(turns, experiment.vectors[rows], standing, experiment.known, GapSettings()).members
        members.update(found)
        came: dict[str, list[int]] = {}
        for row in rows:
            gap = found.get(experiment.turns[row].turn_id)
            if gap is not None and gap not in experiment.intent_of_gap:
                came.setdefault(gap, []).append(row)
        for gap, new in came.items():
            mean = Standing.of(experiment.vectors[new], experiment.known.metric)
            standing[gap] = mean.joined(standing[gap]) if gap in standing else mean
        pool = [row for row in rows if experiment.turns[row].turn_id not in found]
    return members


def tuned_score(row: dict[str, float]) -> float:
    """What parameters are chosen by: needs found and NMI, less what misses the targets of noise and purity."""
    return row["found5"] + row["nmi"] - 3 * max(0.0, row["noise"] - 0.1) - 2 * max(0.0, 0.9 - row["purity"])


Row = dict[str, Any]
COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "method": lambda row: str(row["method"]),
    "found": lambda row: f"{100 * row['found']:.0f} %",
    "found, 5+": lambda row: f"{100 * row['found5']:.0f} %",
    "of all asked": lambda row: f"{100 * row['found_asked']:.0f} %",
    "purity": lambda row: f"{row['purity']:.3f}",
    "NMI": lambda row: f"{row['nmi']:.3f}",
    "NMI, grouped": lambda row: f"{row['nmi_grouped']:.3f}",
    "ARI": lambda row: f"{row['ari']:.3f}",
    "pair F1": lambda row: f"{row['pair_f1']:.3f}",
    "grouped": lambda row: f"{100 * row['covered']:.0f} %",
    "noise grouped": lambda row: f"{100 * row['noise']:.1f} %",
    "gaps": lambda row: f"{row['gaps']:.0f}",
    "gaps/need": lambda row: f"{row['per_need']:.2f}",
    "intent: precision": lambda row: (
        f"{row['intent_precision']:.2f} ({row['assigned']:.0f})" if row["assigned"] else "–"
    ),
}
CELL_COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "data": lambda row: str(row["dataset"]),
    "hidden": lambda row: f"{100 * row['share']:.0f} %",
    "reachable": lambda row: f"{100 * row['reachable']:.0f} %",
    **{name: COLUMNS[name] for name in list(COLUMNS)[1:]},
}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"), help="has banking77/ and clinc150/")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "evergreen-bench")
    parser.add_argument("--dataset", choices=DATASETS, action="append", help="default: both")
    parser.add_argument(
        "--share", type=float, action="append", help="share of the intents that is hidden; default: all"
    )
    parser.add_argument("--seed", type=int, action="append", help="default: 0, 1 and 2")
    parser.add_argument("--development", action="store_true", help="the streams that methods are chosen on; not stored")
    parser.add_argument("--only-ours", action="store_true", help="leave the alternatives out; not stored")
    parser.add_argument("--tune", action="store_true", help="try each alternative's parameters; not stored")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    seeds = options.seed or (DEVELOPMENT_SEEDS if options.development else SEEDS)
    cells = [
        Cell(dataset, share, seed, options.development)
        for dataset in options.dataset or DATASETS
        for share in options.share or SHARES
        for seed in seeds
    ]
    load = lru_cache(maxsize=None)(lambda cell: Experiment(cell, options.data, options.cache))
    if options.tune:
        _tune([load(cell) for cell in cells])
        return
    rows: list[Row] = []
    for cell in cells:
        experiment = load(cell)
        about = {"dataset": cell.dataset, "share": cell.share, "seed": cell.seed}
        found = {
            OURS: experiment.trial(at_once(experiment)),
            f"{OURS}, in {CHUNKS} steps": experiment.trial(in_chunks(experiment)),
        }
        if not options.only_ours:
            for name, (method, parameter, _) in gap_methods.METHODS.items():
                found[name] = experiment.trial_of_clusters(method(experiment.inputs, parameter))
        rows += [{**about, "method": name, **scores(trial)} for name, trial in found.items()]
        results.say(f"{cell.name}: found {rows[-len(found)]['found']:.2f}, distance {experiment.known.distance:.2f}")
    tables = _tables(rows)
    for text in tables:
        results.say("\n" + text)
    whole = not (options.dataset or options.share or options.seed or options.development or options.only_ours)
    if whole:
        from benchmarks.gap_pictures import draw

        pictures = draw(rows, results.FOLDER)
        results.write("gaps", "python -m benchmarks.gaps", {"tables": [*tables, *pictures], "rows": rows})


def _tables(rows: list[Row]) -> list[str]:
    def mean(**wanted: Any) -> dict[str, float]:
        return mean_scores([_figures(row) for row in rows if wanted.items() <= row.items()])

    methods = list(dict.fromkeys(row["method"] for row in rows))
    parts = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        means = [{"method": method, **mean(method=method, dataset=dataset)} for method in methods]
        parts.append(f"{dataset}, mean of all cells:\n\n" + results.table(means, COLUMNS))
    cells = dict.fromkeys((row["dataset"], row["share"]) for row in rows)
    ours = [
        {"dataset": dataset, "share": share, **mean(method=OURS, dataset=dataset, share=share)}
        for dataset, share in cells
    ]
    parts.append(f"{OURS} by cell, mean of the seeds:\n\n" + results.table(ours, CELL_COLUMNS))
    return parts


def _figures(row: Row) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in ("method", "dataset", "share", "seed")}


def _tune(experiments: list[Experiment]) -> None:
    for name, (method, _, choices) in gap_methods.METHODS.items():
        for parameter in choices:
            figures = mean_scores([scores(one.trial_of_clusters(method(one.inputs, parameter))) for one in experiments])
            shown = " ".join(f"{key} {figures[key]:.3f}" for key in ("found", "found5", "purity", "nmi", "noise"))
            results.say(f"{name} {parameter}: {tuned_score(figures):.3f} {shown}")
    for distance in (0.0, 0.85, 0.9, 0.95, 1.0):
        settings = replace(GapSettings(), join_distance=distance)
        figures = mean_scores([scores(one.trial(at_once(one, settings))) for one in experiments])
        shown = " ".join(f"{key} {figures[key]:.3f}" for key in ("found", "found5", "purity", "nmi", "noise"))
        results.say(f"{OURS} {distance or 'rehearsed'}: {tuned_score(figures):.3f} {shown}")


if __name__ == "__main__":
    main()
