"""How often the stop rule takes back what does no harm, and how soon what does: the real rule on made-up people.

Every run is the two weeks for which an entry is watched. After every hour the rule is asked, and the first time that it
fires counts. Outcomes follow from rates; who comes when, and who gets the entry, is drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from benchmarks import results
from learning.model import OFF, ON, AnswerCounts, DayOfSender, Exposure, ProposalKind
from learning.stop_rule import OUTCOMES, Comparison, Others, judge

START = datetime(2024, 3, 1, tzinfo=timezone.utc)
DAYS = 14
FALSE_ALARMS = 0.05
USUAL = {"thumbs_down": 0.03, "fallback_after": 0.08, "handoff_after": 0.04}  # rates of good answers


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    `share` is the percentage of users that get the entry; `people` of them a day get its answer or would, and `crowd`
    others get other answers. `rates` are what its own answers lead to, `without` what those without it experience.
    `regulars` is the share of people who come every day, each with an inclination of their own.
    """

    name: str
    kind: ProposalKind
    share: int
    rates: Mapping[str, float]
    without: Mapping[str, float]
    people: int = 40
    crowd: int = 400
    regulars: float = 0.0
    harm: bool = False


def _times(rates: Mapping[str, float], factor: float) -> dict[str, float]:
    return {outcome: min(factor * rate, 1.0) for outcome, rate in rates.items()}


FALLBACK = {"thumbs_down": 0.005, "fallback_after": 0.4, "handoff_after": 0.3}  # after a message not understood
NO_HARM = (
    Scenario("reworded, 25 %, as good", ProposalKind.REWORD, 25, USUAL, USUAL),
    Scenario("reworded, 5 %, as good", ProposalKind.REWORD, 5, USUAL, USUAL),
    Scenario("reworded, 25 %, as good, half of them regulars", ProposalKind.REWORD, 25, USUAL, USUAL, regulars=0.5),
    Scenario("new answer, 100 %, as good as others", ProposalKind.ANSWER, 100, USUAL, FALLBACK),
    Scenario("new answer, 100 %, all three twice as often", ProposalKind.ANSWER, 100, _times(USUAL, 2), FALLBACK),
    Scenario(
        "new answer, 25 %, hands over often, but less than without",
        ProposalKind.ANSWER,
        25,
        {**USUAL, "handoff_after": 0.2},
        FALLBACK,
    ),
)
HARM = tuple(
    Scenario(
        f"{name}, {share} %, {outcome} {100 * rate:.0f} % and not {100 * USUAL[outcome]:.0f} %",
        kind,
        share,
        {**USUAL, outcome: rate},
        without,
        harm=True,
    )
    for name, kind, share, without in (
        ("reworded", ProposalKind.REWORD, 25, USUAL),
        ("reworded", ProposalKind.REWORD, 50, USUAL),
        ("new answer", ProposalKind.ANSWER, 100, FALLBACK),
    )
    for outcome, rate in (("handoff_after", 0.12), ("handoff_after", 0.3), ("thumbs_down", 0.2))
)

ALL = (*NO_HARM, *HARM)


