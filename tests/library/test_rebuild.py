"""Rebuilding a damaged library: what is rescued, what is left out, and what a killed attempt leaves behind."""

import functools
import os
import random
import re
import shutil
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from embedding_library import card
from toy import toy_card, write_toy, write_toy_text
from user_library import N, fill, index, make_photos

from photosearch import Library
from photosearch.errors import StoreError
from photosearch.library import database, schema
from photosearch.library import rebuild as rebuild_module
from photosearch.library.classifiers import list_classifiers
from photosearch.library.database import Database
from photosearch.library.folders import FolderSettings, add_root, list_roots, list_settings, put_folder, put_settings
from photosearch.library.labels import read_labels
from photosearch.library.marks import find_sample, put_marks, undo_marks
from photosearch.library.models import put_model, read_default_model
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.library.rebuild import check, rebuild
from photosearch.library.scores import put_prediction
from photosearch.library.user_copy import copy_path
from photosearch.library.vectors import find_space

SCHEMAS = Path(__file__).parents[1] / "schemas"
DAMAGED = 8 * int(os.environ.get("PHOTOSEARCH_KILLS", "5"))  # libraries


def with_root(path: Path, root: str) -> Path:
    with Database(path, create=True) as db:
        add_root(db, root)
    return path


def roots(path: Path) -> list[str]:
    with Database(path) as db:
        return [root.root for root in list_roots(db)]


def test_rebuild_ignores_leftovers_of_a_killed_attempt(tmp_path: Path) -> None:
    path = with_root(tmp_path / "library.db", "/photos")
    copy_path(with_root(tmp_path / "library.db.part", "/stale")).unlink()
    for log in ("-journal", "-wal", "-shm"):
        (tmp_path / f"library.db.part{log}").write_bytes(b"left by a kill")
    rebuild(path, force=True)
    assert roots(path) == ["/photos"]
    assert not [p.name for p in tmp_path.iterdir() if ".part" in p.name]


def test_rebuild_moves_the_log_with_the_damaged_file(tmp_path: Path) -> None:
    path = with_root(tmp_path / "library.db", "/photos")
    with closing(sqlite3.connect(path)) as killed:  # a connection that never closes keeps its log
        killed.execute("UPDATE roots SET path = '/only in the log'")
        killed.commit()
        aside = rebuild(path, force=True).aside
        assert aside.with_name(f"{aside.name}-wal").stat().st_size > 0
        assert not Path(f"{path}-wal").exists()
    assert roots(aside) == ["/only in the log"]


def test_rebuild_removes_logs_that_hold_nothing(tmp_path: Path) -> None:
    path = with_root(tmp_path / "library.db", "/photos")
    Path(f"{path}-wal").touch()
    Path(f"{path}-shm").write_bytes(bytes(32_768))
    aside = rebuild(path, force=True).aside
    assert aside.exists()
    assert not [
        p.name for p in tmp_path.iterdir() if p.name.startswith(aside.name) and p.name.endswith(("-wal", "-shm"))
    ]


# ---- what only its user knows

QUERIES = ("red", "night", "dusk", "dark or night", "not red", '"black"')


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Dark photos, red ones and bright ones, each of another shade; a model and a text tower for them."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    write_toy(tmp_path / "toy.onnx", card())
    write_toy_text(tmp_path / "toy-text.onnx")
    return make_photos(tmp_path / "photos")


def ask(library: Library) -> dict[str, object]:
    labels = library.labels.list()
    return {
        "labels": labels,
        "described": [library.labels.describe(label.name) for label in labels],
        "reports": {name: library.report(name).to_json() for name in ("red", "dark", "night")},
        "find": {words: [(f.path, f.score) for f in library.find(words)] for words in QUERIES},
        "marks": library.marks.list(),
        "default": library.models.default,
        "folders": library.folders.list(),
    }


