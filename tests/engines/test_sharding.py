"""Where shards end: a change among the photos changes one shard, and few others."""

from pathlib import Path

from photosearch.engines.sharding import ShardTask, split_into_shards
from photosearch.index.events import Unchanged
from photosearch.index.infer import Scorer
from photosearch.index.plan import RunOptions
from photosearch.index.run import Work
from photosearch.index.scan import BookkeepingUpdate, FolderScan, PendingPhoto
from photosearch.library.folders import Scope
from photosearch.library.photos import StoredPhoto
from photosearch.photos.walk import Exclusions, Photo, WalkOptions

ROOTS = ("/photos", "/other")
SCANS = [
    FolderScan(Scope(i, root, ""), {}, {}, WalkOptions(), (), 0, Exclusions(WalkOptions(), root))
    for i, root in enumerate(ROOTS)
]
WORK = Work((), lambda pending, content: [], lambda pending: None, RunOptions(), lambda: False, SCANS)
A, B = Scorer("a"), Scorer("b", 4)


def pending(path: str, scorers: tuple[Scorer, ...] = (A,)) -> PendingPhoto:
    return PendingPhoto(Photo(path, 10, 1), 1, None, scorers, "")


def many(folders: int = 40, each: int = 100) -> list[PendingPhoto]:
    return [pending(f"/photos/{f:03}/{i:05}.jpg") for f in range(folders) for i in range(each)]


def split(items: list[PendingPhoto], photos_per_shard: int = 50) -> list[ShardTask]:
    return [one for one in split_into_shards(iter(items), WORK, photos_per_shard) if isinstance(one, ShardTask)]


def paths(tasks: list[ShardTask]) -> list[tuple[str, ...]]:
    return [tuple(one.photo.path for one in task.pending) for task in tasks]


def test_split_keeps_all_photos_in_order_and_bounds_shards():
    items = many()
    found = paths(split(items))
    assert [path for shard in found for path in shard] == [item.photo.path for item in items]
    sizes = sorted(map(len, found[:-1]))
    assert sizes[0] >= 12
    assert sizes[-1] <= 200
    assert 40 <= sum(sizes) / len(sizes) <= 80


def test_new_photo_changes_little_more_than_its_own_shard():
    items = many()
    before = set(paths(split(items)))
    changed = []
    for at in range(0, len(items), 97):
        more = [*items[:at], pending(items[at].photo.path.replace(".jpg", "+.jpg")), *items[at:]]
        changed.append(len(before - set(paths(split(more)))))
    assert max(changed) <= 5
    assert sum(changed) / len(changed) <= 1.5


def test_finished_shards_leave_the_others_as_they_were():
    found = paths(split(many()))
    for gone in (set(found[::2]), set(found[:7]), set(found[3:20])):
        left = [pending(path) for shard in found if shard not in gone for path in shard]
        assert len(set(paths(split(left))) - set(found)) <= 2


def test_shard_has_one_root_and_one_set_of_scorers():
    items = [
        pending("/photos/a.jpg"),
        pending("/photos/b.jpg", (A, B)),
        pending("/photos/c.jpg", (A, B)),
        pending("/other/d.jpg"),
    ]
    assert [(one.shard.root, len(one.pending)) for one in split(items)] == [
        ("/photos", 1),
        ("/photos", 2),
        ("/other", 1),
    ]


def test_split_passes_on_updates_and_events(tmp_path: Path):
    update = BookkeepingUpdate(
        Photo("/photos/s.jpg", 1, 1), StoredPhoto(1, 1, 1, 1, 0, 0, None, False, None, {}), True, False, ()
    )
    items = list(split_into_shards(iter([Unchanged("/photos/a"), update, pending("/photos/b.jpg"), update]), WORK, 50))
    assert items[0] == Unchanged("/photos/a")
    assert items[1] == [update, update]
    assert isinstance(items[2], ShardTask)


def test_split_is_the_same_below_another_root():
    elsewhere = [pending(item.photo.path.replace("/photos/", "/other/")) for item in many()]
    moved = [tuple(path.replace("/other/", "/photos/") for path in shard) for shard in paths(split(elsewhere))]
    assert moved == paths(split(many()))
