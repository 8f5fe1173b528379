"""Albums: by content, one undo step for each change, kept by rebuild, by merge of names and by the user's copy."""

import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WHITE, Seen, fill, open_seen
from library import InThisProcess

from photosearch import Library
from photosearch.errors import InputError, QueryError
from photosearch.library import albums
from photosearch.library.database import Database
from photosearch.library.photos import put_image
from photosearch.library.rebuild import rebuild
from photosearch.library.undo import MAX_UNDO_STEPS
from photosearch.library.user_copy import copy_path

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "black": BLACK, "white": WHITE}


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        yield fill(seen, COLOURS)


def names(seen: Seen, album: str) -> set[str]:
    return set(seen.names(seen.asks.albums.photos(album)))


def listed(library: Library) -> dict[str, int | None]:
    return {album.name: album.photos for album in library.albums.list()}


def test_album_keeps_photos_that_are_moved_and_has_their_copies(seen: Seen) -> None:
    paths = [seen.folder / "red.png", seen.folder / "blue.png"]
    change = seen.asks.albums.add("Rome", paths)
    assert (change.name, change.photos, change.created) == ("Rome", 2, True)
    assert seen.asks.albums.add("rome", [paths[0]])[1:3] == (0, False), "it is in there"
    (seen.folder / "2019").mkdir()
    paths[0].rename(seen.folder / "2019" / "moved.png")
    shutil.copy2(paths[1], seen.folder / "2019" / "copy.png")
    seen.index()
    assert names(seen, "Rome") == {"2019/moved.png", "blue.png"}
    assert {photo.copies for photo in seen.asks.albums.photos("Rome")} == {0, 1}
    assert seen.asks.albums.remove("Rome", seen.folder / "2019" / "copy.png").photos == 1, "a copy is the same picture"
    paths[1].unlink()
    (seen.folder / "2019" / "moved.png").unlink()
    seen.index(prune=True)
    assert (listed(seen.asks), names(seen, "Rome")) == ({"Rome": 0}, set()), "only what is on the disk counts"
    seen.photo("back.png", RED)
    seen.index()
    assert names(seen, "Rome") == {"back.png"}, "and comes back"


def test_each_change_is_one_step_of_undo(seen: Seen) -> None:
    library, red, blue, black = seen.asks, *(seen.folder / f"{name}.png" for name in ("red", "blue", "black"))
    library.marks.add(red, positive=["red"])
    library.albums.add("Rome", [red, blue])
    library.albums.add("Rome", [red, black])
    library.albums.remove("Rome", [red])
    library.albums.rename("Rome", "Paris")
    library.albums.save_search("Reds", "red", query_mode="label")
    library.albums.delete("paris")
    assert (library.albums.count_undo_steps(), library.marks.count_undo_steps()) == (6, 1)
    assert [mark.label for mark in library.marks.undo()] == ["red"], "marks are undone apart"
    states = []
    while (step := library.albums.undo()) is not None:
        held = {name: names(seen, name) for name in listed(library)}
        states.append((step.name, step.change, step.images, held))
    both, reds = {"blue.png", "black.png"}, {"red.png", "white.png"}
    assert states == [
        ("Paris", "deleted", 2, {"Paris": both, "Reds": reds}), ("Reds", "created", 0, {"Paris": both}),
        ("Rome", "renamed", 0, {"Rome": both}), ("Rome", "photos", 1, {"Rome": {*both, "red.png"}}),
        ("Rome", "photos", 1, {"Rome": {"red.png", "blue.png"}}), ("Rome", "created", 2, {}),
    ]  # fmt: skip


def test_undo_of_a_step_never_loses_a_later_change(seen: Seen) -> None:
    library, red, blue = seen.asks.albums, seen.folder / "red.png", seen.folder / "blue.png"
    made, first, second = library.create("Rome"), library.add("Rome", red), library.add("Rome", blue)
    removed, renamed = library.remove("Rome", red), library.rename("Rome", "Paris")
    for step in (made.step, first.step):
        with pytest.raises(InputError, match="was changed again since: nothing was undone"):
            library.undo(step)
    assert library.undo(second.step).images == 1
    assert names(seen, "Paris") == set()
    library.create("Rome")
    with pytest.raises(InputError, match="there is an album 'Rome' already"):
        library.undo(renamed.step)
    assert library.undo(removed.step).change == "photos"
    with pytest.raises(InputError, match="undone elsewhere"):
        library.undo(removed.step)
    assert names(seen, "Paris") == {"red.png"}


def test_undo_log_of_albums_keeps_the_last_steps_and_those_of_marks(tmp_path: Path) -> None:
    with Database(tmp_path / "library.db", create=True) as db:
        image = put_image(db, bytes(32), 4, 3)
        album, *_ = albums.put_album(db, "a")
        with db.transaction():
            for _ in range(MAX_UNDO_STEPS):
                albums._log_images(db, album, "SELECT ?, NULL", [image])
        assert albums.count_undo_steps(db) == MAX_UNDO_STEPS
        (oldest,) = db.one("SELECT count(*) FROM undo_albums WHERE change = 'created'")
        assert oldest == 0


@pytest.mark.parametrize("name", ["", " \t ", "a\0b", "a\x1bb", "right to left \u202e", "a" * 201, "\udcff"])
def test_name_that_can_be_none_is_refused_in_one_line(seen: Seen, name: str) -> None:
    for change in (seen.asks.albums.create, lambda name: seen.asks.albums.add(name, seen.folder / "red.png")):
        with pytest.raises(InputError, match="can't be an album's name") as error:
            change(name)
        assert "\n" not in str(error.value)
    assert listed(seen.asks) == {}


