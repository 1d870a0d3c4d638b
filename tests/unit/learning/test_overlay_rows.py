from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.model import ProposalKind
from learning.overlay_snapshot import CaptureRule, Nearest, OverlayEntry, OverlaySnapshot
from learning.overlay_table import OverlayTable
from learning.vectors import Vectors

RULE = CaptureRule()


def unit(vectors: Vectors) -> Vectors:
    scaled = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(scaled, dtype=np.float32)


def entry(number: int, label: str, share: int = 100, kind: ProposalKind = ProposalKind.EXAMPLES) -> OverlayEntry:
    answer = "Yes." if kind is ProposalKind.ANSWER else None
    return OverlayEntry(f"e{number:05d}", kind, label, ("x",), answer, share=share, release=number)


def filled(
    seed: int, count: int, labels: int, dimensions: int = 8, index_from: int = 10**9
) -> tuple[OverlayTable, dict[str, Vectors]]:
    """A table of entries with one to four rows each, and the rows by entry."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(labels, dimensions))
    table, own = OverlayTable(index_from, index_step=1), {}
    for number in range(count):
        label = int(random.integers(labels))
        rows = unit(centers[label] + 0.4 * random.normal(size=(int(random.integers(1, 5)), dimensions)))
        table.put(entry(number, f"learned/{label}"), rows)
        own[f"e{number:05d}"] = rows
    return table, own


def by_hand(
    snapshot: OverlaySnapshot, own: dict[str, Vectors], vector: Vectors, admits: Callable[[OverlayEntry], bool]
) -> tuple[str, float, float] | None:
    """The rule in the fewest words: label of the largest mean over its two nearest rows, that mean, and the nearest."""
    cosines: dict[str, list[float]] = {}
    for one in snapshot.entries:
        if admits(one):
            cosines.setdefault(one.label, []).extend((own[one.entry_id] @ vector).tolist())
    if not cosines:
        return None
    means = {label: float(np.mean(sorted(found)[-2:])) for label, found in cosines.items()}
    best = max(means, key=lambda label: means[label])
    return best, means[best], max(max(found) for found in cosines.values())


def agrees(found: Nearest | None, expected: tuple[str, float, float] | None) -> bool:
    if expected is None or expected[2] < RULE.least:
        return found is None
    assert found is not None
    label, mean, closest = expected
    if abs(found.closest.similarity - closest) > 1e-5:
        return False
    if closest >= RULE.same_text:
        return True  # the closest example decides
    if mean < RULE.min_similarity:
        return found.label.similarity < RULE.min_similarity
    return found.label.entry.label == label and abs(found.label.similarity - mean) < 1e-5


@given(seed=st.integers(0, 10_000), count=st.integers(0, 60), labels=st.integers(1, 20))
def test_the_nearest_label_is_that_of_the_rule(seed: int, count: int, labels: int) -> None:
    table, own = filled(seed, count, labels)
    random = np.random.default_rng(seed + 1)
    for number in random.permutation(count)[: count // 3]:
        table.drop(f"e{number:05d}")
    snapshot = table.snapshot(1)
    for vector in unit(random.normal(size=(5, 8))):
        assert agrees(snapshot.find(vector, RULE), by_hand(snapshot, own, vector, lambda one: True))


@given(seed=st.integers(0, 10_000), shares=st.lists(st.sampled_from([0, 5, 50, 100]), min_size=1, max_size=40))
def test_nobody_gets_what_does_not_go_to_them(seed: int, shares: list[int]) -> None:
    random = np.random.default_rng(seed)
    table, own = OverlayTable(), {}
    for number, share in enumerate(shares):
        kind = ProposalKind.ANSWER if number % 3 == 0 else ProposalKind.EXAMPLES
        rows = unit(random.normal(size=(2, 4)))
        table.put(entry(number, f"learned/{number % 7}", share, kind), rows)
        own[f"e{number:05d}"] = rows
    snapshot = table.snapshot(1)
    for vector, sender in zip(unit(random.normal(size=(6, 4))), ("a", "b", "c", "d", "e", None), strict=True):
        found = snapshot.find(vector, RULE, sender)
        if found is not None:
            assert snapshot.admits(found.closest.entry, sender)
            assert snapshot.admits(found.label.entry, sender)

        def admits(one: OverlayEntry, who: str | None = sender) -> bool:
            return snapshot.admits(one, who)

        assert agrees(found, by_hand(snapshot, own, vector, admits))


def test_an_index_finds_what_comparing_one_by_one_does() -> None:
    table, own = filled(3, 1_500, 300, dimensions=16, index_from=100)
    before = table.snapshot(1)
    while table.waits_for_index:
        assert table.index_some(1.0)
    snapshot = table.snapshot(2)
    assert before.rows.indexed == 0
    assert snapshot.rows.indexed == len(snapshot.rows.vectors)

    random = np.random.default_rng(4)
    vectors = unit(random.normal(size=(200, 16)))
    right = [agrees(snapshot.find(one, RULE), by_hand(snapshot, own, one, lambda entry: True)) for one in vectors]
    assert sum(right) >= 198


def test_the_index_follows_what_comes_and_goes() -> None:
    table, own = filled(5, 600, 100, dimensions=16, index_from=100)
    while table.index_some(1.0):
        pass
    target = own["e00007"][0]
    found = table.snapshot(1).find(target, RULE)
    assert found is not None
    assert found.closest.entry.entry_id == "e00007"

    old = table.snapshot(2)
    table.drop("e00007")
    table.put(entry(9_000, "learned/new"), target[None, :])
    gone = table.snapshot(3)
    for _ in range(3):
        table.index_some(1.0)  # takes the rows that are gone out of the index
    later = table.snapshot(4)
    for snapshot in (gone, later):
        found = snapshot.find(target, RULE)
        assert found is not None
        assert found.closest.entry.entry_id == "e09000"
    assert old.places["e00007"] == 7  # a snapshot in use keeps what it had
    assert "e09000" not in old.places


def test_a_label_that_is_far_down_the_list_can_be_the_nearest() -> None:
    # Forty labels with one near and one far example come first; one with two that are nearly as near wins.
    random = np.random.default_rng(0)
    vector = unit(np.eye(1, 60)[0])
    table = OverlayTable()
    for number in range(40):
        near = unit(vector * 0.90 + np.eye(60)[number + 1] * np.sqrt(1 - 0.81))
        table.put(entry(number, f"learned/{number}"), np.stack([near, np.eye(60, dtype=np.float32)[number + 1]]))
    both = [unit(vector * 0.85 + np.eye(60)[50 + place] * np.sqrt(1 - 0.85**2)) for place in range(2)]
    table.put(entry(99, "learned/winner"), np.stack(both))
    for _ in range(random.integers(1, 3)):
        table.put(entry(100, "learned/other"), np.eye(60, dtype=np.float32)[59:60])
    found = table.snapshot(1).find(vector, RULE)

    assert found is not None
    assert found.label.entry.label == "learned/winner"
    assert found.label.similarity == pytest.approx(0.85, abs=1e-5)


@given(order=st.permutations(range(6)))
def test_the_order_of_additions_does_not_decide(order: list[int]) -> None:
    same = unit(np.ones((2, 4)))
    table = OverlayTable()
    for number in order:
        table.put(entry(number, f"learned/{number % 3}"), same)
    found = table.snapshot(1).find(same[0], CaptureRule(same_text=2.0))

    assert found is not None
    assert (found.closest.entry.entry_id, found.label.entry.entry_id) == ("e00000", "e00000")


def test_another_share_costs_no_rows() -> None:
    table, own = filled(1, 20, 5)
    before = table.snapshot(1)
    table.put(entry(3, before.slots[before.places["e00003"]].label, share=50), own["e00003"])
    after = table.snapshot(2)

    assert len(after.rows.vectors) == len(before.rows.vectors)
    assert (before.partial, after.partial) == (False, True)
    changed = after.entry("e00003")
    assert changed is not None
    assert (after.reach(changed), after.is_hidden("e00003", None)) == (50, True)


def test_an_entry_reaches_nobody_without_its_answer() -> None:
    table = OverlayTable()
    table.put(entry(1, "learned/a", share=25, kind=ProposalKind.ANSWER), unit(np.ones((1, 4))))
    more = entry(2, "learned/a")
    table.put(more, unit(np.ones((1, 4))))
    snapshot = table.snapshot(1)

    assert snapshot.reach(more) == 25
    senders = [f"s{number}" for number in range(200)]
    first = snapshot.entry("e00001")
    assert first is not None
    assert [snapshot.admits(more, one) for one in senders] == [snapshot.admits(first, one) for one in senders]


def test_memory_of_what_is_gone_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.overlay_table.COMPACT_FROM", 10)
    table, _ = filled(2, 40, 10)
    for number in range(30):
        table.drop(f"e{number:05d}")
    smaller = table.compacted()
    before, after = table.snapshot(1), smaller.snapshot(1)

    assert smaller is not table
    assert len(after.rows.vectors) == after.rows.live < len(before.rows.vectors)
    assert after.entries == before.entries
    for vector in unit(np.random.default_rng(9).normal(size=(10, 8))):
        assert after.find(vector, RULE) == before.find(vector, RULE)
    assert smaller.compacted() is smaller
