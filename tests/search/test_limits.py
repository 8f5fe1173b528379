"""How a limit is read."""

import pytest

from photosearch.search.limits import ALL_SIMILAR, choose_limits


@pytest.mark.parametrize(
    ("limit", "default", "expected"),
    [
        (None, 100, (100, None)), (None, None, (None, None)), (7, 100, (7, 7)),
        (0, 100, (None, ALL_SIMILAR)),
    ],
)  # fmt: skip
def test_choose_limits_reads_none_as_the_default_and_0_as_all(limit, default, expected):
    assert choose_limits(limit, default) == expected
