"""Lists and counts of photos: each takes its bounds as they are given."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from library import InThisProcess, make

from photosearch import Library

BOUNDS = {"since": "2020", "until": "2021"}
FOUND = {"count": [("blue", 2)], "count_folders": [2], "list": 2}
ASK: dict[str, Callable[[Library], Any]] = {
    "count": lambda library: [(row.value, row.photos) for row in library.photos.count("label", **BOUNDS)],
    "count_folders": lambda library: [row.photos for row in library.photos.count_folders(**BOUNDS)],
    "list": lambda library: len(library.photos.list(**BOUNDS).ids),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = make(tmp_path_factory.mktemp("dated"))
    for year, colour in ((2018, "red"), (2020, "blue"), (2021, "blue"), (2023, "red")):
        made.photo(f"IMG_{year}0501_120000.png", colour, size=(20 + year % 100, 20))
    with made.db:
        made.index(decoders=InThisProcess)
    with Library(made.db.path) as library:
        yield library


@pytest.mark.parametrize("name", ASK)
def test_photos_are_those_of_the_dates_that_are_asked_for(library: Library, name: str) -> None:
    assert ASK[name](library) == FOUND[name]
