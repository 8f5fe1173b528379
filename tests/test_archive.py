"""A zip file of photos: whole, with safe and single names, only of what was indexed, in pieces of bounded size."""

import io
import os
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import InThisProcess, Library, make, same_stat

from photosearch.archive import LEFT_OUT, list_sources, stream_zip
from photosearch.library.database import to_path
from photosearch.photos.decode import PIECE_BYTES


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = make(tmp_path)
    yield library
    library.db.close()


def index(library: Library, *names: str, **options: object) -> list[int]:
    """Index photos of different sizes -> their images."""
    for i, name in enumerate(names):
        if not library.path(name).exists():
            library.photo(name, size=(40 + i, 30))
    library.index(decoders=InThisProcess, **options)
    found = {to_path(name): image_id for name, image_id in library.db.rows("SELECT name, image_id FROM photos")}
    return [found[os.path.basename(name)] for name in names]


def read_zip(library: Library, images: list[int]) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(stream_zip(list_sources(library.db, images))))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_zip_holds_each_photo_once_in_the_order_given(library: Library) -> None:
    names = ["b.png", "a.png", "2019/a.PNG", "2020/A.png"]
    images = index(library, *names)
    found = read_zip(library, [*images, images[0]])
    assert list(found) == ["b.png", "a.png", "a (2).PNG", "A (3).png"]
    assert list(found.values()) == [library.path(name).read_bytes() for name in names]


def test_names_suit_every_system(library: Library) -> None:
    names = ["con.png", "aux .png", "q?:*.png", "r\udcff.png", ".hidden.png", "é" * 120 + ".png", "LEFT OUT.png",
             "..\\..\\evil.png", "a\nb.png"]  # fmt: skip
    images = index(library, *names, include=[".*"])
    found = list(read_zip(library, images))
    assert found == ["_con.png", "_aux.png", "q___.png", "r_.png", "_.hidden.png", "é" * 75 + ".png", "LEFT OUT.png",
                     "_.._.._evil.png", "a_b.png"]  # fmt: skip
    assert all("/" not in name and "\\" not in name and len(name.encode()) < 255 for name in found)


def test_only_what_was_indexed_gets_in_and_the_rest_is_named(library: Library, tmp_path: Path) -> None:
    names = ["gone.png", "zero.png", "secret.png", "pipe.png", "changed.png", "same-stat.png", "good.png", "copied.png"]
    images = index(library, *names)
    (tmp_path / "secret").write_text("root:x:0:0")
    shutil.copy(library.path("copied.png"), library.path("z-copy.png"))
    library.index(decoders=InThisProcess)
    for name in (*names[:4], "copied.png"):
        library.path(name).unlink()
    library.path("zero.png").symlink_to("/dev/zero")
    library.path("secret.png").symlink_to(tmp_path / "secret")
    os.mkfifo(library.path("pipe.png"))
    library.photo("changed.png", "blue", size=(50, 50))
    same_stat(library.path("same-stat.png"), b"other bytes, of the same size and date")
    found = read_zip(library, [*images, 999])
    assert list(found) == ["good.png", "z-copy.png", LEFT_OUT]
    assert dict(line.rsplit(": ", 1) for line in found[LEFT_OUT].decode().splitlines()) == {
        str(library.path("gone.png")): "no such file or directory",
        str(library.path("zero.png")): "is a symbolic link now",
        str(library.path("secret.png")): "is a symbolic link now",
        str(library.path("pipe.png")): "not a regular file",
        str(library.path("changed.png")): "has changed since it was indexed",
        str(library.path("same-stat.png")): "has changed since it was indexed",
        "picture 999": "no longer in the library",
    }


def test_link_that_was_indexed_as_one_gets_in(library: Library, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    library.photo("a.png").rename(tmp_path / "elsewhere" / "a.png")
    library.path("a.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    images = index(library, "a.png", follow_symlinks=True)
    assert list(read_zip(library, images)) == ["a.png"]


def test_dates_are_those_of_the_files_as_far_as_a_zip_tells_them(library: Library) -> None:
    for i, at in enumerate((10**18, 0, 2**62)):  # 2001, 1970, 2116
        library.photo(f"{i}.png", size=(40 + i, 30))
        os.utime(library.path(f"{i}.png"), ns=(at, at))
    data = b"".join(stream_zip(list_sources(library.db, index(library, "0.png", "1.png", "2.png"))))
    assert [info.date_time[0] for info in zipfile.ZipFile(io.BytesIO(data)).infolist()] == [2001, 1980, 1980]


def test_another_program_unpacks_it(library: Library, tmp_path: Path) -> None:
    images = index(library, "a.png", "b.png")
    (tmp_path / "photos.zip").write_bytes(b"".join(stream_zip(list_sources(library.db, images))))
    tool = shutil.which("bsdtar") or shutil.which("unzip")
    words = [tool, "-xf"] if tool and tool.endswith("bsdtar") else [tool, "-q"] if tool else None
    if words is None:
        words = [sys.executable, "-m", "zipfile", "-e"]
    (tmp_path / "out").mkdir()
    more = [str(tmp_path / "out")] if "-e" in words else []
    subprocess.run([*words, str(tmp_path / "photos.zip"), *more], check=True, cwd=tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


@pytest.mark.slow
def test_zip_takes_no_more_memory_than_some_pieces(library: Library) -> None:
    images, size = [], 12 * PIECE_BYTES
    for i in range(4):
        path = library.photo(f"{i}.png", size=(40 + i, 30))
        with path.open("ab") as file:  # bytes behind the picture, as cameras write them
            file.write(os.urandom(size))
    images = index(library, *(f"{i}.png" for i in range(4)))
    sources = list_sources(library.db, images)
    library.db.close()  # it needs no library any more
    tracemalloc.start()
    longest = total = 0
    for piece in stream_zip(sources):
        longest, total = max(longest, len(piece)), total + len(piece)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total > 4 * size
    assert longest < 1.1 * PIECE_BYTES
    assert peak < 6 * PIECE_BYTES
