"""The driver of a distributed run: gives shards to workers, retries those that fail, and reads the results back.

WorkerPool is the one seam between this and an engine. A worker's results are in the store, not in its answer: a driver
that dies has lost nothing, and the same command continues with what is there.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from photosearch.engines.merge import adopt_result
from photosearch.engines.sharding import PHOTOS_PER_SHARD, ShardTask, split_into_shards
from photosearch.engines.shards import Shard, check_predictions, read
from photosearch.engines.store import Store
from photosearch.errors import InputError, ModelError
from photosearch.index.commit import Batch
from photosearch.index.events import Event, NotScored, WorkerDied
from photosearch.index.infer import PhotoResult, Scorer
from photosearch.index.run import Work
from photosearch.index.scan import BookkeepingUpdate, PendingPhoto

MAX_TRIES = 3  # of a shard, and then of each of its photos
MAX_CONSECUTIVE_FAILURES = 5  # photos of one shard; after that the photos are not the cause
WAIT_SECONDS = 1.0  # for workers, at a time
STOP_SECONDS = 30.0  # for running shards to end, once the run was stopped
ERRORS = (None, "died", "model", "stop")


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """How one shard ended. error: None, or what went wrong.

    "died": the worker died or could not reach the photos; another may succeed. "model" and "stop": no worker can go on,
    because of the model or of what was typed.
    """

    name: str
    error: Literal["died", "model", "stop"] | None = None
    reason: str = ""


class WorkerPool(Protocol):
    """Scores shards and puts the results into the store.

    count_idle: how many shards could start at once. submit: start one. wait: the shards that have ended, after this
    many seconds at the latest; raises PhotosearchError where no worker can start. close: kill all workers.
    """

    def count_idle(self) -> int: ...

    def submit(self, shard: Shard) -> None: ...

    def wait(self, seconds: float) -> Sequence[ShardOutcome]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class PhotoGroup:
    """The photos of one shard that killed its workers, each now a shard of its own."""

    consecutive_failures: int = 0


@dataclass(slots=True)
class _Attempt:
    """One shard on its way. group: of a single photo that was split off; None for a whole shard."""

    task: ShardTask
    name: str
    failures: int = 0
    group: PhotoGroup | None = None


@dataclass(slots=True)
class Driver:
    """An engine of the index that spreads shards over workers. keep: keep shards that are committed in the store."""

    store: Store
    open_workers: Callable[[Work], WorkerPool]
    photos_per_shard: int = PHOTOS_PER_SHARD
    keep: bool = True
    clock: Callable[[], float] = time.monotonic
    _retries: deque[_Attempt] = field(default_factory=deque)
    _running: dict[str, _Attempt] = field(default_factory=dict)

    def infer(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        """See index.run.Engine. Raises ModelError and InputError, as workers and the store do."""
        tasks = split_into_shards(items, work, self.photos_per_shard)
        workers = self.open_workers(work)
        try:
            more = True
            deadline = None
            while more or self._running or self._retries:
                if work.stop():
                    deadline = deadline or self.clock() + STOP_SECONDS
                    if not self._running or self.clock() > deadline:
                        return
                while not work.stop() and workers.count_idle() and (more or self._retries):
                    if self._retries:
                        self._submit(self._retries.popleft(), workers)
                    elif (item := next(tasks, None)) is None:
                        more = False
                    elif not isinstance(item, ShardTask):
                        yield item
                    elif (batch := self._recall(attempt := _Attempt(item, item.shard.name), work)) is not None:
                        yield batch
                        self._discard(attempt)
                    else:
                        self._submit(attempt, workers)
                for outcome in workers.wait(WAIT_SECONDS) if self._running or more or self._retries else ():
                    yield from self._end(outcome, work)
        finally:
            workers.close()
            if not self.keep:
                self.store.drop_if_empty()

    def _submit(self, attempt: _Attempt, workers: WorkerPool) -> None:
        self._running[attempt.name] = attempt
        workers.submit(attempt.task.shard)

    def _end(self, outcome: ShardOutcome, work: Work) -> Iterator[Batch | Event]:
        attempt = self._running.pop(outcome.name, None)
        if attempt is None or outcome.error not in ERRORS:
            raise InputError(f"{self.store.place}: a worker's answer makes no sense; are all of the same version?")
        pending = attempt.task.pending
        if outcome.error == "model":
            raise ModelError(outcome.reason)
        if outcome.error == "stop":
            raise InputError(outcome.reason)
        if outcome.error == "died":
            yield WorkerDied(pending[0].photo.path, len(pending), outcome.reason)
            yield from self._retry(attempt, outcome.reason)
            return
        if not self.store.has(attempt.name):
            raise InputError(
                f"{self.store.place}: a worker wrote {attempt.name} there, but it is not here; choose --shards in a "
                "place that all machines see"
            )
        batch = self._read(attempt, work)
        if attempt.group is not None:
            attempt.group.consecutive_failures = 0
        yield batch
        self._discard(attempt)

    def _retry(self, attempt: _Attempt, reason: str) -> Iterator[Batch | Event]:
        """Try a shard three times, then each of its photos three times; a photo that always fails is unreadable."""
        attempt.failures += 1
        task = attempt.task
        if attempt.group is not None and attempt.group.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            yield NotScored(task.pending[0].photo.path, 1, reason)
        elif attempt.failures < MAX_TRIES:
            self._retries.append(attempt)
        elif len(task.pending) > 1:
            group = PhotoGroup()
            for shard, pending in zip(task.shard.split(), task.pending, strict=True):
                self._retries.append(_Attempt(ShardTask(shard, (pending,)), shard.name, group=group))
        else:
            yield self._give_up(attempt, reason)

    def _give_up(self, attempt: _Attempt, reason: str) -> Batch | Event:
        group = attempt.group = attempt.group or PhotoGroup()
        group.consecutive_failures += 1
        pending = attempt.task.pending[0]
        if group.consecutive_failures >= MAX_CONSECUTIVE_FAILURES:
            return NotScored(pending.photo.path, 1, reason)
        told = f"the worker crashed on this file {MAX_TRIES} times ({reason})"[:200]
        return [(pending, PhotoResult(pending.photo, reason=told))]

    def _recall(self, attempt: _Attempt, work: Work) -> Batch | None:
        """A shard that an earlier run made; None where it is missing or damaged, and must be made again."""
        if not self.store.has(attempt.name):
            return None
        try:
            return self._read(attempt, work)
        except InputError:
            self.store.remove(attempt.name)
            return None

    def _read(self, attempt: _Attempt, work: Work) -> Batch:
        """A shard's rows as a batch. Raises InputError where it is damaged, or not what its photos can give."""
        task = attempt.task
        path = f"{self.store.place}/{attempt.name}"
        with self.store.open(attempt.name) as file:
            found = read(file, path)
        check_predictions(found, work.scorers, path)
        results = {result.photo.path: result for result in found.results}
        if found.models != task.shard.models or set(results) != {one.photo.path for one in task.pending}:
            raise InputError(f"{path}: holds other photos than its name says; delete it and index again")
        scored: set[tuple[bytes, Scorer]] = set()
        batch = []
        for pending in task.pending:
            adopted = adopt_result(pending, results[pending.photo.path], pending.photo, work, scored)
            assert adopted is not None, "only this run writes to the library"
            batch.append((pending, adopted))
        return batch

    def _discard(self, attempt: _Attempt) -> None:
        if not self.keep:
            self.store.remove(attempt.name)
