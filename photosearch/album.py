"""An album of what was found: copies of the photos, or links to them, in a folder of the user's choice.

Nothing is overwritten, ever: two photos of one name stand side by side as `a.jpg` and `a (2).jpg`, and a photo
that the folder already holds, as the same link or byte for byte, is left alone, so that the same command twice
changes nothing. A copy appears whole or not at all. A photo that is not there costs only itself.
"""

import errno
import filecmp
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from photosearch import atomic
from photosearch.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of the album's disk, whichever file the system names


@dataclass(frozen=True, slots=True)
class AlbumResult:
    """made: copies or links. there: photos that the folder held already. missing: (photo, why it can't be read)."""

    made: int
    there: int
    missing: tuple[tuple[str, str], ...] = ()


def copy_to(folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """Dates come along. Raises InputError where the folder can't be written; what was copied before stays."""
    return _fill(folder, paths, _copy, lambda photo, there: filecmp.cmp(photo, there, shallow=False))


def link_to(folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """The same with symbolic links."""
    return _fill(folder, paths, os.symlink, os.path.samefile)


def _fill(
    folder: str | Path, paths: Iterable[str], put: Callable[[str, str], object], same: Callable[[str, str], bool]
) -> AlbumResult:
    made = there = 0
    missing: list[tuple[str, str]] = []
    try:
        os.makedirs(folder, exist_ok=True)
        for photo in paths:
            try:
                os.stat(photo)  # a link would be made to nothing too
                place = _free_place(folder, photo, same)
                if place is not None:
                    put(photo, place)
            except OSError as error:
                if error.filename != photo or error.errno in FULL:
                    raise
                missing.append((photo, error.strerror or str(error)))
            else:
                there += place is None
                made += place is not None
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {error.strerror or error}; {made} photos done before") from None
    return AlbumResult(made, there, tuple(missing))


def _free_place(folder: str | Path, photo: str, same: Callable[[str, str], bool]) -> str | None:
    """Where in the folder this photo goes, or None where it is there already."""
    stem, suffix = os.path.splitext(os.path.basename(photo))
    number = 1
    while True:
        place = os.path.join(folder, f"{stem}{suffix}" if number == 1 else f"{stem} ({number}){suffix}")
        if not os.path.lexists(place):
            return place
        if os.path.exists(place) and same(photo, place):
            return None
        number += 1


def _copy(photo: str, place: str) -> None:
    with atomic.write_file(place, mode=0o600, overwrite=False) as part:
        shutil.copy2(photo, part)
