from __future__ import annotations

from typing import Any

import numpy as np

from learning.regroup import SEEDS, divide_in_two
from learning.vectors import Vectors


def two_needs(first: int, second: int, seed: int = 0) -> Vectors:
    """Unit vectors (n, 32) around two opposite directions, shuffled; the first number tells which."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(scale=0.1, size=(first + second, 32))
    vectors[:, 0] += np.where(rng.permutation(first + second) < second, -1.0, 1.0)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


class Counted(np.ndarray[Any, Any]):
    """An array that counts the numbers which its matrix products compute."""

    computed = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        plain = [np.asarray(item) if isinstance(item, Counted) else item for item in inputs]
        found = getattr(ufunc, method)(*plain, **more)
        if ufunc is np.matmul:
            Counted.computed += found.size * plain[0].shape[-1]
        return found


def work(count: int) -> int:
    Counted.computed = 0
    divide_in_two(two_needs(count // 2, count - count // 2).view(Counted))
    return Counted.computed


def test_two_needs_are_divided_whatever_their_size() -> None:
    for first, second in ((2, 1), (30, 20), (SEEDS, SEEDS - 1), (5 * SEEDS, 7)):
        vectors = two_needs(first, second)

        assert divide_in_two(vectors) == [int(row) for row in np.flatnonzero(vectors[:, 0] < 0)]


def test_what_cannot_be_divided_gives_up_one_message() -> None:
    assert len(divide_in_two(np.tile(two_needs(1, 0), (5, 1)))) == 1


def test_the_work_grows_with_the_messages_and_not_with_their_square() -> None:
    assert work(8 * SEEDS) < 2.5 * work(4 * SEEDS)
