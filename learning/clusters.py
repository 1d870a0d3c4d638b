"""Average-linkage clustering of unit vectors, and the distance that it stops at, learned from labelled examples.

Distance between two groups is the root of the mean squared distance of their members, so that the mean vector and the
number of members are all that must be kept of a group: the mean squared distance of a unit vector x to the members
of a group with mean m is 2 - 2 x.m.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import linkage

from learning.vectors import Vectors

DEFAULT_DISTANCE = 0.95  # where too little is labelled to learn from: in the middle of what CLINC150 and BANKING77 give
# Of the needs that the best distance of a rehearsal finds, so many are enough: from there on it finds hardly more and
# groups ever more noise. Chosen on the development streams of `benchmarks/gaps.py`.
FOUND_SHARE = 0.98
REHEARSALS = 16
MIN_INTENTS = 12  # labels from which rehearsing says something
MOST_INTENTS = 100  # that take part in one rehearsal: bounds its time
INTENT_MEAN, INTENT_MOST = 12, 40  # messages of a rehearsed need, on average and at most
DISTURBERS = 3  # messages of each of the other intents: as many as noise that looks like a need
RANK_EXPONENT = 0.8  # of the frequencies of needs by rank (Zipf)
MIN_GROUP = 3  # members from which a group counts
PURE = 0.8  # share of its members from which a group is about one need
MIN_ASKED = 8  # messages from which a need should be found
DISTANCES = np.linspace(0.6, 1.2, 49)


def average_linkage(vectors: Vectors, distance: float) -> Vectors:
    """Return the group (n,) of each unit vector (n, d): average linkage (UPGMA), stopped at a distance.

    Nearest-neighbor chains (Murtagh 1983) over one float32 matrix of similarities, which is updated in place: 5,000
    vectors take 100 MB. Whatever is farther than `distance` from everything else leaves the chain at once.
    """
    count = len(vectors)
    groups = np.arange(count)
    if count < 2:
        return groups
    least = 1 - distance**2 / 2
    single = np.asarray(vectors, dtype=np.float32)
    similarity = single @ single.T
    np.fill_diagonal(similarity, -np.inf)
    sizes = np.ones(count)
    waiting = list(range(count - 1, -1, -1))
    done = np.zeros(count, dtype=bool)
    chain: list[int] = []
    while waiting or chain:
        if not chain:
            start = waiting.pop()
            if not done[start]:
                chain.append(start)
            continue
        tip = chain[-1]
        nearest = int(similarity[tip].argmax())
        if len(chain) > 1 and similarity[tip, chain[-2]] >= similarity[tip, nearest]:
            nearest = chain[-2]
        if similarity[tip, nearest] < least:
            # Average linkage is reducible: merges elsewhere bring nothing nearer than its nearest part was.
            done[tip] = True
            chain.pop()
        elif len(chain) > 1 and nearest == chain[-2]:
            del chain[-2:]
            keep, gone = min(tip, nearest), max(tip, nearest)
            joined = (sizes[keep] * similarity[keep] + sizes[gone] * similarity[gone]) / (sizes[keep] + sizes[gone])
            joined[[keep, gone]] = -np.inf
            similarity[keep] = similarity[:, keep] = joined
            similarity[gone] = similarity[:, gone] = -np.inf
            sizes[keep] += sizes[gone]
            done[gone] = True
            groups[groups == gone] = keep
            waiting.append(keep)
        else:
            chain.append(nearest)
    return groups


def rehearsed_distance(vectors: Vectors, labels: Sequence[str]) -> float:
    """Return the distance at which groups of labelled unit vectors (n, d) are needs, as far as labels tell.

    A rehearsal of what is to come: half of the intents play the needs, in long-tailed numbers, and three examples of
    each other intent the noise. The answer is the smallest distance that finds nearly as many needs as any does. How
    near together the needs of a project lie differs: it is about 1.0 on CLINC150 and 0.87 on BANKING77.
    """
    names, codes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    counts = np.bincount(codes, minlength=len(names))
    usable = np.flatnonzero(counts >= MIN_GROUP)
    if len(usable) < MIN_INTENTS:
        return DEFAULT_DISTANCE
    found = np.sum([_rehearse(vectors, codes, usable, np.random.default_rng(n)) for n in range(REHEARSALS)], axis=0)
    return float(DISTANCES[np.flatnonzero(found >= FOUND_SHARE * found.max())[0]])


def _rehearse(vectors: Vectors, codes: Vectors, usable: Vectors, rng: np.random.Generator) -> Vectors:
    """Return the share of the needs that the groups find at each of `DISTANCES`."""
    drawn = rng.permutation(usable)[:MOST_INTENTS]
    half = len(drawn) // 2
    shares = (np.arange(half) + 1.0) ** -RANK_EXPONENT
    wanted = np.clip(INTENT_MEAN * half * shares / shares.sum(), 2, INTENT_MOST).astype(int)
    wanted = np.concatenate([wanted, np.full(len(drawn) - half, DISTURBERS)])
    rows, needs = [], []
    for need, (intent, number) in enumerate(zip(drawn, wanted, strict=True)):
        rows.append(rng.permutation(np.flatnonzero(codes == intent))[:number])
        needs.append(np.full(len(rows[-1]), need))
    chosen, need_of = vectors[np.concatenate(rows)], np.concatenate(needs)
    asked = np.bincount(need_of)[:half]
    # Few examples an intent: the most asked needs take the place of those asked often enough.
    wanted_needs = np.flatnonzero(asked >= min(MIN_ASKED, asked.max()))
    upper = np.triu_indices(len(need_of), 1)
    squared = np.maximum(2 - 2 * (chosen @ chosen.T)[upper].astype(float), 0)
    found = _needs_found(linkage(squared, method="average"), need_of)
    return np.asarray(found[wanted_needs].mean(axis=0))


def _needs_found(tree: Vectors, need_of: Vectors) -> Vectors:
    """Return whether some group of a linkage tree (n - 1, 4) is about a need, for each need at each of `DISTANCES`."""
    count = len(need_of)
    members = np.zeros((2 * count - 1, need_of.max() + 1))
    members[np.arange(count), need_of] = 1
    # A node is a group from the height at which its members came together to that at which it is merged itself.
    above = np.full(2 * count - 1, np.inf)
    for node, (first, second, height, _) in enumerate(tree, start=count):
        members[node] = members[int(first)] + members[int(second)]
        above[[int(first), int(second)]] = height
    sizes = members.sum(axis=1)
    pure = np.flatnonzero((sizes >= MIN_GROUP) & (members.max(axis=1) > PURE * sizes))
    found = np.zeros((members.shape[1], len(DISTANCES)), dtype=bool)
    for node in pure:
        begin, end = np.searchsorted(DISTANCES**2, [tree[node - count, 2], above[node]])
        found[members[node].argmax(), begin:end] = True
    return found
