"""One worker, on any machine: shards in, Parquet files out. It keeps its models and decoders from shard to shard.

Knows nothing of the engine that brings shards to it, and nothing of the library. It needs what the driver has: the same
photosearch, the same models, the photos under the same path, and the store of the shards.
"""

import os
import platform
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import photosearch
from photosearch.engines.driver import ShardOutcome
from photosearch.engines.shards import FORMAT, ModelRef, Shard, write
from photosearch.engines.store import open_store
from photosearch.errors import InputError, ModelError
from photosearch.index.infer import LoadedScorer, PhotoOpener, Scorer, infer
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.catalog import resolve
from photosearch.models.session import Model
from photosearch.photos import decode
from photosearch.photos.decoders import DecodeOptions, DecoderPool, OpenResult
from photosearch.photos.remote import is_address
from photosearch.photos.walk import Photo


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What a worker must know, once. paths: for each model a file that may hold it, if its name does not lead to it.

    roots: folders that must exist. probe: a name that the driver left in the store. threads: photos opened at once, and
    threads of the models on a CPU. workers_per_machine: those that share this machine's memory.
    """

    models: tuple[ModelRef, ...]
    paths: tuple[str, ...]
    roots: tuple[str, ...]
    store: str
    probe: str
    provider: str
    threads: int
    workers_per_machine: int
    batch_size: int | None
    version: tuple[str, int, int] = (photosearch.__version__, FORMAT, decode.VERSION)


class Worker:
    """Scores shards. Raises InputError or ModelError where something that it needs is missing here."""

    def __init__(self, config: WorkerConfig, decoders: Callable[[int, DecodeOptions], PhotoOpener] | None = None):
        """decoders: None for child processes, which share this machine's memory with other workers'."""
        here = f"on {platform.node()}"
        if config.version != (photosearch.__version__, FORMAT, decode.VERSION):
            own = f"{photosearch.__version__}, shards {FORMAT}, decoder {decode.VERSION}"
            raise InputError(
                f"{here}: photosearch {own}, and the driver has {', '.join(map(str, config.version))}; install the same"
            )
        for root in config.roots:
            if not is_address(root) and not os.path.isdir(root):
                raise InputError(f"{here}: {root} is not there; mount the photos under the same path on all machines")
        self._store = open_store(config.store, create=False)
        if not self._store.has(config.probe):
            raise InputError(
                f"{here}: {config.store} is not the driver's; choose --shards in a place that all machines see"
            )
        self._config, self._here = config, here
        pairs = zip(config.models, config.paths, strict=True)
        self._scorers = {
            model.scorer: LoadedScorer(_load(model, path, config, here), model.scorer.tiles) for model, path in pairs
        }
        self._decoders = decoders or (lambda n, options: DecoderPool(n, options, pools=config.workers_per_machine))
        self._pools: dict[tuple[int, DecodeOptions], PhotoOpener] = {}

    def score(self, shard: Shard) -> ShardOutcome:
        """Score a shard's photos and put the results into the store. Errors are returned, not raised."""
        if not is_address(shard.root) and not os.path.isdir(shard.root):
            return ShardOutcome(shard.name, "died", f"{self._here}: {shard.root} is not there")
        scorers = [self._scorers[model.scorer] for model in shard.models]
        known = {photo.path: known for photo, known in zip(shard.photos, shard.known_hashes, strict=True)}
        everything = frozenset(scorer.key for scorer in scorers)

        def find_wanted(photo: Photo, content_hash: bytes) -> Collection[Scorer]:
            return () if known[photo.path] == content_hash else everything

        try:
            batches = infer(
                shard.photos, scorers, wanted=find_wanted, workers=self._config.threads,
                batch_size=self._config.batch_size, max_pixels=shard.max_pixels,
                metadata=lambda photo: "all" if shard.metadata else "dates", decoders=self._share_pool,
            )  # fmt: skip
            results = [result for batch in batches if isinstance(batch, list) for result in batch]
            self._store.put(shard.name, write(shard, results))
        except ModelError as error:
            return ShardOutcome(shard.name, "model", f"{self._here}: {error}")
        except InputError as error:
            return ShardOutcome(shard.name, "stop", f"{self._here}: {error}")
        return ShardOutcome(shard.name)

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()

    def _share_pool(self, n: int, options: DecodeOptions) -> PhotoOpener:
        """Decoders that outlive a shard: starting them takes as long as twenty photos."""
        if (n, options) not in self._pools:
            self._pools[n, options] = self._decoders(n, options)
        return _SharedDecoders(self._pools[n, options])


@dataclass(frozen=True, slots=True)
class _SharedDecoders:
    """Decoders that their user does not close."""

    pool: PhotoOpener

    def open(self, photo: Photo, wanted: Callable[[bytes], Sequence[int]]) -> OpenResult:
        return self.pool.open(photo, wanted)

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata:
        return self.pool.read_metadata(path, beside)

    def close(self) -> None:
        pass


def _load(ref: ModelRef, path: str, config: WorkerConfig, here: str) -> Model:
    """The model by its name, or else from the driver's path, if that exists here. Raises InputError."""
    found = []
    for name in (ref.name, path):
        try:
            model = Model(resolve(name), provider=config.provider, threads=config.threads)
        except ModelError:
            continue
        if model.digest == ref.scorer.digest:
            return model
        found.append(str(ModelRef.of(LoadedScorer(model))))
    have = f"has {found[0]}" if found else "has no such model"
    raise InputError(f"{here}: {have}, and the driver uses {ref}; install the same model on all machines")
