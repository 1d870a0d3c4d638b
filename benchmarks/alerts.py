"""`python -m benchmarks.alerts`: how often alerts are wrong while nothing has changed, how soon they find what has.

Made-up traffic with what real traffic has: hours of the day, weekends, days that are busier than others, days on which
more or less is understood. On it the real rules look once an hour and once a day, and the real life cycle opens and
closes alerts, as `learning.alerts.check_alerts` does it. The first eight weeks are history; from then on opened alerts
are counted. A change begins at noon, four weeks later.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import results
from learning import alert_rules
from learning.alert_lifecycle import settle, spoiled
from learning.alert_records import Alert, AlertKind, Check, Hour
from learning.alert_rules import DAILY, HOURLY, PATTERN_DAYS, History
from learning.alerts import LONGEST_SPOILED
from learning.drift import Drift, measure
from learning.settings import AlertSettings

COMMAND = "make bench-alerts"
SEED = 20240301
START = datetime(2024, 1, 1, tzinfo=timezone.utc)  # a Monday
SETTINGS, LEAST_CHECKED = AlertSettings(), 30
QUIET_DAYS = 28  # before a change
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CLOCK = np.array([1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 20, 20, 18, 18, 19, 19, 18, 16, 14, 13, 12, 9, 5, 2], dtype=float)
WEEKEND = 0.6  # times a weekday's conversations
BUSY = 0.12  # standard deviation of the logarithm of a day's conversations: some days are busier
BUSY_HOUR = 0.1  # of an hour's
ALIKE = 0.004  # correlation of what goes wrong on one day: some days are worse
TOPICS, DIMENSIONS, PER_DAY = 40, 32, 30
WAVES = 60.0  # the larger, the more alike days are in what is asked
EARLY = 1  # hour of the day in which the rules of a day look
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """What traffic is like: conversations on a weekday, and the shares (0..1) and means of what happens in them."""

    conversations: int = 300
    fallback: float = 0.12
    failure: float = 0.01
    confidence: float = 0.78
    understood: float = 0.92
    checked: int = 10  # messages a day
    new_topic: float = 0.0  # share of the messages that are about something nobody asked before


@dataclass(frozen=True)
class Outcome:
    """What one run showed: alerts opened by kind while nothing had changed, and hours until the change was found."""

    opened: Mapping[AlertKind, int]
    days: int
    found_after: float | None


def run(
    seed: int, days: int, change: World | None = None, kind: AlertKind | None = None, world: World | None = None
) -> Outcome:
    """Simulate so many days after the history; `change` is what it becomes, `kind` the alert that should say so."""
    world = world or World()
    draw = np.random.default_rng(seed)
    begins = START + (PATTERN_DAYS + QUIET_DAYS) * DAY + 12 * HOUR
    later = change or world
    total = PATTERN_DAYS + (days if change is None else QUIET_DAYS + days)
    history = History.of(traffic(draw, world, later, begins, total))
    assert history is not None
    spoken = Topics(draw, world, later, begins, total)
    checks_of = answers(draw, world, later, begins, total)
    alerts: dict[str, Alert] = {}
    opened: Counter[AlertKind] = Counter()
    # Before a change nothing needs to be looked at but the last day, and nothing but the rule that is to find it.
    first = PATTERN_DAYS if change is None else PATTERN_DAYS + QUIET_DAYS - 1
    wanted = alert_rules.STATISTICAL if kind is None else {kind}
    for number in range(first * 24, total * 24):
        now = START + (number + 1) * HOUR
        known = list(alerts.values())
        times = spoiled(known, LONGEST_SPOILED, now)
        looked = wanted & (HOURLY | DAILY if now.hour == EARLY else HOURLY)
        found = [look(one, history, checks_of, spoken, now, times.get(one, ())) for one in sorted(looked)]
        for alert in settle(known, found, looked, now):
            if alert.alert_id not in alerts:
                is_false = change is None or now <= begins
                opened[alert.kind] += is_false
                if not is_false and alert.kind is kind:
                    return Outcome(opened, total - PATTERN_DAYS, (now - begins) / HOUR)
            alerts[alert.alert_id] = alert
        alerts = {key: one for key, one in alerts.items() if one.is_open or now - one.opened_at < PATTERN_DAYS * DAY}
    return Outcome(opened, total - PATTERN_DAYS, None)


def look(
    kind: AlertKind,
    history: History,
    checks_of: Mapping[date, tuple[int, int]],
    spoken: Topics,
    now: datetime,
    times: Sequence[tuple[datetime, datetime]],
) -> Check:
    """Return what one rule finds, of the hours up to `now` or of the day before."""
    day = now.date() - DAY
    if kind is AlertKind.ACCURACY:
        return alert_rules.accuracy(checks_of, day, SETTINGS, LEAST_CHECKED)
    if kind is AlertKind.DRIFT:
        return alert_rules.drift(spoken.drift(day), day, SETTINGS)
    if kind is AlertKind.TRAFFIC:
        return alert_rules.traffic(history, day, SETTINGS, times)
    if kind is AlertKind.CONFIDENCE:
        return alert_rules.confidence(history, day, SETTINGS, times)
    rules = {
        AlertKind.SILENCE: alert_rules.silence,
        AlertKind.FALLBACK: alert_rules.fallback,
        AlertKind.BACKEND: alert_rules.backend,
    }
    return rules[kind](history, now, SETTINGS, times)


def traffic(draw: np.random.Generator, before: World, after: World, begins: datetime, days: int) -> list[Hour]:
    """Return the conversations of every hour."""
    found = []
    for day in range(days):
        at = START + day * DAY
        busy = float(np.exp(draw.normal(0, BUSY))) * (WEEKEND if at.weekday() >= 5 else 1.0)
        worse = {name: _share(draw, getattr(before, name), getattr(after, name)) for name in ("fallback", "failure")}
        mood = draw.normal(0, 0.008) + (0.01 if at.weekday() >= 5 else 0.0)
        for hour in range(24):
            start = at + hour * HOUR
            place = int(start >= begins)
            world = (before, after)[place]
            mean = world.conversations * busy * CLOCK[hour] / CLOCK.sum() * float(np.exp(draw.normal(0, BUSY_HOUR)))
            count = int(draw.poisson(mean))
            sure = np.clip(draw.normal(world.confidence + mood, 0.2, count), 0, 1)
            found.append(
                Hour(
                    start,
                    count,
                    int(draw.binomial(count, worse["fallback"][place])),
                    int(draw.binomial(count, worse["failure"][place])),
                    float(sure.sum()),
                    count,
                    float((sure**2).sum()),
                )
            )
    return found


def _share(draw: np.random.Generator, *usual: float) -> tuple[float, ...]:
    """Return a day's own shares around the usual ones: where one is worse, so is the other."""
    precision, seed = 1 / ALIKE - 1, int(draw.integers(1 << 31))
    return tuple(float(np.random.default_rng(seed).beta(share * precision, (1 - share) * precision)) for share in usual)


