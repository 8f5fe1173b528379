"""Photos and folders that are missing, returned or became something else; runs that were stopped."""

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


def write_photos(library: Library, n: int, folder: str) -> list[str]:
    names = [os.path.join(folder, f"{i:02}.png") for i in range(n)]
    for i, name in enumerate(names):
        library.photo(name, size=(64, 48 + i))
    return names


def test_copy_of_a_present_root_is_a_second_root(library: Library) -> None:
    names = write_photos(library, 3, "old")
    library.index("old")
    shutil.copytree(library.path("old"), library.path("new"))
    assert library.index("new") == {"New": [name.replace("old", "new") for name in names]}
    assert [r.root for r in list_roots(library.db)] == [str(library.path("old")), str(library.path("new"))]


@pytest.mark.parametrize("same", [True, False])
def test_large_moved_root_is_recognised_by_a_sample_of_all_of_it(library: Library, same: bool) -> None:
    """There are more photos than are sampled; in the other case only the first ones are the same."""
    names = write_photos(library, 70, "old")
    library.index("old")
    library.path("old").rename(library.path("new"))
    for name in [] if same else names[20:]:
        library.path(name.replace("old", "new")).unlink()
    assert ("RootMoved" in library.index("new")) is same


def test_photo_moved_out_of_a_folder_that_became_a_file_has_moved(library: Library) -> None:
    write_photos(library, 2, "a")
    write_photos(library, 4, "b")
    library.photo("a/red.png", "blue")
    library.index()
    library.path("a/red.png").rename(library.path("b/blue.png"))
    shutil.rmtree(library.path("a"))
    library.path("a").write_bytes(b"a file")
    events = library.index()
    assert (events["Moved"], events["Removed"]) == ([("a/red.png", "b/blue.png")], ["a/00.png", "a/01.png"])


def test_unreadable_photo_is_retried_after_it_was_excluded(library: Library) -> None:
    library.photo("a.png")
    library.photo("broken.jpg").write_bytes(b"no photo")
    library.index()
    library.index(exclude=("broken.jpg",))
    assert read_counts(library.db).excluded == 1
    events = list(library.events(include=("broken.jpg",)))
    assert ReadFailed(str(library.path("broken.jpg")), "not a photo in a known format") in events
    assert [getattr(read_counts(library.db), k) for k in ("unreadable", "excluded")] == [1, 0]


def test_stopped_run_removes_nothing_of_folders_it_did_not_reach(
    library: Library,
) -> None:
    write_photos(library, 3, "a")
    write_photos(library, 3, "b")
    library.index()
    library.path("b/00.png").unlink()
    events: list[object] = []
    for event in library.events(prune=True, stop=lambda: len(events) >= 1):
        events.append(event)
    assert read_counts(library.db).removed == 0
    last = read_last_run(library.db)
    assert last is not None
    assert last.summary["stopped"] is True
    assert library.index(decoders=Untouched)["Removed"] == ["b/00.png"]


def test_named_missing_folder_below_a_root_is_removed_with_prune(
    library: Library,
) -> None:
    write_photos(library, 3, "a")
    names = write_photos(library, 2, "b")
    library.index()
    shutil.rmtree(library.path("b"))
    assert library.index("b") == {"RemovalRefused": ["b"]}
    assert library.index("b", prune=True) == {"Removed": names}
