"""What the stop rule compares, and when it fires."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.model import AnswerCounts, DayOfSender, Exposure, ProposalKind, content_id
from learning.sequential import Counts
from learning.stop_rule import FEW, OUTCOMES, Comparison, Others, judge
from tests.learning_builders import START

ENTRY = "a" * 16
LATER = START + timedelta(days=30)
ANSWER, REWORD, RETIRE = ProposalKind.ANSWER, ProposalKind.REWORD, ProposalKind.RETIRE


def exposure(number: int, arm: str = "on", hours: float = 0, sender: str = "", **more: bool) -> Exposure:
    who = sender or f"person {number}"
    outcomes = {"thumbs_down": False, "fallback_after": False, "handoff_after": False, **more}
    at = START + timedelta(hours=hours)
    return Exposure(content_id(arm, number, hours), content_id("talk", who), who, ENTRY, arm, at, **outcomes)


def arm(name: str, people: int, hits: int, outcome: str = "handoff_after", every: float = 1.0) -> list[Exposure]:
    """So many people, one every some hours; the first of them fare badly."""
    return [exposure(n, name, n * every, f"{name} {n}", **{outcome: n < hits}) for n in range(people)]


def crowd(people: int, hits: int, every: float = 0.1) -> list[DayOfSender]:
    return [
        DayOfSender(f"other {n}", START + timedelta(hours=n * every), AnswerCounts(1, handoff_after=int(n < hits)))
        for n in range(people)
    ]


def handoff(
    kind: ProposalKind,
    exposures: list[Exposure],
    others: list[DayOfSender] | None = None,
    until: datetime = LATER,
    full_since: datetime | None = None,
) -> Comparison:
    ordered = sorted(exposures, key=lambda one: one.at)
    found = judge(kind, ordered, Others(others or []), START, until, 0.05, full_since)
    assert [one.outcome for one in found] == list(OUTCOMES)
    return found[2]


def test_a_reworded_answer_is_compared_with_those_who_do_not_get_it() -> None:
    worse = handoff(REWORD, [*arm("on", 60, 30), *arm("off", 60, 2)], crowd(500, 250))

    assert (worse.mine, worse.baseline, worse.others) == (Counts(30, 60), Counts(2, 60), False)
    assert worse.fires
    assert not handoff(REWORD, [*arm("on", 60, 2), *arm("off", 60, 30)]).fires
    assert not handoff(REWORD, [*arm("on", 60, 10), *arm("off", 60, 10)]).fires


def test_once_everybody_gets_it_the_other_answers_are_the_baseline_at_twice_their_rate() -> None:
    everybody = arm("on", 100, 40)

    assert handoff(REWORD, everybody, crowd(1000, 40), full_since=START).fires
    assert not handoff(REWORD, everybody, crowd(1000, 300), full_since=START).fires


def test_evidence_from_the_time_with_a_control_stays_when_everybody_gets_it() -> None:
    both = [*arm("on", 60, 30), *arm("off", 60, 2)]
    before = handoff(REWORD, both)
    after = handoff(REWORD, both, crowd(10, 0), full_since=START + timedelta(hours=100))

    assert after.path[: len(before.path)] == before.path


def test_a_new_answer_is_compared_with_other_answers_whoever_lacks_it() -> None:
    bad = handoff(ANSWER, arm("on", 60, 40), crowd(600, 20))

    assert (bad.others, bad.fires, bad.harmless) == (True, True, False)
    assert "40 of 60 (67 %) of people, 20 of 600 (3 %) of people with other answers" in bad.sentence


def test_a_new_answer_stays_where_those_without_it_fare_no_better() -> None:
    spared = handoff(ANSWER, [*arm("on", 60, 24), *arm("off", 60, 36)], crowd(600, 10))

    assert spared.evidence >= spared.needed
    assert spared.harmless
    assert not spared.fires


def test_a_handful_of_people_without_it_says_nothing() -> None:
    assert handoff(ANSWER, [*arm("on", 60, 40), *arm("off", FEW - 1, FEW - 1)], crowd(600, 20)).fires


def test_a_retired_label_is_compared_with_nothing_but_those_who_have_it() -> None:
    assert handoff(RETIRE, [*arm("on", 60, 40), *arm("off", 60, 2)]).fires
    assert handoff(RETIRE, arm("on", 60, 60), crowd(600, 5), full_since=START).path == ()


def test_one_person_counts_once_with_the_first_answer() -> None:
    first_fine = exposure(0, "on", 1, "ann")
    repeats = [exposure(n, "on", 1 + 7 * n, "ann", handoff_after=True) for n in range(1, 9)]
    before = exposure(20, "off", 0, "ann", handoff_after=True)

    assert handoff(REWORD, [first_fine, *repeats]).mine == Counts(0, 1)
    both = handoff(REWORD, [before, first_fine, *repeats])
    assert (both.mine, both.baseline) == (Counts(0, 1), Counts(1, 1))


def test_an_answer_of_the_entry_is_none_of_the_others() -> None:
    mine = exposure(0, "on", 0, "ann", handoff_after=True)
    talks = [
        DayOfSender("ann", START, AnswerCounts(1, handoff_after=1)),
        DayOfSender("bob", START, AnswerCounts(2)),
    ]

    assert handoff(ANSWER, [mine], talks).baseline == Counts(0, 1)
    assert Others(talks).without([]).counts(2) == Counts(1, 2)


def test_of_several_answers_of_a_person_one_is_drawn() -> None:
    talks = [DayOfSender(f"p{n}", START, AnswerCounts(4, handoff_after=1)) for n in range(2000)]
    drawn = Others(talks).without([]).counts(2)

    assert drawn.of == 2000
    assert 430 < drawn.hits < 570  # 500 on average, sd 19


def test_what_is_not_known_well_enough_yet_does_not_count() -> None:
    people = [*arm("on", 60, 30), *arm("off", 60, 2)]
    early = handoff(REWORD, people, until=START + timedelta(hours=10))

    assert (early.mine, len(early.path)) == (Counts(10, 10), 10)
    assert not early.fires


def test_a_block_needs_both_groups_and_ends_with_the_entrys() -> None:
    people = [exposure(0, "on", 0), exposure(1, "on", 1), exposure(2, "off", 2), exposure(3, "off", 3)]

    assert handoff(REWORD, people).path == ()
    assert len(handoff(REWORD, [*people, exposure(4, "on", 4), exposure(5, "on", 5)]).path) == 1


def test_people_who_come_all_at_once_are_enough() -> None:
    at_once = [exposure(n, "on", 5 + n / 1000, f"on {n}", handoff_after=n < 22) for n in range(30)]

    assert not handoff(ANSWER, at_once, crowd(50, 1)).fires  # nobody else came meanwhile: there is one block
    assert handoff(ANSWER, at_once, [*crowd(50, 1), *later_crowd(30)]).fires


def later_crowd(people: int) -> list[DayOfSender]:
    return [DayOfSender(f"too {n}", START + timedelta(hours=5 + n / 1000), AnswerCounts(1)) for n in range(people)]


def test_what_came_before_it_went_live_again_does_not_count() -> None:
    old = [Exposure("t", "c", "ann", ENTRY, "on", START - timedelta(days=1), True, True, True)]

    assert handoff(REWORD, old).mine == Counts(0, 0)


def test_nothing_is_said_without_people() -> None:
    nothing = handoff(ANSWER, [])

    assert (nothing.evidence, nothing.fires, nothing.path) == (0.0, False, ())
    assert "0 of 0 of people" in nothing.sentence


OUTCOME = st.tuples(st.integers(0, 72), st.booleans(), st.booleans())


@given(st.lists(OUTCOME, max_size=30), st.lists(OUTCOME, max_size=30), st.sampled_from([ANSWER, REWORD, RETIRE]))
@settings(max_examples=30, deadline=None)
def test_what_was_evidence_at_an_hour_is_never_changed_by_what_comes_later(
    treated: list[tuple[int, bool, bool]], control: list[tuple[int, bool, bool]], kind: ProposalKind
) -> None:
    people = [exposure(n, "on", h, f"on {n}", handoff_after=bad) for n, (h, bad, _) in enumerate(treated)]
    people += [exposure(n, "off", h, f"off {n}", handoff_after=bad) for n, (h, bad, _) in enumerate(control)]
    talks = [
        DayOfSender(f"x {n}", START + timedelta(hours=h), AnswerCounts(1, handoff_after=int(bad)))
        for n, (h, bad, _) in enumerate(control)
    ]
    paths = [
        handoff(kind, people, talks, START + timedelta(hours=hours), START + timedelta(hours=36)).path
        for hours in range(0, 80, 7)
    ]

    for before, after in pairwise(paths):
        assert after[: len(before)] == pytest.approx(before)
