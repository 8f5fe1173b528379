"""A run on many machines, without them: 200 made-up actors through the real driver, and rows through the real writes.

    python -m benchmarks spread --rows 1000000

What is real: the driver, its retries, the Parquet files, reading and checking them, and the library's own transactions.
What is made up: the photos, what is seen in them, how long an actor takes (log-normal, by a clock of its own that waits
for nobody), and which of them die. The merge is `merge` itself, over files that are really there, and empty.

`predict` is the model of a run that these costs are put into: whichever of cores, network and merge is busiest sets its
pace.
"""

import heapq
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import core_seconds
from photosearch.engines.driver import Driver, ShardOutcome
from photosearch.engines.merge import find_files, merge
from photosearch.engines.shards import Shard, write
from photosearch.engines.store import FolderStore
from photosearch.index.commit import Committer
from photosearch.index.events import Event
from photosearch.index.infer import PhotoResult, Prediction, Scorer
from photosearch.index.plan import PendingPhoto
from photosearch.index.run import Run, RunOptions
from photosearch.library.database import Database
from photosearch.library.folders import FolderSettings, Scope, add_root, put_folder
from photosearch.library.photos import read_counts
from photosearch.models.catalog import resolve
from photosearch.models.session import Model
from photosearch.photos.walk import Photo

ACTORS = 200
FOLDER = 1000  # photos in one
KEPT = 8  # scores of a photo that are above the floor
SECONDS = 0.1  # of one core for one photo, in the middle; made up, as is ...
SPREAD = 1.0  # ... the standard deviation of its logarithm for a shard
DEATHS = 0.01  # of the shards that are begun kill their actor


@dataclass
class Made:
    """Workers that make up what they see. now: seconds on their own clock. Each ends its shard in its own time."""

    store: FolderStore
    model: Model
    rng: random.Random
    now: float = 0.0
    deaths: int = 0
    begun: int = 0
    most: int = 0
    _ends: list[tuple[float, int, Shard]] = field(default_factory=list)

    def free(self) -> int:
        return ACTORS - len(self._ends)

    def give(self, shard: Shard) -> None:
        self.begun += 1
        seconds = len(shard.photos) * SECONDS * self.rng.lognormvariate(0, SPREAD)
        heapq.heappush(self._ends, (self.now + seconds, self.begun, shard))
        self.most = max(self.most, len(self._ends))

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        self.now, _, shard = heapq.heappop(self._ends)
        if self.rng.random() < DEATHS:
            self.deaths += 1
            return [ShardOutcome(shard.name, "died", "made up")]
        self.store.put(shard.name, write(shard, make_up(shard, self.model, self.rng)))
        return [ShardOutcome(shard.name)]

    def close(self) -> None:
        pass


def make_up(shard: Shard, model: Model, rng: random.Random) -> Iterator[PhotoResult]:
    """One row for each photo: its own content, some scores, a vector where the model has one."""
    labels, width = model.card.labels, model.card.dimensions if "vectors" in model.card.heads else 0
    for photo in shard.photos:
        scores = {labels[rng.randrange(len(labels))]: float(np.float32(rng.uniform(0.04, 1))) for _ in range(KEPT)}
        vector = rng.randbytes(2 * width) if width else None
        yield PhotoResult(
            photo, rng.randbytes(32), 4000, 3000, "2026-01-02T12:00:00", "DateTimeOriginal", rng.getrandbits(64),
            {0: Prediction(scores, vector)},
        )  # fmt: skip


