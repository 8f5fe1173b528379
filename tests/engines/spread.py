"""Workers that are none: they look in this process, one shard after another, and die when a test says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from library import InThisProcess, Library
from toy import photo as write_photo

from photosearch.engines.driver import Driver, ShardOutcome
from photosearch.engines.shards import ModelRef, Shard
from photosearch.engines.store import FolderStore
from photosearch.engines.worker import Worker, WorkerConfig
from photosearch.index.run import Work


@dataclass
class Here:
    """kills: whether a shard kills the worker that gets it. given: the shards that were begun, in their order."""

    work: Work
    store: FolderStore
    kills: Callable[[Shard], bool] = lambda shard: False
    given: list[Shard] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    hand: list[Shard] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.store.put("probe", b"")
        self.worker = Worker(job_of(self.work, self.store), InThisProcess)

    def free(self) -> int:
        return 2 - len(self.hand)

    def give(self, shard: Shard) -> None:
        self.hand.append(shard)
        self.given.append(shard)

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        if not self.hand:
            return []
        shard = self.hand.pop()  # the later one first: the order in which they end is nobody's promise
        if self.kills(shard):
            return [ShardOutcome(shard.name, "died", "killed")]
        self.looked += [photo.path for photo in shard.photos]
        return [self.worker.look(shard)]

    def close(self) -> None:
        self.closed = True


def job_of(work: Work, store: FolderStore, **changes: Any) -> WorkerConfig:
    seen = tuple(ModelRef.by(reading) for reading in work.readings)
    models = tuple(str(reading.model.path) for reading in work.readings)
    values = {
        "seen": seen, "models": models, "roots": tuple(work.roots), "store": store.place, "probe": "probe",
        "provider": "cpu", "threads": 1, "workers_here": 1, "batch_size": 3,
    }  # fmt: skip
    return WorkerConfig(**{**values, **changes})


@dataclass
class Spread:
    """An engine whose workers a test can look into, once it has run."""

    folder: Path
    photos: int = 4
    kills: Callable[[Shard], bool] = lambda shard: False
    keep: bool = True
    workers: Here | None = None

    @property
    def store(self) -> FolderStore:
        return FolderStore(str(self.folder))

    def driver(self) -> Driver:
        def open_workers(work: Work) -> Here:
            self.workers = Here(work, self.store, self.kills)
            return self.workers

        return Driver(self.store, open_workers, self.photos, self.keep)


def several(library: Library, n: int, folder: str = "") -> None:
    for i in range(n):
        write_photo(library.path(folder) / f"{i:03}.png", ("red", "green", "blue")[i % 3], (20 + i, 20))


def all_rows(library: Library) -> list[Any]:
    """What a library holds of its photos, by their paths: nothing that tells in which order it was written."""
    return sorted(
        library.db.rows(
            """
            SELECT r.path, f.path, p.name, p.size_bytes, p.mtime_ns, p.ctime_ns, p.inode, p.name_date, p.reason,
                p.transient, p.absent, i.hash, i.width, i.height, i.taken, i.taken_from, i.fingerprint,
                (SELECT group_concat(l.name || '=' || s.score) FROM scores s JOIN labels l ON l.id = s.label_id
                 WHERE s.image_id = i.id ORDER BY l.name),
                (SELECT group_concat(hex(v.vector)) FROM vectors v WHERE v.image_id = i.id),
                (SELECT group_concat(m.digest || m.tiles || k.active) FROM scored k JOIN models m ON m.id = k.model_id
                 WHERE k.image_id = i.id)
            FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            LEFT JOIN images i ON i.id = p.image_id
            """
        ),
        key=repr,
    )
