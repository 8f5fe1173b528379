"""Moves what a plan names, finishes what a kill cut off, and moves back. Nothing is deleted, nothing is overwritten.

A thing's line is in the log before its first file is moved, and says what is moved where with which content. So each
file's state is told by the disk: at its old place, at its new one, or, after a kill, at both. Then the content of both
is compared before the first is removed. Photos are hashed just before they are moved, and so is the photo to keep.
"""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from photosearch import atomic, outputs
from photosearch.index.folder_settings import exclude_folder
from photosearch.library import database
from photosearch.library.database import Database, is_below
from photosearch.library.folders import is_away, list_roots
from photosearch.library.lock import lock_library
from photosearch.library.photos import FileRecord, IndexedFile, is_moved_away, mark_moved_away, mark_moved_back
from photosearch.metadata.dates import date_in_name
from photosearch.photos.decode import Unreadable, hash_file
from photosearch.spares.log import Move, MoveLog, Write, continue_log, create_log, find_unfinished, read_log
from photosearch.spares.plan import Left, SpareFile, SparePlan, check_target

Progress = Callable[[], None]
FULL = "not tried: the disk is full"


@dataclass(frozen=True, slots=True)
class MoveResult:
    """photos, files (photos included), size_bytes: that were moved. left: (photo or file, why it was not). log: its
    path, None where nothing was to be done. finished: things that a killed move had begun."""

    log: str | None
    photos: int
    files: int
    size_bytes: int
    left: tuple[tuple[str, str], ...] = ()
    finished: int = 0


def move_spares(db: Database, plan: SparePlan, progress: Progress | None = None) -> MoveResult:
    """progress: called after each thing. Raises InputError, StoreError where nothing can be moved at all.

    A log that a killed move left in the folder is finished first, and continued.
    """
    if not (plan.things or plan.unfinished):
        return MoveResult(None, 0, 0, 0, plan.left)
    with lock_library(db):
        folder, inside = check_target(db, plan.folder)
        outputs.open_folder(folder)
        if inside is not None:
            exclude_folder(db, folder)
        unfinished = find_unfinished(folder)
        with create_log(folder, db.path) if unfinished is None else continue_log(unfinished.path) as (path, write):
            mover = _Mover(db, folder, write)
            if unfinished is not None:
                mover.finish(unfinished)
            for thing in plan.things:
                mover.move(thing)
                if progress is not None:
                    progress()
            write({"done": len(mover.moved)})
    finished = 0 if unfinished is None else len(unfinished.things)
    photos = sum(move.kept is not None for move in mover.moved)
    size_bytes = sum(move.size_bytes for move in mover.moved)
    return MoveResult(path, photos, len(mover.moved), size_bytes, (*plan.left, *mover.left.items()), finished)


class _Mover:
    """One move: what was moved, what was left, and the photos to keep that were hashed."""

    def __init__(self, db: Database, folder: str, write: Write):
        self._db, self._folder, self._write = db, folder, write
        self.moved: list[Move] = []
        self.left: dict[str, str] = {}
        self._finished: set[str] = set()
        self._kept: dict[str, tuple[int, ...]] = {}
        self._full = False

    def finish(self, log: MoveLog) -> None:
        """Move what the log has begun to move."""
        roots = [root.root for root in list_roots(self._db)]
        for thing in log.things:
            for move in thing:
                try:
                    if any(is_below(move.source, root) for root in roots):
                        self._finish(move)
                except (Left, OSError) as error:
                    self.left[move.source] = _describe(error)

    def _finish(self, move: Move) -> None:
        target = os.path.join(self._folder, move.target)
        there, here = os.path.lexists(target), os.path.lexists(move.source)
        if here and there:
            _remove_second(move.source, target, move)
        elif here:
            _check_content(move.source, move.content_hash)
            atomic.remove_abandoned(target, older_than_seconds=0)
            _move_file(move.source, target, move.content_hash)
        if here or there:
            self.moved.append(move)
            self._finished.add(move.source)
            if move.kept is not None:
                mark_moved_away(self._db, move.source)

    def move(self, thing: Sequence[SpareFile]) -> None:
        """Move a thing's files, all or none."""
        if thing[0].source in self._finished:
            return
        try:
            if self._full:
                raise Left(FULL)
            moves = [self._check(file) for file in thing]
        except Left as error:
            self.left[thing[0].source] = str(error)
            return
        self._write({"move": [move.to_json() for move, _ in moves]})
        done: list[Move] = []
        try:
            for move, status in moves:
                if _identify(os.lstat(move.source)) != _identify(status):
                    raise Left(f"{move.source} has changed just now")
                _move_file(move.source, os.path.join(self._folder, move.target), move.content_hash)
                done.append(move)
        except (Left, OSError) as error:
            self._full = isinstance(error, OSError) and error.errno in outputs.FULL
            self.left[thing[0].source] = _describe(error)
            for move in reversed(done):
                with contextlib.suppress(OSError):
                    _move_file(os.path.join(self._folder, move.target), move.source, move.content_hash)
            return
        self.moved += done
        with self._db.transaction():
            for move in done:
                if move.kept is not None:
                    mark_moved_away(self._db, move.source)

    def _check(self, file: SpareFile) -> tuple[Move, os.stat_result]:
        """The file with its content as it is now, and its status. Raises Left where it is not to be moved."""
        if os.path.lexists(file.target):
            raise Left(f"{file.target} is there already")
        if file.kept is not None:
            self._check_kept(file.kept, file.source)
        try:
            content_hash, status = hash_file(file.source)
        except Unreadable as error:
            raise Left(error.reason if file.photo is not None else f"{file.source}: {error.reason}") from None
        if file.photo is not None and content_hash != file.photo.content_hash:
            raise Left("has changed since it was indexed")
        target = os.path.relpath(file.target, self._folder).replace(os.sep, "/")
        kept = None if file.kept is None else file.kept.path
        try:
            folder_inode = os.stat(os.path.dirname(file.source)).st_ino
        except OSError as error:
            raise Left(_describe(error)) from None
        return Move(file.source, target, status.st_size, content_hash, folder_inode, kept), status

    def _check_kept(self, kept: IndexedFile, spare: str) -> None:
        """The photo to keep is there, with its content, and is another file. It is read again only if it changed."""
        try:
            status = os.lstat(kept.path)
            if os.path.samestat(status, os.lstat(spare)):
                raise Left(f"is the photo to keep itself, under another name: {kept.path}")
            if self._kept.get(kept.path) == _identify(status):
                return
            content_hash, status = hash_file(kept.path)
        except OSError as error:
            raise Left(f"the photo to keep, {kept.path}, or this one: {(error.strerror or '').lower()}") from None
        except Unreadable as error:
            raise Left(f"the photo to keep, {kept.path}: {error.reason}") from None
        if content_hash != kept.content_hash:
            raise Left(f"the photo to keep, {kept.path}, has changed since it was indexed")
        self._kept[kept.path] = _identify(status)


