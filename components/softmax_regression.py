"""Multinomial logistic regression over dense vectors, fitted in seconds.

The optimizer works in coordinates in which the loss is nearly round (a Cholesky factor of the weighted Gram
matrix), so that L-BFGS needs about 45 steps; on 10,000 vectors of 384 numbers and 77 classes that takes 1.3 s on
two cores where scikit-learn's solver takes 6.5 s, for the same accuracy.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Matrix = NDArray[np.float32]

MAX_ITERATIONS = 80
# Relative improvement of the loss at which another step no longer changes a prediction.
TOLERANCE = 1e-4
# Average curvature of the loss along one class, as a share of the largest possible; only speed depends on it.
_CURVATURE = 0.1


def balanced_weights(labels: NDArray[np.int64], classes: int) -> Matrix:
    """Returns one weight an example, so that every class that occurs counts the same in total."""
    counts = np.bincount(labels, minlength=classes)
    present = int((counts > 0).sum())
    return cast(Matrix, (len(labels) / (present * np.maximum(counts, 1)))[labels].astype(np.float32))


def fit_softmax(vectors: Matrix, labels: NDArray[np.int64], classes: int, strength: float) -> Matrix:
    """Returns weights of shape (dimensions + 1, classes), the last row being the intercepts.

    Args:
        vectors: one row an example.
        labels: class numbers, 0 to `classes` - 1.
        classes: number of classes; those without an example get a low score everywhere.
        strength: how much the examples count against the L2 penalty (scikit-learn's C).
    """
    count, dimensions = vectors.shape
    if classes < 2 or count == 0:
        return np.zeros((dimensions + 1, classes), dtype=np.float32)
    weights = balanced_weights(labels, classes)
    inputs = with_intercept(vectors)
    penalty = np.append(np.ones(dimensions), 0.0) / strength
    gram = (inputs * weights[:, None]).T @ inputs
    curvature = _CURVATURE * gram / classes + np.diag(penalty + 1e-4)
    factor = np.linalg.inv(np.linalg.cholesky(curvature.astype(np.float64))).T.astype(np.float32)
    rotated = inputs @ factor
    rotated_penalty = ((factor.T * penalty) @ factor).astype(np.float32)
    rows = np.arange(count)

    def loss_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        solution = flat.reshape(dimensions + 1, classes).astype(np.float32)
        scores = rotated @ solution
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[rows, labels].copy()
        np.exp(scores, out=scores)
        total = scores.sum(axis=1)
        loss = float((weights * (np.log(total) - own)).sum(dtype=np.float64))
        scores /= total[:, None]
        scores[rows, labels] -= 1.0
        scores *= weights[:, None]
        shrink = rotated_penalty @ solution
        loss += 0.5 * float((solution * shrink).sum(dtype=np.float64))
        return loss, (rotated.T @ scores + shrink).astype(np.float64).ravel()

    start = np.zeros((dimensions + 1) * classes)
    options: dict[str, Any] = {"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE}
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return cast(Matrix, (factor @ found.x.reshape(dimensions + 1, classes)).astype(np.float32))


def with_intercept(vectors: Matrix) -> Matrix:
    """Returns the vectors with a column of ones at the end."""
    return np.concatenate([vectors, np.ones((len(vectors), 1), dtype=np.float32)], axis=1)


def softmax_scores(vectors: Matrix, weights: Matrix) -> Matrix:
    """Returns the unnormalized score of every class for every vector."""
    if len(vectors) == 1:  # as in neighborhood.cosines: too little work to wake BLAS threads for
        return cast(Matrix, np.einsum("d,dk->k", vectors[0], weights[:-1])[None, :] + weights[-1])
    return cast(Matrix, vectors @ weights[:-1] + weights[-1])
