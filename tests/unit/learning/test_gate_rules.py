"""The rules of the gate: what passes, what blocks, and what nobody can decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from learning.evaluate import compare, evaluate
from learning.exams import Result, Suite, SuiteResult
from learning.gate_rules import (
    State,
    Times,
    Verdict,
    intents_rule,
    judge,
    latency_rule,
    rules_from_plain,
    stories_rule,
    suite_rule,
)
from learning.model import Example, Prediction
from learning.model_card import ModelCard, from_plain, to_plain, told
from learning.settings import GateSettings

LIMITS = GateSettings()


def suite(kind: Suite, right: Sequence[bool], group: str = "") -> SuiteResult:
    results = [
        Result(f"{group}{number}", group, "wanted", "wanted" if is_right else "other", is_right)
        for number, is_right in enumerate(right)
    ]
    return SuiteResult(kind, tuple(results))


def of(right: int, total: int) -> list[bool]:
    return [number < right for number in range(total)]


def holdout(**intents: tuple[int, int]) -> dict[Suite, SuiteResult]:
    """The hold-out's result: of each intent how many of how many messages were understood."""
    parts = [suite(Suite.HOLDOUT, of(*counts), name).results for name, counts in intents.items()]
    return {Suite.HOLDOUT: SuiteResult(Suite.HOLDOUT, tuple(one for part in parts for one in part))}


OTHERS = {f"other_{number}": (9, 10) for number in range(20)}


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ((10, 10), (5, 10), State.BLOCKED),
        ((10, 10), (8, 10), State.PASSED),
        ((5, 5), (0, 5), State.BLOCKED),
        ((4, 5), (0, 5), State.BLOCKED),  # the test cannot tell, but it is not understood at all any more
        ((3, 5), (0, 5), State.BLOCKED),
        ((2, 5), (0, 5), State.PASSED),  # it was not understood before either
        ((3, 3), (0, 3), State.BLOCKED),
        ((2, 2), (0, 2), State.PASSED),
        ((100, 100), (99, 100), State.PASSED),
        ((1000, 1000), (980, 1000), State.PASSED),  # a real loss of two points and no more
        ((1000, 1000), (950, 1000), State.BLOCKED),
    ],
)
def test_a_lost_intent_blocks_and_a_few_messages_do_not(
    before: tuple[int, int], after: tuple[int, int], state: State
) -> None:
    rule = intents_rule(holdout(**OTHERS, track=before), holdout(**OTHERS, track=after), LIMITS)

    assert rule.state is state
    if state is State.BLOCKED:
        assert f"track {before[0]} -> {after[0]} of {before[1]}" in rule.sentence
        assert {one.key for one in rule.examples} <= {f"track{number}" for number in range(before[1])}


def test_a_lost_intent_is_not_hidden_by_one_that_was_gained() -> None:
    before, after = holdout(lost=(10, 10), won=(0, 10)), holdout(lost=(0, 10), won=(10, 10))
    rule = intents_rule(before, after, LIMITS)

    assert (rule.state, "lost 10 -> 0 of 10" in rule.sentence) == (State.BLOCKED, True)


def test_confirmed_messages_count_with_those_of_the_holdout() -> None:
    before, after = holdout(**OTHERS, track=(3, 4)), holdout(**OTHERS, track=(1, 4))
    assert intents_rule(before, after, LIMITS).state is State.PASSED
    before[Suite.REGRESSION] = suite(Suite.REGRESSION, of(6, 6), "track")
    after[Suite.REGRESSION] = suite(Suite.REGRESSION, of(0, 6), "track")
    rule = intents_rule(before, after, LIMITS)

    assert (rule.state, "track 9 -> 1 of 10" in rule.sentence) == (State.BLOCKED, True)


def test_too_few_messages_are_said_to_be_too_few() -> None:
    rule = intents_rule(holdout(track=(2, 2)), holdout(track=(1, 2)), LIMITS)
    assert (rule.state, "5 messages" in rule.sentence) == (State.UNDECIDED, True)
    rule = intents_rule(holdout(track=(2, 2), greet=(9, 9)), holdout(track=(1, 2), greet=(9, 9)), LIMITS)
    assert (rule.state, "1 have too few messages" in rule.sentence) == (State.PASSED, True)
    rule = intents_rule(holdout(track=(9, 9)), holdout(track=(1, 9)), replace(LIMITS, max_intent_drop=1.0))
    assert rule.state is State.UNDECIDED


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (of(95, 100), of(95, 100), State.PASSED),
        (of(95, 100), of(94, 100), State.PASSED),
        (of(95, 100), of(92, 100), State.BLOCKED),  # three points, which chance would explain
        (of(400, 500), of(391, 500), State.BLOCKED),  # less than two points, which it does not
        (of(10, 10), of(9, 10), State.UNDECIDED),
        (of(10, 10), of(5, 10), State.BLOCKED),
        ([], [], State.UNDECIDED),
    ],
)
def test_a_suite_may_lose_a_little_if_chance_explains_it(before: list[bool], after: list[bool], state: State) -> None:
    found = suite_rule(Suite.ENTITIES, suite(Suite.ENTITIES, before), suite(Suite.ENTITIES, after), LIMITS)

    assert found.state is state
    assert len(found.examples) <= 10


