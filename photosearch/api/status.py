"""The state of a library as records."""

from dataclasses import asdict, dataclass
from pathlib import Path

from photosearch.library.database import Database
from photosearch.library.details import DetailCounts, count_details
from photosearch.library.folders import count_photos, is_present, list_roots
from photosearch.library.models import list_models, read_default_model
from photosearch.library.photos import read_counts
from photosearch.library.records import Counts, Run, StoredModel
from photosearch.library.runs import is_running, read_last_run
from photosearch.library.texts import TextCounts, count_texts
from photosearch.library.vectors import find_unusable


@dataclass(frozen=True, slots=True)
class IndexedFolder:
    """A folder that `index` was given. present: whether it can be seen now."""

    path: str
    photos: int
    present: bool


@dataclass(frozen=True, slots=True)
class Status:
    """A library in numbers. size_bytes: of its file. default_model: None where nothing was indexed yet.

    unusable_vectors: those that have no direction; searches pass over them, and the next index makes them again.
    details: photos on the disk with a position, people, a title or caption. texts: pictures in which text was
    looked for, and found.
    """

    path: str
    size_bytes: int
    folders: tuple[IndexedFolder, ...]
    counts: Counts
    default_model: str | None
    models: tuple[StoredModel, ...]
    last_run: Run | None
    unusable_vectors: int
    details: DetailCounts
    texts: TextCounts

    def to_json(self) -> dict[str, object]:
        return {
            "database": self.path, "size_bytes": self.size_bytes,
            "folders": [asdict(folder) for folder in self.folders], **self.counts.to_json(),
            "default_model": self.default_model, "models": [model.to_json() for model in self.models],
            "last_run": None if self.last_run is None else self.last_run.to_json(),
            "unusable_vectors": self.unusable_vectors, "photos_with": asdict(self.details),
            "texts": asdict(self.texts),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Progress:
    """An index run, perhaps of another process. photos: known by now. scored: images that its models have scored."""

    running: bool
    started_at: str | None
    models: tuple[str, ...]
    photos: int
    unreadable: int
    scored: int

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def read_status(path: Path, db: Database) -> Status:
    folders = tuple(
        IndexedFolder(root.root, count_photos(db, root).photos, is_present(root)) for root in list_roots(db)
    )
    return Status(
        str(path), path.stat().st_size, folders, read_counts(db), read_default_model(db), tuple(list_models(db)),
        read_last_run(db), len(find_unusable(db)), count_details(db),
        count_texts(db),
    )  # fmt: skip


def read_progress(db: Database) -> Progress:
    run, counts = read_last_run(db), read_counts(db)
    models = () if run is None else run.models
    scored = max((model.images for model in list_models(db) if model.name in models), default=0)
    running = run is not None and is_running(run)
    return Progress(running, None if run is None else run.started_at, models, counts.photos, counts.unreadable, scored)
