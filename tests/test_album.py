"""Copies and links: nothing is overwritten, and the same command twice changes nothing."""

import os
from pathlib import Path

import pytest
from toy import photo

from photosearch import album
from photosearch.errors import InputError


def two_of_one_name(folder: Path) -> list[str]:
    return [str(photo(folder / "2019" / "a.jpg", "red")), str(photo(folder / "2020" / "a.jpg", "blue"))]


def test_two_photos_of_one_name_stand_side_by_side(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    assert album.copy_to(tmp_path / "album", paths) == (2, 0)
    names = sorted(p.name for p in (tmp_path / "album").iterdir())
    assert names == ["a (2).jpg", "a.jpg"]
    assert (tmp_path / "album" / "a.jpg").read_bytes() == Path(paths[0]).read_bytes()
    assert (tmp_path / "album" / "a (2).jpg").read_bytes() == Path(paths[1]).read_bytes()


def test_the_same_copies_twice_change_nothing(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    album.copy_to(tmp_path / "album", paths)
    assert album.copy_to(tmp_path / "album", paths) == (0, 2)
    assert len(list((tmp_path / "album").iterdir())) == 2


def test_a_copy_keeps_its_date(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    os.utime(path, ns=(10**18, 10**18))
    album.copy_to(tmp_path / "album", [str(path)])
    assert (tmp_path / "album" / "a.jpg").stat().st_mtime_ns == 10**18


def test_links_lead_to_the_photos_and_are_made_once(tmp_path: Path) -> None:
    paths = two_of_one_name(tmp_path)
    assert album.link_to(tmp_path / "album", paths) == (2, 0)
    assert album.link_to(tmp_path / "album", paths) == (0, 2)
    assert [str((tmp_path / "album" / n).readlink()) for n in ("a.jpg", "a (2).jpg")] == paths


def test_a_file_that_was_there_before_is_left_as_it_was(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").write_text("mine")
    assert album.copy_to(tmp_path / "album", [str(path)]) == (1, 0)
    assert (tmp_path / "album" / "a.jpg").read_text() == "mine"


def test_a_dangling_link_is_not_overwritten(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "a.jpg").symlink_to("nowhere")
    assert album.copy_to(tmp_path / "album", [str(path)]) == (1, 0)
    assert str((tmp_path / "album" / "a.jpg").readlink()) == "nowhere"


def test_a_photo_that_vanished_is_an_error_in_words_and_leaves_no_part(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"gone\.jpg: No such file or directory; 1 photos done before"):
        album.copy_to(tmp_path / "album", [str(path), str(tmp_path / "gone.jpg")])
    assert [p.name for p in (tmp_path / "album").iterdir()] == ["a.jpg"]