def test_rebuild_keeps_everything_the_user_made(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "library.db"
    with Library(path) as library:
        fill(library, photos)
        before = ask(library)
    result = rebuild(path, force=True)
    assert (result.marks, result.thresholds, result.folders, result.labels, result.samples) == (45, 2, 1, 3, 2)
    with Library(path) as library:
        assert [label.name for label in library.labels.list()] == [label.name for label in before["labels"]]
        index(library)
        assert ask(library) == before
        with Database(path) as db:
            (sample,) = [find_sample(db, label) for label in library.labels.list() if label.name == "night"]
        assert sample is not None
        assert (sample.seed, [p.number for p in sample.photos], sample.photos[2].present) == (1, [*range(1, 7)], True)
        assert [(mark.label, mark.present) for mark in library.marks.undo()] == [("night", None)]
        assert library.labels.undo_threshold(library.labels.get("red"))
        assert library.labels.get("red").threshold == 0.7
        assert library.labels.undo_learning("dark") is None


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such photos and models, and a library in which their user has made something of each kind."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        write_toy(folder / "toy.onnx", card())
        write_toy_text(folder / "toy-text.onnx")
        with Library(folder / "library.db") as library:
            fill(library, make_photos(folder / "photos"))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ("UPDATE classifiers SET weights = x'0000'", {"dark"}),
        ("UPDATE classifiers SET weights = x'0000C07F0000C07F0000C07F0000C07F'", {"dark"}),  # not a number
        ("UPDATE classifiers SET weights = zeroblob(8)", {"dark"}),  # the vectors have four numbers
        ("UPDATE classifiers SET metrics = '{'", {"dark"}),
        ("UPDATE classifiers SET bias = 9e999", {"dark"}),
        ("UPDATE labels SET threshold = 7 WHERE name = 'night'", {"night"}),
        ("UPDATE labels SET name = '' WHERE name = 'dusk'", {"dusk"}),
        ("UPDATE models SET card = '{\"labels\": 7}' WHERE name = 'toy'", {"red", "green", "blue"}),
        ("UPDATE models SET digest = 'torn' WHERE name = 'yours'", {"dark", "night", "dusk"}),
        ("UPDATE folder_settings SET settings = '[1'", set()),
        ("UPDATE folder_settings SET settings = '{\"tiles\": \"four\"}'", set()),
        ("UPDATE properties SET value = 'nobody' WHERE name = 'default_model'", set()),
        ("UPDATE roots SET path = x'00'", set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("with_copy", [False, True])
def test_rebuild_takes_malformed_rows_from_the_copy(
    tmp_path: Path, filled: Path, monkeypatch: pytest.MonkeyPatch, change: str, lost: set[str], with_copy: bool
) -> None:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(filled))
    path = Path(shutil.copy(filled / "library.db", tmp_path))
    shutil.copy(copy_path(filled / "library.db"), copy_path(path))
    with Library(path) as library:
        names = {label.name for label in library.labels.list()}
        settings = library.folders.list()[0].settings
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(change)
        conn.commit()
    if with_copy:
        lost = set()
    else:
        copy_path(path).unlink()
    assert rebuild(path).marks == 45
    if with_copy:
        with Library(path) as library:
            assert ([row.settings for row in library.folders.list()], library.models.default) == ([settings], "toy")
    with Library(path) as library:
        assert {label.name for label in library.labels.list()} == names - lost
        index(library, filled / "photos")
        assert {label.name for label in library.labels.list()} == (names - lost) | {"red", "green", "blue"}
        assert len(library.find("red", query_mode="label", copies=True).photos) == 2 * N


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_rebuild_reads_every_schema_version(tmp_path: Path, version: int) -> None:
    path = Path(shutil.copy(SCHEMAS / f"schema-{version}.db", tmp_path / "library.db"))
    result = rebuild(path, force=True)
    assert (result.marks, result.folders, result.samples) == (6 if version > 2 else 4, 1, 1)
    with Database(path) as db:
        labels = {label.name: label for label in read_labels(db)}
        sample = find_sample(db, labels["bird"])
        assert sample is not None
        assert [(p.number, p.present) for p in sample.photos] == [(1, True), (2, False)]
        assert labels["bird"].threshold == 0.5
        assert read_default_model(db) == ("old" if version > 1 else None)
        if version > 2:
            assert [c.label.name for c in list_classifiers(db)] == ["my dog"]
            assert [row[:2] for row in undo_marks(db)] == [("my dog", 1), ("my dog", 4)]


@pytest.mark.hostile
def test_rebuild_of_random_damage_gives_a_sound_library(tmp_path: Path) -> None:
    """Bytes overwritten anywhere: what is rescued is consistent, and most often it is everything."""
    rescued = []
    for seed in range(DAMAGED):
        rng, path = random.Random(seed), tmp_path / f"{seed}.db"
        data = bytearray((SCHEMAS / f"schema-{rng.randint(2, schema.VERSION)}.db").read_bytes())
        for _ in range(rng.choice((1, 3, 10))):
            size = rng.choice((1, 4, 64, 512))
            start = rng.randrange(100, len(data) - size)
            data[start : start + size] = rng.randbytes(size)
        path.write_bytes(data)
        rescued.append(rebuild(path, force=True).marks)
        with closing(sqlite3.connect(path)) as conn:
            assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        with pytest.raises(StoreError, match="is not damaged"):
            check(path)
        with Database(path) as db:
            for label in read_labels(db):
                find_sample(db, label)
            list_classifiers(db), list_settings(db), undo_marks(db)
            if (model := read_default_model(db)) is not None:
                find_space(db, model)
    assert sum(marks >= 4 for marks in rescued) > DAMAGED / 2
    print(f"\n{DAMAGED} damaged libraries: of 4 or 6 marks rescued {dict(Counter(rescued))}")


# ---- damage, and the user's copy

PAGE = 4096
PAGES = 768
MARKS = 34


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of about PAGES pages with MARKS marks, and its copy."""
    path = tmp_path_factory.mktemp("large") / "library.db"
    with Database(path, create=True) as db:
        model_id, labels = put_model(db, toy_card(), "d", 0)
        scope = add_root(db, "/photos")
        folder_id = put_folder(db, scope, "/photos")
        with db.transaction():
            for i in range(5500):
                image_id = put_image(db, random.Random(i).randbytes(32), 40, 30, "2020-01-01T12:00:00", "exif", i)
                put_photo(db, folder_id, f"a photo with a long name {i:09}.jpg", FileRecord(1000 + i, 10**18), image_id)
                put_prediction(db, image_id, model_id, labels, {"red": (i % 100) / 100, "green": 0.5, "blue": 0.25})
        put_settings(db, scope, FolderSettings(exclude=("*.tmp",)))
        put_marks(db, [("red", 1 + 160 * i, i % 2 == 0) for i in range(MARKS)])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("pages", [5, 60, 300])
@pytest.mark.parametrize("seed", range(4))
def test_rebuild_after_overwritten_pages_saves_every_mark(tmp_path: Path, large: Path, pages: int, seed: int) -> None:
    path = Path(shutil.copy(large, tmp_path / "library.db"))
    shutil.copy(copy_path(large), copy_path(path))
    assert abs(path.stat().st_size // PAGE - PAGES) < 60
    overwrite(path, pages, seed)
    result = rebuild(path, force=True)
    assert (result.marks, result.folder_paths) == (MARKS, ("/photos",))
    with Database(path) as db:
        assert [settings for _, settings in list_settings(db)] == [FolderSettings(exclude=("*.tmp",))]
    assert copy_path(path).exists()


def overwrite(path: Path, pages: int, seed: int, page_bytes: int = PAGE) -> None:
    """Fill random pages, never the first, with noise, zeros or ones."""
    rng = random.Random(seed)
    with path.open("r+b") as file:
        for page in rng.sample(range(1, path.stat().st_size // page_bytes), pages):
            file.seek(page * page_bytes)
            file.write(rng.choice((rng.randbytes(page_bytes), bytes(page_bytes), b"\xff" * page_bytes)))


def test_rebuild_takes_the_newer_of_two_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "library.db"
    times = {"2026-01-01T00:00:00Z": (True, True, True), "2026-02-01T00:00:00Z": (False, True, False)}
    with Database(path, create=True) as db:
        for i in range(3):
            put_image(db, bytes([i]) * 32, 4, 3)
        for at, marks in times.items():
            monkeypatch.setattr(database, "now", lambda at=at: at)
            put_marks(db, [("red", 1 + i, present) for i, present in enumerate(marks)])
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE marks SET present = 1, marked_at = '2026-03-01T00:00:00Z' WHERE image_id = 1")  # newer
        conn.execute("UPDATE marks SET present = 1, marked_at = '2026-01-01T00:00:00Z' WHERE image_id = 3")  # older
        conn.commit()
    assert rebuild(path, force=True).marks == 3
    with Database(path) as db:
        assert db.rows("SELECT image_id, present FROM marks ORDER BY 1") == [(1, 1), (2, 1), (3, 0)]


@pytest.mark.parametrize(("change", "words"), [
    (None, "made by a newer photosearch (schema 99) and not damaged; upgrade photosearch; nothing was done"),
    (lambda path: overwrite(path, 60, 1), "made by a newer photosearch (schema 99), and damaged; upgrade photosearch"),
])  # fmt: skip
def test_rebuild_refuses_a_newer_library(tmp_path: Path, large: Path, change: Any, words: str) -> None:
    path = Path(shutil.copy(large, tmp_path / "library.db"))
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 99")
    if change:
        change(path)
    before = path.read_bytes()
    for force in (False, True):
        if force and change:
            continue
        with pytest.raises(StoreError, match=re.escape(words)):
            rebuild(path, force=force)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir() if "damaged" in p.name or "part" in p.name] == []
    if change:
        assert rebuild(path, force=True).marks > 0


def test_rebuild_of_a_locked_library_is_refused(tmp_path: Path, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only damage is damage: what keeps a library from being read for a while is not."""
    path = Path(shutil.copy(large, tmp_path / "library.db"))
    monkeypatch.setattr(rebuild_module, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.1)
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, timeout=0.1))  # where none is given
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        for force in (False, True):
            with pytest.raises(StoreError, match="locked"):
                rebuild(path, force=force)
    assert path.read_bytes() == before


