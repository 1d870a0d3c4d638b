"""`make bench-experiments`: how often equal wordings are told apart, and how many people a true difference takes.

Made-up people, the real rule: `learning.winner_rule` is asked after every day, as `experiments show` asks it, and the
first winner counts. That `learning.verdicts.judge`, which the command line calls, says the same of the same people is
checked on some of the runs.

Compared on the same people are the z test for two proportions (the chi-squared test of `scipy`, which is checked),
asked every day, and asked once on the day that was planned for (80 % power for the true difference); and the mixture
sequential probability ratio test with a normal prior (mSPRT: Johari, Koomen, Pekelis and Walsh, "Peeking at A/B tests",
2017), which is what several products for A/B tests use. All have the same level, the same Bonferroni correction and the
same minimum of people and days. "Anything told apart" is what the promise is about: two variants whose evidence ever
suffices, whatever the minimum; from there on one of them may be called harmful.

At the end comes the stop rule of rollouts, see `benchmarks.stop_rule`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, norm

from benchmarks import results, stop_rule
from learning.model import Experiment, ExperimentOutcome, ExperimentState, Outcome, Variant
from learning.settings import ExperimentSettings
from learning.verdicts import judge
from learning.winner_rule import decided, winners

COMMAND = "python -m benchmarks.experiments"
DAYS = 60
SEED = 20240301
START = datetime(2024, 3, 1, tzinfo=timezone.utc)
RULE = ExperimentSettings()
MIXING = 0.05  # standard deviation of the mSPRT's prior on the difference: what is worth while
POWER = 0.8
QUICK_STOPS = 5  # runs of the stop rule with --quick
CHECKED = 20  # runs of a scenario that `judge` is asked about, too
RATES = (0.05, 0.3, 0.7, 0.95)
Counts = NDArray[np.float64]  # (runs, days, variants, 2): good outcomes and people
Method = Callable[[Counts], NDArray[np.int64]]  # the winner after each day, -1 for none


@dataclass(frozen=True)
class Scenario:
    """What is simulated: the rate of good outcomes of each variant, people a day, and by how much weekends differ."""

    rates: tuple[float, ...]
    people: int
    weekend: float = 0.0

    @property
    def name(self) -> str:
        """What the tables call it."""
        told = " / ".join(f"{100 * rate:g}" for rate in self.rates)
        return f"{told} %" + (f", {100 * self.weekend:+g} points at weekends" if self.weekend else "")

    @property
    def is_equal(self) -> bool:
        """Whether there is nothing to find."""
        return len(set(self.rates)) == 1


EQUAL = (
    *(Scenario((rate,) * variants, people) for variants in (2, 3) for rate in RATES for people in (50, 200)),
    Scenario((0.7, 0.7), 200, -0.2),
)
DIFFERENT = (
    Scenario((0.7, 0.75), 100),
    Scenario((0.7, 0.75), 200),
    Scenario((0.7, 0.8), 100),
    Scenario((0.7, 0.8), 200),
    Scenario((0.7, 0.75), 200, -0.2),
    Scenario((0.05, 0.08), 200),
    Scenario((0.7, 0.75, 0.75), 200),
    Scenario((0.7, 0.7, 0.8), 200),
)


def main() -> None:
    """Simulate, print the tables, and store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=4000, help="experiments of each scenario")
    parser.add_argument("--stop-runs", type=int, default=100, help="runs of each scenario of the stop rule; 0: none")
    parser.add_argument("--quick", action="store_true", help="few runs, nothing is stored")
    options = parser.parse_args()
    runs = 300 if options.quick else options.runs
    began = time.monotonic()
    check_peers()
    equal = [measure(scenario, runs, number) for number, scenario in enumerate(EQUAL)]
    different = [measure(scenario, runs, 100 + number) for number, scenario in enumerate(DIFFERENT)]
    tables = [false_table(equal, runs), power_table(different, runs)]
    seconds = round(time.monotonic() - began)
    results.say("\n" + "\n\n".join([*tables, f"{seconds} s"]))
    if not options.quick:
        record = {"runs": runs, "days": DAYS, "equal": equal, "different": different, "seconds": seconds}
        results.write("experiments", COMMAND, {**record, "tables": tables})
    if options.stop_runs:
        _measure_stops(min(options.stop_runs, QUICK_STOPS) if options.quick else options.stop_runs, not options.quick)


