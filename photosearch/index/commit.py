"""Results of photos -> rows, one transaction a batch; and, once all folders were scanned, what is missing from them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from photosearch.index.events import (
    Changed,
    Event,
    Excluded,
    MetadataRead,
    Moved,
    New,
    ReadFailed,
    RemovalRefused,
    Removed,
    Rescored,
    Returned,
    Unchanged,
)
from photosearch.index.infer import PhotoResult, Scorer
from photosearch.index.scan import BookkeepingUpdate, FolderScan, PendingPhoto, is_missing, to_record
from photosearch.library.database import Database, is_below
from photosearch.library.details import delete_details, put_dates, put_details
from photosearch.library.folders import find_scope, is_away, is_link, list_folders, read_settings
from photosearch.library.photos import (
    FileRecord,
    find_damage,
    find_image,
    list_photos,
    list_places,
    mark_absent,
    move_photo,
    put_damage,
    put_image,
    put_photo,
    put_unreadable,
    restore_photo,
    update_file,
)
from photosearch.library.scores import activate, find_inactive, find_scored, put_prediction
from photosearch.metadata.dates import SIDECAR_SOURCES, choose_date
from photosearch.metadata.record import PhotoMetadata
from photosearch.photos import remote
from photosearch.photos.decode import DAMAGED

MAX_PLACES = 16  # paths of one content that are checked for a moved file; more copies are just copies

Batch = Sequence[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate]


@dataclass(frozen=True, slots=True)
class StoredScorer:
    """A scorer as the library knows it. label_ids: label name -> label id."""

    id: int
    label_ids: Mapping[str, int]


@dataclass(slots=True)
class Committer:
    """Writes the batches of one run, and keeps what has to be known of earlier ones.

    unusable: contents and ids of scorers whose stored vector must be made again. scans: those that have begun.
    resolved: ids of missing photos that were found elsewhere, or marked.
    """

    db: Database
    scorers: Mapping[Scorer, StoredScorer]
    unusable: set[tuple[bytes, int]] = field(default_factory=set)
    scans: list[FolderScan] = field(default_factory=list)
    resolved: set[int] = field(default_factory=set)

    def find_wanted(self, pending: PendingPhoto, content_hash: bytes) -> list[Scorer]:
        """The scorers that have not scored this content yet. May be called from any thread."""
        ids = {scorer: self.scorers[scorer].id for scorer in pending.scorers}
        scored = find_scored(self.db, content_hash, list(ids.values()))
        return [scorer for scorer, i in ids.items() if i not in scored or (content_hash, i) in self.unusable]

    def commit(self, batch: Batch) -> list[Event]:
        """Write a batch, all of it or nothing -> what happened, in its order."""
        events: list[Event] = []
        with self.db.transaction():
            for item in batch:
                if isinstance(item, BookkeepingUpdate):
                    events.append(self._update(item))
                elif item[0].metadata == "only":
                    events += self._put_metadata_only(*item)
                elif item[1].reason is not None and not item[1].decoded:
                    events += self._put_unreadable(*item)
                else:
                    events.append(self._put_photo(*item))
        return events

    def _update(self, item: BookkeepingUpdate) -> Event:
        if item.touched:
            update_file(self.db, item.known.photo_id, to_record(item.photo))
        if item.returned:
            restore_photo(self.db, item.known.photo_id)
        for scorer in item.inactive:
            assert item.known.image_id is not None
            activate(self.db, item.known.image_id, self.scorers[scorer].id)
        return Returned(item.photo.path) if item.returned else Unchanged(item.photo.path)

    def _put_unreadable(self, pending: PendingPhoto, result: PhotoResult) -> list[Event]:
        photo = pending.photo
        if result.transient and is_missing(photo.path):  # it vanished after the scan
            scan = self._find_scan(photo.path)
            if scan is not None and pending.known is not None and not pending.known.absent:
                scan.missing.append((pending.known.photo_id, photo.path))
            return []
        name, reason = os.path.basename(photo.path), result.reason or ""
        if pending.known is not None and (pending.known.size_bytes, pending.known.mtime_ns) != (
            photo.size_bytes, photo.mtime_ns
        ):  # fmt: skip
            delete_details(self.db, [pending.known.photo_id])
        put_unreadable(self.db, pending.folder_id, name, to_record(photo), reason, result.transient)
        return [ReadFailed(photo.path, reason)]

    def _find_scan(self, path: str) -> FolderScan | None:
        above = [scan for scan in self.scans if is_below(path, scan.scope.path)]
        return max(above, key=lambda scan: len(scan.scope.path), default=None)

    def _put_photo(self, pending: PendingPhoto, result: PhotoResult) -> Event:
        photo, name = pending.photo, os.path.basename(pending.photo.path)
        assert result.content_hash is not None
        image_id = find_image(self.db, result.content_hash)
        same = pending.known is not None and pending.known.image_id == image_id and image_id is not None
        moved = None if image_id is None or same else self._find_moved(image_id, photo.path)
        if result.decoded:
            assert result.width is not None
            assert result.height is not None
            image_id = put_image(
                self.db, result.content_hash, result.width, result.height,
                result.taken, result.taken_from, result.fingerprint,
            )  # fmt: skip
        assert image_id is not None, "a photo is only left undecoded if its hash is known"
        file = to_record(photo)
        if moved is not None:
            photo_id = moved[0]
            move_photo(self.db, photo_id, pending.folder_id, name, file)
            self.resolved.add(photo_id)
        else:
            photo_id = put_photo(self.db, pending.folder_id, name, file, image_id)
        if result.metadata is not None:
            self._put_metadata(photo_id, pending, result.metadata, file)
        elif not same and moved is None:
            delete_details(self.db, [photo_id])
        damage = result.reason if result.decoded else find_damage(self.db, image_id, DAMAGED)
        if damage is not None:
            put_damage(self.db, pending.folder_id, name, damage)
        self._put_predictions(image_id, pending, result)
        if moved is not None:
            return Moved(photo.path, moved[1])
        if pending.known is None:
            return New(photo.path)
        if not same:
            return Changed(photo.path)
        if pending.known.absent:
            return Returned(photo.path)
        if result.predictions and pending.reason:
            return Rescored(photo.path, pending.reason)
        return Unchanged(photo.path)

    def _put_metadata_only(self, pending: PendingPhoto, result: PhotoResult) -> list[Event]:
        """Of a known photo. Where its file can't be read for it and never will, it says nothing."""
        path, known = pending.photo.path, pending.known
        assert known is not None
        found = PhotoMetadata() if result.metadata is None and not result.transient else result.metadata
        if found is None or (result.reason is None and result.metadata is None):
            return [Unchanged(path)]
        self._put_metadata(known.photo_id, pending, found, to_record(pending.photo))
        return [Unchanged(path), MetadataRead(path)]

    def _put_metadata(self, photo_id: int, pending: PendingPhoto, found: PhotoMetadata, file: FileRecord) -> None:
        name = os.path.basename(pending.photo.path)
        own = choose_date((date for date in found.dates if date.source not in SIDECAR_SOURCES), name)
        put_dates(self.db, photo_id, own, choose_date(found.dates, name), file.name_date)
        if pending.metadata == "dates":
            delete_details(self.db, [photo_id])
        else:
            put_details(self.db, photo_id, found, pending.sidecars)

    def _put_predictions(self, image_id: int, pending: PendingPhoto, result: PhotoResult) -> None:
        content_hash = result.content_hash or b""
        for scorer, prediction in result.predictions.items():
            stored = self.scorers[scorer]
            put_prediction(self.db, image_id, stored.id, stored.label_ids, prediction.scores, prediction.vector)
            self.unusable.discard((content_hash, stored.id))
        others = [self.scorers[scorer].id for scorer in pending.scorers if scorer not in result.predictions]
        if others:  # most photos have a prediction of each scorer
            for scorer_id in find_inactive(self.db, image_id, others):
                activate(self.db, image_id, scorer_id)

    def _find_moved(self, image_id: int, path: str) -> tuple[int, str] | None:
        """The known photo with this content whose file is gone from its place: (photo id, former path)."""
        for photo_id, root, before in list_places(self.db, image_id, MAX_PLACES):
            if remote.is_address(before) != remote.is_address(path):
                continue  # indexing a local folder must not use the network
            if not is_away(root) and (is_missing(before) or self._is_behind_link(before)):
                return photo_id, before
        return None

    def _is_behind_link(self, path: str) -> bool:
        """Whether a link has replaced a photo's folder, where links are not followed."""
        folder = os.path.dirname(path)
        if not is_link(folder):
            return False
        scope = find_scope(self.db, folder)
        return scope is not None and not read_settings(self.db, scope).follow_symlinks

    def remove(self, prune: bool, lately: Mapping[str, int]) -> Iterator[Event]:
        """Mark what is missing. Only once all folders were scanned: a photo may have moved from one to another.

        lately: folder -> photos of it that runs just before this one have removed; they count as missing, too.
        """
        for scan in self.scans:
            missing: list[tuple[int, str]] = []
            excluded: list[tuple[int, str]] = []
            for photo_id, path in self._find_missing(scan):
                if photo_id not in self.resolved:
                    (excluded if scan.exclusions.excludes(path) else missing).append((photo_id, path))
            yield from self._mark(excluded, "excluded")
            earlier = sum(n for folder, n in lately.items() if _belongs(folder, scan))
            known = scan.known_before - len(excluded) + earlier
            if (len(missing) + earlier) * 2 > known and missing and not prune:
                yield RemovalRefused(scan.scope.path, len(missing), scan.known_before, earlier)
                continue
            yield from self._mark(missing, "removed")

    def _mark(self, photos: Iterable[tuple[int, str]], state: str) -> list[Event]:
        paths = dict(photos)
        if paths:
            mark_absent(self.db, list(paths), state)
            self.resolved.update(paths)
        return [Excluded(path) if state == "excluded" else Removed(path) for path in paths.values()]

    def _find_missing(self, scan: FolderScan) -> list[tuple[int, str]]:
        """Known photos that the scan did not find, and whose folder was read, is excluded or is gone: (id, path)."""
        missing = list(scan.missing)
        for folder_id, path in list_folders(self.db, scan.scope):
            elsewhere = any(path == top or is_below(path, top) for top in (*scan.unlisted, *scan.apart))
            unseen = folder_id not in scan.visited and (scan.changes is None or scan.changes.covers(path))
            if unseen and not elsewhere:
                missing += [(i, os.path.join(path, name)) for i, name in list_photos(self.db, folder_id)]
        return missing


def _belongs(folder: str, scan: FolderScan) -> bool:
    """Whether a folder is one that a scan looks at."""
    tops = (top for top in (scan.scope.path, *scan.apart) if folder == top or is_below(folder, top))
    return max(tops, key=len, default=None) == scan.scope.path
