"""Where shards end: what changes beside a photo changes its own shard, and few others."""

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


def test_every_photo_is_in_one_shard_in_its_order_and_none_is_too_large():
    items = many()
    found = paths(split(items))
    assert [path for shard in found for path in shard] == [item.photo.path for item in items]
    sizes = sorted(map(len, found[:-1]))
    assert sizes[0] >= 12
    assert sizes[-1] <= 200
    assert 40 <= sum(sizes) / len(sizes) <= 80


def test_a_new_photo_changes_its_own_shard_and_hardly_another():
    items = many()
    before = set(paths(split(items)))
    changed = []
    for at in range(0, len(items), 97):
        more = [*items[:at], pending(items[at].photo.path.replace(".jpg", "+.jpg")), *items[at:]]
        changed.append(len(before - set(paths(split(more)))))
    assert max(changed) <= 5
    assert sum(changed) / len(changed) <= 1.5


def test_what_is_done_already_leaves_the_other_shards_as_they_were():
    found = paths(split(many()))
    for gone in (set(found[::2]), set(found[:7]), set(found[3:20])):
        left = [pending(path) for shard in found if shard not in gone for path in shard]
        assert len(set(paths(split(left))) - set(found)) <= 2


def test_a_shard_has_one_root_and_one_choice_of_models():
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


def test_what_needs_no_look_passes_by(tmp_path: Path):
    settle = BookkeepingUpdate(
        Photo("/photos/s.jpg", 1, 1), StoredPhoto(1, 1, 1, 1, 0, 0, None, False, None, {}), True, False, ()
    )
    told = list(split_into_shards(iter([Unchanged("/photos/a"), settle, pending("/photos/b.jpg"), settle]), WORK, 50))
    assert told[0] == Unchanged("/photos/a")
    assert told[1] == [settle, settle]
    assert isinstance(told[2], ShardTask)


def test_the_same_photos_below_another_root_are_cut_at_the_same_places():
    elsewhere = [pending(item.photo.path.replace("/photos/", "/other/")) for item in many()]
    moved = [tuple(path.replace("/other/", "/photos/") for path in shard) for shard in paths(split(elsewhere))]
    assert moved == paths(split(many()))
