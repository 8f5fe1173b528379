"""Figures that come in pairs or rows have the order that their names say: each is another number here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from photosearch import Library
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo, put_unreadable
from photosearch.library.runs import begin_run
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """Six pictures, of which `one` has scored five and `two` three; two unreadable photos, and one that was removed."""
    with Database(tmp_path / "library.db", create=True) as db:
        cards = [Card(name=name, version="1", labels=("bird",), input_size=8) for name in ("one", "two")]
        models = [put_model(db, card, card.name, 0) for card in cards]
        set_default_model(db, "one")
        root = add_root(db, "/photos")
        with db.transaction():
            folder = put_folder(db, root, "/photos")
            for i in range(6):
                image = put_image(db, bytes([i] * 32), 40, 30)
                put_photo(db, folder, f"{i}.jpg", FileRecord(1, 1), image)
                for (model_id, ids), n in zip(models, (5, 3), strict=True):
                    if i < n:
                        put_prediction(db, image, model_id, ids, {"bird": 0.5})
            for name in ("a.jpg", "b.jpg"):
                put_unreadable(db, folder, name, FileRecord(1, 1), "it is broken", False)
        mark_absent(db, [6], "removed")
        begin_run(db, ["two"], "cpu")
    with Library(tmp_path / "library.db") as library:
        yield library


def test_progress_tells_photos_unreadable_ones_and_scored_images(library: Library) -> None:
    found = library.progress().to_json()
    assert {name: found[name] for name in ("running", "models", "photos", "unreadable", "scored")} == {
        "running": True, "models": ("two",), "photos": 7, "unreadable": 2, "scored": 3,
    }  # fmt: skip


def test_default_model_tells_how_many_of_all_images_it_has_scored(library: Library) -> None:
    assert [library.models.set_default(name) for name in ("two", "one")] == [(3, 6), (5, 6)]
    assert library.models.default == "one"


def test_marks_tell_how_many_were_taken_back(library: Library) -> None:
    library.marks.set_images([1, 2, 3], "bird", True)
    assert library.marks.remove([f"/photos/{i}.jpg" for i in range(5)], ["bird"]) == 3


def test_counts_of_what_forget_would_delete(library: Library) -> None:
    library.marks.set_images([1, 2, 3], "bird", True)
    library.albums.add_images("birds", [1, 2])
    library.albums.add_images("more", [1])
    found = library.count_forgotten(["/photos/0.jpg", "/photos/2.jpg"])
    assert (found.photos, found.marks, found.judged, found.in_albums, found.albums) == (2, 2, 0, 2, 0)
    found = library.count_forgotten(None)
    assert (found.photos, found.marks, found.judged, found.in_albums, found.albums) == (8, 3, 0, 3, 2)
