"""The photos below a folder, compared with what the library knows of them. No photo is opened.

A file is unchanged if its size, its dates and its inode are what they were. Where only its inode or the date of its
last change of status differs, it is read and hashed; the same content is not scored again.
"""

import contextlib
import os
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from photosearch.index.changes import Changes, Reach
from photosearch.index.events import Event, FilesSkipped, ListFailed, ReadFailed, Unchanged
from photosearch.index.infer import MetadataMode, Scorer
from photosearch.library.database import Database, is_below
from photosearch.library.details import delete_details
from photosearch.library.folders import Scope, list_roots, put_folder
from photosearch.library.photos import FileRecord, StoredPhoto, read_folder
from photosearch.metadata.dates import date_in_name
from photosearch.photos import remote
from photosearch.photos.decode import DAMAGED
from photosearch.photos.walk import Exclusions, Folder, Photo, WalkOptions, walk


@dataclass(frozen=True, slots=True)
class PendingPhoto:
    """A photo that must be opened. known: what the library knows of the file. scorers: that must have scored it.

    reason: of the Rescored event, if the content turns out to be unchanged and is scored all the same. metadata: what
    is read besides pixels; "only" of a known photo that needs nothing else. sidecars: their stamp before it is read.
    """

    photo: Photo
    folder_id: int
    known: StoredPhoto | None
    scorers: tuple[Scorer, ...]
    reason: str
    metadata: MetadataMode = "all"
    sidecars: int = 0


@dataclass(frozen=True, slots=True)
class BookkeepingUpdate:
    """What to write about a photo that need not be opened.

    touched: its dates or its inode differ. returned: it was removed or excluded. inactive: scorers whose scores are
    stored and must become the active ones.
    """

    photo: Photo
    known: StoredPhoto
    touched: bool
    returned: bool
    inactive: tuple[Scorer, ...]


