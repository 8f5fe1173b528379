"""Copies in a list of photos: the first stands for all."""

import pytest

from photosearch.library.matching import Match
from photosearch.search.duplicates import ALONE
from photosearch.search.fold import MAX_BITS, PLAIN, fold_copies

A = 0xF0F0F0F0F0F0F0F1
NEAR, FAR = A ^ 0b1111 << 8, A ^ 0b11111 << 8  # 4 and 5 bits
PRINTS = {1: A, 2: NEAR, 3: FAR, 4: PLAIN, 5: PLAIN}


def photo(name: str, image_id: int) -> Match:
    return Match(name, 0.5, "", "file", image_id)


def fold(*photos: tuple[str, int]) -> list[tuple[str, int]]:
    found = fold_copies([photo(*p) for p in photos], lambda ids: {i: PRINTS[i] for i in ids if i in PRINTS})
    return [(each.path, each.copies) for each in found]


@pytest.mark.parametrize(
    ("photos", "expected"),
    [
        ([], []),
        ([("a", 1), ("b", 1), ("c", 9), ("d", 1)], [("a", 2), ("c", 0)]),
        ([("a", 1), ("b", 2), ("c", 2)], [("a", 2)]),
        ([("a", 1), ("b", 3)], [("a", 0), ("b", 0)]),
        ([("a", 4), ("b", 5)], [("a", 0), ("b", 0)]),  # plain pictures look alike
        ([("a", 7), ("b", 8)], [("a", 0), ("b", 0)]),  # unknown fingerprints
    ],
)
def test_fold_keeps_the_first_of_equal_and_near_pictures(photos, expected):
    assert fold(*photos) == expected


def test_fold_agrees_with_duplicates_on_what_is_near():
    assert MAX_BITS == ALONE
