"""The SQLite file: what is stored, found and refused, and in which order. Kills and locks: test_kills.py."""

import contextlib
import os
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from toy import toy_card

from photosearch.errors import StoppedError, StoreError
from photosearch.library import database, marks, matching
from photosearch.library.database import MIN_SQLITE, Database
from photosearch.library.folders import Scope, add_root, find_scope, list_folders, list_roots, put_folder
from photosearch.library.labels import read_labels, save_threshold
from photosearch.library.matching import Match
from photosearch.library.models import list_models, put_model, read_default_model, set_default_model
from photosearch.library.photos import (
    FileRecord,
    find_image_at,
    list_places,
    list_unreadable,
    mark_absent,
    put_image,
    put_photo,
    put_unreadable,
    read_counts,
)
from photosearch.library.records import Label
from photosearch.library.runs import begin_run
from photosearch.library.schema import VERSION
from photosearch.library.scores import find_scored, put_prediction
from photosearch.query import parse

CARD = toy_card(labels=("bird", "dog", "cat"), pooling={}, thresholds={"bird": 0.8})


@pytest.fixture
def db(tmp_path):
    with Database(tmp_path / "library.db", create=True) as made:
        yield made


class Shelf:
    """Fills a library: `put` adds a photo with a new image, or a copy of a given one."""

    def __init__(self, db: Database, card=CARD, digest="d1"):
        self.db = db
        self.model_id, self.ids = put_model(db, card, digest, 0)
        self.root = add_root(db, "/photos") if not list_roots(db) else list_roots(db)[0]
        self.contents = 0

    def put(self, path, taken="2020-01-01T12:00:00", image_id=None, mtime_ns=0, **scores):
        if image_id is None:
            self.contents += 1
            image_id = put_image(self.db, bytes([self.contents]) * 32, 4, 3, taken, taken and "DateTimeOriginal")
            put_prediction(self.db, image_id, self.model_id, self.ids, scores)
        folder_id = put_folder(self.db, self.root, os.path.dirname(f"/photos/{path}"))
        put_photo(self.db, folder_id, os.path.basename(path), FileRecord(1, mtime_ns), image_id)
        return image_id

    def find(self, text, **options):
        labels = {label.name: label for label in read_labels(self.db)}
        names = ("under", "since", "until", "file_dates")
        bounds = {"under": None, "since": None, "until": None, **{k: options.pop(k) for k in names if k in options}}
        only = matching.filter_photos(self.db, **bounds)
        found = matching.find_matches(self.db, parse(text), labels, only=only, **options)
        return [f.path.removeprefix("/photos/") for f in found]


@pytest.fixture
def shelf(db):
    return Shelf(db)


def raw(db: Database, sql: str):
    with closing(sqlite3.connect(db.path)) as conn:
        return conn.execute(sql).fetchall()


# ---- the file


def test_database_is_created_only_on_request_and_private(tmp_path):
    path = tmp_path / "new" / "folder" / "library.db"
    with pytest.raises(StoreError, match="no library here yet; make one with `photosearch index FOLDER`"):
        Database(path)
    assert not path.parent.exists()
    with Database(path, create=True) as made:
        put_model(made, CARD, "d", 0)
        assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with Database(path) as again:
        assert len(read_labels(again)) == 3


def test_database_refuses_newer_schema_in_one_line(db):
    with closing(sqlite3.connect(db.path)) as conn:
        conn.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match=rf"written by a newer photosearch \(schema {VERSION + 1}\); upgrade") as error:
        Database(db.path)
    assert "\n" not in str(error.value)


def test_transaction_rolls_back_on_error(db, shelf):
    def fail():
        with db.transaction():
            shelf.put("a.jpg", bird=1.0)
            assert read_counts(db).photos == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (read_counts(db).photos, read_counts(db).images) == (0, 0)
    with db.transaction():
        shelf.put("a.jpg", bird=1.0)
    assert raw(db, "SELECT count(*) FROM photos") == [(1,)]


def test_find_matches_reads_during_another_transaction(db, shelf):
    shelf.put("a.jpg", bird=0.9)
    with Database(db.path) as reader, db.transaction():
        shelf.put("b.jpg", bird=0.9)
        assert matching.find_matches(reader, parse("bird"), {"bird": read_labels(reader)[0]}) == [
            Match("/photos/a.jpg", 0.9, "2020-01-01T12:00:00", "DateTimeOriginal", 1)
        ]


