"""Workers in this process: they score one shard after another, and die when a test says so."""

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
class LocalWorkers:
    """kills: whether a shard kills its worker. submitted: all shards, in order. running: those that have not ended."""

    work: Work
    store: FolderStore
    kills: Callable[[Shard], bool] = lambda shard: False
    submitted: list[Shard] = field(default_factory=list)
    running: list[Shard] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        self.store.put("probe", b"")
        self.worker = Worker(make_config(self.work, self.store), InThisProcess)

    def count_idle(self) -> int:
        return 2 - len(self.running)

    def submit(self, shard: Shard) -> None:
        self.running.append(shard)
        self.submitted.append(shard)

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        if not self.running:
            return []
        shard = self.running.pop()  # the later one first: nobody promises an order
        if self.kills(shard):
            return [ShardOutcome(shard.name, "died", "killed")]
        return [self.worker.score(shard)]

    def close(self) -> None:
        self.closed = True


def make_config(work: Work, store: FolderStore, **changes: Any) -> WorkerConfig:
    models = tuple(ModelRef.of(scorer) for scorer in work.scorers)
    paths = tuple(str(scorer.model.path) for scorer in work.scorers)
    values = {
        "models": models, "paths": paths, "roots": tuple(work.roots), "store": store.place, "probe": "probe",
        "provider": "cpu", "threads": 1, "workers_per_machine": 1, "batch_size": 3,
    }  # fmt: skip
    return WorkerConfig(**{**values, **changes})


@dataclass
class Spread:
    """An engine whose workers a test can inspect after the run."""

    folder: Path
    photos_per_shard: int = 4
    kills: Callable[[Shard], bool] = lambda shard: False
    keep: bool = True
    workers: LocalWorkers | None = None

    @property
    def store(self) -> FolderStore:
        return FolderStore(str(self.folder))

    def driver(self) -> Driver:
        def open_workers(work: Work) -> LocalWorkers:
            self.workers = LocalWorkers(work, self.store, self.kills)
            return self.workers

        return Driver(self.store, open_workers, self.photos_per_shard, self.keep)


def write_photos(library: Library, n: int, folder: str = "") -> None:
    for i in range(n):
        write_photo(library.path(folder) / f"{i:03}.png", ("red", "green", "blue")[i % 3], (20 + i, 20))


def all_rows(library: Library) -> list[Any]:
    """All that a library holds of its photos, by path, without ids and other traces of the order of writing."""
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
