"""THE MAIN PATH: plan -> look -> commit.

    folder -> Todo | Settle | Event -> Looked -> rows, one transaction a batch

Who looks is the one seam: an Engine makes batches of what the plan asks for. `Here` is the engine of this machine;
engines/ holds those that spread the work. Yields what happened and prints nothing: the command line makes a progress
bar of it, a test makes a list. Here, batches are committed in the order in which their photos were found, so that a
run that was interrupted and taken up again ends in the same rows.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from photosearch.errors import InputError, ModelError
from photosearch.index.commit import Committer, StoredScorer, find_moved_root
from photosearch.index.events import Event, RootMoved, SettingsSaved
from photosearch.index.folder_settings import describe_change, merge_settings, to_walk_options
from photosearch.index.infer import MAX_PENDING, PhotoOpener, PhotoResult, Scorer, choose_batch_size, infer
from photosearch.index.plan import BookkeepingUpdate, FolderScan, PendingPhoto, PlanOptions, plan
from photosearch.library.database import Database, is_below, to_relative
from photosearch.library.folders import (
    FolderSettings,
    Scope,
    absorb_root,
    add_root,
    count_photos,
    find_scope,
    list_folders,
    list_roots,
    list_settings,
    move_root,
    put_settings,
    read_own_settings,
    read_settings,
    to_stored_path,
)
from photosearch.library.models import list_models, put_model, read_default_model, read_model_path, set_default_model
from photosearch.library.photos import read_content_hash
from photosearch.library.runs import begin_run, end_run
from photosearch.library.scores import find_scored
from photosearch.models.session import Model
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.remote import is_folder, real_path
from photosearch.photos.walk import Exclusions, Photo, walk

NO_SETTINGS = FolderSettings()
MIN_SAME_PHOTOS = 0.9  # of the photos that are looked at, so that a folder counts as a known one that was moved

Load = Callable[[str | None], Model]
Batch = Sequence[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What is asked of one run, and not remembered.

    force: open and score everything again. retry: open again what could not be read. prune: believe it when most
    photos of a folder are gone.
    """

    batch_size: int | None = None
    workers: int | None = None
    max_pixels: int | None = None
    force: bool = False
    retry: bool = False
    prune: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What an engine needs to know of a run.

    readings: those that look, in the order in which `Looked.said` counts them. ids: theirs in the library, as
    `Todo.readings` names them. wanted: (photo, hash of its bytes) -> indexes of the readings that are still to look at
    that content; it may be asked from any thread. roots: of the folders that are walked. unless: of a photo whose
    content all its readings know already, as long as it is that: its hash.
    """

    readings: Sequence[Scorer]
    ids: Sequence[int]
    wanted: Callable[[PendingPhoto, bytes], list[int]]
    options: RunOptions
    stop: Callable[[], bool]
    roots: Sequence[str] = ()
    unless: Callable[[PendingPhoto], bytes | None] = lambda todo: None


class Engine(Protocol):
    """Who looks at photos: what the plan asks for -> batches, each of which becomes one transaction."""

    def look(
        self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work
    ) -> Iterator[Batch | Event]: ...


def index(
    db: Database,
    folders: Sequence[str],
    load: Load,
    *,
    settings: FolderSettings = NO_SETTINGS,
    options: RunOptions | None = None,
    stop: Callable[[], bool] = lambda: False,
    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool,
    engine: Engine | None = None,
) -> Iterator[Event]:
    """Bring the library up to date with these folders, and give each event once its rows are committed.

    load: a model's name or file, None for the tool's default -> the model. settings: what is said of all these folders
    now; they remember it. stop: asked before each folder and each photo; once true, the batch at hand is committed and
    the run ends, with nothing removed. engine: who looks; None is this machine, by `decoders`. Raises InputError,
    ModelError or StoreError; the batches that were committed before stay.
    """
    for folder in folders:  # now, and not after hours with the folders before it
        check_exists(db, folder)
    run = Run(db, load, settings, options or RunOptions(), stop)
    scopes: list[Scope] = []
    for folder in folders:
        scope, moved = place_folder(db, folder)
        if moved is not None:
            yield moved
        scopes.append(scope)
        yield from run.remember(scope)
    run.prepare(scopes)
    run_id = begin_run(db, run.names, run.provider)
    counts: Counter[str] = Counter()
    for event in run.events(engine or LocalEngine(decoders)):
        counts[type(event).__name__] += 1
        yield event
    end_run(db, run_id, {**counts, "stopped": stop()})


def place_folder(db: Database, folder: str) -> tuple[Scope, RootMoved | None]:
    """A folder that was named -> where it lies in the library; a new root is made, a moved one recognised."""
    path = _find_place(db, folder)
    scope = find_scope(db, path)
    if scope is not None:
        return scope, _follow_links(db, scope)
    root = find_moved_root(db, path, MIN_SAME_PHOTOS)
    if root is not None:
        return move_root(db, root, path), RootMoved(root.root, path)
    added = add_root(db, path)
    return added, _follow_links(db, added)


def check_exists(db: Database, folder: str) -> None:
    """Raises InputError where there is no such folder, neither on the disk nor in the library."""
    path = _find_place(db, folder)
    scope = find_scope(db, path)
    if not is_folder(path) and (scope is None or not list_folders(db, scope)):
        raise InputError(f"{folder}: " + ("is a file; name its folder" if os.path.exists(path) else "no such folder"))


def _find_place(db: Database, folder: str) -> str:
    """Where a folder that was named lies, without links; as the library knows it where nothing is there now."""
    path = real_path(folder)
    return path if is_folder(path) else to_stored_path(db, folder)


def _follow_links(db: Database, scope: Scope) -> RootMoved | None:
    """Roots that links have replaced are the folders that these lead to, where those lie in this one."""
    moved = None
    for root in list_roots(db):
        path = real_path(root.root)
        if path != root.root and os.path.isdir(path) and (path == scope.path or is_below(path, scope.path)):
            absorb_root(db, root, Scope(scope.root_id, scope.root, to_relative(path, scope.root)))
            moved = RootMoved(root.root, path)
    return moved


class Run:
    """One run: which readings look at which folders, and the way from the walks to the rows."""

    def __init__(
        self, db: Database, load: Load, settings: FolderSettings, options: RunOptions, stop: Callable[[], bool]
    ):
        self.db, self.settings, self.options, self.stop = db, settings, options, stop
        self._load = load
        self._models: dict[str | None, Model] = {}
        own = read_default_model(db)
        said = [self.load(name) for name in settings.models or ()]
        self.own = own or (said[0] if said else self.load(None)).card.name
        if settings.tiles:
            for model in said or [self.load(None)]:
                Scorer(model, settings.tiles)  # refuses what it is not calibrated for
        self.readings: list[Scorer] = []
        self.stored: list[StoredScorer] = []
        self.steps: list[FolderScan] = []
        self.why: dict[int, str] = {}

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys(reading.model.card.name for reading in self.readings))

    @property
    def provider(self) -> str:
        return self.readings[0].model.provider if self.readings else "none"

    def load(self, name: str | None) -> Model:
        """A model by its name or file; None: the library's own, else the tool's default."""
        if name not in self._models:
            wanted = name
            if wanted is None and (own := read_default_model(self.db)) is not None:
                wanted = read_model_path(self.db, own) or own
            self._models[name] = self._load(wanted)
        return self._models[name]

    def remember(self, scope: Scope) -> Iterator[Event]:
        """Keep what is said of a folder now, and tell what changed by it."""
        before = read_settings(self.db, scope)
        own = read_own_settings(self.db, scope)
        new = merge_settings(own, before, self._canonical(self.settings), known=self._is_known(scope))
        if new != own:
            put_settings(self.db, scope, new)
        after = read_settings(self.db, scope)
        if after != before and self._is_known(scope):
            yield SettingsSaved(scope.path, describe_change(before, after))

    def _is_known(self, scope: Scope) -> bool:
        return bool(list_folders(self.db, scope))

    def _canonical(self, settings: FolderSettings) -> FolderSettings:
        """The models by the names that lead to them at any time: the library's own as None, a file by its path."""
        if settings.models is None:
            return settings
        names: list[str | None] = []
        for name in settings.models:
            model = self.load(name)
            path = os.path.abspath(name) if name is not None and os.path.isfile(name) else None
            names.append(None if model.card.name == self.own else path or model.card.name)
        return replace(settings, models=tuple(dict.fromkeys(names)))

    def prepare(self, scopes: Sequence[Scope]) -> None:
        """Find the walks: each named folder, and by itself each folder below that has settings of its own."""
        every = list_settings(self.db)
        tops: dict[str, Scope] = {}
        for scope in scopes:
            if not any(scope.path == top or is_below(scope.path, top) for top in tops):
                tops = {p: s for p, s in tops.items() if not is_below(p, scope.path)} | {scope.path: scope}
        walked = list(tops.values())
        for other, _ in every:
            if other.path not in tops and any(is_below(other.path, top) for top in tops):
                walked.append(other)
        for scope in walked:
            known = read_settings(self.db, scope)
            apart = tuple(s.path for s in walked if is_below(s.path, scope.path))
            options = to_walk_options(known)
            readings = self._readings(scope, known)
            self.steps.append(
                FolderScan(scope, readings, options, apart, count_photos(self.db, scope).photos,
                     Exclusions(options, scope.root))
            )  # fmt: skip

    def _readings(self, scope: Scope, known: FolderSettings) -> tuple[int, ...]:
        """The ids of the readings that a folder asks for."""
        named = self.settings.models  # said now: these alone, whatever else the folder remembers
        ids = []
        for name in named or known.models or (None,):
            model = self.load(name)
            tiles = model.card.tiles if known.tiles is None else known.tiles
            if tiles and str(tiles) not in model.card.pooling:  # said of another model
                tiles = 0
            ids.append(self._reading(model, tiles))
        return tuple(dict.fromkeys(ids))

    def _reading(self, model: Model, tiles: int) -> int:
        for reading, stored in zip(self.readings, self.stored, strict=True):
            if (reading.model.digest, reading.tiles) == (model.digest, tiles):
                return stored.id
        found = self._findable(model)
        known = list_models(self.db)
        model_id, label_ids = put_model(
            self.db, model.card, model.digest, tiles, None if found else os.path.abspath(model.path)
        )
        if read_default_model(self.db) is None:
            set_default_model(self.db, model.card.name)
        same = [m for m in known if m.name == model.card.name and m.images]
        if any(m.digest == model.digest and m.tiles != tiles for m in same):
            self.why[model_id] = "other tiles"
        elif any(m.digest != model.digest for m in same):
            self.why[model_id] = "another version of the model"
        else:
            self.why[model_id] = "another model"
        self.readings.append(Scorer(model, tiles))
        self.stored.append(StoredScorer(model_id, label_ids))
        return model_id

    def _findable(self, model: Model) -> bool:
        """Whether the model's name leads to this very file at any time."""
        from photosearch.models.catalog import resolve

        try:
            return os.path.samefile(resolve(model.card.name), model.path)
        except (ModelError, OSError):
            return False

    def events(self, engine: Engine) -> Iterator[Event]:
        """Walk, look, commit; then mark what is gone."""
        committer = Committer(self.db, self.stored)
        for item in engine.look(self._plan(committer), self.work()):
            if isinstance(item, Sequence):
                yield from committer.commit(item)
            else:
                yield item
        if not self.stop():
            yield from committer.remove(self.options.prune)

    def _plan(self, committer: Committer) -> Iterator[PendingPhoto | BookkeepingUpdate | Event]:
        options = PlanOptions(self.options.force, self.options.retry)
        for step in self.steps:
            committer.walks.append(step)
            yield from plan(self.db, step, self.why, options, self.stop)
            if self.stop():
                return

    def work(self) -> Work:
        ids = [stored.id for stored in self.stored]

        def wanted(todo: PendingPhoto, content_hash: bytes) -> list[int]:
            seen = set() if self.options.force else find_scored(self.db, content_hash, todo.readings)
            return [i for i, reading in enumerate(ids) if reading in todo.readings and reading not in seen]

        def unless(todo: PendingPhoto) -> bytes | None:
            if todo.known is None or todo.known.image_id is None:
                return None
            content_hash = read_content_hash(self.db, todo.known.image_id)
            return None if wanted(todo, content_hash) else content_hash

        roots = tuple(dict.fromkeys(step.scope.root for step in self.steps))
        return Work(self.readings, ids, wanted, self.options, self.stop, roots, unless)


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """The engine of this machine: child processes open photos, this process asks the models."""

    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool

    def look(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        todo: dict[str, PendingPhoto] = {}

        def photos() -> Iterator[Photo | BookkeepingUpdate | Event]:
            for item in items:
                if isinstance(item, PendingPhoto):
                    todo[item.photo.path] = item
                    yield item.photo
                else:
                    yield item

        batch_size = choose_batch_size(work.readings, work.options.batch_size)
        batch: list[tuple[PendingPhoto, PhotoResult] | BookkeepingUpdate] = []
        decoded = 0
        looked: Iterator[PhotoResult | BookkeepingUpdate | Event] = infer(
            photos(), work.readings, wanted=lambda photo, content: work.wanted(todo[photo.path], content),
            workers=work.options.workers, batch_size=batch_size, max_pixels=work.options.max_pixels, stop=work.stop,
            decoders=self.decoders,
        )  # fmt: skip
        for item in looked:
            if isinstance(item, PhotoResult):
                batch.append((todo.pop(item.photo.path), item))
                decoded += item.decoded
            elif isinstance(item, BookkeepingUpdate):
                batch.append(item)
            else:
                yield item
                continue
            if decoded >= batch_size or len(batch) >= MAX_PENDING:
                yield batch
                batch, decoded = [], 0
        yield batch


def count_files(path: Path, folders: Sequence[str]) -> int:
    """How many photos lie in folders as they are indexed; without any, in all that the library at `path` knows."""
    with Database(path) as db:
        total = 0
        for folder in folders or [root.root for root in list_roots(db)]:
            scope = find_scope(db, real_path(folder))
            options = to_walk_options(FolderSettings() if scope is None else read_settings(db, scope))
            folders_there = walk(real_path(folder), options, root=None if scope is None else scope.root)
            total += sum(len(found.photos) for found in folders_there)
        return total
