"""The rules that a new model must hold against the running one: each passes, blocks, or cannot decide, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from learning.evaluate import Comparison
from learning.exams import Result, Suite, SuiteResult
from learning.paired import Paired, chance_of_loss, is_decidable, median_interval, real_losses
from learning.settings import GateSettings

SHOWN = 10  # cases that a rule gives as examples
ALL, NOT_WORSE, OFF = "all", "not_worse", "off"  # what `gate.stories` may be
COLLAPSE = 3  # messages of an intent that were understood, at least half of it: none of them now is no chance
MOST_NEEDED = 1000  # messages of an intent; whoever lets it lose everything would need any number
FEW_TIMED = 30  # messages under which times say nothing
NAMES = {
    "overall": "understanding overall",
    "intents": "each intent",
    Suite.OUT_OF_SCOPE.value: "out of scope",
    Suite.REGRESSION.value: "regression set",
    Suite.ENTITIES.value: "entities",
    Suite.STORIES.value: "stories",
    "latency": "time to answer",
}


class State(str, Enum):
    """How a rule came out."""

    PASSED = "passed"
    BLOCKED = "blocked"
    UNDECIDED = "not decidable"


@dataclass(frozen=True)
class Example:
    """A case that a rule is about: what was wanted, and what the two models made of it."""

    key: str
    expected: str
    before: str
    after: str


@dataclass(frozen=True)
class Rule:
    """A rule's outcome: `sentence` says why, `before` and `after` are the cases of `total` that the models passed."""

    name: str
    state: State
    sentence: str
    examples: tuple[Example, ...] = ()
    total: int = 0
    before: int = 0
    after: int = 0


@dataclass(frozen=True)
class Verdict:
    """All rules of a comparison; one that blocks is enough."""

    rules: tuple[Rule, ...]

    @property
    def blocking(self) -> tuple[Rule, ...]:
        """The rules that block."""
        return tuple(rule for rule in self.rules if rule.state is State.BLOCKED)

    @property
    def passed(self) -> bool:
        """Whether no rule blocks."""
        return not self.blocking

    @property
    def reason(self) -> str:
        """Which rules block and why; without any what the first rule says."""
        if self.passed:
            return self.rules[0].sentence if self.rules else "no rule was asked"
        return "; ".join(f"{NAMES[rule.name]}: {rule.sentence}" for rule in self.blocking)


@dataclass(frozen=True)
class Times:
    """Milliseconds that two models took for the same messages, asked in turns."""

    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()


def judge(
    overall: Comparison,
    before: Mapping[Suite, SuiteResult],
    after: Mapping[Suite, SuiteResult],
    times: Times,
    settings: GateSettings,
) -> Verdict:
    """Ask every rule.

    Args:
        overall: the comparison on the hold-out.
        before: the running model's results, by suite.
        after: the new model's, on the same cases in the same order.
        times: what both took.
        settings: the limits.

    """
    rules = [overall_rule(overall), intents_rule(before, after, settings)]
    for suite in (Suite.OUT_OF_SCOPE, Suite.REGRESSION, Suite.ENTITIES):
        rules.append(suite_rule(suite, before.get(suite), after.get(suite), settings))
    rules.append(stories_rule(before.get(Suite.STORIES), after.get(Suite.STORIES), settings))
    rules.append(latency_rule(times, settings))
    return Verdict(tuple(rules))


def overall_rule(comparison: Comparison) -> Rule:
    """Return the comparison on the hold-out as a rule."""
    state = State.PASSED if comparison.passed else State.BLOCKED
    found = comparison.champion, comparison.challenger
    return Rule("overall", state, comparison.reason, (), found[1].total, found[0].correct, found[1].correct)


