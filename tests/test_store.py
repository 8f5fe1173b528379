"""SQLite: what goes in, what comes out, in which order, and what is refused. Kills and locks: test_hostile.py."""

import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from toy import toy_card

from photosearch.errors import StoreError
from photosearch.query import parse
from photosearch.store import VERSION, Found, Label, Scope, Store

CARD = toy_card(labels=("bird", "dog", "cat"), pooling={}, thresholds={"bird": 0.8})


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "library.db", create=True) as made:
        yield made


class Shelf:
    """Fills a library: `put` adds one photo of a content of its own, or of a copy's."""

    def __init__(self, store: Store, card=CARD, digest="d1"):
        self.store = store
        self.model_id, self.ids = store.put_model(card, digest, 0)
        self.root = store.add_root("/photos") if not store.roots() else store.roots()[0]
        self.contents = 0

    def put(self, path, taken="2020-01-01T12:00:00", image_id=None, mtime_ns=0, **scores):
        if image_id is None:
            self.contents += 1
            image_id = self.store.put_image(bytes([self.contents]) * 32, 4, 3, taken)
            self.store.put_scores(image_id, {self.ids[k]: v for k, v in scores.items()}, self.model_id)
        folder_id = self.store.folder_id(self.root, os.path.dirname(f"/photos/{path}"))
        self.store.put_photo(folder_id, os.path.basename(path), 1, mtime_ns, image_id)
        return image_id

    def find(self, text, **options):
        labels = {label.name: label for label in self.store.labels()}
        return [f.path.removeprefix("/photos/") for f in self.store.find(parse(text), labels, **options)]


@pytest.fixture
def shelf(store):
    return Shelf(store)


def raw(store: Store, sql: str):
    with closing(sqlite3.connect(store.path)) as db:
        return db.execute(sql).fetchall()


# ---- the file


