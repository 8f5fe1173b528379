"""Rebuilding a damaged library: what is rescued, what is left out, and what a killed attempt leaves behind."""

import os
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from embedding_library import card
from PIL import Image
from toy import write_toy, write_toy_text

from photosearch import Library
from photosearch.errors import StoreError
from photosearch.library import schema
from photosearch.library.classifiers import list_classifiers
from photosearch.library.database import Database
from photosearch.library.folders import add_root, list_roots, list_settings
from photosearch.library.labels import read_labels
from photosearch.library.marks import find_sample, undo_marks
from photosearch.library.models import read_default_model
from photosearch.library.rebuild import check, rebuild
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


# ---- what only its user knows

N = 8  # photos of a kind
QUERIES = ("red", "night", "dusk", "dark or night", "not red", '"black"')


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Dark photos, red ones and bright ones, each of another shade; a model and a text tower for them."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    write_toy(tmp_path / "toy.onnx", card())
    write_toy_text(tmp_path / "toy-text.onnx")
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(N):
        colours = {
            "dark": (10 + i, 20 + (5 * i) % 17, 30 - i),
            "red": (250 - i, 20 + 3 * i, 10 + (7 * i) % 40),
            "white": (250 - 2 * i, 235 + i, 230 + (5 * i) % 13),
        }
        for kind, colour in colours.items():
            Image.new("RGB", (16, 16), colour).save(folder / f"{kind}{i}.png")
    return folder


def index(library: Library, *folders: Path) -> None:
    list(library.index(*folders, models=["toy"], workers=1, provider="cpu"))


def fill(library: Library, photos: Path) -> None:
    """A label of each kind: described, learned, a model's with a saved threshold; marks and samples of them."""
    index(library, photos)
    library.folders.set(photos, exclude=["*.tmp"])
    library.labels.add("night", "black")
    library.labels.add("dusk", "black red")
    for label, kind, n in (("red", "red", 5), ("dark", "dark", N - 1)):
        for other in ("red", "dark", "white"):
            paths = [photos / f"{other}{i}.png" for i in range(n)]
            side = "positive" if kind == other else "negative"
            library.marks.add(paths, **{side: [label]}, new=True)
    assert library.labels.learn("dark").kept == "learned"
    library.samples.draw("red", 10)
    library.samples.judge("red", ["1", "2"])
    library.samples.draw("night", 6, seed=1)
    library.samples.judge("night", ["3"])
    for name, threshold in (("red", 0.7), ("red", 0.6), ("night", 0.75)):
        library.labels.set_threshold(library.labels.get(name), threshold)
    library.marks.add(photos / "white7.png", negative=["night"])


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
    tmp_path: Path, photos: Path, change: str, lost: set[str], with_copy: bool
) -> None:
    path = tmp_path / "library.db"
    with Library(path) as library:
        fill(library, photos)
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
        index(library, photos)
        assert {label.name for label in library.labels.list()} == (names - lost) | {"red", "green", "blue"}
        assert len(library.find("red").photos) == 2 * N


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
