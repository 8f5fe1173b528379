"""Copies and links: nothing is overwritten, the same command twice changes nothing, only what was indexed gets in."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from library import InThisProcess, Library, make, same_stat

from photosearch import album
from photosearch.album import AlbumResult
from photosearch.errors import InputError

BOTH = pytest.mark.parametrize("fill", [album.copy_to, album.link_to])
Fill = Callable[..., AlbumResult]


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    library = make(tmp_path)
    library.options["decoders"] = InThisProcess
    yield library
    library.db.close()


def index(library: Library, *names: str, **options: object) -> list[str]:
    """Index photos of different colours -> their paths."""
    for name, colour in zip(names, ("red", "blue", "green"), strict=False):
        if not library.path(name).exists():
            library.photo(name, colour)
    library.index(decoders=InThisProcess, **options)
    return [str(library.path(name)) for name in names]


def listed(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_copy_to_numbers_photos_of_same_name(library: Library, tmp_path: Path) -> None:
    paths = index(library, "2019/a.jpg", "2020/a.jpg")
    assert album.copy_to(library.db, tmp_path / "album", paths) == AlbumResult(2, 0)
    assert listed(tmp_path / "album") == ["a (2).jpg", "a.jpg"]
    assert (tmp_path / "album" / "a.jpg").read_bytes() == Path(paths[0]).read_bytes()
    assert (tmp_path / "album" / "a (2).jpg").read_bytes() == Path(paths[1]).read_bytes()


def test_copy_to_twice_changes_nothing(library: Library, tmp_path: Path) -> None:
    paths = index(library, "2019/a.jpg", "2020/a.jpg")
    album.copy_to(library.db, tmp_path / "album", paths)
    assert album.copy_to(library.db, tmp_path / "album", paths) == AlbumResult(0, 2)
    assert len(listed(tmp_path / "album")) == 2


def test_copies_in_an_indexed_folder_are_told(library: Library, tmp_path: Path) -> None:
    (path,) = index(library, "a.jpg", exclude=("out",))
    root = os.path.dirname(path)
    assert album.copy_to(library.db, f"{root}/albums", [path]).indexed == root
    (tmp_path / "link").symlink_to(root)
    assert album.copy_to(library.db, tmp_path / "link" / "albums", [path]).indexed == root
    assert album.copy_to(library.db, f"{root}/out", [path]).indexed is None
    assert album.copy_to(library.db, tmp_path / "album", [path]).indexed is None
    assert album.link_to(library.db, f"{root}/links", [path]).indexed is None


def test_copy_to_keeps_date_and_permissions(library: Library, tmp_path: Path) -> None:
    library.photo("a.jpg")
    os.utime(library.path("a.jpg"), ns=(10**18, 10**18))
    library.path("a.jpg").chmod(0o440)
    album.copy_to(library.db, tmp_path / "album", index(library, "a.jpg"))
    status = (tmp_path / "album" / "a.jpg").stat()
    assert (status.st_mtime_ns, status.st_mode & 0o777) == (10**18, 0o440)


def test_link_to_links_each_photo_once(library: Library, tmp_path: Path) -> None:
    paths = index(library, "2019/a.jpg", "2020/a.jpg")
    assert album.link_to(library.db, tmp_path / "album", paths) == AlbumResult(2, 0)
    assert album.link_to(library.db, tmp_path / "album", paths) == AlbumResult(0, 2)
    assert [str((tmp_path / "album" / n).readlink()) for n in ("a.jpg", "a (2).jpg")] == paths


@BOTH
def test_album_keeps_what_is_there(library: Library, tmp_path: Path, fill: Fill) -> None:
    paths = index(library, "file.jpg", "link.jpg", "pipe.jpg")
    folder = tmp_path / "album"
    folder.mkdir()
    (folder / "file.jpg").write_text("mine")
    (folder / "link.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.jpg")
    assert fill(library.db, folder, paths) == AlbumResult(3, 0)
    assert (folder / "file.jpg").read_text() == "mine"
    assert str((folder / "link.jpg").readlink()) == "nowhere"
    assert (folder / "pipe.jpg").is_fifo()


@BOTH
def test_album_leaves_out_what_is_not_the_indexed_file(library: Library, tmp_path: Path, fill: Fill) -> None:
    names = ("gone", "zero", "secret", "pipe", "folder", "changed", "same-stat", "good")
    for i, name in enumerate(names):
        library.photo(f"{name}.png", "red", size=(40 + i, 40))
    paths = dict(zip(names, index(library, *(f"{name}.png" for name in names)), strict=True))
    (tmp_path / "secret").write_text("root:x:0:0")
    for name in names[:5]:
        Path(paths[name]).unlink()
    Path(paths["zero"]).symlink_to("/dev/zero")
    Path(paths["secret"]).symlink_to(tmp_path / "secret")
    os.mkfifo(paths["pipe"])
    Path(paths["folder"]).mkdir()
    library.photo("changed.png", "blue", size=(50, 50))
    if fill is album.copy_to:  # a link shows what is there, whatever it is by then
        same_stat(Path(paths["same-stat"]), b"other bytes, of the same size and date")
    strange = str(tmp_path / "secret")
    done = fill(library.db, tmp_path / "album", [*paths.values(), strange])
    left_out = {"no such file or directory": ["gone"], "is a symbolic link now": ["zero", "secret"],
                "not a regular file": ["pipe"], "is a directory": ["folder"],
                "has changed since it was indexed": ["changed"]}  # fmt: skip
    if fill is album.copy_to:
        left_out["has changed since it was indexed"].append("same-stat")
    expected = {(paths[name], reason) for reason, some in left_out.items() for name in some}
    assert set(done.missing) == {*expected, (strange, "is no photo in the library")}
    assert listed(tmp_path / "album") == (["good.png"] if fill is album.copy_to else ["good.png", "same-stat.png"])
    assert (tmp_path / "album" / "good.png").read_bytes() == Path(paths["good"]).read_bytes()


@BOTH
def test_album_takes_a_photo_whose_date_alone_has_changed(library: Library, tmp_path: Path, fill: Fill) -> None:
    paths = index(library, "a.jpg")
    os.utime(paths[0], ns=(10**18, 10**18))
    assert fill(library.db, tmp_path / "album", paths) == AlbumResult(1, 0)


@BOTH
def test_album_takes_a_link_that_was_indexed_as_one(library: Library, tmp_path: Path, fill: Fill) -> None:
    (tmp_path / "elsewhere").mkdir()
    library.photo("a.jpg").rename(tmp_path / "elsewhere" / "a.jpg")
    library.path("a.jpg").symlink_to(tmp_path / "elsewhere" / "a.jpg")
    paths = index(library, "a.jpg", follow_symlinks=True)
    assert fill(library.db, tmp_path / "album", paths) == AlbumResult(1, 0)
    library.path("a.jpg").unlink()
    library.path("a.jpg").symlink_to("/dev/zero")
    assert fill(library.db, tmp_path / "other", paths).missing == ((paths[0], "not a regular file"),)


def test_album_stops_if_folder_cannot_be_written(library: Library, tmp_path: Path) -> None:
    paths = index(library, "a.jpg")
    (tmp_path / "album").write_text("a file")
    with pytest.raises(InputError, match="album: can't be written: File exists; choose another folder"):
        album.copy_to(library.db, tmp_path / "album", paths)


@pytest.mark.parametrize("folder", ["-", "http://127.0.0.1:1/album"])
def test_album_refuses_what_is_no_folder(library: Library, folder: str) -> None:
    with pytest.raises(InputError, match="a folder"):
        album.copy_to(library.db, folder, [])


def test_copy_to_stops_on_full_disk(library: Library, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="a disk that is full, by a limit on the length of files")
    library.photo("small.png", size=(8, 8))
    library.photo("large.png", "blue", size=(900, 900))
    paths = index(library, "small.png", "large.png")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(InputError, match=r"File too large; make room.*; 1 photos done before"):
            album.copy_to(library.db, tmp_path / "album", paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert listed(tmp_path / "album") == ["small.png"]
