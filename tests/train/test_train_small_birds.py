"""Windows of a feature map, on numbers that can be checked by hand."""

import numpy as np
import pytest

from train.recipes import small_birds


def test_average_windows_of_full_size_is_the_mean():
    places = np.arange(2 * 3 * 3, dtype=np.float32).reshape(2, 3, 3)
    found = small_birds.average_windows(places, 2)
    assert found.shape == (4, 2)
    assert found[0].tolist() == [2.0, 11.0]  # of 0, 1, 3, 4, and of nine more each
    assert found[3].tolist() == [6.0, 15.0]
    np.testing.assert_allclose(small_birds.average_windows(places, 3), places.mean((1, 2))[None])


def test_average_windows_keeps_a_spot_as_strong_as_a_full_photo():
    places = np.zeros((1, 12, 12), np.float32)
    places[0, 7:11, 2:6] = 1
    assert small_birds.average_windows(places, 4).max() == pytest.approx(1)
    assert places.mean() == pytest.approx(1 / 9)


def test_make_row_measures_the_order_of_scenes():
    row = small_birds.make_row("whole", np.array([0.9, 0.1, 0.8, 0.2]), np.array([True, True, False, False]))
    assert row["average_precision"] == 0.75
    assert row["recall_at_precision"] == {"0.8": 0.5, "0.9": 0.5, "0.95": 0.5}
