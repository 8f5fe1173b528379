"""A library that is opened to be read can't be changed by any method."""

from collections.abc import Callable
from pathlib import Path

import pytest
from toy import photo, write_toy

from photosearch import Library
from photosearch.errors import StoreError

LINE = "this program opened the library only to read it; nothing was written"


@pytest.mark.parametrize(
    "change",
    [
        lambda library, folder: list(library.index(folder)),
        lambda library, folder: library.forget(None),
        lambda library, folder: library.marks.add(folder / "a.png", positive=["red"]),
        lambda library, folder: library.folders.set(folder, exclude=["*.gif"]),
    ],
    ids=["index", "forget", "marks.add", "folders.set"],
)
def test_read_only_library_refuses_changes(tmp_path: Path, change: Callable[[Library, Path], object]) -> None:
    picture, path = photo(tmp_path / "photos" / "a.png", "red"), tmp_path / "library.db"
    with Library(path) as library:
        list(library.index(picture.parent, models=[str(write_toy(tmp_path / "toy.onnx"))]))
    thumbnail = path.with_name("library.db.thumbnails") / "kept.jpg"
    thumbnail.parent.mkdir()
    thumbnail.write_bytes(b"x")
    with Library(path, read_only=True) as library:
        with pytest.raises(StoreError, match=LINE):
            change(library, picture.parent)
        assert [photo.path for photo in library.find("red")] == [str(picture)]
    assert thumbnail.exists()
