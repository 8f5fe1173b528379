"""What must be looked at: the files below a folder, against what the library knows of them. Nothing is opened.

A file is unchanged if its size, its dates and its inode are what they were. Where only its inode or the date of its
last change of status differs, it is read and hashed; the same content is not scored again.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from photosearch.index.events import Event, FilesSkipped, ListFailed, ReadFailed, Unchanged
from photosearch.library.database import Database, is_below
from photosearch.library.folders import Scope, put_folder
from photosearch.library.photos import FileRecord, StoredPhoto, read_folder
from photosearch.photos import remote
from photosearch.photos.dates import date_in_name
from photosearch.photos.walk import Exclusions, Photo, WalkOptions, walk


@dataclass(frozen=True, slots=True)
class PendingPhoto:
    """A photo that must be opened. known: what the library knew of the file. readings: their ids, which must know it.

    why: what to say where its content turns out to be what it was, and a reading looks at it all the same.
    """

    photo: Photo
    folder_id: int
    known: StoredPhoto | None
    readings: tuple[int, ...]
    why: str


@dataclass(frozen=True, slots=True)
class BookkeepingUpdate:
    """What the library must write of a photo that need not be opened.

    file: to store, where it is known better now. returned: it was gone. answering: readings that wait aside, and are
    to answer for it.
    """

    photo: Photo
    known: StoredPhoto
    touched: bool
    returned: bool
    answering: tuple[int, ...]


@dataclass(slots=True)
class FolderScan:
    """One walk over a scope, and what it has found so far.

    readings: the ids of those that the folder asks for. apart: folders below that are walked by themselves.
    known_before: photos in the scope, when it began.
    """

    scope: Scope
    readings: tuple[int, ...]
    options: WalkOptions
    apart: tuple[str, ...]
    known_before: int
    exclusions: Exclusions
    gone: list[tuple[int, str]] = field(default_factory=list)  # photos whose folder was read, and which were not in it
    visited: set[int] = field(default_factory=set)  # folders that were looked into
    unlisted: list[str] = field(default_factory=list)  # folders that could not be looked into, or not wholly


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """force: everything is opened and scored again. retry: what could not be read is tried again."""

    force: bool = False
    retry: bool = False


def plan(
    db: Database, step: FolderScan, why: Mapping[int, str], options: PlanOptions, stop: Callable[[], bool]
) -> Iterator[PendingPhoto | BookkeepingUpdate | Event]:
    """Walk a scope; give the photos that must be opened, what must be written, and what is settled already.

    why: for each reading, what to say where it looks at a photo that was known.
    """
    for folder in walk(step.scope.path, step.options, root=step.scope.root, exclusions=step.exclusions):
        if stop():
            return
        if any(folder.path == apart or is_below(folder.path, apart) for apart in step.apart):
            continue
        if folder.reason is not None and is_missing(folder.path):
            continue  # it is gone, with all its photos: see commit.find_lost
        if folder.reason is not None:
            step.unlisted.append(folder.path)
            yield ListFailed(folder.path, folder.reason)
        if folder.skipped:
            yield FilesSkipped(folder.path, folder.skipped)
        known = read_folder(db, step.scope, folder.path, step.readings)
        if not known and not folder.photos:
            continue
        folder_id = put_folder(db, step.scope, folder.path)
        step.visited.add(folder_id)
        for photo in folder.photos:
            if stop():
                return
            yield decide(photo, folder_id, known.pop(os.path.basename(photo.path), None), step.readings, why, options)
        if folder.reason is None:
            step.gone += [(k.photo_id, os.path.join(folder.path, name)) for name, k in known.items() if not k.gone]


def decide(
    photo: Photo,
    folder_id: int,
    known: StoredPhoto | None,
    readings: Sequence[int],
    why: Mapping[int, str],
    options: PlanOptions,
) -> PendingPhoto | BookkeepingUpdate | Event:
    """What is to be done about one photo, by what the library knows of its file."""
    wanted = tuple(readings)
    if known is None or (known.size_bytes, known.mtime_ns) != (photo.size_bytes, photo.mtime_ns):
        return PendingPhoto(photo, folder_id, known, wanted, "")
    if options.force:
        return PendingPhoto(photo, folder_id, known, wanted, "forced")
    differs = (known.ctime_ns and known.ctime_ns != photo.ctime_ns) or (known.inode and known.inode != photo.inode)
    if known.reason is not None:
        if options.retry or known.passing or known.gone or differs:
            return PendingPhoto(photo, folder_id, known, wanted, "")
        return ReadFailed(photo.path, known.reason, remembered=True)
    missing = [reading for reading in readings if reading not in known.readings]
    if missing:
        return PendingPhoto(photo, folder_id, known, wanted, why[missing[0]])
    if differs:
        return PendingPhoto(photo, folder_id, known, wanted, "")
    answering = tuple(reading for reading in readings if not known.readings[reading])
    touched = (known.ctime_ns, known.inode) != (photo.ctime_ns, photo.inode)
    if known.gone or answering or touched:
        return BookkeepingUpdate(photo, known, touched, known.gone is not None, answering)
    return Unchanged(photo.path)


def to_record(photo: Photo) -> FileRecord:
    """What is stored of a photo's file beside its place."""
    named = date_in_name(os.path.basename(photo.path))
    return FileRecord(photo.size_bytes, photo.mtime_ns, photo.ctime_ns, photo.device, photo.inode, named)


def is_missing(path: str) -> bool:
    """Whether nothing stands there. A folder that may not be entered says nothing of what is in it."""
    if remote.is_address(path):
        return remote.exists(path) is False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
