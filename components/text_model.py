"""Two linear experts, one over embeddings and one over n-grams, joined into calibrated probabilities.

The experts' scores are added with one weight each. The weights are those under which the held-out examples of a
cross-validation were most probable, so they settle both how far each expert is trusted and how sure the sum
may be (a temperature for each expert).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from components.ngrams import NgramModel, fit_ngrams
from components.softmax_regression import Matrix, assign_folds, fit_softmax, softmax_scores

# Weights of (embeddings, n-grams) when there is too little to cross-validate; typical of what is found otherwise.
DEFAULT_BLEND = (0.7, 3.0)
# Held-out examples below which fitted weights would be noise.
MIN_CALIBRATION_EXAMPLES = 20
# Added pull towards the default weights, in examples: keeps a perfectly separable toy set from certainty.
_PRIOR_EXAMPLES = 2.0


@dataclass(frozen=True)
class FitOptions:
    """How the experts are fitted; see `IntentClassifier.get_default_config` for meanings and reasons."""

    strength: float
    ngram_strength: float
    ngrams: bool
    folds: int
    seed: int


@dataclass(frozen=True)
class TextModel:
    """Calibrated probabilities of `labels` from a sentence's vector and its text."""

    labels: tuple[str, ...]
    dense: Matrix
    ngrams: NgramModel | None
    blend: tuple[float, float]

    def probabilities(self, vectors: Matrix, texts: Sequence[str]) -> NDArray[np.float64]:
        """Returns one row a text: the probability of every label."""
        scores = self.blend[0] * log_softmax(softmax_scores(vectors, self.dense), axis=1)
        if self.ngrams is not None:
            scores = scores + self.blend[1] * self.ngrams.scores(texts)
        return cast("NDArray[np.float64]", np.exp(log_softmax(scores.astype(np.float64), axis=1)))


def fit_text_model(vectors: Matrix, texts: Sequence[str], names: Sequence[str], options: FitOptions) -> TextModel:
    """Fits both experts on all examples and blends them as cross-validation says."""
    labels, numbers = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
    numbers = numbers.astype(np.int64)
    blend = _cross_validated_blend(vectors, texts, numbers, len(labels), options)
    dense, ngrams = _fit_experts(vectors, texts, numbers, len(labels), options)
    return TextModel(tuple(labels.tolist()), dense, ngrams, blend)


def _fit_experts(
    vectors: Matrix, texts: Sequence[str], numbers: NDArray[np.int64], classes: int, options: FitOptions
) -> tuple[Matrix, NgramModel | None]:
    dense = fit_softmax(vectors, numbers, classes, options.strength)
    if not options.ngrams:
        return dense, None
    return dense, fit_ngrams(texts, numbers, classes, options.ngram_strength, options.seed)


def _cross_validated_blend(
    vectors: Matrix, texts: Sequence[str], numbers: NDArray[np.int64], classes: int, options: FitOptions
) -> tuple[float, float]:
    """Returns the weights of the two experts under which held-out examples are most probable."""
    dense = np.zeros((len(numbers), classes), dtype=np.float32)
    margins = np.zeros_like(dense)
    usable = np.zeros(len(numbers), dtype=bool)
    fold_of = assign_folds(numbers, options.folds, options.seed)
    for fold in range(options.folds):
        rest, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(rest) or not len(held):
            continue
        weights, ngrams = _fit_experts(vectors[rest], [texts[i] for i in rest], numbers[rest], classes, options)
        dense[held] = log_softmax(softmax_scores(vectors[held], weights), axis=1)
        if ngrams is not None:
            margins[held] = ngrams.scores([texts[i] for i in held])
        # The only example of an intent cannot be both learned from and tested.
        usable[held] = np.isin(numbers[held], numbers[rest])
    if usable.sum() < MIN_CALIBRATION_EXAMPLES or classes < 2:
        return DEFAULT_BLEND
    return _most_probable_blend(dense[usable], margins[usable], numbers[usable])


def _most_probable_blend(dense: Matrix, margins: Matrix, numbers: NDArray[np.int64]) -> tuple[float, float]:
    rows = np.arange(len(numbers))
    start = np.log(np.array(DEFAULT_BLEND))

    def loss(logarithms: NDArray[np.float64]) -> float:
        first, second = np.exp(logarithms)
        logs = log_softmax(first * dense + second * margins, axis=1)
        prior = _PRIOR_EXAMPLES * float(((logarithms - start) ** 2).sum())
        return float(-logs[rows, numbers].sum(dtype=np.float64)) + prior

    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 0.01, "fatol": 0.01, "maxiter": 120})
    first, second = np.exp(found.x)
    return float(first), float(second)