def _measure_stops(runs: int, stored: bool) -> None:
    """Measure the stop rule of rollouts; slower by far, and stored by itself."""
    rows = stop_rule.rows(runs, SEED, results.say)
    table = stop_rule.table(rows)
    results.say("\n" + table)
    if stored:
        results.write("stop_rule", f"{COMMAND} --stop-runs {runs}", {"runs": runs, "rows": rows, "tables": [table]})


# --- people ----------------------------------------------------------------------------------------


def people_of(scenario: Scenario, runs: int, rng: np.random.Generator) -> Counts:
    """Return how many people come each day, and how many of them have a good outcome."""
    variants = len(scenario.rates)
    coming = rng.poisson(scenario.people, (runs, DAYS))
    people = rng.multinomial(coming, [1 / variants] * variants)
    weekend = np.isin(np.arange(DAYS) % 7, (5, 6))[:, None] * scenario.weekend
    good = rng.binomial(people, np.array(scenario.rates) + weekend)
    return np.asarray(np.stack([good, people], axis=-1), dtype=float)


def measure(scenario: Scenario, runs: int, number: int) -> dict[str, Any]:
    """Return for each method how often, when and for whom it named a winner."""
    counts = people_of(scenario, runs, np.random.default_rng((SEED, number)))
    check_judge(scenario, counts[:CHECKED], number)
    found = {name: outcome(scenario, counts, method(counts)) for name, method in methods(scenario).items()}
    told = ", ".join(f"{name} {100 * row['named']:.1f} %" for name, row in found.items())
    results.say(f"{scenario.name}, {scenario.people} people a day: {told}")
    paths, needed = decided(counts, RULE)
    apart = np.any([path.max(axis=1) >= needed for path in paths.values()], axis=0).mean()
    return {"scenario": scenario.name, "people": scenario.people, "methods": found, "told_apart": float(apart)}


def outcome(scenario: Scenario, counts: Counts, winner: NDArray[np.int64]) -> dict[str, Any]:
    """Return what came of asking a method every day: the first winner counts."""
    named = winner >= 0
    ever = named.any(axis=1)
    day = np.where(ever, named.argmax(axis=1), DAYS - 1)
    first = winner[np.arange(len(winner)), day]
    best = np.isclose(scenario.rates, max(scenario.rates))
    right = ever & best[first] & (not scenario.is_equal)
    each = counts[..., 1].cumsum(axis=1).mean(axis=-1)[np.arange(len(winner)), day]
    # Whoever finds nothing in 60 days is at the end of the order: a median over all runs hides no failures.
    reached = np.where(ever, each, np.inf)
    middle = float(np.median(reached))
    return {
        "named": float(ever.mean()),
        "right": float(right.mean()),
        "wrong": float((ever & ~right).mean()),
        "people": round(middle) if np.isfinite(middle) else None,
        "days": float(np.median(np.where(ever, day + 1, np.inf))) if np.isfinite(middle) else None,
    }


# --- methods ---------------------------------------------------------------------------------------


def methods(scenario: Scenario) -> dict[str, Method]:
    """Return the rule and its peers."""
    return {
        "evergreen": lambda counts: winners(counts, RULE),
        "z test every day": lambda counts: _winner(counts, _z_crossed(counts)),
        "z test once": lambda counts: _winner(counts, _z_crossed(counts) & _on(planned_day(scenario))),
        "mSPRT every day": lambda counts: _winner(counts, _msprt_crossed(counts)),
    }