def intents_rule(
    before: Mapping[Suite, SuiteResult], after: Mapping[Suite, SuiteResult], settings: GateSettings
) -> Rule:
    """Block where an intent loses more than it may with confidence, or is not understood at all any more.

    Cases of the hold-out and of the regression set are counted together.
    """
    pairs, moved = _by_group(before, after)
    level = 1 - settings.confidence
    real = real_losses(pairs, settings.max_intent_drop, level)
    gone = [name for name, pair in sorted(pairs.items()) if is_lost(pair) and name not in real]
    few = [name for name, pair in pairs.items() if not is_decidable(pair.total, settings.max_intent_drop, level)]
    counts = {"total": len(pairs), "before": len(pairs), "after": len(pairs) - len(real) - len(gone)}
    points = f"{100 * settings.max_intent_drop:g} points"
    if real or gone:
        named = [
            f"{name} {pairs[name].before} -> {pairs[name].after} of {pairs[name].total}" for name in (*real, *gone)
        ]
        loses = f"{len(named)} {'intents lose' if len(named) > 1 else 'intent loses'}"
        sentence = f"{loses} more than {points} and more than chance explains: {', '.join(named[:SHOWN])}"
        examples = [one for name in (*real, *gone) for one in moved.get(name, ())]
        return Rule("intents", State.BLOCKED, sentence, tuple(examples[:SHOWN]), **counts)
    if len(few) == len(pairs):
        sizes = (count for count in range(1, MOST_NEEDED) if is_decidable(count, settings.max_intent_drop, level))
        needed = next(sizes, MOST_NEEDED)
        sentence = f"no intent has the {needed} messages that it takes to tell a loss from chance"
        return Rule("intents", State.UNDECIDED, sentence, (), **counts)
    sentence = f"no intent of {len(pairs)} loses more than {points} with confidence"
    if few:
        sentence += f"; {len(few)} have too few messages to say so"
    return Rule("intents", State.PASSED, sentence, (), **counts)


def is_lost(pair: Paired) -> bool:
    """Whether an intent that was mostly understood is not understood at all any more."""
    return pair.after == 0 and pair.before >= COLLAPSE and 2 * pair.before >= pair.total


def suite_rule(suite: Suite, before: SuiteResult | None, after: SuiteResult | None, settings: GateSettings) -> Rule:
    """Block where a suite is passed less often than chance explains, or by more than it may lose.

    Of a suite with few cases, where one case is more than that, only the test decides.
    """
    name = suite.value
    if before is None or after is None or not after.total:
        return Rule(name, State.UNDECIDED, (after.note if after else "") or "there are no cases")
    pair = _paired(before.results, after.results)
    examples = _lost(before.results, after.results)
    counts = {"total": pair.total, "before": pair.before, "after": pair.after}
    moved = f"{pair.before} -> {pair.after} of {pair.total}"
    note = f"; {after.note}" if after.note else ""
    chance = chance_of_loss(pair)
    if pair.drop > 0 and chance <= 1 - settings.confidence:
        sentence = (
            f"{moved}: {pair.lost} lost, {pair.gained} gained, more than chance explains (p = {chance:.2g}){note}"
        )
        return Rule(name, State.BLOCKED, sentence, examples, **counts)
    if pair.total < settings.least_cases:
        sentence = (
            f"{moved}: with fewer than {settings.least_cases} cases a small loss cannot be told from chance{note}"
        )
        return Rule(name, State.UNDECIDED, sentence, examples, **counts)
    if pair.drop > settings.max_suite_drop + 1e-12:
        limit = f"more than {100 * settings.max_suite_drop:g} points"
        return Rule(
            name, State.BLOCKED, f"{moved}: loses {100 * pair.drop:.1f} points, {limit}{note}", examples, **counts
        )
    said = "not worse" if pair.drop <= 0 else f"{pair.lost} lost, {pair.gained} gained, which chance explains"
    return Rule(name, State.PASSED, f"{moved}: {said}{note}", examples, **counts)


