"""What the plan asks for, cut into shards in its own order.

Where a cut falls is said by the names of the photos beside it, and by nothing that stands further away: a photo that is
new, or gone, changes its own shard, and the shards after it stay what they were. Content-defined chunking, of names:
A. Muthitacharoen et al., "A Low-Bandwidth Network File System", 2001, https://pdos.csail.mit.edu/papers/lbfs:sosp01/
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from photosearch.engines.shards import ModelRef, Shard
from photosearch.index.events import Event
from photosearch.index.plan import BookkeepingUpdate, PendingPhoto
from photosearch.index.run import Work
from photosearch.library.database import is_below
from photosearch.photos import decode

PHOTOS_PER_SHARD = 500  # in a shard, about: some seconds of one core, and a megabyte of a model's vectors
MAX_PENDING = 500  # photos to settle, in one transaction


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard, and what the plan knew of its photos. readings: which of the run's looks, as the shard counts them."""

    shard: Shard
    todos: tuple[PendingPhoto, ...]
    readings: tuple[int, ...]


def split_into_shards(
    items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work, photos: int = PHOTOS_PER_SHARD
) -> Iterator[ShardTask | Sequence[BookkeepingUpdate] | Event]:
    """Shards of about so many photos, a quarter of that at least and four times at most; what is settled in bunches."""
    todos: list[PendingPhoto] = []
    settled: list[BookkeepingUpdate] = []
    for item in items:
        if isinstance(item, BookkeepingUpdate):
            settled.append(item)
            if len(settled) >= MAX_PENDING:
                yield settled
                settled = []
        elif not isinstance(item, PendingPhoto):
            yield item
        else:
            if todos and (item.readings != todos[-1].readings or _root(item, work) != _root(todos[-1], work)):
                yield _make_task(todos, work)
                todos = []
            todos.append(item)
            if len(todos) >= 4 * photos or (len(todos) * 4 >= photos and _ends(item, work, photos)):
                yield _make_task(todos, work)
                todos = []
    if settled:
        yield settled
    if todos:
        yield _make_task(todos, work)


def _ends(todo: PendingPhoto, work: Work, photos: int) -> bool:
    """Whether a shard ends after this photo: one in `photos` does. Wherever the root stands, it is the same ones."""
    return crc32(os.fsencode(todo.photo.path[len(_root(todo, work)) :])) % photos == 0


def _root(todo: PendingPhoto, work: Work) -> str:
    return next(root for root in work.roots if is_below(todo.photo.path, root))


def _make_task(todos: Sequence[PendingPhoto], work: Work) -> ShardTask:
    readings = tuple(i for i, reading_id in enumerate(work.ids) if reading_id in todos[0].readings)
    shard = Shard(
        _root(todos[0], work), tuple(ModelRef.by(work.readings[i]) for i in readings),
        tuple(todo.photo for todo in todos), tuple(map(work.unless, todos)),
        work.options.max_pixels or decode.MAX_PIXELS,
    )  # fmt: skip
    return ShardTask(shard, tuple(todos), readings)
