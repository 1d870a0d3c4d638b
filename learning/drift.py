"""Whether people talk about other things than in the weeks before: a shift in the embeddings of their first messages.

The measure is the energy distance between the messages of two times (G. J. Székely and M. L. Rizzo, "Energy statistics:
a class of statistics based on distances", Journal of Statistical Planning and Inference 143, 2013), divided by twice
the mean distance across: 0 where both times are alike, 1 where each says one thing and the two differ.

Messages of one day are not independent: a delayed parcel, a mailing. So whole days are permuted, each with days of its
own weekday, and the p-value is the share of permutations whose distance is at least that of the real weeks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from learning.texts import STOP_WORDS, words_of

RECENT_DAYS, BEFORE_DAYS = 7, 28
PERMUTATIONS = 9_999
PER_DAY = 60  # messages: 2,100 of five weeks are embedded in three seconds and compared in half a second
LEAST_WORD_PEOPLE = 5  # who used a word; fewer could be known by it
WORDS_TOLD = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """How far a week is from the four before: `distance` (0..1), its p-value, and words that are said more now.

    Each word comes with how many of the `recent` and of the `before` messages have it.
    """

    distance: float
    chance: float
    recent: int
    before: int
    words: tuple[tuple[str, int, int], ...] = ()


def measure(vectors: Floats, days: Sequence[date], last: date, seed: int) -> tuple[float, float, int, int] | None:
    """Return distance, p-value, and how many messages the two times have; None where a weekday of either is missing.

    Args:
        vectors: of unit length, shape (n, d).
        days: the day of each, in order.
        last: the last day of the recent week.
        seed: of the permutations.

    """
    span = [last - timedelta(days=back) for back in range(RECENT_DAYS + BEFORE_DAYS)]
    place = {day: number for number, day in enumerate(span)}
    counts = np.bincount([place[day] for day in days], minlength=len(span)).astype(float)
    if not counts.reshape(-1, RECENT_DAYS).all():
        return None
    sums = _day_distances(vectors, np.array([place[day] for day in days]), len(span))
    real = np.zeros((1, len(span)))
    real[0, :RECENT_DAYS] = 1
    drawn = _draws(seed, len(span))
    (distance,), others = _distance(real, counts, sums), _distance(drawn, counts, sums)
    chance = (1 + int((others >= distance - 1e-12).sum())) / (1 + len(others))
    recent = int(counts[:RECENT_DAYS].sum())
    return float(distance), chance, recent, len(days) - recent


def words_said_more(recent: Sequence[tuple[str, str]], before: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Return the words that stand out in recent messages, the clearest first, with their counts in both times.

    Args:
        recent: who said it, and what; a word that too few people said is never among the words.
        before: what was said before.

    """
    now, then = _counted(text for _, text in recent), _counted(before)
    people: dict[str, set[str]] = {}
    for sender, text in recent:
        for word in words_of(text):
            people.setdefault(word, set()).add(sender)
    scored = []
    for word, count in now.items():
        if len(people[word]) < LEAST_WORD_PEOPLE:
            continue
        share, was = count / len(recent), (then[word] + 0.5) / (len(before) + 1)
        common = (count + then[word] + 0.5) / (len(recent) + len(before) + 1)
        error = sqrt(common * (1 - common) * (1 / len(recent) + 1 / (len(before) + 1)))
        if share > was:
            scored.append(((share - was) / error, word, count, then[word]))
    return tuple((word, count, was) for _, word, count, was in sorted(scored, reverse=True)[:WORDS_TOLD])


def _counted(texts: Iterable[str]) -> Counter[str]:
    """Return how many texts have each word; each text is of another person, or another day."""
    return Counter(word for text in texts for word in set(words_of(text)) - STOP_WORDS)


def _day_distances(vectors: Floats, places: NDArray[np.int64], count: int) -> Floats:
    """Return the sums (count, count) of the distances between the messages of any two days."""
    order = np.argsort(places, kind="stable")
    sorted_vectors = np.asarray(vectors, dtype=np.float64)[order]
    apart = np.sqrt(np.maximum(2 - 2 * sorted_vectors @ sorted_vectors.T, 0))
    np.fill_diagonal(apart, 0)
    member = np.zeros((len(places), count))
    member[np.arange(len(places)), places[order]] = 1
    sums: Floats = member.T @ apart @ member
    return sums


def _draws(seed: int, count: int) -> Floats:
    """Return which days (draws, count) are the recent week in each permutation: one of each weekday."""
    draw = np.random.default_rng(seed)
    weeks = draw.integers(count // RECENT_DAYS, size=(PERMUTATIONS, RECENT_DAYS))
    chosen = np.zeros((PERMUTATIONS, count))
    chosen[np.arange(PERMUTATIONS)[:, None], weeks * RECENT_DAYS + np.arange(RECENT_DAYS)] = 1
    return chosen


def _distance(chosen: Floats, counts: Floats, sums: Floats) -> Floats:
    """Return the energy coefficient for each choice (draws, days) of the recent days; unbiased: it may be under 0."""
    n = chosen @ counts
    m = counts.sum() - n
    rows = chosen @ sums
    within = (rows * chosen).sum(axis=1)
    across = rows.sum(axis=1) - within
    others = sums.sum() - within - 2 * across
    apart = across / np.maximum(n * m, 1)
    own = within / np.maximum(n * (n - 1), 1)
    rest = others / np.maximum(m * (m - 1), 1)
    result: Floats = (2 * apart - own - rest) / np.maximum(2 * apart, 1e-12)
    return result
