"""Which words of a file's name a person gave."""

import pytest

from photosearch.metadata.names import MAX_CHARACTERS, words_in_name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("IMG_1234 Anna's birthday.jpg", "Anna s birthday"), ("birthday 2019.jpg", "birthday 2019"),
        ("P1010001 cake (2).jpg", "cake"), ("DSC_0001.JPG", None), ("2019.jpg", None), ("ab.jpg", None),
        ("鳥.jpg", "鳥"), ("", None), ("x" * MAX_CHARACTERS + " cake.jpg", "x" * MAX_CHARACTERS),
        ("a5ee90f1-0b2c cake.jpg", "cake"),
    ],
)  # fmt: skip
def test_words_in_a_name_are_those_of_a_person(name, words):
    assert words_in_name(name) == words
