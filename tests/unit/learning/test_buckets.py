from __future__ import annotations

from collections import Counter

from learning.buckets import bucket


def test_a_bucket_is_the_same_for_good() -> None:
    # Written down: another hash would deal the users of a running rollout anew.
    assert [bucket("learned/a", sender) for sender in ("ann", "bob", "\ud83d")] == [23, 71, 41]


def test_senders_spread_evenly_and_anew_for_each_salt() -> None:
    senders = [f"sender {number}" for number in range(20_000)]
    sizes = Counter(bucket("learned/a", sender) for sender in senders)
    assert set(sizes) == set(range(100))
    assert max(sizes.values()) < 270  # 200 each: five standard deviations

    both = sum(bucket("learned/a", sender) < 5 and bucket("learned/b", sender) < 5 for sender in senders)
    assert both < 100  # of 1,000 that are among the first five of one: 50
