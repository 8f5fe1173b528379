"""Shards into the library, by the library's own writes: one transaction a shard, so that a merge can be taken up again.

A row counts only while its file is what it was when it was looked at; all others are dropped, and the next plain
`index` looks at them. That `index` also finds what was moved and what is gone: a shard knows nothing of either.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from photosearch.engines.shards import END, ModelRef, ShardFile, ShardHeader, check_predictions, read, read_header
from photosearch.engines.store import Store, open_store
from photosearch.errors import InputError, PhotosearchError
from photosearch.index.commit import Committer
from photosearch.index.events import Event, ShardRowSkipped
from photosearch.index.infer import PhotoResult
from photosearch.index.plan import BookkeepingUpdate, FolderScan, PendingPhoto, PlanOptions, decide
from photosearch.index.run import Load, Run, RunOptions, Work, check_exists, place_folder
from photosearch.library.database import Database, is_below
from photosearch.library.folders import FolderSettings, Scope, put_folder, put_settings, read_own_settings
from photosearch.library.photos import StoredPhoto, read_folder
from photosearch.library.runs import begin_run, end_run
from photosearch.photos.remote import is_address, list_folder
from photosearch.photos.walk import Photo, find_photo

NO_SETTINGS = FolderSettings()


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

    def read_head(self) -> ShardHeader:
        with self.store.open(self.name) as file:
            return read_header(file, self.path)


def find_files(places: Sequence[str]) -> list[ShardLocation]:
    """The shards that are named, and those in folders, or below addresses, that are. Raises InputError."""
    files = []
    for named in places:
        if named.endswith(END):
            files.append(
                ShardLocation(open_store(os.path.dirname(named) or ".", create=False), os.path.basename(named))
            )
            continue
        store = open_store(named, create=False)
        found = [ShardLocation(store, name) for name in store.names()]
        if not found:
            raise InputError(f"{named}: holds no shard; name the folder that index --shards was given")
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
    """Take shards into the library, and give each event once its rows are committed.

    roots: the workers' folder -> ours, where they are not the same. settings: as for an index. What is in the library
    already stays as it is. Raises InputError, before anything of that shard is written, where it is damaged or the
    library does not ask its models; ModelError, StoreError.
    """
    known: dict[str, str] = {}
    seen: dict[ModelRef, ShardLocation] = {}
    for file in files:  # now, and not after hours with the files before it
        head = file.read_head()
        known[head.root] = map_root(head.root, roots or {}, file.path)
        seen |= {one: file for one in head.seen if one not in seen}
    for ours in known.values():
        check_exists(db, ours)
    run = Run(db, load, settings, RunOptions(), stop)
    before: dict[Scope, FolderSettings] = {}
    remembered: list[Event] = []
    for ours in dict.fromkeys(known.values()):
        scope, moved = place_folder(db, ours)
        if moved is not None:
            yield moved
        before[scope] = read_own_settings(db, scope)
        remembered += run.remember(scope)
    try:
        run.prepare(list(before))
        for one, file in seen.items():
            _reading_of(run, one, file.path)
    except PhotosearchError:  # what was refused is not remembered either
        for scope, own in before.items():
            put_settings(db, scope, own)
        raise
    yield from remembered
    work = run.work()
    run_id = begin_run(db, run.names, "shards")
    counts: Counter[str] = Counter()
    committer = Committer(db, run.stored, list(run.steps))
    for file in files:
        if stop():
            break
        for event in _merge_one(db, run, work, committer, file, known):
            counts[type(event).__name__] += 1
            yield event
    end_run(db, run_id, {**counts, "stopped": stop()})


def map_root(root: str, roots: Mapping[str, str], name: str) -> str:
    """The workers' root -> ours. Raises InputError where pairs are given and none is for it."""
    for before, ours in roots.items():
        if root == before or is_below(root, before):
            return ours.rstrip("/") + root[len(before.rstrip("/")) :]
    if roots:
        raise InputError(f"{name}: a shard of {root}, of which nothing was said; add --root {root}=FOLDER")
    return root


