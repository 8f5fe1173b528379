"""Copies and links: nothing is overwritten, and the same command twice changes nothing."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from toy import photo

from photosearch import album
from photosearch.album import AlbumResult
from photosearch.errors import InputError


def two_of_one_name(folder: Path) -> list[str]:
    return [str(photo(folder / "2019" / "a.jpg", "red")), str(photo(folder / "2020" / "a.jpg", "blue"))]


def test_copy_to_numbers_photos_of_same_name(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    assert album.copy_to(tmp_path / "album", paths) == AlbumResult(2, 0)
    names = sorted(p.name for p in (tmp_path / "album").iterdir())
    assert names == ["a (2).jpg", "a.jpg"]
    assert (tmp_path / "album" / "a.jpg").read_bytes() == Path(paths[0]).read_bytes()
    assert (tmp_path / "album" / "a (2).jpg").read_bytes() == Path(paths[1]).read_bytes()


def test_copy_to_twice_changes_nothing(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    album.copy_to(tmp_path / "album", paths)
    assert album.copy_to(tmp_path / "album", paths) == AlbumResult(0, 2)
    assert len(list((tmp_path / "album").iterdir())) == 2


def test_copy_to_keeps_date(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    os.utime(path, ns=(10**18, 10**18))
    album.copy_to(tmp_path / "album", [str(path)])
    assert (tmp_path / "album" / "a.jpg").stat().st_mtime_ns == 10**18


def test_link_to_links_each_photo_once(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    assert album.link_to(tmp_path / "album", paths) == AlbumResult(2, 0)
    assert album.link_to(tmp_path / "album", paths) == AlbumResult(0, 2)
    assert [str((tmp_path / "album" / n).readlink()) for n in ("a.jpg", "a (2).jpg")] == paths


def test_copy_to_keeps_existing_file(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").write_text("mine")
    assert album.copy_to(tmp_path / "album", [str(path)]) == AlbumResult(1, 0)
    assert (tmp_path / "album" / "a.jpg").read_text() == "mine"


def test_copy_to_keeps_dangling_link(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").symlink_to("nowhere")
    assert album.copy_to(tmp_path / "album", [str(path)]) == AlbumResult(1, 0)
    assert str((tmp_path / "album" / "a.jpg").readlink()) == "nowhere"


@pytest.mark.parametrize("fill", [album.copy_to, album.link_to])
def test_album_reports_missing_photo_and_does_the_others(tmp_path: Path, fill: Callable[..., AlbumResult]) -> None:
    here, gone, last = photo(tmp_path / "a.jpg"), tmp_path / "gone.jpg", photo(tmp_path / "b.jpg", "blue")
    for made in (2, 0):
        filled = fill(tmp_path / "album", [str(here), str(gone), str(last)])
        assert filled == AlbumResult(made, 2 - made, ((str(gone), "No such file or directory"),))
        assert sorted(p.name for p in (tmp_path / "album").iterdir()) == ["a.jpg", "b.jpg"]


def test_link_to_skips_photo_that_is_missing(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    album.link_to(tmp_path / "album", [str(path)])
    path.unlink()
    assert album.link_to(tmp_path / "album", [str(path)]).made == 0
    assert [p.name for p in (tmp_path / "album").iterdir()] == ["a.jpg"]


def test_copy_to_stops_if_folder_cannot_be_written(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "album").write_text("a file")
    with pytest.raises(InputError, match="album: File exists; 0 photos done before"):
        album.copy_to(tmp_path / "album", [str(path)])


def test_copy_to_stops_on_full_disk_whichever_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photo(tmp_path / "a.jpg")

    def fail(source: str, goal: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", source)

    monkeypatch.setattr("shutil.copy2", fail)
    with pytest.raises(InputError, match="No space left on device; 0 photos done before"):
        album.copy_to(tmp_path / "album", [str(path)])
    assert list((tmp_path / "album").iterdir()) == []


def test_copy_to_copies_other_photo_of_same_name_size_and_date(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.jpg" for folder in ("2019", "2020")]
    for path, data in zip(paths, (b"one", b"two"), strict=True):
        path.parent.mkdir()
        path.write_bytes(data)
        os.utime(path, ns=(10**18, 10**18))
    assert album.copy_to(tmp_path / "album", map(str, paths)) == AlbumResult(2, 0)
    assert (tmp_path / "album" / "a (2).jpg").read_bytes() == b"two"


def test_copy_to_keeps_file_that_appears_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, place, copy = photo(tmp_path / "a.jpg"), tmp_path / "album" / "a.jpg", shutil.copy2

    def slow(source: str, goal: str) -> None:
        copy(source, goal)
        place.write_text("mine")  # as another program might, while a large photo is copied

    monkeypatch.setattr("shutil.copy2", slow)
    with pytest.raises(InputError, match="File exists; 0 photos done before"):
        album.copy_to(tmp_path / "album", [str(path)])
    assert [(p.name, p.read_text()) for p in place.parent.iterdir()] == [("a.jpg", "mine")]