@dataclass(frozen=True, slots=True)
class UndoResult:
    """photos, files (photos included): that are at their old places again. left: (where it is, why it stays there)."""

    photos: int
    files: int
    left: tuple[tuple[str, str], ...] = ()


def undo_move(db: Database, path: str, progress: Progress | None = None) -> UndoResult:
    """Move back what a log tells of, last first. Raises InputError, StoreError.

    progress: called after each thing. What is at its old place already counts as moved back once its row says so.
    """
    log = read_log(path)
    with lock_library(db), continue_log(log.path) as (_, write):
        write({"undo": database.now()})
        roots = {root.root: is_away(root.root) for root in list_roots(db)}
        photos = files = 0
        left: dict[str, str] = {}
        for thing in reversed(log.things):
            for move in reversed(thing):
                target = os.path.join(log.folder, move.target)
                try:
                    if not _put_back(move, target, log.folder, roots):
                        if move.kept is not None and is_moved_away(db, move.source):  # killed before its row said so
                            _check_content(move.source, move.content_hash)
                            _mark_back(db, move.source)
                        continue
                except (Left, OSError) as error:
                    left[target] = _describe(error)
                    continue
                files += 1
                if move.kept is not None:
                    photos += 1
                    _mark_back(db, move.source)
            if progress is not None:
                progress()
        targets = (move.target for thing in log.things for move in thing)
        for folder in {os.path.dirname(os.path.join(log.folder, target)) for target in targets}:
            _remove_empty(folder, log.folder)
        write({"undone": files})
    return UndoResult(photos, files, tuple(left.items()))


def _put_back(move: Move, target: str, folder: str, roots: Mapping[str, bool]) -> bool:
    """Move one file from the target to its old place -> whether it was not there. roots: -> whether each is away."""
    root = next((root for root in roots if is_below(move.source, root)), None)
    if root is None:
        raise Left(f"{move.source} is in no indexed folder")
    if roots[root] and _read_inode(os.path.dirname(move.source)) != move.folder_inode:
        raise Left(f"the drive of {root} is away")
    here, there = os.path.lexists(move.source), os.path.lexists(target)
    if not there:
        if not here:
            raise Left(f"is missing, and so is {move.source}")
        atomic.remove_abandoned(target, older_than_seconds=0)
        return False
    if not is_below(os.path.realpath(target), folder):
        raise Left("is behind a symbolic link")
    if here:
        _remove_second(target, move.source, move)
        return True
    _check_content(target, move.content_hash)
    before = os.path.dirname(move.source)
    os.makedirs(before, exist_ok=True)
    if os.stat(before).st_dev != os.stat(target).st_dev:  # a copy, of which a kill may have left a part
        atomic.remove_abandoned(move.source, older_than_seconds=0)
    _move_file(target, move.source, move.content_hash)
    return True


def _remove_second(path: str, other: str, move: Move) -> None:
    """Remove a file of which the other place holds the same, as a kill may leave it. Raises Left where it doesn't."""
    for one in (other, path):
        _check_content(one, move.content_hash, f"another file is at {other}" if one == other else None)
    os.unlink(path)


def _check_content(path: str, content_hash: bytes, reason: str | None = None) -> None:
    try:
        found, _ = hash_file(path)
    except Unreadable as error:
        raise Left(error.reason) from None
    if found != content_hash:
        raise Left(reason or "has changed since it was moved, or was about to be")


def _move_file(source: str, target: str, content_hash: bytes) -> None:
    """Raises OSError."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    atomic.move_file(source, target, check=lambda copy: hash_file(copy)[0] == content_hash)


def _read_inode(path: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(path).st_ino
    return None


def _mark_back(db: Database, path: str) -> None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        name_date = date_in_name(os.path.basename(path))
        file = FileRecord(
            status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino, name_date
        )
        mark_moved_back(db, path, file)


def _remove_empty(folder: str, top: str) -> None:
    """Remove a folder and those above it, below the top, that hold nothing."""
    with contextlib.suppress(OSError):
        while is_below(folder, top):
            Path(folder).rmdir()
            folder = os.path.dirname(folder)


def _identify(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _describe(error: Left | OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{error.filename} is there already"
    return str(error) if isinstance(error, Left) else f"can't be moved: {(error.strerror or str(error)).lower()}"
