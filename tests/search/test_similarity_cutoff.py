"""The similarity cut-off, against counting one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search.similarity_cutoff import SimilarityCutoff, estimate_cutoff

SIMILARITIES = st.lists(st.floats(-1, 1, width=32), max_size=60).map(sorted)


def cutoff(best, descriptions):
    return SimilarityCutoff(best, np.zeros(0, np.float32), np.array(descriptions, np.float32))


@given(SIMILARITIES, st.floats(-1, 1, width=32))
def test_share_below_best_counts_equal_descriptions_half(descriptions, best):
    counted = sum(d < best for d in descriptions) + sum(d == best for d in descriptions) / 2
    expected = counted / len(descriptions) if descriptions else 0.0
    assert cutoff(best, descriptions).share_below_best == pytest.approx(expected)


@given(SIMILARITIES, st.floats(-1, 1, width=32), st.floats(-1, 1, width=32))
def test_share_below_best_rises_with_the_best(descriptions, a, b):
    low, high = sorted((a, b))
    assert cutoff(low, descriptions).share_below_best <= cutoff(high, descriptions).share_below_best


def test_median_is_the_middle_photo():
    photos = np.array([0.1, 0.2, 0.5], np.float32)
    assert SimilarityCutoff(0.5, photos, photos).median == pytest.approx(0.2)
    assert np.isnan(cutoff(0.5, []).median)


@given(SIMILARITIES, st.floats(0.01, 0.99))
def test_estimate_cutoff_leaves_no_more_above_than_the_quantile(descriptions, quantile):
    cut_off = estimate_cutoff(descriptions, quantile)
    n = len(descriptions)
    if cut_off is None:
        assert quantile * (n + 1) > n - 1e-6
    else:
        assert cut_off in descriptions
        assert sum(d > cut_off for d in descriptions) <= (1 - quantile) * (n + 1) - 1 + 1e-6
        assert sum(d >= cut_off for d in descriptions) >= (1 - quantile) * (n + 1) - 1 - 1e-6


@pytest.mark.parametrize(("n", "expected"), [(0, None), (3, 0), (99, 24), (1000, 250)])
def test_estimate_cutoff_is_one_of_the_descriptions(n, expected):
    assert estimate_cutoff(np.arange(n)) == expected


def test_passes_as_often_as_the_quantile_says():
    rng = np.random.default_rng(1)
    passed = [cutoff(0, np.sort(rng.normal(size=200))).passes(rng.normal()) for _ in range(4000)]
    assert np.mean(passed) == pytest.approx(0.75, abs=0.02)


def test_passes_without_a_cutoff_and_not_at_it():
    assert cutoff(0, []).passes(-1)
    assert not cutoff(0, np.full(1000, 0.3)).passes(0.3)
    assert cutoff(0, np.full(1000, 0.3)).passes(0.3000001)


@pytest.mark.parametrize("quantile", [0, 1, -0.1, 1.5, float("nan")])
def test_estimate_cutoff_refuses_impossible_quantiles(quantile):
    with pytest.raises(ValueError):
        estimate_cutoff([0.1], quantile)
