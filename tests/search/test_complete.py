"""Completion of a question while it is typed."""

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
        ("cat", ['"cat and mouse"', "Geoffroy's cat"]),
        ("cat and", ['"cat and mouse"']),
        ("cat and ", []),
        ("'bird h", ["bird house"]),
        ("not", []),
        ('dog and "bird h', ["dog and bird house"]),
        ("pup", ["dog"]),
        ("", []),
        ("bird and ", []),
        ("xyz", []),
        ("bird and-d", []),
        ("(dog) or bl", ["(dog) or blackbird"]),
    ],
)
def test_complete_replaces_the_last_word_by_labels(text, expected):
    assert complete_query(text, NAMES, {"puppy": "dog", "kitten": "cat"}) == expected


def test_complete_offers_at_most_max_completions():
    assert len(complete_query("a", [f"a{i}" for i in range(100)])) == MAX_COMPLETIONS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters='"\x00'), min_size=1), max_size=5))
def test_complete_offers_questions_that_parse_to_the_label(names):
    for name in names:
        for offered in complete_query(name[:1].strip() and name[:1], [name]):
            assert query.list_labels(query.parse(offered)) == [" ".join(name.split())]
