from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from learning.clusters import DEFAULT_DISTANCE, DISTANCES, average_linkage, rehearsed_distance
from learning.vectors import Vectors


def around(centers: int, each: int, spread: float, seed: int = 0, dimensions: int = 32) -> tuple[Vectors, list[str]]:
    """Unit vectors around random centers, and the number of the center as the label."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centers, dimensions))
    codes = np.repeat(np.arange(centers), each)
    vectors = middle[codes] + spread * rng.normal(size=(centers * each, dimensions))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [str(code) for code in codes]


def partition(groups: Vectors) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())}


@settings(max_examples=80, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10_000), st.floats(0.3, 1.6))
def test_groups_are_those_of_average_linkage_on_squared_distances(count: int, seed: int, distance: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(count, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = np.maximum(2 - 2 * (vectors @ vectors.T)[np.triu_indices(count, 1)], 0)
    heights = linkage(squared, method="average")
    # Single precision may decide otherwise about a merge exactly at the distance.
    if np.abs(heights[:, 2] - distance**2).min() < 1e-4:
        return
    expected = fcluster(heights, distance**2, criterion="distance")

    assert partition(average_linkage(vectors, distance)) == partition(expected)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_vectors_are_groups_of_their_own(count: int) -> None:
    assert average_linkage(np.ones((count, 3)), 1.0).tolist() == list(range(count))


def test_the_same_vector_again_is_one_group() -> None:
    assert len(set(average_linkage(np.tile([[0.6, 0.8]], (30, 1)), 0.5).tolist())) == 1


def test_the_distance_follows_how_near_the_intents_lie() -> None:
    loose, tight = around(30, 20, 1.0), around(30, 20, 1.0)
    # Half of every vector is the same: all intents move together.
    shared = np.ones((600, 32)) / np.sqrt(32)
    near = tight[0] + shared
    near /= np.linalg.norm(near, axis=1, keepdims=True)

    assert rehearsed_distance(near, tight[1]) < rehearsed_distance(*loose)


def test_few_intents_teach_no_distance() -> None:
    vectors, labels = around(5, 20, 0.5)

    assert rehearsed_distance(vectors, labels) == DEFAULT_DISTANCE
    assert rehearsed_distance(np.zeros((0, 4)), []) == DEFAULT_DISTANCE


def test_intents_that_cannot_be_told_apart_give_the_least_distance() -> None:
    vectors, _ = around(1, 400, 0.05)

    # No distance finds anything: the least one groups the least noise.
    assert rehearsed_distance(vectors, [str(row % 20) for row in range(400)]) == DISTANCES[0]


@pytest.mark.parametrize("examples", [3, 5])
def test_few_examples_an_intent_are_enough_to_rehearse(examples: int) -> None:
    distance = rehearsed_distance(*around(30, examples, 0.4))

    assert DISTANCES[0] <= distance < DISTANCES[-1]


def test_the_distance_is_the_same_every_time() -> None:
    vectors, labels = around(40, 10, 0.8)

    assert rehearsed_distance(vectors, labels) == rehearsed_distance(vectors, labels)