def test_put_prediction_stores_scores_as_real(db, shelf):
    given = np.array([0.1, 1 / 3], np.float32)
    shelf.put("a.jpg", bird=given[0], dog=float(given[1]))
    assert raw(db, "SELECT typeof(score), score FROM scores ORDER BY label_id") == [
        ("real", float(given[0])), ("real", float(given[1])),
    ]  # fmt: skip
    for impossible in (1.5, -0.5, float("nan")):
        with pytest.raises(StoreError, match="constraint"), db.transaction():
            shelf.put("b.jpg", bird=impossible)


def test_put_photo_stores_non_utf8_paths_as_bytes(db, shelf):
    odd = os.fsdecode(b"\xff\xfe")
    shelf.put(f"{odd}/ä.jpg", bird=0.9)
    shelf.put(f"ä/{odd}.jpg", bird=0.9)
    assert raw(db, "SELECT typeof(f.path), typeof(p.name) FROM photos p JOIN folders f ON f.id = folder_id") == [
        ("blob", "text"), ("text", "blob"),
    ]  # fmt: skip
    assert shelf.find("bird") == [f"{odd}/ä.jpg", f"ä/{odd}.jpg"]
    assert shelf.find("bird", under=f"/photos/{odd}") == [f"{odd}/ä.jpg"]
    assert find_image_at(db, f"/photos/ä/{odd}.jpg") == 2


# ---- find


def test_find_matches_sorts_by_score_then_insertion(shelf):
    for name, score in (("c", 0.9), ("b", 0.95), ("a", 0.9), ("d", 1.0)):
        shelf.put(f"{name}.jpg", bird=score)
    assert shelf.find("bird") == ["d.jpg", "b.jpg", "c.jpg", "a.jpg"]
    assert shelf.find("bird", limit=2) == ["d.jpg", "b.jpg"]
    assert shelf.find("bird", limit=0) == []


def test_find_matches_uses_saved_then_card_threshold(db, shelf):
    for name, score in (("low", 0.3), ("half", 0.5), ("middle", 0.7), ("card", 0.8), ("high", 0.9)):
        shelf.put(name, bird=score, dog=score)
    assert shelf.find("bird") == ["high", "card"]
    assert shelf.find("dog") == ["high", "card", "middle", "half"]
    bird = read_labels(db)[0]
    assert bird == Label(bird.id, "toy", "bird", 0.8, saved=False)
    save_threshold(db, bird, 0.7)
    assert read_labels(db)[0] == Label(bird.id, "toy", "bird", 0.7, saved=True)
    assert shelf.find("bird") == ["high", "card", "middle"]
    assert shelf.find("bird", min_score=0.3) == ["high", "card", "middle", "half", "low"]
    assert shelf.find("bird and not dog", min_score=0.85) == []
    save_threshold(db, bird, None)
    assert shelf.find("bird") == ["high", "card"]


def test_put_model_keeps_saved_threshold_of_new_version(db, shelf):
    shelf.put("a.jpg", bird=0.9, dog=0.9, cat=0.9)
    save_threshold(db, read_labels(db)[0], 0.1)
    newer = toy_card(version="2", labels=("bird", "owl"), pooling={}, thresholds={"bird": 0.6, "owl": 0.7})
    put_model(db, newer, "d2", 0)
    assert {label.name: label.threshold for label in read_labels(db)} == {
        "bird": 0.1,
        "dog": 0.5,
        "cat": 0.5,
        "owl": 0.7,
    }


def test_find_matches_skips_unscored_photos(db, shelf):
    shelf.put("bird only", bird=0.9)
    shelf.put("both", bird=0.9, dog=0.1)
    put_photo(db, put_folder(db, shelf.root, "/photos"), "unknown", FileRecord(1, 1), put_unscored(db))
    assert shelf.find("bird") == ["bird only", "both"]
    assert shelf.find("not dog") == ["bird only", "both"]
    assert shelf.find("bird and not dog") == shelf.find("bird or dog") == ["bird only", "both"]


def put_unscored(db):
    """An image that no model has scored."""
    return put_image(db, b"u" * 32, 1, 1)


def test_find_matches_ranks_below_min_score_first_for_not(db):
    shelf = Shelf(db, toy_card(labels=("bird", "dog"), pooling={}, min_score=0.1))
    shelf.put("a little", dog=0.2)
    shelf.put("below")
    shelf.put("much", dog=0.9)
    labels = {label.name: label for label in read_labels(db)}
    found = matching.find_matches(db, parse("not dog"), labels)
    assert [(f.path, f.score) for f in found] == [("/photos/below", 1.0), ("/photos/a little", 0.8)]


