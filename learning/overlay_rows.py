"""The vectors of published examples, and which label's come nearest to a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from learning.overlay_index import RowIndex
from learning.vectors import Vectors

# How many of the nearest rows are looked at. More only if a label beyond them could still be the nearest one.
FIRST_LOOK, LAST_LOOK = 32, 512
SAME = 1e-6  # cosines that differ by less are equal: the order of additions must not decide


def _empty() -> Vectors:
    return np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Rows:
    """The rows of one snapshot: `vectors` (n, d) float32 of length one.

    `owners` (n,) is the slot of the entry that a row belongs to, -1 where that is gone; `groups` (n,) is one number for
    all rows of a label, `members` are a label's rows (it may tell of later ones, too). The first `indexed` rows are
    found through `index`, the others one by one.
    """

    vectors: Vectors = field(default_factory=_empty)
    owners: Vectors = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    groups: Vectors = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    members: Mapping[int, Sequence[int]] = field(default_factory=dict)
    live: int = 0
    index: RowIndex | None = None
    indexed: int = 0

    def find(
        self,
        vector: Vectors,
        least: float,
        same_text: float,
        neighbors: int,
        admits: Callable[[int], bool] | None,
        name: Callable[[int], str],
    ) -> tuple[tuple[int, float], tuple[int, float]] | None:
        """Return slot and cosine of the closest row, and slot and mean of the label that is nearest as a whole.

        The mean is that of a label's `neighbors` nearest rows (of all, if there are fewer), its slot owns the nearest.
        None if no row is as near as `least`. A row as near as `same_text` decides for its label as well.

        Args:
            vector: (d,) of length one.
            least: cosine under which a row is not looked at.
            same_text: cosine from which a row is the message itself.
            neighbors: rows that make a label's mean.
            admits: which slots count; None for all.
            name: what slots are told apart by if they are equally near.

        """
        if not self.live:
            return None
        look, everything = FIRST_LOOK, self._compare(vector)
        while True:
            rows, cosines, floor = self._nearest(vector, look, everything)
            near = cosines >= least
            rows, cosines = rows[near], cosines[near]
            if admits is not None:
                seen = {slot: admits(slot) for slot in set(self.owners[rows].tolist())}
                kept = np.array([seen[slot] for slot in self.owners[rows].tolist()], dtype=bool)
                rows, cosines = rows[kept], cosines[kept]
            if len(rows):
                closest = self._first(rows[cosines >= cosines[0] - SAME], name), float(cosines[0])
                if closest[1] >= same_text:
                    return closest, closest
                best = self._best(vector, rows, cosines, floor, neighbors, admits, name)
                if best[1] >= floor or floor < least or look >= LAST_LOOK:
                    return closest, best
            elif floor < least or look >= LAST_LOOK:
                return None
            look *= 4

    def _compare(self, vector: Vectors) -> Vectors:
        """Return the cosines with the rows that are in no index, -inf where they are gone."""
        # einsum: BLAS would wake its threads for a millisecond's work and wait for them on a busy machine.
        cosines = np.einsum("ij,j->i", self.vectors[self.indexed :], vector)
        cosines[self.owners[self.indexed :] < 0] = -np.inf
        return np.asarray(cosines)

    def _nearest(self, vector: Vectors, count: int, others: Vectors) -> tuple[Vectors, Vectors, float]:
        """Return the `count` nearest rows with their cosines, the nearest first, and how near any other can be."""
        if len(others) > count:
            places = np.argpartition(others, len(others) - count)[-count:]
        else:
            places = np.arange(len(others))
        rows, cosines = places + self.indexed, others[places]
        if self.index is not None and self.indexed:
            found = self.index.search(vector, count)
            found = found[found < self.indexed]
            rows = np.concatenate((found, rows))
            cosines = np.concatenate((np.einsum("ij,j->i", self.vectors[found], vector), cosines))
        order = np.argsort(-cosines, kind="stable")[:count]
        floor = float(cosines[order[-1]]) if len(order) == count else -np.inf
        order = order[self.owners[rows[order]] >= 0]
        return rows[order], cosines[order], floor

    def _best(
        self,
        vector: Vectors,
        rows: Vectors,
        cosines: Vectors,
        floor: float,
        neighbors: int,
        admits: Callable[[int], bool] | None,
        name: Callable[[int], str],
    ) -> tuple[int, float]:
        """Return the slot that owns the nearest row of the nearest label, and the label's mean.

        A mean is exact if the label has `neighbors` of the nearest rows; of the others, only those are worked out
        that could be the nearest: no row that is not among the nearest is nearer than `floor`.
        """
        places: dict[int, list[int]] = {}
        for place, group in enumerate(self.groups[rows].tolist()):
            places.setdefault(group, []).append(place)
        means: dict[int, float] = {}
        for group, own in places.items():
            if len(own) >= neighbors:
                means[group] = float(cosines[own[:neighbors]].mean())
        best = max(means.values(), default=-np.inf)
        unsure = [group for group, own in places.items() if group not in means and cosines[own[0]] >= best - SAME]
        # Most labels have a handful of rows. One with many is read only if it can win with the best that it may have.
        few = [group for group in unsure if len(self.members[group]) <= LAST_LOOK]
        many = [group for group in unsure if len(self.members[group]) > LAST_LOOK]
        if few:
            means.update(self._means(vector, few, neighbors, admits))
        for group in many:
            own = cosines[places[group]]
            bound = (float(own.sum()) + (neighbors - len(own)) * floor) / neighbors
            if floor == -np.inf or bound >= max(means.values(), default=-np.inf) - SAME:
                means.update(self._means(vector, [group], neighbors, admits))
        best = max(means.values())
        equal = [group for group, mean in means.items() if mean >= best - SAME]
        slots = [self._nearest_slot(rows, cosines, places[group], name) for group in equal]
        return min(slots, key=name), best

    def _means(
        self, vector: Vectors, groups: Sequence[int], neighbors: int, admits: Callable[[int], bool] | None
    ) -> dict[int, float]:
        """Return the means of labels, from all of their rows."""
        members = [tuple(self.members[group]) for group in groups]
        rows = np.fromiter(chain.from_iterable(members), dtype=np.int64)
        tags = np.repeat(np.arange(len(groups)), [len(part) for part in members])
        known = rows < len(self.vectors)
        rows, tags = rows[known], tags[known]
        owners = self.owners[rows]
        kept = owners >= 0
        if admits is not None:
            seen = {slot: admits(slot) for slot in set(owners[kept].tolist())}
            kept = np.array([seen.get(slot, False) for slot in owners.tolist()], dtype=bool)
        rows, tags = rows[kept], tags[kept]
        cosines = np.einsum("ij,j->i", self.vectors[rows], vector)
        order = np.lexsort((-cosines, tags))
        cosines, starts = cosines[order], np.searchsorted(tags, np.arange(len(groups) + 1))
        return {
            group: float(cosines[start:end][:neighbors].mean())
            for group, start, end in zip(groups, starts, starts[1:], strict=False)
        }

    def _nearest_slot(self, rows: Vectors, cosines: Vectors, places: Sequence[int], name: Callable[[int], str]) -> int:
        nearest = [place for place in places if cosines[place] >= cosines[places[0]] - SAME]
        return self._first(rows[nearest], name)

    def _first(self, rows: Vectors, name: Callable[[int], str]) -> int:
        """Return the slot, of those that own these rows, whose name comes first."""
        slots: set[int] = set(self.owners[rows].tolist())
        return min(slots, key=name)
