"""The review queues: near the threshold, where two models disagree, of the last sample; and marks of images."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from photosearch import Library
from photosearch.errors import InputError, QueryError
from photosearch.judging.review_queue import ReviewItem
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.marks import count_learnable, find_sample
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo
from photosearch.library.records import VectorSpace
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card

SCORES = [0.05, 0.45, 0.52, 0.95]  # of bird, by the model that answers; its threshold is 0.5
OTHERS = [0.9, 0.6, 0.55, 0.3]  # by the other model


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Four pictures, made up through the library's own writes; the ids are 1 to 4."""
    with Database(tmp_path / "s.db", create=True) as db:
        models = [
            put_model(db, Card(name=name, version="1", labels=labels, input_size=8), name, 0)
            for name, labels in (("one", ("bird", "cat")), ("two", ("bird",)))
        ]
        set_default_model(db, "one")
        root = add_root(db, "/photos")
        with db.transaction():
            folder = put_folder(db, root, "/photos")
            for i, pair in enumerate(zip(SCORES, OTHERS, strict=True)):
                image = put_image(db, bytes([i] * 32), 40, 30)
                put_photo(db, folder, f"{i}.jpg", FileRecord(1, 1), image)
                for (model_id, ids), score in zip(models, pair, strict=True):
                    put_prediction(db, image, model_id, ids, {"bird": score})
    with Library(tmp_path / "s.db") as library:
        yield library


def asked(library: Library, kind: str, **options: object) -> list[int]:
    return [a.image_id for a in library.samples.queue("bird", kind, **options).items]


def test_queue_near_orders_unjudged_images_by_distance(library):
    assert asked(library, "near") == [3, 2, 4, 1]
    assert asked(library, "near", n=2) == [3, 2]
    library.marks.set_image(3, "bird", True)
    assert asked(library, "near") == [2, 4, 1]


def test_queue_near_uses_the_saved_threshold(library):
    library.labels.set_threshold(library.labels.get("bird"), 0.94)
    assert asked(library, "near", n=1) == [4]


def test_queue_disagree_orders_by_confidence(library):
    queue = library.samples.queue("bird", "disagree")
    assert queue.other == "two"
    assert queue.items == (ReviewItem(1, 0.05, 0.9), ReviewItem(4, 0.95, 0.3), ReviewItem(2, 0.45, 0.6))
    library.marks.set_image(1, "bird", False)
    assert asked(library, "disagree") == [4, 2]


def test_queue_disagree_is_empty_for_a_label_of_one_model(library):
    queue = library.samples.queue("cat", "disagree")
    assert (queue.other, queue.items) == (None, ())


def test_queue_sample_gives_unjudged_photos(library):
    assert library.samples.queue("bird", "sample").unjudged is None
    library.samples.draw("bird", 4)
    assert library.samples.queue("bird", "sample").unjudged == 4
    library.marks.set_image(2, "bird", False)
    queue = library.samples.queue("bird", "sample")
    assert (sorted(a.image_id for a in queue.items), queue.unjudged) == ([1, 3, 4], 3)


def test_queue_refuses_unknown_kinds_and_labels(library):
    with pytest.raises(InputError, match="soon: no such queue; there are near, disagree, sample"):
        library.samples.queue("bird", "soon")
    with pytest.raises(QueryError, match="no label 'brid'; the nearest are: bird"):
        library.samples.queue("brid")


def test_mark_image_returns_the_mark_before(library):
    def said() -> dict[int, bool]:
        return library.marks.read_images("bird", [1, 2, 3, 4, 99])

    label, before, step = library.marks.set_image(1, "BIRD", True)
    assert (label, before, said()) == ("bird", None, {1: True})
    assert library.marks.set_image(1, "bird", False)[1] is True
    assert library.marks.set_image(1, "bird", True)[1] is False
    assert library.marks.set_image(1, "bird", None)[1] is True
    assert said() == {}
    with pytest.raises(InputError, match="changed again since"):
        library.marks.undo(step)
    with pytest.raises(InputError, match="no photo in the library shows picture 99"):
        library.marks.set_image(99, "bird", True)


def test_mark_image_creates_a_label_only_if_told(library):
    with pytest.raises(QueryError, match="no label 'my dog'"):
        library.marks.set_image(1, "my dog", True)
    assert library.marks.set_image(1, " my  dog ", True, new=True).label == "my dog"
    assert library.marks.set_image(2, "My Dog", False).label == "my dog", "it is known from then on"
    assert library.labels.list_unlearned() == ["my dog"]
    assert library.marks.read_images("my dog", [1, 2]) == {1: True, 2: False}


def test_undo_restores_marks_of_images_newest_first_and_counts_the_steps_left(library):
    library.marks.set_image(1, "bird", True)
    library.marks.set_image(2, "bird", True)
    library.marks.set_image(1, "bird", False)
    undone = []
    while left := library.marks.count_undo_steps():
        undone += [(left, u.image_id, u.label, u.present) for u in library.marks.undo()]
    assert undone == [(3, 1, "bird", True), (2, 2, "bird", None), (1, 1, "bird", None)]
    assert library.marks.read_images("bird", [1, 2]) == {}
    assert library.marks.undo() == []


def test_details_of_an_image(library):
    library.marks.set_image(4, "cat", False)
    known = library.details(4)
    assert known is not None
    assert (known.paths, known.marks, known.width, known.taken) == (["/photos/3.jpg"], {"cat": False}, 40, None)
    assert [(s.label, s.model, s.score, s.threshold) for s in known.scores] == [
        ("bird", "one", 0.95, 0.5), ("bird", "two", 0.3, 0.5),
    ]  # fmt: skip
    assert library.details(99) is None
    assert library.find_files(4) == (bytes([3] * 32), ["/photos/3.jpg"])


def test_queue_and_details_leave_out_removed_photos(library):
    mark_absent(library._session.db, [3], "removed")
    assert asked(library, "near") == [2, 4, 1]
    assert asked(library, "disagree") == [1, 4, 2]
    assert library.details(3) is library.find_files(3) is None


def test_queue_of_a_sample_asks_about_no_photo_that_left(library):
    library.samples.draw("bird", 4)
    mark_absent(library._session.db, [3], "removed")
    queue = library.samples.queue("bird", "sample")
    assert (sorted(asked.image_id for asked in queue.items), queue.unjudged) == ([1, 2, 4], 3)
    assert [photo.path for photo in find_sample(library._session.db, queue.label).photos if photo.image_id == 3] == [
        None
    ]


def test_marks_of_photos_that_left_teach_nothing(library):
    """Nobody can look at them again, and their vectors stay only until the next `forget`."""
    db = library._session.db
    (model_id,) = db.one("SELECT id FROM models WHERE name = 'one'")
    space = VectorSpace(model_id, "one", "space", 4)
    with db.transaction():
        for image_id in (1, 2, 3, 4):
            db.write("INSERT INTO vectors(image_id, model_id, vector) VALUES (?, ?, zeroblob(8))", [image_id, model_id])
    for image_id, present in ((1, True), (2, True), (3, True), (4, False)):
        library.marks.set_image(image_id, "bird", present)
    assert count_learnable(db, "bird", space) == (3, 1), "yes, then no"
    mark_absent(db, [3], "removed")
    assert count_learnable(db, "bird", space) == (2, 1)