def answers(
    draw: np.random.Generator, before: World, after: World, begins: datetime, days: int
) -> dict[date, tuple[int, int]]:
    """Return how many of each day's checked messages were understood."""
    found = {}
    for day in range(days):
        world = after if START + day * DAY + DAY / 2 >= begins else before
        checked = int(draw.poisson(world.checked))
        right = int(draw.binomial(checked, _share(draw, world.understood)[0]))
        found[(START + day * DAY).date()] = (right, checked)
    return found


class Topics:
    """Messages as vectors around the topics that they are about; topics come in waves from day to day."""

    def __init__(self, draw: np.random.Generator, before: World, after: World, begins: datetime, days: int) -> None:
        centers = draw.normal(size=(TOPICS + 1, DIMENSIONS))
        usual = draw.dirichlet(np.full(TOPICS, 0.7))
        self._vectors: list[Floats] = []
        for day in range(days):
            world = after if START + day * DAY + DAY / 2 >= begins else before
            mine = draw.dirichlet(usual * WAVES + 1e-3) * (1 - world.new_topic)
            chosen = draw.choice(
                TOPICS + 1, size=PER_DAY, p=np.append(mine, world.new_topic) / (mine.sum() + world.new_topic)
            )
            said = centers[chosen] + draw.normal(0, 0.8, size=(PER_DAY, DIMENSIONS))
            self._vectors.append(said / np.linalg.norm(said, axis=1, keepdims=True))

    def drift(self, day: date) -> Drift | None:
        """Return how far the week that ends with a day is from the four before, as `alerts.read_drift` does."""
        last = (day - START.date()).days
        span = range(last - 34, last + 1)
        vectors = np.concatenate([self._vectors[number] for number in span])
        days = [(START + number * DAY).date() for number in span for _ in range(PER_DAY)]
        found = measure(vectors, days, day, seed=day.toordinal())
        return Drift(*found) if found else None