def test_find_matches_skips_photos_scored_without_the_label(db):
    old = Shelf(db, toy_card(labels=("bird",), pooling={}), "old")
    old.put("old", bird=0.9)
    new = Shelf(db, toy_card(version="2", labels=("bird", "owl"), pooling={}, min_score=0.01), "new")
    new.contents = 9
    new.put("new", bird=0.9)
    assert new.find("bird") == ["old", "new"]
    assert new.find("not owl") == ["new"]


def test_find_matches_joins_labels_of_several_models(db, shelf):
    image_id = shelf.put("a.jpg", bird=0.9, dog=0.2)
    other = toy_card(name="scenes", labels=("sea", "night"), pooling={})
    model_id, ids = put_model(db, other, "d9", 0)
    put_prediction(db, image_id, model_id, ids, {"sea": 0.6, "night": 0.1})
    assert shelf.find("bird and sea and not night") == ["a.jpg"]
    assert shelf.find("sea and dog") == []


def test_read_labels_puts_default_model_first(db, shelf):
    put_model(db, toy_card(name="other", labels=("bird",), pooling={}), "d9", 0)
    assert read_default_model(db) is None
    assert [label.model for label in read_labels(db)] == ["toy"] * 3 + ["other"]
    set_default_model(db, "other")
    assert read_default_model(db) == "other"
    assert [label.model for label in read_labels(db)] == ["other"] + ["toy"] * 3
    assert [label.name for label in read_labels(db, "toy")] == ["bird", "dog", "cat"]
    with pytest.raises(
        StoreError, match=r"third has not indexed any photos in this library; available models: other, toy;"
    ):
        set_default_model(db, "third")


def test_filter_photos_includes_whole_periods(shelf):
    for taken in (
        "2019-12-31T23:59:59",
        "2020-01-01T00:00:00",
        "2020-01-31T10:00:00",
        "2020-02-01T00:00:00",
        "2021-01-01T00:00:00",
    ):
        shelf.put(taken, taken, bird=0.9)

    def years(**options):
        return [name[2:10] for name in shelf.find("bird", **options)]

    assert years(since="2020") == ["20-01-01", "20-01-31", "20-02-01", "21-01-01"]
    assert years(until="2020") == ["19-12-31", "20-01-01", "20-01-31", "20-02-01"]
    assert years(since="2020-01", until="2020-01") == ["20-01-01", "20-01-31"]
    assert years(since="2020-01-31", until="2020-01-31") == ["20-01-31"]
    assert years(since="2020-01-31T10:00:01", until="2020-02-01T00:00:00") == ["20-02-01"]


