"""Albums: copies of photos, or links to them, in a folder of the user's choice.

Nothing is ever overwritten: two photos with the same name become `a.jpg` and `a (2).jpg`, and a photo that the folder
already contains, as the same link or byte for byte, is skipped, so that running a command twice changes nothing. A copy
appears whole or not at all. A missing photo is reported, and the others are done.
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
from photosearch.photos.remote import is_address

ALBUM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of its disk, whichever file the error names


@dataclass(frozen=True, slots=True)
class AlbumResult:
    """made: new copies or links. existing: photos already in the folder. missing: (photo, why it can't be read).

    remote: photos at addresses, which are left out: an album has files.
    """

    made: int
    existing: int
    missing: tuple[tuple[str, str], ...] = ()
    remote: int = 0


def copy_to(folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """Copy photos, with their dates. Raises InputError if the folder can't be written; earlier copies stay."""
    return _fill(folder, paths, _copy, lambda photo, existing: filecmp.cmp(photo, existing, shallow=False))


def link_to(folder: str | Path, paths: Iterable[str]) -> AlbumResult:
    """The same with symbolic links."""
    return _fill(folder, paths, os.symlink, os.path.samefile)


def _fill(
    folder: str | Path, paths: Iterable[str], add: Callable[[str, str], object], is_same: Callable[[str, str], bool]
) -> AlbumResult:
    made = existing = remote = 0
    missing: list[tuple[str, str]] = []
    try:
        os.makedirs(folder, exist_ok=True)
        for photo in paths:
            if is_address(photo):
                remote += 1
                continue
            try:
                os.stat(photo)  # os.symlink would make a broken link
                target = _find_free_path(folder, photo, is_same)
                if target is not None:
                    add(photo, target)
            except OSError as error:
                if error.filename != photo or error.errno in ALBUM_ERRORS:
                    raise
                missing.append((photo, error.strerror or str(error)))
            else:
                existing += target is None
                made += target is not None
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {error.strerror or error}; {made} photos done before") from None
    return AlbumResult(made, existing, tuple(missing), remote)


def _find_free_path(folder: str | Path, photo: str, is_same: Callable[[str, str], bool]) -> str | None:
    """The photo's path in the folder, or None if it is there already."""
    stem, suffix = os.path.splitext(os.path.basename(photo))
    number = 1
    while True:
        path = os.path.join(folder, f"{stem}{suffix}" if number == 1 else f"{stem} ({number}){suffix}")
        if not os.path.lexists(path):
            return path
        if os.path.exists(path) and is_same(photo, path):
            return None
        number += 1


def _copy(photo: str, target: str) -> None:
    with atomic.write_file(target, mode=0o600, overwrite=False) as part:
        shutil.copy2(photo, part)
