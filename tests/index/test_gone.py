"""What went, came back, or turned into something else; what a run that was stopped says and leaves alone."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import Library, Untouched, kept_decoders, make

from photosearch.index.events import ReadFailed
from photosearch.library.folders import list_roots
from photosearch.library.photos import read_counts
from photosearch.library.runs import read_last_run


@pytest.fixture(scope="module", autouse=True)
def _decoders() -> Iterator[None]:
    with kept_decoders():
        yield


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    with made.db:
        yield made


def several(library: Library, n: int, folder: str) -> list[str]:
    names = [os.path.join(folder, f"{i:02}.png") for i in range(n)]
    for i, name in enumerate(names):
        library.photo(name, size=(64, 48 + i))
    return names


def test_a_copy_of_a_root_that_still_stands_is_a_second_root(library: Library) -> None:
    names = several(library, 3, "old")
    library.index("old")
    shutil.copytree(library.path("old"), library.path("new"))
    assert library.index("new") == {"New": [name.replace("old", "new") for name in names]}
    assert [r.root for r in list_roots(library.db)] == [str(library.path("old")), str(library.path("new"))]


@pytest.mark.parametrize("same", [True, False])
def test_a_moved_root_of_many_photos_is_known_by_a_few_from_all_over_it(library: Library, same: bool) -> None:
    """More than are looked at; in the other case only those in front are the same."""
    names = several(library, 70, "old")
    library.index("old")
    library.path("old").rename(library.path("new"))
    for name in [] if same else names[20:]:
        library.path(name.replace("old", "new")).unlink()
    assert ("RootMoved" in library.index("new")) is same


def test_a_photo_that_moved_out_of_a_folder_that_is_a_file_now_has_moved(library: Library) -> None:
    several(library, 2, "a")
    several(library, 4, "b")
    library.photo("a/red.png", "blue")
    library.index()
    library.path("a/red.png").rename(library.path("b/blue.png"))
    shutil.rmtree(library.path("a"))
    library.path("a").write_bytes(b"a file")
    told = library.index()
    assert (told["Moved"], told["Removed"]) == ([("a/red.png", "b/blue.png")], ["a/00.png", "a/01.png"])


def test_a_broken_photo_that_was_excluded_and_came_back_is_tried_again(library: Library) -> None:
    library.photo("a.png")
    library.photo("broken.jpg").write_bytes(b"no photo")
    library.index()
    library.index(exclude=("broken.jpg",))
    assert read_counts(library.db)["excluded"] == 1
    told = list(library.events(include=("broken.jpg",)))
    assert ReadFailed(str(library.path("broken.jpg")), "not a photo in a known format") in told
    assert [read_counts(library.db)[k] for k in ("unreadable", "excluded")] == [1, 0]


def test_a_run_that_was_stopped_says_so_and_removes_nothing_of_the_folders_that_it_never_reached(
    library: Library,
) -> None:
    several(library, 3, "a")
    several(library, 3, "b")
    library.index()
    library.path("b/00.png").unlink()
    told: list[object] = []
    for event in library.events(prune=True, stop=lambda: len(told) >= 1):
        told.append(event)
    assert read_counts(library.db)["removed"] == 0
    last = read_last_run(library.db)
    assert last is not None
    assert last["summary"]["stopped"] is True
    assert library.index(decoders=Untouched)["Removed"] == ["b/00.png"]


def test_a_folder_below_a_root_that_is_named_and_is_gone_loses_its_photos_where_that_is_believed(
    library: Library,
) -> None:
    several(library, 3, "a")
    names = several(library, 2, "b")
    library.index()
    shutil.rmtree(library.path("b"))
    assert library.index("b") == {"RemovalRefused": ["b"]}
    assert library.index("b", prune=True) == {"Removed": names}
