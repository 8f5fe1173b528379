"""The way of the shards: cut, handed to workers, tried again where a worker dies, read back as batches for the library.

Workers is the one seam between this and an engine. What a worker made stands in the store, not in its answer: so a
driver that dies has lost nothing, and the same command takes up what is there.
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
from photosearch.index.events import Event, NotScored, WorkerDied
from photosearch.index.infer import PhotoResult
from photosearch.index.plan import BookkeepingUpdate, PendingPhoto
from photosearch.index.run import Batch, Work

MAX_TRIES = 3  # of a shard, and then of each of its photos
MAX_CONSECUTIVE_FAILURES = 5  # of one shard's photos, one after another: then it is not the photos
WAIT_SECONDS = 1.0  # at a time, for workers
STOP_SECONDS = 30.0  # that the shards in hand have to end in, once the run was stopped


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What came of one shard. error: None, or what went wrong.

    "died": the worker is gone, or could not reach the photos; another may do better. "model" and "stop": nobody can go
    on, by a fault of the model or of what was typed.
    """

    name: str
    error: Literal["died", "model", "stop"] | None = None
    reason: str = ""


class WorkerPool(Protocol):
    """Who looks at shards and puts what was seen into the store.

    free: how many shards could be begun at once. give: begin one. wait: what has ended, after so many seconds at the
    latest; it raises PhotosearchError where no worker can be had. close: end them all, whatever they do.
    """

    def free(self) -> int: ...

    def give(self, shard: Shard) -> None: ...

    def wait(self, seconds: float) -> Sequence[ShardOutcome]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class _Attempt:
    """One shard on its way. alone: it is one photo of a shard that killed its workers; lot: what those share."""

    cut: ShardTask
    name: str
    deaths: int = 0
    lot: "PhotoGroup | None" = None


@dataclass(slots=True)
class PhotoGroup:
    """The photos of one shard, each by itself. killers: that died one after another."""

    killers: int = 0


@dataclass(slots=True)
class Driver:
    """An engine of the index over workers. keep: leave the shards in the store once they are in the library."""

    store: Store
    open_workers: Callable[[Work], WorkerPool]
    photos: int = PHOTOS_PER_SHARD
    keep: bool = True
    clock: Callable[[], float] = time.monotonic
    _again: deque[_Attempt] = field(default_factory=deque)
    _hand: dict[str, _Attempt] = field(default_factory=dict)

    def look(self, items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work) -> Iterator[Batch | Event]:
        """As index.run.Engine has it. Raises ModelError and InputError, as workers and the store do."""
        cuts = split_into_shards(items, work, self.photos)
        workers = self.open_workers(work)
        try:
            more = True
            deadline = None
            while more or self._hand or self._again:
                if work.stop():
                    deadline = deadline or self.clock() + STOP_SECONDS
                    if not self._hand or self.clock() > deadline:
                        return
                while not work.stop() and workers.free() and (more or self._again):
                    if self._again:
                        self._give(self._again.popleft(), workers)
                    elif (item := next(cuts, None)) is None:
                        more = False
                    elif not isinstance(item, ShardTask):
                        yield item
                    elif (batch := self._read(one := _Attempt(item, item.shard.name), work)) is not None:
                        yield batch
                        self._done(one)
                    else:
                        self._give(one, workers)
                for ended in workers.wait(WAIT_SECONDS) if self._hand or more or self._again else ():
                    yield from self._end(ended, work)
        finally:
            workers.close()
            if not self.keep:
                self.store.drop_if_empty()

    def _give(self, one: _Attempt, workers: WorkerPool) -> None:
        self._hand[one.name] = one
        workers.give(one.cut.shard)

    def _end(self, ended: ShardOutcome, work: Work) -> Iterator[Batch | Event]:
        one = self._hand.pop(ended.name)
        first, n = one.cut.todos[0].photo.path, len(one.cut.todos)
        if ended.error == "model":
            raise ModelError(ended.reason)
        if ended.error == "stop":
            raise InputError(ended.reason)
        if ended.error == "died":
            yield WorkerDied(first, n, ended.reason)
            yield from self._try_again(one, ended.reason)
            return
        batch = self._read(one, work)
        if batch is None:
            raise InputError(
                f"{self.store.place}: a worker put {one.name} there, and here it is not; choose --shards in a place "
                "that all machines see"
            )
        if one.lot is not None:
            one.lot.killers = 0
        yield batch
        self._done(one)

    def _try_again(self, one: _Attempt, reason: str) -> Iterator[Batch | Event]:
        """Three times in all; then each photo by itself; a photo that fails three times is one that can't be read."""
        one.deaths += 1
        if one.lot is not None and one.lot.killers >= MAX_CONSECUTIVE_FAILURES:
            yield NotScored(one.cut.todos[0].photo.path, 1, reason)
        elif one.deaths < MAX_TRIES:
            self._again.append(one)
        elif len(one.cut.todos) > 1:
            lot = PhotoGroup()
            for shard, todo in zip(one.cut.shard.split(), one.cut.todos, strict=True):
                self._again.append(_Attempt(ShardTask(shard, (todo,), one.cut.readings), shard.name, lot=lot))
        else:
            lot = one.lot = one.lot or PhotoGroup()
            lot.killers += 1
            todo = one.cut.todos[0]
            if lot.killers >= MAX_CONSECUTIVE_FAILURES:
                yield NotScored(todo.photo.path, 1, reason)
            else:
                yield [
                    (todo, PhotoResult(todo.photo, reason=f"its worker died of it, {MAX_TRIES} times ({reason})"[:200]))
                ]

    def _read(self, one: _Attempt, work: Work) -> Batch | None:
        """A shard's rows as a batch; None where it is not there, or damaged: then it is made anew."""
        if not self.store.has(one.name):
            return None
        path = f"{self.store.place}/{one.name}"
        try:
            with self.store.open(one.name) as file:
                kept = read(file, path)
            check_predictions(kept, [work.readings[i] for i in one.cut.readings], path)
            looked = {each.photo.path: each for each in kept.looked}
            if kept.seen != one.cut.shard.seen or set(looked) != {todo.photo.path for todo in one.cut.todos}:
                raise InputError(f"{path}: holds other photos than its name says")
        except InputError:
            self.store.remove(one.name)
            return None
        spoken: set[tuple[bytes, int]] = set()
        batch = []
        for todo in one.cut.todos:
            taken = adopt_result(todo, looked[todo.photo.path], todo.photo, one.cut.readings, work, spoken)
            assert taken is not None, "only this run writes to the library"
            batch.append((todo, taken))
        return batch

    def _done(self, one: _Attempt) -> None:
        if not self.keep:
            self.store.remove(one.name)
