"""The options that every search takes, and the question that they become."""

from dataclasses import fields
from pathlib import Path

import pytest

from photosearch import Library, SearchOptions
from photosearch.api.question import make_question
from photosearch.search.understand import Question

APART = {"words", "limit", "max_similar", "today"}  # parameters of their own


def test_search_options_are_the_fields_of_a_question() -> None:
    assert set(SearchOptions.__optional_keys__) == {field.name for field in fields(Question)} - APART
    assert not SearchOptions.__required_keys__


def test_question_takes_every_option_and_paths_as_texts() -> None:
    options: SearchOptions = {
        "query_mode": "text", "like": [Path("a.jpg"), "2:b.jpg"], "unlike": [Path("c.jpg")], "min_score": 0.25,
        "min_similarity": 0.5, "sure_only": True, "copies": True, "under": Path("photos"), "album": "Rome",
        "since": "2019", "until": "2021", "file_dates": True, "sort": "date", "model": "toy",
    }  # fmt: skip
    assert set(options) == set(SearchOptions.__optional_keys__)
    question = make_question("dog", limit=5, max_similar=7, today="2024-01-31", **options)
    expected = {**options, "like": ("a.jpg", "2:b.jpg"), "unlike": ("c.jpg",), "under": "photos"}
    assert question == Question("dog", 5, 7, today="2024-01-31", **expected)


@pytest.mark.parametrize(
    ("limits", "labeled", "similar"),
    [
        ({}, None, None),
        ({"limit": 5}, 5, 5),
        ({"limit": 5, "max_labeled": 0}, 0, 5),
        ({"max_labeled": 3, "max_similar": 4}, 3, 4),
    ],
)
def test_limit_stands_for_those_that_are_left_out(
    limits: dict[str, int], labeled: int | None, similar: int | None
) -> None:
    assert make_question("", **limits) == Question("", labeled, similar)


def test_unknown_option_is_a_type_error(tmp_path: Path) -> None:
    with Library(tmp_path / "library.db") as library, pytest.raises(TypeError, match="'undr'"):
        library.find("dog", undr="photos")
