"""What is wrong with the training data itself: balance, contradictions, wrong labels, and gaps against the domain."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from learning.model import FALLBACK_INTENT, Example
from learning.vectors import Vectors

MIN_EXAMPLES = 10  # with fewer, one odd wording decides what the intent means
OUTSIZED = 3.0  # times the median from which an intent draws messages that are not its own
NEAR = 0.9  # cosine; on BANKING77 pairs above it ask the same in other words, at 0.85 many differ in what matters
FOLDS = 5
STRENGTH = 5.0  # inverse regularization; at 20 the probabilities are too sure of themselves to rank wrong labels
NEIGHBORS = 5  # nearest examples that must side with the suggested label
SEED = 0
ROWS = 1000  # of the similarity matrix at a time: 22,500 examples need 90 MB instead of 2 GB
BUILT_IN = frozenset({FALLBACK_INTENT, "restart", "back", "session_start", "out_of_scope"})  # Rasa's own intents


@dataclass(frozen=True)
class IntentSize:
    """How many training examples an intent has."""

    label: str
    examples: int


@dataclass(frozen=True)
class Twin:
    """Two training examples that say the same under different intents; `identical` but for case and punctuation."""

    first: Example
    second: Example
    similarity: float
    identical: bool


@dataclass(frozen=True)
class LabelIssue:
    """A training example that a model trained on the others puts elsewhere, with both probabilities."""

    text: str
    label: str
    own_probability: float
    suggested: str
    probability: float


@dataclass(frozen=True)
class DataChecks:
    """The findings; every list has the worst first, and `unchecked` intents are too small to judge their labels."""

    examples: int
    sizes: tuple[IntentSize, ...]
    median: float
    imbalance: float
    few: tuple[IntentSize, ...]
    outsized: tuple[IntentSize, ...]
    twins: tuple[Twin, ...]
    label_issues: tuple[LabelIssue, ...]
    unchecked: tuple[str, ...]
    leaked: tuple[Example, ...]
    unmeasured: tuple[str, ...]
    without_examples: tuple[str, ...]
    not_in_domain: tuple[str, ...]


def check_data(
    examples: Sequence[Example],
    holdout: Sequence[Example],
    vectors: Vectors,
    domain: Sequence[str],
    say: Callable[[str], None] = lambda step: None,
) -> DataChecks:
    """Check the training data; `vectors` are its embeddings in the same order, `domain` the domain's intents."""
    counts = Counter(example.label for example in examples)
    sizes = tuple(IntentSize(label, count) for label, count in sorted(counts.items(), key=lambda item: item[::-1]))
    middle = float(median(counts.values())) if counts else 0.0
    say("looking for the same text under two intents")
    twins = find_twins(examples, vectors)
    say(f"looking for wrong labels: {FOLDS} trainings on {len(examples)} examples")
    issues, unchecked = find_label_issues(examples, vectors)
    trained = {normalize(example.text) for example in examples}
    tested = {example.label for example in holdout}
    intents = {base(label) for label in counts}
    return DataChecks(
        examples=len(examples),
        sizes=sizes,
        median=middle,
        imbalance=sizes[-1].examples / sizes[0].examples if sizes else 1.0,
        few=tuple(size for size in sizes if size.examples < MIN_EXAMPLES),
        outsized=tuple(size for size in reversed(sizes) if size.examples > OUTSIZED * middle),
        twins=twins,
        label_issues=issues,
        unchecked=unchecked,
        leaked=tuple(example for example in holdout if normalize(example.text) in trained),
        unmeasured=tuple(sorted(counts.keys() - tested)) if holdout else (),
        without_examples=tuple(sorted(set(domain) - intents - BUILT_IN)),
        not_in_domain=tuple(sorted(intents - set(domain) - BUILT_IN)),
    )


def base(label: str) -> str:
    """Return the intent of a full retrieval key: `faq/returns` belongs to `faq`."""
    return label.split("/", 1)[0]