def simulate(to: Path, *, rows: int, model: str = "sight", seed: int = 1) -> dict[str, Any]:
    """So many rows through the driver into a library -> what it took, in tenths, as the library grew."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    loaded = Model(resolve(model), provider="cpu", threads=1)
    store = FolderStore(str(to / "shards"))
    workers = Made(store, loaded, random.Random(seed))
    tenths: list[dict[str, float]] = []
    counts: Counter[str] = Counter()
    with Database(to / "library.db", create=True) as db:
        run = Run(db, lambda name: loaded, FolderSettings(), RunOptions(), lambda: False)
        scope = add_root(db, "/photos")
        run.prepare([scope])
        committer = Committer(db, run.stored)
        driver = Driver(store, lambda work: workers, keep=False)
        began, cores, done, since = time.perf_counter(), core_seconds(), 0, time.perf_counter()
        for item in driver.look(photos(run, db, scope, rows), run.work()):
            if not isinstance(item, Sequence):
                counts[type(item).__name__] += 1
                continue
            committer.commit(item)
            done += len(item)
            if done * 10 >= rows * (len(tenths) + 1):
                now = time.perf_counter()
                tenths.append({"rows": done, "seconds": now - since, "library_bytes": size_of(to / "library.db")})
                since = now
        seconds = time.perf_counter() - began
        looked = read_counts(db).photos
    peak = int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x).split()[1]) * 1024
    return {
        "rows": rows, "in_the_library": looked, "shards": workers.begun - workers.deaths, "deaths": workers.deaths,
        "told": dict(counts), "actors_at_once": workers.most, "made_up_seconds": round(workers.now),
        "seconds": seconds, "core_seconds": core_seconds() - cores, "peak_bytes": peak, "tenths": tenths,
        "library_bytes_a_row": size_of(to / "library.db") / rows,
    }  # fmt: skip


def photos(run: Run, db: Database, scope: Scope, rows: int) -> Iterator[PendingPhoto | Event]:
    """What a plan would ask for, of photos that are nowhere."""
    readings = tuple(stored.id for stored in run.stored)
    for i in range(rows):
        folder = f"/photos/{i // FOLDER:06}"
        if i % FOLDER == 0:
            folder_id = put_folder(db, scope, folder)
        yield PendingPhoto(Photo(f"{folder}/IMG_{i:09}.jpg", 2_600_000 + i, i, i, 1, i), folder_id, None, readings, "")


def measure_merge(to: Path, *, rows: int, model: str = "sight", seed: int = 2) -> dict[str, Any]:
    """`merge` over shards of files that are there, and empty -> what a row costs."""
    shutil.rmtree(to, ignore_errors=True)
    loaded = Model(resolve(model), provider="cpu", threads=1)
    rng, store = random.Random(seed), FolderStore(str(to / "shards"))
    root = os.path.realpath(to / "photos")
    for first in range(0, rows, FOLDER // 2):
        folder = Path(root, f"{first // FOLDER:06}")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{i:09}.jpg" for i in range(first, min(first + FOLDER // 2, rows))]
        for path in paths:
            path.touch()
        made = tuple(Photo(str(path), 0, path.stat().st_mtime_ns) for path in paths)
        shard = Shard(root, (_seen(loaded),), made, (None,) * len(made))
        store.put(shard.name, write(shard, make_up(shard, loaded, rng)))
    shard_bytes = sum(p.stat().st_size for p in Path(store.place).iterdir())
    told: dict[str, Any] = {"rows": rows, "shard_bytes_a_row": shard_bytes / rows}
    with Database(to / "library.db", create=True) as db:
        for how in ("merge", "again"):
            began, cores = time.perf_counter(), core_seconds()
            kinds = Counter(type(e).__name__ for e in merge(db, find_files([store.place]), lambda name: loaded))
            told[how] = {
                "seconds": time.perf_counter() - began, "core_seconds": core_seconds() - cores, "told": dict(kinds),
            }  # fmt: skip
    return told


def _seen(model: Model) -> Any:
    from photosearch.engines.shards import ModelRef

    return ModelRef.by(Scorer(model))


def size_of(db: Path) -> int:
    """Of a library with its log, in bytes."""
    return sum(p.stat().st_size for p in db.parent.glob(db.name + "*"))


@dataclass(frozen=True, slots=True)
class Costs:
    """What one photo costs each part of a run, and what there is of each. The defaults are in docs/scale.md."""

    core_seconds: float = 0.05  # decode and look, of one core, with what Ray takes
    photo_bytes: float = 2_600_000  # 12 megapixels
    link_bytes_a_second: float = 1.25e9  # of the file server: 10 Gbit/s, all machines together
    machine_bytes_a_second: float = 1.25e8  # of each machine: 1 Gbit/s
    merge_seconds: float = 0.0005  # of the one process that writes
    cores: int = 16  # of each machine
    start_seconds: float = 30.0
    library_bytes: float = 2_500.0


def predict(photos: int, machines: int, costs: Costs) -> dict[str, Any]:
    """How long a run takes, and which part holds it back. Photos a second of the slowest part, and the start."""
    rates = {
        "cores": machines * costs.cores / costs.core_seconds,
        "the machines' network": machines * costs.machine_bytes_a_second / costs.photo_bytes,
        "the file server's link": costs.link_bytes_a_second / costs.photo_bytes,
        "the merge": 1 / costs.merge_seconds,
    }
    slowest = min(rates, key=lambda part: rates[part])
    return {
        "photos": photos, "machines": machines, "hours": (costs.start_seconds + photos / rates[slowest]) / 3600,
        "photos_a_second": rates[slowest], "held_back_by": slowest, "library_gb": photos * costs.library_bytes / 1e9,
    }  # fmt: skip


def table(costs: Costs, photos: Sequence[int] = (10**6, 10**7, 10**8), machines: Sequence[int] = (1, 10, 100)) -> str:
    """The model's answers, as a table in Markdown."""
    lines = ["| photos | machines | hours | photos/s | held back by | library |", "|---|---|---|---|---|---|"]
    for n in photos:
        for m in machines:
            told = predict(n, m, costs)
            lines.append(
                f"| {n:,} | {m} | {told['hours']:,.1f} | {told['photos_a_second']:,.0f} | {told['held_back_by']} | "
                f"{told['library_gb']:,.1f} GB |"
            )
    return "\n".join(lines)
