"""Folders that complete a typed path: only folders, only names, only so many."""

import os
import sys
from pathlib import Path

import pytest

from photosearch.errors import InputError
from photosearch.photos import directories
from photosearch.photos.directories import complete_directory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Pictures", "pictures 2", "Music", ".hidden", "Ärger"):
        (tmp_path / name / "below").mkdir(parents=True)
    (tmp_path / "Pictures.txt").write_text("secret")
    return tmp_path


def names(typed: object, limit: int = 50) -> list[str]:
    return [os.path.basename(path) for path in complete_directory(str(typed), limit).paths]


def test_completion_lists_folders_and_no_files(tree: Path) -> None:
    found = complete_directory(f"{tree}/pic", 50)
    assert found.paths == (f"{tree}/Pictures", f"{tree}/pictures 2"), "whatever their letter case"
    assert (found.more, found.reason) == (False, None)
    assert names(f"{tree}/") == ["Music", "Pictures", "pictures 2", "Ärger"]
    assert names(f"{tree}/Pictures/") == ["below"]
    assert names(f"{tree}/Pictures.txt") == []


def test_completion_needs_the_dot_of_a_hidden_folder(tree: Path) -> None:
    assert names(f"{tree}/.") == [".hidden"]


def test_completion_ends_at_its_limit_and_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = complete_directory(f"{tree}/", 2)
    assert (len(found.paths), found.more) == (2, True)
    monkeypatch.setattr(directories, "MAX_ENTRIES", 1)
    assert len(names(f"{tree}/")) <= 1


def test_completion_follows_a_link_to_a_folder(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "Music")
    (tree / "lost").symlink_to(tree / "nowhere")
    assert names(f"{tree}/l") == ["link"]


def test_completion_says_why_a_folder_cannot_be_listed(tree: Path, as_nobody: Path) -> None:
    locked = as_nobody / "locked"
    locked.mkdir(mode=0)
    assert complete_directory(f"{locked}/a", 50).reason == f"{locked}: Permission denied"
    assert complete_directory(f"{as_nobody}/no/a", 50).reason == f"{as_nobody}/no: No such file or directory"
    file = as_nobody / "file"
    file.write_text("x")
    assert complete_directory(f"{file}/a", 50).reason == f"{file}: Not a directory"


@pytest.mark.skipif(sys.platform != "linux", reason="its file systems allow any name")
def test_completion_leaves_out_names_that_cannot_be_typed(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree) + b"/bad\xff")).mkdir()
    assert names(f"{tree}/bad") == []


@pytest.mark.parametrize("typed", ["Pictures", "./x", "../x", "s3://bucket/x", "file:///etc"])
def test_completion_refuses_what_is_not_absolute(typed: str) -> None:
    with pytest.raises(InputError, match="type the whole path, from / or ~"):
        complete_directory(typed, 50)


@pytest.mark.parametrize("typed", ["/" + "x" * 5000, "/tmp/\0"])
def test_completion_refuses_impossible_paths(typed: str) -> None:
    with pytest.raises(InputError, match="too long for a folder's path, or holds a NUL"):
        complete_directory(typed, 50)


def test_completion_begins_with_home(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tree))
    assert complete_directory(" ", 50).paths == (f"{tree}/Pictures", str(tree))
    assert names("~/Mu") == ["Music"]