@pytest.mark.parametrize(
    ("setting", "before", "after", "state"),
    [
        ("all", [True, True], [True, True], State.PASSED),
        ("all", [True, True], [True, False], State.BLOCKED),
        ("all", [True, False], [True, False], State.BLOCKED),
        ("not_worse", [True, False], [True, False], State.PASSED),
        ("not_worse", [True, True], [True, False], State.BLOCKED),
        ("off", [True, True], [False, False], State.UNDECIDED),
        ("all", [], [], State.UNDECIDED),
    ],
)
def test_every_conversation_goes_as_written(setting: str, before: list[bool], after: list[bool], state: State) -> None:
    limits = replace(LIMITS, stories=setting)
    rule = stories_rule(suite(Suite.STORIES, before), suite(Suite.STORIES, after), limits)

    assert rule.state is state
    if before == [True, False]:
        assert "1 of them with the running model either" in rule.sentence


def test_what_was_not_played_is_said() -> None:
    none = SuiteResult(Suite.STORIES, (), "not run: the action server does not answer")
    rule = stories_rule(none, none, LIMITS)

    assert (rule.state, rule.sentence) == (State.UNDECIDED, "not run: the action server does not answer")


def test_slower_by_more_than_it_may_be_blocks_and_a_hiccup_does_not() -> None:
    usual = (5.0,) * 60
    assert latency_rule(Times(usual, tuple(one * 1.4 for one in usual)), LIMITS).state is State.PASSED
    assert latency_rule(Times(usual, tuple(one * 1.6 for one in usual)), LIMITS).state is State.BLOCKED
    assert latency_rule(Times(usual, (5.0,) * 50 + (500.0,) * 10), LIMITS).state is State.PASSED
    assert latency_rule(Times(usual[:20], usual[:20]), LIMITS).state is State.UNDECIDED
    assert latency_rule(Times((0.0,) * 60, (0.0,) * 60), LIMITS).state is State.UNDECIDED


def verdict_of(changes: Mapping[Suite, SuiteResult]) -> Verdict:
    examples = [Example(f"m{number}", "greet") for number in range(40)]
    right = [Prediction(example.text, "greet", 0.9) for example in examples]
    found = evaluate(examples, right)
    fine = {Suite.HOLDOUT: suite(Suite.HOLDOUT, of(40, 40), "greet")}
    before = {**fine, **{kind: suite(kind, of(100, 100)) for kind in Suite if kind is not Suite.HOLDOUT}}
    return judge(compare(found, found, 0.01), before, {**before, **changes}, Times(), LIMITS)


def test_one_rule_that_blocks_is_enough_and_is_named() -> None:
    assert verdict_of({}).passed
    verdict = verdict_of({Suite.OUT_OF_SCOPE: suite(Suite.OUT_OF_SCOPE, of(80, 100))})

    assert [rule.name for rule in verdict.blocking] == ["out_of_scope"]
    assert verdict.reason.startswith("out of scope: 100 -> 80 of 100: 20 lost, 0 gained")
    assert len(verdict.rules) == 7


def test_a_card_keeps_the_rules_and_an_older_one_has_none() -> None:
    verdict = verdict_of({Suite.ENTITIES: suite(Suite.ENTITIES, of(60, 100))})
    card = ModelCard(
        *("old", "new", "data", "commit", 1, 40, 40, 40, False, "entities"), rules=verdict.rules, interval=(-0.1, 0.2)
    )
    plain = to_plain(card)
    assert from_plain(plain) == card
    assert rules_from_plain(plain["rules"]) == verdict.rules
    assert any(line.startswith("blocked") and "entities" in line for line in told(card))
    older = {name: value for name, value in plain.items() if name not in ("rules", "interval")}
    read = from_plain(older)

    assert read == replace(card, rules=(), interval=None)
    assert read is not None
    assert told(read) == ("blocked: entities",)
    assert from_plain({**plain, "of_a_newer_version": 1}) == card
