"""Ways to group failed messages that the loop's own is compared with, on the same vectors.

Each takes unit vectors (n, d) and returns a cluster (n,) for each, -1 for noise. The parameters were chosen on the
development streams (`python -m benchmarks.gaps --development --tune`), one value for all cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from learning.clusters import average_linkage

Matrix = npt.NDArray[Any]
NOISE = -1
MIN_SIZE = 3


@dataclass(frozen=True)
class Inputs:
    """What a method may look at: vectors to group (n, d), sentence vectors alone, labelled examples, and the true k."""

    placed: Matrix
    sentence: Matrix
    known: Matrix  # sentence vectors of the examples
    labels: tuple[str, ...]
    needs: int  # how many different needs there are in truth; a favor that only one method gets


Method = Callable[[Inputs, float], Matrix]


def k_means_silhouette(data: Inputs, sizes: float) -> Matrix:
    """k-means (Lloyd 1982) with the k of the best mean silhouette (Rousseeuw 1987); knows no noise.

    `sizes` k are tried, from 48 messages a cluster on down.
    """
    from sklearn.metrics import silhouette_score

    count = len(data.placed)
    choices = sorted({max(2, round(count / (48 / 2**step))) for step in range(int(sizes))})
    tried = [_k_means(data.placed, k) for k in choices]
    scores = [silhouette_score(data.placed, labels, sample_size=min(count, 1500), random_state=0) for labels in tried]
    return tried[int(np.argmax(scores))]


def k_means_true_k(data: Inputs, scale: float) -> Matrix:
    """k-means that is told how many needs there are, and as many clusters again for the noise."""
    return _k_means(data.placed, max(2, round(scale * data.needs)))


def _k_means(vectors: Matrix, k: int) -> Matrix:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(min(k, len(vectors)), n_init=1, random_state=0, max_iter=20).fit_predict(vectors))


def hdbscan_leaf(data: Inputs, least: float) -> Matrix:
    """HDBSCAN (Campello et al. 2013) with leaf selection; `least` is the size of the smallest cluster."""
    import hdbscan

    # Distances first: its search trees are of no use in a thousand dimensions.
    distances = np.sqrt(np.maximum(2 - 2 * (data.placed @ data.placed.T).astype(float), 0))
    np.fill_diagonal(distances, 0)
    model = hdbscan.HDBSCAN(
        min_cluster_size=int(least), min_samples=2, cluster_selection_method="leaf", metric="precomputed"
    )
    return np.asarray(model.fit_predict(distances))


def dbscan(data: Inputs, radius: float) -> Matrix:
    """DBSCAN (Ester et al. 1996) with three neighbors."""
    from sklearn.cluster import DBSCAN

    return np.asarray(DBSCAN(eps=radius, min_samples=MIN_SIZE).fit_predict(data.placed))


def agglomerative(data: Inputs, distance: float) -> Matrix:
    """Average linkage at one distance for every project."""
    return average_linkage(data.placed, distance)


def agglomerative_sentence(data: Inputs, distance: float) -> Matrix:
    """Average linkage on the sentence vectors alone."""
    return average_linkage(data.sentence, distance)


def agglomerative_whitened(data: Inputs, distance: float) -> Matrix:
    """Average linkage on sentence vectors, whitened by the within-class covariance of the known intents."""
    names, codes = np.unique(np.asarray(data.labels), return_inverse=True)
    sums = np.zeros((len(names), data.known.shape[1]))
    np.add.at(sums, codes, data.known)
    residuals = data.known - (sums / np.bincount(codes)[:, None])[codes]
    covariance = residuals.T @ residuals / max(len(codes) - len(names), 1)
    dimensions = len(covariance)
    shrunk = 0.95 * covariance + 0.05 * float(np.trace(covariance)) / dimensions * np.eye(dimensions)
    values, axes = np.linalg.eigh(shrunk)
    white = data.sentence @ (axes / np.sqrt(values) @ axes.T)
    return average_linkage(white / np.linalg.norm(white, axis=1, keepdims=True), distance)


def radius_based(data: Inputs, least: float) -> Matrix:
    """Radius-based clustering (Rabinovich et al. 2022, arXiv 2204.05158).

    A variant of k-means that knows no k: a message goes to the nearest centroid if it is as near as `least` (cosine),
    else it founds a cluster; centroids follow their members; passes are repeated until nothing moves, and what stays
    smaller than three is noise.
    """
    vectors = data.placed
    labels = np.full(len(vectors), NOISE)
    centroids = np.zeros((0, vectors.shape[1]))
    for _ in range(20):
        before = labels.copy()
        similarity = vectors @ centroids.T if len(centroids) else np.full((len(vectors), 1), -1.0)
        labels = np.where(similarity.max(axis=1) >= least, similarity.argmax(axis=1), NOISE)
        _lead(vectors, labels, len(centroids), least)
        _, labels = np.unique(labels, return_inverse=True)
        sums = np.zeros((labels.max() + 1, vectors.shape[1]))
        np.add.at(sums, labels, vectors)
        centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        if (labels == before).all():
            break
    sizes = np.bincount(labels)
    return np.where(sizes[labels] >= MIN_SIZE, labels, NOISE)


def _lead(vectors: Matrix, labels: Matrix, first: int, least: float) -> None:
    """Let messages without a cluster found new ones from number `first` on, one after the other, in place."""
    left = np.flatnonzero(labels == NOISE)
    gram = vectors[left] @ vectors[left].T
    # Row k: the dot products of the sum of cluster k's members with every message that is left.
    sums = np.zeros_like(gram)
    squares = np.zeros(len(left))
    count = 0
    for place, row in enumerate(left):
        similarity = sums[:count, place] / np.sqrt(squares[:count])
        best = int(similarity.argmax()) if count and similarity.max() >= least else count
        count = max(count, best + 1)
        squares[best] += 2 * sums[best, place] + 1
        sums[best] += gram[place]
        labels[row] = first + best


def fast_communities(data: Inputs, least: float) -> Matrix:
    """Communities around messages with many near ones, as `community_detection` of sentence-transformers."""
    similarity = data.placed @ data.placed.T
    near = [np.flatnonzero(row >= least) for row in similarity]
    labels = np.full(len(near), NOISE)
    for number, row in enumerate(sorted(range(len(near)), key=lambda row: (-len(near[row]), row))):
        members = near[row][labels[near[row]] == NOISE]
        if len(members) >= MIN_SIZE:
            labels[members] = number
    return labels


def louvain(data: Inputs, least: float) -> Matrix:
    """Louvain communities (Blondel et al. 2008) of mutual neighbors, eight each, that are as near as `least`."""
    similarity = data.placed @ data.placed.T
    np.fill_diagonal(similarity, -1)
    nearest = [set(row) for row in np.argpartition(-similarity, 8, axis=1)[:, :8].tolist()]
    graph: list[dict[int, float]] = [{} for _ in nearest]
    for row, others in enumerate(nearest):
        for other in others:
            if row in nearest[other] and similarity[row, other] > least:
                graph[row][other] = float(similarity[row, other] - least)
    return _louvain(graph, 10.0)


def _louvain(graph: list[dict[int, float]], resolution: float) -> Matrix:
    labels = np.arange(len(graph))
    total = sum(sum(edges.values()) for edges in graph)
    while total:
        degrees = [sum(edges.values()) for edges in graph]
        community, sums = list(range(len(graph))), list(degrees)
        moved = False
        for _ in range(20):
            still = True
            for node, edges in enumerate(graph):
                links: dict[int, float] = defaultdict(float)
                for other, weight in edges.items():
                    if other != node:
                        links[community[other]] += weight
                old = community[node]
                sums[old] -= degrees[node]
                pull = resolution * degrees[node] / total
                gains = {name: weight - pull * sums[name] for name, weight in links.items()}
                gains.setdefault(old, -pull * sums[old])
                best = max(sorted(gains), key=lambda name: (gains[name], name == old))
                sums[best] += degrees[node]
                community[node] = best
                if best != old:
                    still, moved = False, True
            if still:
                break
        if not moved:
            break
        names = {name: number for number, name in enumerate(sorted(set(community)))}
        community = [names[name] for name in community]
        labels = np.array([community[label] for label in labels])
        merged: list[dict[int, float]] = [defaultdict(float) for _ in names]
        for node, edges in enumerate(graph):
            for other, weight in edges.items():
                merged[community[node]][community[other]] += weight
        graph = merged
    return labels


# name -> (method, its one parameter, what was tried on the development streams)
METHODS: Mapping[str, tuple[Method, float, Sequence[float]]] = {
    "k-means, k by silhouette": (k_means_silhouette, 4, (4,)),
    "k-means, told k": (k_means_true_k, 3.0, (1.5, 2.0, 3.0)),
    "HDBSCAN (leaf)": (hdbscan_leaf, 6, (3, 4, 5, 6, 8)),
    "DBSCAN": (dbscan, 0.8, (0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)),
    "agglomerative": (agglomerative, 0.95, (0.8, 0.85, 0.9, 0.95, 1.0, 1.05)),
    "agglomerative, sentence vectors": (agglomerative_sentence, 0.9, (0.75, 0.8, 0.85, 0.9, 0.95, 1.0)),
    "agglomerative, whitened": (agglomerative_whitened, 0.9, (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1)),
    "radius-based (2204.05158)": (radius_based, 0.6, (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)),
    "fast communities": (fast_communities, 0.65, (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)),
    "Louvain on mutual neighbors": (louvain, 0.6, (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65)),
}
