"""Where shards end: what changes beside a photo changes its own shard, and few others."""

from pathlib import Path

from photosearch.engines.sharding import ShardTask, split_into_shards
from photosearch.index.events import Unchanged
from photosearch.index.plan import BookkeepingUpdate, PendingPhoto
from photosearch.index.run import RunOptions, Work
from photosearch.library.photos import StoredPhoto
from photosearch.photos.walk import Photo

WORK = Work((), (), lambda todo, content: [], RunOptions(), lambda: False, ("/photos", "/other"))


def todo(path: str, readings: tuple[int, ...] = (1,)) -> PendingPhoto:
    return PendingPhoto(Photo(path, 10, 1), 1, None, readings, "")


def todos(folders: int = 40, each: int = 100) -> list[PendingPhoto]:
    return [todo(f"/photos/{f:03}/{i:05}.jpg") for f in range(folders) for i in range(each)]


def shards(items: list[PendingPhoto], photos: int = 50) -> list[ShardTask]:
    return [one for one in split_into_shards(iter(items), WORK, photos) if isinstance(one, ShardTask)]


def paths(cuts: list[ShardTask]) -> list[tuple[str, ...]]:
    return [tuple(todo.photo.path for todo in one.todos) for one in cuts]


def test_every_photo_is_in_one_shard_in_its_order_and_none_is_too_large():
    items = todos()
    found = paths(shards(items))
    assert [path for shard in found for path in shard] == [item.photo.path for item in items]
    sizes = sorted(map(len, found[:-1]))
    assert sizes[0] >= 12
    assert sizes[-1] <= 200
    assert 40 <= sum(sizes) / len(sizes) <= 80


def test_a_new_photo_changes_its_own_shard_and_hardly_another():
    items = todos()
    before = set(paths(shards(items)))
    changed = []
    for at in range(0, len(items), 97):
        more = [*items[:at], todo(items[at].photo.path.replace(".jpg", "+.jpg")), *items[at:]]
        changed.append(len(before - set(paths(shards(more)))))
    assert max(changed) <= 5
    assert sum(changed) / len(changed) <= 1.5


def test_what_is_done_already_leaves_the_other_shards_as_they_were():
    found = paths(shards(todos()))
    for gone in (set(found[::2]), set(found[:7]), set(found[3:20])):
        left = [todo(path) for shard in found if shard not in gone for path in shard]
        assert len(set(paths(shards(left))) - set(found)) <= 2


def test_a_shard_has_one_root_and_one_choice_of_models():
    items = [todo("/photos/a.jpg"), todo("/photos/b.jpg", (1, 2)), todo("/photos/c.jpg", (1, 2)), todo("/other/d.jpg")]
    assert [(one.shard.root, len(one.todos)) for one in shards(items)] == [
        ("/photos", 1),
        ("/photos", 2),
        ("/other", 1),
    ]


def test_what_needs_no_look_passes_by(tmp_path: Path):
    settle = BookkeepingUpdate(
        Photo("/photos/s.jpg", 1, 1), StoredPhoto(1, 1, 1, 1, 0, 0, None, False, None, {}), True, False, ()
    )
    told = list(split_into_shards(iter([Unchanged("/photos/a"), settle, todo("/photos/b.jpg"), settle]), WORK, 50))
    assert told[0] == Unchanged("/photos/a")
    assert told[1] == [settle, settle]
    assert isinstance(told[2], ShardTask)


def test_the_same_photos_below_another_root_are_cut_at_the_same_places():
    elsewhere = [todo(item.photo.path.replace("/photos/", "/other/")) for item in todos()]
    moved = [tuple(path.replace("/other/", "/photos/") for path in shard) for shard in paths(shards(elsewhere))]
    assert moved == paths(shards(todos()))
