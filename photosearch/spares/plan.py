"""What would be moved where: groups of duplicates and a folder -> a plan. Nothing is written, no photo is read.

A thing is moved as a whole: a photo with its side-cars and its video, a raw file with its JPEG. Its files keep their
path below the indexed folder; where there are several, below the folder that is above them all.
"""

import functools
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from photosearch.errors import InputError
from photosearch.index.folder_settings import is_excluded
from photosearch.library.database import Database, is_below
from photosearch.library.folders import is_away, list_roots
from photosearch.library.photos import IndexedFile, find_file
from photosearch.photos.remote import is_address
from photosearch.photos.things import Things, list_things
from photosearch.search.duplicates import Group
from photosearch.spares.log import find_unfinished

ListFolder = Callable[[str], Things]
FREE_NAMES = 10_000  # that are tried


@dataclass(frozen=True, slots=True)
class SpareFile:
    """A file to move. source, target: absolute. photo: as it was indexed, None for a file that goes with a photo.

    kept: the photo that is kept in its stead. reason: why it is spare.
    """

    source: str
    target: str
    size_bytes: int
    photo: IndexedFile | None = None
    kept: IndexedFile | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SparePlan:
    """folder: where to, without links. things: files that are moved together, a photo first. left: (photo, why it is
    not moved). excluded_from: the indexed folder that holds `folder`, which then will be excluded from indexing.

    unfinished: things that a killed move had begun, or not known to be done.
    """

    folder: str
    things: tuple[tuple[SpareFile, ...], ...]
    left: tuple[tuple[str, str], ...] = ()
    excluded_from: str | None = None
    unfinished: int = 0

    @property
    def files(self) -> list[SpareFile]:
        return [file for thing in self.things for file in thing]

    @property
    def photos(self) -> int:
        return sum(file.photo is not None for file in self.files)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class Left(Exception):
    """Why a photo is not moved, in words."""


def plan_move(db: Database, groups: Sequence[Group], folder: str) -> SparePlan:
    """Raises InputError where the folder can't be used."""
    folder, inside = check_target(db, folder)
    unfinished = find_unfinished(folder)
    begun = {move.source for thing in (unfinished.things if unfinished else ()) for move in thing}
    spare: dict[str, SpareFile] = {}
    left: dict[str, str] = {}
    for group in groups:
        kept = group.members[0].photo.path
        for member in group.spare:
            path = member.photo.path
            try:
                photo, keeper = _check_pair(db, path, kept)
            except Left as error:
                if path not in begun:
                    left[path] = str(error)
            else:
                spare[path] = SpareFile(path, "", photo.size_bytes, photo, keeper, member.reason)
    list_folder = functools.lru_cache(64)(list_things)
    _drop_halves(spare, left, list_folder)
    base = find_base(db)
    things = _gather(spare, list_folder)
    placed = tuple(_place(thing, base, folder) for thing in things)
    return SparePlan(folder, placed, tuple(left.items()), inside, len(unfinished.things) if unfinished else 0)