# ---- other programs that have the library open


def test_change_through_a_library_opened_before_is_refused_or_kept(tmp_path: Path, photos: Path) -> None:
    path, photo = tmp_path / "library.db", photos / "red0.png"
    with Library(path) as library:
        fill(library, photos)
        aside = rebuild(path, force=True).aside
        assert aside is not None
        kept = [p.read_bytes() for p in (aside, path, copy_path(path))]
        before = (library.marks.list(), library.labels.list(), library.folders.list())
        changes = [
            lambda: library.marks.add(photo, positive=["blue"]),
            lambda: library.marks.remove(photo, ["red"]),
            lambda: library.marks.undo(),
            lambda: library.labels.set_threshold(library.labels.get("red"), 0.1),
            lambda: library.labels.undo_learning("dark"),
            lambda: library.labels.add("dawn", "black white"),
            lambda: library.labels.remove("dusk"),
            lambda: library.samples.draw("blue", 4),
            lambda: library.albums.add("Rome", photo),
            lambda: library.folders.set(photos, exclude=["*.x"]),
            lambda: library.models.set_default("toy"),
            lambda: library.forget([photo]),
            lambda: library.forget(None),
            lambda: index(library, photos),
            lambda: library._session.db.vacuum(),
        ]
        for change in changes:
            with pytest.raises(StoreError, match=re.escape(database.REPLACED)):
                change()
            assert (library.marks.list(), library.labels.list(), library.folders.list()) == before
    assert [p.read_bytes() for p in (aside, path, copy_path(path))] == kept
    with Library(path) as library:
        index(library)
        library.marks.add(photo, positive=["blue"])


