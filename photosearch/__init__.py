"""Find the photos you describe, in your own folders, on your own machine.

    from photosearch import Library

    with Library("library.db") as library:
        for event in library.index("/home/me/Pictures"):
            print(event)
        for photo in library.find("bird and not dog", limit=20).found:
            print(photo.score, photo.path)

The command line does nothing that can't be done here; docs/python.md tells all of it. What is heavy is imported by
the method that needs it, so that `import photosearch` costs a few milliseconds.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from PIL.Image import Image

    from photosearch.index.events import Event
    from photosearch.index.run import Engine
    from photosearch.judging.marking import JudgeResult, UndoneMark
    from photosearch.judging.report import LabelReport
    from photosearch.judging.review_queue import Kind, ReviewQueue
    from photosearch.keywords import ExportResult, ImportResult
    from photosearch.learning.learn import LearnResult
    from photosearch.library.images import ImageDetails
    from photosearch.library.marks import Mark, Sample
    from photosearch.library.records import Label, VectorSpace
    from photosearch.models.session import Model
    from photosearch.search.duplicates import Group
    from photosearch.search.find import Answer, Question
    from photosearch.search.similar import SimilaritySearch
    from photosearch.search.vectors import VectorMap

__version__ = "0.1.0"
__all__ = ["Library", "__version__", "default_path"]

# From version 1.29 on, ONNX Runtime tells its maker of each session on Linux: it keeps a number for this machine under
# ~/.cache and opens connections. It looks for this when it is imported; for Windows, see models/session.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def default_path() -> Path:
    """Where a user's own library lies, if nobody says otherwise: PHOTOSEARCH_DB, else in the user's data folder."""
    from photosearch.library.location import default_library_path

    named = os.environ.get("PHOTOSEARCH_DB")
    return Path(named).expanduser() if named else default_library_path()


class Library:
    """What is known of your photos. A context manager; for one thread. Every method raises PhotosearchError alone."""

    def __init__(self, path: str | Path | None = None, *, create: bool = True):
        """path: the library's file, None for your own. create: make it where there is none. Raises StoreError."""
        from photosearch.library.database import Database

        self.path = Path(path) if path is not None else default_path()
        self._db = Database(self.path, create=create)
        self._models: dict[str | None, Model] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    @property
    def thumbnails(self) -> Path:
        """The folder in which thumbnails are kept, beside the library: derived, and may be deleted."""
        return self.path.with_name(f"{self.path.name}.thumbnails")

    @property
    def opened_page(self) -> Path:
        """The page that `find --open` wrote last, beside the library."""
        return self.path.with_name(f"{self.path.name}.found.html")

    # ---- looking at photos

    def index(
        self,
        *folders: str | Path,
        models: Sequence[str] = (),
        tiles: int | None = None,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
        follow_symlinks: bool | None = None,
        provider: str = "auto",
        batch_size: int | None = None,
        workers: int | None = None,
        max_pixels: int | None = None,
        force: bool = False,
        retry: bool = False,
        prune: bool = False,
        stop: Callable[[], bool] = lambda: False,
        engine: "Engine | None" = None,
    ) -> "Iterator[Event]":
        """Look at all photos in folders, without any: in all that are known. Gives each event once it is committed.

        models: by name or file, in place of what the folders remember. tiles: look at so many parts of each photo too.
        exclude, include: patterns as in git's ignore files. The folders remember these. workers: photos opened at
        once. stop: asked now and then; once true, the run ends with what it has. engine: who looks, None for this
        machine: see `open_ray`. Holds the library: a second run says who has it. Raises InputError, ModelError,
        StoreError.
        """
        from photosearch.errors import InputError
        from photosearch.index.run import RunOptions, index
        from photosearch.library.folders import FolderSettings, list_roots
        from photosearch.library.lock import lock_library

        settings = FolderSettings(tuple(models) or None, tiles, tuple(exclude) or None, tuple(include) or None,
                                  follow_symlinks)  # fmt: skip
        options = RunOptions(batch_size, workers, max_pixels, force, retry, prune)
        with lock_library(self._db):
            named = [os.fspath(folder) for folder in folders] or [root.root for root in list_roots(self._db)]
            if not named:
                raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")
            yield from index(
                self._db, named, lambda name: self.load(name, provider), settings=settings, options=options, stop=stop,
                engine=engine,
            )  # fmt: skip
            self._learn()

    def open_ray(
        self,
        *,
        address: str | None = None,
        shards: str | Path | None = None,
        photos: int | None = None,
        cpus: int | None = None,
        gpus: float = 0.0,
        provider: str = "auto",
    ) -> "Engine":
        """An engine for `index`: Ray's actors look, on the machines of a cluster. Needs the extra `ray`.

        address: the cluster's HOST:PORT; None starts Ray here for the run. shards: a folder or address that all
        machines see, where Parquet files stay; None: beside the library, for one machine. photos: in a shard, about.
        cpus, gpus: of each actor. provider: of the models there. Raises InputError.
        """
        from photosearch.engines.ray import RayOptions, open_engine

        options = RayOptions(address, cpus, gpus, provider)
        return open_engine(None if shards is None else os.fspath(shards), self.path, options, photos)

    def merge(
        self,
        *shards: str | Path,
        roots: Mapping[str, str] | None = None,
        models: Sequence[str] = (),
        tiles: int | None = None,
        provider: str = "auto",
        stop: Callable[[], bool] = lambda: False,
    ) -> "Iterator[Event]":
        """Take in what an engine's workers saw: shards by name, or in folders. Gives each event once it is committed.

        roots: the folder as the workers know it -> as it is here, where those differ. models, tiles: as for `index`.
        What has changed since is dropped. Raises InputError, ModelError, StoreError.
        """
        from photosearch.engines.merge import find_files, merge
        from photosearch.library.folders import FolderSettings
        from photosearch.library.lock import lock_library

        with lock_library(self._db):
            yield from merge(
                self._db, find_files([os.fspath(one) for one in shards]), lambda name: self.load(name, provider),
                roots=roots, settings=FolderSettings(tuple(models) or None, tiles), stop=stop,
            )  # fmt: skip
            self._learn()

    def count_rows(self, shards: Sequence[str | Path]) -> int:
        """How many photos shards speak of."""
        from photosearch.engines.merge import find_files

        return sum(file.read_head().rows for file in find_files([os.fspath(one) for one in shards]))

    def _learn(self) -> None:
        """After a run: score new photos by the user's descriptions, and learn what similarities mean now.

        Both cost a question less: it would wait for them otherwise.
        """
        from photosearch.errors import ModelError
        from photosearch.library import classifiers
        from photosearch.library.labels import list_described_labels
        from photosearch.library.records import USER_MODEL
        from photosearch.library.runs import read_value, write_value
        from photosearch.library.vectors import find_space

        state = classifiers.read_user_labels_state(self._db)
        if state and state != read_value(self._db, "own labels"):  # else nothing came, and nothing went
            from photosearch.learning.learn import update_learned

            described = not list_described_labels(self._db, USER_MODEL) or self._describe()
            if update_learned(self._db, self._open_vectors) and described:
                write_value(self._db, "own labels", classifiers.read_user_labels_state(self._db))
        own = self.answers
        if own is not None and find_space(self._db, own) is not None:
            with contextlib.suppress(ModelError), self._open_likeness() as likeness:  # no text model: pictures alone
                likeness.learn_descriptions()

    def _describe(self) -> bool:
        from photosearch.search.user_labels import update_described

        return update_described(self._db, self._open_likeness)

    def load(self, name: str | None = None, provider: str = "auto") -> "Model":
        """A model by its name or file, None for the tool's default; kept for the next time. Raises ModelError."""
        from photosearch.errors import ModelError
        from photosearch.library.models import read_model_path
        from photosearch.models.catalog import resolve
        from photosearch.models.session import Model

        if name not in self._models:
            try:
                path = resolve(name)
            except ModelError:  # a file that has looked here before is known by its name too
                known = name and read_model_path(self._db, name)
                if not known:
                    raise
                path = Path(known)
            self._models[name] = Model(path, provider=provider)
        return self._models[name]

    def look(self, photo: "str | Path | Image", *, model: str | None = None) -> Mapping[str, float]:
        """What the library's own model, or another, says of one picture: label -> score. Nothing is kept.

        photo: a file, or a picture that Pillow has opened. Raises ModelError, and InputError where it can't be read.
        """
        loaded = self.load_own(model)
        outputs = loaded.look(self._read_views(photo, loaded))
        if outputs.scores is None:
            return {}
        return dict(zip(loaded.card.labels, map(float, outputs.scores[0]), strict=True))

    def _read_views(self, photo: "str | Path | Image", model: "Model") -> Any:
        """One picture as a model sees it, [1, 1, S, S, 3]. Raises InputError where it can't be read."""
        import numpy as np

        from photosearch.errors import InputError
        from photosearch.index.infer import Scorer
        from photosearch.photos import decode

        need = Scorer(model).need
        if not isinstance(photo, str | Path):
            return np.expand_dims(decode.make_views(photo, need.size, fit=need.fit), 0)
        try:
            return np.expand_dims(decode.decode(decode.read(os.fspath(photo)), [need]).views[0], 0)
        except decode.Unreadable as error:
            raise InputError(f"{photo}: can't be read: {error.reason}") from None

    def load_own(self, name: str | None = None, provider: str = "auto") -> "Model":
        """A model by its name or file; None: the one that answers here, else the tool's default. Raises ModelError."""
        from photosearch.library.models import read_model_path

        if name is None and (own := self.answers) is not None:
            name = read_model_path(self._db, own) or own
        return self.load(name, provider)

    def count_files(self, folders: Sequence[str | Path] = ()) -> int:
        """How many photos lie in folders, without any: in all that are known. Nothing is opened."""
        from photosearch.index.run import count_files

        return count_files(self.path, [os.fspath(folder) for folder in folders])

    def count_known(self, folder: str | Path) -> int:
        """How many photos the library knows in a folder, those that are gone left out."""
        from photosearch.library.folders import count_photos, find_scope, to_stored_path

        inside = find_scope(self._db, to_stored_path(self._db, os.fspath(folder)))
        return 0 if inside is None else count_photos(self._db, inside).photos

    # ---- how folders are indexed

    def folders(self) -> list[dict[str, Any]]:
        """The folders that are known: path, counts of photos, whether it is there, its settings, and those in words."""
        from photosearch.index.folder_settings import describe_folders

        return describe_folders(self._db)

    def set_folder(
        self,
        folder: str | Path,
        *,
        models: Sequence[str] | None = None,
        tiles: int | None = None,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        follow_symlinks: bool | None = None,
        reset: bool = False,
    ) -> str:
        """Say how a folder is indexed from now on -> that, in words. reset: forget what was said. Raises InputError."""
        from photosearch.index.folder_settings import set_folder
        from photosearch.library.folders import FolderSettings

        said = FolderSettings(
            None if models is None else tuple(models), tiles, None if exclude is None else tuple(exclude),
            None if include is None else tuple(include), follow_symlinks,
        )  # fmt: skip
        return set_folder(self._db, os.fspath(folder), said, lambda name: self.load(name).card, reset=reset)

    def forget(self, paths: Sequence[str | Path] | None) -> int:
        """Delete what is known of photos and folders, None: of all -> photos forgotten. Photos are left alone."""
        import glob
        import shutil

        from photosearch.library.folders import to_stored_path
        from photosearch.library.forget import forget_all, forget_photos
        from photosearch.library.lock import lock_library

        with lock_library(self._db):
            for derived in self.path.parent.glob(f"{glob.escape(self.path.name)}.vectors-*"):
                derived.unlink(missing_ok=True)  # it would keep what it knows of them until it is made anew
            shutil.rmtree(self.thumbnails, ignore_errors=True)
            self.opened_page.unlink(missing_ok=True)
            if paths is None:
                return forget_all(self._db)
            return forget_photos(self._db, [to_stored_path(self._db, os.fspath(path)) for path in paths])

    # ---- asking

    def find(self, words: str = "", *, limit: int | None = None, **options: Any) -> "Answer":
        """The photos that show what you describe, best first. Raises QueryError, InputError, ModelError.

        words: labels filter (bird and not dog), descriptions rank (a cat asleep), both together do both (dog and
        "playing in the snow"). limit: at most so many; None is all that show a label, and the 20 most similar.
        options: most_similar, reading, like, unlike, min_score, min_similarity, under, since, until, file_dates, sort,
        model, as in search/find.py's Question.
        """
        from photosearch.search.find import find

        return find(self._db, self._ask(words, limit, options), self._read_vector)

    def _ask(self, words: str, limit: int | None, options: dict[str, Any]) -> "Question":
        from photosearch.search.find import Question

        for name in ("like", "unlike"):
            options[name] = tuple(map(os.fspath, options.get(name) or ()))
        if options.get("under") is not None:
            options["under"] = os.fspath(options["under"])
        if limit is not None:
            options.setdefault("most_similar", limit)
        return Question(words, limit, **options)

    def find_unseen(self, paths: Sequence[str]) -> dict[str, str]:
        """Which of these photos can't be seen now: 'away' with their drive, or 'missing'."""
        from photosearch.library.photos import find_missing

        return find_missing(self._db, paths)

    def _read_vector(self, picture: str, model: str) -> Any:
        """The vector of a photo's file that the library does not hold. Raises InputError, ModelError."""
        from photosearch.errors import ModelError
        from photosearch.library.models import read_model_path

        loaded = self.load(read_model_path(self._db, model) or model)
        outputs = loaded.look(self._read_views(picture, loaded))
        if outputs.vectors is None:
            raise ModelError(f"{model} gives no vectors")
        return outputs.vectors[0]

    def count(self, words: str, most: int, **options: Any) -> int:
        """How many photos labels give with `find`'s options, counted up to `most`; where likeness ranks, all are found.

        Raises as `find` does.
        """
        from photosearch.search.find import count

        counted = count(self._db, self._ask(words, None, options), most)
        return len(self.find(words, limit=most, **options).found) if counted is None else counted

    def find_label(self, name: str, model: str | None = None) -> "Label":
        """The label that a word means. Raises QueryError, which lists the nearest; InputError."""
        from photosearch.search.find import find_labels

        return find_labels(self._db, [name], model)[name]

    def describe_label(self, name: str, model: str | None = None) -> dict[str, Any]:
        """A label's model, threshold and what that rests on, what lies above and below it, synonyms, figures."""
        from photosearch.search.find import describe_label

        return describe_label(self._db, name, model)

    def labels(self, model: str | None = None) -> "list[Label]":
        """What `find` can look for, and from which score on; the labels of the model that answers come first."""
        from photosearch.search.find import list_labels

        return list_labels(self._db, model)

    def complete(self, text: str) -> list[str]:
        """How a query that is being typed may go on: whole texts, the word at the end made a label; likeliest first."""
        from photosearch.search.complete import complete_query
        from photosearch.search.hierarchy import read_synonyms

        return complete_query(text, (label.name for label in self.labels()), read_synonyms())

    def picture(self, image_id: int) -> "ImageDetails | None":
        """All that is known of one picture; None where no photo in the library shows it."""
        from photosearch.library import images

        return images.read_details(self._db, image_id)

    def find_files(self, image_id: int) -> tuple[bytes, list[str]] | None:
        """(the hash of a picture's bytes, the photos that show it), or None where none in the library does."""
        from photosearch.library import images

        return images.find_image_files(self._db, image_id)

    # ---- likeness

    def add_label(self, name: str, text: str, *, model: str | None = None) -> "Label":
        """Make a description a label, to sample, judge and report on like any other. Raises InputError, QueryError."""
        from photosearch.search.user_labels import add_label

        with self._open_likeness(model) as likeness:
            return add_label(self._db, likeness, name, text)

    def remove_label(self, name: str) -> None:
        """Forget a label that is a description. Raises QueryError."""
        from photosearch.search.user_labels import remove_label

        remove_label(self._db, name)

    def find_duplicates(self, *, near: bool = True, under: str | Path | None = None) -> "list[Group]":
        """Photos that are there more than once, in groups: the same content; near: the same picture otherwise."""
        from photosearch.search.copies import find_duplicates_in_library

        return find_duplicates_in_library(self._db, near=near, under=None if under is None else os.fspath(under))

    def judge_retrieval(self, file: str | Path, *, model: str | None = None) -> dict[str, Any]:
        """How well descriptions find the photos that a CSV file (query,path) says they should. Raises InputError."""
        from photosearch.judging.retrieving import judge_retrieval

        with self._open_likeness(model) as likeness:
            return judge_retrieval(self._db, likeness, file)

    def _open_likeness(self, model: str | None = None) -> "SimilaritySearch":
        from photosearch.errors import QueryError
        from photosearch.library.photos import find_image_at
        from photosearch.library.vectors import find_space
        from photosearch.search.find import model_name
        from photosearch.search.similar import SimilaritySearch

        name = model_name(self._db, model)
        space = None if name is None else find_space(self._db, name)
        if name is None:
            raise QueryError("nothing is indexed yet; run `photosearch index FOLDER`")
        if space is None:
            raise QueryError(f"{name} gives no vectors, so likeness can't be asked for; index with another model")
        return SimilaritySearch(
            self._db, name, space, lambda path: self._read_vector(path, name),
            lambda path: find_image_at(self._db, path),
        )  # fmt: skip

    @contextlib.contextmanager
    def _open_vectors(self, model: str) -> "Iterator[tuple[VectorSpace, VectorMap]]":
        with self._open_likeness(model) as likeness:
            yield likeness.space, likeness.map

    # ---- judging

    def mark(self, path: str | Path, label: str, present: bool, *, new: bool = False) -> None:
        """Tell what you know of a photo. new: the label may be one that nobody knows yet. Raises InputError."""
        self.mark_many([path], [(label, present)], new=new)

    def mark_many(self, paths: Sequence[str | Path], said: Sequence[tuple[str, bool]], *, new: bool = False) -> int:
        """Tell the same of several photos: all of (label, present) -> how many photos. Raises InputError."""
        from photosearch.judging.marking import mark_photos

        return mark_photos(self._db, [os.fspath(path) for path in paths], said, new=new)

    def undo_marks(self) -> "list[UndoneMark]":
        """Take back what was marked last, in one go -> each mark, and what is known there again."""
        from photosearch.judging.marking import undo_last

        return undo_last(self._db)

    def unmark(self, paths: Sequence[str | Path], labels: Sequence[str]) -> int:
        """Take back what you said of photos -> how many marks went. Raises InputError, QueryError."""
        from photosearch.judging.marking import unmark_photos

        return unmark_photos(self._db, [os.fspath(path) for path in paths], labels)

    def mark_picture(self, image_id: int, label: str, present: bool | None) -> "tuple[Label, bool | None]":
        """Tell what you know of a picture, None: take it back -> (the label that is meant, what you said before).

        image_id: as `find` gives it. Raises InputError, QueryError.
        """
        from photosearch.judging.marking import mark_image

        return mark_image(self._db, image_id, label, present)

    def undo_picture(self, image_id: int, label: str, before: bool | None) -> None:
        """Take a mark of a picture back to what mark_picture gave as said before. Raises InputError, QueryError."""
        from photosearch.judging.marking import undo_image

        undo_image(self._db, image_id, label, before)

    def said(self, label: str, image_ids: Sequence[int]) -> dict[int, bool]:
        """Which of these pictures you said show a label, or don't; the others are left out."""
        from photosearch.library import marks

        return marks.read_marks(self._db, label, image_ids)

    def list_next(self, label: str, kind: "Kind" = "near", *, n: int = 60, model: str | None = None) -> "ReviewQueue":
        """The photos to judge next: 'near' the threshold, where two models 'disagree', or of the last 'sample'.

        Raises QueryError, InputError.
        """
        from photosearch.judging.review_queue import build_queue

        return build_queue(self._db, label, kind, n=n, model=model)

    def truth(self, label: str | None = None, *, under: str | Path | None = None) -> "list[Mark]":
        """What you know of your photos, a row for each photo and label."""
        from photosearch.library import marks
        from photosearch.search.find import check_folder

        return marks.list_marks(
            self._db, label, under=None if under is None else check_folder(self._db, os.fspath(under))
        )

    def import_truth(self, file: str | Path, *, skip_unknown: bool = False, new: Sequence[str] = ()) -> tuple[int, int]:
        """Read what you know from a CSV file, all or nothing -> (rows kept, rows passed over). Raises InputError.

        new: labels in it that nobody knows yet.
        """
        from photosearch.judging import truth

        rows = truth.read_rows(file)
        return truth.import_rows(self._db, rows, os.fspath(file), skip_unknown=skip_unknown, new=new)

    def import_keywords(self, **options: Any) -> "ImportResult":
        """Keep keywords and ratings in side-cars, or in the photos themselves, as marks. Raises InputError, QueryError.

        options: under, new, complete, rated, as in keywords.py.
        """
        from photosearch.keywords import import_keywords

        return import_keywords(self._db, **options)

    def export_keywords(self, labels: Sequence[str], **options: Any) -> "ExportResult":
        """Write labels as keywords to side-cars, .xmp; photos are left alone. Raises InputError, QueryError.

        options: under, model, marked, short, dry_run, as in keywords.py.
        """
        from photosearch.keywords import export_keywords

        return export_keywords(self._db, labels, **options)

    def draw_sample(self, label: str, n: int, *, seed: int = 0, model: str | None = None) -> "Sample":
        """Draw n photos to judge a label by. Raises InputError."""
        from photosearch.judging.marking import draw_sample

        return draw_sample(self._db, label, n, seed=seed, model=model)[1]

    def judge(
        self,
        label: str,
        yes: Sequence[str],
        unsure: Sequence[str] = (),
        *,
        model: str | None = None,
        sheet: int | None = None,
    ) -> "tuple[Label, JudgeResult]":
        """Judge a sample by its numbers as typed: 3 7 12-15; sheet: its own, None: the last's. Raises InputError."""
        from photosearch.judging.marking import judge_sample

        return judge_sample(self._db, label, yes, unsure, model=model, sheet=sheet)

    def compare(self, label: str | None = None, **options: Any) -> "LabelReport":
        """How right the model is on a label, on the photos that you marked. Raises InputError.

        options: model, under, threshold, at_precision, at_recall, calibration, as in judging/report.py.
        """
        from photosearch.judging.report import report_label

        return report_label(self._db, label, **options)

    def report(self, label: str | None = None, **options: Any) -> dict[str, Any]:
        """What `compare` finds, ready for JSON: counts, shares, intervals, mistakes."""
        return self.compare(label, **options).told

    def report_labels(self, **options: Any) -> dict[str, Any]:
        """The same of every label that you marked, with averages, and what each is confused with. Raises InputError.

        options: model, under.
        """
        from photosearch.judging.report import report_labels

        return report_labels(self._db, **options)

    def save_threshold(self, label: "Label", threshold: float | None) -> None:
        """From now on the label holds from this score on; None: from its card's."""
        from photosearch.library.labels import save_threshold

        save_threshold(self._db, label, threshold)

    def undo_threshold(self, label: "Label") -> bool:
        """Go back to what held before a threshold was saved last -> whether one was."""
        from photosearch.library.labels import undo_threshold

        return undo_threshold(self._db, label)

    # ---- learning

    def learn(self, label: str, *, model: str | None = None, seed: int = 0) -> "LearnResult":
        """Learn a label from your marks; the better of it and what stood by that name is kept. Raises InputError.

        model: whose vectors to learn on, in place of those of the model that answers.
        """
        from photosearch.learning.learn import learn_label

        with self._open_likeness(model) as likeness:
            return learn_label(self._db, likeness.space, likeness.map, likeness.model, label, seed=seed)

    def undo_learning(self, label: str) -> "Label | None":
        """Take back what was learned last -> the label that answers by that name now, if any. Raises QueryError."""
        from photosearch.learning.learn import undo_learning

        return undo_learning(self._db, label, self._open_vectors, self._describe)

    # ---- what there is

    def status(self) -> dict[str, Any]:
        """The library in numbers: photos, unreadable, removed, excluded, images, marks, roots, models, last run."""
        from photosearch.library.folders import count_photos, is_present, list_roots
        from photosearch.library.models import list_models, read_default_model
        from photosearch.library.photos import read_counts

        roots = [
            {"path": r.root, "photos": count_photos(self._db, r).photos, "there": is_present(r)}
            for r in list_roots(self._db)
        ]
        return {
            "roots": roots, **read_counts(self._db).to_json(), "answers": read_default_model(self._db),
            "models": [model.to_json() for model in list_models(self._db)], "last_run": self.last_run(),
        }  # fmt: skip

    def last_run(self) -> dict[str, Any] | None:
        """started_at, finished_at, host, pid, models, provider and summary of the run that began last; None: none."""
        from photosearch.library.runs import read_last_run

        run = read_last_run(self._db)
        return None if run is None else run.to_json()

    def list_folders(self, most: int = 2000) -> list[str]:
        """The folders that hold photos, and those above them up to the roots, by path.

        most: where there are more, the deepest are left out, level by level.
        """
        from photosearch.library.folders import list_folder_paths

        return list_folder_paths(self._db, most)

    def progress(self) -> dict[str, Any]:
        """What an index has done that may run beside: running, started_at, models, photos, unreadable, looked.

        photos: known by now. looked: pictures that the run's models have looked at, in this run or before.
        """
        from photosearch.library.models import list_models
        from photosearch.library.photos import read_counts
        from photosearch.library.runs import is_running, read_last_run

        run, counts = read_last_run(self._db), read_counts(self._db)
        models = list(run.models) if run else []
        looked = max((m.images for m in list_models(self._db) if m.name in models), default=0)
        return {
            "running": run is not None and is_running(run), "started_at": run and run.started_at,
            "models": models, "photos": counts.photos, "unreadable": counts.unreadable, "looked": looked,
        }  # fmt: skip

    def unreadable(self) -> list[tuple[str, str, str]]:
        """(path, reason, since when) of each photo that could not be read."""
        from photosearch.library.photos import list_unreadable

        return list_unreadable(self._db)

    @property
    def answers(self) -> str | None:
        """The name of the model that answers; None where nothing was indexed yet."""
        from photosearch.library.models import read_default_model

        return read_default_model(self._db)

    def use(self, model: str) -> tuple[int, int]:
        """From now on this model answers -> (pictures that it has looked at, all pictures).

        Raises StoreError where it has looked at nothing here.
        """
        from photosearch.library.models import count_active, set_default_model
        from photosearch.library.photos import read_counts

        set_default_model(self._db, model)
        return count_active(self._db, model), read_counts(self._db).images