def check_target(db: Database, folder: str) -> tuple[str, str | None]:
    """(the folder without links, the indexed folder that holds it or None). Raises InputError where it can't be used.

    It need not exist.
    """
    if is_address(folder):
        raise InputError(f"{folder}: is an address; name a folder on this machine")
    real = os.path.realpath(folder)
    if os.path.lexists(real) and not os.path.isdir(real):
        raise InputError(f"{folder}: is no folder; name another one")
    above = real
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if not os.access(above, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise InputError(f"{folder}: can't be written; name another folder")
    inside = None
    for root in (root.root for root in list_roots(db)):
        if real == root or is_below(root, real):
            raise InputError(f"{folder}: holds the indexed folder {root}; name a folder beside or in it")
        if is_below(real, root) and not is_excluded(db, real):
            inside = root
    return real, inside


def find_base(db: Database) -> str:
    """The folder below which moved photos keep their paths: the indexed one, or what is above all of them."""
    roots = [root.root for root in list_roots(db) if not is_address(root.root)]
    try:
        return os.path.commonpath(roots)
    except ValueError:  # none, or on several drives of Windows
        return ""


def _check_pair(db: Database, path: str, kept: str) -> tuple[IndexedFile, IndexedFile]:
    """The files of a spare photo and of the one to keep, as they were indexed. Raises Left."""
    keeper, keeper_status = _check_file(db, kept, "the photo to keep, {}, ")
    photo, status = _check_file(db, path, "")
    if os.path.samestat(status, keeper_status):
        raise Left(f"is the photo to keep itself, under another name: {kept}")
    if not os.access(os.path.dirname(path), os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise Left("its folder is read-only")
    return photo, keeper


def _check_file(db: Database, path: str, whose: str) -> tuple[IndexedFile, os.stat_result]:
    whose = whose.format(path)
    if is_address(path):
        raise Left(f"{whose}is not on this machine")
    stored = find_file(db, path)
    if stored is None:
        raise Left(f"{whose}is no longer in the library; run photosearch index")
    try:
        status = os.lstat(path)
    except OSError as error:
        root = next((r.root for r in list_roots(db) if is_below(path, r.root)), None)
        away = root is not None and is_away(root)
        raise Left(f"{whose}is on a drive that is away" if away else f"{whose}{_words(error)}") from None
    if not stat.S_ISREG(status.st_mode):
        raise Left(f"{whose}is a symbolic link" if stat.S_ISLNK(status.st_mode) else f"{whose}is no file any more")
    if status.st_size != stored.size_bytes:
        raise Left(f"{whose}has changed since it was indexed")
    return stored, status


def _words(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()


def _drop_halves(spare: dict[str, SpareFile], left: dict[str, str], list_folder: ListFolder) -> None:
    """Leave what is one thing with a photo that stays, and what is to be kept in another group."""
    kept = {file.kept.path for file in spare.values() if file.kept is not None}
    waiting = [path for path in spare if path in kept]
    for path in waiting:
        left[path] = "is the photo to keep of another group"
        del spare[path]
    waiting = list(spare)
    while waiting:
        path = waiting.pop()
        if path not in spare:
            continue
        folder, name = os.path.split(path)
        partners = [os.path.join(folder, other) for other in list_folder(folder).find_partners(name)]
        if stays := next((other for other in partners if other not in spare), None):
            left[path] = f"is one thing with {stays}, which stays"
            del spare[path]
            waiting += [other for other in partners if other in spare]


def _gather(spare: Mapping[str, SpareFile], list_folder: ListFolder) -> list[list[SpareFile]]:
    """The files that go together, in the order of their photos' paths. A file that goes with a photo that stays does,
    too."""
    things: list[list[SpareFile]] = []
    done: set[str] = set()
    for path in sorted(spare):
        thing: list[SpareFile] = []
        beside: list[SpareFile] = []
        waiting = [path]
        while waiting:
            path = waiting.pop()
            if path in done or path not in spare:
                continue
            done.add(path)
            thing.append(spare[path])
            folder, name = os.path.split(path)
            found = list_folder(folder)
            waiting += [os.path.join(folder, other) for other in found.find_partners(name)]
            for file, owners in found.find_files(name).items():
                full, photos = os.path.join(folder, file), [os.path.join(folder, owner) for owner in owners]
                if full not in done and all(photo in spare for photo in photos) and (size := _size(full)) is not None:
                    done.add(full)
                    waiting += photos
                    beside.append(SpareFile(full, "", size))
        if thing:
            things.append([*thing, *beside])
    return things


def _size(path: str) -> int | None:
    """In bytes, of a regular file; None of anything else, which stays."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _place(thing: Sequence[SpareFile], base: str, folder: str) -> tuple[SpareFile, ...]:
    """The files with their targets. Where one is taken, all get the same number: a (2).jpg, a (2).jpg.xmp."""
    below = os.path.relpath(os.path.dirname(thing[0].source), base) if base else _without_drive(thing[0].source)
    into = os.path.normpath(os.path.join(folder, below))
    stem = os.path.splitext(os.path.basename(thing[0].source))[0]
    names = [os.path.basename(file.source) for file in thing]
    for number in range(1, FREE_NAMES):
        targets = [os.path.join(into, name if number == 1 else _add_number(name, stem, number)) for name in names]
        if not any(map(os.path.lexists, targets)):
            break
    return tuple(
        SpareFile(file.source, target, file.size_bytes, file.photo, file.kept, file.reason)
        for file, target in zip(thing, targets, strict=True)
    )


def _without_drive(path: str) -> str:
    """C:\\photos\\a.jpg -> C\\photos."""
    drive, below = os.path.splitdrive(os.path.dirname(path))
    return os.path.join(drive.strip(":\\/"), below.lstrip("\\/"))


def _add_number(name: str, stem: str, number: int) -> str:
    stem = stem if name.startswith(stem) else os.path.splitext(name)[0]
    return f"{stem} ({number}){name[len(stem) :]}"
