"""THE MAIN PATH: plan -> infer -> commit.

    folder -> RunPlan -> PendingPhoto | BookkeepingUpdate | Event -> PhotoResult -> rows, one transaction a batch

The engine is the one seam: it makes batches of what the scans ask for. LocalEngine runs on this machine; engines/ holds
those that spread the work. Yields what happened and prints nothing: the command line makes a progress bar of it, a test
makes a list. LocalEngine's batches are committed in the order in which their photos were found, so that a run that was
interrupted and repeated ends in the same rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from photosearch.index.commit import Batch, Committer, StoredScorer
from photosearch.index.events import Event, PatternUnused, RootMoved, SettingsSaved
from photosearch.index.folder_settings import to_walk_options
from photosearch.index.infer import MAX_PENDING, LoadedScorer, PhotoOpener, PhotoResult, Scorer, infer
from photosearch.index.plan import NO_SETTINGS, Load, RunOptions, RunPlan, SaveSettings, plan_run
from photosearch.index.roots import AddRoot, RootChange, write_change
from photosearch.index.scan import BookkeepingUpdate, FolderScan, PendingPhoto, ScanOptions, scan_folder
from photosearch.index.summary import RunSummary
from photosearch.library.database import Database
from photosearch.library.details import delete_unused
from photosearch.library.folders import (
    FolderSettings,
    count_photos,
    find_scope,
    list_roots,
    put_settings,
    read_settings,
)
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import read_content_hash
from photosearch.library.runs import begin_run, end_run
from photosearch.library.vectors import check_vectors
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.remote import real_path
from photosearch.photos.walk import Exclusions, Photo, walk


@dataclass(frozen=True, slots=True)
class Work:
    """What an engine needs to know of a run.

    scorers: of all photos of the run, in the order in which they score. find_wanted: (photo, hash of its bytes) -> the
    scorers that have not scored that content; may be called from any thread. find_known_hash: a photo -> the hash of
    its content, if all its scorers have scored that: while the file has it, it need not be decoded. scans: of the
    folders, none of which has begun.
    """

    scorers: Sequence[LoadedScorer]
    find_wanted: Callable[[PendingPhoto, bytes], list[Scorer]]
    find_known_hash: Callable[[PendingPhoto], bytes | None]
    options: RunOptions
    stop: Callable[[], bool]
    scans: Sequence[FolderScan]

    @property
    def roots(self) -> list[str]:
        return list(dict.fromkeys(scan.scope.root for scan in self.scans))


class Engine(Protocol):
    """Where the models run: what the scans ask for -> batches, each of which becomes one transaction."""

    def infer(
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
    """Bring the library up to date with these folders, and yield each event once its rows are committed.

    load, settings, options: as for `plan_run`. stop: see `execute`. engine: where the models run; None is this machine,
    with `decoders`. Raises InputError, ModelError or StoreError; the batches that were committed before stay.
    """
    plan = plan_run(db, folders, load, settings=settings, options=options)
    yield from execute(db, plan, engine or LocalEngine(decoders), stop)


def execute(db: Database, plan: RunPlan, engine: Engine, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Do what was planned, and yield each event once its rows are committed.

    stop: asked before each folder and each photo; once true, the current batch is committed and the run ends, with
    nothing removed. Raises ModelError or StoreError, and InputError if the engine does.
    """
    for change in plan.changes:
        yield from _write(db, change)
    stored, unusable = _put_scorers(db, plan), check_vectors(db)
    committer = Committer(db, stored, {(one.content_hash, i) for one in unusable for i in one.scorer_ids})
    work = _make_work(committer, plan, stop)
    for scan in work.scans:
        scan.unusable = {(one.image_id, i) for one in unusable for i in one.scorer_ids}
    run_id = begin_run(db, plan.model_names, plan.provider)
    summary = RunSummary()
    for event in _run(committer, engine, work):
        summary.add(event)
        yield event
    if not stop():
        yield from _list_unused(committer.scans, plan.patterns)
    summary.stopped = stop()
    delete_unused(db)
    check_vectors(db)
    end_run(db, run_id, summary.to_json())


def _list_unused(scans: Sequence[FolderScan], patterns: Sequence[str]) -> Iterator[PatternUnused]:
    """Each of these patterns that matched nothing in any scan that has it, with the first such scan."""
    unused: dict[tuple[str, bool], list[FolderScan]] = {}
    for scan in scans:
        for rule in scan.exclusions.list_unused():
            unused.setdefault(rule, []).append(scan)
    for (pattern, excludes), some in unused.items():
        having = [s for s in scans if pattern in (s.options.exclude if excludes else s.options.include)]
        if pattern in patterns and len(some) == len(having):
            yield PatternUnused(some[0].scope.path, pattern, excludes)


def _write(db: Database, change: RootChange | SaveSettings) -> Iterator[Event]:
    if not isinstance(change, SaveSettings):
        write_change(db, change)
        if not isinstance(change, AddRoot):
            yield RootMoved(change.before, change.path)
        return
    scope = find_scope(db, change.path)
    assert scope is not None
    put_settings(db, scope, change.settings)
    if change.description is not None:
        yield SettingsSaved(change.path, change.description)


