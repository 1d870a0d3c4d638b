"""Nearest neighbors among unit vectors, by brute force in bounded memory."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from components.softmax_regression import Matrix

_BLOCK = 1024  # rows compared at a time: 10,000 neighbors then cost 40 MB


def unit(vectors: Matrix) -> Matrix:
    """Returns the vectors scaled to length one; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return cast(Matrix, (vectors / np.maximum(lengths, 1e-12)).astype(np.float32))


def cosines(vectors: Matrix, neighbors: Matrix) -> Matrix:
    """Returns the similarity of every vector (n, d) with every neighbor (m, d) as (n, m)."""
    if len(vectors) == 1:
        # One message: BLAS would wake its threads for a millisecond's work and wait for them on a busy machine.
        return cast(Matrix, np.einsum("ij,j->i", neighbors, vectors[0])[None, :])
    return cast(Matrix, vectors @ neighbors.T)


def mean_of_largest(similarities: Matrix, count: int) -> Matrix:
    """Returns for every row the mean of its `count` largest values (of all, if there are fewer)."""
    count = min(count, similarities.shape[1])
    largest = np.partition(similarities, similarities.shape[1] - count, axis=1)[:, -count:]
    return cast(Matrix, largest.mean(axis=1))


def neighborhood_similarity(vectors: Matrix, neighbors: Matrix, count: int) -> Matrix:
    """Returns for every vector the mean cosine of its `count` nearest neighbors."""
    blocks = [
        mean_of_largest(cosines(vectors[start : start + _BLOCK], neighbors), count)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def half(vectors: Matrix) -> NDArray[np.float16]:
    """Returns vectors as they are stored: half the size, and cosines that differ by less than 0.001."""
    return vectors.astype(np.float16)
