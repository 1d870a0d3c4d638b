from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from nlu_fakes import NOW, FixedLog, WordEncoder, shop_examples

from learning.model import FALLBACK_INTENT, Example, Prediction
from learning.nlu_report.actions import MOST, first_actions
from learning.nlu_report.data import IntentSize, Twin, check_data
from learning.nlu_report.scores import score
from learning.nlu_report.usage import find_unused

DOMAIN = ("track_order", "refund_status")


def clean_data(**changes):
    examples = shop_examples()
    vectors = WordEncoder().encode([example.text for example in examples])
    return replace(check_data(examples, [], vectors, DOMAIN), **changes)


def scored(*rows):
    """Score (meant, understood, how many) rows with perfect confidence in what is right."""
    pairs = [(meant, found) for meant, found, count in rows for _ in range(count)]
    holdout = [Example(f"{meant} {number}", meant) for number, (meant, _) in enumerate(pairs)]
    return score(holdout, [Prediction(item.text, found, 1.0) for item, (_, found) in zip(holdout, pairs, strict=True)])


def titles(actions):
    return [action.title for action in actions]


def test_nothing_is_made_up_where_nothing_is_wrong():
    assert first_actions(scored(("track_order", "track_order", 10)), clean_data(), None) == ()


def test_a_confused_pair_is_named_with_its_messages_and_not_again_as_a_weak_intent():
    actions = first_actions(scored(("a", "a", 6), ("a", "b", 4), ("b", "b", 9), ("b", "a", 1)), clean_data(), None)
    assert titles(actions)[0] == "Tell a and b apart"
    assert len(actions[0].mistakes) == 5
    assert "5 of the 5 mistakes" in actions[0].why
    assert not any(title.startswith("Widen") for title in titles(actions))


def test_a_weak_intent_is_described_by_what_happened_to_its_messages():
    rows = [("a", "a", 4), ("a", "b", 1), ("a", "c", 1), ("a", FALLBACK_INTENT, 2), ("d", "d", 60)]
    action = first_actions(scored(*rows), clean_data(), None)[0]
    assert action.title == "Widen the examples of a"
    assert (
        action.why == "4 of its 8 held-out messages are not understood: their mistakes are scattered, 2 got no answer."
    )


def test_many_refused_messages_point_to_the_out_of_scope_check():
    action = first_actions(scored(("a", "a", 80), ("a", FALLBACK_INTENT, 20)), clean_data(), None)[0]
    assert action.title == "Find out why 20 messages got no answer"
    assert "target_false_alarm_rate" in action.how


def test_contradictions_come_before_mistakes_and_there_are_at_most_five():
    same = Twin(Example("where is it", "a"), Example("where is it", "b"), 1.0, True)
    data = clean_data(
        twins=(same,),
        not_in_domain=("gift",),
        leaked=(Example("hi", "greet"),),
        few=(IntentSize("gift", 2),),
        without_examples=("goodbye",),
    )
    actions = first_actions(scored(("a", "a", 6), ("a", "b", 4)), data, None)
    assert [action.section for action in actions] == ["domain", "twins", "leaked", "pairs", "balance"]
    assert len(actions) == MOST


def test_single_mistakes_are_no_pattern():
    assert first_actions(scored(("a", "a", 30), ("a", "b", 1)), clean_data(), None) == ()


def test_an_overconfident_model_is_named_so():
    holdout = [Example(f"text {number}", f"intent {number}") for number in range(20)]
    right = [Prediction(item.text, item.label, 0.5) for item in holdout]
    (action,) = first_actions(score(holdout, right), clean_data(), None)
    assert "less sure than right" in action.title


def test_unused_intents_are_named_only_where_there_are_enough_messages():
    recent, old = NOW - timedelta(days=3), NOW - timedelta(days=120)
    for messages, expected in ((5000, ["Ask whether complaint and refund_status are still needed"]), (20, [])):
        log = FixedLog({"track_order": (messages, recent), "refund_status": (1, old), "retired": (1, old)})
        usage = find_unused(log, [*DOMAIN, "complaint", "nlu_fallback"], NOW)
        assert usage.never == ("complaint",)
        assert [(item.intent, item.last_seen) for item in usage.stale] == [("refund_status", old)]
        assert titles(first_actions(None, clean_data(), usage)) == expected
