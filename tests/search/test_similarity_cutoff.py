"""Evidence and the end of a list, against counting one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch.search.similarity_cutoff import END, SURE, UNSURE, find_end, measure_evidence

EVIDENCE = st.lists(st.floats(-50, 50), max_size=60)


@given(st.integers(2, 30), st.integers(1, 9), st.integers(0, 99))
def test_evidence_counts_standard_deviations_of_the_same_photo(descriptions, photos, seed):
    rng = np.random.default_rng(seed)
    everyday = rng.normal(size=(descriptions, photos)).astype(np.float32)
    asked = rng.normal(size=photos).astype(np.float32)
    evidence, spread = measure_evidence(asked, everyday)
    for i in range(photos):
        mean, deviation = everyday[:, i].mean(), max(everyday[:, i].std(), 1e-3)
        assert evidence[i] == pytest.approx((asked[i] - mean) / deviation, abs=1e-2)
        assert spread[i] == pytest.approx(deviation, abs=1e-5)


@pytest.mark.parametrize(("scale", "shift"), [(0.1, 0.3), (5, -2)])
def test_evidence_is_the_same_for_models_with_another_range(scale, shift):
    rng = np.random.default_rng(1)
    everyday, asked = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    there, _ = measure_evidence(scale * asked + shift, scale * everyday + np.float32(shift))
    assert there == pytest.approx(measure_evidence(asked, everyday)[0], rel=1e-3)


def test_evidence_is_finite_where_all_descriptions_are_alike():
    assert np.isfinite(measure_evidence([0.5, -0.5], np.zeros((3, 2), np.float32))[0]).all()


@given(EVIDENCE)
def test_list_ends_where_evidence_falls_below_its_share_of_the_highest(evidence):
    shown = find_end(evidence)
    assert 0 <= shown <= len(evidence)
    if max(evidence, default=0) < SURE:
        assert shown == min(UNSURE, len(evidence))
    else:
        assert evidence[shown - 1] >= END * max(evidence)
        assert all(value < END * max(evidence) for value in evidence[shown:])
