"""What a similarity means, against counting one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search.similarity_cutoff import Rank, describe, estimate_cutoff, is_similar, share_below

SIMILARITIES = st.lists(st.floats(-1, 1, width=32), max_size=60).map(sorted)


@given(SIMILARITIES, st.floats(-1, 1, width=32))
def test_a_share_is_counted(background, value):
    share = share_below(value, np.array(background, np.float32))
    if not background:
        assert share is None
    else:
        counted = sum(b < value for b in background) + sum(b == value for b in background) / 2
        assert share == pytest.approx(counted / len(background))


@given(SIMILARITIES.filter(bool), st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_the_more_similar_never_lies_lower(background, a, b):
    low, high = sorted((a, b))
    assert share_below(low, background) <= share_below(high, background)


def test_a_similarity_is_told_by_both_backgrounds():
    assert describe(0.5, [0.1, 0.2, 0.5, 0.9], [0.3, 0.4]) == Rank(0.625, 1.0)
    assert describe(0.5, [], []) == Rank(None, None)


@given(SIMILARITIES, st.floats(0.01, 0.99))
def test_the_cut_off_leaves_no_more_above_than_it_says(descriptions, quantile):
    cut_off = estimate_cutoff(descriptions, quantile)
    n = len(descriptions)
    if cut_off is None:
        assert quantile * (n + 1) > n - 1e-6
    else:
        assert cut_off in descriptions
        assert sum(d > cut_off for d in descriptions) <= (1 - quantile) * (n + 1) - 1 + 1e-6
        assert sum(d >= cut_off for d in descriptions) >= (1 - quantile) * (n + 1) - 1 - 1e-6


@pytest.mark.parametrize(("n", "expected"), [(0, None), (3, 0), (99, 24), (1000, 250)])
def test_the_cut_off_is_one_of_them(n, expected):
    assert estimate_cutoff(np.arange(n)) == expected


def test_a_further_description_passes_as_often_as_the_quantile_says():
    rng = np.random.default_rng(1)
    passed = [is_similar(rng.normal(), np.sort(rng.normal(size=200))) for _ in range(4000)]
    assert np.mean(passed) == pytest.approx(0.75, abs=0.02)


def test_nobody_can_say_by_too_few_and_equal_is_not_more():
    assert is_similar(-1, [])
    assert not is_similar(0.3, np.full(1000, np.float32(0.3)))
    assert is_similar(0.3000001, np.full(1000, np.float32(0.3)))


@pytest.mark.parametrize("quantile", [0, 1, -0.1, 1.5, float("nan")])
def test_a_quantile_of_nothing_or_of_all_is_refused(quantile):
    with pytest.raises(ValueError):
        estimate_cutoff([0.1], quantile)
