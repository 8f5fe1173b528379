"""Roots and folders, photos and their counters, forgetting, and samples."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from toy import sight_card, toy_card

from photosearch.errors import StoreError
from photosearch.library import database, marks
from photosearch.library.database import Database
from photosearch.library.folders import (
    FolderCounts,
    FolderSettings,
    add_root,
    count_photos,
    find_scope,
    is_away,
    list_roots,
    list_settings,
    move_root,
    put_folder,
    put_settings,
    read_own_settings,
)
from photosearch.library.forget import IMAGE_TABLES, OTHER_TABLES, forget_all, forget_photos
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model
from photosearch.library.photos import (
    FileRecord,
    find_image_at,
    find_photo_paths,
    list_photo_files,
    list_photos,
    list_some_photos,
    list_unreadable,
    mark_absent,
    put_image,
    put_photo,
    put_unreadable,
    read_counts,
)
from photosearch.library.records import Counts, Label
from photosearch.library.scores import put_prediction

CARD = sight_card(labels=("bird", "dog"), pooling={"4": dict.fromkeys(("bird", "dog"), (0.5, 0.5, 0.0))})
OF_IMAGES = ("images", "scores", "inactive_scores", "scored", "vectors", "marks", "sample_photos")


@pytest.fixture
def db(tmp_path):
    with Database(tmp_path / "library.db", create=True) as made:
        yield made


def put(db: Database, path: str, content: int, size: int = 1, mtime_ns: int = 1) -> int:
    """Store a photo at an absolute path below a known root -> its image."""
    folder_id = folder_of(db, os.path.dirname(path))
    image_id = put_image(db, bytes([content]) * 32, 4, 3)
    put_photo(db, folder_id, os.path.basename(path), FileRecord(size, mtime_ns), image_id)
    return image_id


def folder_of(db: Database, path: str) -> int:
    scope = find_scope(db, path)
    assert scope is not None
    return put_folder(db, scope, path)


def bird(db: Database) -> Label:
    return next(label for label in read_labels(db) if label.name == "bird")


def roots(db: Database) -> list[str]:
    return [root.root for root in list_roots(db)]


def counted(db: Database, table: str) -> int:
    return int(db.one(f"SELECT count(*) FROM {table}")[0])


# ---- roots


def test_move_root_absorbs_roots_below_new_path(db):
    old = add_root(db, "/p/old")
    for path in ("/p/new2", "/p/new/inner"):
        add_root(db, path)
    move_root(db, old, "/p/new")
    assert sorted(roots(db)) == ["/p/new", "/p/new2"]


def test_forget_photos_keeps_folder_with_same_prefix(db):
    for i, root in enumerate(("/p/a", "/p/ab")):
        scope = add_root(db, root)
        put(db, f"{root}/x.jpg", i)
        put_settings(db, scope, FolderSettings(tiles=4))
    assert forget_photos(db, ["/p/a"]) == 1
    assert (roots(db), [s.path for s, _ in list_settings(db)]) == (["/p/ab"], ["/p/ab"])
    assert find_photo_paths(db, [row[0] for row in list_photo_files(db)]) == ["/p/ab/x.jpg"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tiles": []}', "5"])
def test_settings_that_make_no_sense_are_damage(db, text):
    scope = add_root(db, "/p")
    put_settings(db, scope, FolderSettings(tiles=4))
    db.write("UPDATE folder_settings SET settings = ?", [text])
    for read in (lambda: list_settings(db), lambda: read_own_settings(db, scope)):
        with pytest.raises(StoreError, match="the library is damaged"):
            read()


def test_list_photo_files_matches_roots_below_folder(db):
    for i, root in enumerate(("/ph/x", "/photos")):
        add_root(db, root)
        put(db, f"{root}/a.jpg", i)
    assert find_photo_paths(db, [row[0] for row in list_photo_files(db, "/ph")]) == ["/ph/x/a.jpg"]


@pytest.mark.parametrize(
    ("inside", "away"), [((), True), ((".DS_Store",), True), (("lost+found",), True), (("a.jpg",), False)]
)
def test_is_away_ignores_system_entries(tmp_path: Path, inside, away):
    drive = tmp_path / "drive"
    drive.mkdir()
    for name in inside:
        (drive / name).write_bytes(b"")
    assert is_away(str(drive)) is away
    assert is_away(str(tmp_path / "nowhere"))
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_away(str(tmp_path / "link"))


def test_list_some_photos_spreads_over_root(db):
    root = add_root(db, "/p")
    for i in range(10):
        put(db, f"/p/{i}.jpg", i, size=i)
    assert [row[:2] for row in list_some_photos(db, root, 3)] == [("0.jpg", 0), ("3.jpg", 3), ("6.jpg", 6)]
    assert len(list_some_photos(db, root, 64)) == 10


# ---- photos


@pytest.mark.parametrize(("size", "mtime_ns", "kept"), [(1, 1, True), (1, 2, False), (2, 1, False)])
def test_put_unreadable_keeps_image_only_if_file_is_unchanged(db, size, mtime_ns, kept):
    add_root(db, "/p")
    image_id = put(db, "/p/a.jpg", 1)
    put_unreadable(db, folder_of(db, "/p"), "a.jpg", FileRecord(size, mtime_ns), "torn", False)
    assert find_image_at(db, "/p/a.jpg") == (image_id if kept else None)


def test_counts_of_removed_unreadable_photo(db):
    root = add_root(db, "/p")
    put(db, "/p/a.jpg", 1)
    put_unreadable(db, folder_of(db, "/p"), "b.jpg", FileRecord(1, 1), "torn", False)
    assert count_photos(db, root) == FolderCounts(2, 1, 0, 0)
    (broken,) = [photo_id for photo_id, name in list_photos(db, folder_of(db, "/p")) if name == "b.jpg"]
    for state, counts in (("removed", (1, 0, 1, 0)), ("excluded", (1, 0, 0, 1))):
        mark_absent(db, [broken], state)
        assert count_photos(db, root) == FolderCounts(*counts)
        assert [getattr(read_counts(db), k) for k in ("photos", "unreadable", "removed", "excluded")] == list(counts)
        assert list_unreadable(db) == []
    put_unreadable(db, folder_of(db, "/p"), "b.jpg", FileRecord(1, 1), "torn", False)
    assert count_photos(db, root) == FolderCounts(2, 1, 0, 0)


def test_find_image_at_resolves_link_to_folder(db, tmp_path: Path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    add_root(db, str(folder))
    image_id = put(db, str(folder / "a.jpg"), 1)
    assert find_image_at(db, str(tmp_path / "link" / "a.jpg")) == image_id


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_put_photo_stores_any_64_bit_number(db, number):
    add_root(db, "/p")
    image_id = put_image(db, bytes(32), 4, 3)
    file = FileRecord(1, number, number, number, number)
    put_photo(db, folder_of(db, "/p"), "a.jpg", file, image_id)
    (row,) = db.rows("SELECT mtime_ns, ctime_ns, device, inode FROM photos")
    assert set(row) == {(number + 2**63) % 2**64 - 2**63}


# ---- forgetting


def fill(db: Database) -> None:
    """Two photos, each scored with and without tiles, marked and in a sample; and an unreadable one."""
    add_root(db, "/p")
    scorers = [put_model(db, CARD, "d", tiles) for tiles in (4, 0)]
    images = [put(db, f"/p/{name}.jpg", i) for i, name in enumerate("ab")]
    for image in images:
        for model_id, ids in scorers:
            put_prediction(db, image, model_id, ids, {"bird": 0.5, "dog": 0.25}, bytes(8))
    marks.put_marks(db, [("bird", image, True) for image in images])
    for drawn in (images, images[:1]):
        marks.put_sample(db, bird(db), 0.5, 0, [(image, 0.5, 0, 2) for image in drawn])
    put_unreadable(db, folder_of(db, "/p"), "broken.jpg", FileRecord(1, 1), "torn", False)


def test_forget_photos_deletes_everything_of_its_image(db):
    fill(db)
    before = {table: counted(db, table) for table in OF_IMAGES}
    assert before == {
        "images": 2, "scores": 4, "inactive_scores": 4, "scored": 4, "vectors": 2, "marks": 2, "sample_photos": 3,
    }  # fmt: skip
    assert forget_photos(db, ["/p/a.jpg"]) == 1
    left = {"images": 1, "scores": 2, "inactive_scores": 2, "scored": 2, "vectors": 1, "marks": 1, "sample_photos": 1}
    assert {table: counted(db, table) for table in OF_IMAGES} == left
    assert (counted(db, "samples"), read_counts(db).photos, len(list_unreadable(db))) == (1, 2, 1)
    forget_photos(db, ["/p"])
    assert {table: counted(db, table) for table in (*OF_IMAGES, "samples", "folders", "roots")} == {
        **dict.fromkeys(OF_IMAGES, 0), "samples": 0, "folders": 0, "roots": 0,
    }  # fmt: skip


def test_forget_photos_keeps_image_of_a_copy(db):
    fill(db)
    put(db, "/p/copy of a.jpg", 0)
    before = {table: counted(db, table) for table in OF_IMAGES}
    assert forget_photos(db, ["/p/a.jpg"]) == 1
    assert {table: counted(db, table) for table in OF_IMAGES} == before


def test_forget_all_empties_every_table(db):
    fill(db)
    assert forget_all(db) == 3
    tables = {name for (name,) in db.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    index = {name for name in tables if name.startswith("word")}  # and what it keeps itself
    assert tables - index - {"counts", "_sqlite_migrations", "sqlite_sequence"} == {*IMAGE_TABLES, *OTHER_TABLES}
    assert sum(counted(db, table) for table in (*IMAGE_TABLES, *OTHER_TABLES)) == 1, "the library's new id"
    assert read_counts(db) == Counts(0, 0, 0, 0, 0, 0)


def test_forget_photos_reports_traces_while_another_reads(db, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    with Database(db.path) as ours, closing(sqlite3.connect(db.path)) as reader:
        ours.write("PRAGMA secure_delete = OFF")  # which some systems' SQLite does by itself
        fill(ours)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM photos").fetchall()
        with pytest.raises(StoreError, match="traces stay while another program reads; close that, and repeat"):
            forget_photos(ours, ["/p/a.jpg"])
        reader.execute("COMMIT")
        forget_photos(ours, ["/p/b.jpg"])
        kept = b"".join(path.read_bytes() for path in db.path.parent.iterdir())
        assert (b"broken.jpg" in kept, b"a.jpg" in kept, b"b.jpg" in kept) == (True, False, False)


# ---- samples


def test_list_scored_images_skips_removed_photos(db):
    fill(db)
    (first,) = [i for i, name in list_photos(db, folder_of(db, "/p")) if name == "a.jpg"]
    mark_absent(db, [first], "removed")
    assert len(marks.list_scored_images(db, bird(db))) == 1


def test_find_sample_gives_current_score_and_path(db):
    fill(db)
    newer, ids = put_model(db, toy_card(labels=("bird", "dog"), pooling={}), "newer", 0)
    image = find_image_at(db, "/p/a.jpg")
    assert image is not None
    put_prediction(db, image, newer, ids, {"bird": 0.75})
    put(db, "/p/copy of a.jpg", 0)
    (first,) = [i for i, name in list_photos(db, folder_of(db, "/p")) if name == "a.jpg"]
    mark_absent(db, [first], "removed")
    kept = marks.find_sample(db, bird(db), 1)
    assert kept is not None
    assert [(p.path, p.score) for p in kept.photos] == [("/p/copy of a.jpg", 0.75), ("/p/b.jpg", 0.5)]


def test_find_sample_defaults_to_the_last(db):
    fill(db)
    assert marks.list_samples(db, bird(db)) == [1, 2]
    kept = marks.find_sample(db, bird(db))
    assert kept is not None
    assert (kept.id, len(kept.photos)) == (2, 1)


# ---- the file


def test_database_sets_pragmas_on_both_connections(db):
    assert db.one("PRAGMA synchronous") == db.read("PRAGMA synchronous")[0] == (1,)  # NORMAL
    assert db.one("PRAGMA foreign_keys") == db.read("PRAGMA foreign_keys")[0] == (1,)
    assert db.one("PRAGMA trusted_schema") == db.read("PRAGMA trusted_schema")[0] == (0,)


def test_clear_path_deletes_all_logs(tmp_path: Path):
    path = tmp_path / "library.db.part"
    for end in ("", "-journal", "-wal", "-shm", "-mine"):
        path.with_name(path.name + end).write_bytes(b"x")
    assert database.clear_path(path) == path
    assert [p.name for p in tmp_path.iterdir()] == ["library.db.part-mine"]
