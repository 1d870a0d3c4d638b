from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.intervals import wilson
from learning.model import FALLBACK_INTENT, Example, Prediction
from learning.nlu_report.scores import score


def measured(*rows: tuple[str, str, float]):
    """Score rows of (meant, understood, confidence)."""
    holdout = [Example(f"message {number}", meant) for number, (meant, _, _) in enumerate(rows)]
    found = [Prediction(f"message {number}", label, sure) for number, (_, label, sure) in enumerate(rows)]
    return score(holdout, found)


def test_precision_recall_and_f1_by_hand():
    scores = measured(("a", "a", 0.9), ("a", "b", 0.6), ("b", "b", 0.9), ("b", "b", 0.8), ("b", FALLBACK_INTENT, 1.0))
    by_label = {intent.label: intent for intent in scores.intents}
    assert (by_label["a"].precision, by_label["a"].recall, by_label["a"].f1) == (1.0, 0.5, pytest.approx(2 / 3))
    assert by_label["b"].precision == by_label["b"].recall == by_label["b"].f1 == pytest.approx(2 / 3)
    assert (by_label["a"].mistaken_for, by_label["a"].mistaken, by_label["b"].mistaken_for) == ("b", 1, None)
    assert by_label["b"].unanswered == 1
    assert scores.accuracy == 0.6
    assert scores.macro_f1 == pytest.approx(2 / 3)
    assert FALLBACK_INTENT not in by_label


def test_an_intent_without_held_out_messages_has_no_recall_and_does_not_count_in_the_macro_f1():
    scores = measured(("a", "a", 0.9), ("a", "never_meant", 0.6))
    stray = scores.intents[-1]
    assert (stray.label, stray.support, stray.recall) == ("never_meant", 0, None)
    assert scores.macro_f1 == pytest.approx(2 / 3)


def test_a_pair_counts_both_directions_and_the_surest_mistake_comes_first():
    scores = measured(("b", "a", 0.6), ("a", "b", 0.9), ("a", "c", 0.9), ("a", FALLBACK_INTENT, 1.0))
    pair = scores.pairs[0]
    assert (pair.first, pair.second, pair.first_as_second, pair.second_as_first, pair.count) == ("a", "b", 1, 1, 2)
    assert [item.text for item in pair.mistakes] == ["message 1", "message 0"]
    assert len(scores.pairs) == 2
    assert (scores.unanswered, [item.text for item in scores.refused]) == (1, ["message 3"])


def test_a_message_that_nothing_should_answer_is_right_when_it_falls_to_the_fallback():
    scores = measured((FALLBACK_INTENT, FALLBACK_INTENT, 1.0), (FALLBACK_INTENT, "a", 0.9))
    assert scores.accuracy == 0.5
    assert scores.unanswered == 0
    assert scores.pairs[0].count == 1


def test_calibration_compares_what_was_promised_with_what_was_kept():
    scores = measured(*[("a", "a", 0.95)] * 3, ("a", "b", 0.95), ("a", FALLBACK_INTENT, 1.0))
    assert scores.calibration_error == pytest.approx(0.2)
    assert scores.overconfidence == pytest.approx(0.2)
    assert [(item.low, item.messages, item.accuracy) for item in scores.bins] == [(0.9, 4, 0.75)]


def test_confidence_of_one_falls_into_the_last_bin():
    assert [item.high for item in measured(("a", "a", 1.0)).bins] == [1.0]


def test_nothing_held_out_is_no_division_by_zero():
    scores = score([], [])
    assert (scores.accuracy, scores.macro_f1, scores.calibration_error, scores.low, scores.high) == (0, 0, 0, 0, 1)


LABELS = st.sampled_from(["a", "b", "c", FALLBACK_INTENT])


@given(st.lists(st.tuples(LABELS, LABELS, st.floats(0, 1)), min_size=1, max_size=30))
def test_every_message_is_counted_once(rows):
    scores = measured(*rows)
    assert sum(cell.messages for cell in scores.cells) == scores.messages
    assert scores.correct + scores.unanswered + sum(pair.count for pair in scores.pairs) == scores.messages
    assert scores.low <= scores.accuracy <= scores.high
    assert 0 <= scores.macro_f1 <= 1
    assert abs(scores.overconfidence) <= scores.calibration_error + 1e-9 <= 1 + 1e-9


def test_the_interval_agrees_with_a_published_example():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