def _put_scorers(db: Database, plan: RunPlan) -> dict[Scorer, StoredScorer]:
    stored = {}
    for scorer in plan.scorers:
        model, key = scorer.loaded.model, scorer.loaded.key
        stored[key] = StoredScorer(*put_model(db, model.card, key.digest, key.tiles, scorer.path))
    if plan.default_model is not None:
        set_default_model(db, plan.default_model)
    return stored


def _make_work(committer: Committer, plan: RunPlan, stop: Callable[[], bool]) -> Work:
    db = committer.db

    def find_wanted(pending: PendingPhoto, content_hash: bytes) -> list[Scorer]:
        return list(pending.scorers) if plan.options.force else committer.find_wanted(pending, content_hash)

    def find_known_hash(pending: PendingPhoto) -> bytes | None:
        if pending.known is None or pending.known.image_id is None:
            return None
        content_hash = read_content_hash(db, pending.known.image_id)
        return None if find_wanted(pending, content_hash) else content_hash

    scorers = [scorer.loaded for scorer in plan.scorers]
    scans = _make_scans(db, plan, committer.scorers)
    return Work(scorers, find_wanted, find_known_hash, plan.options, stop, scans)


def _make_scans(db: Database, plan: RunPlan, stored: Mapping[Scorer, StoredScorer]) -> list[FolderScan]:
    reasons = {scorer.loaded.key: scorer.reason for scorer in plan.scorers}
    scans = []
    for folder in plan.folders:
        scope = find_scope(db, folder.path)
        assert scope is not None
        ids = {scorer: stored[scorer].id for scorer in folder.scorers}
        known, exclusions = count_photos(db, scope).photos, Exclusions(folder.options, scope.root)
        scan = FolderScan(scope, ids, reasons, folder.options, folder.apart, known, exclusions)
        scan.metadata = folder.metadata
        scan.changes = None if folder.options.follow_symlinks else plan.options.changes  # a link may lead anywhere
        scans.append(scan)
    return scans


def _run(committer: Committer, engine: Engine, work: Work) -> Iterator[Event]:
    """Scan, infer, commit; then mark what is missing."""
    for item in engine.infer(_scan(committer, work), work):
        if isinstance(item, Sequence):
            yield from committer.commit(item)
        else:
            yield item
    if not work.stop():
        yield from committer.remove(work.options.prune, work.options.lately)


def _scan(committer: Committer, work: Work) -> Iterator[PendingPhoto | BookkeepingUpdate | Event]:
    options = ScanOptions(work.options.force, work.options.retry, work.options.leave)
    for scan in work.scans:
        committer.scans.append(scan)
        yield from scan_folder(committer.db, scan, options, work.stop)
        if work.stop():
            return


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """The engine of this machine: child processes decode photos, this process runs the models."""

    decoders: Callable[[int, DecodeOptions], PhotoOpener] = DecoderPool

    def infer(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        """Each batch of inference, with the updates that came before it, is a batch for the library."""
        pending: dict[str, PendingPhoto] = {}
        updates: list[BookkeepingUpdate] = []

        def take_photos() -> Iterator[Photo | BookkeepingUpdate | Event]:
            for item in items:
                if isinstance(item, PendingPhoto):
                    pending[item.photo.path] = item
                    yield item.photo
                else:
                    yield item

        batches: Iterator[list[PhotoResult] | BookkeepingUpdate | Event] = infer(
            take_photos(), work.scorers,
            wanted=lambda photo, content_hash: work.find_wanted(pending[photo.path], content_hash),
            workers=work.options.workers, batch_size=work.options.batch_size, max_pixels=work.options.max_pixels,
            metadata=lambda photo: pending[photo.path].metadata, stop=work.stop, decoders=self.decoders,
        )  # fmt: skip
        for item in batches:
            if isinstance(item, list):
                yield [*updates, *((pending.pop(result.photo.path), result) for result in item)]
                updates = []
            elif isinstance(item, BookkeepingUpdate):
                updates.append(item)
                if len(updates) >= MAX_PENDING:
                    yield updates
                    updates = []
            else:
                yield item
        if updates:
            yield updates


def count_files(path: Path, folders: Sequence[str]) -> int:
    """Photos on the disk in folders, or in all that the library at `path` knows, as an index would find them."""
    with Database(path) as db:
        total, roots = 0, list_roots(db)
        for folder in folders or [root.root for root in roots]:
            scope = find_scope(db, real_path(folder))
            options = to_walk_options(FolderSettings() if scope is None else read_settings(db, scope))
            elsewhere = [other.root for other in roots if scope is not None and other.root_id != scope.root_id]
            found = walk(real_path(folder), options, root=None if scope is None else scope.root, elsewhere=elsewhere)
            total += sum(len(one.photos) for one in found)
        return total