def _merge_one(
    db: Database, run: Run, work: Work, committer: Committer, file: ShardLocation, known: Mapping[str, str]
) -> Iterator[Event]:
    kept = file.read()
    ours = known[kept.root]
    readings = [_reading_of(run, seen, file.path) for seen in kept.seen]
    check_predictions(kept, [run.readings[i] for i in readings], file.path)
    batch: list[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate] = []
    plans = _Plans(db, run)
    spoken: set[tuple[bytes, int]] = set()
    for looked in kept.looked:
        path = ours.rstrip("/") + looked.photo.path[len(kept.root.rstrip("/")) :]
        step = plans.step_of(path)
        now = None if step is None else plans.find(path, step)
        if now is None or (now.size_bytes, now.mtime_ns) != (looked.photo.size_bytes, looked.photo.mtime_ns):
            yield ShardRowSkipped(path, "it is gone" if now is None else "it has changed since")
            continue
        assert step is not None
        if step.exclusions.excludes(path):
            yield ShardRowSkipped(path, "it is excluded here")
            continue
        if not {run.stored[i].id for i in readings} <= set(step.readings):
            raise InputError(
                f"{file.path}: looked at by {' and '.join(map(str, kept.seen))}, which this folder does not ask; "
                "see `photosearch folders`, and name it: merge --model"
            )
        item = plans.decide(step, now)
        if isinstance(item, PendingPhoto):
            taken = adopt_result(item, looked, now, readings, work, spoken)
            if taken is None:
                yield ShardRowSkipped(path, "its content is not known here")
            else:
                batch.append((item, taken))
        elif isinstance(item, BookkeepingUpdate):
            batch.append(item)
        else:
            yield item
    yield from committer.commit(batch)


def adopt_result(
    todo: PendingPhoto,
    looked: PhotoResult,
    photo: Photo,
    readings: Sequence[int],
    work: Work,
    spoken: set[tuple[bytes, int]],
) -> PhotoResult | None:
    """What a shard says of a photo, as this run would have looked itself: of each content once, by who is asked.

    None where it was not decoded, as a content that was known, and is not known here.

    photo: the file as it stands here. readings: the shard's, as the run counts them. spoken: what the same batch has
    said already: (hash, reading); it is added to.
    """
    if looked.content_hash is None:
        return replace(looked, photo=photo)
    wanted = [i for i in work.wanted(todo, looked.content_hash) if (looked.content_hash, i) not in spoken]
    if wanted and not looked.decoded and looked.reason is None:
        return None
    said = {readings[i]: said for i, said in looked.said.items() if readings[i] in wanted}
    spoken.update((looked.content_hash, i) for i in said)
    if not wanted and looked.reason is None:  # of a known content: nothing would have been decoded
        return PhotoResult(photo, looked.content_hash)
    return replace(looked, photo=photo, said=said)


def _reading_of(run: Run, seen: ModelRef, name: str) -> int:
    for i, reading in enumerate(run.readings):
        if (reading.model.digest, reading.tiles) == (seen.digest, seen.tiles):
            return i
    have = " and ".join(str(ModelRef.by(reading)) for reading in run.readings)
    raise InputError(
        f"{name}: looked at by {seen}, and here {have} is asked; name the same model and tiles, with merge --model and "
        "--tiles, or index anew"
    )


class _Plans:
    """What the library knows of the photos of one shard, asked once a folder."""

    def __init__(self, db: Database, run: Run):
        self._db, self._run = db, run
        self._known: dict[str, tuple[int, dict[str, StoredPhoto]]] = {}
        self._steps: dict[str, FolderScan | None] = {}
        self._listed: dict[str, dict[str, Photo]] = {}  # folders of a bucket

    def step_of(self, path: str) -> FolderScan | None:
        """The walk that would find a photo: that of the nearest folder above it that is walked by itself."""
        folder = os.path.dirname(path)
        if folder not in self._steps:
            above = [s for s in self._run.steps if folder == s.scope.path or is_below(folder, s.scope.path)]
            self._steps[folder] = max(above, key=lambda s: len(s.scope.path), default=None)
        return self._steps[folder]

    def find(self, path: str, step: FolderScan) -> Photo | None:
        """A photo as it stands now, if the walk would find it."""
        if not is_address(path):
            return find_photo(path, follow_symlinks=step.options.follow_symlinks)
        folder, name = os.path.split(path)
        if folder not in self._listed:
            self._listed[folder] = {n: Photo(f"{folder}/{n}", *numbers) for n, _, *numbers in list_folder(folder)}
        return self._listed[folder].get(name)

    def decide(self, step: FolderScan, photo: Photo) -> PendingPhoto | BookkeepingUpdate | Event:
        folder, name = os.path.split(photo.path)
        if folder not in self._known:
            folder_id = put_folder(self._db, step.scope, folder)
            self._known[folder] = folder_id, read_folder(self._db, step.scope, folder, step.readings)
        folder_id, known = self._known[folder]
        return decide(photo, folder_id, known.get(name), step.readings, self._run.why, PlanOptions())
