"""A query as it is being typed, and how it may go on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosearch import query
from photosearch.search.complete import MAX_COMPLETIONS, complete_query

NAMES = ["bird", "bird house", "big bird", "blackbird", "dog", "cat and mouse", "Geoffroy's cat"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bi", ["bird", "bird house", "big bird"]),
        ("BIRD ho", ["bird house"]),
        ("bird and not d", ["bird and not dog"]),
        ("bird or (not d", ["bird or (not dog"]),
        ("cat", ['"cat and mouse"', '"Geoffroy\'s cat"']),
        ('dog and "bird h', ["dog and bird house"]),
        ("pup", ["dog"]),
        ("", []),
        ("bird and ", []),
        ("xyz", []),
    ],
)
def test_the_word_at_the_end_becomes_a_label(text, expected):
    assert complete_query(text, NAMES, {"puppy": "dog", "kitten": "cat"}) == expected


def test_only_so_many_are_offered():
    assert len(complete_query("a", [f"a{i}" for i in range(100)])) == MAX_COMPLETIONS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='"\x00'), min_size=1), max_size=5))
def test_what_is_offered_is_a_query_that_means_that_label(names):
    for name in names:
        for offered in complete_query(name[:1].strip() and name[:1], [name]):
            assert query.list_labels(query.parse(offered)) == [" ".join(name.split())]
