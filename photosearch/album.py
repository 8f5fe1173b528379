"""Copies of photos, or links to them, in a folder of the user's choice: what an album is exported to.

Nothing is ever overwritten: two photos with the same name become `a.jpg` and `a (2).jpg`, and a photo that the folder
already contains, as the same link or byte for byte, is skipped, so that running a command twice changes nothing. A copy
appears whole or not at all.

What is copied or linked is what was indexed: a regular file, opened without following a link that has taken its place,
with the content that the library knows. Anything else is named and left out, and the others are done.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from photosearch import outputs
from photosearch.errors import InputError
from photosearch.index.folder_settings import follows_links, is_excluded
from photosearch.library.database import Database
from photosearch.library.folders import find_scope
from photosearch.library.photos import IndexedFile, find_file
from photosearch.photos.decode import Unreadable, content_hash, read
from photosearch.photos.remote import is_address


@dataclass(frozen=True, slots=True)
class AlbumResult:
    """made: new copies or links. existing: photos already in the folder. missing: (photo, why it was left out).

    indexed: the indexed folder in which copies lie, so that the next index finds them as photos of their own.
    """

    made: int
    existing: int
    missing: tuple[tuple[str, str], ...] = ()
    indexed: str | None = None


class _LeftOut(Exception):
    """The reason, in words."""


def copy_to(db: Database, folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """Copy photos, with their dates. Raises InputError if the folder can't be written; earlier copies stay."""
    return replace(_fill(db, folder, paths, _copy), indexed=_find_root(db, folder))


def link_to(db: Database, folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """The same with symbolic links."""
    return _fill(db, folder, paths, _link)


def _fill(
    db: Database, folder: str | Path, paths: Iterable[str], add: Callable[[Database, str, str | Path], bool]
) -> AlbumResult:
    """add: adds one photo -> whether it is new in the folder."""
    outputs.open_folder(folder)
    made = existing = 0
    missing: list[tuple[str, str]] = []
    for path in paths:
        try:
            new = add(db, path, folder)
        except _LeftOut as error:
            missing.append((path, str(error)))
        except InputError as error:
            raise InputError(f"{error}; {made} photos done before") from None
        else:
            made += new
            existing += not new
    return AlbumResult(made, existing, tuple(missing))


def _find_root(db: Database, folder: str | Path) -> str | None:
    place = os.path.realpath(folder)
    scope = find_scope(db, place)
    return None if scope is None or is_excluded(db, place) else scope.root


def _copy(db: Database, photo: str, folder: str | Path) -> bool:
    data = _read_indexed(_find(db, photo), follow=_follows(db, photo))

    def is_same(existing: str) -> bool:
        with contextlib.suppress(OSError, Unreadable):
            return os.lstat(existing).st_size == len(data) and read(existing, follow_symlinks=False) == data
        return False

    target = _find_free_path(folder, photo, is_same)
    if target is not None:
        with outputs.create_file(target) as part:
            part.write_bytes(data)
            with contextlib.suppress(OSError):  # an address has none, and some disks keep none
                shutil.copystat(photo, part)
    return target is not None


def _link(db: Database, photo: str, folder: str | Path) -> bool:
    if is_address(photo):
        raise _LeftOut("is not on this machine; --copy-to copies it")
    stored, follow = _find(db, photo), _follows(db, photo)
    try:
        status = os.stat(photo, follow_symlinks=follow)
    except OSError as error:
        raise _LeftOut((error.strerror or str(error)).lower()) from None
    if (status.st_size, status.st_mtime_ns) != (stored.size_bytes, stored.mtime_ns):
        _read_indexed(stored, follow=follow)

    def is_same(existing: str) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samefile(photo, existing)
        return False

    target = _find_free_path(folder, photo, is_same)
    if target is not None:
        outputs.create_link(target, photo)
    return target is not None


def _find(db: Database, photo: str) -> IndexedFile:
    stored = find_file(db, photo)
    if stored is None:
        raise _LeftOut("is no photo in the library")
    return stored


def _follows(db: Database, photo: str) -> bool:
    """Whether a link may stand at a photo's place, as in a folder indexed with --follow-symlinks."""
    return not is_address(photo) and Path(photo).is_symlink() and follows_links(db, os.path.dirname(photo))


def _read_indexed(stored: IndexedFile, *, follow: bool) -> bytes:
    """The content that was indexed."""
    try:
        data = read(stored.path, follow_symlinks=follow)
    except Unreadable as error:
        raise _LeftOut(error.reason) from None
    if content_hash(data) != stored.content_hash:
        raise _LeftOut("has changed since it was indexed")
    return data


def _find_free_path(folder: str | Path, photo: str, is_same: Callable[[str], bool]) -> str | None:
    """The photo's path in the folder, or None if it is there already."""
    stem, suffix = os.path.splitext(os.path.basename(photo))
    number = 1
    while True:
        path = os.path.join(folder, f"{stem}{suffix}" if number == 1 else f"{stem} ({number}){suffix}")
        if not os.path.lexists(path):
            return path
        if is_same(path):
            return None
        number += 1
