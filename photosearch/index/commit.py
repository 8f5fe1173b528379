"""What was looked at -> rows, one transaction a batch; and, once all folders were walked, what is gone from them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from photosearch.index.events import (
    Changed,
    Event,
    Excluded,
    Moved,
    New,
    ReadFailed,
    RemovalRefused,
    Removed,
    Rescored,
    Returned,
    Unchanged,
)
from photosearch.index.infer import PhotoResult
from photosearch.index.plan import BookkeepingUpdate, FolderScan, PendingPhoto, is_missing, to_record
from photosearch.library.database import Database, is_below
from photosearch.library.folders import Scope, find_scope, is_away, is_link, list_folders, list_roots, read_settings
from photosearch.library.photos import (
    find_image,
    list_photos,
    list_places,
    list_some_photos,
    mark_absent,
    move_photo,
    put_image,
    put_photo,
    put_unreadable,
    restore_photo,
    update_file,
)
from photosearch.library.scores import activate, find_inactive, put_prediction
from photosearch.photos import remote
from photosearch.photos.decode import Unreadable, content_hash, read

MAX_HASHED = 8  # photos that are read to see whether a folder is a copy of a known one that lost its dates
MAX_PLACES = 16  # of one content that are looked at, to see whether its file has moved; more copies are just copies


@dataclass(frozen=True, slots=True)
class StoredScorer:
    """A reading as the library knows it. label_ids: label name -> label id."""

    id: int
    label_ids: Mapping[str, int]


@dataclass(slots=True)
class Committer:
    """What the batches of one run must remember between them. readings: in the order in which they look."""

    db: Database
    readings: Sequence[StoredScorer]
    walks: list[FolderScan] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)  # photos that were gone, until found elsewhere or marked

    def commit(self, batch: Sequence[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate]) -> list[Event]:
        """Write a batch, all of it or nothing -> what happened, in its order."""
        events: list[Event] = []
        with self.db.transaction():
            for item in batch:
                if isinstance(item, BookkeepingUpdate):
                    events.append(self._settle(item))
                elif item[1].reason is not None:
                    events += self._put_unreadable(*item)
                else:
                    events.append(self._put_read(*item))
        return events

    def _settle(self, item: BookkeepingUpdate) -> Event:
        if item.touched:
            update_file(self.db, item.known.photo_id, to_record(item.photo))
        if item.returned:
            restore_photo(self.db, item.known.photo_id)
        for reading in item.answering:
            assert item.known.image_id is not None
            activate(self.db, item.known.image_id, reading)
        return Returned(item.photo.path) if item.returned else Unchanged(item.photo.path)

    def _put_unreadable(self, todo: PendingPhoto, looked: PhotoResult) -> list[Event]:
        photo = todo.photo
        if looked.passing and is_missing(photo.path):  # it vanished after it was found
            if todo.known is not None and not todo.known.absent:
                self.walks[-1].gone.append((todo.known.photo_id, photo.path))
            return []
        name, reason = os.path.basename(photo.path), looked.reason or ""
        put_unreadable(self.db, todo.folder_id, name, to_record(photo), reason, looked.passing)
        return [ReadFailed(photo.path, reason)]

    def _put_read(self, todo: PendingPhoto, looked: PhotoResult) -> Event:
        photo, name = todo.photo, os.path.basename(todo.photo.path)
        assert looked.content_hash is not None
        image_id = find_image(self.db, looked.content_hash)
        same = todo.known is not None and todo.known.image_id == image_id and image_id is not None
        moved = None if image_id is None or same else self._moved_from(image_id, photo.path)
        if looked.decoded:
            assert looked.width is not None
            assert looked.height is not None
            image_id = put_image(
                self.db, looked.content_hash, looked.width, looked.height,
                looked.taken, looked.taken_from, looked.fingerprint,
            )  # fmt: skip
        assert image_id is not None, "a photo that is not decoded is one whose hash is known"
        file = to_record(photo)
        if moved is not None:
            move_photo(self.db, moved[0], todo.folder_id, name, file)
            self.settled.add(moved[0])
        else:
            put_photo(self.db, todo.folder_id, name, file, image_id)
        self._put_answers(image_id, todo, looked)
        if moved is not None:
            return Moved(photo.path, moved[1])
        if todo.known is None:
            return New(photo.path)
        if not same:
            return Changed(photo.path)
        if todo.known.absent:
            return Returned(photo.path)
        return Rescored(photo.path, todo.why) if looked.said and todo.why else Unchanged(photo.path)

    def _put_answers(self, image_id: int, todo: PendingPhoto, looked: PhotoResult) -> None:
        for i, said in looked.said.items():
            reading = self.readings[i]
            put_prediction(self.db, image_id, reading.id, reading.label_ids, said.scores, said.vector)
        spoke = {self.readings[i].id for i in looked.said}
        silent = [reading_id for reading_id in todo.readings if reading_id not in spoke]
        if silent:  # for most photos every reading spoke
            for reading_id in find_inactive(self.db, image_id, silent):
                activate(self.db, image_id, reading_id)

    def _moved_from(self, image_id: int, path: str) -> tuple[int, str] | None:
        """The photo that this content was known as, if its file is gone from where it was: (photo id, path)."""
        for photo_id, root, before in list_places(self.db, image_id, MAX_PLACES):
            if remote.is_address(before) != remote.is_address(path):
                continue  # a folder of this machine is indexed without asking a network
            if not is_away(root) and (is_missing(before) or self._is_linked_away(before)):
                return photo_id, before
        return None

    def _is_linked_away(self, path: str) -> bool:
        """Whether a link has taken the place of a photo's folder, where links are not followed."""
        folder = os.path.dirname(path)
        if not is_link(folder):
            return False
        scope = find_scope(self.db, folder)
        return scope is not None and not read_settings(self.db, scope).follow_symlinks

    def remove(self, prune: bool) -> Iterator[Event]:
        """Mark what is gone, once all folders were walked: what is gone from one may have come to another."""
        for step in self.walks:
            lost = [(photo_id, path) for photo_id, path in self._lost(step) if photo_id not in self.settled]
            excluded: list[tuple[int, str]] = []
            gone: list[tuple[int, str]] = []
            for photo_id, path in lost:
                (excluded if step.exclusions.excludes(path) else gone).append((photo_id, path))
            yield from self._mark(excluded, "excluded")
            if len(gone) * 2 > step.known_before - len(excluded) and gone and not prune:
                yield RemovalRefused(step.scope.path, len(gone), step.known_before)
                continue
            yield from self._mark(gone, "removed")

    def _mark(self, pairs: Iterable[tuple[int, str]], state: str) -> list[Event]:
        ids = dict(pairs)
        if ids:
            mark_absent(self.db, list(ids), state)
            self.settled.update(ids)
        return [Excluded(path) if state == "excluded" else Removed(path) for path in ids.values()]

    def _lost(self, step: FolderScan) -> list[tuple[int, str]]:
        """Photos that were not found where they were, and whose folder could be read, is excluded or is gone itself."""
        lost = list(step.gone)
        for folder_id, path in list_folders(self.db, step.scope):
            elsewhere = any(path == top or is_below(path, top) for top in (*step.unlisted, *step.apart))
            if folder_id not in step.visited and not elsewhere:
                lost += [(i, os.path.join(path, name)) for i, name in list_photos(self.db, folder_id)]
        return lost


