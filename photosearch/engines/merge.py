"""Shards into the library, by the same path as an index: the shards take the place of an engine.

All shards are read and checked before the first row is written. Each is one transaction, so that an interrupted merge
can be repeated. A shard adds no folder to the library: it is of one that is there, or that was named. A row counts only
while its file is what it was when it was scored; the others are skipped, and the next plain `index` scores those
photos. That `index` also finds what was moved or is missing: a shard knows nothing of either.
"""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from photosearch.engines.shards import SUFFIX, ModelRef, ShardFile, ShardHeader, check_predictions, read, read_header
from photosearch.engines.store import Store, open_store
from photosearch.errors import InputError
from photosearch.index.commit import Batch
from photosearch.index.events import Event, ShardRowSkipped
from photosearch.index.infer import LoadedScorer, PhotoResult, Scorer
from photosearch.index.plan import NO_SETTINGS, Load, RunPlan, plan_run
from photosearch.index.roots import rebase
from photosearch.index.run import Work, execute
from photosearch.index.scan import BookkeepingUpdate, FolderScan, PendingPhoto, ScanOptions, compare_photo
from photosearch.library.database import Database, is_below
from photosearch.library.folders import FolderSettings, is_link, list_roots, put_folder
from photosearch.library.photos import StoredPhoto, read_folder
from photosearch.photos.remote import is_address, list_folder, real_path
from photosearch.photos.walk import EXTENSIONS, Photo, find_photo


@dataclass(frozen=True, slots=True)
class ShardLocation:
    """One shard's file."""

    store: Store
    name: str

    @property
    def path(self) -> str:
        return f"{self.store.place}/{self.name}"

    def read(self) -> ShardFile:
        with self.store.open(self.name) as file:
            return read(file, self.path)

    def read_header(self) -> ShardHeader:
        with self.store.open(self.name) as file:
            return read_header(file, self.path)


def find_files(places: Sequence[str]) -> list[ShardLocation]:
    """The named shards, and those in the named folders or buckets. Raises InputError."""
    files = []
    for place in places:
        if place.endswith(SUFFIX):
            store = open_store(os.path.dirname(place) or ".", create=False)
            files.append(ShardLocation(store, os.path.basename(place)))
            continue
        store = open_store(place, create=False)
        found = [ShardLocation(store, name) for name in store.names()]
        if not found:
            raise InputError(f"{place}: contains no shards; name the folder that was given to index --shards")
        files += found
    return files


