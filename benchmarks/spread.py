"""Indexing on many machines, without them: 200 simulated actors behind the real driver, with the real writes.

Real: the driver, its retries, the Parquet files, reading and checking them, the library's own transactions. Made up:
the photos, their scores, how long an actor takes (log-normal, by a simulated clock), and which actors die. The merge is
`merge` itself, over files that exist and are empty.

`predict` is a model of a run with these costs: whichever of cores, network and merge is slowest sets the pace.
"""

import heapq
import os
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.measure import Figures, PeakMemory, core_seconds, measure_cost
from photosearch.engines.driver import Driver, ShardOutcome
from photosearch.engines.merge import find_files, merge
from photosearch.engines.shards import ModelRef, Shard, write
from photosearch.engines.store import FolderStore
from photosearch.index.commit import Batch
from photosearch.index.events import Event
from photosearch.index.infer import LoadedScorer, PhotoResult, Prediction
from photosearch.index.plan import plan_run
from photosearch.index.run import Work, execute
from photosearch.index.scan import BookkeepingUpdate, PendingPhoto
from photosearch.library.database import Database
from photosearch.library.folders import put_folder
from photosearch.library.photos import read_counts
from photosearch.models.catalog import DEFAULT_MODEL, resolve
from photosearch.models.session import Model
from photosearch.photos.walk import Photo

ACTORS = 200
PER_FOLDER = 1000  # photos
SCORES_PER_PHOTO = 8  # above the model's floor
SECONDS_PER_PHOTO = 0.1  # of an actor; made up, as is ...
LOG_SPREAD = 1.0  # ... the standard deviation of its logarithm from shard to shard
DEATH_RATE = 0.01  # of the shards that are started kill their actor
OVERHEAD = 1.2  # of a photo's core time, for Ray: measured on two raylets of one machine


def measure_spread(work: Path, *, rows: int = 1_000_000, merged: int = 20_000) -> Figures:
    """rows: through the driver. merged: photos that `merge` takes by itself."""
    return {"merge": measure_merge(work / "merge", rows=merged), "driver": simulate(work / "spread", rows=rows)}


@dataclass
class SimulatedWorkers:
    """now: seconds on their own clock. max_running: shards at once."""

    store: FolderStore
    model: Model
    rng: random.Random
    now: float = 0.0
    deaths: int = 0
    started: int = 0
    max_running: int = 0
    _running: list[tuple[float, int, Shard]] = field(default_factory=list)

    def count_idle(self) -> int:
        return ACTORS - len(self._running)

    def submit(self, shard: Shard) -> None:
        self.started += 1
        seconds = len(shard.photos) * SECONDS_PER_PHOTO * self.rng.lognormvariate(0, LOG_SPREAD)
        heapq.heappush(self._running, (self.now + seconds, self.started, shard))
        self.max_running = max(self.max_running, len(self._running))

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        self.now, _, shard = heapq.heappop(self._running)
        if self.rng.random() < DEATH_RATE:
            self.deaths += 1
            return [ShardOutcome(shard.name, "died", "simulated")]
        self.store.put(shard.name, write(shard, make_results(shard, self.model, self.rng)))
        return [ShardOutcome(shard.name)]

    def close(self) -> None:
        pass