def test_names_are_tidied_and_compared_without_case_and_form(seen: Seen) -> None:
    written = unicodedata.normalize("NFD", "  Été  à\nNîmes 👨‍👩‍👧 ")
    assert seen.asks.albums.create(written).name == unicodedata.normalize("NFC", "Été à Nîmes 👨‍👩‍👧")
    with pytest.raises(InputError, match="there is an album 'Été à Nîmes 👨‍👩‍👧' already"):
        seen.asks.albums.create("ÉTÉ À NÎMES 👨‍👩‍👧")
    assert seen.asks.albums.get("ete a nimes 👨‍👩‍👧").photos == 0, "accents don't matter where one album is meant"
    for statement in ("'; DROP TABLE albums; --", '"', "%", "a" * 200):
        seen.asks.albums.create(statement)
        assert seen.asks.albums.get(statement).name == statement
    assert len(listed(seen.asks)) == 5
    with pytest.raises(QueryError, match=r"no album 'Nice'; there are: "):
        seen.asks.albums.photos("Nice")


def test_unknown_photos_are_named_and_nothing_is_added(seen: Seen) -> None:
    with pytest.raises(InputError, match=r"strange.png: not in the library"):
        seen.asks.albums.add("Rome", [seen.folder / "red.png", seen.folder / "strange.png"])
    assert listed(seen.asks) == {}
    change = seen.asks.albums.add_images("Rome", [1, 2, 2, 999])
    assert (change.photos, change.missing) == (2, 1)
    assert seen.asks.albums.add_images("Rome", [999])[1:] == (0, False, 1, None)
    assert seen.asks.albums.remove_images("Rome", [1, 999]).photos == 1
    assert seen.asks.albums.list_names(2) == ["Rome"]
    assert seen.asks.albums.list_names(1) == []


def test_forget_takes_photos_out_of_albums_and_all_takes_the_albums(seen: Seen) -> None:
    library, red, blue = seen.asks, seen.folder / "red.png", seen.folder / "blue.png"
    library.albums.add("Rome", [red, blue])
    library.albums.remove("Rome", blue)
    library.marks.add([red, blue], positive=["Rome"], new=True)
    counts = library.count_forgotten([red])
    assert (counts.in_albums, counts.albums, counts.marks) == (1, 0, 1), "not the marks of the other photo"
    library.forget([red, blue])
    assert (listed(library), library.albums.count_undo_steps()) == ({"Rome": 0}, 1), "its making can be undone"
    seen.index()
    assert names(seen, "Rome") == set()
    library.albums.add("Rome", [red])
    assert library.count_forgotten(None).albums == 1
    library.forget(None)
    assert (listed(library), library.albums.count_undo_steps()) == ({}, 0)
    assert not [path for path in library.path.parent.glob("library.db*") if b"Rome" in path.read_bytes()]


def test_photos_of_a_saved_search_are_counted_up_to_a_bound(seen: Seen) -> None:
    seen.asks.albums.save_search("All", "red or not red", limit=3)
    counts = [seen.asks.albums.count("All", up_to=most) for most in (1, 2, 3, 100)]
    assert counts == [1, 2, 3, 3]


@pytest.mark.parametrize("source", ["library", "copy", "copy, and a photo was moved"])
def test_rebuild_keeps_albums_by_content(seen: Seen, source: str) -> None:
    path, photos = seen.asks.path, [seen.folder / f"{name}.png" for name in ("red", "blue", "white")]
    seen.asks.albums.add("Rome", photos)
    seen.asks.albums.remove("Rome", photos[2])
    seen.asks.albums.save_search("Reds", "red", sure_only=True)
    seen.asks.close()
    seen.under.db.close()
    if source == "library":
        copy_path(path).unlink()
    else:
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
    result = rebuild(path, force=True)
    assert result.albums == 2
    if source.endswith("moved"):
        photos[0] = photos[0].rename(seen.folder / "zz.png")
    with Library(path) as library, Database(path) as db:
        replace(seen.under, db=db).index(decoders=InThisProcess)
        assert {photo.path for photo in library.albums.photos("Rome")} == {str(photos[0]), str(photos[1])}
        assert library.albums.get("Reds").search == "red --sure"
        assert [Path(photo.path).name for photo in library.albums.photos("Reds")]
        if source == "library":
            assert library.albums.undo().change == "created"
            assert library.albums.undo().change == "photos"
            assert len(library.albums.photos("Rome")) == 3


def test_rebuild_leaves_out_malformed_albums(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    with Database(path, create=True) as db:
        image = put_image(db, bytes(32), 4, 3)
        for name in ("good", "bad name", "bad search"):
            albums.put_album(db, name, image_ids=[image])
        with db.transaction():
            db.write("UPDATE albums SET name = 'other' WHERE name = 'bad name'")
            db.write("UPDATE albums SET question = '[1]' WHERE name = 'bad search'")
    copy_path(path).unlink()
    assert rebuild(path).albums == 1
    with Database(path) as db:
        assert db.rows("SELECT a.name, m.image_id FROM albums a JOIN album_images m ON m.album_id = a.id") == [
            ("good", 1)
        ]