def test_find_matches_dates_undated_photo_by_its_file(shelf, monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        shelf.put("a.jpg", None, mtime_ns=1_600_000_000 * 10**9, bird=0.9)
        (found,) = matching.find_matches(shelf.db, parse("bird"), {"bird": read_labels(shelf.db)[0]})
        assert found == Match("/photos/a.jpg", 0.9, "2020-09-13T21:26:40", "file", 1)
        assert shelf.find("bird", since="2020-09-13", until="2020-09-13") == []
        assert shelf.find("bird", since="2020-09-13", until="2020-09-13", file_dates=True) == ["a.jpg"]
        assert shelf.find("bird", since="2020-09-14", file_dates=True) == []
    finally:
        monkeypatch.undo()
        time.tzset()


def test_filter_photos_excludes_folders_with_same_prefix(db, shelf):
    for path in ("a/1.jpg", "a/b/2.jpg", "a b/3.jpg", "ab/4.jpg", "a-/5.jpg", "a0/6.jpg", "7.jpg"):
        shelf.put(path, bird=0.9)
    elsewhere = Shelf(db)
    elsewhere.root, elsewhere.contents = add_root(db, "/photos2"), 50
    put_photo(db, put_folder(db, elsewhere.root, "/photos2/x"), "8.jpg", FileRecord(1, 1), 1)
    assert shelf.find("bird", under="/photos/a") == ["a/1.jpg", "a/b/2.jpg"]
    assert shelf.find("bird", under="/photos/a/b") == ["a/b/2.jpg"]
    assert shelf.find("bird", under="/photos/none") == []
    assert shelf.find("bird", under="/nowhere") == []
    assert len(shelf.find("bird", under="/photos")) == 7
    assert shelf.find("bird", under="/photos2") == ["/photos2/x/8.jpg"]
    assert len(shelf.find("bird", under="/")) == 8


def test_find_matches_accepts_fifty_labels(db):
    names = [f"label {i}" for i in range(50)]
    shelf = Shelf(db, toy_card(labels=names, pooling={}))
    shelf.put("a.jpg", **dict.fromkeys(names, 0.5))
    shelf.put("b.jpg", **{**dict.fromkeys(names, 0.5), "label 49": 0.4})
    assert shelf.find(" and ".join(names)) == ["a.jpg"]
    assert shelf.find(" or ".join(names), limit=1) == ["a.jpg"]


def test_find_matches_gives_copies_but_not_removed_ones(db, shelf):
    image_id = shelf.put("a.jpg", bird=0.9)
    shelf.put("b.jpg", image_id=image_id)
    shelf.put("c.jpg", image_id=image_id)
    assert [path for _, _, path in list_places(db, image_id, 2)] == ["/photos/a.jpg", "/photos/b.jpg"]
    mark_absent(db, [list_places(db, image_id, 9)[0][0]], "removed")
    assert shelf.find("bird") == ["b.jpg", "c.jpg"]
    assert [path for _, _, path in list_places(db, image_id, 9)] == [f"/photos/{n}.jpg" for n in "bca"]
    assert (read_counts(db).photos, read_counts(db).removed, read_counts(db).images) == (
        2,
        1,
        1,
    )


# ---- roots


def test_add_root_absorbs_roots_below(db):
    child = add_root(db, "/p/a/b")
    folder_id = put_folder(db, child, "/p/a/b/c")
    assert find_scope(db, "/p/a/b/c") == Scope(child.root_id, "/p/a/b", "c")
    assert find_scope(db, "/p/a") is None
    other = add_root(db, "/p/ab")
    around = add_root(db, "/p/a")
    assert list_roots(db) == [other, around]
    assert find_scope(db, "/p/a/b/c") == Scope(around.root_id, "/p/a", "b/c")
    assert put_folder(db, around, "/p/a/b/c") == folder_id
    everything = add_root(db, "/")
    assert (list_roots(db), find_scope(db, "/p/a/b/c")) == (
        [everything],
        Scope(everything.root_id, "/", "p/a/b/c"),
    )
    assert put_folder(db, everything, "/p/a/b/c") == folder_id
    assert list_folders(db, Scope(everything.root_id, "/", "p")) == [(folder_id, "/p/a/b/c")]


# ---- marks and counts


def test_put_marks_stores_all_or_none_and_replaces(db, shelf):
    a, b = shelf.put("a.jpg", bird=0.9), shelf.put("x/b.jpg", bird=0.1)
    shelf.put("copy of a.jpg", image_id=a)
    marks.put_marks(db, [("bird", a, True), ("bird", b, True), ("dog", a, False)])
    marks.put_marks(db, [("bird", b, False)])
    with pytest.raises(StoreError, match="another program deleted what this one was about to change"):
        marks.put_marks(db, [("bird", a, False), ("bird", 999, True)])
    bird = read_labels(db)[0]
    found = [(m.path.removeprefix("/photos/"), m.label, m.present, m.score) for m in marks.list_marks(db, scored=bird)]
    assert found == [
        ("a.jpg", "bird", True, 0.9), ("x/b.jpg", "bird", False, 0.1), ("copy of a.jpg", "bird", True, 0.9),
        ("a.jpg", "dog", False, 0.9), ("copy of a.jpg", "dog", False, 0.9),
    ]  # fmt: skip
    assert [m.path for m in marks.list_marks(db, "bird", under="/photos/x")] == ["/photos/x/b.jpg"]
    assert read_counts(db).marks == 3


def test_find_image_at_needs_a_readable_photo(db, shelf):
    image_id = shelf.put("x/a.jpg", bird=0.9)
    put_unreadable(db, put_folder(db, shelf.root, "/photos/x"), "b.jpg", FileRecord(1, 1), "broken", False)
    assert find_image_at(db, "/photos/x/a.jpg") == image_id
    assert [find_image_at(db, p) for p in ("/photos/x/b.jpg", "/photos/x/none.jpg", "/photos/a.jpg", "/a.jpg")] == [
        None
    ] * 4


def test_put_unreadable_keeps_time_while_reason_is_unchanged(db, shelf, monkeypatch):
    from photosearch.library import database as storing

    folder_id = put_folder(db, shelf.root, "/photos")
    for minute, reason in enumerate(["torn", "torn", "burnt"]):
        monkeypatch.setattr(storing, "now", lambda at=minute: f"2026-01-01T00:0{at}:00Z")
        put_unreadable(db, folder_id, "a.jpg", FileRecord(minute, minute), reason, False)
        ((_, why, since),) = list_unreadable(db)
        assert (why, since) == (reason, f"2026-01-01T00:0{[0, 0, 2][minute]}:00Z")


def test_find_scored_reads_commits_from_any_thread(db, shelf):
    def seen(model_id=shelf.model_id):
        return model_id in find_scored(db, bytes([1]) * 32, [shelf.model_id, 98])

    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(lambda _: seen(), range(50)))
        with db.transaction():
            shelf.put("a.jpg", bird=0.9)
            assert not threads.submit(seen).result()
        assert all(threads.map(lambda _: seen(), range(50)))
        assert not seen(model_id=99)


