from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from learning.kept_vectors import KeptVectors, Remembered
from learning.vectors import Vectors
from tests.learning_builders import FakeEncoder

TEXTS = ("where is my parcel", "reset password", "where is my parcel")


class Shelf:
    """Keeps vectors in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Vectors] = {}
        self.writes = 0

    def known_vectors(self, keys: Sequence[str]) -> dict[str, Vectors]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def replace_vectors(self, vectors: Mapping[str, Vectors]) -> None:
        self.kept = dict(vectors)
        self.writes += 1


def test_what_is_kept_is_not_encoded_again_and_comes_out_the_same() -> None:
    shelf, encoder = Shelf(), FakeEncoder()
    first = KeptVectors(encoder, shelf)
    vectors = first.encode_deep(TEXTS)
    first.save()
    again = KeptVectors(encoder, shelf)

    assert np.array_equal(again.encode_deep(TEXTS), vectors)
    assert np.array_equal(again.encode(TEXTS), vectors[:, : encoder.dimension])
    assert encoder.calls == 1
    assert np.allclose(vectors, encoder.encode(TEXTS), atol=0.001)


def test_what_nobody_asks_for_any_more_is_forgotten_and_nothing_new_writes_nothing() -> None:
    shelf, encoder = Shelf(), FakeEncoder()
    first = KeptVectors(encoder, shelf)
    first.encode(TEXTS)
    first.save()
    second = KeptVectors(encoder, shelf)
    second.encode(("reset password",))
    second.save()

    assert (len(shelf.kept), shelf.writes) == (2, 1)
    second.encode(("new",))
    second.save()
    assert (len(shelf.kept), shelf.writes) == (2, 2)


def test_another_encoders_vectors_are_not_taken() -> None:
    shelf = Shelf()
    first = KeptVectors(FakeEncoder(), shelf)
    first.encode(TEXTS)
    first.save()
    other = FakeEncoder("fake-2")
    KeptVectors(other, shelf).encode(TEXTS)

    assert other.calls == 1


def test_no_texts_are_no_vectors() -> None:
    encoder = FakeEncoder()

    assert KeptVectors(encoder, Shelf()).encode(()).shape == (0, encoder.dimension)
    assert Remembered(encoder, {}).encode(()).shape == (0, encoder.dimension)


def test_what_was_told_is_not_encoded() -> None:
    encoder = FakeEncoder()
    told = {"reset password": np.full(encoder.dimension, 0.5, dtype=np.float32)}
    vectors = Remembered(encoder, told).encode(TEXTS)

    assert vectors[1].tolist() == told["reset password"].tolist()
    assert np.array_equal(vectors[0], vectors[2])
    assert np.array_equal(vectors[0], encoder.encode(TEXTS[:1])[0])