@dataclass(slots=True)
class FolderScan:
    """One walk over a folder and what lies below it, and what it has found so far.

    scorer_ids: the scorers that the folder asks for, with their ids in the library. reasons: why each of them scores a
    photo that is known already. apart: folders below that are scanned on their own. known_before: the photos that the
    library knew here when the run began. unusable: images and scorers whose vector must be made again. metadata:
    whether the folder stores what its files say. changes: the folders that are walked, None: all.
    """

    scope: Scope
    scorer_ids: Mapping[Scorer, int]
    reasons: Mapping[Scorer, str]
    options: WalkOptions
    apart: tuple[str, ...]
    known_before: int
    exclusions: Exclusions
    unusable: Collection[tuple[int, int]] = ()  # (image id, the scorer's id)
    missing: list[tuple[int, str]] = field(default_factory=list)  # (photo id, path): not in its folder, which was read
    visited: set[int] = field(default_factory=set)  # ids of the folders that were listed
    unlisted: list[str] = field(default_factory=list)  # folders that could not be listed, or not completely
    metadata: bool = True
    changes: Changes | None = None
    scorers: tuple[Scorer, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.scorers = tuple(self.scorer_ids)


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """force: open and score everything again. retry: open unreadable photos again. leave: see RunOptions."""

    force: bool = False
    retry: bool = False
    leave: Callable[[Photo], bool] | None = None


def scan_folder(
    db: Database, scan: FolderScan, options: ScanOptions, stop: Callable[[], bool]
) -> Iterator[PendingPhoto | BookkeepingUpdate | Event]:
    """Walk a folder; yield the photos to open, what to write of others, and events for those that need neither."""
    elsewhere = [root.root for root in list_roots(db) if root.root_id != scan.scope.root_id]
    for folder in _walk(scan, elsewhere):
        if stop():
            return
        if any(folder.path == apart or is_below(folder.path, apart) for apart in scan.apart):
            continue
        if folder.reason is not None and is_missing(folder.path):
            continue  # it is gone with all its photos: see Committer.remove
        if folder.reason is not None:
            scan.unlisted.append(folder.path)
            yield ListFailed(folder.path, folder.reason)
        if folder.skipped:
            yield FilesSkipped(folder.path, folder.skipped)
        known = read_folder(db, scan.scope, folder.path, list(scan.scorer_ids.values()))
        if not known and not folder.photos:
            continue
        folder_id = put_folder(db, scan.scope, folder.path)
        scan.visited.add(folder_id)
        if not scan.metadata:
            delete_details(db, [photo.photo_id for photo in known.values() if photo.sidecars is not None])
        for photo in folder.photos:
            if stop():
                return
            before = known.pop(os.path.basename(photo.path), None)
            if options.leave is None or not options.leave(photo):
                yield compare_photo(photo, folder_id, before, scan, options)
        if folder.reason is None:
            scan.missing += [(k.photo_id, os.path.join(folder.path, name)) for name, k in known.items() if not k.absent]


def _walk(scan: FolderScan, elsewhere: Sequence[str]) -> Iterator[Folder]:
    """The folders of a scan, or those of them that have changed."""
    top, root = scan.scope.path, scan.scope.root

    def walk_from(path: str) -> Iterator[Folder]:
        return walk(path, scan.options, root=root, exclusions=scan.exclusions, elsewhere=elsewhere)

    if scan.changes is None or scan.changes.covers_all_below(top):
        yield from walk_from(top)
        return
    reach = Reach(top, root, scan.exclusions)
    for path in filter(reach.has_folder, scan.changes.list_trees()):
        yield from walk_from(path)
    for path in filter(reach.has_folder, scan.changes.list_folders()):
        yield next(walk_from(path))


def compare_photo(
    photo: Photo, folder_id: int, known: StoredPhoto | None, scan: FolderScan, options: ScanOptions
) -> PendingPhoto | BookkeepingUpdate | Event:
    """What to do about one photo, by what the library knows of its file."""
    sidecars = stamp_sidecars(photo)

    def open_photo(reason: str = "") -> PendingPhoto:
        mode: MetadataMode = "all" if scan.metadata else "dates"
        return PendingPhoto(photo, folder_id, known, scan.scorers, reason, mode, sidecars)

    if known is None or (known.size_bytes, known.mtime_ns) != (photo.size_bytes, photo.mtime_ns):
        return open_photo()
    if options.force:
        return open_photo("forced")
    differs = (known.ctime_ns and known.ctime_ns != photo.ctime_ns) or (known.inode and known.inode != photo.inode)
    if known.reason is not None and not known.reason.startswith(DAMAGED):
        if options.retry or known.transient or known.absent or differs:
            return open_photo()
        return ReadFailed(photo.path, known.reason, remembered=True)
    unscored = [scorer for scorer, scorer_id in scan.scorer_ids.items() if scorer_id not in known.scored_by]
    if any((known.image_id, scorer_id) in scan.unusable for scorer_id in scan.scorer_ids.values()):
        return open_photo("its vector was unusable")
    if unscored:
        return open_photo(scan.reasons[unscored[0]])
    if differs:
        return open_photo()
    inactive = tuple(scorer for scorer, scorer_id in scan.scorer_ids.items() if not known.scored_by[scorer_id])
    touched = (known.ctime_ns, known.inode) != (photo.ctime_ns, photo.inode)
    unread = scan.metadata and known.sidecars != sidecars
    if known.absent or inactive or touched:
        if unread:
            return open_photo()
        return BookkeepingUpdate(photo, known, touched, known.absent is not None, inactive)
    if unread:
        return PendingPhoto(photo, folder_id, known, (), "", "only", sidecars)
    return Unchanged(photo.path)


def stamp_sidecars(photo: Photo) -> int:
    """A number that changes with a photo's side-cars: their names, sizes and dates; 0 without any, else positive."""
    if not photo.beside:
        return 0
    folder, found = os.path.dirname(photo.path), list[object]()
    for name in photo.beside:
        with contextlib.suppress(OSError):
            if remote.is_address(photo.path):  # its own dates are not asked for: that would be a request for each
                found.append(name)
            else:
                status = os.stat(os.path.join(folder, name))
                found.append((name, status.st_size, status.st_mtime_ns))
    return 1 + zlib.crc32(repr(found).encode(errors="surrogatepass"))


def to_record(photo: Photo) -> FileRecord:
    """What the library stores of a photo's file, except its path."""
    named = date_in_name(os.path.basename(photo.path))
    return FileRecord(photo.size_bytes, photo.mtime_ns, photo.ctime_ns, photo.device, photo.inode, named)


def is_missing(path: str) -> bool:
    """Whether the path does not exist. False in a folder that may not be entered: there nobody knows."""
    if remote.is_address(path):
        return remote.exists(path) is False
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
