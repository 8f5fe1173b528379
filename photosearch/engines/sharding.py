"""The photos of a run -> shards, in the order of the scan.

Whether a shard ends after a photo depends on that photo's path alone: a photo that is new or missing changes its own
shard, and the shards after it stay the same. Content-defined chunking, of paths: A. Muthitacharoen et al., "A
Low-Bandwidth Network File System", 2001, https://pdos.csail.mit.edu/papers/lbfs:sosp01/
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from photosearch.engines.shards import ModelRef, Shard, find_max_photos
from photosearch.index.events import Event, Unchanged
from photosearch.index.infer import MAX_PENDING
from photosearch.index.run import Work
from photosearch.index.scan import BookkeepingUpdate, PendingPhoto
from photosearch.library.database import is_below
from photosearch.photos import decode

PHOTOS_PER_SHARD = 500  # on average: some seconds of one core, and a megabyte of a model's vectors


@dataclass(frozen=True, slots=True)
class ShardTask:
    """A shard, and what the scan knew of its photos, in the same order."""

    shard: Shard
    pending: tuple[PendingPhoto, ...]


def split_into_shards(
    items: Iterator[PendingPhoto | BookkeepingUpdate | Event], work: Work, photos_per_shard: int = PHOTOS_PER_SHARD
) -> Iterator[ShardTask | Sequence[BookkeepingUpdate] | Event]:
    """Shards of a quarter to four times as many photos; updates in batches, events as they come.

    A shard has one root, and of all its photos the same is wanted. photos_per_shard: fewer where their scores and
    vectors would make a shard larger than its readers take.
    """
    photos_per_shard = max(1, min(photos_per_shard, find_max_photos(work.scorers) // 4))
    roots = work.roots
    pending: list[PendingPhoto] = []
    updates: list[BookkeepingUpdate] = []
    root = ""
    for item in items:
        if isinstance(item, BookkeepingUpdate):
            updates.append(item)
            if len(updates) >= MAX_PENDING:
                yield updates
                updates = []
        elif not isinstance(item, PendingPhoto):
            yield item
        elif item.metadata == "only":  # too little work to send away: the next index here does it
            yield Unchanged(item.photo.path)
        else:
            its_root = next(root for root in roots if is_below(item.photo.path, root))
            if pending and (_to_kind(item) != _to_kind(pending[-1]) or its_root != root):
                yield _make_task(root, pending, work)
                pending = []
            root = its_root
            pending.append(item)
            n = len(pending)
            if n >= 4 * photos_per_shard or (n * 4 >= photos_per_shard and _is_last(item, root, photos_per_shard)):
                yield _make_task(root, pending, work)
                pending = []
    if updates:
        yield updates
    if pending:
        yield _make_task(root, pending, work)


def _to_kind(pending: PendingPhoto) -> tuple[object, ...]:
    """What is wanted of a photo."""
    return pending.scorers, pending.metadata


def _is_last(pending: PendingPhoto, root: str, photos_per_shard: int) -> bool:
    """Whether a shard ends after this photo: one in `photos_per_shard` does, the same ones wherever the root is."""
    return crc32(os.fsencode(pending.photo.path[len(root) :])) % photos_per_shard == 0


def _make_task(root: str, pending: Sequence[PendingPhoto], work: Work) -> ShardTask:
    models = tuple(ModelRef.of(scorer) for scorer in work.scorers if scorer.key in pending[0].scorers)
    shard = Shard(
        root, models, tuple(one.photo for one in pending), tuple(map(work.find_known_hash, pending)),
        work.options.max_pixels or decode.MAX_PIXELS, pending[0].metadata == "all",
    )  # fmt: skip
    return ShardTask(shard, tuple(pending))
