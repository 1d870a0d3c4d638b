from __future__ import annotations

import random

import numpy as np
import pytest

from learning.known import Known, Metric, largest_mean
from tests.learning_builders import NLU, FakeEncoder

ENCODER = FakeEncoder()
PAIRS = [(label, text) for label, texts in NLU.items() for text in texts]


def known_from(pairs: list[tuple[str, str]]) -> Known:
    texts = [text for _, text in pairs]
    return Known.from_examples([label for label, _ in pairs], texts, ENCODER.encode(texts))


def test_the_order_of_examples_does_not_matter() -> None:
    shuffled = random.Random(1).sample(PAIRS, len(PAIRS))

    assert known_from(shuffled).identity == known_from(PAIRS).identity
    assert known_from(shuffled).labels == known_from(PAIRS).labels


@pytest.mark.parametrize(
    "pairs",
    [PAIRS[1:], [*PAIRS, ("greet", "hello")], [("greet", PAIRS[0][1]), *PAIRS[1:]]],
    ids=["less", "more", "other"],
)
def test_other_examples_are_another_identity(pairs: list[tuple[str, str]]) -> None:
    assert known_from(pairs).identity != known_from(PAIRS).identity


def test_another_encoder_is_another_identity() -> None:
    texts = [text for _, text in PAIRS]
    labels = [label for label, _ in PAIRS]
    other = Known.from_examples(labels, texts, -ENCODER.encode(texts))

    assert other.identity != known_from(PAIRS).identity


def test_neighbours_that_disagree_name_no_intent() -> None:
    known = known_from(
        [("one", "loyalty points"), ("one", "loyalty points yes"), ("two", "loyalty points no"), ("two", "loyalty")]
    )

    assert known.intent_of(ENCODER.encode(["loyalty points"])[0], 0.3) is None


def test_neighbours_that_agree_name_the_intent_if_they_are_near() -> None:
    known = known_from(PAIRS)
    vector = ENCODER.encode(["where is the parcel tracking map"])[0]

    assert known.intent_of(vector, 0.3) == "track_order"
    assert known.intent_of(vector, 0.99) is None


def test_nearness_names_the_intent_how_near_it_is_and_its_lead() -> None:
    known = known_from(PAIRS)
    near = known.nearness(known.metric(ENCODER.encode(["reset password", "zebra"])))

    assert near.intents[0] == "reset_password"
    assert near.nearest[0] == pytest.approx(1.0, abs=1e-5)
    assert near.similarity[0] < near.nearest[0]
    assert near.lead[0] > near.lead[1] >= 0


def test_nothing_known_is_near_nothing() -> None:
    known = Known.from_examples([], [], np.zeros((0, 4), dtype=np.float32))

    assert known.nearness(np.eye(4)[:2]).intents == ("", "")
    assert known.intent_of(np.eye(4)[0], 0.1) is None


def test_one_intent_alone_leads() -> None:
    known = known_from([("greet", "hello"), ("greet", "howdy")])

    assert known.nearness(known.metric(ENCODER.encode(["hello"]))).lead[0] == 1


# --- the metric -----------------------------------------------------------------------------------


def test_sentence_vectors_alone_stay_as_they_are() -> None:
    vectors = ENCODER.encode(["parcel", "password", "hello"])

    assert np.allclose(Metric.fitted(vectors, vectors.shape[1])(vectors), vectors, atol=1e-6)


def test_middle_layers_count_by_what_sets_them_apart_from_the_examples() -> None:
    rng = np.random.default_rng(3)
    sentence = np.tile([[1.0, 0.0]], (50, 1))
    layers = rng.normal(size=(50, 4))
    metric = Metric.fitted(np.hstack([sentence, layers + 100]), 2)
    placed = metric(np.hstack([sentence, layers + 100]))

    assert np.allclose(np.linalg.norm(placed, axis=1), 1, atol=1e-6)
    # The large common part is gone: the same sentence vector with other layers is at some distance.
    cosines = (placed @ placed.T)[np.triu_indices(50, 1)]
    assert cosines.min() < 0.6
    assert cosines.max() > 0.9


def test_the_space_is_finite_where_a_layer_is_like_the_center() -> None:
    vectors = np.ones((3, 6), dtype=np.float32)

    assert np.isfinite(Metric.fitted(vectors, 2)(vectors)).all()


def test_the_mean_of_the_largest_takes_what_there_is() -> None:
    values = np.array([[1.0, 2.0, 3.0]])

    assert largest_mean(values, 2).tolist() == [2.5]
    assert largest_mean(values, 9).tolist() == [2.0]
    assert largest_mean(np.zeros((2, 0)), 5).tolist() == [-1, -1]