def merge(
    db: Database,
    files: Sequence[ShardLocation],
    load: Load,
    *,
    roots: Mapping[str, str] | None = None,
    settings: FolderSettings = NO_SETTINGS,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Import shards into the library, and yield each event once its rows are committed.

    roots: the workers' folder -> the same folder here, where it differs or the library doesn't know it. settings: as
    for an index. Raises InputError, before anything is written, where a shard is damaged, holds an impossible row, or
    is of a folder that is neither known nor named; or where the folders don't ask for its models. Raises ModelError and
    StoreError.
    """
    named = [real_path(folder) for folder in (roots or {}).values()]
    known = [*(scope.root for scope in list_roots(db)), *named]
    places: dict[str, str] = {}
    models: dict[ModelRef, str] = {}
    for file in files:
        header = file.read_header()
        places[header.root] = find_place_here(header.root, roots or {}, known, file.path)
        for model in header.models:
            models.setdefault(model, file.path)
    plan = plan_run(db, list(places.values()), load, settings=settings)
    for model, path in models.items():
        _check_model(plan, model, path)
    importer = ShardImporter(db, files, places)
    for file in files:
        if stop():
            break
        importer.read(file, [scorer.loaded for scorer in plan.scorers])
    yield from execute(db, replace(plan, provider="shards"), importer, stop)


def find_place_here(root: str, roots: Mapping[str, str], known: Sequence[str], name: str) -> str:
    """The workers' root -> the same folder here, without links. No network is asked.

    known: folders that are the user's. Raises InputError where the folder is not one of them, nor below one.
    """
    pair = next(((before, ours) for before, ours in roots.items() if root == before or is_below(root, before)), None)
    place = real_path(root if pair is None else rebase(root, *pair))
    if not any(place == folder or is_below(place, folder) for folder in known):
        shown = (shlex.quote(root) if root.isprintable() else ascii(root))[:200]
        raise InputError(
            f"{name}: a shard of {shown}, which is no folder of this library; if it is yours, name it: "
            f"--root {shown}, or where it is here: --root {shown}=FOLDER"
        )
    return place


def _check_model(plan: RunPlan, model: ModelRef, name: str) -> None:
    if model.scorer not in {scorer.loaded.key for scorer in plan.scorers}:
        have = " and ".join(str(ModelRef.of(scorer.loaded)) for scorer in plan.scorers)
        raise InputError(
            f"{name}: scored by {model}, but the folder's models are {have}; name the same model and tiles with merge "
            "--model and --tiles, or index again"
        )


@dataclass(frozen=True, slots=True)
class ShardImporter:
    """An engine whose photos are scored already: it takes them from shards, and nothing from the scans.

    places: the workers' root -> the same folder here.
    """

    db: Database
    files: Sequence[ShardLocation]
    places: Mapping[str, str]

    def infer(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        """One batch for each shard."""
        for file in self.files:
            if work.stop():
                return
            yield from self._read(file, work)

    def read(self, file: ShardLocation, scorers: Sequence[LoadedScorer]) -> ShardFile:
        """Read a shard and check all of it. Raises InputError."""
        shard = file.read()
        if shard.root not in self.places:
            raise InputError(f"{file.path}: changed while it was read; run the same command again")
        check_predictions(shard, scorers, file.path)
        return shard

    def _read(self, file: ShardLocation, work: Work) -> Iterator[Batch | Event]:
        shard = self.read(file, work.scorers)
        importing = _ShardImport(self.db, work, shard, file.path)
        batch: list[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate] = []
        for result in shard.results:
            item = importing.take_row(result, rebase(result.photo.path, shard.root, self.places[shard.root]))
            if isinstance(item, tuple | BookkeepingUpdate):
                batch.append(item)
            else:
                yield item
        yield batch


@dataclass(frozen=True, slots=True)
class _ShardImport:
    """One shard on its way into the library. Each folder is looked up once.

    name: of the file, for messages. scored: contents and scorers of the rows so far.
    """

    db: Database
    work: Work
    shard: ShardFile
    name: str
    scored: set[tuple[bytes, Scorer]] = field(default_factory=set)
    _scans: dict[str, FolderScan | None] = field(default_factory=dict)
    _stored: dict[str, tuple[int, dict[str, StoredPhoto]]] = field(default_factory=dict)
    _linked: dict[str, bool] = field(default_factory=dict)
    _listed: dict[str, dict[str, Photo]] = field(default_factory=dict)  # folders of a bucket

    def take_row(self, result: PhotoResult, path: str) -> tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate | Event:
        """What to write for a row, or what to report. path: of the photo here. Raises InputError."""
        if os.path.splitext(path)[1].lower() not in EXTENSIONS:
            return ShardRowSkipped(path, "it is no photo")
        scan = self._find_scan(path)
        photo = None if scan is None else self._find_photo(path, scan)
        if scan is None or photo is None:
            return ShardRowSkipped(path, "it is missing")
        if (photo.size_bytes, photo.mtime_ns) != (result.photo.size_bytes, result.photo.mtime_ns):
            return ShardRowSkipped(path, "it has changed since")
        if scan.exclusions.excludes(path):
            return ShardRowSkipped(path, "it is excluded here")
        self._check_models(scan)
        item = self._compare(photo, scan)
        if not isinstance(item, PendingPhoto):
            return item
        adopted = adopt_result(item, result, photo, self.work, self.scored)
        return ShardRowSkipped(path, "its content is not known here") if adopted is None else (item, adopted)

    def _find_scan(self, path: str) -> FolderScan | None:
        """The scan that would find a photo: that of the nearest folder above it that is scanned on its own."""
        folder = os.path.dirname(path)
        if folder not in self._scans:
            above = [s for s in self.work.scans if folder == s.scope.path or is_below(folder, s.scope.path)]
            self._scans[folder] = max(above, key=lambda scan: len(scan.scope.path), default=None)
        return self._scans[folder]

    def _find_photo(self, path: str, scan: FolderScan) -> Photo | None:
        """A photo as it is now, if the scan would find it."""
        if not is_address(path):
            follow = scan.options.follow_symlinks
            return find_photo(path, follow_symlinks=follow) if follow or not self._is_linked(path) else None
        folder, name = os.path.split(path)
        if folder not in self._listed:
            self._listed[folder] = {
                name: Photo(f"{folder}/{name}", size, mtime) for name, _, size, mtime in list_folder(folder)
            }
        return self._listed[folder].get(name)

    def _is_linked(self, path: str) -> bool:
        """Whether a link leads to a photo's folder, which the scan would not follow."""
        folder = os.path.dirname(path)
        if folder not in self._linked:
            self._linked[folder] = is_link(folder)
        return self._linked[folder]

    def _check_models(self, scan: FolderScan) -> None:
        if not {model.scorer for model in self.shard.models} <= set(scan.scorers):
            raise InputError(
                f"{self.name}: scored by {' and '.join(map(str, self.shard.models))}, which {scan.scope.path} doesn't "
                "use; see `photosearch folders`, and name it: merge --model"
            )

    def _compare(self, photo: Photo, scan: FolderScan) -> PendingPhoto | BookkeepingUpdate | Event:
        folder, name = os.path.split(photo.path)
        if folder not in self._stored:
            folder_id = put_folder(self.db, scan.scope, folder)
            stored = read_folder(self.db, scan.scope, folder, list(scan.scorer_ids.values()))
            self._stored[folder] = folder_id, stored
        folder_id, stored = self._stored[folder]
        return compare_photo(photo, folder_id, stored.get(name), scan, ScanOptions())


def adopt_result(
    pending: PendingPhoto, result: PhotoResult, photo: Photo, work: Work, scored: set[tuple[bytes, Scorer]]
) -> PhotoResult | None:
    """A shard's result as this run would have made it: only the predictions that are wanted, once for each content.

    None where the photo was not decoded because its content was known, and it is not known here.
    photo: the file as it is here. scored: contents and scorers in the same batch so far; extended.
    """
    if result.content_hash is None:
        return replace(result, photo=photo)
    content_hash = result.content_hash
    wanted = [key for key in work.find_wanted(pending, content_hash) if (content_hash, key) not in scored]
    if wanted and not result.decoded and result.reason is None:
        return None
    predictions = {key: prediction for key, prediction in result.predictions.items() if key in wanted}
    scored.update((content_hash, key) for key in predictions)
    if not wanted and result.reason is None:  # a local run would not have decoded it
        return PhotoResult(photo, content_hash, metadata=result.metadata)
    return replace(result, photo=photo, predictions=predictions)