def test_a_library_is_made_only_when_asked_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "folder" / "library.db"
    with pytest.raises(StoreError, match="no library here yet; make one with `photosearch index FOLDER`"):
        Store(path)
    assert not path.parent.exists()
    with Store(path, create=True) as made:
        made.put_model(CARD, "d", 0)
        assert {stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()} == {0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with Store(path) as again:
        assert len(again.labels()) == 3


def test_a_library_of_a_newer_version_is_refused_in_one_line(store):
    with closing(sqlite3.connect(store.path)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match=rf"written by a newer photosearch \(schema {VERSION + 1}\); upgrade") as error:
        Store(store.path)
    assert "\n" not in str(error.value)


def test_what_a_transaction_wrote_is_there_whole_or_not_at_all(store, shelf):
    def fail():
        with store.transaction():
            shelf.put("a.jpg", bird=1.0)
            assert store.counts()["photos"] == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (store.counts()["photos"], store.counts()["images"]) == (0, 0)
    with store.transaction():
        shelf.put("a.jpg", bird=1.0)
    assert raw(store, "SELECT count(*) FROM photos") == [(1,)]


def test_reading_goes_on_while_another_writes(store, shelf):
    shelf.put("a.jpg", bird=0.9)
    with Store(store.path) as reader, store.transaction():
        shelf.put("b.jpg", bird=0.9)
        assert reader.find(parse("bird"), {"bird": reader.labels()[0]}) == [
            Found("/photos/a.jpg", 0.9, "2020-01-01T12:00:00")
        ]


def test_a_score_is_stored_as_a_number_and_comes_back_as_it_was(store, shelf):
    given = np.array([0.1, 1 / 3], np.float32)
    shelf.put("a.jpg", bird=given[0], dog=float(given[1]))
    assert raw(store, "SELECT typeof(score), score FROM scores ORDER BY label_id") == [
        ("real", float(given[0])), ("real", float(given[1])),
    ]  # fmt: skip
    for impossible in (1.5, -0.5, float("nan")):
        with pytest.raises(StoreError, match="constraint"), store.transaction():
            shelf.put("b.jpg", bird=impossible)


def test_paths_are_text_and_what_is_not_utf8_is_bytes(store, shelf):
    odd = os.fsdecode(b"\xff\xfe")
    shelf.put(f"{odd}/ä.jpg", bird=0.9)
    shelf.put(f"ä/{odd}.jpg", bird=0.9)
    assert raw(store, "SELECT typeof(f.path), typeof(p.name) FROM photos p JOIN folders f ON f.id = folder_id") == [
        ("blob", "text"), ("text", "blob"),
    ]  # fmt: skip
    assert shelf.find("bird") == [f"{odd}/ä.jpg", f"ä/{odd}.jpg"]
    assert shelf.find("bird", under=f"/photos/{odd}") == [f"{odd}/ä.jpg"]
    assert store.image_of(f"/photos/ä/{odd}.jpg") == 2


# ---- find


def test_the_best_come_first_and_equals_in_the_order_in_which_they_came(shelf):
    for name, score in (("c", 0.9), ("b", 0.95), ("a", 0.9), ("d", 1.0)):
        shelf.put(f"{name}.jpg", bird=score)
    assert shelf.find("bird") == ["d.jpg", "b.jpg", "c.jpg", "a.jpg"]
    assert shelf.find("bird", limit=2) == ["d.jpg", "b.jpg"]
    assert shelf.find("bird", limit=0) == []


def test_a_label_holds_from_the_users_threshold_on_else_the_cards_else_a_half(store, shelf):
    for name, score in (("low", 0.3), ("half", 0.5), ("middle", 0.7), ("card", 0.8), ("high", 0.9)):
        shelf.put(name, bird=score, dog=score)
    assert shelf.find("bird") == ["high", "card"]
    assert shelf.find("dog") == ["high", "card", "middle", "half"]
    bird = store.labels()[0]
    assert bird == Label(bird.id, "toy", "bird", 0.8, saved=False)
    store.save_threshold(bird, 0.7)
    assert store.labels()[0] == Label(bird.id, "toy", "bird", 0.7, saved=True)
    assert shelf.find("bird") == ["high", "card", "middle"]
    assert shelf.find("bird", min_score=0.3) == ["high", "card", "middle", "half", "low"]
    assert shelf.find("bird and not dog", min_score=0.85) == []
    store.save_threshold(bird, None)
    assert shelf.find("bird") == ["high", "card"]


def test_a_saved_threshold_outlives_a_new_version_of_the_model(store, shelf):
    shelf.put("a.jpg", bird=0.9, dog=0.9, cat=0.9)
    store.save_threshold(store.labels()[0], 0.1)
    newer = toy_card(version="2", labels=("bird", "owl"), pooling={}, thresholds={"bird": 0.6, "owl": 0.7})
    store.put_model(newer, "d2", 0)
    assert {label.name: label.threshold for label in store.labels()} == {
        "bird": 0.1,
        "dog": 0.5,
        "cat": 0.5,
        "owl": 0.7,
    }


def test_what_was_not_scored_is_neither_yes_nor_no(shelf):
    shelf.put("bird only", bird=0.9)
    shelf.put("both", bird=0.9, dog=0.1)
    assert shelf.find("bird") == ["bird only", "both"]
    assert shelf.find("bird and not dog") == ["both"]
    assert shelf.find("not dog") == ["both"]
    assert shelf.find("bird or dog") == ["both"]


def test_labels_of_several_models_are_joined(store, shelf):
    image_id = shelf.put("a.jpg", bird=0.9, dog=0.2)
    other = toy_card(name="scenes", labels=("sea", "night"), pooling={})
    model_id, ids = store.put_model(other, "d9", 0)
    store.put_scores(image_id, {ids["sea"]: 0.6, ids["night"]: 0.1}, model_id)
    assert shelf.find("bird and sea and not night") == ["a.jpg"]
    assert shelf.find("sea and dog") == []


def test_the_labels_of_the_model_whose_run_was_completed_last_come_first(store, shelf):
    def ran(model_id, stopped):
        store.end_run(store.begin_run(model_id, "cpu"), {"stopped": stopped})

    other_id, _ = store.put_model(toy_card(name="other", labels=("bird",), pooling={}), "d9", 0)

    def first():
        return next(label.model for label in store.labels() if label.name == "bird")

    assert [label.model for label in store.labels()] == ["toy"] * 3 + ["other"]
    ran(shelf.model_id, False)
    ran(other_id, True)
    store.begin_run(other_id, "cpu")
    assert first() == "toy"
    ran(other_id, False)
    assert first() == "other"
    assert [label.name for label in store.labels("toy")] == ["bird", "dog", "cat"]


def test_dates_bound_what_is_found_each_with_all_that_it_names(shelf):
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


def test_a_photo_without_a_date_has_its_files(shelf, monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        shelf.put("a.jpg", None, mtime_ns=1_600_000_000 * 10**9, bird=0.9)
        (found,) = shelf.store.find(parse("bird"), {"bird": shelf.store.labels()[0]})
        assert found == Found("/photos/a.jpg", 0.9, "2020-09-13T21:26:40")
        assert shelf.find("bird", since="2020-09-13", until="2020-09-13") == ["a.jpg"]
        assert shelf.find("bird", since="2020-09-14") == []
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_folder_bounds_what_is_found_and_names_that_begin_alike_are_others(store, shelf):
    for path in ("a/1.jpg", "a/b/2.jpg", "a b/3.jpg", "ab/4.jpg", "a-/5.jpg", "a0/6.jpg", "7.jpg"):
        shelf.put(path, bird=0.9)
    elsewhere = Shelf(store)
    elsewhere.root, elsewhere.contents = store.add_root("/photos2"), 50
    store.put_photo(store.folder_id(elsewhere.root, "/photos2/x"), "8.jpg", 1, 1, 1)
    assert shelf.find("bird", under="/photos/a") == ["a/1.jpg", "a/b/2.jpg"]
    assert shelf.find("bird", under="/photos/a/b") == ["a/b/2.jpg"]
    assert shelf.find("bird", under="/photos/none") == []
    assert shelf.find("bird", under="/nowhere") == []
    assert len(shelf.find("bird", under="/photos")) == 7
    assert shelf.find("bird", under="/photos2") == ["/photos2/x/8.jpg"]
    assert len(shelf.find("bird", under="/")) == 8


def test_fifty_labels_may_be_asked_for_at_once(store):
    names = [f"label {i}" for i in range(50)]
    shelf = Shelf(store, toy_card(labels=names, pooling={}))
    shelf.put("a.jpg", **dict.fromkeys(names, 0.5))
    shelf.put("b.jpg", **{**dict.fromkeys(names, 0.5), "label 49": 0.4})
    assert shelf.find(" and ".join(names)) == ["a.jpg"]
    assert shelf.find(" or ".join(names), limit=1) == ["a.jpg"]


def test_copies_are_found_each_and_removed_ones_are_not(store, shelf):
    image_id = shelf.put("a.jpg", bird=0.9)
    shelf.put("b.jpg", image_id=image_id)
    shelf.put("c.jpg", image_id=image_id)
    assert [path for _, _, path in store.places(image_id, 2)] == ["/photos/a.jpg", "/photos/b.jpg"]
    store.remove_photos([store.places(image_id, 9)[0][0]])
    assert shelf.find("bird") == ["b.jpg", "c.jpg"]
    assert [path for _, _, path in store.places(image_id, 9)] == [f"/photos/{n}.jpg" for n in "bca"]
    assert (store.counts()["photos"], store.counts()["removed"], store.counts()["images"]) == (2, 1, 1)


# ---- roots


def test_roots_never_overlap(store):
    child = store.add_root("/p/a/b")
    folder_id = store.folder_id(child, "/p/a/b/c")
    assert store.scope("/p/a/b/c") == Scope(child.root_id, "/p/a/b", "c")
    assert store.scope("/p/a") is None
    other = store.add_root("/p/ab")
    around = store.add_root("/p/a")
    assert store.roots() == [other, around]
    assert store.scope("/p/a/b/c") == Scope(around.root_id, "/p/a", "b/c")
    assert store.folder_id(around, "/p/a/b/c") == folder_id
    everything = store.add_root("/")
    assert (store.roots(), store.scope("/p/a/b/c")) == ([everything], Scope(everything.root_id, "/", "p/a/b/c"))
    assert store.folder_id(everything, "/p/a/b/c") == folder_id
    assert store.folders(Scope(everything.root_id, "/", "p")) == [(folder_id, "/p/a/b/c")]


# ---- truth, and what is counted


def test_truth_is_taken_whole_or_not_at_all_and_the_last_word_counts(store, shelf):
    a, b = shelf.put("a.jpg", bird=0.9), shelf.put("x/b.jpg", bird=0.1)
    shelf.put("copy of a.jpg", image_id=a)
    store.put_truth([("bird", a, True), ("bird", b, True), ("dog", a, False)])
    store.put_truth([("bird", b, False)])
    with pytest.raises(StoreError, match="constraint"):
        store.put_truth([("bird", a, False), ("bird", 999, True)])
    bird = store.labels()[0]
    told = [(t.path.removeprefix("/photos/"), t.label, t.present, t.score) for t in store.truth(scored=bird)]
    assert told == [
        ("a.jpg", "bird", True, 0.9), ("x/b.jpg", "bird", False, 0.1), ("copy of a.jpg", "bird", True, 0.9),
        ("a.jpg", "dog", False, 0.9), ("copy of a.jpg", "dog", False, 0.9),
    ]  # fmt: skip
    assert [t.path for t in store.truth("bird", under="/photos/x")] == ["/photos/x/b.jpg"]
    assert store.counts()["truth"] == 3


def test_the_image_of_a_path_is_told(store, shelf):
    image_id = shelf.put("x/a.jpg", bird=0.9)
    store.put_unreadable(store.folder_id(shelf.root, "/photos/x"), "b.jpg", 1, 1, "broken", False)
    assert store.image_of("/photos/x/a.jpg") == image_id
    assert [store.image_of(p) for p in ("/photos/x/b.jpg", "/photos/x/none.jpg", "/photos/a.jpg", "/a.jpg")] == [
        None
    ] * 4


def test_unreadable_photos_keep_the_time_since_when_for_as_long_as_the_reason_stays(store, shelf, monkeypatch):
    from photosearch import store as storing

    folder_id = store.folder_id(shelf.root, "/photos")
    for minute, reason in enumerate(["torn", "torn", "burnt"]):
        monkeypatch.setattr(storing, "now", lambda at=minute: f"2026-01-01T00:0{at}:00Z")
        store.put_unreadable(folder_id, "a.jpg", minute, minute, reason, False)
        ((_, why, since),) = store.unreadable()
        assert (why, since) == (reason, f"2026-01-01T00:0{[0, 0, 2][minute]}:00Z")


def test_a_content_is_seen_once_its_scores_are_committed_from_any_thread(store, shelf):
    label_id = next(iter(shelf.ids.values()))

    def seen(model_id=shelf.model_id):
        return store.seen(bytes([1]) * 32, model_id, label_id)

    with ThreadPoolExecutor(4) as threads:
        assert not any(threads.map(lambda _: seen(), range(50)))
        with store.transaction():
            shelf.put("a.jpg", bird=0.9)
            assert not threads.submit(seen).result()
        assert all(threads.map(lambda _: seen(), range(50)))
        assert not seen(model_id=99)
    assert threading.active_count() < 50


def test_the_models_are_told_with_what_they_have_scored(store, shelf):
    for name in "abc":
        shelf.put(name, bird=0.9)
    store.begin_run(shelf.model_id, "cpu")
    newer_id, ids = store.put_model(toy_card(version="2", labels=("bird",), pooling={}), "d2", 0)
    store.put_scores(1, {ids["bird"]: 0.5}, newer_id)
    store.begin_run(newer_id, "cpu")
    told = [(m["name"], m["version"], m["tiles"], m["images"]) for m in store.models()]
    assert told == [("toy", "2", 0, 1), ("toy", "1", 0, 2)]