SCALES = (100, 300, 2000)
CHANGES: tuple[tuple[str, AlertKind, World], ...] = (
    ("nobody reaches the assistant", AlertKind.SILENCE, World(conversations=0)),
    ("half of the conversations are lost", AlertKind.TRAFFIC, World(conversations=150)),
    ("twice as many conversations", AlertKind.TRAFFIC, World(conversations=600)),
    ("fallback 12 % to 40 %", AlertKind.FALLBACK, World(fallback=0.4)),
    ("fallback 12 % to 20 %", AlertKind.FALLBACK, World(fallback=0.2)),
    ("back ends fail in 30 % (1 % usual)", AlertKind.BACKEND, World(failure=0.3)),
    ("back ends fail in 5 % (1 % usual)", AlertKind.BACKEND, World(failure=0.05)),
    ("confidence 0.78 to 0.70", AlertKind.CONFIDENCE, World(confidence=0.7)),
    ("confidence 0.78 to 0.74", AlertKind.CONFIDENCE, World(confidence=0.74)),
    ("understood 92 % to 75 %, 10 checked a day", AlertKind.ACCURACY, World(understood=0.75)),
    ("a new topic has 20 % of the messages", AlertKind.DRIFT, World(new_topic=0.2)),
    ("a new topic has 10 % of the messages", AlertKind.DRIFT, World(new_topic=0.1)),
)


def false_alarms(runs: int, days: int, world: World, seed: int = SEED) -> Mapping[AlertKind, float]:
    """Return alerts of each kind a month (30 days) while nothing changes."""
    opened: Counter[AlertKind] = Counter()
    for number in range(runs):
        opened.update(run(seed + number, days, world=world).opened)
    return {kind: 30 * opened[kind] / (runs * days) for kind in sorted(alert_rules.STATISTICAL)}


def find(change: World, kind: AlertKind, runs: int, days: int, scale: int, seed: int = SEED) -> list[float | None]:
    """Return after how many hours each run finds a change, None where it does not within `days`."""
    before = replace(World(), conversations=scale)
    after = replace(change, conversations=change.conversations * scale // World().conversations)
    return [run(seed + 1000 + number, days, after, kind, before).found_after for number in range(runs)]


def _cell(found: Sequence[float | None]) -> str:
    """Return the median time with how many runs found it."""
    hits = sorted(one for one in found if one is not None)
    if not hits:
        return f"none of {len(found)}"
    middle = hits[len(hits) // 2]
    words = f"{middle:.0f} h" if middle < 48 else f"{middle / 24:.1f} days"
    return f"{words} ({len(hits)} of {len(found)})"


def main() -> None:
    """Simulate, print the tables, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each row of the first table")
    parser.add_argument("--days", type=int, default=120, help="days without a change in each of them")
    parser.add_argument("--changes", type=int, default=10, help="runs of each row of the second table")
    parser.add_argument("--wait", type=int, default=14, help="days in which a change may be found")
    options = parser.parse_args()
    heads = [f"{scale:,} conversations a day" for scale in SCALES]
    rows = []
    for name, kind, change in CHANGES:
        found = [_cell(find(change, kind, options.changes, options.wait, scale)) for scale in SCALES]
        rows.append({"what": name, **dict(zip(heads, found, strict=True))})
        results.say(f"{name}: {', '.join(found)}")
    alarms = []
    for scale in SCALES:
        alarms.append(false_alarms(options.runs, options.days, World(conversations=scale)))
        results.say(f"{scale}: {sum(alarms[-1].values()):.2f} false alarms a month")
    kinds = [(kind.value, [one[kind] for one in alarms]) for kind in sorted(alert_rules.STATISTICAL)]
    kinds.append(("all", [sum(one.values()) for one in alarms]))
    opened = [
        {"what": kind, **{head: f"{count:.2f}" for head, count in zip(heads, counts, strict=True)}}
        for kind, counts in kinds
    ]
    said = (
        f"Alerts opened a month while nothing changes ({options.runs} x {options.days} days each;"
        f" {SETTINGS.false_alarms:g} are allowed), and the median time until a change is found"
        f" (of {options.changes} runs, those that found it within {options.wait} days)."
    )
    columns: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "": lambda row: row["what"],
        **{head: partial(_of, head) for head in heads},
    }
    tables = [said, results.table(opened, columns), results.table(rows, columns)]
    results.write("alerts", COMMAND, {"tables": tables})
    results.say("\n\n".join(tables))


def _of(head: str, row: Mapping[str, Any]) -> str:
    return str(row[head])


if __name__ == "__main__":
    main()