def find_moved_root(db: Database, path: str, same: float, n: int = 64) -> Scope | None:
    """The root whose folder this one once was: away from its place, and of up to n of its photos most are here.

    A link in its place says so by itself. Photos are known by their sizes and dates; where a copy lost the dates, the
    content of a few of them decides.
    """
    for root in list_roots(db):
        if remote.is_address(root.root) or remote.is_address(path):
            continue
        if is_link(root.root) and os.path.realpath(root.root) == path:
            return root
        if is_away(root.root) and _holds(path, list_some_photos(db, root, n), same):
            return root
    return None


def _holds(path: str, photos: Sequence[tuple[str, int, int, bytes | None]], same: float) -> bool:
    """Whether at least so large a share of these photos stands in a folder."""
    dated = 0
    undated: list[tuple[str, bytes]] = []
    for below, size_bytes, mtime_ns, content in photos:
        try:
            status = os.stat(os.path.join(path, below))
        except OSError:
            continue
        if status.st_size == size_bytes and status.st_mtime_ns == mtime_ns:
            dated += 1
        elif status.st_size == size_bytes and content is not None:
            undated.append((os.path.join(path, below), content))
    if not photos or dated >= same * len(photos):
        return bool(photos)
    few = undated[:: max(1, len(undated) // MAX_HASHED)][:MAX_HASHED]
    return dated + len(undated) >= same * len(photos) and all(_has_content(*one) for one in few)


def _has_content(path: str, content: bytes) -> bool:
    try:
        return content_hash(read(path)) == content
    except Unreadable:
        return False
