"""One worker, wherever it runs: shards in, Parquet files out. It keeps its models and decoders from shard to shard.

Knows nothing of the engine that carries shards to it, and nothing of the library. What the driver has must be here as
well: the same photosearch, the same models, the photos under the same path, and the place of the shards.
"""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import photosearch
from photosearch.engines.driver import ShardOutcome
from photosearch.engines.shards import FORMAT, ModelRef, Shard, write
from photosearch.engines.store import open_store
from photosearch.errors import InputError, ModelError
from photosearch.index.infer import PhotoOpener, Scorer, infer
from photosearch.models.catalog import resolve
from photosearch.models.session import Model
from photosearch.photos import decode
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.remote import is_address
from photosearch.photos.walk import Photo


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker must know, once. models: for each of `seen`, a file that may hold it where no name leads to it.

    roots: that must be there. threads: photos opened at once, and of the models on a CPU. workers_here: on this
    machine, which share its memory. probe: a name that the driver left in the store.
    """

    seen: tuple[ModelRef, ...]
    models: tuple[str, ...]
    roots: tuple[str, ...]
    store: str
    probe: str
    provider: str
    threads: int
    workers_here: int
    batch_size: int | None
    version: tuple[str, int, int] = (photosearch.__version__, FORMAT, decode.VERSION)


class Worker:
    """Looks at shards. Raises InputError or ModelError where what it needs is not here."""

    def __init__(self, job: WorkerConfig, decoders: Callable[[int, DecodeOptions], PhotoOpener] | None = None):
        """decoders: who opens photos; None: child processes, which share this machine's memory with other workers'."""
        here = f"on {platform.node()}"
        if job.version != (photosearch.__version__, FORMAT, decode.VERSION):
            told = f"{photosearch.__version__}, shards {FORMAT}, decoder {decode.VERSION}"
            raise InputError(
                f"{here}: photosearch {told}, and the driver has {', '.join(map(str, job.version))}; install the same"
            )
        for root in job.roots:
            if not is_address(root) and not os.path.isdir(root):
                raise InputError(f"{here}: {root} is not there; mount the photos under the same path on all machines")
        self._store = open_store(job.store, create=False)
        if not self._store.has(job.probe):
            raise InputError(
                f"{here}: {job.store} is not the driver's; choose --shards in a place that all machines see"
            )
        self._job, self._here = job, here
        pairs = zip(job.seen, job.models, strict=True)
        self._readings = {seen: Scorer(_load(seen, path, job, here), seen.tiles) for seen, path in pairs}
        self._decoders = decoders or (lambda n, options: DecoderPool(n, options, pools=job.workers_here))
        self._walls: dict[tuple[int, DecodeOptions], PhotoOpener] = {}

    def look(self, shard: Shard) -> ShardOutcome:
        """Look at a shard's photos, and put what was seen into the store. An error is told, not raised."""
        if not is_address(shard.root) and not os.path.isdir(shard.root):
            return ShardOutcome(shard.name, "died", f"{self._here}: {shard.root} is not there")
        readings = [self._readings[seen] for seen in shard.seen]
        unless = {photo.path: known for photo, known in zip(shard.photos, shard.unless, strict=True)}
        every = tuple(range(len(readings)))

        def wanted(photo: Photo, content_hash: bytes) -> tuple[int, ...]:
            return () if unless[photo.path] == content_hash else every

        try:
            looked = infer(
                shard.photos, readings, wanted=wanted, workers=self._job.threads, batch_size=self._job.batch_size,
                max_pixels=shard.max_pixels, decoders=self._wall,
            )  # fmt: skip
            self._store.put(shard.name, write(shard, [one for one in looked if not isinstance(one, Photo)]))
        except ModelError as error:
            return ShardOutcome(shard.name, "model", f"{self._here}: {error}")
        except InputError as error:
            return ShardOutcome(shard.name, "stop", f"{self._here}: {error}")
        return ShardOutcome(shard.name)

    def close(self) -> None:
        for wall in self._walls.values():
            wall.close()

    def _wall(self, n: int, options: DecodeOptions) -> PhotoOpener:
        """The decoders, which outlive a shard: starting them takes as long as twenty photos."""
        if (n, options) not in self._walls:
            self._walls[n, options] = self._decoders(n, options)
        return _SharedDecoders(self._walls[n, options])


@dataclass(frozen=True, slots=True)
class _SharedDecoders:
    """Decoders that their user does not close."""

    wall: PhotoOpener

    def open(self, photo: Photo, wanted: Callable[[bytes], Sequence[int]]) -> OpenResult:
        return self.wall.open(photo, wanted)

    def close(self) -> None:
        pass


def _load(seen: ModelRef, path: str, job: WorkerConfig, here: str) -> Model:
    """The model by its name, else from the file that the driver has it from, where that is here as well."""
    found = []
    for named in (seen.name, path):
        try:
            model = Model(resolve(named), provider=job.provider, threads=job.threads)
        except ModelError:
            continue
        if model.digest == seen.digest:
            return model
        found.append(str(ModelRef.by(Scorer(model))))
    have = f"has {found[0]}" if found else "has no such model"
    raise InputError(f"{here}: {have}, and the driver looks with {seen}; install the same model on all machines")
