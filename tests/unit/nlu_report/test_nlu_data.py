from __future__ import annotations

import pytest
from nlu_fakes import WordEncoder, shop_examples

from learning.model import Example
from learning.nlu_report.data import by_similarity, check_data, find_label_issues, find_twins, normalize

ENCODER = WordEncoder()


def vectors_of(examples):
    return ENCODER.encode([example.text for example in examples])


def checked(examples, holdout=(), domain=("track_order", "refund_status")):
    return check_data(examples, holdout, vectors_of(examples), domain)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Where's my order?", "where's MY order", True),
        ("  yes!!  ", "yes", True),
        ("order 10342", "order 10343", False),
        ("👍", "👎", False),
        ("...", "!!!", False),
    ],
)
def test_texts_are_the_same_but_for_case_and_punctuation(one, other, same):
    assert (normalize(one) == normalize(other)) is same


def test_the_same_text_under_two_intents_is_found_once_and_before_near_ones():
    examples = [
        *(Example("where is it", "track_order"), Example("Where is it?", "order_late")),
        *(Example("where IS it", "track_order"), Example("it is where", "refund_status")),
    ]
    twins = find_twins(examples, vectors_of(examples))
    assert [(twin.first.label, twin.second.label, twin.identical) for twin in twins] == [
        ("order_late", "track_order", True),
        ("order_late", "refund_status", False),
        ("refund_status", "track_order", False),
    ]


def test_the_same_text_twice_in_one_intent_is_no_contradiction():
    examples = [Example("where is it", "track_order"), Example("where is it", "track_order")]
    assert find_twins(examples, vectors_of(examples)) == ()


def test_emoji_and_numbers_that_the_encoder_cannot_tell_apart_are_no_near_duplicates():
    class Blind:
        def encode(self, texts):
            return ENCODER.encode(["same"] * len(texts))

    examples = [Example("👍", "affirm"), Example("👎", "deny"), Example("10342", "inform")]
    assert find_twins(examples, Blind().encode(examples)) == ()


def test_swapped_labels_are_found_and_the_others_left_alone():
    examples = shop_examples()
    wrong = Example(examples[3].text, "refund_status")
    examples[3] = wrong
    issues, unchecked = find_label_issues(examples, vectors_of(examples))
    assert [(issue.text, issue.label, issue.suggested) for issue in issues] == [
        (wrong.text, "refund_status", "track_order")
    ]
    assert issues[0].probability > issues[0].own_probability
    assert unchecked == ()


def test_an_intent_with_one_example_is_reported_as_unchecked():
    examples = [*shop_examples(), Example("hello", "greet")]
    assert find_label_issues(examples, vectors_of(examples))[1] == ("greet",)


def test_a_single_intent_has_no_label_errors():
    examples = [example for example in shop_examples() if example.label == "track_order"]
    assert find_label_issues(examples, vectors_of(examples)) == ((), ())


def test_sizes_balance_and_outsized_intents():
    many = [Example(f"delivery number {number} to my house", "delivery") for number in range(60)]
    found = checked([*shop_examples(), *many, Example("hi", "greet"), Example("hello", "greet")])
    assert [(size.label, size.examples) for size in found.sizes] == [
        *(("greet", 2), ("refund_status", 12), ("track_order", 12), ("delivery", 60))
    ]
    assert (found.median, found.imbalance) == (12, 30)
    assert [size.label for size in found.few] == ["greet"]
    assert [size.label for size in found.outsized] == ["delivery"]


def test_domain_and_data_are_compared_by_the_base_of_retrieval_keys():
    examples = [
        *shop_examples(),
        Example("when are you open", "faq/opening_hours"),
        Example("do you learn", "learned/x"),
    ]
    found = checked(examples, domain=("track_order", "faq", "goodbye", "nlu_fallback"))
    assert found.without_examples == ("goodbye",)
    assert found.not_in_domain == ("learned", "refund_status")


def test_held_out_messages_that_are_trained_on_and_intents_that_are_never_tested():
    leaked = Example("Where is my RED parcel now?", "track_order")
    found = checked(shop_examples(), [leaked, Example("has it left yet", "track_order")])
    assert found.leaked == (leaked,)
    assert found.unmeasured == ("refund_status",)


def test_related_intents_stand_side_by_side():
    examples = [
        *(Example("where is my parcel", "a_track"), Example("pay by card", "b_pay")),
        *(Example("where is my late parcel", "z_late"), Example("pay by new card", "c_card")),
    ]
    order = by_similarity(examples, vectors_of(examples))
    assert abs(order.index("a_track") - order.index("z_late")) == 1
    assert abs(order.index("b_pay") - order.index("c_card")) == 1