@pytest.mark.parametrize("emptied", ["forget", "delete", "move"])
def test_change_is_refused_once_the_library_is_another(tmp_path: Path, photos: Path, emptied: str) -> None:
    path = tmp_path / "library.db"
    with Library(path) as library:
        index(library, photos)
        if emptied == "forget":
            with Library(path) as other:
                other.forget(None)
                index(other, photos)
        else:
            for file in tmp_path.glob("library.db*"):
                if file.is_file():
                    file.unlink() if emptied == "delete" else file.rename(file.with_name(f"moved-{file.name}"))
        with pytest.raises(StoreError, match="nothing was written"):
            library.marks.set_image(1, "red", True)


def test_rebuild_waits_for_a_transaction_and_keeps_its_mark(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "library.db"
    with Library(path) as library:
        index(library, photos)
    path.with_name("library.db.lock").unlink()
    with Database(path) as db, ThreadPoolExecutor(1) as threads:
        with db.transaction():
            running = threads.submit(rebuild, path, force=True)
            while not path.with_name("library.db.lock").exists():
                assert not running.done()
            db.write("INSERT INTO marks VALUES ('red', 1, 1, '2026-01-01T00:00:00Z')")
        assert running.result().marks == 1
        with pytest.raises(StoreError, match="nothing was written"):
            db.write("DELETE FROM marks")


def test_forget_after_a_rebuild_keeps_marks_that_wait_for_index(tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "library.db"
    with Library(path) as library:
        index(library, photos)
        library.marks.add([photos / "red0.png", photos / "red1.png"], positive=["red"])
    rebuild(path, force=True)
    with Library(path) as library:
        library.forget([photos / "nothing.png"])
        index(library)
        assert len(library.marks.list()) == 2
        library.forget([photos / "red0.png"])
        assert [Path(mark.path).name for mark in library.marks.list()] == ["red1.png"]