def test_list_models_counts_images(db, shelf):
    for name in "abc":
        shelf.put(name, bird=0.9)
    begin_run(db, ["toy"], "cpu")
    newer_id, ids = put_model(db, toy_card(version="2", labels=("bird",), pooling={}), "d2", 0)
    put_prediction(db, 1, newer_id, ids, {"bird": 0.5})
    begin_run(db, ["toy"], "cpu")
    found = [(m.name, m.version, m.tiles, m.images) for m in list_models(db)]
    assert found == [("toy", "2", 0, 1), ("toy", "1", 0, 2)]


def test_model_of_the_later_of_two_runs_in_one_second_is_listed_first(db):
    for name in ("one", "two"):
        put_model(db, toy_card(name=name, labels=("bird",), pooling={}), name, 0)
    begin_run(db, ["two"], "cpu")
    begin_run(db, ["one"], "cpu")
    assert [m.name for m in list_models(db)] == ["one", "two"]


def test_statement_that_is_to_stop_raises_and_leaves_all_as_it_was(db, monkeypatch):
    monkeypatch.setattr(database, "STEPS", 1)
    counted = "SELECT count(*) FROM sqlite_schema"
    with db.stoppable(lambda: False):
        assert db.one(counted)[0] > 0
        db.check_stopped()
    begun = iter([False] * 20)

    def add():
        with db.transaction():
            db.write("INSERT INTO roots(path) VALUES ('/a')")
            db.rows(f"{counted}, sqlite_schema b")

    with db.stoppable(lambda: next(begun, True)), pytest.raises(StoppedError, match="nobody waits for the answer"):
        add()
    with db.stoppable(lambda: True), pytest.raises(StoppedError):
        db.check_stopped()
    db.check_stopped()
    assert list_roots(db) == [], "and other statements run again"


def test_recall_keeps_so_many_bytes(db, monkeypatch):
    monkeypatch.setattr(database, "MAX_RECALLED_BYTES", 3000)
    calls = []

    def read(db, n):
        calls.append(n)
        return bytes(1000)

    for n in (1, 2, 3, 3, 1, 4, 4, 1):
        assert len(db.recall(read, n)) == 1000
    assert calls == [1, 2, 3, 4, 1], "of four, the first three were dropped"


def test_recall_reads_again_after_any_program_changed_the_library(tmp_path):
    calls = []

    def read(db, name):
        calls.append(name)
        return db.rows("SELECT label FROM marks WHERE label = ?", [name])

    def mark(db, image):
        db.write("INSERT INTO marks(label, image_id, present, marked_at) VALUES ('dog', ?, 1, '')", [image])

    path = tmp_path / "library.db"
    with Database(path, create=True) as db, Database(path) as other:
        images = [put_image(db, bytes([i]) * 32, 8, 8) for i in range(4)]
        assert [db.recall(read, "dog"), db.recall(read, "dog"), db.recall(read, "cat")] == [[], [], []]
        assert calls == ["dog", "cat"]
        mark(db, images[0])
        assert len(db.recall(read, "dog")) == 1
        mark(other, images[1])
        assert len(db.recall(read, "dog")) == 2
        with contextlib.suppress(ZeroDivisionError), db.transaction():
            mark(db, images[2])
            assert len(db.recall(read, "dog")) == 3
            1 / 0  # noqa: B018
        assert len(db.recall(read, "dog")) == 2, "rolled back"
        assert len(calls) == 6


def test_sql_needs_nothing_newer_than_the_oldest_sqlite():
    assert MIN_SQLITE < (3, 38), "the first with ->>"
    folder = Path(database.__file__).parent
    assert [path.name for path in folder.glob("*.py") if "->>" in path.read_text("utf-8")] == []
