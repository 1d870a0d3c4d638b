"""Linear experts over embeddings, middle layers and n-grams, joined into calibrated probabilities.

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

from components.cross_validation import splits
from components.neighborhood import unit
from components.ngrams import NgramModel, fit_ngrams
from components.softmax_regression import Matrix, fit_softmax, softmax_scores

# Typical weights, for when there is too little to cross-validate, and the point that fitting starts from.
SENTENCE_BLEND = 1.0
MIDDLE_BLEND = 0.4
NGRAM_BLEND = 1.8
# Held-out examples below which fitted weights would be noise.
MIN_CALIBRATION_EXAMPLES = 20
# Pull towards the typical weights, in examples: keeps a perfectly separable toy set from certainty.
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
class Inputs:
    """What is known of some messages, row for row: their vectors by origin, and their texts."""

    sentence: Matrix
    middle: Matrix | None
    texts: Sequence[str]

    def take(self, rows: NDArray[np.int64]) -> Inputs:
        """Returns the inputs of some rows."""
        middle = None if self.middle is None else self.middle[rows]
        return Inputs(self.sentence[rows], middle, [self.texts[row] for row in rows])


@dataclass(frozen=True)
class DenseExpert:
    """Softmax regression over vectors that are centered, then scaled to length one block by block.

    Middle layers need this: their vectors share a large common part that would hide the differences.
    """

    center: Matrix
    blocks: int
    weights: Matrix

    def scores(self, vectors: Matrix) -> Matrix:
        """Returns the log-probability of every class for every vector."""
        ready = _center_and_scale(vectors, self.center, self.blocks)
        return cast(Matrix, log_softmax(softmax_scores(ready, self.weights), axis=1))


@dataclass(frozen=True)
class Experts:
    """All experts, fitted on the same examples."""

    sentence: DenseExpert
    middle: DenseExpert | None
    ngrams: NgramModel | None

    def scores(self, inputs: Inputs) -> list[Matrix]:
        """Returns the score of every class for every row, one matrix an expert."""
        scores = [self.sentence.scores(inputs.sentence)]
        if self.middle is not None:
            if inputs.middle is None:
                raise ValueError("the model reads middle layers, but the messages come without them")
            scores.append(self.middle.scores(inputs.middle))
        if self.ngrams is not None:
            scores.append(self.ngrams.scores(inputs.texts))
        return scores

    def typical_blend(self) -> tuple[float, ...]:
        """Returns the weights that these experts usually get."""
        blend = [SENTENCE_BLEND]
        if self.middle is not None:
            blend.append(MIDDLE_BLEND)
        if self.ngrams is not None:
            blend.append(NGRAM_BLEND)
        return tuple(blend)


@dataclass(frozen=True)
class TextModel:
    """Calibrated probabilities of `labels` from a message's vectors and its text."""

    labels: tuple[str, ...]
    experts: Experts
    blend: tuple[float, ...]

    def probabilities(self, inputs: Inputs) -> NDArray[np.float64]:
        """Returns one row a message: the probability of every label."""
        scores = _blended(self.blend, self.experts.scores(inputs))
        return cast("NDArray[np.float64]", np.exp(log_softmax(scores, axis=1)))


def fit_text_model(inputs: Inputs, names: Sequence[str], options: FitOptions) -> TextModel:
    """Fits the experts on all examples and blends them as cross-validation says."""
    labels, numbers = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
    numbers = numbers.astype(np.int64)
    experts = _fit_experts(inputs, numbers, len(labels), options)
    blend = _cross_validated_blend(inputs, numbers, experts.typical_blend(), len(labels), options)
    return TextModel(tuple(labels.tolist()), experts, blend)


def _fit_experts(inputs: Inputs, numbers: NDArray[np.int64], classes: int, options: FitOptions) -> Experts:
    middle = None
    if inputs.middle is not None:
        blocks = max(1, inputs.middle.shape[1] // inputs.sentence.shape[1])
        center = inputs.middle.mean(axis=0)
        middle = _fit_dense(inputs.middle, center, blocks, numbers, classes, options)
    nowhere = np.zeros(inputs.sentence.shape[1], dtype=np.float32)
    return Experts(
        sentence=_fit_dense(inputs.sentence, nowhere, 1, numbers, classes, options),
        middle=middle,
        ngrams=fit_ngrams(inputs.texts, numbers, classes, options.ngram_strength, options.seed)
        if options.ngrams
        else None,
    )


def _fit_dense(
    vectors: Matrix, center: Matrix, blocks: int, numbers: NDArray[np.int64], classes: int, options: FitOptions
) -> DenseExpert:
    ready = _center_and_scale(vectors, center, blocks)
    return DenseExpert(center, blocks, fit_softmax(ready, numbers, classes, options.strength))


def _center_and_scale(vectors: Matrix, center: Matrix, blocks: int) -> Matrix:
    centered = (vectors - center).reshape(len(vectors), blocks, -1)
    return unit(centered).reshape(len(vectors), -1)


def _cross_validated_blend(
    inputs: Inputs, numbers: NDArray[np.int64], typical: tuple[float, ...], classes: int, options: FitOptions
) -> tuple[float, ...]:
    """Returns the weights of the experts under which held-out examples are most probable."""
    held_out = [np.zeros((len(numbers), classes), dtype=np.float32) for _ in typical]
    usable = np.zeros(len(numbers), dtype=bool)
    for rest, held in splits(numbers, options.folds, options.seed):
        experts = _fit_experts(inputs.take(rest), numbers[rest], classes, options)
        for scores, found in zip(held_out, experts.scores(inputs.take(held)), strict=True):
            scores[held] = found
        # The only example of an intent cannot be both learned from and tested.
        usable[held] = np.isin(numbers[held], numbers[rest])
    if usable.sum() < MIN_CALIBRATION_EXAMPLES or classes < 2:
        return typical
    return _most_probable_blend([scores[usable] for scores in held_out], numbers[usable], typical)


def _most_probable_blend(
    scores: Sequence[Matrix], numbers: NDArray[np.int64], typical: tuple[float, ...]
) -> tuple[float, ...]:
    rows = np.arange(len(numbers))
    start = np.log(np.array(typical))

    def loss(logarithms: NDArray[np.float64]) -> float:
        logs = log_softmax(_blended(tuple(np.exp(logarithms)), scores), axis=1)
        prior = _PRIOR_EXAMPLES * float(((logarithms - start) ** 2).sum())
        return float(-logs[rows, numbers].sum(dtype=np.float64)) + prior

    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 0.02, "fatol": 0.05, "maxiter": 150})
    return tuple(float(weight) for weight in np.exp(found.x))


def _blended(blend: tuple[float, ...], scores: Sequence[Matrix]) -> NDArray[np.float64]:
    total = np.zeros(scores[0].shape, dtype=np.float64)
    for weight, part in zip(blend, scores, strict=True):
        total += weight * part
    return total