def planned_day(scenario: Scenario) -> int:
    """Return the day on which a fixed test is asked: as many people as 80 % power takes, the last day if none do."""
    if scenario.is_equal:
        return DAYS
    pairs = len(list(combinations(scenario.rates, 2)))
    # Cohen, "Statistical power analysis" (1988), chapter 6: the difference of the arcsines of the roots.
    effect = 2 * abs(np.arcsin(np.sqrt(max(scenario.rates))) - np.arcsin(np.sqrt(scenario.rates[0])))
    each = 2 * ((norm.isf(RULE.false_winners / pairs / 2) + norm.ppf(POWER)) / effect) ** 2
    return int(min(max(np.ceil(each * len(scenario.rates) / scenario.people), RULE.min_days), DAYS))


def _on(day: int) -> NDArray[np.bool_]:
    """Return (1, days, 1): whether it is that day, or later."""
    return np.asarray((np.arange(1, DAYS + 1) == day)[None, :, None])


def _winner(counts: Counts, crossed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the winner after each day, where `crossed` (runs, days, pairs) says which pairs differ.

    As the rule has it: the control wins where it beats all others, another where it beats the control and is unbeaten.
    """
    total = counts.cumsum(axis=1)
    share = total[..., 0] / np.maximum(total[..., 1], 1)
    variants = counts.shape[2]
    beats = np.zeros((*share.shape, variants), dtype=bool)
    for place, (first, second) in enumerate(combinations(range(variants), 2)):
        beats[..., first, second] = crossed[..., place] & (share[..., first] > share[..., second])
        beats[..., second, first] = crossed[..., place] & (share[..., second] > share[..., first])
    best = ~beats.any(axis=-2) & beats[..., 0]
    best[..., 0] = beats[..., 0, 1:].all(axis=-1)
    ripe = (total[..., 1].min(axis=-1) >= RULE.min_people) & (np.arange(1, DAYS + 1) >= RULE.min_days)
    return np.asarray(np.where(ripe & best.any(axis=-1), np.where(best, share, -1.0).argmax(axis=-1), -1))


def _pairs(counts: Counts) -> list[tuple[Counts, Counts]]:
    total = counts.cumsum(axis=1)
    return [(total[:, :, first], total[:, :, second]) for first, second in combinations(range(counts.shape[2]), 2)]


def _z_crossed(counts: Counts) -> NDArray[np.bool_]:
    pairs = _pairs(counts)
    needed = norm.isf(RULE.false_winners / len(pairs) / 2)
    return np.stack([np.abs(z_score(first, second)) >= needed for first, second in pairs], axis=-1)


def z_score(first: Counts, second: Counts) -> Counts:
    """Return the z score of two proportions with pooled variance; (..., 2) counts."""
    (good, people), (other_good, other_people) = (np.moveaxis(part, -1, 0) for part in (first, second))
    pooled = (good + other_good) / np.maximum(people + other_people, 1)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(people, 1) + 1 / np.maximum(other_people, 1)))
    difference = good / np.maximum(people, 1) - other_good / np.maximum(other_people, 1)
    return np.asarray(difference / np.maximum(spread, 1e-12))


def _msprt_crossed(counts: Counts) -> NDArray[np.bool_]:
    pairs = _pairs(counts)
    needed = np.log(len(pairs) / RULE.false_winners)
    found = []
    for first, second in pairs:
        people = np.maximum(first[..., 1] + second[..., 1], 2) / 2
        pooled = (first[..., 0] + second[..., 0] + 1) / (2 * people + 2)
        variance = 2 * pooled * (1 - pooled)
        difference = first[..., 0] / np.maximum(first[..., 1], 1) - second[..., 0] / np.maximum(second[..., 1], 1)
        mixed = variance + people * MIXING**2
        ratio = 0.5 * np.log(variance / mixed) + (people * MIXING * difference) ** 2 / (2 * variance * mixed)
        found.append(np.maximum.accumulate(ratio, axis=1) >= needed)
    return np.stack(found, axis=-1)


# --- checks ----------------------------------------------------------------------------------------


def check_peers() -> None:
    """Fail if the z score squared is not the statistic of scipy's chi-squared test."""
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        people = rng.integers(100, 1000, 2)
        good = rng.integers(20, 80, 2)
        expected = chi2_contingency([good, people - good], correction=False)[0]
        mine = z_score(np.array([good[0], people[0]], float), np.array([good[1], people[1]], float)) ** 2
        if not np.isclose(mine, expected):
            raise SystemExit(f"the squared z score {mine} is not scipy's chi-squared {expected}")


def check_judge(scenario: Scenario, counts: Counts, number: int) -> None:
    """Fail if `judge`, asked on one day about real outcomes, names another winner than the rule on all of them."""
    days = (7, 14, 30, DAYS)
    expected = winners(counts, RULE)
    names = ["control", *(f"variant-{place}" for place in range(1, len(scenario.rates)))]
    experiment = Experiment(
        experiment_id=f"{number:016}",
        name=scenario.name,
        label="faq/x",
        response="utter_faq/x",
        metric="resolved",
        variants=tuple(Variant(name, name) for name in names),
        state=ExperimentState.RUNNING,
        who="benchmark",
        created_at=START,
        started_at=START,
    )
    for run, table in enumerate(counts):
        day = days[run % len(days)]
        verdict = judge(experiment, _outcomes(table[:day], names), RULE, START + timedelta(days=day), timedelta(0))
        mine = -1 if verdict.winner is None else names.index(verdict.winner)
        if mine != expected[run, day - 1] and not verdict.uneven:
            raise SystemExit(
                f"{scenario.name}, run {run}, day {day}: judge names {mine}, the rule {expected[run, day - 1]}"
            )


def _outcomes(table: Counts, names: Sequence[str]) -> list[ExperimentOutcome]:
    return [
        ExperimentOutcome(
            sender=f"{day}-{name}-{place}",
            variant=name,
            at=START + timedelta(days=day),
            outcome=Outcome.RESOLVED if place < good else Outcome.ABANDONED,
        )
        for day, row in enumerate(table)
        for name, (good, people) in zip(names, row, strict=True)
        for place in range(int(people))
    ]


# --- tables ----------------------------------------------------------------------------------------


def false_table(rows: Sequence[Mapping[str, Any]], runs: int) -> str:
    """Return how often a winner is named where there is none, as a Markdown table."""
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        f"equal wordings, {runs:,} experiments of {DAYS} days each: false winners": lambda row: row["scenario"],
        "people a day": lambda row: str(row["people"]),
    }
    for name in rows[0]["methods"]:
        columns[name] = lambda row, name=name: f"{100 * row['methods'][name]['named']:.1f} %"  # type: ignore[misc]
    columns["evergreen: anything told apart"] = lambda row: f"{100 * row['told_apart']:.1f} %"
    return results.table(rows, columns)


def power_table(rows: Sequence[Mapping[str, Any]], runs: int) -> str:
    """Return how often a true difference is found, and by how many people in each variant, as a Markdown table."""

    def told(row: Mapping[str, Any], name: str) -> str:
        one = row["methods"][name]
        people = f"{one['people']:,}" if one["people"] is not None else "-"
        return f"{100 * one['right']:.1f} % ({100 * one['wrong']:.1f} %), {people}"

    heading = f"true differences, {runs:,} experiments: found in {DAYS} days (wrongly), median people in each variant"
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        heading: lambda row: row["scenario"],
        "people a day": lambda row: str(row["people"]),
    }
    for name in rows[0]["methods"]:
        columns[name] = lambda row, name=name: told(row, name)  # type: ignore[misc]
    return results.table(rows, columns)


if __name__ == "__main__":
    main()