def make_results(shard: Shard, model: Model, rng: random.Random) -> Iterator[PhotoResult]:
    """One row for each photo: its own content, some scores, a vector where the model has one."""
    labels, width = model.card.labels, model.card.dimensions if "vectors" in model.card.outputs else 0
    for photo in shard.photos:
        names = (labels[rng.randrange(len(labels))] for _ in range(SCORES_PER_PHOTO))
        scores = {name: float(np.float32(rng.uniform(0.04, 1))) for name in names}
        numbers = np.frombuffer(rng.randbytes(width), np.uint8) + 1.0
        vector = (numbers / np.linalg.norm(numbers)).astype(np.float16).tobytes() if width else None
        taken = ("2026-01-02T12:00:00", "DateTimeOriginal")
        yield PhotoResult(
            photo, rng.randbytes(32), 4000, 3000, *taken, rng.getrandbits(64),
            {shard.models[0].scorer: Prediction(scores, vector)},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimulatedScan:
    """An engine: the real driver, over photos that don't exist in place of those that the scan finds."""

    driver: Driver
    db: Database
    rows: int

    def infer(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        yield from self.driver.infer(plan_photos(self.db, work, self.rows), work)


def simulate(to: Path, *, rows: int, model: str = DEFAULT_MODEL, seed: int = 1) -> Figures:
    """`rows` photos through the driver into a library."""
    shutil.rmtree(to, ignore_errors=True)
    (to / "photos").mkdir(parents=True)
    loaded = Model(resolve(model), provider="cpu", threads=1)
    store = FolderStore(str(to / "shards"))
    workers = SimulatedWorkers(store, loaded, random.Random(seed))
    with Database(to / "library.db", create=True) as db, PeakMemory() as memory:
        engine = SimulatedScan(Driver(store, lambda work: workers, keep=False), db, rows)
        plan = plan_run(db, [str(to / "photos")], lambda name: loaded)
        start = core_seconds()
        for _ in execute(db, plan, engine):
            pass
        used = core_seconds() - start
        photos, peak_mb = read_counts(db).photos, memory.read() / 1e6
    return {
        "rows": rows,
        "photos": photos,
        "shards": workers.started - workers.deaths,
        "deaths": workers.deaths,
        "max_actors": workers.max_running,
        "core_ms": 1000 * used / rows,
        "peak_mb": peak_mb,
        "library_bytes": _measure_library(to / "library.db") / rows,
    }


def plan_photos(db: Database, work: Work, rows: int) -> Iterator[PendingPhoto | Event]:
    """What a scan would ask for, of photos that don't exist."""
    (scan,) = work.scans
    for i in range(rows):
        folder = f"{scan.scope.path}/{i // PER_FOLDER:06}"
        if i % PER_FOLDER == 0:
            folder_id = put_folder(db, scan.scope, folder)
        photo = Photo(f"{folder}/IMG_{i:09}.jpg", 2_600_000 + i, i, i, 1, i)
        yield PendingPhoto(photo, folder_id, None, scan.scorers, "")


def measure_merge(to: Path, *, rows: int, model: str = DEFAULT_MODEL, seed: int = 2) -> Figures:
    """`merge` over shards of files that exist and are empty: core-ms and bytes a photo; again_core_ms: when known."""
    shutil.rmtree(to, ignore_errors=True)
    loaded = Model(resolve(model), provider="cpu", threads=1)
    rng, store = random.Random(seed), FolderStore(str(to / "shards"))
    root = os.path.realpath(to / "photos")
    for first in range(0, rows, PER_FOLDER // 2):
        folder = Path(root, f"{first // PER_FOLDER:06}")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{i:09}.jpg" for i in range(first, min(first + PER_FOLDER // 2, rows))]
        for path in paths:
            path.touch()
        photos = tuple(Photo(str(path), 0, path.stat().st_mtime_ns) for path in paths)
        shard = Shard(root, (ModelRef.of(LoadedScorer(loaded)),), photos, (None,) * len(photos))
        store.put(shard.name, write(shard, make_results(shard, loaded, rng)))
    shard_bytes = sum(path.stat().st_size for path in Path(store.place).iterdir()) / rows
    with Database(to / "library.db", create=True) as db:

        def take_all() -> int:
            return len(list(merge(db, find_files([store.place]), lambda name: loaded, roots={root: root})))

        first_run, again = measure_cost(take_all), measure_cost(take_all)
    core_ms = {"core_ms": 1000 * first_run.core_seconds / rows, "again_core_ms": 1000 * again.core_seconds / rows}
    return {"rows": rows, "shard_bytes": shard_bytes, **core_ms}


def _measure_library(db: Path) -> int:
    """Bytes of a library and its log."""
    return sum(path.stat().st_size for path in db.parent.glob(db.name + "*"))


@dataclass(frozen=True, slots=True)
class Costs:
    """What one photo costs each part of a run, and what there is of each."""

    core_seconds: float  # to decode and score it on one core, Ray's share included
    merge_seconds: float  # of the one process that writes
    library_bytes: float
    photo_bytes: float = 2_600_000  # 12 megapixels
    link_bytes_per_second: float = 1.25e9  # of the file server: 10 Gbit/s, all machines together
    machine_bytes_per_second: float = 1.25e8  # of each machine: 1 Gbit/s
    cores: int = 16  # of each machine
    start_seconds: float = 30.0


def predict(photos: int, machines: int, costs: Costs) -> tuple[float, float, str]:
    """-> (hours, photos a second, the slowest part)."""
    rates = {
        "cores": machines * costs.cores / costs.core_seconds,
        "the machines' network": machines * costs.machine_bytes_per_second / costs.photo_bytes,
        "the file server's link": costs.link_bytes_per_second / costs.photo_bytes,
        "the merge": 1 / costs.merge_seconds,
    }
    slowest = min(rates, key=lambda part: rates[part])
    return (costs.start_seconds + photos / rates[slowest]) / 3600, rates[slowest], slowest
