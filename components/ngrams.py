"""Character and word n-grams as hashed, tf-idf weighted features, and a linear model over them.

Embeddings blur the exact words; n-grams keep them, and survive typing mistakes and product codes. Nothing about the
vocabulary is stored but column numbers, so a model file holds no text of the training examples.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from components.softmax_regression import Matrix

# Longer messages add time, not meaning.
MAX_CHARACTERS = 1000
_CHARACTER_GRAMS = (2, 5)
_WORD_GRAMS = (1, 2)
_BITS = 18
# A character n-gram seen once says nothing that its word doesn't say.
_MIN_CHARACTER_DOCUMENTS = 2

_EMAIL = re.compile(r"\S+@\S+")
_DIGIT = re.compile(r"\d")


def normalize(text: str) -> str:
    """Returns the text with what only identifies somebody flattened: every digit is 0, every email the same word."""
    # A lone surrogate, which JSON may carry, cannot be hashed.
    clean = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    return _DIGIT.sub("0", _EMAIL.sub(" emailaddress ", clean.lower()))


@dataclass(frozen=True)
class NgramModel:
    """A linear one-against-rest model over the n-grams that occurred in training."""

    columns: NDArray[np.int64]  # hashed columns in use, sorted; characters first, then words
    idf: Matrix
    coefficients: Matrix  # (columns, classes)
    intercepts: Matrix

    def scores(self, texts: Sequence[str]) -> Matrix:
        """Returns the margin of every class for every text."""
        features = _weigh(_hash(texts), self.columns, self.idf)
        return cast(Matrix, (features @ self.coefficients + self.intercepts).astype(np.float32))


def fit_ngrams(texts: Sequence[str], labels: NDArray[np.int64], classes: int, strength: float, seed: int) -> NgramModel:
    """Fits a class-balanced linear support vector machine over the n-grams of the texts."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    hashed = _hash(texts)
    documents = np.bincount(hashed.indices, minlength=hashed.shape[1])
    needed = np.where(np.arange(hashed.shape[1]) < 1 << _BITS, min(_MIN_CHARACTER_DOCUMENTS, len(texts)), 1)
    columns = np.flatnonzero(documents >= needed).astype(np.int64)
    idf = (np.log((1 + len(texts)) / (1 + documents[columns])) + 1).astype(np.float32)
    blank = NgramModel(columns, idf, np.zeros((len(columns), classes), np.float32), np.zeros(classes, dtype=np.float32))
    present = np.unique(labels)
    if len(present) < 2 or not len(columns):
        return blank
    features = _weigh(hashed, columns, idf)
    machine = LinearSVC(C=strength, class_weight="balanced", tol=1e-2, max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        # The last digits of the margins don't matter: they are calibrated afterwards.
        warnings.simplefilter("ignore", ConvergenceWarning)
        machine.fit(features, labels)
    coefficients, intercepts = machine.coef_.T, machine.intercept_
    if len(present) == 2:  # one plane separates two classes; write it down for both
        coefficients = np.concatenate([-coefficients, coefficients], axis=1)
        intercepts = np.concatenate([-intercepts, intercepts])
    blank.coefficients[:, present] = coefficients
    # A class without an example in this fold is never the nearest.
    blank.intercepts[:] = -2.0
    blank.intercepts[present] = intercepts
    return replace(blank, coefficients=_rounded(blank.coefficients))


def _rounded(values: Matrix) -> Matrix:
    """Rounds to what the model file keeps, so that a loaded model scores exactly as the fitted one."""
    return values.astype(np.float16).astype(np.float32)


@lru_cache(maxsize=1)
def _vectorizers() -> tuple[Any, Any]:
    """Returns the hashers of characters and words; they hold no state, but cost a millisecond to make."""
    from sklearn.feature_extraction.text import HashingVectorizer

    settings: dict[str, Any] = {"n_features": 1 << _BITS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=_CHARACTER_GRAMS, lowercase=False, **settings)
    words = HashingVectorizer(ngram_range=_WORD_GRAMS, token_pattern=r"\b\w+\b", lowercase=False, **settings)
    return characters, words


def _hash(texts: Sequence[str]) -> Any:
    characters, words = _vectorizers()
    normal = [normalize(text) for text in texts]
    return sparse.hstack([characters.transform(normal), words.transform(normal)], format="csr")


def _weigh(hashed: Any, columns: NDArray[np.int64], idf: Matrix) -> Any:
    """Returns tf-idf weights of the columns in use, characters and words each scaled to length one.

    Works on the raw arrays: slicing a matrix of half a million columns would cost milliseconds a message.
    """
    rows = np.repeat(np.arange(hashed.shape[0]), np.diff(hashed.indptr))
    if not len(columns):
        return sparse.csr_matrix((hashed.shape[0], 0), dtype=np.float32)
    places = np.minimum(np.searchsorted(columns, hashed.indices), len(columns) - 1)
    known = columns[places] == hashed.indices
    rows, places = rows[known], places[known]
    values = (1 + np.log(hashed.data[known])) * idf[places]
    # Two groups a row: 2 * row for its characters, 2 * row + 1 for its words.
    groups = 2 * rows + (columns[places] >= 1 << _BITS)
    lengths = np.sqrt(np.bincount(groups, weights=values * values, minlength=2 * hashed.shape[0]))
    values = (values / lengths[groups]).astype(np.float32)
    return sparse.csr_matrix((values, (rows, places)), shape=(hashed.shape[0], len(columns)))