def normalize(text: str) -> str:
    """Return a text without case, punctuation and extra spaces; emoji stay, as they may be all that it says."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if unicodedata.category(char)[0] in "PZC" else char for char in folded)
    return " ".join(kept.split()) or text.strip()


def find_twins(examples: Sequence[Example], vectors: Vectors) -> tuple[Twin, ...]:
    """Return pairs that say the same under two intents: identical ones first, then by similarity."""
    texts = [normalize(example.text) for example in examples]
    found: dict[tuple[str, str, str, str], Twin] = {}

    def keep(one: int, other: int, similarity: float, identical: bool) -> None:
        first, second = sorted((examples[one], examples[other]), key=lambda example: example.label)
        key = (texts[one], texts[other]) if first is examples[one] else (texts[other], texts[one])
        found.setdefault((*key, first.label, second.label), Twin(first, second, similarity, identical))

    same: defaultdict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        same[text].append(row)
    for rows in same.values():
        for place, one in enumerate(rows):
            for other in rows[place + 1 :]:
                if examples[one].label != examples[other].label:
                    keep(one, other, 1.0, True)
    labels = np.array([example.label for example in examples])
    # The encoder sees no difference between two emoji or two numbers; such texts are compared as text only.
    worded = np.array([bool(re.search(r"[^\W\d_]{2}", text)) for text in texts], dtype=bool)
    for start in range(0, len(examples), ROWS):
        close = vectors[start : start + ROWS] @ vectors.T >= NEAR
        for row, other in zip(*(axis.tolist() for axis in np.nonzero(close)), strict=True):
            one = start + row
            if one < other and labels[one] != labels[other] and worded[one] and worded[other]:
                keep(one, other, float(vectors[one] @ vectors[other]), texts[one] == texts[other])
    return tuple(sorted(found.values(), key=lambda twin: (not twin.identical, -twin.similarity, twin.first.text)))


def find_label_issues(examples: Sequence[Example], vectors: Vectors) -> tuple[tuple[LabelIssue, ...], tuple[str, ...]]:
    """Return examples that probably stand under the wrong intent, and the intents too small to tell.

    A regression that has not seen an example says how likely each intent is; cleanlab finds those whose own label is
    too unlikely, and the nearest examples must agree. With 68 of this project's 2,274 labels swapped on purpose, 46 %
    of what it lists are swapped ones (and others are hard to place for people too), and it lists 69 % of them.
    """
    counts = Counter(example.label for example in examples)
    unchecked = tuple(sorted(label for label, count in counts.items() if count < 2))
    rows = np.array([row for row, example in enumerate(examples) if counts[example.label] > 1], dtype=int)
    names, labels = np.unique([examples[row].label for row in rows], return_inverse=True)
    if len(names) < 2:
        return (), unchecked
    from cleanlab.filter import find_label_issues as rank_issues

    known = vectors[rows]
    probabilities = _unseen_probabilities(known, labels)
    ranked = rank_issues(
        labels, probabilities, return_indices_ranked_by="normalized_margin", filter_by="both", n_jobs=1
    )
    found = []
    for place in ranked:
        own, suggested = int(labels[place]), int(probabilities[place].argmax())
        near = known @ known[place]
        near[place] = -1.0
        votes = labels[np.argsort(-near, kind="stable")[:NEIGHBORS]]
        if suggested != own and (votes == suggested).sum() > (votes == own).sum():
            chances = probabilities[place]
            example = examples[rows[place]]
            found.append(
                LabelIssue(
                    example.text, example.label, float(chances[own]), str(names[suggested]), float(chances[suggested])
                )
            )
    return tuple(found), unchecked


def _unseen_probabilities(vectors: Vectors, labels: Any) -> Vectors:
    """Return each example's probabilities by a regression that was trained without its fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    # Dealt out intent by intent, so that every training has every intent, even one with two examples.
    folds = np.zeros(len(labels), dtype=int)
    generator = np.random.default_rng(SEED)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        folds[members] = np.arange(len(members)) % FOLDS
    model = LogisticRegression(C=STRENGTH, max_iter=300)
    found: Vectors = cross_val_predict(model, vectors, labels, cv=PredefinedSplit(folds), method="predict_proba")
    return found


def by_similarity(examples: Sequence[Example], vectors: Vectors) -> tuple[str, ...]:
    """Return the intents so that those with related examples stand side by side."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    labels = np.array([example.label for example in examples])
    names = sorted(set(labels.tolist()))
    if len(names) < 3:
        return tuple(names)
    centers = np.stack([vectors[labels == name].mean(axis=0) for name in names])
    tree = linkage(centers, method="average", metric="cosine", optimal_ordering=True)
    return tuple(names[place] for place in leaves_list(tree))
