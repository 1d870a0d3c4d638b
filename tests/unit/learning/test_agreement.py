from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa as reference

from learning.agreement import agreement, cohens_kappa
from learning.intervals import Z95, wilson

VERDICTS = ("approve", "edit", "reject")
PAIRS = st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(VERDICTS)), min_size=1, max_size=60)


def table(pairs: list[tuple[str, str]]) -> Any:
    """The pairs as a square of counts."""
    counts = np.zeros((3, 3))
    for first, second in pairs:
        counts[VERDICTS.index(first), VERDICTS.index(second)] += 1
    return counts


def test_the_example_of_the_literature() -> None:
    # Two readers of fifty proposals: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    pairs = [("approve", "approve")] * 20 + [("approve", "reject")] * 5
    pairs += [("reject", "approve")] * 10 + [("reject", "reject")] * 15
    found = agreement(pairs)

    assert found.kappa == pytest.approx(0.4)
    assert (found.readings, found.disagreement) == (50, 0.3)
    assert found.counts[("reject", "approve")] == 10


@given(PAIRS)
def test_it_is_what_statsmodels_computes(pairs: list[tuple[str, str]]) -> None:
    found = agreement(pairs)
    if found.kappa is None or found.kappa_interval is None:
        assert len({verdict for pair in pairs for verdict in pair}) == 1
        return
    expected = reference(table(pairs))

    assert found.kappa == pytest.approx(expected.kappa)
    error = Z95 * max(float(expected.var_kappa), 0.0) ** 0.5  # rounding may leave it a little under nothing
    low, high = (float(np.clip(expected.kappa + side * error, -1, 1)) for side in (-1, 1))
    assert found.kappa_interval == pytest.approx((low, high), abs=1e-3)


@given(PAIRS)
def test_agreement_does_not_depend_on_who_is_first(pairs: list[tuple[str, str]]) -> None:
    turned = [(second, first) for first, second in pairs]

    assert cohens_kappa(turned) == pytest.approx(cohens_kappa(pairs))
    assert agreement(turned).disagreement == agreement(pairs).disagreement


@given(st.integers(0, 40), st.integers(1, 40))
def test_wilsons_limits_are_the_shares_that_the_observed_one_just_fits(hits: int, misses: int) -> None:
    total = hits + misses
    share = hits / total
    low, high = wilson(hits, total)

    assert 0 <= low <= share <= high <= 1
    for limit in (low, high):
        if limit not in (0.0, 1.0):
            assert abs(share - limit) == pytest.approx(Z95 * (limit * (1 - limit) / total) ** 0.5, abs=1e-9)


def test_without_readings_nothing_is_claimed() -> None:
    nothing = agreement([])

    assert (nothing.readings, nothing.kappa, nothing.kappa_interval) == (0, None, None)
    assert nothing.disagreement_interval == (0.0, 1.0)
    assert not nothing.is_flagged(0.0)


def test_kappa_is_not_defined_where_everybody_says_the_same() -> None:
    same = agreement([("approve", "approve")] * 12)

    assert (same.kappa, same.kappa_interval, same.disagreement) == (None, None, 0.0)


@pytest.mark.parametrize(("differing", "flagged"), [(0, False), (1, False), (2, True)])
def test_more_than_the_limit_is_flagged(differing: int, flagged: bool) -> None:
    pairs = [("approve", "reject")] * differing + [("approve", "approve")] * (10 - differing)

    assert agreement(pairs).is_flagged(0.1) is flagged