def rows(
    runs: int, seed: int = 0, say: Callable[[str], None] = lambda line: None, scenarios: Sequence[Scenario] = ALL
) -> list[dict[str, Any]]:
    """Return one row a scenario: how many runs ended in a stop, and after how many days and people in the median."""
    found = []
    for number, scenario in enumerate(scenarios):
        rng = np.random.default_rng((seed, number))
        stops = [stop for _ in range(runs) if (stop := simulate(scenario, rng)) is not None]
        days, people = ([stop[part] for stop in stops] for part in (0, 1))
        row = {
            "scenario": scenario.name,
            "harm": scenario.harm,
            "runs": runs,
            "stopped": len(stops) / runs,
            "days": float(np.median(days)) if days else None,
            "people": float(np.median(people)) if people else None,
        }
        say(f"{scenario.name}: {100 * len(stops) / runs:.1f} % of {runs} stopped")
        found.append(row)
    return found


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table."""

    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    return results.table(
        found,
        {
            "stop rule, asked every hour for two weeks": lambda row: str(row["scenario"]),
            "does harm": lambda row: "yes" if row["harm"] else "no",
            "taken back": lambda row: f"{100 * row['stopped']:.1f} %",
            "after days": lambda row: number(row["days"]),
            "after people": lambda row: number(row["people"]),
        },
    )


def simulate(scenario: Scenario, rng: np.random.Generator) -> tuple[float, int] | None:
    """Return after how many days, and people who got the entry, the rule fires for the first time; None if never."""
    exposures, days = _talk(scenario, rng)
    others = Others(days)

    def asked(hours: int) -> list[Comparison]:
        until = START + timedelta(hours=hours)
        return judge(
            scenario.kind, exposures, others, START, until, FALSE_ALARMS, START if scenario.share == 100 else None
        )

    last = DAYS * 24
    whole = asked(last)
    crossed = [_crossing(one) for one in whole]
    if all(blocks is None for blocks in crossed):
        return None  # at no hour was the evidence enough: nobody need ask hour by hour

    def enough(hours: int) -> bool:
        return any(k is not None and len(one.path) >= k for one, k in zip(asked(hours), crossed, strict=True))

    low, high = 1, last  # the evidence of an hour never changes later: the first hour with enough is found by halving
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    for hours in range(low, last + 1):
        now = asked(hours)
        if any(one.fires for one in now):
            return hours / 24, now[0].mine.of
    return None


def _crossing(comparison: Comparison) -> int | None:
    """Return after how many blocks the evidence was enough for the first time."""
    return next((k for k, value in enumerate(comparison.path, start=1) if value >= comparison.needed), None)


def _talk(scenario: Scenario, rng: np.random.Generator) -> tuple[list[Exposure], list[DayOfSender]]:
    """Return two weeks of answers: what the entry led to in both arms, and everybody's answers by day."""
    exposures: list[Exposure] = []
    days: list[DayOfSender] = []
    for group, size in (("entry", scenario.people), ("crowd", scenario.crowd)):
        regulars = round(scenario.regulars * size)
        reached = rng.random(regulars) * 100 < scenario.share
        # An inclination of their own: some are rated down, or hand over, nearly always, and most never.
        inclined = {outcome: rng.beta(rate, 1 - rate, regulars) / rate for outcome, rate in USUAL.items()}
        for day in range(DAYS):
            hours = 24 * rng.random(size)
            arms = np.concatenate([reached, rng.random(size - regulars) * 100 < scenario.share])
            for person in range(size):
                name = f"{group}{person}" if person < regulars else f"{group}{person} on {day}"
                own = {outcome: inclined[outcome][person] if person < regulars else 1.0 for outcome in OUTCOMES}
                at = START + timedelta(days=day, hours=float(hours[person]))
                counts = _answers(int(rng.integers(1, 4)), USUAL, own, rng)
                if group == "entry":
                    on = bool(arms[person])
                    exposures.append(_exposure(name, at, on, scenario.rates if on else scenario.without, own, rng))
                    if on:  # its own answer counts among the conversation's
                        counts = _with(counts, exposures[-1])
                days.append(DayOfSender(name, at, counts))
    return sorted(exposures, key=lambda one: one.at), days


def _answers(
    count: int, rates: Mapping[str, float], own: Mapping[str, float], rng: np.random.Generator
) -> AnswerCounts:
    hits = {outcome: int(rng.binomial(count, min(rate * own[outcome], 1.0))) for outcome, rate in rates.items()}
    return AnswerCounts(count, **hits)


def _exposure(
    sender: str,
    at: datetime,
    on: bool,
    rates: Mapping[str, float],
    own: Mapping[str, float],
    rng: np.random.Generator,
) -> Exposure:
    hits = {outcome: bool(rng.random() < rate * own[outcome]) for outcome, rate in rates.items()}
    return Exposure(f"{sender} {at}", sender, sender, "entry", ON if on else OFF, at, **hits)


def _with(counts: AnswerCounts, own: Exposure) -> AnswerCounts:
    hits = {outcome: getattr(counts, outcome) + getattr(own, outcome) for outcome in OUTCOMES}
    return AnswerCounts(counts.answered + 1, **hits)


def main() -> None:
    """Print how often the rule stops what is in order, and how soon what is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="runs of each scenario")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    results.say(table(rows(options.runs, options.seed, results.say)))


if __name__ == "__main__":
    main()
