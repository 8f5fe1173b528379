"""`Library`: an index of photos, and everything that can be asked of it."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from photosearch.api.albums import Albums
from photosearch.api.folders import Folders
from photosearch.api.labels import Labels
from photosearch.api.marks import Marks
from photosearch.api.models import Models
from photosearch.api.photos import Photos
from photosearch.api.question import make_question
from photosearch.api.samples import Samples
from photosearch.api.session import Session
from photosearch.api.spares import Spares

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Unpack

    from PIL.Image import Image

    from photosearch.api.question import SearchOptions
    from photosearch.api.status import Progress, Status
    from photosearch.index.changes import Changes
    from photosearch.index.events import Event
    from photosearch.index.plan import RunOptions
    from photosearch.index.run import Engine
    from photosearch.judging.metrics import LabeledScore
    from photosearch.judging.report import LabelReport, LabelsReport
    from photosearch.judging.retrieval import RetrievalReport
    from photosearch.library.details import FileDetails
    from photosearch.library.folders import FolderSettings
    from photosearch.library.forget import ForgetCounts
    from photosearch.library.images import ImageDetails
    from photosearch.library.matching import Match
    from photosearch.library.records import Run
    from photosearch.photos.thumbnails import Thumbnails
    from photosearch.photos.walk import Photo
    from photosearch.search.bursts import Burst
    from photosearch.search.duplicates import Group
    from photosearch.search.find import Answer


def default_path() -> Path:
    """The path of the user's own library: PHOTOSEARCH_DB, else a file in the user's data folder."""
    from photosearch.library.location import default_library_path

    named = os.environ.get("PHOTOSEARCH_DB")
    return Path(named).expanduser() if named else default_library_path()


def open_thumbnails(path: str | Path, *, max_bytes: int | None = None) -> "Thumbnails":
    """The cache of thumbnails beside a library that need not be there yet: see `Library.open_thumbnails`."""
    from photosearch.photos.thumbnails import MAX_BYTES, Thumbnails

    return Thumbnails(_thumbnails_folder(Path(path)), max_bytes=MAX_BYTES if max_bytes is None else max_bytes)


def _thumbnails_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.thumbnails")


class Library:
    """An index of photos: a context manager, for one thread. All errors it raises are PhotosearchErrors.

    Its parts, each with methods of its own:
    folders: what is indexed, and how (photosearch.api.folders.Folders).
    labels: what `find` can look for (photosearch.api.labels.Labels).
    marks: what the user knows of photos (photosearch.api.marks.Marks).
    samples: photos drawn to judge a label by (photosearch.api.samples.Samples).
    models: those that indexed this library (photosearch.api.models.Models).
    albums: photos under a name, saved searches, folders and zip files of photos (photosearch.api.albums.Albums).
    photos: all photos in an order, and what they have in common (photosearch.api.photos.Photos).
    spares: spare photos, moved to a folder and back (photosearch.api.spares.Spares).
    """

    def __init__(self, path: str | Path | None = None, *, create: bool = True, read_only: bool = False):
        """Open a library. path: its file, None for the user's own. Raises StoreError.

        create: create the file if it is missing. read_only: every method that would change it raises StoreError.
        """
        self.path = Path(path) if path is not None else default_path()
        self._session = Session(self.path, create=create and not read_only, read_only=read_only)
        self.folders = Folders(self._session)
        self.labels = Labels(self._session)
        self.marks = Marks(self._session)
        self.samples = Samples(self._session)
        self.models = Models(self._session)
        self.albums = Albums(self._session)
        self.photos = Photos(self._session)
        self.spares = Spares(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._session.close()

    def identify(self) -> str:
        """A text that changes when the library is rebuilt, replaced or emptied: ids of images mean others from then on.

        Raises StoreError where the file was moved or deleted.
        """
        return self._session.db.identify()

    def stoppable(self, should_stop: Callable[[], bool]) -> "AbstractContextManager[None]":
        """Inside, questions call should_stop() again and again, and raise StoppedError once it is true."""
        return self._session.db.stoppable(should_stop)

    def check_stopped(self) -> None:
        """For a caller's own waiting inside `stoppable`. Raises StoppedError."""
        self._session.db.check_stopped()

    @property
    def thumbnails_folder(self) -> Path:
        """The folder of cached thumbnails, beside the library. It may be deleted."""
        return _thumbnails_folder(self.path)

    @property
    def opened_page(self) -> Path:
        """The page that `find --open` wrote last, beside the library."""
        return self.path.with_name(f"{self.path.name}.found.html")

    # ---- index

    def index(
        self,
        *folders: str | Path,
        models: Sequence[str] = (),
        tiles: int | None = None,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        follow_symlinks: bool | None = None,
        metadata: bool | None = None,
        ocr: bool | None = None,
        provider: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int | None = None,
        force: bool = False,
        retry: bool = False,
        prune: bool = False,
        stop: Callable[[], bool] | None = None,
        engine: "Engine | None" = None,
    ) -> "Iterator[Event]":
        """Index the photos in folders (default: all known folders). Yields each event once it is committed.

        The folders remember models (names or files), tiles (also score N overlapping parts of each photo), exclude and
        include (gitignore patterns), follow_symlinks and metadata (store what files say: place, camera, title, caption,
        keywords, people; default: yes), and ocr (read the text in pictures, in a pass of its own once all photos are
        indexed, on this machine; default: no; needs the extra `ocr`). workers: photos decoded at once. force: score and
        read everything again. retry: open unreadable photos again. prune: remove photos even if most of a folder is
        missing. stop: polled; once true, the run ends with what it has. engine: where models run, None: on this
        machine; see `open_ray`. One run at a time: a second says who holds the library. Raises InputError, ModelError,
        StoreError.
        """
        from photosearch.errors import InputError
        from photosearch.index.plan import RunOptions
        from photosearch.library.folders import FolderSettings, list_roots
        from photosearch.ocr.reader import check_reader

        settings = FolderSettings(
            tuple(models) or None, tiles, tuple(exclude) or None, tuple(include) or None, follow_symlinks, metadata, ocr
        )
        if ocr:
            check_reader()
        options = RunOptions(batch_size, workers, max_pixels, force, retry, prune)
        named = [os.fspath(folder) for folder in folders] or [root.root for root in list_roots(self._session.db)]
        if not named:
            raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")
        yield from self._index(named, settings, options, provider, stop, engine)

    def _index(
        self,
        folders: Sequence[str],
        settings: "FolderSettings",
        options: "RunOptions",
        provider: str,
        stop: Callable[[], bool] | None,
        engine: "Engine | None" = None,
    ) -> "Iterator[Event]":
        from photosearch.index.run import index
        from photosearch.index.texts import read_texts
        from photosearch.library.lock import lock_library

        session = self._session
        with lock_library(session.db):
            yield from index(
                session.db, folders, lambda name: session.load(name, provider), settings=settings, options=options,
                stop=stop or _never, engine=engine,
            )  # fmt: skip
            session.rescore()
            yield from read_texts(session.db, folders, options, stop or _never)

    def watch(
        self,
        *folders: str | Path,
        provider: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int | None = None,
        settle_seconds: float | None = None,
        poll_seconds: float | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> "Iterator[Event]":
        """Index folders (default: all known folders), and then what changes in them, until `stop` is true.

        Yields what `index` yields; WatchStarted of each folder, FolderAway, and RoundEnded when all that was noticed is
        indexed. The library is held only while something is indexed, and waited for where another program holds it. A
        photo is indexed once it has not changed for settle_seconds (default: 2). poll_seconds: look for changes so
        often; None: the system reports them, and folders on a network are looked at once a minute. batch_size, workers,
        max_pixels, provider: as for `index`. Raises as `index`, except BusyError.
        """
        from photosearch.errors import InputError
        from photosearch.index.plan import RunOptions
        from photosearch.index.roots import find_place
        from photosearch.index.watch import SETTLE_SECONDS, WatchOptions, watch
        from photosearch.library.folders import FolderSettings, list_roots

        db = self._session.db
        named = [find_place(db, os.fspath(folder)) for folder in folders] or [root.root for root in list_roots(db)]
        if not named:
            raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")

        def run(
            some: Sequence[str],
            changes: "Changes | None",
            leave: "Callable[[Photo], bool] | None",
            lately: Mapping[str, int],
        ) -> "Iterator[Event]":
            options = RunOptions(batch_size, workers, max_pixels, changes=changes, leave=leave, lately=lately)
            yield from self._index(some, FolderSettings(), options, provider, stop)
            self._session.unload()  # 200 MB, for the hours in which nothing happens

        options = WatchOptions(SETTLE_SECONDS if settle_seconds is None else settle_seconds, poll_seconds)
        yield from watch(db, list(dict.fromkeys(named)), run, options=options, stop=stop or _never)

    def open_ray(
        self,
        *,
        address: str | None = None,
        shards: str | Path | None = None,
        photos_per_shard: int | None = None,
        cpus: int | None = None,
        gpus: float = 0.0,
        provider: str = "auto",
    ) -> "Engine":
        """An engine for `index` that runs the models in Ray actors. Needs the extra `ray`.

        address: a cluster's HOST:PORT, None: start Ray on this machine for the run. shards: a folder or address that
        all machines see, where Parquet files are kept; None: beside the library, for one machine. photos_per_shard:
        approximate. cpus, gpus: of each actor. provider: of the models there. Raises InputError.
        """
        from photosearch.engines.ray import RayOptions, open_engine

        options = RayOptions(address, cpus, gpus, provider)
        return open_engine(None if shards is None else os.fspath(shards), self.path, options, photos_per_shard)

    def merge(
        self,
        *shards: str | Path,
        roots: Mapping[str, str] | None = None,
        models: Sequence[str] = (),
        tiles: int | None = None,
        provider: str = "auto",
        stop: Callable[[], bool] | None = None,
    ) -> "Iterator[Event]":
        """Import shards (files, or folders of them) that an engine wrote. Yields each event once it is committed.

        roots: a folder's path on the workers -> its path here, where they differ or the library doesn't know the folder
        yet. models, tiles: as for `index`. Rows of photos that changed since are skipped; nothing is
        written where a row is impossible. Raises InputError, ModelError, StoreError.
        """
        from photosearch.engines.merge import find_files, merge
        from photosearch.library.folders import FolderSettings
        from photosearch.library.lock import lock_library
        from photosearch.photos.remote import absolute_path

        session = self._session
        here = {absolute_path(before): absolute_path(after) for before, after in (roots or {}).items()}
        with lock_library(session.db):
            yield from merge(
                session.db, find_files([os.fspath(shard) for shard in shards]),
                lambda name: session.load(name, provider),
                roots=here, settings=FolderSettings(tuple(models) or None, tiles), stop=stop or _never,
            )  # fmt: skip
            session.rescore()

    def count_rows(self, shards: Sequence[str | Path]) -> int:
        """Number of photos in shards. Raises InputError."""
        from photosearch.engines.merge import find_files

        return sum(file.read_header().rows for file in find_files([os.fspath(shard) for shard in shards]))

    def count_forgotten(self, paths: Sequence[str | Path] | None) -> "ForgetCounts":
        """What `forget` would delete, None: everything: photos, marks, and judged photos of samples."""
        from photosearch.library.folders import to_stored_path
        from photosearch.library.forget import count_forgotten

        db = self._session.db
        return count_forgotten(db, None if paths is None else [to_stored_path(db, os.fspath(path)) for path in paths])

    def forget(self, paths: Sequence[str | Path] | None) -> int:
        """Delete what the library knows of photos or folders, None: everything -> photos forgotten. Files stay.

        Marks on the photos are deleted too; with None, so are the library's backups (`list_backups`).
        """
        import glob
        import shutil

        from photosearch.library.folders import to_stored_path
        from photosearch.library.forget import forget_all, forget_photos
        from photosearch.library.lock import lock_library

        db = self._session.db
        with lock_library(db):
            db.check_unchanged()
            for vectors in self.path.parent.glob(f"{glob.escape(self.path.name)}.vectors-*"):
                vectors.unlink(missing_ok=True)  # it would keep the forgotten vectors until it is rebuilt
            for folder in (self.thumbnails_folder, self.path.with_name(f"{self.path.name}.shards")):
                shutil.rmtree(folder, ignore_errors=True)
            self.opened_page.unlink(missing_ok=True)
            if paths is None:
                return forget_all(db)
            return forget_photos(db, [to_stored_path(db, os.fspath(path)) for path in paths])

    # ---- find

    def find(
        self,
        words: str = "",
        *,
        limit: int | None = None,
        max_labeled: int | None = None,
        max_similar: int | None = None,
        today: str | None = None,
        **options: "Unpack[SearchOptions]",
    ) -> "Answer":
        """Find photos, best first. Iterate over the answer. Raises QueryError, InputError, ModelError.

        words: labels (bird and not dog), a description that ranks (a cat asleep), or none: all photos, the newest
        first. Where labels find few, the nearest by description follow. limit: show at most N photos; None: all that
        have a label, or up to 20 of the most similar. max_labeled, max_similar: the limit where labels or dates answer,
        or where similarity ranks, if they differ. today: the day that "last summer" counts from. options: filters, the
        order and more: see `SearchOptions`.
        """
        from photosearch.search.find import find

        question = make_question(
            words, limit=limit, max_labeled=max_labeled, max_similar=max_similar, today=today, **options
        )
        return find(self._session.db, question, self._session.read_vector)

    def count(self, words: str, *, up_to: int, today: str | None = None, **options: "Unpack[SearchOptions]") -> int:
        """Count the photos that `find` would give without a limit, stopping at `up_to`. Raises as `find`."""
        from photosearch.search.find import count, find

        question = make_question(words, limit=up_to, today=today, **options)
        counted = count(self._session.db, question, up_to, self._session.read_vector)
        return len(find(self._session.db, question, self._session.read_vector)) if counted is None else counted

    def explain(
        self,
        words: str,
        *,
        query_mode: Literal["label", "text"] | None = None,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        today: str | None = None,
    ) -> dict[str, object]:
        """How `find` reads words, without a search: what is None was not asked for. Raises as `find`.

        Its keys: description, labels, not_labels, since, until (ISO dates, until no longer in it), places, near (name,
        latitude, longitude, km), text, people, camera, folder, keywords, is, rating (min, max); where they are asked
        for, lens, and unwanted: the filters that must not hold.
        """
        from photosearch.search.find import explain

        question = make_question(words, query_mode=query_mode, since=since, until=until, model=model, today=today)
        return explain(self._session.db, question)

    def complete(self, text: str) -> list[str]:
        """Complete the query that is being typed: whole queries whose last word is a label, likeliest first.

        Behind `album:`, it is an album.
        """
        from photosearch.library.albums import list_album_names
        from photosearch.search.complete import complete_album, complete_query
        from photosearch.search.hierarchy import read_synonyms
        from photosearch.search.label_counts import rank_labels

        if (filtered := complete_album(text, list_album_names(self._session.db))) is not None:
            return filtered
        labels = self.labels.list()
        return complete_query(
            text, (label.name for label in labels), read_synonyms(), rank_labels(self._session.db, labels)
        )

    def find_duplicates(
        self, *, near: bool = True, under: str | Path | None = None, keep: Sequence[str] = ()
    ) -> "list[Group]":
        """Groups of photos that are copies: equal files; near: also the same picture in another size or encoding.

        The photo to keep comes first; `group.reason` says why it is the one. keep: what counts first, of raw, larger,
        original, camera, gps, marked, older, heavier and folder:PATH; the others follow in this order. Raises
        InputError.
        """
        from photosearch.search.copies import find_duplicates_in_library

        return find_duplicates_in_library(
            self._session.db, near=near, under=None if under is None else os.fspath(under), keep=keep
        )

    def find_bursts(self, *, under: str | Path | None = None, seconds: float = 3.0) -> "list[Burst]":
        """Bursts: shots alike that one camera took within `seconds` of each other; the sharpest of each is marked.

        Photos of bursts are opened, to see how sharp they are. Raises InputError.
        """
        from photosearch.search.shots import find_bursts_in_library

        return find_bursts_in_library(
            self._session.db, under=None if under is None else os.fspath(under), seconds=seconds
        )

    def find_missing(self, paths: Sequence[str]) -> dict[str, str]:
        """Which of these photos can't be seen now: path -> 'away' (with their drive) or 'missing'."""
        from photosearch.library.photos import find_missing

        return find_missing(self._session.db, paths)

    def score(self, photo: "str | Path | Image", *, model: str | None = None) -> Mapping[str, float]:
        """Score one photo by the default model or another: label -> 0..1. Nothing is stored.

        photo: a file, or an image that Pillow opened. Raises ModelError, InputError where it can't be read.
        """
        loaded = self._session.load_default(model)
        outputs = loaded.predict(self._session.read_views(photo, loaded))
        if outputs.scores is None:
            return {}
        return dict(zip(loaded.card.labels, map(float, outputs.scores[0]), strict=True))

    # ---- one photo

    def details(self, image_id: int) -> "ImageDetails | None":
        """Everything known of an image: files, scores, marks; None where no photo in the library shows it."""
        from photosearch.library.images import read_details

        return read_details(self._session.db, image_id)

    def find_image(self, path: str | Path) -> int | None:
        """The image of the photo at a path; None where the library has no readable photo there."""
        from photosearch.library.photos import find_image_at

        return find_image_at(self._session.db, os.fspath(path))

    def describe(self, photos: "Sequence[Match]") -> "list[FileDetails | None]":
        """What the file of each of these photos says: place, camera, title, keywords, people; None where it is unread.

        Of photos that `find` gave.
        """
        from photosearch.library.details import read_file_details

        found = read_file_details(self._session.db, [photo.photo_id for photo in photos])
        return [found.get(photo.photo_id) for photo in photos]

    def read_texts(self, photos: "Sequence[Match]") -> list[str | None]:
        """The text in each of these pictures, a line for each line; None where none was found, or none was read."""
        from photosearch.library.texts import read_plain_texts

        found = read_plain_texts(self._session.db, [photo.image_id for photo in photos])
        return [found.get(photo.image_id) for photo in photos]

    def find_words(self, words: str, *, prefix: bool = False, limit: int | None = None) -> list[str]:
        """The paths of the photos in whose folders, name, title, caption, keywords, people, place and picture all words
        are.

        Those with most matches first. Letter case and accents do not count; "in quotes" is a phrase. prefix: longer
        words that begin with these match too.
        """
        from photosearch.library.photos import find_photo_paths
        from photosearch.library.words import find_by_words

        found = find_by_words(self._session.db, words, prefix=prefix, limit=limit)
        return find_photo_paths(self._session.db, [photo_id for photo_id, _ in found])

    def find_files(self, image_id: int) -> tuple[bytes, list[str]] | None:
        """(hash of an image's bytes, paths of the photos that show it); None where no photo in the library does."""
        from photosearch.library.images import find_image_files

        return find_image_files(self._session.db, image_id)

    def find_paths(self, image_ids: Sequence[int]) -> dict[int, str]:
        """image id -> the path of its first photo, for those of these images that a photo on the disk shows."""
        from photosearch.library.photos import find_paths

        return find_paths(self._session.db, image_ids)

    def open_thumbnails(self, *, max_bytes: int | None = None) -> "Thumbnails":
        """The cache of thumbnails in `thumbnails_folder`, for any thread, and after the library is closed. Close it.

        max_bytes: of all files in it, None: 500 MB.
        """
        return open_thumbnails(self.path, max_bytes=max_bytes)

    def read_thumbnails(self, photos: "Sequence[Match | LabeledScore]") -> Iterator[bytes | str]:
        """A JPEG for each photo in order, 320 pixels at most; a str, the reason, where it can't be opened.

        Decoded ahead in threads, and cached in `thumbnails_folder`.
        """
        from concurrent.futures import ThreadPoolExecutor

        from photosearch.photos.decode import Unreadable
        from photosearch.photos.thumbnails import WORKERS

        def read(photo: "Match | LabeledScore", files: tuple[bytes, list[str]] | None) -> bytes | str:
            try:
                return thumbnails.read([photo.path, *files[1]], files[0]) if files else "no longer in the library"
            except Unreadable as error:
                return error.reason

        with self.open_thumbnails() as thumbnails, ThreadPoolExecutor(WORKERS) as pool:
            for some in _batches(photos, 4 * WORKERS):
                yield from pool.map(read, some, [self.find_files(photo.image_id) for photo in some])

    # ---- reports

    def report(
        self,
        label: str | None = None,
        *,
        model: str | None = None,
        under: str | Path | None = None,
        threshold: float | None = None,
        at_precision: float | None = None,
        at_recall: float | None = None,
        calibration: bool = False,
    ) -> "LabelReport":
        """How right a label is on the photos that you marked. Raises InputError.

        label: default: the only marked one, or bird. threshold: instead of the label's own; at_precision, at_recall:
        the threshold that reaches it. calibration: also compare scores with frequencies. under: a folder.
        """
        from photosearch.judging.report import report_label

        return report_label(
            self._session.db, label, model=model, under=None if under is None else os.fspath(under),
            threshold=threshold, at_precision=at_precision, at_recall=at_recall, calibration=calibration,
        )  # fmt: skip

    def report_labels(self, *, model: str | None = None, under: str | Path | None = None) -> "LabelsReport":
        """Report on every marked label, with averages and confusions. Raises InputError."""
        from photosearch.judging.report import report_labels

        return report_labels(self._session.db, model=model, under=None if under is None else os.fspath(under))

    def report_retrieval(self, file: str | Path, *, model: str | None = None) -> "RetrievalReport":
        """How well descriptions find the photos that a CSV file (query,path) names for them. Raises InputError."""
        from photosearch.judging.retrieval import judge_retrieval

        with self._session.open_search(model) as search:
            return judge_retrieval(self._session.db, search, file)

    # ---- state

    def status(self) -> "Status":
        """The library in numbers: folders, photos, marks, models, the last run."""
        from photosearch.api.status import read_status

        return read_status(self.path, self._session.db)

    def progress(self) -> "Progress":
        """What an index run has done so far, which may run in another process."""
        from photosearch.api.status import read_progress

        return read_progress(self._session.db)

    def last_run(self) -> "Run | None":
        """The last index run."""
        from photosearch.library.runs import read_last_run

        return read_last_run(self._session.db)

    def runs(self, limit: int = 20) -> "list[Run]":
        """The last index runs, the newest first."""
        from photosearch.library.runs import list_runs

        return list_runs(self._session.db, limit)

    def newest(self, limit: int = 24) -> list[tuple[int, str]]:
        """(image id, path) of the readable photos that came into the library last, the newest first."""
        from photosearch.library.photos import list_newest

        return list_newest(self._session.db, limit)

    def unreadable_texts(self) -> list[tuple[str, str, str]]:
        """(path, reason, since) of each photo whose text could not be read."""
        from photosearch.library.texts import list_unreadable_texts

        return list_unreadable_texts(self._session.db)

    def unreadable(self) -> list[tuple[str, str, str]]:
        """(path, reason, since) of each photo that could not be read."""
        from photosearch.library.photos import list_unreadable

        return list_unreadable(self._session.db)


def _never() -> bool:
    return False


def _batches(photos: "Sequence[Match | LabeledScore]", n: int) -> "Iterator[Sequence[Match | LabeledScore]]":
    return (photos[i : i + n] for i in range(0, len(photos), n))