def stories_rule(before: SuiteResult | None, after: SuiteResult | None, settings: GateSettings) -> Rule:
    """Block where a conversation does not go as written with the new model; see `gate.stories`."""
    if settings.stories == OFF:
        return Rule("stories", State.UNDECIDED, "switched off in the settings (gate.stories)")
    if before is None or after is None or not after.total:
        return Rule("stories", State.UNDECIDED, (after.note if after else "") or "there are no conversations to play")
    failed = [one for one in after.results if not one.passed]
    was = {one.key: one for one in before.results}
    new = [one for one in failed if was[one.key].passed]
    counts = {"total": after.total, "before": before.passed, "after": after.passed}
    note = f"; {after.note}" if after.note else ""
    if not failed:
        return Rule("stories", State.PASSED, f"all {after.total} go as written{note}", (), **counts)
    old = len(failed) - len(new)
    examples = tuple(Example(one.key, one.expected, was[one.key].got, one.got) for one in (*new, *failed))
    examples = tuple(dict.fromkeys(examples))[:SHOWN]
    sentence = f"{len(failed)} of {after.total} do not go as written"
    sentence += f", {old} of them with the running model either{note}" if old else note
    is_worse = bool(new) or settings.stories == ALL
    return Rule("stories", State.BLOCKED if is_worse else State.PASSED, sentence, examples, **counts)


def latency_rule(times: Times, settings: GateSettings) -> Rule:
    """Block where the new model takes longer for the same messages, by more than it may.

    What is compared is the median of the ratios message by message: what else the machine does meanwhile hits both.
    """
    pairs = [(old, new) for old, new in zip(times.before, times.after, strict=True) if old > 0 and new > 0]
    if len(pairs) < FEW_TIMED:
        return Rule("latency", State.UNDECIDED, f"{len(pairs)} messages were timed; it takes {FEW_TIMED}")
    middle, low, high = median_interval([new / old for old, new in pairs])
    both = [f"{_percentile(part, 50):.1f} / {_percentile(part, 95):.1f} ms" for part in zip(*pairs, strict=True)]
    told = f"{both[0]} -> {both[1]} a message (p50 / p95), {middle:.2f} times as long ({low:.2f} to {high:.2f})"
    if low > settings.max_slowdown:
        return Rule("latency", State.BLOCKED, f"{told}, more than {settings.max_slowdown:g} times")
    return Rule("latency", State.PASSED, told)


def rules_from_plain(plain: Sequence[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return rules as they were kept with a model."""
    return tuple(
        Rule(
            **{
                **one,
                "state": State(one["state"]),
                "examples": tuple(Example(**example) for example in one["examples"]),
            }
        )
        for one in plain
    )


def percentiles(times: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the median and the 95th percentile of milliseconds, None of both where nothing was timed."""
    timed = [one for one in times if one > 0]
    return (_percentile(timed, 50), _percentile(timed, 95)) if timed else (None, None)


def _percentile(values: Sequence[float], share: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * share // 100)]


def _paired(before: Sequence[Result], after: Sequence[Result]) -> Paired:
    return Paired.of([one.passed for one in before], [one.passed for one in after])


def _lost(before: Sequence[Result], after: Sequence[Result]) -> tuple[Example, ...]:
    lost = [
        Example(new.key, new.expected, old.got, new.got)
        for old, new in zip(before, after, strict=True)
        if old.passed and not new.passed
    ]
    return tuple(lost[:SHOWN])


def _by_group(
    before: Mapping[Suite, SuiteResult], after: Mapping[Suite, SuiteResult]
) -> tuple[dict[str, Paired], dict[str, list[Example]]]:
    """Return the counts of each intent, and what each lost."""
    rows: dict[str, list[tuple[Result, Result]]] = {}
    for suite in (Suite.HOLDOUT, Suite.REGRESSION):
        old, new = before.get(suite), after.get(suite)
        for one, other in zip(old.results if old else (), new.results if new else (), strict=True):
            rows.setdefault(one.group, []).append((one, other))
    pairs = {name: _paired([old for old, _ in both], [new for _, new in both]) for name, both in rows.items()}
    lost = {name: list(_lost([old for old, _ in both], [new for _, new in both])) for name, both in rows.items()}
    return pairs, lost
