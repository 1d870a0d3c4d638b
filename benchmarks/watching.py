"""How often a new model goes back by itself although it is no worse, and how soon one that is: made-up people.

Every run is the time for which a model is watched (72 hours), and the same hours of the four weeks before. It is looked
at after every person. Outcomes follow from rates; who comes when, and how much they write, is drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from benchmarks import results
from learning.model import Talk
from learning.sequential import threshold
from learning.settings import WatchSettings
from learning.watching import OUTCOMES, WEEK, evidence_of, people_of

SWAP = datetime(2024, 3, 1, 3, 0, tzinfo=timezone.utc)
SETTINGS = WatchSettings()
NOT_UNDERSTOOD, RATED_DOWN = 0.10, 0.02  # shares of messages and of people before the swap
MESSAGES = 4  # of a conversation in the mean


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    `after` are the shares with the new model, of messages that are not understood and of people who rate down.
    `people` come a day. `regulars` is the share of them who come every day, each with an inclination of their own.
    `drift` is by how much the shares of weeks differ without any model's doing: the standard deviation of their
    logarithm. `angry` people write fifty messages that nobody understands, and rate down.
    """

    name: str
    after: tuple[float, float] = (NOT_UNDERSTOOD, RATED_DOWN)
    people: int = 400
    regulars: float = 0.0
    drift: float = 0.0
    angry: int = 0
    worse: bool = False


AS_GOOD = (
    Scenario("as good"),
    Scenario("as good, half of the people regulars", regulars=0.5),
    Scenario("as good, weeks differ by 10 %", drift=0.1),
    Scenario("as good, 5 angry people", angry=5),
    Scenario("a quarter more of both", after=(1.25 * NOT_UNDERSTOOD, 1.25 * RATED_DOWN)),
    Scenario("better", after=(0.07, 0.01)),
)
WORSE = (
    Scenario("not understood 20 %", after=(0.2, RATED_DOWN), worse=True),
    Scenario("not understood 30 %", after=(0.3, RATED_DOWN), worse=True),
    Scenario("not understood 50 %", after=(0.5, RATED_DOWN), worse=True),
    Scenario("rated down by 6 %", after=(NOT_UNDERSTOOD, 0.06), worse=True),
    Scenario("rated down by 10 %", after=(NOT_UNDERSTOOD, 0.1), worse=True),
    Scenario("not understood 30 %, 40 people a day", after=(0.3, RATED_DOWN), people=40, worse=True),
    Scenario("not understood 50 %, 40 people a day", after=(0.5, RATED_DOWN), people=40, worse=True),
)
ALL = (*AS_GOOD, *WORSE)


def rows(
    runs: int, seed: int = 0, say: Callable[[str], None] = lambda line: None, scenarios: Sequence[Scenario] = ALL
) -> list[dict[str, Any]]:
    """Return one row a scenario: how many runs went back, and after how many people and hours in the median."""
    found = []
    for number, scenario in enumerate(scenarios):
        rng = np.random.default_rng((seed, number))
        ends = [end for _ in range(runs) if (end := simulate(scenario, rng)) is not None]
        people = [end[0] for end in ends]
        row = {
            "scenario": scenario.name,
            "worse": scenario.worse,
            "runs": runs,
            "back": len(ends) / runs,
            "people": float(np.median(people)) if people else None,
            "most": float(np.percentile(people, 90)) if people else None,
            "hours": float(np.median([end[1] for end in ends])) if ends else None,
        }
        say(f"{scenario.name}: {100 * len(ends) / runs:.1f} % of {runs} went back")
        found.append(row)
    return found


def simulate(scenario: Scenario, rng: np.random.Generator) -> tuple[int, float] | None:
    """Return after how many people, and hours, the model goes back; None if it stays."""
    weeks = [number * WEEK for number in range(1, SETTINGS.weeks + 1)]
    inclined = rng.beta(1.0, 3.0, (round(scenario.regulars * scenario.people), 2)) / 0.25
    usual = (NOT_UNDERSTOOD, RATED_DOWN)
    before = people_of([_talks(scenario, SWAP - week, usual, inclined, rng) for week in weeks], SWAP, weeks)
    after = people_of([_talks(scenario, SWAP, scenario.after, inclined, rng, scenario.angry)], SWAP)
    blocks, paths = evidence_of(before, after, SETTINGS.least_jump)
    needed = threshold(SETTINGS.false_alarms, len(OUTCOMES))
    over = np.flatnonzero(np.any([path >= needed for path in paths], axis=0))
    if not len(over):
        return None
    people = int(blocks[: over[0] + 1, 1, -1].sum())
    return people, (float(after.times[people - 1]) - SWAP.timestamp()) / 3600


def _talks(
    scenario: Scenario,
    start: datetime,
    rates: tuple[float, float],
    inclined: Any,
    rng: np.random.Generator,
    angry: int = 0,
) -> list[Talk]:
    """Return the conversations of one time of watching; fewer people come at night."""
    found: list[Talk] = []
    week = np.exp(rng.normal(0.0, scenario.drift)) if scenario.drift else 1.0
    for day in range(int(SETTINGS.hours // 24)):
        hours = np.clip(rng.normal(11.0, 5.0, scenario.people), 0.0, 23.9)
        turns = rng.geometric(1 / MESSAGES, scenario.people)
        for person in range(scenario.people):
            regular = person < len(inclined)
            own = inclined[person] if regular else (1.0, 1.0)
            name = f"regular {person}" if regular else f"{start} {day} {person}"
            chance, down = (min(week * rate * factor, 1.0) for rate, factor in zip(rates, own, strict=True))
            at = start + timedelta(days=day, hours=float(hours[person]))
            failed = int(rng.binomial(turns[person], chance))
            found.append(
                Talk(name, at, at + timedelta(minutes=3), int(turns[person]), failed, int(rng.random() < down))
            )
    for person in range(angry):
        at = start + timedelta(hours=1 + person)
        found += [Talk(f"angry {person}", at, at + timedelta(minutes=number), 50, 50, 1) for number in range(20)]
    return found


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.0f}"

    return results.table(
        found,
        {
            "the new model, watched for 72 hours": lambda row: str(row["scenario"]),
            "worse": lambda row: "yes" if row["worse"] else "no",
            "runs": lambda row: str(row["runs"]),
            "went back": lambda row: f"{100 * row['back']:.1f} %",
            "after people (median)": lambda row: number(row["people"]),
            "nine in ten after": lambda row: number(row["most"]),
            "hours (median)": lambda row: number(row["hours"]),
        },
    )


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="runs of each scenario")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = rows(options.runs, options.seed, results.say)
    results.say(table(found))
    command = f"python -m benchmarks.watching --runs {options.runs} --seed {options.seed}"
    results.write("watching", command, {"rows": found, "tables": [table(found)]})


if __name__ == "__main__":
    main()
